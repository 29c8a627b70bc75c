//! The CloudEvents envelope (`dapr-contract` 3.6): made, completed, or taken apart for a stream.
//!
//! Everything that arrives is an attacker's to choose (S-35): parsed by type, bounded in its ids, and what is
//! unknown is carried but not looked at.

use std::collections::BTreeMap;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use dapr::dapr::proto::runtime::v1::TopicEventRequest;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tonic::Code;

use super::super::fault::Fault;
use super::super::times;
use super::{Message, Outgoing};

const CLOUD_EVENT: &str = "application/cloudevents+json";
/// Bound on `id` and `source`.
const LONGEST: usize = 2048;

/// Fields in the order Go writes them.
#[derive(Serialize, Default)]
struct Envelope<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    datacontenttype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expiration: Option<String>,
    id: &'a str,
    pubsubname: &'a str,
    source: &'a str,
    specversion: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    time: String,
    topic: &'a str,
    traceid: &'a str,
    traceparent: &'a str,
    tracestate: &'a str,
    r#type: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Json(&'a RawValue),
    Text(std::borrow::Cow<'a, str>),
}

/// Turns what was published into what is kept and delivered.
pub(super) fn wrap(message: Outgoing, pubsub: &str, topic: &str, app_id: &str) -> Result<Message, Fault> {
    let Outgoing { data, content_type, metadata, traceparent, tracestate } = message;
    let expires = expiry(&metadata)?;
    if metadata.get("rawPayload").is_some_and(|raw| raw.eq_ignore_ascii_case("true")) {
        return Ok(Message { id: 0, event: data, metadata, expires });
    }
    let trace = traceparent.unwrap_or_else(fresh_trace);
    if media(&content_type).eq_ignore_ascii_case(CLOUD_EVENT) {
        let state = tracestate.unwrap_or_default();
        let (event, own) = complete(&data, pubsub, topic, &trace, &state, expires)?;
        return Ok(Message { id: 0, event, metadata, expires: expires.or(own) });
    }
    let set = |name: &str| metadata.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let fresh = uuid::Uuid::new_v4().to_string();
    let trace = set("cloudevent.traceparent").or(set("cloudevent.traceid")).unwrap_or(&trace);
    let content_type = if content_type.is_empty() { "text/plain" } else { &content_type };
    let (mut text, mut binary) = (None, None);
    if is_json(content_type) {
        text = Some(match serde_json::from_slice::<&RawValue>(&data) {
            Ok(value) => Data::Json(value),
            Err(_) => Data::Text(String::from_utf8_lossy(&data)),
        });
    } else if is_binary(content_type) {
        binary = Some(BASE64_STANDARD.encode(&data));
    } else {
        text = Some(Data::Text(String::from_utf8_lossy(&data)));
    }
    let envelope = Envelope {
        data: text,
        data_base64: binary,
        datacontenttype: content_type,
        expiration: expires.map(rfc3339),
        id: set("cloudevent.id").unwrap_or(&fresh),
        pubsubname: pubsub,
        source: set("cloudevent.source").unwrap_or(app_id),
        specversion: "1.0",
        subject: set("cloudevent.subject"),
        time: rfc3339(times::now()),
        topic,
        traceid: set("cloudevent.traceid").unwrap_or(trace),
        traceparent: trace,
        tracestate: set("cloudevent.tracestate").or(tracestate.as_deref()).unwrap_or_default(),
        r#type: set("cloudevent.type").unwrap_or("com.dapr.event.sent"),
    };
    bounded(envelope.id, envelope.source)?;
    let event = serde_json::to_vec(&envelope).map_err(|error| unreadable(&error))?;
    Ok(Message { id: 0, event: event.into(), metadata, expires })
}

/// Fills in what a ready-made CloudEvent lacks; its `id` is its publisher's business.
fn complete(
    data: &[u8],
    pubsub: &str,
    topic: &str,
    trace: &str,
    state: &str,
    expires: Option<i64>,
) -> Result<(Bytes, Option<i64>), Fault> {
    let mut event: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(data).map_err(|error| unreadable(&error))?;
    let text = |event: &BTreeMap<String, Box<RawValue>>, name: &str| {
        event.get(name).and_then(|value| serde_json::from_str::<String>(value.get()).ok())
    };
    bounded(&text(&event, "id").unwrap_or_default(), &text(&event, "source").unwrap_or_default())?;
    let quoted = |value: &str| serde_json::value::to_raw_value(value).map_err(|error| unreadable(&error));
    let traced = event.contains_key("traceid");
    event.insert("topic".to_owned(), quoted(topic)?);
    event.insert("pubsubname".to_owned(), quoted(pubsub)?);
    for (name, value) in [
        ("time", rfc3339(times::now()).as_str()),
        ("source", "Dapr"),
        ("type", "com.dapr.event.sent"),
        ("specversion", "1.0"),
        ("tracestate", state),
    ] {
        if !event.contains_key(name) {
            event.insert(name.to_owned(), quoted(value)?);
        }
    }
    if !traced {
        event.insert("traceid".to_owned(), quoted(trace)?);
        event.insert("traceparent".to_owned(), quoted(trace)?);
    }
    let own = text(&event, "expiration")
        .and_then(|at| at.parse::<jiff::Timestamp>().ok())
        .map(|at| at.as_millisecond());
    if let (Some(at), None) = (expires, own) {
        event.insert("expiration".to_owned(), quoted(&rfc3339(at))?);
    }
    let event = serde_json::to_vec(&event).map_err(|error| unreadable(&error))?;
    Ok((event.into(), own))
}

