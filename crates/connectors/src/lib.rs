//! Reaches out: models, tools, and every other outbound call, through one guarded HTTP client.
//!
//! Nothing here decides when to try again: a failure says whether that may help (`CallError`), the core decides.
//! Prompts, answers, keys and secrets are never logged and never stand in an error.

pub mod http;
pub mod model;
pub mod secret;
pub mod tls;
pub mod tools;

pub use callboard_core::call::CallError;
