//! Dapr's gRPC API: the same runtime as the HTTP one, in Dapr's messages.

mod actors;
mod bus;
mod rest;
mod service;
mod state;

use std::collections::HashMap;
use std::sync::Arc;

use dapr::dapr::proto::runtime::v1::dapr_server::DaprServer;
use tokio::net::TcpListener;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;

use super::guard::{Guarded, Token};
use super::runtime::Runtime;

pub(super) use service::Embedded;

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
pub(super) async fn serve(listener: TcpListener, service: Service, closing: CancellationToken) {
    let incoming = TcpListenerStream::new(listener).map(|socket| {
        let socket = socket?;
        socket.set_nodelay(true)?;
        Ok::<_, std::io::Error>(socket)
    });
    let server = tonic::transport::Server::builder()
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .max_concurrent_streams(4096)
        .add_service(service)
        .serve_with_incoming_shutdown(incoming, closing.cancelled_owned());
    if let Err(error) = server.await {
        tracing::error!(%error, "the gRPC API has ended");
    }
}
