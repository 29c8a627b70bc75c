//! Connections that take their time, on a paused clock and a socket of memory.

use super::*;
use crate::crowd::Crowd;
use crate::visitor::Address;
use crate::{Doors, Refusal};
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use futures::StreamExt;
use http::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Frames of HTTP/2: settings, and a `GET` of `/` at `localhost`.
const SETTINGS: &str = "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
const ASKS: &str = "\0\0\x19\x01\x05\0\0\0\x01\x02\x03GET\x06\x04http\x04\x01/\x01\x09localhost";

fn refuse(refusal: &Refusal, _: &HeaderMap) -> Response {
    (refusal.status(), refusal.code()).into_response()
}

fn open() -> (DuplexStream, tokio::task::JoinHandle<()>, CancellationToken) {
    open_in(Doors::default())
}

fn open_in(doors: Doors) -> (DuplexStream, tokio::task::JoinHandle<()>, CancellationToken) {
    let crowd = Crowd::new(&doors.limits);
    // This one is here as well.
    std::mem::forget(crowd.enter());
    open_among(doors, &crowd)
}

fn open_among(
    doors: Doors,
    crowd: &Arc<Crowd>,
) -> (DuplexStream, tokio::task::JoinHandle<()>, CancellationToken) {
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
    // Speaks something else from now on: whatever comes goes back.
    let up = |request: http::Request<Body>| async move {
        tokio::spawn(async move {
            let io = TokioIo::new(hyper::upgrade::on(request).await.unwrap());
            let (mut reader, mut writer) = tokio::io::split(io);
            let _ = tokio::io::copy(&mut reader, &mut writer).await;
        });
        (http::StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "echo")])
    };
    let router = Router::new()
        .route("/up", get(up))
        .route("/", any(|body: axum::body::Bytes| async move { body }))
        .route("/stream", get(stream))
        .route("/flood", get(flood));
    let (line, stop) = (Line::new(crowd), CancellationToken::new());
    let servers = Arc::new(Servers::new(doors.clone()));
    let door = Door::new(router, doors, Address::default(), refuse, line.clone());
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    (theirs, tokio::spawn(serve(ours, line, door, servers, stop.clone())), stop)
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
    for (begun, expected) in [
        ("".to_owned(), 10),
        ("GET / HTTP/1.1\r\nHost: local".to_owned(), 10),
        (preface[..20].to_owned(), 10),
        (preface.to_owned(), 10),
        (format!("{preface}\0\0\x06\x04\0\0\0\0\0\0\x03"), 10),
        // It is idle. Once it had asked something, whoever speaks HTTP/2 is asked whether it is there.
        (format!("{preface}{SETTINGS}"), 60),
        (format!("{preface}{SETTINGS}{ASKS}"), 50),
    ] {
        let (mut socket, _task, _) = open();
        socket.write_all(begun.as_bytes()).await.unwrap();
        assert_eq!(rest(socket).await.1, expected, "{begun:?}");
    }
}

/// Returns the type and the flags of the next frame of HTTP/2.
async fn frame(socket: &mut DuplexStream) -> (u8, u8) {
    let mut frame = vec![0; head::FRAME];
    socket.read_exact(&mut frame).await.unwrap();
    let mut rest = vec![0; head::length(&frame)];
    socket.read_exact(&mut rest).await.unwrap();
    (frame[3], frame[4])
}

#[tokio::test(start_paused = true)]
async fn http2_is_greeted_once_and_goes_with_a_word() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let (mut socket, _task, _) = open();
    socket.write_all(format!("{preface}{SETTINGS}").as_bytes()).await.unwrap();
    assert_eq!(frame(&mut socket).await, (4, 0));
    socket.write_all(b"\0\0\0\x04\x01\0\0\0\0").await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    socket.write_all(ASKS.as_bytes()).await.unwrap();
    let mut frames = Vec::new();
    while frames.last().is_none_or(|(kind, _)| *kind != 1) {
        frames.push(frame(&mut socket).await);
    }
    // Its settings are acknowledged, and it is answered.
    assert!(frames.contains(&(4, 1)) && !frames.contains(&(4, 0)), "{frames:?}");

    let (mut socket, _task, stop) = open();
    socket.write_all(format!("{preface}{SETTINGS}").as_bytes()).await.unwrap();
    assert_eq!(frame(&mut socket).await, (4, 0));
    stop.cancel();
    assert_eq!(frame(&mut socket).await, (7, 0));
    assert_eq!(rest(socket).await, (String::new(), 0));
}

