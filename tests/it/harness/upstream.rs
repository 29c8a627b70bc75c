//! A faked HTTP service for `http` nodes and tools: takes any method and path, answers as
//! its [`Script`] says, by default with what it was sent.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{Recorded, Reply, Script};

/// A service on a free port of 127.0.0.1, gone when dropped.
pub struct Upstream {
    pub script: Script,
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Upstream {
    pub async fn start() -> Self {
        Self::on(0).await
    }

    /// Listens on a port that somebody else has been told.
    pub async fn on(port: u16) -> Self {
        Self::serve(port, render).await
    }

    /// Serves with another way to put a reply into HTTP.
    pub(super) async fn serve(port: u16, render: fn(&Recorded, Reply) -> Response) -> Self {
        let script = Script::new();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.unwrap_or_else(|error| panic!("port {port}: {error}"));
        let addr = listener.local_addr().expect("a bound socket has an address");
        let decided = script.clone();
        let app = Router::new().fallback(move |request: Request| handle(decided.clone(), render, request));
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.expect("the fake serves until it is dropped")
        });
        Self { script, addr, task }
    }

    /// Returns `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn handle(script: Script, render: fn(&Recorded, Reply) -> Response, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, 64 << 20).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let (request, mut reply) = script.decide(Recorded {
        at: Instant::now(),
        method: head.method.to_string(),
        target: head.uri.to_string(),
        headers: head.headers,
        body,
    });
    while let Reply::After(delay, later) = reply {
        tokio::time::sleep(delay).await;
        reply = *later;
    }
    render(&request, reply)
}

fn render(request: &Recorded, reply: Reply) -> Response {
    match reply {
        Reply::Text(text) => text.into_response(),
        Reply::Json(value) => Json(value).into_response(),
        Reply::Echo => Json(reflect(request)).into_response(),
        Reply::Tools(calls) => Json(json!({"tools": calls})).into_response(),
        Reply::Status(code, retry_after) => status(code, retry_after, json!({"error": code})),
        Reply::Cut => cut("application/json", "{\"half\": \"of an ans"),
        Reply::Huge(bytes) => huge("text/plain", String::new(), bytes, String::new()),
        Reply::Garbage => garbage(),
        Reply::Refused(code, body) => status(code, None, body),
        Reply::Says(message, _) => Json(message).into_response(),
        Reply::Raw(kind, text) => typed(kind, Body::from(text)),
        Reply::Coded(coding, body) => coded(coding, body),
        Reply::After(..) => unreachable!("waited for by the caller"),
    }
}

fn reflect(request: &Recorded) -> Value {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let headers: Map<String, Value> = request
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
        .collect();
    let body = match request.json() {
        Value::Null => String::from_utf8_lossy(&request.body).into(),
        body => body,
    };
    json!({"method": request.method, "path": path, "query": query, "headers": headers, "body": body})
}

pub(super) fn status(code: u16, retry_after: Option<u32>, body: Value) -> Response {
    let code = StatusCode::from_u16(code).expect("a script names statuses that exist");
    let mut response = (code, Json(body)).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

pub(super) fn garbage() -> Response {
    typed("application/json", Body::from("<html>502 Bad Gateway {\"choices\": [}"))
}

/// Sends `text` and drops the connection without the end of the body.
pub(super) fn cut(content_type: &'static str, text: impl Into<Bytes>) -> Response {
    let sent = stream::once(std::future::ready(Ok(text.into())));
    // Later, so that the text leaves before the connection breaks.
    let broken = stream::once(async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    });
    typed(content_type, Body::from_stream(sent.chain(broken)))
}

/// Sends `before`, as many bytes of `x` as asked for, and `after`.
pub(super) fn huge(content_type: &'static str, before: String, bytes: usize, after: String) -> Response {
    const CHUNK: usize = 64 << 10;
    let chunks = (0..bytes).step_by(CHUNK).map(move |at| Bytes::from("x".repeat(CHUNK.min(bytes - at))));
    let all = std::iter::once(before.into()).chain(chunks).chain(std::iter::once(after.into()));
    typed(content_type, Body::from_stream(stream::iter(all.map(Ok::<_, io::Error>))))
}

pub(super) fn typed(content_type: &'static str, body: Body) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

pub(super) fn coded(coding: &'static str, body: Vec<u8>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, coding)];
    (headers, body).into_response()
}
