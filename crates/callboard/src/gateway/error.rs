//! How everything that goes wrong leaves the gateway: RFC 9457 problem+json with a stable `code`.
//!
//! Callers' mistakes carry a sentence for people; ours are logged here and leave without detail. The only 5xx
//! that is not a bug is 503, always with `Retry-After`.

use axum::response::{IntoResponse, Response};
use callboard_catalog as catalog;
use callboard_core::Problem;
use callboard_sidecar as sidecar;
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// An answer that is not the one asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Error {
    pub status: StatusCode,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    pub title: Cow<'static, str>,
    /// A sentence for people; empty where it would say something about our insides.
    pub detail: String,
    /// All mistakes of a document or body, where that is what went wrong.
    pub problems: Option<Vec<Problem>>,
    pub retry_after: Option<u32>,
}

/// An actor's error, as it travels in the body of its answer.
#[derive(Debug, Deserialize)]
struct ActorError {
    code: String,
    status: u16,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    problems: Option<Vec<Problem>>,
}

// === impl Error ===

impl Error {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            detail: detail.into(),
            problems: None,
            retry_after: None,
        }
    }

    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub fn not_found(what: &str, id: &str) -> Self {
        let code = match what {
            "workflow" => "unknown_workflow",
            "run" => "unknown_run",
            _ => "not_found",
        };
        Self::new(StatusCode::NOT_FOUND, code, format!("there is no {what} {id}"))
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// A body that can be read and means nothing: all its mistakes.
    pub fn invalid(code: &'static str, what: &str, problems: Vec<Problem>) -> Self {
        let count = match problems.len() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        let problems = Some(problems);
        Self { problems, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, format!("{what} has {count}")) }
    }

    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after: u32) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// A mistake of ours, logged where it is noticed.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "")
    }

    /// Reads the error in an actor's answer, if it is one.
    pub fn in_answer(answer: &Value) -> Option<Self> {
        let error = answer.as_object().filter(|answer| answer.len() == 1)?.get("error")?;
        let Ok(error) = ActorError::deserialize(error) else { return None };
        let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(code = error.code, detail = error.detail, "an actor failed");
            return Some(Self::internal());
        }
        let busy = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        Some(Self {
            status,
            code: error.code.into(),
            // One title for one status, whoever refuses.
            title: status.canonical_reason().unwrap_or("Error").into(),
            detail: error.detail,
            problems: error.problems,
            retry_after: busy.then_some(1),
        })
    }

    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("type".into(), json!(format!("urn:callboard:problem:{}", self.code)));
        body.insert("title".into(), json!(self.title));
        body.insert("status".into(), json!(self.status.as_u16()));
        if !self.detail.is_empty() {
            body.insert("detail".into(), json!(self.detail));
        }
        body.insert("code".into(), json!(self.code));
        if let Some(problems) = &self.problems {
            body.insert("problems".into(), json!(problems));
        }
        Value::Object(body)
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body().to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl From<catalog::Error> for Error {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::Conflict { what, id, current } => {
                let current =
                    current.map(|version| format!(", its version is {version}")).unwrap_or_default();
                Self::conflict("version_conflict", format!("{what} {id} has changed{current}"))
            }
            catalog::Error::NotFound { what, id } => Self::not_found(what, &id),
            catalog::Error::Corrupt { .. } => {
                tracing::error!(%error, "a stored row can't be read");
                Self::internal()
            }
            catalog::Error::Unavailable(_) => {
                tracing::warn!(%error, "catalog");
                Self::unavailable("catalog_unavailable", "the catalog does not answer", 2)
            }
        }
    }
}

impl From<sidecar::Error> for Error {
    fn from(error: sidecar::Error) -> Self {
        if let sidecar::Error::Invalid(status) = &error
            && status.message().contains("larger than max")
        {
            let detail = "the sidecar takes no message this large";
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
        }
        // Whatever the caller sent was checked before, so nothing of this is the caller's mistake. It may pass:
        // actors move, and their host may just be starting.
        tracing::warn!(%error, "sidecar");
        Self::unavailable("sidecar_unavailable", "the sidecar does not answer", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actors_error_keeps_its_status_code_and_problems() {
        let answer = json!({"error": {"code": "run_ended", "status": 409, "title": "Conflict",
            "detail": "run r has ended"}});
        let error = Error::in_answer(&answer).expect("an error");
        assert_eq!(
            error.body(),
            json!({"type": "urn:callboard:problem:run_ended", "title": "Conflict", "status": 409,
                "detail": "run r has ended", "code": "run_ended"})
        );
        let answer = json!({"error": {"code": "invalid_input", "status": 422, "problems": [
            {"node": null, "path": "/topic", "code": "invalid", "message": "is missing"}]}});
        assert_eq!(Error::in_answer(&answer).and_then(|e| e.problems).map(|p| p.len()), Some(1));
    }

    #[test]
    fn a_failed_run_is_not_an_error() {
        let run =
            json!({"id": "r", "status": "failed", "error": {"code": "x", "message": "y", "node": null}});
        assert_eq!(Error::in_answer(&run), None);
    }

    #[test]
    fn what_is_our_fault_says_nothing_about_us() {
        let answer = json!({"error": {"code": "panic", "status": 500, "detail": "index out of bounds"}});
        let body = Error::in_answer(&answer).expect("an error").body();
        assert_eq!((body.get("detail"), &body["code"]), (None, &json!("internal")));
    }

    #[test]
    fn a_dependency_that_is_down_is_503_with_retry_after() {
        let response = Error::from(catalog::Error::Unavailable("gone".into())).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
