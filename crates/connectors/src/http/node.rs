//! Performs one rendered HTTP configuration: a node's, or a tool's.
//!
//! The output is `{status, headers, body}`; a status that does not count as success is an error.

use super::{Allowed, Guarded, Held, Request, Response, errors, owned};
use crate::{
    CallError,
    secret::{self, Hosts, Scrub, Secrets, Used},
};
use bytes::Bytes;
use callboard_core::{
    Span, json,
    request::{self, Template, is_host_fixed},
    secret::Place,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    time::Duration,
};
use url::Url;
use zeroize::Zeroizing;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Smaller answers are read and scrubbed where they come in; others keep a thread busy for a while.
const AT_ONCE: usize = 64 << 10;

/// A rendered request, and what belongs to this call.
pub struct Call<'a> {
    /// What it was rendered from.
    pub node: &'a Template,
    pub request: &'a request::Request,
    /// Secrets of the run, beside the call's own: their values are taken out of the answer, too.
    pub secrets: &'a BTreeSet<String>,
    /// Stable over repetitions of the same attempt.
    pub idempotency_key: &'a str,
    pub timeout: Option<Span>,
}

/// A call's output, and its places in memory until it is recorded.
pub struct Answer {
    pub output: Value,
    pub held: Held,
}

/// Makes the call and returns its output, scrubbed of every secret of the run.
pub async fn perform(guarded: &Guarded, secrets: &dyn Secrets, call: Call<'_>) -> Result<Answer, CallError> {
    let places = call.request.places(call.node).map_err(|ambiguous| {
        let message = format!(
            "{}: an earlier version recorded this request, and it can't be told which of its references to secrets are \
             the definition's own; rerun the step",
            ambiguous.at
        );
        CallError::permanent("secret_ambiguous", message)
    })?;
    let own = request::references(call.node);
    let names: BTreeSet<&str> = places.iter().map(|place| &*place.name).collect();
    if let Some(name) = names.iter().find(|name| !own.contains(**name)) {
        let message = format!("the request names the secret {name}, which its definition does not");
        return Err(CallError::permanent("http_invalid_request", message));
    }
    let allowed = allowed(&names, secrets.hosts(), is_host_fixed(&call.node.url))?;
    let used = Used::fetch(&names, secrets).await?;
    let all = call.secrets.iter().cloned().chain(own).collect();
    let scrub = secret::scrub(&all, secrets).await?;
    let result = async {
        let mut response = guarded.call(build(&call, &places, &used, allowed)?).await?;
        expect(call.node, &response)?;
        let mut held = std::mem::take(&mut response.held);
        if is_json_answer(&response) {
            guarded.room().values(&mut held, most_values(&response.body)).await?;
        }
        let output = if response.body.len() <= AT_ONCE {
            output(&response, &scrub)?
        } else {
            let scrub = scrub.clone();
            let reading = tokio::task::spawn_blocking(move || output(&response, &scrub));
            reading
                .await
                .map_err(|_| CallError::transient("http_broken", "the answer could not be read"))??
        };
        Ok(Answer { output, held })
    };
    result.await.map_err(|mut error| {
        scrub.error(&mut error);
        error
    })
}

/// Returns what says where a request with these secrets may go. Those that do not say it themselves go where the
/// definition says; where data chooses the host, they go nowhere.
fn allowed(names: &BTreeSet<&str>, hosts: &Hosts, fixed: bool) -> Result<Option<Allowed>, CallError> {
    if names.is_empty() {
        return Ok(None);
    }
    let bound = hosts.bound();
    if let Some(name) = names.iter().find(|name| !fixed && !bound.contains(**name)) {
        let message = format!(
            "data chooses the host, and the secret {name} does not say where it may go (secrets.hosts.{name})"
        );
        return Err(CallError::permanent("secret_forbidden_host", message));
    }
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let hosts = hosts.clone();
    Ok(Some(Box::new(move |url| match names.iter().find(|name| hosts.allows(name, url) == Some(false)) {
        Some(name) => {
            let host = url.host_str().unwrap_or_default();
            let message = format!("the secret {name} may not go to {host} (secrets.hosts.{name})");
            Err(CallError::permanent("secret_forbidden_host", message))
        }
        None => Ok(()),
    })))
}

/// Where the secrets of a request stand, by text.
struct Revealed<'a> {
    used: &'a Used,
    places: BTreeMap<&'a str, Vec<&'a Place>>,
}

