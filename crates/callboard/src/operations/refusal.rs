//! Why something is not done, sorted by what helps; with a stable `code` for programs and a sentence for people.
//!
//! Callers' mistakes carry a sentence; ours are logged where they are noticed and leave without detail.

use callboard_catalog as catalog;
use callboard_core::{Code, Problem};
use callboard_sidecar as sidecar;
use serde::Deserialize;
use serde_json::Value;
use std::{borrow::Cow, fmt::Display};

/// An answer that is not the one asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    pub kind: Kind,
    /// Stable, for programs.
    pub code: Cow<'static, str>,
    /// A sentence for people; empty where it would say something about our insides.
    pub detail: String,
    /// All mistakes of a document or body, where that is what went wrong.
    pub problems: Option<Vec<Problem>>,
    /// Another try may help after so many seconds.
    pub retry_after: Option<u32>,
    /// What there is now, where the caller's picture of it was old.
    pub current: Option<Box<Value>>,
}

/// What kind of refusal it is. Each transport has its own word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was sent can't be read.
    Malformed,
    /// Who asks may not.
    Forbidden,
    NotFound,
    /// The state of things forbids it.
    Conflict,
    /// It was made on something that is not there any more.
    Stale,
    /// It has to say what it was made on.
    Unconditional,
    /// It was there and can't be had any more.
    Lost,
    TooLarge,
    /// It can be read and means nothing.
    Invalid,
    TooMany,
    /// A mistake of ours.
    Internal,
    /// Not now: nothing is known to be wrong with the question.
    Unavailable,
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
    #[serde(default)]
    retry_after: Option<u32>,
}

// === impl Refusal ===

impl Refusal {
    pub fn new(kind: Kind, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            code: code.into(),
            detail: detail.into(),
            problems: None,
            retry_after: None,
            current: None,
        }
    }

    pub fn malformed(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, code, detail)
    }

    pub fn not_found(what: &str, id: impl Display) -> Self {
        let code = match what {
            "workflow" => "unknown_workflow",
            "run" => "unknown_run",
            "key" => "unknown_key",
            "project" => "unknown_project",
            "trigger" => "unknown_trigger",
            "version" => "unknown_version",
            "value" => "unknown_value",
            "agent" => "unknown_agent",
            _ => "not_found",
        };
        Self::new(Kind::NotFound, code, format!("there is no {what} {id}"))
    }

    /// What can be read and means nothing: all its mistakes.
    pub fn invalid(code: &'static str, what: &str, problems: Vec<Problem>) -> Self {
        let count = match problems.len() {
            1 => "1 problem".to_owned(),
            n => format!("{n} problems"),
        };
        let problems = Some(problems);
        Self { problems, ..Self::new(Kind::Invalid, code, format!("{what} has {count}")) }
    }

    /// A query that can't be read: all its mistakes.
    pub fn malformed_query(problems: Vec<Problem>) -> Self {
        Self { kind: Kind::Malformed, ..Self::invalid("invalid_query", "the query", problems) }
    }

    /// `retry_after` is in seconds.
    pub fn unavailable(code: &'static str, detail: impl Into<String>, retry_after: u32) -> Self {
        Self { retry_after: Some(retry_after), ..Self::new(Kind::Unavailable, code, detail) }
    }

    /// A mistake of ours, logged where it is noticed.
    pub fn internal() -> Self {
        Self::new(Kind::Internal, "internal", "")
    }

    /// Reads the error in an actor's answer, if it is one.
    pub fn in_answer(answer: &Value) -> Option<Self> {
        let error = answer.as_object().filter(|answer| answer.len() == 1)?.get("error")?;
        let Ok(error) = ActorError::deserialize(error) else { return None };
        let kind = Kind::of_status(error.status);
        // Of ours as well, and what the caller can do about it is said.
        let is_told = error.code == Code::HistoryGap.as_str();
        if kind == Kind::Internal && !is_told {
            tracing::error!(code = error.code, detail = error.detail, "an actor failed");
            return Some(Self::internal());
        }
        let busy = matches!(kind, Kind::Unavailable | Kind::TooMany);
        Some(Self {
            kind,
            code: error.code.into(),
            detail: error.detail,
            problems: error.problems,
            retry_after: error.retry_after.or(busy.then_some(1)),
            current: None,
        })
    }
}

// === impl Kind ===

impl Kind {
    /// Reads the number by which actors tell kinds apart.
    fn of_status(status: u16) -> Self {
        match status {
            404 => Self::NotFound,
            409 => Self::Conflict,
            410 => Self::Lost,
            413 => Self::TooLarge,
            422 => Self::Invalid,
            429 => Self::TooMany,
            503 => Self::Unavailable,
            400..=499 => Self::Malformed,
            _ => Self::Internal,
        }
    }
}

impl From<catalog::Error> for Refusal {
    fn from(error: catalog::Error) -> Self {
        match error {
            catalog::Error::Conflict { what, id, current } => {
                let current =
                    current.map(|version| format!(", its version is {version}")).unwrap_or_default();
                Self::new(Kind::Conflict, "version_conflict", format!("{what} {id} has changed{current}"))
            }
            catalog::Error::NotFound { what, id } => Self::not_found(what, id),
            catalog::Error::Corrupt { .. } => {
                tracing::error!(%error, "a stored row can't be read");
                Self::internal()
            }
            catalog::Error::Lacking(_) | catalog::Error::Unavailable(_) => {
                tracing::warn!(%error, "catalog");
                Self::unavailable("catalog_unavailable", "the catalog does not answer", 2)
            }
        }
    }
}

impl From<sidecar::Error> for Refusal {
    fn from(error: sidecar::Error) -> Self {
        if let sidecar::Error::Invalid(status) = &error
            && status.message().contains("larger than max")
        {
            return Self::new(Kind::TooLarge, "too_large", "the sidecar takes no message this large");
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
    use serde_json::json;

    #[test]
    fn an_actors_error_keeps_its_kind_code_and_problems() {
        let answer = json!({"error": {"code": "run_ended", "status": 409, "title": "Conflict",
            "detail": "run r has ended"}});
        let refusal = Refusal::in_answer(&answer).expect("an error");
        assert_eq!(refusal, Refusal::new(Kind::Conflict, "run_ended", "run r has ended"));
        let answer = json!({"error": {"code": "invalid_input", "status": 422, "problems": [
            {"node": null, "path": "/topic", "code": "invalid", "message": "is missing"}]}});
        assert_eq!(Refusal::in_answer(&answer).and_then(|e| e.problems).map(|p| p.len()), Some(1));
    }

    #[test]
    fn a_failed_run_is_not_an_error() {
        let run =
            json!({"id": "r", "status": "failed", "error": {"code": "x", "message": "y", "node": null}});
        assert_eq!(Refusal::in_answer(&run), None);
    }

    #[test]
    fn what_is_our_fault_says_nothing_about_us() {
        let answer = json!({"error": {"code": "panic", "status": 500, "detail": "index out of bounds"}});
        assert_eq!(Refusal::in_answer(&answer), Some(Refusal::internal()));
        let answer = json!({"error": {"code": "history_gap", "status": 500, "detail": "it lacks events"}});
        let told = Refusal::new(Kind::Internal, "history_gap", "it lacks events");
        assert_eq!(Refusal::in_answer(&answer), Some(told), "but for what a person has to know");
    }
}
