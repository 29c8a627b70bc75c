//! Performs one rendered HTTP configuration: a node's, or a tool's.
//!
//! What is sent is made by `build`. The output is `{status, headers, body}`; `answer` says what of a body is data, and what
//! is an error.

use super::{Allowed, Guarded, Held, answer, build};
use crate::{
    CallError,
    secret::{self, Hosts, Secrets, Used},
};
use callboard_core::{
    Span, json,
    request::{self, Template, is_host_fixed},
};
use serde_json::Value;
use std::collections::BTreeSet;

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

/// Returns whom a URL calls, host and port; the same for all that can't be read, which are not called.
pub fn host_of(url: &str) -> String {
    let url = url::Url::parse(url.trim()).ok();
    let host = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    host.map(|(host, port)| format!("{host}:{port}")).unwrap_or_default()
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
        let request = build::request(call.request, &places, &used, call.idempotency_key)?;
        let request = super::Request {
            timeout: call.timeout.map(|span| std::time::Duration::from_millis(span.0)),
            max_body: call.node.max_body,
            allowed,
            ..request
        };
        let mut response = guarded.call(request).await?;
        let mut held = std::mem::take(&mut response.held);
        if answer::is_json(call.node, &response) {
            guarded.room().values(&mut held, most_values(&response.body)).await?;
        }
        let output = if response.body.len() <= AT_ONCE {
            answer::output(call.node, &response, &scrub)?
        } else {
            let (node, scrub) = (call.node.clone(), scrub.clone());
            let reading = tokio::task::spawn_blocking(move || answer::output(&node, &response, &scrub));
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

/// Returns how many values a JSON text has at most: each but the first comes after one of these signs.
fn most_values(body: &[u8]) -> usize {
    let signs = body.iter().filter(|byte| matches!(byte, b',' | b':' | b'[' | b'{')).count();
    (signs + 1).min(json::VALUES + 1)
}