/// Puts a bare payload into an envelope, for a subscription that declared `rawPayload`.
pub(super) fn around_raw(data: &[u8], pubsub: &str, topic: &str, app_id: &str) -> Bytes {
    let id = uuid::Uuid::new_v4().to_string();
    let trace = fresh_trace();
    let envelope = Envelope {
        data_base64: Some(BASE64_STANDARD.encode(data)),
        datacontenttype: "application/octet-stream",
        id: &id,
        pubsubname: pubsub,
        source: app_id,
        specversion: "1.0",
        time: rfc3339(times::now()),
        topic,
        traceid: &trace,
        traceparent: &trace,
        r#type: "com.dapr.event.sent",
        ..Envelope::default()
    };
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

/// Returns the trace an event belongs to.
pub(super) fn trace_of(event: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Traced {
        traceparent: Option<String>,
        traceid: Option<String>,
    }
    let traced = serde_json::from_slice::<Traced>(event).ok()?;
    traced.traceparent.or(traced.traceid).filter(|trace| !trace.is_empty())
}

/// Takes a CloudEvent apart for a gRPC subscriber.
pub(super) fn as_request(event: &[u8], pubsub: &str, topic: &str) -> Result<TopicEventRequest, String> {
    let mut event: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(event).map_err(|error| format!("not a CloudEvent: {error}"))?;
    let mut take = |name: &str| {
        let value = event.remove(name);
        value.and_then(|value| serde_json::from_str::<String>(value.get()).ok()).unwrap_or_default()
    };
    let mut request = TopicEventRequest {
        id: take("id"),
        source: take("source"),
        r#type: take("type"),
        spec_version: take("specversion"),
        data_content_type: take("datacontenttype"),
        topic: topic.to_owned(),
        pubsub_name: pubsub.to_owned(),
        ..TopicEventRequest::default()
    };
    let (_, _, binary) = (take("topic"), take("pubsubname"), take("data_base64"));
    if !binary.is_empty() {
        request.data =
            BASE64_STANDARD.decode(binary).map_err(|error| format!("data_base64 cannot be read: {error}"))?;
        event.remove("data");
    } else if let Some(data) = event.remove("data") {
        let text = serde_json::from_str::<String>(data.get()).ok();
        request.data = match text {
            Some(text) if !is_json(&request.data_content_type) => text.into_bytes(),
            _ => data.get().as_bytes().to_vec(),
        };
    }
    let mut fields = BTreeMap::new();
    for (name, value) in event {
        if let Ok(value) = serde_json::from_str::<serde_json::Value>(value.get()) {
            fields.insert(name, proto_value(value));
        }
    }
    request.extensions = (!fields.is_empty()).then_some(prost_types::Struct { fields });
    Ok(request)
}

fn proto_value(value: serde_json::Value) -> prost_types::Value {
    use prost_types::value::Kind;
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(value),
        serde_json::Value::Number(value) => Kind::NumberValue(value.as_f64().unwrap_or_default()),
        serde_json::Value::String(value) => Kind::StringValue(value),
        serde_json::Value::Array(values) => {
            Kind::ListValue(prost_types::ListValue { values: values.into_iter().map(proto_value).collect() })
        }
        serde_json::Value::Object(fields) => Kind::StructValue(prost_types::Struct {
            fields: fields.into_iter().map(|(name, value)| (name, proto_value(value))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}

fn expiry(metadata: &BTreeMap<String, String>) -> Result<Option<i64>, Fault> {
    let Some(ttl) = metadata.get("ttlInSeconds").filter(|ttl| !ttl.is_empty()) else { return Ok(None) };
    match ttl.parse::<i64>() {
        Ok(seconds) if seconds > 0 => Ok(Some(times::steady().saturating_add(seconds.saturating_mul(1000)))),
        _ => Err(Fault::new(
            "ERR_PUBSUB_REQUEST_METADATA",
            400,
            Code::InvalidArgument,
            format!("ttlInSeconds {ttl:?} must be a positive number"),
        )),
    }
}

fn bounded(id: &str, source: &str) -> Result<(), Fault> {
    if id.len() > LONGEST || source.len() > LONGEST {
        return Err(unreadable(&format!("id and source must not be longer than {LONGEST}")));
    }
    Ok(())
}

fn unreadable(reason: &dyn std::fmt::Display) -> Fault {
    let message = format!("cannot create cloudevent: {reason}");
    Fault::new("ERR_PUBSUB_CLOUD_EVENTS_SER", 500, Code::InvalidArgument, message)
}

fn media(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn is_json(content_type: &str) -> bool {
    let media = media(content_type).to_ascii_lowercase();
    media == "application/json" || media.ends_with("/json") || media.ends_with("+json")
}

fn is_binary(content_type: &str) -> bool {
    matches!(
        media(content_type).to_ascii_lowercase().as_str(),
        "application/octet-stream" | "application/cloudevents+protobuf"
    )
}

/// Whole seconds, as Go's `time.RFC3339`.
fn rfc3339(millis: i64) -> String {
    let at = jiff::Timestamp::from_second(millis.div_euclid(1000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_string()
}

/// A trace nobody records, as daprd makes one where none came.
fn fresh_trace() -> String {
    let mut random = rand::rng();
    format!("00-{:032x}-{:016x}-00", random.random::<u128>(), random.random::<u64>())
}

#[cfg(test)]
mod tests;
