//! Dapr's HTTP API: the same runtime as the gRPC one, in JSON.
//!
//! Decides routing on the cleaned path, taken apart and percent-decoded once: what is checked is what is
//! dispatched (S-31). Trailing and double slashes count for nothing, as in daprd.

mod actors;
mod body;
mod bus;
mod invoke;
mod metadata;
mod secrets;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use bytes::Bytes;
use callboard_listener::{Broken, Doors, Refusal, broken};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::fault::{self, Fault};
use super::guard::Token;
use super::runtime::Runtime;

pub(super) use invoke::strip;

type Response = http::Response<Body>;

/// A request, read whole.
struct Call {
    method: Method,
    /// Decoded segments after the version.
    path: Vec<String>,
    query: BTreeMap<String, String>,
    /// As it came, for an app that is called with it.
    raw_path: String,
    raw_query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

/// Serves until told to close, then lets running calls end.
pub(super) async fn serve(
    listener: TcpListener,
    runtime: Arc<Runtime>,
    token: Token,
    doors: Doors,
    closing: CancellationToken,
) {
    let router = Router::new().fallback(move |request: Request| {
        let (runtime, token) = (runtime.clone(), token.clone());
        async move { answer(&runtime, &token, request).await }
    });
    callboard_listener::serve(listener, router, doors, at_the_door, closing).await;
}

/// A request that is refused before its path is looked at.
fn at_the_door(refusal: &Refusal, _: &HeaderMap) -> Response {
    refused(&fault::at_the_door(refusal))
}

async fn answer(runtime: &Arc<Runtime>, token: &Token, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let raw_path = parts.uri.path().to_owned();
    let segments = match segments(&raw_path) {
        Ok(segments) => segments,
        Err(fault) => return refused(&fault),
    };
    let health = matches!(
        segments.iter().map(String::as_str).collect::<Vec<_>>()[..],
        ["v1.0", "healthz"] | ["v1.0", "healthz", "outbound"]
    );
    if !health && token.check(&parts.headers).is_err() {
        return text(StatusCode::UNAUTHORIZED, "invalid api token");
    }
    let body = match Limited::new(body, crate::client::MAX_MESSAGE).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let mut response = refused(&match broken(&*error) {
                Some(broken) => fault::of_body(broken),
                None => Fault::new("ERR_BAD_REQUEST", 400, Code::InvalidArgument, error.to_string()),
            });
            if broken(&*error) == Some(Broken::Full) {
                let seconds = http::HeaderValue::from_static("1");
                response.headers_mut().insert(http::header::RETRY_AFTER, seconds);
            }
            // The rest of the body stays unread, so the connection ends here: its caller must not use it again.
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert(http::header::CONNECTION, close);
            return response;
        }
    };
    let call = Call {
        method: parts.method,
        path: segments,
        query: query(parts.uri.query().unwrap_or_default()),
        raw_path,
        raw_query: parts.uri.query().map(str::to_owned),
        headers: parts.headers,
        body,
    };
    match route(runtime, call).await {
        Ok(response) => response,
        Err(fault) => refused(&fault),
    }
}

async fn route(runtime: &Arc<Runtime>, mut call: Call) -> Result<Response, Fault> {
    let path = std::mem::take(&mut call.path);
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let write = call.method == Method::POST || call.method == Method::PUT;
    let get = call.method == Method::GET;
    let delete = call.method == Method::DELETE;
    match path[..] {
        ["v1.0", "state", store] if write => state::save(runtime, store, &call).await,
        ["v1.0", "state", store, "bulk"] if write => state::bulk(runtime, store, &call).await,
        ["v1.0", "state", store, "transaction"] if write => state::transact(runtime, store, &call).await,
        ["v1.0", "state", store, ref key @ ..] if get && !key.is_empty() => {
            state::get(runtime, store, &key.join("/")).await
        }
        ["v1.0", "state", store, ref key @ ..] if delete && !key.is_empty() => {
            state::delete(runtime, store, &key.join("/"), &call).await
        }
        ["v1.0" | "v1.0-alpha1", "publish", "bulk", pubsub, ref topic @ ..] if write => {
            bus::publish_bulk(runtime, pubsub, &topic.join("/"), &call).await
        }
        ["v1.0", "publish", pubsub, ref topic @ ..] if write => {
            bus::publish(runtime, pubsub, &topic.join("/"), call).await
        }
        ["v1.0", "actors", actor_type, id, "method", method] if get || write || delete => {
            actors::invoke(runtime, actor_type, id, method, &call).await
        }
        ["v1.0", "actors", actor_type, id, "state"] if write => {
            actors::change_state(runtime, actor_type, id, &call).await
        }
        ["v1.0", "actors", actor_type, id, "state", ref key @ ..] if get && !key.is_empty() => {
            actors::get_state(runtime, actor_type, id, &key.join("/")).await
        }
        ["v1.0", "actors", actor_type, id, "reminders", name] => {
            actors::reminder(runtime, actor_type, id, name, &call).await
        }
        ["v1.0", "actors", actor_type, id, "timers", name] if write || delete => {
            actors::timer(runtime, actor_type, id, name, &call)
        }
        ["v1.0", "invoke", app_id, "method", ..] => {
            let (app_id, path) = (app_id.to_owned(), invoke::rest_of(&call.raw_path));
            invoke::call(runtime, &app_id, &path, call).await
        }
        ["v1.0", "secrets", store, "bulk"] if get => secrets::bulk(runtime, store),
        ["v1.0", "secrets", store, ref key @ ..] if get && !key.is_empty() => {
            secrets::get(runtime, store, &key.join("/"))
        }
        ["v1.0", "metadata"] if get => Ok(metadata::document(runtime)),
        ["v1.0", "metadata", key] if call.method == Method::PUT => metadata::set(runtime, key, &call),
        ["v1.0", "healthz"] if get => health(runtime, &call),
        ["v1.0", "healthz", "outbound"] if get => outbound(runtime),
        _ => other(runtime, &path, call).await,
    }
}

