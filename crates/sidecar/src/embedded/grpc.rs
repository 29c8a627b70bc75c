//! Dapr's gRPC API: the same runtime as the HTTP one, in Dapr's messages.

mod actors;
mod bus;
mod rest;
mod service;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::IntoResponse;
use callboard_listener::{Doors, Refusal, broken};
use dapr::dapr::proto::runtime::v1::dapr_server::DaprServer;
use http_body_util::BodyExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;

use super::fault;
use super::guard::{Guarded, Token};
use super::runtime::Runtime;

pub(super) use service::Embedded;

/// An application keeps its whole traffic on one connection.
const STREAMS: u32 = 4096;
const WINDOWS: (u32, u32) = (1 << 20, 8 << 20);

/// The service as sockets and the in-process client use it.
pub(super) type Service = Guarded<DaprServer<Embedded>>;

/// Builds the one service that every gRPC caller reaches.
pub(super) fn service(runtime: Arc<Runtime>, token: Token) -> Service {
    let server = DaprServer::new(Embedded { runtime })
        .max_decoding_message_size(crate::client::MAX_MESSAGE)
        .max_encoding_message_size(usize::MAX);
    Guarded::new(token, server)
}

/// Returns the caller's trace: `traceparent`, or what older SDKs send in binary.
fn trace(metadata: &MetadataMap) -> Option<String> {
    if let Some(binary) = metadata.get_bin("grpc-trace-bin").and_then(|value| value.to_bytes().ok())
        && let [0, 0, rest @ ..] = &binary[..]
        && let Some((trace, [1, after @ ..])) = rest.split_at_checked(16)
        && let Some((span, [2, flags, ..])) = after.split_at_checked(8)
    {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        return Some(format!("00-{}-{}-{flags:02x}", hex(trace), hex(span)));
    }
    text(metadata, "traceparent")
}

fn text(metadata: &MetadataMap, name: &str) -> Option<String> {
    metadata.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Makes headers of a message's metadata; what no header can carry is left out.
fn headers(metadata: HashMap<String, String>) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    for (name, value) in metadata {
        let name = http::HeaderName::try_from(name);
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::try_from(value)) {
            headers.insert(name, value);
        }
    }
    super::http::strip(&mut headers);
    headers
}

/// Serves until told to close, then lets running calls end.
pub(super) async fn serve(
    listener: TcpListener,
    service: Service,
    mut doors: Doors,
    closing: CancellationToken,
) {
    doors.limits.streams = STREAMS;
    doors.limits.windows = WINDOWS;
    let router = Routes::new(service).into_axum_router().layer(axum::middleware::map_request(told));
    callboard_listener::serve(listener, router, doors, at_the_door, closing).await;
}

/// Says of a body that was broken off why, as a status: the reader of messages passes those on.
async fn told(request: Request) -> Request {
    request.map(|body| {
        Body::new(body.map_err(|error| match broken(&error) {
            Some(broken) => axum::Error::new(Status::from(fault::of_body(broken))),
            None => error,
        }))
    })
}

/// A request that is refused before its path is looked at; in gRPC's words to whoever speaks it.
fn at_the_door(refusal: &Refusal, headers: &http::HeaderMap) -> axum::response::Response {
    let fault = fault::at_the_door(refusal);
    let kind = headers.get(http::header::CONTENT_TYPE);
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        return Status::from(fault).into_http();
    }
    (fault.http, fault.message).into_response()
}
