//! What a slow or idle client costs the others, and what a form may do: nothing.

use super::*;
use bytes::Bytes;
use futures::StreamExt;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_half_sent_body_takes_nobodys_place() {
    let endpoint = Endpoint { grpc: "http://127.0.0.1:9".into(), api_token: None };
    let api = Api::over(Sidecar::connect(&endpoint).expect("a sidecar"), Limits::new(1, 1)).await;
    let (sender, receiver) = futures::channel::mpsc::unbounded::<Result<Bytes, std::io::Error>>();
    let half = Request::post("/api/v1/workflows").header(header::CONTENT_TYPE, "application/json");
    let half = half.body(Body::from_stream(receiver)).expect("a request");
    let half = tokio::spawn(api.router.clone().oneshot(half));
    sender.unbounded_send(Ok(Bytes::from_static(b"{\"name\": \"a\", "))).expect("sent");
    tokio::task::yield_now().await;
    assert_eq!(api.post("/api/v1/workflows", json!({"name": "b", "nodes": []})).await.status, 201);
    sender.unbounded_send(Ok(Bytes::from_static(b"\"nodes\": []}"))).expect("sent");
    drop(sender);
    assert_eq!(half.await.expect("it ends").expect("infallible").status().as_u16(), 201);
}

#[tokio::test]
async fn a_form_changes_nothing_even_without_fields() {
    let api = Api::new().await;
    for path in [
        "/api/v1/workflows/w/start",
        "/api/v1/runs/r/pause",
        "/api/v1/runs/r/resume",
        "/api/v1/runs/r/cancel",
    ] {
        for kind in ["application/x-www-form-urlencoded", "multipart/form-data; boundary=b", "text/plain"] {
            let refused = api.send(request(Method::POST, path, Some(kind), "")).await;
            is_problem(&refused, 415, "unsupported_media_type");
        }
        is_problem(&api.send(request(Method::POST, path, None, "")).await, 503, "sidecar_unavailable");
    }
}

#[tokio::test]
async fn a_body_that_was_broken_off_says_why() {
    let api = Api::new().await;
    for (broken, status, code) in [
        (callboard_listener::Broken::Slow, 408, "slow_body"),
        (callboard_listener::Broken::Full, 503, "overloaded"),
    ] {
        let body = Body::from_stream(futures::stream::iter([Err::<Bytes, _>(broken)]));
        let request = Request::post("/api/v1/workflows").header(header::CONTENT_TYPE, "application/json");
        let answer = api.send(request.body(body).expect("a request")).await;
        is_problem(&answer, status, code);
        assert_eq!(answer.headers.contains_key(header::RETRY_AFTER), status == 503);
    }
}

#[tokio::test]
async fn a_stream_waits_for_a_notice_and_does_not_look_meanwhile() {
    let api = Api::new().await;
    append(&*api.catalog, "r", 1, 2).await;
    let request = Request::get("/api/v1/runs/r/history").header(header::ACCEPT, "text/event-stream");
    let request = request.body(Body::empty()).expect("a request");
    let response = api.router.clone().oneshot(request).await.expect("infallible");
    let mut frames = response.into_body().into_data_stream();
    for seq in ["id: 1\n", "id: 2\n"] {
        let frame = frames.next().await.expect("a frame").expect("data");
        assert!(String::from_utf8_lossy(&frame).contains(seq), "{frame:?}");
    }
    // It looks once more before it waits.
    let waits = tokio::time::timeout(Duration::from_millis(200), frames.next()).await;
    assert!(waits.is_err(), "{waits:?}");
    append(&*api.catalog, "r", 3, 4).await;
    let quiet = tokio::time::timeout(Duration::from_millis(1500), frames.next()).await;
    assert!(quiet.is_err(), "it looked: {quiet:?}");
    let since = Instant::now();
    api.notices.send(Recorded { seq: 4, ended: Some(true) }).expect("a listener");
    let mut rest = String::new();
    while let Some(frame) = frames.next().await {
        rest.push_str(&String::from_utf8_lossy(&frame.expect("data")));
    }
    assert!(rest.contains("id: 3\n") && rest.contains("id: 4\n"), "{rest}");
    assert!(since.elapsed() < Duration::from_secs(5));
}
