//! Connections that take their time, on a paused clock and a socket of memory.

use super::*;
use crate::visitor::Address;
use crate::{Doors, Refusal};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures::StreamExt;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

fn refuse(refusal: &Refusal, _: &HeaderMap) -> Response {
    (refusal.status(), refusal.code()).into_response()
}

fn open() -> (DuplexStream, tokio::task::JoinHandle<()>, CancellationToken) {
    let stream = || async {
        let ticks = futures::stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_secs(15)).await;
            (n < 1000).then(|| (Ok::<_, std::io::Error>(": still here\n\n".to_owned()), n + 1))
        });
        Body::from_stream(ticks)
    };
    let flood = || async {
        Body::from_stream(futures::stream::repeat(vec![b'x'; 16 << 10]).map(Ok::<_, std::io::Error>))
    };
    let router = Router::new()
        .route("/", any(|body: axum::body::Bytes| async move { body }))
        .route("/stream", get(stream))
        .route("/flood", get(flood));
    let (line, stop, doors) = (Line::new(), CancellationToken::new(), Doors::default());
    let limits = doors.limits;
    let door = Door::new(router, doors, Address::default(), refuse, line.clone());
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    (theirs, tokio::spawn(serve(ours, line, door, limits, stop.clone())), stop)
}

/// Returns what comes until the connection ends, and after how many seconds it does.
async fn rest(mut socket: DuplexStream) -> (String, u64) {
    let began = Instant::now();
    let mut text = Vec::new();
    let _ = socket.read_to_end(&mut text).await;
    (String::from_utf8_lossy(&text).into_owned(), began.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_head_must_come_in_time() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for (begun, expected) in
        [("", 10), ("GET / HTTP/1.1\r\nHost: local", 10), (&preface[..20], 10), (preface, 50)]
    {
        let (mut socket, _task, _) = open();
        socket.write_all(begun.as_bytes()).await.unwrap();
        // Whoever speaks HTTP/2 is asked whether it is there, and has to say so.
        assert_eq!(rest(socket).await.1, expected, "{begun:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_not_waited_for() {
    let (socket, task, _) = open();
    let (mut read, mut write) = tokio::io::split(socket);
    let drip = tokio::spawn(async move {
        for byte in "GET / HTTP/1.1\r\nHost: localhost\r\nX: ".bytes().chain(std::iter::repeat(b'x')) {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let began = Instant::now();
    let mut text = Vec::new();
    let _ = read.read_to_end(&mut text).await;
    assert_eq!(began.elapsed().as_secs(), 10);
    task.await.unwrap();
    drip.abort();
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_and_the_next_request_has_its_own_time() {
    let (mut socket, _task, _) = open();
    let request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi";
    for _ in 0..3 {
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let n = socket.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hi"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
        assert!(answer.contains("cross-origin-resource-policy: same-origin"), "{answer}");
        tokio::time::sleep(Duration::from_secs(50)).await;
    }
    socket.write_all(b"GET / HT").await.unwrap();
    assert_eq!(rest(socket).await, (String::new(), 10));

    let (mut socket, _task, _) = open();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(rest(socket).await.1, 60);
}

#[tokio::test(start_paused = true)]
async fn a_body_must_come_in_time() {
    let (mut socket, _task, _) = open();
    socket.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhi").await.unwrap();
    let (text, seconds) = rest(socket).await;
    assert!(text.starts_with("HTTP/1.1 4") && seconds == 10, "{seconds}: {text}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_read_lives_on_and_one_that_is_not_costs_little_and_ends() {
    let (mut socket, task, stop) = open();
    socket.write_all(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let began = Instant::now();
    let mut buffer = [0; 1024];
    while began.elapsed() < Duration::from_secs(3 * 3600) {
        assert!(socket.read(&mut buffer).await.unwrap() > 0);
    }
    assert!(!task.is_finished());
    // A stop leaves it to whoever answers.
    stop.cancel();
    assert!(socket.read(&mut buffer).await.unwrap() > 0);

    let (mut socket, task, _) = open();
    socket.write_all(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let began = Instant::now();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_an_idle_connection_at_once() {
    let (mut socket, task, stop) = open();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(socket.read(&mut buffer).await.unwrap() > 0);
    let began = Instant::now();
    stop.cancel();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_come_is_refused_before_any_route() {
    for (head, status) in [
        ("GET / HTTP/1.1\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", "400"),
        ("GET /nothing HTTP/1.1\r\nHost: evil.example\r\n", "421"),
        ("GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n", "421"),
        (
            "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\nContent-Length: 100\r\n",
            "403",
        ),
        ("GET / HTTP/1.0\r\n", "400"),
    ] {
        let (mut socket, _task, _) = open();
        socket.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let (text, _) = rest(socket).await;
        assert_eq!(text.split(' ').nth(1), Some(status), "{head}: {text}");
        assert!(text.contains("nosniff"), "{text}");
    }
}
