//! What goes out for a rendered request: URL and query, headers, and a body in its form. Secrets are put in here, at their
//! places, and nothing that can't be sent gets as far as a connection.

use super::{
    Request,
    charset::Charset,
    content_type::ContentType,
    multipart::{self, Part},
    owned,
};
use crate::{CallError, secret::Used};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use callboard_core::{
    request::{self, Form, each_value},
    secret::Place,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::Value;
use std::{collections::BTreeMap, io::Write};
use url::{Url, form_urlencoded::byte_serialize};
use zeroize::Zeroizing;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";
const BYTES: &str = "application/octet-stream";
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Where the secrets of a request stand, by text.
struct Revealed<'a> {
    used: &'a Used,
    places: BTreeMap<&'a str, Vec<&'a Place>>,
}

/// Bytes of a body, and the type they have unless the definition says another.
struct Body {
    bytes: Bytes,
    content_type: Option<String>,
}

/// Makes the request, but for what belongs to the call.
pub(super) fn request(
    rendered: &request::Request,
    places: &[Place],
    used: &Used,
    idempotency_key: &str,
) -> Result<Request, CallError> {
    let mut by_text: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    places.iter().for_each(|place| by_text.entry(&place.at).or_default().push(place));
    let revealed = Revealed { used, places: by_text };
    let url = url(rendered, &revealed)?;
    let mut headers = headers(rendered, &revealed)?;
    if !headers.contains_key(IDEMPOTENCY_KEY) {
        let value = Zeroizing::new(idempotency_key.to_owned());
        headers.insert(IDEMPOTENCY_KEY, header_value(IDEMPOTENCY_KEY.as_str(), value)?);
    }
    let body = body(rendered, &revealed, &headers, idempotency_key)?;
    if let Some(content_type) = &body.content_type {
        let value = Zeroizing::new(content_type.clone());
        headers.insert(header::CONTENT_TYPE, header_value("content-type", value)?);
    }
    let in_header = |place: &Place| place.at.starts_with("/headers/");
    Ok(Request {
        headers,
        body: body.bytes,
        confidential: !places.iter().all(in_header),
        ..Request::new(method(rendered.method), std::mem::take(&mut *{ url }))
    })
}

/// Returns the URL with the parameters behind those that stand in it.
fn url(rendered: &request::Request, revealed: &Revealed<'_>) -> Result<Zeroizing<String>, CallError> {
    let url = revealed.text(&rendered.url, "/url")?;
    if rendered.query.is_empty() {
        return Ok(url);
    }
    let mut parsed = Url::parse(&url).map_err(|_| invalid("this is not a URL"))?;
    let mut query = Zeroizing::new(parsed.query().unwrap_or_default().to_owned());
    for (name, value) in &rendered.query {
        each_value(value, &inside("/query", name), &mut |value, at| {
            let text = revealed.plain(value, at)?;
            if !query.is_empty() && !query.ends_with('&') {
                query.push('&');
            }
            // In the query of a URL a space is `%20` to everybody, and `+` to most.
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20");
            query.push_str(&encode(name));
            query.push('=');
            query.push_str(&Zeroizing::new(encode(&text)));
            Ok(())
        })?;
    }
    if !query.is_empty() {
        parsed.set_query(Some(&query));
    }
    Ok(Zeroizing::new(parsed.into()))
}

fn headers(rendered: &request::Request, revealed: &Revealed<'_>) -> Result<HeaderMap, CallError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &rendered.headers {
        let key: HeaderName =
            name.parse().map_err(|_| invalid(format!("{name:?} is not the name of a header")))?;
        each_value(value, &inside("/headers", name), &mut |value, at| {
            let mut value = header_value(name, revealed.plain(value, at)?)?;
            value.set_sensitive(revealed.places.contains_key(at));
            headers.append(key.clone(), value);
            Ok(())
        })?;
    }
    Ok(headers)
}

fn header_value(name: &str, value: Zeroizing<String>) -> Result<HeaderValue, CallError> {
    // The value is not shown: it may be a secret.
    HeaderValue::from_maybe_shared(owned(value)).map_err(|_| {
        invalid(format!(
            "the value of the header {name:?} has a line break or another sign that can't be sent"
        ))
    })
}

