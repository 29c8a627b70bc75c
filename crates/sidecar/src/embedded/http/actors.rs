//! Actor routes.

use axum::body::Body;
use http::{Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tonic::Code;

use super::super::actors::{self, Change, Failure, Registration};
use super::super::fault::Fault;
use super::super::names;
use super::super::runtime::Runtime;
use super::super::state::{Item, expiry, version};
use super::super::times;
use super::state::valued;
use super::{Call, Response, body, empty, strip};

/// Calls a method. The app's answer of 200 comes back with its headers, an application error's too.
pub(super) async fn invoke(
    runtime: &Runtime,
    actor_type: &str,
    id: &str,
    method: &str,
    call: &Call,
) -> Result<Response, Fault> {
    let mut headers = call.headers.clone();
    strip(&mut headers);
    let wanted = actors::Call { method: method.to_owned(), data: call.body.clone(), headers };
    let mut answer = runtime.actors.invoke(actor_type, id, wanted).await?;
    strip(&mut answer.headers);
    let mut response = Response::new(Body::from(answer.body));
    *response.headers_mut() = answer.headers;
    Ok(response)
}

pub(super) async fn get_state(
    runtime: &Runtime,
    actor_type: &str,
    id: &str,
    key: &str,
) -> Result<Response, Fault> {
    let Some(value) = runtime.actors.get_state(actor_type, id, key).await? else { return Ok(empty()) };
    let mut response = valued(value);
    // As daprd: reading actor state tells no etag.
    response.headers_mut().remove(http::header::ETAG);
    Ok(response)
}

pub(super) async fn change_state(
    runtime: &Runtime,
    actor_type: &str,
    id: &str,
    call: &Call,
) -> Result<Response, Fault> {
    let operations: Vec<body::Operation> = call.json()?;
    let mut changes = Vec::with_capacity(operations.len());
    for operation in operations {
        let item = Item::from(operation.request);
        let etag = match item.etag.as_deref() {
            None | Some("") => None,
            Some(etag) => Some(version(etag)?),
        };
        changes.push(match operation.operation.as_str() {
            "upsert" => {
                let expiry = expiry(item.ttl.as_deref())?;
                Change::Upsert { key: item.key, data: item.data, etag, expiry }
            }
            "delete" => Change::Delete { key: item.key, etag },
            other => return Err(Fault::unknown_operation(other)),
        });
    }
    runtime.actors.change_state(actor_type, id, changes).await?;
    Ok(empty())
}

pub(super) async fn reminder(
    runtime: &Runtime,
    actor_type: &str,
    id: &str,
    name: &str,
    call: &Call,
) -> Result<Response, Fault> {
    let actors = &runtime.actors;
    match call.method {
        Method::POST | Method::PUT => {
            actors.register_reminder(registration(actor_type, id, name, call)?).await?;
            Ok(empty())
        }
        Method::DELETE => {
            actors.remove_reminder(actor_type, id, name).await?;
            Ok(empty())
        }
        Method::GET => {
            let found = actors.reminder(actor_type, id, name)?;
            let mut document = json!({"actorID": found.actor_id, "actorType": found.actor_type});
            for (field, text) in [("dueTime", found.due_time), ("period", found.period), ("ttl", found.ttl)] {
                if !text.is_empty() {
                    document[field] = Value::from(text);
                }
            }
            if let Ok(data) = serde_json::from_str::<Value>(&found.data) {
                document["data"] = data;
            }
            Ok(super::json(StatusCode::OK, &document))
        }
        _ => Err(Fault::new(
            "ERR_METHOD_NOT_ALLOWED",
            405,
            Code::Unimplemented,
            format!("method {} is not allowed for a reminder", call.method),
        )),
    }
}

pub(super) fn timer(
    runtime: &Runtime,
    actor_type: &str,
    id: &str,
    name: &str,
    call: &Call,
) -> Result<Response, Fault> {
    if call.method == Method::DELETE {
        runtime.actors.remove_timer(actor_type, id, name)?;
    } else {
        runtime.actors.register_timer(registration(actor_type, id, name, call)?)?;
    }
    Ok(empty())
}

fn registration(actor_type: &str, id: &str, name: &str, call: &Call) -> Result<Registration, Fault> {
    let wanted: body::Callback = call.json()?;
    names::check_callback(&wanted.callback)?;
    names::check_data(wanted.data.as_deref().map_or("", RawValue::get))?;
    let failure = match wanted.failure_policy {
        None => Failure::Default,
        Some(body::FailurePolicy { drop: Some(_), .. }) => Failure::Drop,
        Some(body::FailurePolicy { constant: None, .. }) => Failure::Default,
        Some(body::FailurePolicy { constant: Some(constant), .. }) => {
            let every = match constant.interval.as_str() {
                "" => 1000,
                text => {
                    let every = times::go_duration(text)
                        .ok_or_else(|| Fault::malformed(format!("interval {text:?} is not a duration")))?;
                    i64::try_from(every.as_millis()).unwrap_or(i64::MAX)
                }
            };
            Failure::Constant { every: every.max(times::shortest()), times: constant.max_retries }
        }
    };
    Ok(Registration {
        actor_type: actor_type.to_owned(),
        actor_id: id.to_owned(),
        name: name.to_owned(),
        due_time: wanted.due_time,
        period: wanted.period,
        ttl: wanted.ttl,
        data: wanted.data.as_deref().map_or("", RawValue::get).to_owned(),
        callback: wanted.callback,
        keep_existing: wanted.overwrite == Some(false),
        failure,
    })
}
