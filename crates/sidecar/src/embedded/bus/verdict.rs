//! What a subscriber's answer means (`dapr-contract` 1.6).

use serde::Deserialize;

use super::super::app::{Answer, CallError};

/// The end of one delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::embedded) enum Verdict {
    /// Acknowledged.
    Done,
    /// Failed; worth trying again.
    Retry(String),
    /// Will never succeed.
    Drop(String),
    /// The app is not there; says nothing about the message.
    Away(String),
    /// The subscriber left before it answered; no failure of the message.
    Gone,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    status: String,
}

/// Reads an HTTP subscriber's answer.
pub(super) fn of(answer: Result<Answer, CallError>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error @ CallError::Unreachable(_)) => return Verdict::Away(error.to_string()),
        Err(error) => return Verdict::Retry(error.to_string()),
    };
    match answer.status.as_u16() {
        200..300 => match serde_json::from_slice::<Status>(&answer.body) {
            Ok(Status { status }) => match status.as_str() {
                "" | "SUCCESS" => Verdict::Done,
                "RETRY" => Verdict::Retry("the app asked for a retry".to_owned()),
                "DROP" => Verdict::Drop("the app dropped it".to_owned()),
                other => Verdict::Retry(format!("unknown status {other:?}")),
            },
            // Anything that is no status object counts as success, also no body at all.
            Err(_) => Verdict::Done,
        },
        404 => Verdict::Drop("the route does not exist (404)".to_owned()),
        code => Verdict::Retry(format!("the app answered {code}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Verdict {
        of(Ok(Answer {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: body.to_owned().into(),
        }))
    }

    #[test]
    fn answers_mean_what_the_contract_says() {
        for (status, body) in
            [(200, ""), (204, ""), (200, "ok"), (200, r#"{"status":""}"#), (201, r#"{"status":"SUCCESS"}"#)]
        {
            assert_eq!(answer(status, body), Verdict::Done, "{status} {body}");
        }
        assert!(matches!(answer(200, r#"{"status":"RETRY"}"#), Verdict::Retry(_)));
        assert!(matches!(answer(200, r#"{"status":"MAYBE"}"#), Verdict::Retry(_)));
        assert!(matches!(answer(200, r#"{"status":"DROP"}"#), Verdict::Drop(_)));
        assert!(matches!(answer(404, ""), Verdict::Drop(_)));
        assert!(matches!(answer(500, ""), Verdict::Retry(_)));
        assert!(matches!(answer(302, ""), Verdict::Retry(_)));
    }
}