fn body(
    rendered: &request::Request,
    revealed: &Revealed<'_>,
    headers: &HeaderMap,
    seed: &str,
) -> Result<Body, CallError> {
    let own = headers.contains_key(header::CONTENT_TYPE);
    let usual = |kind: &str| (!own).then(|| kind.to_owned());
    let value = rendered.body.as_ref().unwrap_or(&Value::Null);
    match rendered.form {
        Form::Usual if value.is_null() => Ok(Body { bytes: Bytes::new(), content_type: None }),
        Form::Usual if !value.is_string() => json(value, revealed, usual(JSON)),
        Form::Usual | Form::Text => {
            let text = revealed.plain(value, "/body")?;
            let content_type = usual(TEXT).filter(|_| !text.is_empty());
            Ok(Body { bytes: written(text, headers)?, content_type })
        }
        Form::Json => json(value, revealed, usual(JSON)),
        Form::Form => {
            let mut form = Zeroizing::new(String::new());
            each_field(value, |name, value, at| {
                let text = revealed.plain(value, at)?;
                if !form.is_empty() {
                    form.push('&');
                }
                form.extend(byte_serialize(name.as_bytes()));
                form.push('=');
                form.extend(byte_serialize(text.as_bytes()));
                Ok(())
            })?;
            Ok(Body { bytes: owned(form), content_type: usual(FORM) })
        }
        Form::Multipart => {
            let mut parts = Vec::new();
            each_field(value, |name, value, at| {
                parts.push(part(name, value, at, revealed)?);
                Ok(())
            })?;
            let (bytes, boundary) = multipart::write(&parts, seed);
            let kind = match headers.get(header::CONTENT_TYPE) {
                None => "multipart/form-data".to_owned(),
                Some(own) => {
                    let own = own.to_str().unwrap_or_default();
                    if !own.to_ascii_lowercase().starts_with("multipart/") || own.contains("boundary") {
                        return Err(invalid(
                            "the content-type of a multipart body is `multipart/…` without a boundary, which is made \
                             for each call",
                        ));
                    }
                    own.trim_end_matches([' ', ';']).to_owned()
                }
            };
            let bytes = Bytes::from_owner(bytes);
            Ok(Body { bytes, content_type: Some(format!("{kind}; boundary={boundary}")) })
        }
        Form::Bytes if value.is_null() => Ok(Body { bytes: Bytes::new(), content_type: None }),
        Form::Bytes => {
            let (text, at, kind) = match request::file(value) {
                Some(request::File { content: request::Content::Base64(text), kind, .. }) => {
                    (text, "/body/base64", kind)
                }
                Some(_) | None => match value {
                    Value::String(text) => (text.as_str(), "/body", None),
                    _ => return Err(invalid("bytes: this is neither base64 nor an object with `base64`")),
                },
            };
            let bytes = decoded("bytes", &revealed.text(text, at)?)?;
            Ok(Body { bytes: Bytes::from_owner(bytes), content_type: usual(kind.unwrap_or(BYTES)) })
        }
    }
}

fn json(value: &Value, revealed: &Revealed<'_>, content_type: Option<String>) -> Result<Body, CallError> {
    let mut out = Zeroizing::new(Vec::with_capacity(revealed.size(value)));
    revealed.json(value, "/body", &mut out)?;
    Ok(Body { bytes: Bytes::from_owner(out), content_type })
}

/// Calls `f` with each field of a form, each item of a list by itself.
fn each_field(
    form: &Value,
    mut f: impl FnMut(&str, &Value, &str) -> Result<(), CallError>,
) -> Result<(), CallError> {
    let fields = match form {
        Value::Object(fields) => fields,
        Value::Null => return Ok(()),
        _ => return Err(invalid("a form is an object of fields")),
    };
    fields.iter().try_for_each(|(name, value)| {
        each_value(value, &inside("/body", name), &mut |value, at| f(name, value, at))
    })
}

fn part(name: &str, value: &Value, at: &str, revealed: &Revealed<'_>) -> Result<Part, CallError> {
    let Some(file) = request::file(value) else {
        let content = revealed.plain(value, at)?;
        let kind = (value.is_object() || value.is_array()).then(|| JSON.to_owned());
        let content = Zeroizing::new({ content }.as_bytes().to_vec());
        return Ok(Part { name: name.to_owned(), file: None, kind, content });
    };
    let (content, kind) = match file.content {
        request::Content::Base64(text) => {
            (decoded(name, &revealed.text(text, &inside(at, "base64"))?)?, BYTES)
        }
        request::Content::Text(text) => {
            let text = revealed.text(text, &inside(at, "text"))?;
            (Zeroizing::new(text.as_bytes().to_vec()), TEXT)
        }
    };
    let kind = file.kind.unwrap_or(kind);
    if kind.contains(|c: char| c.is_control()) {
        return Err(invalid(format!("{name}: its type has a line break or another sign that can't be sent")));
    }
    Ok(Part {
        name: name.to_owned(),
        file: Some(file.name.unwrap_or(name).to_owned()),
        kind: Some(kind.to_owned()),
        content,
    })
}

