//! CloudEvents as publishers and brokers write them: in JSON, in headers, in batches, wrapped once more by a sidecar that was
//! not told what they are, with data in any of its forms.
//!
//! Whatever can be understood in one way only is; the rest is refused, with a code for programs and a sentence for people.

use axum::http::{HeaderMap, header};
use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use callboard_core::json;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// An event's id, source and type, in bytes.
pub const NAME: usize = 1024;
/// How often an event may be wrapped in another.
const WRAPPED: usize = 3;
/// How often data may be a text that holds JSON.
const QUOTED: usize = 3;
/// The type by which a sidecar wraps what it was not told to be an event.
const SENT: &str = "com.dapr.event.sent";
/// The type of what a bulk subscription delivers.
const BULK: &str = "com.dapr.event.sent.bulk";

const PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: [GeneralPurpose; 2] =
    [GeneralPurpose::new(&STANDARD, PADDING), GeneralPurpose::new(&URL_SAFE, PADDING)];

/// An event that asks something of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: String,
    pub source: String,
    pub kind: String,
    pub trace: Option<String>,
    pub data: Map<String, Value>,
}

/// Why something is not done, for whoever reads what was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub code: Cow<'static, str>,
    pub detail: String,
}

/// A message, and what it is.
#[derive(Debug)]
pub struct Message {
    /// As it came, as far as it can be told from others.
    pub original: Bytes,
    pub event: Result<Event, Refused>,
}

/// What came with one request.
#[derive(Debug)]
pub enum Messages {
    One(Message),
    /// Several that are answered as one.
    Batch(Vec<Message>),
    /// Several that are each answered, by the id of the entry.
    Bulk(Vec<(String, Message)>),
}

/// What can be wrong with an event. `docs/api.md` has the list.
#[cfg(test)]
const CODES: [&str; 16] = [
    NOT_JSON,
    NOT_AN_EVENT,
    UNSUPPORTED_FORMAT,
    UNSUPPORTED_CHARSET,
    UNSUPPORTED_VERSION,
    MISSING_ATTRIBUTE,
    INVALID_ATTRIBUTE,
    WRAPPED_TOO_DEEP,
    TWO_DATA,
    NO_DATA,
    INVALID_BASE64,
    DATA_NOT_JSON,
    DATA_NOT_AN_OBJECT,
    UNKNOWN_TYPE,
    MISSING_RUN_ID,
    TOO_MANY_EARLY,
];

const NOT_JSON: &str = "event_not_json";
const NOT_AN_EVENT: &str = "not_an_event";
const UNSUPPORTED_FORMAT: &str = "unsupported_event_format";
const UNSUPPORTED_CHARSET: &str = "unsupported_charset";
const UNSUPPORTED_VERSION: &str = "unsupported_specversion";
const MISSING_ATTRIBUTE: &str = "missing_attribute";
const INVALID_ATTRIBUTE: &str = "invalid_attribute";
const WRAPPED_TOO_DEEP: &str = "wrapped_too_deep";
const TWO_DATA: &str = "two_data";
const NO_DATA: &str = "no_data";
const INVALID_BASE64: &str = "invalid_base64";
const DATA_NOT_JSON: &str = "data_not_json";
const DATA_NOT_AN_OBJECT: &str = "data_not_an_object";
pub const UNKNOWN_TYPE: &str = "unknown_event_type";
pub const MISSING_RUN_ID: &str = "missing_run_id";
pub const TOO_MANY_EARLY: &str = "too_many_early";

/// Reads what a sidecar, or whoever stands in for one, delivers.
pub fn read(headers: &HeaderMap, body: &Bytes) -> Messages {
    let kind = Media::of(text_of(headers, header::CONTENT_TYPE.as_str()).as_deref().unwrap_or_default());
    if !kind.is("application/cloudevents") && headers.contains_key("ce-specversion") {
        return Messages::One(binary(headers, &kind, body));
    }
    let one = |event| Messages::One(Message { original: body.clone(), event });
    if kind.is("application/cloudevents") && !kind.essence.ends_with("+json") {
        return one(refused(UNSUPPORTED_FORMAT, format!("{} is not read here: send JSON", kind.essence)));
    }
    if let Err(refused) = kind.is_utf8() {
        return one(Err(refused));
    }
    match json::read(body, &json::Limits::default()) {
        Ok(Value::Array(events)) => Messages::Batch(events.iter().map(message).collect()),
        Ok(Value::Object(bulk)) if is_bulk(&bulk) => Messages::Bulk(entries(&bulk)),
        Ok(event) => one(structured(&event, WRAPPED)),
        Err(error) => one(refused(NOT_JSON, format!("the message is not JSON: {error}"))),
    }
}

