//! Service invocation: this app by its own id, in the path, a header or a user name.

use axum::body::Body;
use base64::prelude::{BASE64_STANDARD, Engine};
use http::{HeaderMap, header};

use super::super::fault::Fault;
use super::super::runtime::Runtime;
use super::{Call, Response};

/// Sends the request on as it came, to `path` of the app.
pub(super) async fn call(runtime: &Runtime, app_id: &str, path: &str, call: Call) -> Result<Response, Fault> {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let uri = match &call.raw_query {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut headers = call.headers;
    strip(&mut headers);
    let mut request = http::Request::new(call.body);
    *request.method_mut() = call.method;
    *request.headers_mut() = headers;
    *request.uri_mut() = uri.parse().map_err(|_| Fault::malformed(format!("bad path {uri}")))?;
    let mut answer = runtime.invoke(app_id, request).await?;
    strip(&mut answer.headers);
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// Returns what follows `/v1.0/invoke/{app}/method`, still encoded.
pub(super) fn rest_of(path: &str) -> String {
    let rest: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).skip(4).collect();
    format!("/{}", rest.join("/"))
}

/// Returns the app that a header or the user of basic authentication names.
pub(super) fn named_app(headers: &HeaderMap) -> Option<String> {
    if let Some(name) = headers.get("dapr-app-id") {
        return name.to_str().ok().map(str::to_owned);
    }
    let basic = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let pair = String::from_utf8(BASE64_STANDARD.decode(basic).ok()?).ok()?;
    let (user, app_id) = pair.split_once(':')?;
    (user == "dapr-app-id").then(|| app_id.to_owned())
}

/// Takes out what concerns one hop, or identifies a caller, before headers go on.
pub(in crate::embedded) fn strip(headers: &mut HeaderMap) {
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
