//! State routes.

use base64::prelude::{BASE64_STANDARD, Engine};
use http::{HeaderValue, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::fault::Fault;
use super::super::runtime::Runtime;
use super::super::state::{Item, Operation};
use super::super::store;
use super::{Call, Response, body, empty, respond};

pub(super) async fn save(runtime: &Runtime, store: &str, call: &Call) -> Result<Response, Fault> {
    let items: Vec<body::StateItem> = call.json()?;
    let shared = call.metadata();
    let items = items.into_iter().map(|item| Item::from(item.with(&shared))).collect();
    runtime.save_states(store, items).await?;
    Ok(empty())
}

pub(super) async fn get(runtime: &Runtime, store: &str, key: &str) -> Result<Response, Fault> {
    let Some(value) = runtime.get_state(store, key).await? else { return Ok(empty()) };
    Ok(valued(value))
}

/// Answers with a stored value, its etag and what else is known of it.
pub(super) fn valued(value: store::Value) -> Response {
    let mut response = respond(StatusCode::OK, Some("application/json"), value.data);
    let headers = response.headers_mut();
    headers.insert(http::header::ETAG, HeaderValue::from(value.version));
    if let Some(at) = expires(value.expires).and_then(|at| HeaderValue::try_from(at).ok()) {
        headers.insert("metadata.ttlexpiretime", at);
    }
    response
}

pub(super) async fn delete(
    runtime: &Runtime,
    store: &str,
    key: &str,
    call: &Call,
) -> Result<Response, Fault> {
    let item = Item {
        key: key.to_owned(),
        etag: call.header("if-match").map(|etag| etag.trim_matches('"').to_owned()),
        concurrency: body::concurrency(call.query.get("concurrency").map_or("", String::as_str)),
        ..Item::default()
    };
    runtime.delete_states(store, vec![item]).await?;
    Ok(empty())
}

pub(super) async fn bulk(runtime: &Runtime, store: &str, call: &Call) -> Result<Response, Fault> {
    let body::Keys { keys } = call.json()?;
    let found = runtime.get_states(store, keys).await?;
    let items: Vec<Value> = found
        .into_iter()
        .map(|(key, value)| match value {
            None => json!({"key": key}),
            Some(value) => {
                let mut item =
                    json!({"key": key, "data": data(&value.data), "etag": value.version.to_string()});
                if let Some(at) = expires(value.expires) {
                    item["metadata"] = json!({"ttlExpireTime": at});
                }
                item
            }
        })
        .collect();
    Ok(super::json(StatusCode::OK, &items))
}

pub(super) async fn transact(runtime: &Runtime, store: &str, call: &Call) -> Result<Response, Fault> {
    let body::Transaction { operations } = call.json()?;
    let mut wanted = Vec::with_capacity(operations.len());
    for operation in operations {
        wanted.push(match operation.operation.as_str() {
            "upsert" => Operation::Upsert(operation.request.into()),
            "delete" => Operation::Delete(operation.request.into()),
            other => return Err(Fault::unknown_operation(other)),
        });
    }
    runtime.transact(store, wanted).await?;
    Ok(empty())
}

/// What was saved over gRPC need not be JSON: then it is text, or base64.
fn data(bytes: &[u8]) -> Value {
    if let Ok(value) = serde_json::from_slice::<Box<RawValue>>(bytes)
        && let Ok(value) = serde_json::from_str(value.get())
    {
        return value;
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => Value::from(BASE64_STANDARD.encode(bytes)),
    }
}

fn expires(at: Option<i64>) -> Option<String> {
    Some(jiff::Timestamp::from_millisecond(at?).ok()?.to_string())
}
