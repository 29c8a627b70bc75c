//! How everything that goes wrong leaves the gateway: RFC 9457 problem+json with a stable `code`.
//!
//! What an operation refuses gets its status here; the rest are the edge's own refusals. The only 5xx that is not a bug
//! is 503, always with `Retry-After`.

use super::health::Checks;
use crate::operations::{Kind, Refusal};
use axum::response::{IntoResponse, Response};
use callboard_core::Problem;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::{borrow::Cow, fmt::Display};

/// An answer that is not the one asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    /// A sentence for people; empty where it would say something about our insides.
    pub detail: String,
    /// All mistakes of a document or body, where that is what went wrong.
    pub problems: Option<Vec<Problem>>,
    /// In seconds.
    pub retry_after: Option<u32>,
    /// What there is now, where the caller's picture of it was old.
    pub current: Option<Box<Value>>,
}

/// What is wrong with a request, or with us: the body of every answer that is not the one asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProblemDetails<'a> {
    /// `urn:callboard:problem:` and the code.
    r#type: String,
    /// The status in words.
    title: &'a str,
    status: u16,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    /// Stable, for programs.
    code: &'a str,
    /// Every mistake of a definition, a body, a query or an input.
    #[serde(skip_serializing_if = "Option::is_none")]
    problems: Option<&'a [Problem]>,
    /// Of 412: what there is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<&'a Value>,
    /// Of `GET /ready`: what does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    checks: Option<&'a Checks>,
}

// === impl Error ===

impl Error {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            detail: detail.into(),
            problems: None,
            retry_after: None,
            current: None,
        }
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn not_found(what: &str, id: impl Display) -> Self {
        Refusal::not_found(what, id).into()
    }

    /// `retry_after` is in seconds.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after: u32) -> Self {
        Refusal::unavailable(code, detail, retry_after).into()
    }

    /// A mistake of ours, logged where it is noticed.
    pub fn internal() -> Self {
        Refusal::internal().into()
    }

    fn details(&self) -> ProblemDetails<'_> {
        ProblemDetails {
            r#type: format!("urn:callboard:problem:{}", self.code),
            // One title for one status, whoever refuses.
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: (!self.detail.is_empty()).then_some(&self.detail),
            code: &self.code,
            problems: self.problems.as_deref(),
            current: self.current.as_deref(),
            checks: None,
        }
    }

    /// Answers, and says which dependency is to blame.
    pub fn with_checks(&self, checks: &Checks) -> Response {
        self.answer(&ProblemDetails { checks: Some(checks), ..self.details() })
    }

    fn answer(&self, details: &ProblemDetails<'_>) -> Response {
        // Its keys are texts, so it always serializes.
        let body = serde_json::to_string(details).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(match &*self.code {
                    "credential_missing" => "Bearer realm=\"callboard\"",
                    _ => "Bearer realm=\"callboard\", error=\"invalid_token\"",
                }),
            );
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        self.answer(&self.details())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let Refusal { kind, code, detail, problems, retry_after, current } = refusal;
        let status = match kind {
            Kind::Malformed => StatusCode::BAD_REQUEST,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::Stale => StatusCode::PRECONDITION_FAILED,
            Kind::Unconditional => StatusCode::PRECONDITION_REQUIRED,
            Kind::Lost => StatusCode::GONE,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self { status, code, detail, problems, retry_after, current }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_catalog as catalog;
    use serde_json::json;

    fn body(refusal: Refusal) -> Value {
        serde_json::to_value(Error::from(refusal).details()).expect("JSON")
    }

    #[test]
    fn an_actors_error_is_a_problem_of_its_status() {
        let answer = json!({"error": {"code": "run_ended", "status": 409, "title": "conflict",
            "detail": "run r has ended"}});
        assert_eq!(
            body(Refusal::in_answer(&answer).expect("an error")),
            json!({"type": "urn:callboard:problem:run_ended", "title": "Conflict", "status": 409,
                "detail": "run r has ended", "code": "run_ended"})
        );
        for status in [400, 404, 409, 410, 413, 422, 429, 503] {
            let answer = json!({"error": {"code": "x", "status": status}});
            assert_eq!(body(Refusal::in_answer(&answer).expect("an error"))["status"], status);
        }
    }

    #[test]
    fn what_is_our_fault_says_nothing_about_us() {
        let answer = json!({"error": {"code": "panic", "status": 500, "detail": "index out of bounds"}});
        let body = body(Refusal::in_answer(&answer).expect("an error"));
        assert_eq!((body.get("detail"), &body["code"]), (None, &json!("internal")));
    }

    #[test]
    fn a_dependency_that_is_down_is_503_with_retry_after() {
        let refusal = Refusal::from(catalog::Error::Unavailable("gone".into()));
        let response = Error::from(refusal).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
