//! What an agent is asked to do, and who is asked: the ground that its loop and its delegations stand on.

use super::spec::{Spec, Tool};
use crate::{Datum, Hash, id::AgentId};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// One task of an agent.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Task {
    /// The agent's name in `agents.yaml`.
    pub agent: String,
    /// `{"agent", "prompt"}`.
    pub input: Datum,
    /// Names the task over repetitions: run, step and attempt.
    pub key: String,
    /// Counts from 1; a later attempt replaces an earlier one.
    pub attempt: u32,
    /// JSON Schema of the answer. It goes before the agent's own.
    #[serde(default)]
    pub output_schema: Option<Value>,
    /// Nothing of it may be done twice.
    #[serde(default)]
    pub at_most_once: bool,
    /// The run has a budget: calls after the first are asked for.
    #[serde(default)]
    pub budgeted: bool,
    /// Another agent asked for it.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// Secrets of the run, whose values are taken out of all that comes from outside.
    #[serde(default)]
    pub secrets: BTreeSet<String>,
    /// Of the document that says who the agent is; without one the agents' file says so.
    #[serde(default)]
    pub pin: Option<Hash>,
}

/// By hand, because documents have the fields in order and without names: `origin` and `secrets` came later and are
/// left out where nothing follows them, so that older documents stay byte for byte what they were.
impl Serialize for Task {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A field that is left out in the middle would shift those behind it, so a later one brings all before it along.
        let with_pin = self.pin.is_some();
        let with_secrets = !self.secrets.is_empty() || with_pin;
        let with_origin = self.origin.is_some() || with_secrets;
        let fields = 7 + usize::from(with_origin) + usize::from(with_secrets) + usize::from(with_pin);
        let mut task = serializer.serialize_struct("Task", fields)?;
        task.serialize_field("agent", &self.agent)?;
        task.serialize_field("input", &self.input)?;
        task.serialize_field("key", &self.key)?;
        task.serialize_field("attempt", &self.attempt)?;
        task.serialize_field("output_schema", &self.output_schema)?;
        task.serialize_field("at_most_once", &self.at_most_once)?;
        task.serialize_field("budgeted", &self.budgeted)?;
        if with_origin {
            task.serialize_field("origin", &self.origin)?;
        }
        if with_secrets {
            task.serialize_field("secrets", &self.secrets)?;
        }
        if with_pin {
            task.serialize_field("pin", &self.pin)?;
        }
        task.end()
    }
}

/// What the machine needs of its surroundings, resolved by the shell: from the task's pin, or from the agents' file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    /// Who the agent is, as its file says.
    pub spec: Spec,
    /// The tools that it may call, by name.
    pub tools: BTreeMap<String, Tool>,
    /// The agents it may delegate to, each with what it is for.
    pub peers: BTreeMap<String, String>,
    /// Names of the secrets that may come back from its tools, and from those of whom it may ask.
    pub secrets: BTreeSet<String>,
}

/// Where a delegated task comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// 1 for a task of an agent that works for a run.
    pub depth: u32,
    /// The id of the actor that delegated it, and the call by which it did.
    pub agent: AgentId,
    /// Round in which it did.
    pub iteration: u32,
    /// Place of the call in that round.
    pub call: String,
}
