//! Performs one rendered HTTP configuration: a node's, or a tool's.
//!
//! The output is `{status, headers, body}`; a status that does not count as success is an error.

use super::{Guarded, Request, Response, errors};
use crate::{
    CallError, failed,
    secret::{self, Secrets, Used},
};
use bytes::Bytes;
use callboard_core::{
    Span,
    workflow::definition::{HttpMethod, HttpNode},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, time::Duration};
use url::Url;
use zeroize::Zeroizing;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A configuration whose templates are rendered, and what belongs to this call.
pub struct Call<'a> {
    pub node: &'a HttpNode,
    /// Secrets that the definition itself names. A reference that came in through data stays text.
    pub allowed: BTreeSet<String>,
    /// Stable over repetitions of the same attempt.
    pub idempotency_key: &'a str,
    pub timeout: Option<Span>,
}

/// Returns the names of the secrets that a configuration refers to. Ask the definition, not what was rendered from
/// it: data must not be able to name secrets.
pub fn references(node: &HttpNode) -> BTreeSet<String> {
    let mut names = secret::references(&node.url);
    let maps = [&node.headers, &node.query];
    let values = maps.into_iter().flat_map(|map| map.values()).chain(&node.body);
    values.for_each(|value| collect(value, &mut names));
    names
}

/// Makes the call and returns its output, scrubbed of every secret it used.
pub async fn perform(guarded: &Guarded, secrets: &dyn Secrets, call: Call<'_>) -> Result<Value, CallError> {
    let mut names = references(call.node);
    names.retain(|name| call.allowed.contains(name));
    let used = Used::fetch(names, secrets).await?;
    let scrub = used.scrub();
    let result = async {
        let response = guarded.call(request(&call, &used)?).await?;
        expect(call.node, &response)?;
        Ok(output(&response))
    };
    match result.await {
        Ok(mut output) => {
            scrub.value(&mut output);
            Ok(output)
        }
        Err(mut error) => {
            scrub.error(&mut error);
            Err(error)
        }
    }
}

fn request(call: &Call<'_>, used: &Used) -> Result<Request, CallError> {
    let node = call.node;
    let mut confidential = holds_secret(&node.url);
    let mut url = Zeroizing::new(used.reveal(&node.url).to_string());
    if !node.query.is_empty() {
        let mut parsed =
            Url::parse(&url).map_err(|_| failed("http_invalid_request", "this is not a URL", false))?;
        for (name, value) in &node.query {
            let text = text(value);
            confidential |= holds_secret(&text);
            parsed.query_pairs_mut().append_pair(name, &used.reveal(&text));
        }
        url = Zeroizing::new(parsed.into());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &node.headers {
        let text = text(value);
        let (name, mut value) = header(name, &used.reveal(&text))?;
        value.set_sensitive(holds_secret(&text));
        headers.append(name, value);
    }
    let body = match &node.body {
        None | Some(Value::Null) => Bytes::new(),
        Some(Value::String(text)) => {
            confidential |= holds_secret(text);
            Bytes::copy_from_slice(used.reveal(text).as_bytes())
        }
        Some(value) => {
            headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            let mut value = value.clone();
            confidential |= reveal(&mut value, used);
            Bytes::from(value.to_string())
        }
    };
    if !headers.contains_key(IDEMPOTENCY_KEY) {
        let (name, value) = header(IDEMPOTENCY_KEY.as_str(), call.idempotency_key)?;
        headers.insert(name, value);
    }
    Ok(Request {
        method: method(node.method),
        url: url.to_string(),
        headers,
        body,
        confidential: confidential && !used.is_empty(),
        timeout: call.timeout.map(|span| Duration::from_millis(span.0)),
    })
}

/// Puts secrets into every text of a value; tells whether there were any.
fn reveal(value: &mut Value, used: &Used) -> bool {
    match value {
        Value::String(text) => {
            let found = holds_secret(text);
            if found {
                *text = used.reveal(text).to_string();
            }
            found
        }
        Value::Array(items) => items.iter_mut().fold(false, |found, item| reveal(item, used) | found),
        Value::Object(fields) => fields.values_mut().fold(false, |found, item| reveal(item, used) | found),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => names.extend(secret::references(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(fields) => fields.values().for_each(|item| collect(item, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn holds_secret(text: &str) -> bool {
    !secret::references(text).is_empty()
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), CallError> {
    let invalid = || failed("http_invalid_request", format!("header {name:?} can't be sent"), false);
    Ok((name.parse().map_err(|_| invalid())?, HeaderValue::from_str(value).map_err(|_| invalid())?))
}

/// Returns a value as it stands in a header or query.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn method(method: HttpMethod) -> Method {
    match method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
        HttpMethod::Post => Method::POST,
        HttpMethod::Put => Method::PUT,
        HttpMethod::Patch => Method::PATCH,
        HttpMethod::Delete => Method::DELETE,
    }
}

fn expect(node: &HttpNode, response: &Response) -> Result<(), CallError> {
    let status = response.status;
    let expected =
        if node.expect.is_empty() { (200..300).contains(&status) } else { node.expect.contains(&status) };
    if expected {
        return Ok(());
    }
    let mut error =
        failed("http_status", format!("the answer has status {status}"), errors::may_heal(status));
    error.retry_after = errors::retry_after(&response.headers);
    Err(error)
}

/// Returns the answer as data: JSON where the answer says so, else text.
pub fn output(response: &Response) -> Value {
    let mut headers = Map::new();
    for name in response.headers.keys() {
        let values: Vec<_> = response
            .headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        headers.insert(name.as_str().to_owned(), Value::from(values.join(", ")));
    }
    let json = response
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_json)
        .then(|| serde_json::from_slice(&response.body).ok())
        .flatten();
    let body = json.unwrap_or_else(|| match response.body.is_empty() {
        true => Value::Null,
        false => Value::from(String::from_utf8_lossy(&response.body).into_owned()),
    });
    json!({"status": response.status, "headers": headers, "body": body})
}

/// Tells whether a content type is JSON: `application/json` or `…+json`.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}
