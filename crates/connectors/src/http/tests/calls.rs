//! Ordinary calls, redirects, limits.

use super::*;
use crate::{
    http::node::{self, Call},
    secret::Secret,
};
use axum::{
    body::Body,
    extract::Request as Incoming,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    response::IntoResponse,
    routing::{any, get as on_get},
};
use callboard_core::{Span, workflow::definition::HttpNode};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::{collections::BTreeSet, io::Write};

/// Answers with what it was asked.
async fn echo(request: Incoming) -> axum::Json<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers: BTreeMap<_, _> =
        parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
    axum::Json(json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn start() -> (SocketAddr, Guarded) {
    let zipped = |bytes: Vec<u8>| ([(CONTENT_ENCODING, "gzip"), (CONTENT_TYPE, "text/plain")], bytes);
    let small = zipped(gzip(b"hello"));
    // 8 MiB of nothing, and 17 MiB that compress to an ordinary degree.
    let bomb = zipped(gzip(&vec![0; 8 << 20]));
    let line: Vec<u8> = (0..256u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let lines: Vec<u8> =
        (0..(17u32 << 10)).flat_map(|n| [n.to_le_bytes().to_vec(), line.clone()].concat()).collect();
    let wide = zipped(gzip(&lines));
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/see-other", any(|| async { (StatusCode::SEE_OTHER, [(LOCATION, "/echo")]) }))
        .route("/keep", any(|| async { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/echo?kept")]) }))
        .route("/gzip", on_get(|| async { small }))
        .route("/bomb", on_get(|| async { bomb }))
        .route("/wide", on_get(|| async { wide }))
        .route("/brotli", on_get(|| async { ([(CONTENT_ENCODING, "br")], "x") }))
        .route("/broken", on_get(|| async { ([(CONTENT_ENCODING, "gzip")], "not gzip") }))
        .route("/large", on_get(|| async { vec![b'x'; BODY + 1] }))
        .route("/exact", on_get(|| async { vec![b'x'; BODY] }))
        .route(
            "/endless",
            on_get(|| async {
                Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(65536))))
            }),
        )
        .route("/silent", on_get(futures::future::pending::<()>))
        .route("/headers", on_get(|| async { [("x-large", "x".repeat(HEADERS))] }))
        .route(
            "/busy",
            on_get(|| async { (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "7")]).into_response() }),
        );
    let server = serve(app).await;
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    (server, guarded)
}

#[tokio::test]
async fn limits_hold_before_and_after_decompression() {
    let (server, guarded) = start().await;
    for (path, expected) in [
        ("gzip", "status 200"),
        ("exact", "status 200"),
        ("large", "http_too_large"),
        ("endless", "http_too_large"),
        ("bomb", "http_too_large"),
        ("wide", "http_too_large"),
        ("headers", "http_too_large"),
        ("brotli", "http_invalid_response"),
        ("broken", "http_invalid_response"),
        ("busy", "status 429"),
    ] {
        assert_eq!(code(&guarded, get(format!("http://{server}/{path}"))).await, expected, "{path}");
    }
    let zipped = guarded.call(get(format!("http://{server}/gzip"))).await.unwrap();
    assert_eq!(&zipped.body[..], b"hello");
    let quick =
        Request { timeout: Some(Duration::from_millis(50)), ..get(format!("http://{server}/silent")) };
    let late = guarded.call(quick).await.err().unwrap();
    assert_eq!((late.code.as_str(), late.retryable), ("http_timeout", true));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let guarded = Guarded::new(vec![closed.to_string().parse().unwrap()], vec![]);
    let refused = guarded.call(get(format!("http://{closed}/"))).await.err().unwrap();
    assert_eq!((refused.code.as_str(), refused.retryable), ("http_connect", true));
}

