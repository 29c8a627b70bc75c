//! A panic in a handler ends that request with an empty 500, and nothing else.

use super::Error;
use axum::response::{IntoResponse, Response};
use std::any::Any;
use tower_http::catch_panic::CatchPanicLayer;

type Caught = fn(Box<dyn Any + Send>) -> Response;

pub fn layer() -> CatchPanicLayer<Caught> {
    CatchPanicLayer::custom(answer as Caught)
}

fn answer(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("(no text)");
    tracing::error!(panic = text, "a handler panicked");
    Error::internal().into_response()
}
