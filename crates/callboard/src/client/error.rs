//! Why a call did not do what was asked: nobody answered, or the server refused and said why.

use super::Address;
use crate::terminal::plain;
use callboard_core::Problem;
use reqwest::StatusCode;
use serde_json::Value;
use std::{fmt, time::Duration};

/// Why a call did not do what was asked.
#[derive(Debug)]
pub enum Error {
    /// Nobody answers there, or not to the end.
    Unreachable { address: Address, why: String },
    /// The server refused.
    Refused(Box<Refused>),
    /// What answers is not what we know.
    Unreadable(Address),
    /// The key can't be sent.
    Key(Address),
}

/// What a server said instead of what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    /// For programs; empty where something before the server answered.
    pub code: String,
    pub detail: String,
    pub problems: Vec<Problem>,
    pub retry_after: Option<Duration>,
}

// === impl Error ===

impl Error {
    pub(super) fn unreachable(address: &Address, error: &reqwest::Error) -> Self {
        // The innermost cause says it in a few words; what is around it repeats the URL.
        let mut inner: &dyn std::error::Error = error;
        while let Some(source) = inner.source() {
            inner = source;
        }
        let why = match error.is_timeout() {
            true => "it takes too long".to_owned(),
            false => inner.to_string(),
        };
        Self::Unreachable { address: address.clone(), why }
    }

    pub(super) fn silent(address: &Address) -> Self {
        Self::Unreachable { address: address.clone(), why: "it says nothing".into() }
    }

    pub(super) fn unreadable(address: &Address) -> Self {
        Self::Unreadable(address.clone())
    }

    /// Whether the same request may be answered later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refused) => matches!(refused.status, 429 | 502 | 503 | 504),
            Self::Unreadable(_) | Self::Key(_) => false,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refused) => refused.retry_after,
            Self::Unreachable { .. } | Self::Unreadable(_) | Self::Key(_) => None,
        }
    }

    /// The status that the server answered.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refused) => Some(refused.status),
            Self::Unreachable { .. } | Self::Unreadable(_) | Self::Key(_) => None,
        }
    }
}

// === impl Refused ===

impl Refused {
    pub(super) fn read(
        status: StatusCode,
        body: &Value,
        retry_after: Option<&str>,
        location: Option<&str>,
    ) -> Self {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let detail = match (text("detail"), location) {
            (detail, Some(to)) if detail.is_empty() && status.is_redirection() => {
                format!("the server sends us on to {to}: name that one if it is yours")
            }
            (detail, _) if detail.is_empty() => format!("the server answered {status}"),
            (detail, _) => detail,
        };
        let problems = body.get("problems").and_then(Value::as_array).into_iter().flatten();
        let problems = problems.filter_map(|problem| serde_json::from_value(problem.clone()).ok());
        let retry_after =
            retry_after.and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
        let code = text("code");
        Self { status: status.as_u16(), code, detail, problems: problems.collect(), retry_after }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { address, why } => {
                write!(f, "no server answers at {}: {}", plain(&address.to_string()), plain(why))
            }
            Self::Refused(refused) => refused.fmt(f),
            Self::Unreadable(address) => {
                write!(f, "what answers at {address} is no callboard, or a much newer one")
            }
            Self::Key(address) => {
                write!(f, "the key for {address} can't be sent: it has characters other than visible ASCII")
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(&self.detail))?;
        if !self.code.is_empty() {
            write!(f, " [{}]", plain(&self.code))?;
        }
        if self.status == 401 {
            f.write_str("; `callboard login URL` keeps a key, CALLBOARD_API_KEY is one for once")?;
        }
        for problem in &self.problems {
            write!(f, "\n  {}", plain(&problem.to_string()))?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(status: u16, body: &Value) -> Error {
        let status = StatusCode::from_u16(status).expect("a status");
        Error::Refused(Box::new(Refused::read(status, body, Some("7"), None)))
    }

    #[test]
    fn everything_that_the_server_says_is_told_and_nothing_of_it_acts_on_the_terminal() {
        let body = json!({"code": "invalid_definition", "detail": "it is \u{1b}[31mwrong", "problems": [
            {"node": "a\u{9b}2J", "path": "nodes[0].type", "code": "unknown_type", "message": "x\ny"},
            {"node": null, "path": "name", "code": "missing_field", "message": "has to be given"}]});
        let expected = "it is \\u{1b}[31mwrong [invalid_definition]\
            \n  node a\\u{9b}2J: nodes[0].type: x\\ny [unknown_type]\
            \n  name: has to be given [missing_field]";
        assert_eq!(refused(422, &body).to_string(), expected);
    }

    #[test]
    fn something_else_that_answers_is_named_by_its_status() {
        let error = refused(502, &Value::Null);
        assert_eq!(error.to_string(), "the server answered 502 Bad Gateway");
        assert!(error.may_pass() && error.retry_after() == Some(Duration::from_secs(7)));
        assert!(!refused(409, &json!({})).may_pass());
        assert!(refused(401, &json!({"detail": "who?"})).to_string().contains("callboard login"));
        let moved = Refused::read(StatusCode::FOUND, &Value::Null, None, Some("https://b/"));
        assert!(moved.detail.contains("https://b/"), "{}", moved.detail);
    }
}
