//! An answer as data: JSON, text, or bytes in base64, as its type says or the definition wants it.
//!
//! Nothing is lost without a sign. What is not what it says it is fails with a code of its own, and the failure carries
//! what came, as a failing status does.

use super::{
    BODY, Response,
    charset::{self, Undecodable},
    content_type::{ContentType, Kind, file_name, named_inside},
    errors,
};
use crate::{CallError, secret::Scrub};
use base64::{Engine, prelude::BASE64_STANDARD};
use callboard_core::{
    json,
    request::{self, As},
    value::VALUE_LIMIT,
};
use http::{HeaderMap, HeaderName, header};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// Of a body, what a failure carries.
pub(crate) const KEPT_BODY: usize = 64 << 10;
/// Values of JSON in it; with more it is told as text.
const KEPT_VALUES: usize = 5_000;
/// Headers that a failure carries, and bytes of each.
const KEPT_HEADERS: usize = 64;
const KEPT_HEADER: usize = 1024;
/// Bytes of the largest body that can be recorded in base64, beside its headers.
const LARGEST_BYTES: usize = (VALUE_LIMIT - (256 << 10)) / 4 * 3;
/// So begins the message about JSON that ends too early.
const CUT: &str = "EOF ";

/// Returns the output of a call, or why the answer does not count as one. Both are scrubbed.
pub(crate) fn output(
    node: &request::Template,
    response: &Response,
    scrub: &Scrub,
) -> Result<Value, CallError> {
    let read = expect(node, response).and_then(|()| {
        let body = body(response, scrub, &node.answer)?;
        Ok(json!({"status": response.status, "headers": headers(&response.headers, scrub), "body": body}))
    });
    read.map_err(|error| CallError { details: Some(Box::new(details(response, scrub))), ..error })
}

/// Tells whether the body of an answer is read as JSON.
pub(crate) fn is_json(node: &request::Template, response: &Response) -> bool {
    match node.answer.r#as {
        As::Json => true,
        As::Auto => ContentType::of(&response.headers).kind() == Kind::Json,
        As::Text | As::Bytes => false,
    }
}

fn expect(node: &request::Template, response: &Response) -> Result<(), CallError> {
    let status = response.status;
    let expected =
        if node.expect.is_empty() { (200..300).contains(&status) } else { node.expect.contains(&status) };
    if expected {
        return Ok(());
    }
    let (retryable, retry_after) = (errors::may_heal(status), errors::retry_after(&response.headers));
    let error = CallError::permanent("http_status", format!("the answer has status {status}"));
    Err(CallError { retryable, retry_after, ..error })
}

/// Reads the body. One of a failing status that the definition expects is often somebody else's page, so it need not be
/// what it says it is.
fn body(response: &Response, scrub: &Scrub, wanted: &request::Answer) -> Result<Value, CallError> {
    if response.body.is_empty() {
        return Ok(Value::Null);
    }
    let of = ContentType::of(&response.headers);
    let kind = match wanted.r#as {
        As::Auto => of.kind(),
        As::Json => Kind::Json,
        As::Text => Kind::Text,
        As::Bytes => Kind::Bytes,
    };
    let charset = wanted.charset.as_ref().or(of.charset.as_ref());
    let read = match kind {
        Kind::Json => as_json(&response.body, charset, scrub),
        Kind::Text => as_text(&response.body, charset, scrub),
        Kind::Markup => {
            let inside = if charset.is_none() { named_inside(&response.body) } else { None };
            as_text(&response.body, charset.or(inside.as_ref()), scrub)
        }
        Kind::Bytes => return as_bytes(response, scrub),
        Kind::Unknown if is_text(&response.body) => as_text(&response.body, None, scrub),
        Kind::Unknown => return as_bytes(response, scrub),
    };
    match read {
        Err(Unread(error)) if response.status >= 400 && error.code != "http_too_large" => {
            as_text(&response.body, charset, scrub)
                .or_else(|_| as_text(&response.body, None, scrub))
                .or_else(|_| as_bytes(response, scrub))
        }
        read => read.map_err(|Unread(error)| error),
    }
}

/// Why a body is not what it says it is.
struct Unread(CallError);

fn as_json(bytes: &[u8], charset: Option<&String>, scrub: &Scrub) -> Result<Value, Unread> {
    let text = decoded(bytes, charset, true, scrub)?;
    // Some servers end every answer with a line end, also one without a body.
    if text.trim_matches([' ', '\t', '\r', '\n']).is_empty() {
        return Ok(Value::Null);
    }
    let mut value = json::read(text.as_bytes(), &json::Limits::default()).map_err(|error| {
        Unread(match error {
            json::Error::TooMany(_) | json::Error::TooDeep(_) => {
                CallError::permanent("http_too_large", format!("the body: {error}"))
            }
            json::Error::Syntax { ref message, .. } => {
                let told = format!("the body is not JSON, as its type says: {error}");
                // The rest may come the next time.
                let is_cut = message.starts_with(CUT);
                CallError { retryable: is_cut, ..CallError::permanent("http_invalid_json", told) }
            }
        })
    })?;
    scrub.value(&mut value);
    Ok(value)
}

fn as_text(bytes: &[u8], charset: Option<&String>, scrub: &Scrub) -> Result<Value, Unread> {
    let mut text = decoded(bytes, charset, false, scrub)?.into_owned();
    scrub.text(&mut text);
    Ok(text.into())
}

