//! What may be done to a run. Whether its state allows it is decided by the run.

use super::{Key, Operations, Refusal, Request, Trace, request::given};
use crate::access::Principal;
use callboard_core::{
    Problem,
    id::RunId,
    workflow::{definition::SIGNAL_NAME_LIMIT, view::RunView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who asks for an operation, of which run, under which name.
#[derive(Debug)]
pub struct Call {
    pub principal: Principal,
    pub trace: Trace,
    pub run: RunId,
    /// The same key does the same thing once.
    pub key: Option<Key>,
}

/// The body of an operation that takes nothing.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// A signal for whatever waits for it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// 1 to 255 bytes.
    pub name: String,
    /// Any JSON; null unless it is given.
    #[serde(default)]
    pub data: Value,
}

/// A person's answer: to an approval, or whether an `unknown` step was performed.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    pub node: String,
    /// The current one unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Of a node in a body; need not be given where one iteration waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iteration: Option<String>,
    pub approved: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// That of the step, as `steps` shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_hash: Option<String>,
}

/// An ended run runs again, as its next generation.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rerun {
    /// A node of the run's own graph; what lies before it is kept.
    pub from: String,
    /// Any JSON; the input of the generation before unless it is given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

impl Request for Nothing {}
impl Request for Approve {}
impl Request for Rerun {}

impl Request for Signal {
    fn mistakes(body: &Map<String, Value>) -> Vec<Problem> {
        let name = body.get("name").and_then(Value::as_str);
        let wrong = name.filter(|name| !(1..=SIGNAL_NAME_LIMIT).contains(&name.len()));
        let message = || format!("a signal's name has 1 to {SIGNAL_NAME_LIMIT} bytes");
        wrong.map(|_| Problem::new("name", "invalid", message())).into_iter().collect()
    }
}

// === impl Operations ===

impl Operations {
    /// Ends the run; wins over everything.
    pub async fn cancel(&self, call: Call, body: &Nothing) -> Result<RunView, Refusal> {
        self.perform(call, "cancel", body).await
    }

    /// Nothing new starts; what runs ends and is recorded.
    pub async fn pause(&self, call: Call, body: &Nothing) -> Result<RunView, Refusal> {
        self.perform(call, "pause", body).await
    }

    /// Goes on.
    pub async fn resume(&self, call: Call, body: &Nothing) -> Result<RunView, Refusal> {
        self.perform(call, "resume", body).await
    }

    pub async fn signal(&self, call: Call, body: &Signal) -> Result<RunView, Refusal> {
        self.perform(call, "signal", body).await
    }

    pub async fn approve(&self, call: Call, body: &Approve) -> Result<RunView, Refusal> {
        self.perform(call, "approve", body).await
    }

    pub async fn rerun(&self, call: Call, body: &Rerun) -> Result<RunView, Refusal> {
        self.perform(call, "rerun", body).await
    }

    /// Calls the method of the run's actor, whose body is the request and the operation's id.
    async fn perform(&self, call: Call, method: &str, body: &impl Serialize) -> Result<RunView, Refusal> {
        let Call { principal, trace, run, key } = call;
        principal.owns(&run)?;
        let named = key.is_some();
        let mut body = serde_json::to_value(body).map_err(|error| {
            tracing::error!(%run, method, %error, "an operation can't be written");
            Refusal::internal()
        })?;
        body["op"] = Key::or_fresh(key).as_str().into();
        let done = self.runs.operate(&trace, &run, method, &body).await?;
        // What had no key may have been sent twice on its way, but nobody asked for it twice.
        Ok(RunView { replayed: done.replayed && named, ..done })
    }
}