fn message(event: &Value) -> Message {
    Message { original: event.to_string().into(), event: structured(event, WRAPPED) }
}

fn is_bulk(event: &Map<String, Value>) -> bool {
    event.get("type").is_some_and(|kind| kind == BULK) && event.get("entries").is_some_and(Value::is_array)
}

/// Reads the entries of a bulk delivery. What was published raw is text in base64.
fn entries(bulk: &Map<String, Value>) -> Vec<(String, Message)> {
    let entries = bulk.get("entries").and_then(Value::as_array).into_iter().flatten();
    let read = entries.map(|entry| {
        let id = entry.get("entryId").and_then(Value::as_str).unwrap_or_default().to_owned();
        let event = entry.get("event").unwrap_or(&Value::Null);
        let bytes = event.as_str().and_then(|text| decode(text).ok());
        let inner = bytes.as_deref().and_then(|bytes| json::read(bytes, &json::Limits::default()).ok());
        (id, message(inner.as_ref().unwrap_or(event)))
    });
    read.collect()
}

/// Reads an event that is a JSON object; `depth` counts how often it may still be wrapped.
fn structured(event: &Value, depth: usize) -> Result<Event, Refused> {
    let Value::Object(event) = event else {
        return refused(NOT_AN_EVENT, format!("the message is {}, not an object", kind_of(event)));
    };
    // Many programs leave the version out; one that is another has other rules.
    if let Some(version) = attribute(event, "specversion")?.filter(|v| *v != "1.0" && !v.starts_with("1.0."))
    {
        let shown: String = version.chars().take(20).collect();
        return refused(UNSUPPORTED_VERSION, format!("specversion is \"1.0\" here, not {shown:?}"));
    }
    let media = Media::of(attribute(event, "datacontenttype")?.unwrap_or_default());
    let kind = named(event, "type")?;
    let data = data(event, &media);
    if kind == SENT {
        // A sidecar has wrapped it: what it holds may be an event by itself.
        let inner = data?;
        if !inner.contains_key("specversion") {
            return refused(
                UNKNOWN_TYPE,
                "the event has no type of its own: publish it as application/cloudevents+json, or with \
                 metadata.cloudevent.type",
            );
        }
        let Some(depth) = depth.checked_sub(1) else {
            return refused(WRAPPED_TOO_DEEP, format!("an event is wrapped {WRAPPED} times at most"));
        };
        let inner = structured(&Value::Object(inner), depth)?;
        return Ok(Event { trace: inner.trace.or_else(|| trace(event)), ..inner });
    }
    let source = attribute(event, "source")?.unwrap_or_default();
    Ok(Event {
        id: named(event, "id")?.to_owned(),
        source: bounded("source", source)?.to_owned(),
        kind: kind.to_owned(),
        trace: trace(event),
        data: data?,
    })
}

/// Reads an event whose attributes are headers and whose data is the body.
fn binary(headers: &HeaderMap, kind: &Media, body: &Bytes) -> Message {
    let mut event = Map::new();
    for name in headers.keys().filter_map(|name| name.as_str().strip_prefix("ce-")) {
        if let Some(value) = text_of(headers, &format!("ce-{name}")) {
            event.insert(name.to_owned(), unescaped(&value).into());
        }
    }
    if !kind.written.is_empty() {
        event.insert("datacontenttype".to_owned(), kind.written.clone().into());
    }
    if !body.is_empty() {
        event.insert("data_base64".to_owned(), BASE64[0].encode(body).into());
    }
    if let Some(trace) = text_of(headers, "traceparent") {
        event.entry("traceparent").or_insert(trace.into());
    }
    message(&Value::Object(event))
}

/// Returns an attribute, which is a text; null is none.
fn attribute<'e>(event: &'e Map<String, Value>, name: &str) -> Result<Option<&'e str>, Refused> {
    match event.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => refused(INVALID_ATTRIBUTE, format!("`{name}` is a text, not {}", kind_of(other))),
    }
}

