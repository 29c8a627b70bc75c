//! Messages to a run: what anybody may ask of it, and what agents and workers tell it.

use super::{Message, Taken};
use crate::WORKFLOW;
use callboard_core::{
    Span,
    agent::run::Ending,
    call::{Fallback, Usage},
    id::{OperationId, RunId, WorkflowId},
    workflow::{StepKey, event::Reserved, view::RunView},
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

// === from anybody ===

/// Begins a run: of a stored workflow, or of a definition given here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Start {
    pub op: Option<OperationId>,
    pub workflow_id: Option<WorkflowId>,
    pub version: Option<u32>,
    pub definition: Option<Value>,
    /// The draft is meant, not a version.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// `null` is an input, too.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The id was made for this start: nobody can have used it before.
    pub first: bool,
    /// Outputs that are given, by the ids of their nodes: those complete at once.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<String, GivenOutput>,
    /// The run ends behind this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Only this node runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
}

/// An output that is given: a value, or that of the same node in a run that was.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GivenOutput {
    /// `null` is an output, too.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// As the caller calls it: its name, or the whole id.
    #[serde(rename = "run", skip_serializing_if = "Option::is_none")]
    pub called: Option<String>,
    /// The latest in which the step completed, unless it is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iteration: Option<String>,
}

/// `cancel`, `pause`, `resume`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Operation {
    /// Names the operation over its repetitions.
    pub op: Option<OperationId>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signal {
    pub op: Option<OperationId>,
    pub name: String,
    #[serde(default)]
    pub data: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    pub op: Option<OperationId>,
    pub node: String,
    pub generation: Option<u32>,
    pub iteration: Option<String>,
    pub approved: bool,
    pub comment: Option<String>,
    /// Of what is approved, as the step shows it.
    pub args_hash: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rerun {
    pub op: Option<OperationId>,
    pub from: String,
    /// `null` is an input, too.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
}

/// What may be named over its repetitions.
pub trait Named: Serialize {
    /// The name its caller gave it.
    fn op(&mut self) -> &mut Option<OperationId>;
}

macro_rules! named {
    ($($message:ident)*) => {
        $(impl Named for $message {
            fn op(&mut self) -> &mut Option<OperationId> {
                &mut self.op
            }
        })*
    };
}

named!(Operation Signal Approve Rerun);

/// What a worker outside says about a task; either an output or an error.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    pub step: StepKey,
    pub attempt: u32,
    #[serde(default, deserialize_with = "given")]
    pub output: Option<Value>,
    #[serde(default)]
    pub error: Option<Complaint>,
    #[serde(default)]
    pub usage: Option<Used>,
    /// The event's identity; an answer is told from its repetitions by its attempt.
    #[serde(default)]
    pub op: Option<OperationId>,
}

/// Why a worker could not do it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Complaint {
    #[serde(default = "Complaint::usual")]
    pub code: String,
    #[serde(default)]
    pub message: String,
    /// Whether the node's retry policy counts.
    #[serde(default = "Complaint::may_be_retried")]
    pub retryable: bool,
    #[serde(default)]
    pub retry_after: Option<Span>,
}

/// What a worker used.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Used {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub estimated: bool,
}

// === to anybody ===

/// A task as workers outside are offered it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskOffered {
    pub run_id: RunId,
    pub step: StepKey,
    pub attempt: u32,
    pub agent: String,
    pub prompt: Value,
    pub output_schema: Option<Value>,
    /// An answer that comes later does not count; RFC 3339.
    pub deadline: Option<String>,
    /// It is offered once; nobody may perform it twice.
    pub at_most_once: bool,
    /// Whoever answers shows by it that the offer was theirs to read. None before the release before is gone, which
    /// refuses an answer that has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

// === from our own agents, and from the sweeper ===

/// What became of a step's attempt.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Answer {
    pub step: StepKey,
    pub attempt: u32,
    pub outcome: Ending,
    pub usage: Usage,
    /// Models that gave no answer before this one did, or failed for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
}

/// May this activation make the call of an `at_most_once` step?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    pub step: StepKey,
    pub attempt: u32,
    pub activation: String,
}

/// May the agent make one more call?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reserve {
    pub op: OperationId,
    pub step: StepKey,
    pub attempt: u32,
    pub reserved: Reserved,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    pub granted: bool,
}

/// Does the run still wait for this attempt?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IsWanted {
    pub step: StepKey,
    pub attempt: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Wanted {
    pub wanted: bool,
}

/// The catalog says that somebody should look.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Sweep {}

macro_rules! messages {
    (public { $($public:tt)* } internal { $($message:ident: $method:literal -> $answer:ty;)* }) => {
        /// Methods that only our own processes call: they are signed.
        pub(super) const INTERNAL: &[&str] = &[$($method),*];
        messages!($($public)*);
        messages!($($message: $method -> $answer;)*);
    };
    ($($message:ident: $method:literal -> $answer:ty;)*) => {
        $(impl Message for $message {
            const ACTOR: &'static str = WORKFLOW;
            const METHOD: &'static str = $method;
            type To = RunId;
            type Answer = $answer;
        })*
    };
}

messages! {
    public {
        Start: "start" -> RunView;
        Signal: "signal" -> RunView;
        Approve: "approve" -> RunView;
        Rerun: "rerun" -> RunView;
    }
    internal {
        // A worker's result, handed over by the process that took it from the bus.
        Finished: "finished" -> Taken;
        Answer: "answer" -> Taken;
        Grant: "grant" -> Granted;
        Reserve: "reserve" -> Granted;
        IsWanted: "wanted" -> Wanted;
        Sweep: "sweep" -> Taken;
    }
}

impl Complaint {
    fn usual() -> String {
        "worker_failed".into()
    }

    fn may_be_retried() -> bool {
        true
    }
}

/// An output of `null` is an output.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
