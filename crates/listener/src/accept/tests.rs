//! A port from outside: its places, its pages, its end.

use super::*;
use crate::{Limits, Refusal};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderMap;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

fn refuse(refusal: &Refusal, _: &HeaderMap) -> Response {
    (refusal.status(), refusal.code()).into_response()
}

async fn open(doors: Doors) -> (SocketAddr, JoinHandle<()>, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/never", get(std::future::pending::<Response>))
        .route("/up", get(up));
    let stop = CancellationToken::new();
    (at, tokio::spawn(serve(listener, router, doors, refuse, stop.clone())), stop)
}

/// Speaks something else from now on, and only listens until the other side goes.
async fn up(request: http::Request<axum::body::Body>) -> impl IntoResponse {
    tokio::spawn(async move {
        let mut io = hyper_util::rt::TokioIo::new(hyper::upgrade::on(request).await.unwrap());
        let _ = tokio::io::copy(&mut io, &mut tokio::io::sink()).await;
    });
    (http::StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "nothing")])
}

async fn ask(at: SocketAddr, request: &str) -> TcpStream {
    let mut socket = TcpStream::connect(at).await.unwrap();
    socket.write_all(format!("{request} HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes()).await.unwrap();
    socket
}

async fn answer(socket: &mut TcpStream) -> String {
    let mut buffer = [0; 2048];
    let n = tokio::time::timeout(Duration::from_secs(10), socket.read(&mut buffer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&buffer[..n]).into_owned()
}

#[tokio::test]
async fn one_connection_too_many_waits_for_a_place() {
    let limits = Limits { connections: 2, ..Limits::default() };
    let (at, _task, _stop) = open(Doors { limits, ..Doors::default() }).await;
    let (mut one, mut two) = (ask(at, "GET /").await, ask(at, "GET /").await);
    assert!(answer(&mut one).await.contains("here") && answer(&mut two).await.contains("here"));
    let mut three = ask(at, "GET /").await;
    let mut buffer = [0; 16];
    let early = tokio::time::timeout(Duration::from_millis(300), three.read(&mut buffer)).await;
    assert!(early.is_err(), "{early:?}");
    drop(one);
    assert!(answer(&mut three).await.contains("here"));
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_call_and_read() {
    let origins = ["https://ui.example.com".to_owned()].into();
    let (at, _task, _stop) = open(Doors { origins, ..Doors::default() }).await;
    let with = |origin: &str, method: &str| {
        format!(
            "{method} / HTTP/1.1\r\nHost: {at}\r\nOrigin: {origin}\r\nSec-Fetch-Site: cross-site\r\n\
             Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: content-type\r\n\r\n"
        )
    };
    for method in ["GET", "OPTIONS"] {
        let mut socket = TcpStream::connect(at).await.unwrap();
        socket.write_all(with("https://ui.example.com", method).as_bytes()).await.unwrap();
        let text = answer(&mut socket).await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(text.contains("access-control-allow-origin: https://ui.example.com"), "{text}");
        let mut socket = TcpStream::connect(at).await.unwrap();
        socket.write_all(with("https://evil.example", method).as_bytes()).await.unwrap();
        let text = answer(&mut socket).await;
        assert!(text.starts_with("HTTP/1.1 403") && !text.contains("access-control"), "{text}");
    }
    let (at, _task, _stop) = open(Doors::default()).await;
    assert!(!answer(&mut ask(at, "GET /").await).await.contains("access-control"));
}

#[tokio::test]
async fn a_stop_waits_for_what_runs_and_whoever_drops_it_cuts() {
    let (at, task, stop) = open(Doors::default()).await;
    let mut idle = ask(at, "GET /").await;
    assert!(answer(&mut idle).await.contains("here"));
    let mut running = ask(at, "GET /never").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.cancel();
    assert_eq!(answer(&mut idle).await, "");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!task.is_finished());
    assert!(TcpStream::connect(at).await.is_err());
    task.abort();
    let mut buffer = [0; 16];
    let ended = tokio::time::timeout(Duration::from_secs(10), running.read(&mut buffer)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
}

#[tokio::test]
async fn what_is_no_http_any_more_keeps_its_place() {
    let limits = Limits { connections: 1, ..Limits::default() };
    let (at, _task, _stop) = open(Doors { limits, ..Doors::default() }).await;
    let mut one = ask(at, "GET /up HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: nothing\r\nX:").await;
    assert!(answer(&mut one).await.starts_with("HTTP/1.1 101 "));
    let mut two = ask(at, "GET /").await;
    let early = tokio::time::timeout(Duration::from_millis(300), two.read(&mut [0; 16])).await;
    assert!(early.is_err(), "{early:?}");
    drop(one);
    assert!(answer(&mut two).await.contains("here"));
}