#[tokio::test]
async fn a_redirect_keeps_or_changes_the_request_as_its_status_says() {
    let (server, guarded) = start().await;
    let post = |path: &str| Request {
        method: Method::POST,
        body: "data".into(),
        ..get(format!("http://{server}/{path}"))
    };
    let asked = |response: Response| serde_json::from_slice::<Value>(&response.body).unwrap();
    let changed = asked(guarded.call(post("see-other")).await.unwrap());
    assert_eq!((&changed["method"], &changed["body"]), (&json!("GET"), &json!("")));
    let kept = asked(guarded.call(post("keep")).await.unwrap());
    assert_eq!(
        (&kept["method"], &kept["body"], &kept["uri"]),
        (&json!("POST"), &json!("data"), &json!("/echo?kept"))
    );
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin() {
    let (server, _) = start().await;
    let target = format!("http://{server}/echo");
    let app =
        Router::new().route("/", any(|| async { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target)]) }));
    let first = serve(app).await;
    let exempt = [first, server].map(|address| address.to_string().parse().unwrap()).to_vec();
    let guarded = Guarded::new(exempt, vec![]);
    let mut request = get(format!("http://{first}/"));
    for name in ["authorization", "cookie", "x-key", "x-plain"] {
        let mut value = http::HeaderValue::from_static("v");
        value.set_sensitive(name == "x-key");
        request.headers.insert(name, value);
    }
    let answer: Value = serde_json::from_slice(&guarded.call(request).await.unwrap().body).unwrap();
    let headers = answer["headers"].as_object().unwrap();
    assert!(headers.contains_key("x-plain"));
    for name in ["authorization", "cookie", "x-key"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let confidential = Request { confidential: true, ..get(format!("http://{first}/")) };
    assert_eq!(code(&guarded, confidential).await, "http_forbidden_url");
}

#[tokio::test]
async fn reserved_headers_are_refused() {
    let (server, guarded) = start().await;
    for name in RESERVED {
        let mut request = get(format!("http://{server}/echo"));
        request.headers.insert(name.clone(), http::HeaderValue::from_static("1"));
        assert_eq!(code(&guarded, request).await, "http_invalid_request", "{name}");
    }
}

#[tokio::test]
async fn a_node_sends_its_secret_and_gives_none_of_it_back() {
    let (server, guarded) = start().await;
    let node: HttpNode = serde_json::from_value(json!({
        "method": "POST", "url": format!("http://{server}/echo"),
        "headers": {"Authorization": "Bearer secret://key", "X-Data": "secret://other"},
        "query": {"k": "secret://key", "n": 1},
        "body": {"token": "secret://key", "nested": ["secret://key!"]}
    }))
    .unwrap();
    let secrets = BTreeMap::from(
        ["key", "other"].map(|name| (name.to_owned(), Secret::new(format!("s3cr3t {name}/")))),
    );
    let call = Call {
        node: &node,
        allowed: BTreeSet::from(["key".to_owned()]),
        idempotency_key: "run/step/1",
        timeout: Some(Span::secs(5)),
    };
    let output = node::perform(&guarded, &secrets, call).await.unwrap();
    let asked = &output["body"];
    assert_eq!(output["status"], 200);
    assert_eq!(asked["headers"]["authorization"], "Bearer ***");
    assert_eq!(asked["headers"]["idempotency-key"], "run/step/1");
    assert_eq!(asked["headers"]["x-data"], "secret://other", "data may not name secrets");
    assert_eq!(asked["uri"], "/echo?k=***&n=1");
    let sent: Value = serde_json::from_str(asked["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent, json!({"nested": ["***!"], "token": "***"}));
    assert!(!output.to_string().contains("s3cr3t"));
}

#[tokio::test]
async fn an_unexpected_status_is_an_error_that_says_whether_to_try_again() {
    let (server, guarded) = start().await;
    let perform = async |path: &str, expect: Vec<u16>| {
        let url = format!("http://{server}/{path}");
        let node: HttpNode = serde_json::from_value(json!({"url": url, "expect": expect})).unwrap();
        let call = Call { node: &node, allowed: BTreeSet::new(), idempotency_key: "k", timeout: None };
        node::perform(&guarded, &BTreeMap::new(), call).await
    };
    let busy = perform("busy", vec![]).await.unwrap_err();
    assert_eq!(
        (busy.code.as_str(), busy.retryable, busy.retry_after),
        ("http_status", true, Some(Span::secs(7)))
    );
    let missing = perform("missing", vec![]).await.unwrap_err();
    assert_eq!((missing.code.as_str(), missing.retryable), ("http_status", false));
    assert_eq!(perform("missing", vec![404]).await.unwrap()["status"], 404);
    assert_eq!(perform("gzip", vec![404]).await.unwrap_err().code, "http_status");
}
