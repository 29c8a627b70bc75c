//! Every message between the host, runs, agents and outside: one type for whoever sends it and whoever reads it.
//!
//! A message is JSON, a method's body; its answer is JSON with status 200, a refusal stands in the answer as
//! `{"error": {"code", "status", "title", "detail", "problems"}}`. Two releases run beside each other during an update: a new
//! field has a default, and one that is gone is still written for a release. What our own processes tell each other is
//! signed (`sealed`).

pub mod agent;
mod caller;
mod fault;
pub mod run;
pub mod sealed;

pub use caller::{Caller, NotCalled};
pub use fault::{Fault, Reply, parse, response};

use crate::{services::Services, trace};
use bytes::Bytes;
use callboard_core::{Code, id::RunId};
use callboard_sidecar::client::Error;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A message to an actor.
pub trait Message: Serialize + DeserializeOwned {
    /// The type of the actor that takes it.
    const ACTOR: &'static str;
    const METHOD: &'static str;
    /// What that type's actors are called.
    type To: AsRef<str>;
    type Answer: Serialize + DeserializeOwned;
}

/// Taken, with nothing to say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Unanswered {
    /// Nobody answers now, or what came is no answer, or our signature is not known there yet: nothing is known to have
    /// happened, and asking again is right.
    #[error("{0}")]
    Silent(String),
    /// The actor refuses, and would refuse again.
    #[error("{}", .0.detail)]
    Refused(Fault),
}

#[derive(Deserialize)]
struct Refusal {
    error: Fault,
}

impl From<Error> for Unanswered {
    fn from(error: Error) -> Self {
        Self::Silent(error.to_string())
    }
}

/// Sends a message to an actor through the sidecar, within the trace of the caller, and reads its answer.
pub async fn ask<M: Message>(services: &Services, id: &M::To, message: &M) -> Result<M::Answer, Unanswered> {
    let body = serde_json::to_vec(message).map_err(|e| Unanswered::Silent(e.to_string()))?;
    read(&send(services, M::ACTOR, id.as_ref(), M::METHOD, Bytes::from(body)).await?)
}

/// The same with a body that is written already, and without reading the answer but for a refusal.
pub async fn hand_over(
    services: &Services,
    actor: &str,
    id: &str,
    method: &str,
    body: Bytes,
) -> Result<(), Unanswered> {
    read::<serde::de::IgnoredAny>(&send(services, actor, id, method, body).await?).map(drop)
}

/// Has a run looked at. What it makes of that is its own business.
pub async fn wake(services: &Services, run: &RunId) -> Result<(), Unanswered> {
    send(services, run::Sweep::ACTOR, run.as_str(), run::Sweep::METHOD, Bytes::new()).await.map(drop)
}

async fn send(
    services: &Services,
    actor: &str,
    id: &str,
    method: &str,
    body: Bytes,
) -> Result<Bytes, Unanswered> {
    let to = sealed::To { actor, id, method };
    let (body, mac) = sealed::seal(&services.keyring, to, body);
    let answer = trace::through(&services.sidecar).invoke_actor(actor, id, method, body).await?;
    match mac {
        None => Ok(answer),
        Some(mac) => {
            let opened = sealed::open_answer(services, to, &mac, answer).await;
            opened.ok_or_else(|| Unanswered::Silent("what came is not signed by an actor of ours".into()))
        }
    }
}

/// Writes an answer as the sidecar carries it.
pub fn reply<A: Serialize>(answer: Result<A, Fault>) -> Reply {
    serde_json::to_value(answer?).map_err(|e| Fault::new(500, Code::Internal, e.to_string()))
}

/// Reads an answer. What can't be read is no success: the actor may not have understood, or not have been there.
fn read<A: DeserializeOwned>(answer: &[u8]) -> Result<A, Unanswered> {
    if let Ok(Refusal { error }) = serde_json::from_slice::<Refusal>(answer) {
        return Err(if error.is_transient() || error.is_about_signatures() {
            Unanswered::Silent(error.detail)
        } else {
            Unanswered::Refused(error)
        });
    }
    serde_json::from_slice(answer).map_err(|e| Unanswered::Silent(format!("the answer can't be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_what_it_is() {
        assert_eq!(
            read::<run::Granted>(br#"{"granted": true}"#).expect("an answer"),
            run::Granted { granted: true }
        );
        let refusal = Fault::new(409, Code::NotAsked, "nobody asked").to_json().to_string();
        let Err(Unanswered::Refused(fault)) = read::<run::Granted>(refusal.as_bytes()) else {
            panic!("a refusal")
        };
        assert_eq!((fault.status, fault.code, fault.detail.as_str()), (409, Code::NotAsked, "nobody asked"));
        for silent in [
            Fault::unavailable("not now").to_json().to_string(),
            Fault::new(429, Code::MailboxFull, "full").to_json().to_string(),
            Fault::new(403, Code::Unsigned, "not signed").to_json().to_string(),
            Fault::new(403, Code::WrongMac, "another key").to_json().to_string(),
            "".to_owned(),
            "rubbish".to_owned(),
            "{}".to_owned(),
            r#"{"granted": "yes"}"#.to_owned(),
        ] {
            assert!(
                matches!(read::<run::Granted>(silent.as_bytes()), Err(Unanswered::Silent(_))),
                "{silent}"
            );
        }
    }

    #[test]
    fn a_failed_runs_error_is_no_refusal() {
        let view =
            br#"{"status": "failed", "error": {"code": "timeout", "message": "too long", "node": "a"}}"#;
        assert!(read::<serde_json::Value>(view).is_ok());
    }
}
