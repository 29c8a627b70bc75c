//! Names for what a call can fail of. Texts carry host and port, never a path, query, header or body.

use super::resolver::Forbidden;
use crate::CallError;
use callboard_core::Span;
use http::{HeaderMap, header};
use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use url::Url;

/// No provider may keep us waiting longer by a header.
const LONGEST_DELAY: Span = Span::secs(3600);

/// The request never got an answer.
pub(crate) fn request(error: &reqwest::Error, url: &Url) -> CallError {
    let origin = origin(url);
    if cause::<Forbidden>(error).is_some() {
        return forbidden_address(url);
    }
    if error.is_timeout() {
        return CallError::transient("http_timeout", format!("{origin} did not answer in time"));
    }
    if error.is_builder() {
        return CallError::permanent(
            "http_invalid_request",
            format!("the request to {origin} can't be built"),
        );
    }
    if error.is_connect() {
        return CallError::transient("http_connect", format!("{origin} can't be reached"));
    }
    CallError::transient("http_broken", format!("the connection to {origin} broke"))
}

/// The body broke off.
pub(crate) fn body(error: &reqwest::Error) -> CallError {
    if error.is_timeout() {
        return CallError::transient("http_timeout", "the body did not come in time");
    }
    CallError::transient("http_broken", "the connection broke before the body's end")
}

pub(crate) fn timeout(url: &Url) -> CallError {
    CallError::transient("http_timeout", format!("{} did not answer in time", origin(url)))
}

pub(crate) fn forbidden_address(url: &Url) -> CallError {
    CallError::permanent("http_forbidden_address", format!("{} is not a public address", origin(url)))
}

pub(crate) fn forbidden_url(why: &str) -> CallError {
    CallError::permanent("http_forbidden_url", why)
}

/// Tells whether the same request may get another answer later.
pub(crate) fn may_heal(status: u16) -> bool {
    matches!(status, 408 | 409 | 425 | 429) || (status >= 500 && status != 501 && status != 505)
}

/// Reads `Retry-After`: seconds or a date.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Span> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    let span = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
            let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
            Duration::from_millis(u64::try_from(date).ok()?).saturating_sub(now)
        }
    };
    let span = Span(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    Some(span.min(LONGEST_DELAY))
}

fn origin(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

/// Finds an error of type `E` among the causes.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