/// Returns bytes such that they can be sent again: in base64, with their type and size.
fn as_bytes(response: &Response, scrub: &Scrub) -> Result<Value, CallError> {
    if response.body.len() > LARGEST_BYTES {
        let message =
            format!("a body of bytes is recorded in base64, and this one has more than {LARGEST_BYTES}");
        return Err(CallError::permanent("http_too_large", message));
    }
    let bytes = scrub.bytes(&response.body);
    Ok(file(response, scrub, &bytes, bytes.len()))
}

fn file(response: &Response, scrub: &Scrub, bytes: &[u8], size: usize) -> Value {
    let said = response.headers.get(header::CONTENT_TYPE).map(|value| text(scrub, value.as_bytes()));
    let said = said.filter(|said| said.len() < 256 && said.contains('/'));
    let mut file = json!({
        "base64": BASE64_STANDARD.encode(bytes),
        "type": said.unwrap_or_else(|| "application/octet-stream".to_owned()),
        "size": size,
    });
    if let Some(mut name) = file_name(&response.headers) {
        scrub.text(&mut name);
        file["name"] = name.into();
    }
    file
}

fn decoded<'t>(
    bytes: &'t [u8],
    charset: Option<&String>,
    is_json: bool,
    scrub: &Scrub,
) -> Result<Cow<'t, str>, Unread> {
    let charset = charset.map(String::as_str);
    let text = decode(bytes, charset, is_json, scrub).map_err(|undecodable| {
        let message = match &undecodable {
            Undecodable::Unknown(_) => format!("the body can't be decoded: {undecodable}"),
            Undecodable::At { .. } => undecodable.to_string(),
        };
        Unread(CallError::permanent("http_undecodable", message))
    })?;
    if text.len() > BODY {
        let message = format!("the body is larger than {BODY} bytes as UTF-8");
        return Err(Unread(CallError::permanent("http_too_large", message)));
    }
    Ok(text)
}

/// Decodes, and looks for secrets in the bytes where that fails: a value may stand there in another charset than the rest.
fn decode<'t>(
    bytes: &'t [u8],
    charset: Option<&str>,
    is_json: bool,
    scrub: &Scrub,
) -> Result<Cow<'t, str>, Undecodable> {
    charset::decode(bytes, charset, is_json).or_else(|undecodable| match scrub.bytes(bytes) {
        Cow::Owned(masked) => charset::decode(&masked, charset, is_json).map(|text| text.into_owned().into()),
        Cow::Borrowed(_) => Err(undecodable),
    })
}

/// Whether bytes of no known type are a text: UTF-8, or marked, without the signs that no text has.
fn is_text(bytes: &[u8]) -> bool {
    let is_plain =
        |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' | '\u{85}');
    charset::decode(bytes, None, false).is_ok_and(|text| text.chars().all(is_plain))
}

/// Returns the headers by name, several values of one name joined.
fn headers(headers: &HeaderMap, scrub: &Scrub) -> Map<String, Value> {
    let mut out = Map::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| text(scrub, value.as_bytes())).collect();
        let mut name = name.as_str().to_owned();
        scrub.text(&mut name);
        out.insert(name, Value::from(values.join(", ")));
    }
    out
}

/// A header as text: UTF-8, else byte by byte as the standard once had it.
fn text(scrub: &Scrub, bytes: &[u8]) -> String {
    let bytes = scrub.bytes(bytes);
    match std::str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::mem::decode_latin1(&bytes).into_owned(),
    }
}

/// Returns what a failure carries of the answer: enough to see why, and never more than its bounds.
fn details(response: &Response, scrub: &Scrub) -> Value {
    let mut kept = HeaderMap::new();
    // A cookie is the key to somebody's session, and no reason for a failure.
    let is_kept = |name: &HeaderName| *name != header::SET_COOKIE && name.as_str() != "set-cookie2";
    for (name, value) in response.headers.iter().filter(|(name, _)| is_kept(name)).take(KEPT_HEADERS) {
        kept.append(name, value.clone());
    }
    let mut headers = headers(&kept, scrub);
    for value in headers.values_mut() {
        if let Value::String(text) = value {
            text.truncate(text.floor_char_boundary(KEPT_HEADER));
        }
    }
    let (body, is_cut) = kept_body(response, scrub);
    let mut details = json!({"status": response.status, "headers": headers, "body": body});
    if is_cut {
        details["cut"] = true.into();
    }
    details
}

/// Returns the body, or its beginning, and whether it is that. It is scrubbed before it is cut.
fn kept_body(response: &Response, scrub: &Scrub) -> (Value, bool) {
    if response.body.is_empty() {
        return (Value::Null, false);
    }
    let of = ContentType::of(&response.headers);
    let charset = of.charset.as_deref();
    let is_bytes = of.kind() == Kind::Bytes || of.kind() == Kind::Unknown && !is_text(&response.body);
    let text = if is_bytes { None } else { decode(&response.body, charset, false, scrub).ok() };
    let Some(text) = text else {
        let bytes = scrub.bytes(&response.body);
        let kept = &bytes[..bytes.len().min(KEPT_BODY)];
        return (file(response, scrub, kept, bytes.len()), kept.len() < bytes.len());
    };
    let limits = json::Limits { values: KEPT_VALUES, ..json::Limits::default() };
    if of.kind() == Kind::Json
        && text.len() <= KEPT_BODY
        && let Ok(mut value) = json::read(text.as_bytes(), &limits)
    {
        scrub.value(&mut value);
        return (value, false);
    }
    let mut text = text.into_owned();
    scrub.text(&mut text);
    let end = text.floor_char_boundary(KEPT_BODY);
    let is_cut = end < text.len();
    text.truncate(end);
    (text.into(), is_cut)
}