fn build(
    call: &Call<'_>,
    places: &[Place],
    used: &Used,
    allowed: Option<Allowed>,
) -> Result<Request, CallError> {
    let rendered = call.request;
    let mut by_text: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    places.iter().for_each(|place| by_text.entry(&place.at).or_default().push(place));
    let revealed = Revealed { used, places: by_text };
    let mut url = revealed.text(&rendered.url, "/url")?;
    if !rendered.query.is_empty() {
        let mut parsed = Url::parse(&url)
            .map_err(|_| CallError::permanent("http_invalid_request", "this is not a URL"))?;
        for (name, value) in &rendered.query {
            let text = revealed.plain(value, &inside("/query", name))?;
            parsed.query_pairs_mut().append_pair(name, &text);
        }
        url = Zeroizing::new(parsed.into());
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &rendered.headers {
        let at = inside("/headers", name);
        let (name, mut value) = header(name, revealed.plain(value, &at)?)?;
        value.set_sensitive(revealed.places.contains_key(&*at));
        headers.append(name, value);
    }
    let body = match &rendered.body {
        None | Some(Value::Null) => Bytes::new(),
        Some(value) => {
            if !value.is_string() {
                headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
            }
            owned(revealed.plain(value, "/body")?)
        }
    };
    if !headers.contains_key(IDEMPOTENCY_KEY) {
        let (name, value) =
            header(IDEMPOTENCY_KEY.as_str(), Zeroizing::new(call.idempotency_key.to_owned()))?;
        headers.insert(name, value);
    }
    let in_header = |place: &Place| place.at.starts_with("/headers/");
    Ok(Request {
        method: method(rendered.method),
        url,
        headers,
        body,
        confidential: !places.iter().all(in_header),
        timeout: call.timeout.map(|span| Duration::from_millis(span.0)),
        max_body: call.node.max_body,
        allowed,
    })
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
                let secrets: usize = self.places.values().flatten().count();
                // Large enough from the start, so that no copy is left where it grew.
                let size = callboard_core::value::json_len(value) * 2 + secrets * (16 << 10);
                let mut out = Zeroizing::new(Vec::with_capacity(size));
                self.json(value, at, &mut out)?;
                let text = String::from_utf8(std::mem::take(&mut *out));
                text.map(Zeroizing::new)
                    .map_err(|_| CallError::permanent("http_invalid_request", "the request is not a text"))
            }
        }
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

fn header(name: &str, value: Zeroizing<String>) -> Result<(HeaderName, HeaderValue), CallError> {
    let invalid = || CallError::permanent("http_invalid_request", format!("header {name:?} can't be sent"));
    let value = HeaderValue::from_maybe_shared(owned(value)).map_err(|_| invalid())?;
    Ok((name.parse().map_err(|_| invalid())?, value))
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

fn expect(node: &Template, response: &Response) -> Result<(), CallError> {
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

/// Returns the answer as data: JSON where the answer says so, else text. What is no JSON is scrubbed before it is
/// decoded, since a value may stand there in another character set.
pub fn output(response: &Response, scrub: &Scrub) -> Result<Value, CallError> {
    let mut headers = Map::new();
    for name in response.headers.keys() {
        let values = response.headers.get_all(name).iter();
        let values: Vec<_> = values.map(|value| text(scrub, value.as_bytes())).collect();
        let mut name = name.as_str().to_owned();
        scrub.text(&mut name);
        headers.insert(name, Value::from(values.join(", ")));
    }
    let json = match is_json_answer(response).then(|| json::read(&response.body, &json::Limits::default())) {
        Some(Err(error @ json::Error::TooMany(_))) => {
            return Err(CallError::permanent("http_too_large", format!("the body: {error}")));
        }
        Some(Ok(mut value)) => {
            scrub.value(&mut value);
            Some(value)
        }
        Some(Err(json::Error::TooDeep(_) | json::Error::Syntax { .. })) | None => None,
    };
    let body = json.unwrap_or_else(|| match response.body.is_empty() {
        true => Value::Null,
        false => Value::from(text(scrub, &response.body)),
    });
    Ok(json!({"status": response.status, "headers": headers, "body": body}))
}

fn text(scrub: &Scrub, bytes: &[u8]) -> String {
    String::from_utf8_lossy(&scrub.bytes(bytes)).into_owned()
}

/// Returns how many values a JSON text has at most: each but the first comes after one of these signs.
fn most_values(body: &[u8]) -> usize {
    let signs = body.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    (signs + 1).min(json::VALUES + 1)
}

fn is_json_answer(response: &Response) -> bool {
    let content_type = response.headers.get(header::CONTENT_TYPE);
    content_type.and_then(|value| value.to_str().ok()).is_some_and(is_json)
}

/// Tells whether a content type is JSON: `application/json` or `…+json`.
pub(crate) fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}
