//! Any endpoint that speaks OpenAI's chat completions.
//!
//! The request is async-openai's type. The answer is read here and not by its client, because that one retries by
//! itself, buffers without a limit, drops `Retry-After`, and refuses answers of compatible servers that leave out
//! fields nobody needs. Redirects are not followed: they would take the key elsewhere.

mod reading;
mod stream;
mod wire;

use super::{ChatModel, OnDelta, Place, Provider, Said, invalid, scrubbed};
use crate::{
    CallError,
    http::{self as client, errors},
    secret::{Scrub, Secret},
};
use ::http::{HeaderValue, header};
use async_trait::async_trait;
use callboard_core::agent::message::{ModelReply, ModelRequest};
use std::{sync::Arc, time::Duration};
use tokio::sync::Semaphore;
use url::Url;
use zeroize::Zeroizing;

/// For a whole call: long answers of large models take minutes.
const TOTAL: Duration = Duration::from_secs(600);
/// Between two pieces of an answer.
const SILENCE: Duration = Duration::from_secs(120);
const PARALLEL: u32 = 64;
/// Of an answer that is an error, in bytes.
const ERROR_BODY: usize = 64 << 10;
/// A million tokens of text. Many calls are under way at once, and each may be answered with that much.
const ANSWER: usize = 4 << 20;

/// One provider.
pub struct OpenAi {
    client: reqwest::Client,
    url: Url,
    /// `Bearer …`, marked as sensitive.
    authorization: Option<HeaderValue>,
    scrub: Scrub,
    timeout: Duration,
    slots: Arc<Semaphore>,
}

// === impl OpenAi ===

impl OpenAi {
    pub fn new(provider: &Provider) -> Result<Self, CallError> {
        let wrong = |message: &str| CallError::permanent("provider_invalid", message);
        let base = provider.base_url.trim().trim_end_matches('/');
        let url = Url::parse(&format!("{base}/chat/completions"))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| wrong("the base URL is not an http or https URL"))?;
        let key = provider.api_key.as_deref().map(str::trim).filter(|key| !key.is_empty());
        let authorization = key
            .map(|key| HeaderValue::from_maybe_shared(client::owned(Zeroizing::new(format!("Bearer {key}")))))
            .transpose()
            .map_err(|_| wrong("the API key can't stand in a header"))?
            .map(|mut value| {
                value.set_sensitive(true);
                value
            });
        Ok(Self {
            client: client::build(|| client::plain().read_timeout(SILENCE))?,
            url,
            authorization,
            scrub: Scrub::new(&key.map(Secret::new)),
            timeout: provider.timeout.map_or(TOTAL, |span| Duration::from_millis(span.0)),
            slots: Arc::new(Semaphore::new(provider.parallel.unwrap_or(PARALLEL).max(1) as usize)),
        })
    }

    async fn exchange(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let body = serde_json::to_vec(&wire::request(request, on_delta.is_some())).map_err(|e| {
            CallError::permanent("model_rejected", format!("the request can't be written: {e}"))
        })?;
        let key = HeaderValue::from_str(&request.idempotency_key).map_err(|_| {
            CallError::permanent("model_rejected", "the idempotency key can't stand in a header")
        })?;
        let mut call = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, if on_delta.is_some() { "text/event-stream" } else { "application/json" })
            .header("idempotency-key", key)
            .body(body);
        if let Some(value) = &self.authorization {
            call = call.header(header::AUTHORIZATION, value.clone());
        }
        let response = call.send().await.map_err(|e| self.unreachable(&e))?;
        client::body::check_headers(response.headers()).map_err(of_model)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let kind =
            response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        // A server that can't stream answers as a whole.
        if kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream") {
            return stream::read(response, request, on_delta).await;
        }
        if !client::node::is_json(kind) {
            return Err(invalid("the answer is neither JSON nor an event stream", true));
        }
        let body = client::body::read(response, ANSWER).await.map_err(of_model)?;
        let reply = reading::whole(&body, request)?;
        if let Some(on_delta) = on_delta
            && !reply.text.is_empty()
        {
            on_delta(&reply.text);
        }
        Ok(reply)
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        of_model(errors::request(error, &self.url))
    }
}

#[async_trait]
impl ChatModel for OpenAi {
    async fn place(&self) -> Place {
        // It is never closed.
        Place { _held: Arc::clone(&self.slots).acquire_owned().await.ok() }
    }

    async fn call(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let late = || CallError::transient("model_timeout", "the model did not answer in time");
        // Some providers repeat the key, in what they refuse and in what they answer.
        let said = on_delta.map(|to| Said::new(&self.scrub, to));
        let listen = |text: &str| said.iter().for_each(|said| said.add(text));
        let exchange = self.exchange(request, said.as_ref().map(|_| &listen as _));
        let reply = tokio::time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| Err(late()));
        scrubbed(reply, &self.scrub, said.as_ref())
    }
}

/// Reads why the provider refused.
async fn refusal(response: reqwest::Response) -> CallError {
    let status = response.status().as_u16();
    let retry_after = errors::retry_after(response.headers());
    let body = client::body::read(response, ERROR_BODY).await.unwrap_or_default();
    let (message, code) = reading::refusal(&body);
    let message = format!("the provider answered {status}{message}");
    let (kind, retryable) = match status {
        // A used-up account does not fill itself.
        429 if code == "insufficient_quota" => ("model_rejected", false),
        429 => ("model_rate_limited", true),
        _ if errors::may_heal(status) => ("model_unavailable", true),
        _ => ("model_rejected", false),
    };
    let retry_after = retry_after.filter(|_| retryable);
    CallError { retryable, retry_after, ..CallError::permanent(kind, message) }
}

/// Turns a failure of the transport into one of a model.
fn of_model(error: CallError) -> CallError {
    let code = match error.code.as_str() {
        "http_timeout" => "model_timeout",
        "http_connect" | "http_broken" => "model_unavailable",
        "http_too_large" | "http_invalid_response" => "model_invalid_response",
        _ => "model_rejected",
    };
    CallError { code: code.to_owned(), ..error }
}
