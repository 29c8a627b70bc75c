//! Reaches out: models, tools, and every other outbound call, through one guarded HTTP client.
//!
//! Nothing here decides when to try again: a failure says whether that may help (`CallError`), the core decides.
//! Prompts, answers, keys and secrets are never logged and never stand in an error.

pub mod http;
pub mod model;
pub mod secret;
pub mod tools;

pub use callboard_core::agent::message::CallError;

/// Makes an error that trying again may (or won't) heal.
fn failed(code: &str, message: impl Into<String>, retryable: bool) -> CallError {
    CallError { code: code.to_owned(), message: message.into(), retryable, retry_after: None }
}