/// Reads base64 of either alphabet, with or without its padding, and with the line ends that mails have.
fn decoded(what: &str, text: &str) -> Result<Zeroizing<Vec<u8>>, CallError> {
    let plain: Zeroizing<Vec<u8>> =
        Zeroizing::new(text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    let engine = if plain.iter().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
    let bytes = engine.decode(&*plain).map_err(|e| invalid(format!("{what}: this is not base64: {e}")))?;
    Ok(Zeroizing::new(bytes))
}

/// Writes a text in the charset that the definition's own content type names.
fn written(text: Zeroizing<String>, headers: &HeaderMap) -> Result<Bytes, CallError> {
    let Some(label) = ContentType::of(headers).charset else { return Ok(owned(text)) };
    let Some(charset) = Charset::of(&label) else {
        return Err(invalid(format!("the content-type names the charset {label:?}, which is not known")));
    };
    if charset.name() == "UTF-8" {
        return Ok(owned(text));
    }
    match charset.write(&text) {
        Ok(bytes) => Ok(Bytes::from_owner(Zeroizing::new(bytes))),
        Err(c) => Err(invalid(format!("the body has {c:?}, which {} does not have", charset.name()))),
    }
}

// === impl Revealed ===

impl Revealed<'_> {
    fn text(&self, text: &str, at: &str) -> Result<Zeroizing<String>, CallError> {
        self.used.reveal(text, self.places.get(at).map_or(&[], Vec::as_slice))
    }

    /// Returns a value as it stands in a header, query or body: a text as it is, any other as JSON.
    fn plain(&self, value: &Value, at: &str) -> Result<Zeroizing<String>, CallError> {
        match value {
            Value::String(text) => self.text(text, at),
            Value::Null => Ok(Zeroizing::new(String::new())),
            value => {
                let mut out = Zeroizing::new(Vec::with_capacity(self.size(value)));
                self.json(value, at, &mut out)?;
                let text = String::from_utf8(std::mem::take(&mut *out));
                text.map(Zeroizing::new)
                    .map_err(|_| CallError::permanent("http_invalid_request", "the request is not a text"))
            }
        }
    }

    /// Bytes that are enough for a value as JSON, so that no copy is left where it grew.
    fn size(&self, value: &Value) -> usize {
        let secrets: usize = self.places.values().flatten().count();
        callboard_core::value::json_len(value) * 2 + secrets * (16 << 10)
    }

    fn json(&self, value: &Value, at: &str, out: &mut Zeroizing<Vec<u8>>) -> Result<(), CallError> {
        let unwritable = |_| CallError::permanent("http_invalid_request", "the request can't be written");
        match value {
            Value::String(text) => {
                let text = self.text(text, at)?;
                serde_json::to_writer(&mut **out, &*text).map_err(unwritable)?;
            }
            Value::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    self.json(item, &format!("{at}/{i}"), out)?;
                }
                out.push(b']');
            }
            Value::Object(fields) => {
                out.push(b'{');
                for (i, (key, item)) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    serde_json::to_writer(&mut **out, key).map_err(unwritable)?;
                    out.push(b':');
                    self.json(item, &inside(at, key), out)?;
                }
                out.push(b'}');
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                // Writing to a buffer does not fail.
                let _ = write!(&mut **out, "{value}");
            }
        }
        Ok(())
    }
}

/// Extends a JSON pointer by a key.
fn inside(at: &str, key: &str) -> String {
    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn invalid(message: impl Into<String>) -> CallError {
    CallError::permanent("http_invalid_request", message)
}

fn method(method: request::Method) -> Method {
    match method {
        request::Method::Get => Method::GET,
        request::Method::Head => Method::HEAD,
        request::Method::Post => Method::POST,
        request::Method::Put => Method::PUT,
        request::Method::Patch => Method::PATCH,
        request::Method::Delete => Method::DELETE,
    }
}