/// What has no route: another app's name in a header, an API we lack, or nothing at all.
async fn other(runtime: &Arc<Runtime>, path: &[&str], call: Call) -> Result<Response, Fault> {
    if let Some(app_id) = invoke::named_app(&call.headers) {
        let path = call.raw_path.clone();
        return invoke::call(runtime, &app_id, &path, call).await;
    }
    match *path {
        [
            "v1.0" | "v1.0-alpha1" | "v1.0-alpha2" | "v1.0-beta1",
            area @ ("bindings" | "configuration" | "lock" | "unlock" | "crypto" | "workflows" | "jobs"
            | "conversation" | "shutdown" | "subscribe"),
            ..,
        ] => Err(Fault::unimplemented(area)),
        ["v1.0-alpha1", "state", _, "query"] => Err(Fault::unimplemented("state query")),
        // What is no API of daprd's may be a call of another app: that is what it says, a wrong verb included.
        _ => Err(Fault::new(
            "ERR_DIRECT_INVOKE",
            404,
            Code::NotFound,
            "failed getting app id either from the URL path or the header dapr-app-id",
        )),
    }
}

fn health(runtime: &Runtime, call: &Call) -> Result<Response, Fault> {
    if !runtime.is_ready() || runtime.stop.is_cancelled() {
        return Err(Fault::new("ERR_HEALTH_NOT_READY", 500, Code::Internal, "dapr is not ready"));
    }
    if call.query.get("appid").is_some_and(|app_id| app_id != &*runtime.app_id) {
        let message = "dapr app-id does not match";
        return Err(Fault::new("ERR_HEALTH_APPID_NOT_MATCH", 500, Code::Internal, message));
    }
    Ok(empty())
}

/// Does not need the app: an app waits on this before it calls.
fn outbound(runtime: &Runtime) -> Result<Response, Fault> {
    if !runtime.stop.is_cancelled() {
        return Ok(empty());
    }
    Err(Fault::new("ERR_OUTBOUND_HEALTH_NOT_READY", 500, Code::Internal, "dapr outbound is not ready"))
}

/// Takes a path apart. A name that hides a separator or climbs is no name.
fn segments(path: &str) -> Result<Vec<String>, Fault> {
    let mut found = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let name = decoded(part, false)
            .ok_or_else(|| Fault::malformed(format!("the path {path} is not properly encoded")))?;
        if name == "." || name == ".." {
            return Err(Fault::malformed(format!("the path {path} climbs")));
        }
        found.push(name);
    }
    Ok(found)
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decoded(name, true)?, decoded(value, true)?))
    });
    pairs.collect()
}

/// Decodes percent signs once; `None` for bad ones and for what is no UTF-8.
fn decoded(text: &str, plus_is_space: bool) -> Option<String> {
    if !text.contains(['%', '+']) {
        return Some(text.to_owned());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            b'+' if plus_is_space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

// === impl Call ===

impl Call {
    /// Returns `metadata.*` of the query, without the prefix.
    fn metadata(&self) -> BTreeMap<String, String> {
        let found = self
            .query
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("metadata.")?.to_owned(), value.clone())));
        found.collect()
    }

    fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name)?.to_str().ok().map(str::to_owned)
    }

    fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Fault> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Fault::malformed(format!("failed deserializing HTTP body: {error}")))
    }
}

fn empty() -> Response {
    respond(StatusCode::NO_CONTENT, None, Bytes::new())
}

fn json<T: serde::Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => respond(status, Some("application/json"), body.into()),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn text(status: StatusCode, message: &str) -> Response {
    respond(status, Some("text/plain; charset=utf-8"), message.to_owned().into())
}

fn respond(status: StatusCode, content_type: Option<&'static str>, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    if let Some(content_type) = content_type {
        let value = http::HeaderValue::from_static(content_type);
        response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    response
}

fn refused(fault: &Fault) -> Response {
    json(fault.http, &fault.body())
}

#[cfg(test)]
mod tests;
