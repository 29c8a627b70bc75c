//! What a refusal means: whether trying again helps here, whether another model could help, and by which name.

use super::super::invalid;
use crate::{CallError, http::errors};
use callboard_core::Span;
use serde_json::Value;

/// Of a provider's error text, in characters.
const ERROR_TEXT: usize = 300;

/// A request that was not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub status: u16,
    /// All that it says, in lower case.
    pub text: String,
    pub error: CallError,
}

// === impl Refusal ===

impl Refusal {
    pub fn new(status: u16, retry_after: Option<Span>, body: &[u8]) -> Self {
        let body = super::lenient::value(body)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).trim().to_owned()));
        let error = error_of(&body);
        let (message, code) = (message(error), code(error));
        let text = format!("{code} {error}").to_lowercase();
        let error =
            sorted(status, &code, &text, format!("the provider answered {status}{}", quoted(&message)));
        let retry_after = retry_after.filter(|_| error.retryable);
        Self { status, text, error: CallError { retry_after, ..error } }
    }

    /// Whether the request may be one that the endpoint does not know how to answer.
    pub fn is_of_request(&self) -> bool {
        self.error.code == "model_rejected"
            && matches!(self.status, 400 | 404 | 405 | 406 | 415 | 422 | 500 | 501)
    }

    /// Whether it is a stream that is refused, whatever its status.
    pub fn is_of_stream(&self) -> bool {
        let names = self.text.contains("stream")
            && !self.text.contains("stream_options")
            && !self.text.contains("upstream");
        names && !matches!(self.status, 401 | 402 | 408 | 429)
    }
}

/// Sorts by what helps. `text` is in lower case.
fn sorted(status: u16, code: &str, text: &str, message: String) -> CallError {
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let code = code.to_lowercase();
    let elsewhere = |kind: &str| CallError::elsewhere(kind, message.clone());
    let is_client = (400..500).contains(&status);
    if status == 402 || QUOTA_CODES.contains(&code.as_str()) || (is_client && says(&QUOTA)) {
        // A used-up account does not fill itself.
        return elsewhere("model_quota");
    }
    if status == 403 && says(&["quota", "billing", "credit", "balance"]) {
        return elsewhere("model_quota");
    }
    if status == 429 {
        return CallError::transient("model_rate_limited", message);
    }
    if is_client && (status == 413 || says(&CONTEXT)) {
        return elsewhere("model_context_length");
    }
    if is_client && says(&FILTERED) {
        return elsewhere("model_filtered");
    }
    if matches!(status, 400 | 403 | 404 | 410 | 422) && (says(&MODEL) || is_missing_model(text)) {
        return elsewhere("model_unknown");
    }
    match status {
        401 | 403 | 407 => elsewhere("model_unauthorized"),
        404 | 410 => elsewhere("model_unknown"),
        500 if is_validation(text) => CallError::permanent("model_rejected", message),
        _ if errors::may_heal(status) => CallError::transient("model_unavailable", message),
        // What is wrong with the request is wrong for everybody, unless it is this model that can't do it.
        400 | 422
            if !says(&[
                "not support",
                "n't support",
                "unsupported",
                "not available",
                "unavailable",
                "not enabled",
            ]) =>
        {
            CallError::permanent("model_rejected", message)
        }
        _ => elsewhere("model_rejected"),
    }
}

/// Whether these are the words in which FastAPI says what in a request's body it can't read. Servers made with it may send
/// them with a status that means a fault of their own: llama-cpp-python does.
fn is_validation(text: &str) -> bool {
    text.contains("validation error") && text.contains("'loc': ('body'")
}

/// Whether a sentence about the model says that there is none: `the model X does not exist`.
fn is_missing_model(text: &str) -> bool {
    text.match_indices("model").any(|(at, _)| {
        let behind: String = text[at..].chars().take(100).collect();
        ["does not exist", "not exist", "not found", "no such model", "is not a valid model"]
            .iter()
            .any(|w| behind.contains(w))
    })
}

const QUOTA_CODES: [&str; 7] = [
    "insufficient_quota",
    "quota_exceeded",
    "billing_not_active",
    "billing_hard_limit_reached",
    "insufficient_balance",
    "insufficient_credits",
    "payment_required",
];
const QUOTA: [&str; 8] = [
    "insufficient balance",
    "insufficient credit",
    "insufficient fund",
    "insufficient_quota",
    "credit balance is too low",
    "out of credits",
    "payment required",
    "billing hard limit",
];
const CONTEXT: [&str; 14] = [
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "max context length",
    "context length",
    "context window",
    "context size",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "too many tokens",
    "maximum number of tokens",
    "string_above_max_length",
    "request_too_large",
];
const FILTERED: [&str; 8] = [
    "content_filter",
    "content filter",
    "content management policy",
    "content_policy",
    "responsibleaipolicyviolation",
    "content exists risk",
    "data_inspection_failed",
    "safety system",
];
const MODEL: [&str; 8] = [
    "model_not_found",
    "deploymentnotfound",
    "invalid_model",
    "invalid model",
    "unknown model",
    "decommissioned",
    "no longer supported",
    "no longer available",
];

/// Whether what stands under `error` is one: some say there with every answer that there is none.
pub(super) fn is_one(error: &Value) -> bool {
    match error {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// Sorts a failure that an answer with a status of success tells of: it may heal, unless it says what it is.
pub(super) fn told(error: &Value) -> CallError {
    let message = format!("the provider broke off{}", quoted(&message(error)));
    let status = error.get("code").or_else(|| error.get("status")).and_then(Value::as_u64);
    match status.and_then(|n| u16::try_from(n).ok()).filter(|n| (400..600).contains(n)) {
        Some(status) => {
            let text = error.to_string().to_lowercase();
            sorted(status, &code(error), &text, message)
        }
        None => CallError::transient("model_unavailable", message),
    }
}

/// A page instead of an answer.
pub(super) fn page() -> CallError {
    invalid("the answer is neither JSON nor an event stream", true)
}

/// The error in a body, wherever it stands.
fn error_of(body: &Value) -> &Value {
    let body = body.as_array().and_then(|items| items.first()).unwrap_or(body);
    let found =
        ["error", "detail", "errors"].into_iter().find_map(|name| body.get(name).filter(|v| !v.is_null()));
    let found = found.unwrap_or(body);
    found.as_array().and_then(|items| items.first()).unwrap_or(found)
}

fn code(error: &Value) -> String {
    let names = ["code", "type", "status"];
    let code = names.into_iter().filter_map(|name| error.get(name)?.as_str()).find(|text| !text.is_empty());
    code.unwrap_or_default().to_owned()
}

fn message(error: &Value) -> String {
    let found = ["message", "msg", "error", "detail"]
        .into_iter()
        .filter_map(|name| error.get(name))
        .find_map(|found| match found {
            Value::String(text) => Some(text.clone()),
            Value::Object(_) => Some(message(found)),
            Value::Array(items) => items.first().map(message),
            Value::Null | Value::Bool(_) | Value::Number(_) => None,
        });
    found.or_else(|| error.as_str().map(str::to_owned)).unwrap_or_default()
}

fn quoted(message: &str) -> String {
    if message.is_empty() {
        return String::new();
    }
    format!(": {}", message.chars().take(ERROR_TEXT).collect::<String>())
}