#[tokio::test(start_paused = true)]
async fn in_a_crowd_a_connection_has_a_server_only_while_something_runs() {
    let limits = Limits { crowd: 0, ..Limits::default() };
    let request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi";
    let chunked =
        "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
    let (mut socket, _task, _) = open_in(Doors { limits, ..Doors::default() });
    for request in [request, chunked, request] {
        // Byte by byte, and the next one's half with the last of them.
        for byte in request.bytes() {
            socket.write_all(&[byte]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut answer = vec![0; 4096];
        let n = socket.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..n]).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hi"), "{answer}");
    }
    // With half of the next, which goes on once this one is answered.
    let mut begun = "";
    for half in [&request[..20], &request[..40], ""] {
        socket.write_all(format!("{}{half}", &request[begun.len()..]).as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let n = socket.read(&mut answer).await.unwrap();
        assert!(answer[..n].starts_with(b"HTTP/1.1 200"), "{half}");
        begun = half;
    }
    // One after the other without a pause, and half of one that has its own time.
    socket.write_all(format!("{request}{chunked}{request}GET / HT").as_bytes()).await.unwrap();
    let (text, seconds) = rest(socket).await;
    assert_eq!((text.matches("HTTP/1.1 200").count(), seconds), (3, 10), "{text}");

    // A body that nobody reads is not taken for the next request.
    let (mut socket, _task, _) = open_in(Doors { limits, ..Doors::default() });
    let begun = "POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200\r\n\r\n";
    socket.write_all(format!("{begun}GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
    let (text, _) = rest(socket).await;
    assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
}

#[tokio::test(start_paused = true)]
async fn of_too_many_idle_connections_of_http2_the_oldest_goes() {
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let limits = Limits { idle_http2: 1, ..Limits::default() };
    let doors = Doors { limits, ..Doors::default() };
    let crowd = Crowd::new(&limits);
    let (mut one, task, _) = open_among(doors.clone(), &crowd);
    one.write_all(format!("{preface}{SETTINGS}{ASKS}").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (mut two, other, _) = open_among(doors, &crowd);
    two.write_all(format!("{preface}{SETTINGS}{ASKS}").as_bytes()).await.unwrap();
    let began = Instant::now();
    task.await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 0);
    let mut last = (0, 0);
    while last.0 != 7 {
        last = frame(&mut one).await;
    }
    assert!(!other.is_finished());
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

    // In a crowd as well, where it is held first; and one that comes slowly comes.
    let limits = Limits { crowd: 0, ..Limits::default() };
    for framing in ["Content-Length: 30000", "Transfer-Encoding: chunked"] {
        let (mut socket, _task, _) = open_in(Doors { limits, ..Doors::default() });
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n7530\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_secs(4)).await;
            socket.write_all(&[b'x'; 4096]).await.unwrap();
        }
        let (text, seconds) = rest(socket).await;
        assert!(text.starts_with("HTTP/1.1 4") && seconds == 10, "{seconds}: {text}");
    }
    let (mut socket, _task, _) = open_in(Doors { limits, ..Doors::default() });
    socket.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 32\r\n\r\n").await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(2_400)).await;
        socket.write_all(b"12345678").await.unwrap();
    }
    let mut answer = vec![0; 4096];
    let n = socket.read(&mut answer).await.unwrap();
    assert!(answer[..n].ends_with(&b"12345678".repeat(4)));
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

const UPGRADES: &str = "GET /up HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";

/// Opens a connection that echoes what is sent, and returns it once it does.
async fn upgraded(doors: Doors) -> DuplexStream {
    let (mut socket, _task, _) = open_in(doors);
    socket.write_all(UPGRADES.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    socket
}

#[tokio::test(start_paused = true)]
async fn what_is_no_http_any_more_lives_on_also_in_a_crowd() {
    for crowd in [0, 1000] {
        let mut socket =
            upgraded(Doors { limits: Limits { crowd, ..Limits::default() }, ..Doors::default() }).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        socket.write_all(b"hello").await.unwrap();
        let mut echo = [0; 5];
        socket.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"hello");
    }
}

#[test]
fn http2_is_told_how_many_requests_may_be_open_at_once() {
    let limits = Limits { streams: 77, ..Limits::default() };
    let servers = Servers::new(Doors { limits, ..Doors::default() });
    // `SETTINGS_MAX_CONCURRENT_STREAMS`, and its value.
    let told = [0, 3, 0, 0, 0, 77];
    let mut settings = servers.greeting[head::FRAME..].chunks(told.len());
    assert!(settings.any(|setting| setting == told), "{:?}", servers.greeting);
}