/// Returns an attribute that every event has: without it a repeated one could not be told, or not be understood.
fn named<'e>(event: &'e Map<String, Value>, name: &'static str) -> Result<&'e str, Refused> {
    match attribute(event, name)? {
        None | Some("") => refused(MISSING_ATTRIBUTE, format!("the event has no `{name}`")),
        Some(text) => bounded(name, text),
    }
}

fn bounded<'e>(name: &str, text: &'e str) -> Result<&'e str, Refused> {
    if text.len() > NAME {
        return refused(INVALID_ATTRIBUTE, format!("`{name}` has {NAME} bytes at most, not {}", text.len()));
    }
    Ok(text)
}

fn trace(event: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| event.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    // What stands for it in events of Dapr's.
    text("traceparent").or_else(|| text("traceid")).map(str::to_owned)
}

/// Returns the data, which is an object, in whatever form it came.
fn data(event: &Map<String, Value>, media: &Media) -> Result<Map<String, Value>, Refused> {
    let given = |name: &str| event.get(name).filter(|value| !value.is_null());
    let mut value = match (given("data"), given("data_base64")) {
        (Some(_), Some(_)) => return refused(TWO_DATA, "an event has `data` or `data_base64`, not both"),
        (None, None) => return refused(NO_DATA, "the event has no data"),
        (Some(data), None) => data.clone(),
        (None, Some(Value::String(text))) => {
            let bytes = decode(text)?;
            media.is_utf8()?;
            parsed(&bytes)?
        }
        (None, Some(other)) => {
            return refused(INVALID_BASE64, format!("`data_base64` is a text, not {}", kind_of(other)));
        }
    };
    for _ in 0..QUOTED {
        match value {
            Value::Object(fields) => return Ok(fields),
            // Publishers that send JSON as text, and sidecars that are not told that it is JSON, put it into a string.
            Value::String(text) => value = parsed(text.as_bytes())?,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => break,
        }
    }
    match value {
        Value::Object(fields) => Ok(fields),
        other => refused(DATA_NOT_AN_OBJECT, format!("data is an object, not {}", kind_of(&other))),
    }
}

fn parsed(bytes: &[u8]) -> Result<Value, Refused> {
    json::read(bytes, &json::Limits::default())
        .or_else(|error| refused(DATA_NOT_JSON, format!("data is not JSON: {error}")))
}

/// Decodes base64 of either alphabet, with or without padding; lines may be broken.
fn decode(text: &str) -> Result<Vec<u8>, Refused> {
    let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let mut tried = BASE64.iter().map(|engine| engine.decode(&text));
    match (tried.next(), tried.next()) {
        (Some(Ok(bytes)), _) | (_, Some(Ok(bytes))) => Ok(bytes),
        (Some(Err(error)), _) => refused(INVALID_BASE64, format!("`data_base64` can't be decoded: {error}")),
        (None, _) => refused(INVALID_BASE64, "`data_base64` can't be decoded"),
    }
}

/// A media type, as far as it matters.
struct Media {
    written: String,
    /// Without parameters, in lower case.
    essence: String,
    charset: Option<String>,
}

impl Media {
    fn of(text: &str) -> Self {
        let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
        let essence = parts.next().unwrap_or_default();
        let charset =
            parts.find_map(|part| Some(part.strip_prefix("charset=")?.trim_matches(['"', ' ']).to_owned()));
        Self { written: text.to_owned(), essence, charset }
    }

    /// Whether it is this type, in whatever format; also as a batch.
    fn is(&self, name: &str) -> bool {
        self.essence.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', '-']))
    }

    fn is_utf8(&self) -> Result<(), Refused> {
        match self.charset.as_deref() {
            None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
            Some(other) => {
                let shown: String = other.chars().take(20).collect();
                refused(UNSUPPORTED_CHARSET, format!("JSON is UTF-8, not {shown}"))
            }
        }
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    // Values beyond ASCII are escaped; what is not is read as UTF-8 all the same.
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).trim().to_owned())
}

/// Undoes the escapes of an attribute in a header: `%20` is a blank.
fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%')
            .then(|| std::str::from_utf8(after.get(..2)?).ok())
            .flatten()
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn refused<T>(code: &'static str, detail: impl Into<String>) -> Result<T, Refused> {
    Err(Refused { code: code.into(), detail: detail.into() })
}

#[cfg(test)]
mod tests;
