//! The kinds of nodes. Every question about a kind is answered here, and nowhere else by a list of kinds: the machine,
//! the shell and the readers of histories ask what a kind is like, not which one it is.
//!
//! Each answer is a `match` without `_`, so a new kind, and a new way to work, must give all of them.

mod schemas;

use super::definition::{
    AgentNode, ApprovalNode, Body, ForEachNode, LoopNode, NodeKind, SignalNode, WaitNode, Worker,
};
use crate::{request, retry::RetryPolicy, transform};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use schemas::placeholder;
pub use schemas::{Described, all, schemas};

/// What becomes of a node that is started.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// It ends in the decision that starts it.
    Decided,
    /// It is open until time or people end it.
    Waits(Waits<'a>),
    /// It is open while the iterations of its body are.
    Holds(Holds<'a>),
    /// It is open until somebody outside of the run answers. It takes a place among the steps that are dispatched at once,
    /// and what failed may be tried again.
    Outside(Outside<'a>),
}

/// What a node waits for.
#[derive(Debug, Clone, Copy)]
pub enum Waits<'a> {
    /// The node waits until an instant, and completes then.
    Time(&'a WaitNode),
    /// The node waits until the signal comes.
    Signal(&'a SignalNode),
    /// The node waits until a person answers.
    People(&'a ApprovalNode),
}

/// How the iterations of a body follow each other.
#[derive(Debug, Clone, Copy)]
pub enum Holds<'a> {
    /// There is one iteration for each item of a list, and several run at a time.
    ForEach(&'a ForEachNode),
    /// One iteration follows the other.
    Loop(&'a LoopNode),
}

// === impl Holds ===

impl<'a> Holds<'a> {
    /// The expression of the list that a body sees the items of.
    pub fn items(self) -> Option<&'a str> {
        match self {
            Holds::ForEach(each) => Some(&each.items),
            Holds::Loop(_) => None,
        }
    }

    /// Whether a body sees what the round before it left.
    pub fn has_last(self) -> bool {
        match self {
            Holds::ForEach(_) => false,
            Holds::Loop(_) => true,
        }
    }
}

/// What kinds have in common for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Models and agents.
    Ai,
    /// Changes data.
    Data,
    /// Decides what follows, and how often.
    Flow,
    /// Waits for time, or for what happens outside.
    Wait,
    /// Asks people.
    People,
    /// Calls others.
    Call,
}

/// Who outside of the run performs a step.
#[derive(Debug, Clone, Copy)]
pub enum Outside<'a> {
    /// An agent of ours.
    Agent(&'a AgentNode),
    /// A program that takes offers.
    Worker(&'a AgentNode),
    /// The server at an address.
    Http(&'a request::Template),
}

/// A named way out of a node. An edge with a branch is taken only if the node ends by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    /// The condition holds.
    True,
    /// The condition does not hold.
    False,
    /// The approval was given.
    Approved,
    /// The approval was denied, or nobody answered in time.
    Rejected,
    /// The node failed, and has `on_error: branch`.
    Error,
}

// === impl NodeKind ===

impl NodeKind {
    /// Every kind as `type` writes it, in the order of the enum.
    pub fn names() -> impl Iterator<Item = &'static str> {
        all().iter().map(|kind| kind.name.as_str())
    }

    /// Finds a kind by its name, with the least configuration: what does not depend on that can be asked of it. None for a
    /// name that only a later version knows.
    pub fn named(name: &str) -> Option<&'static NodeKind> {
        all().iter().find(|kind| kind.name == name).and_then(|kind| kind.example.as_ref())
    }

    /// The kind as `type` writes it.
    pub fn name(&self) -> &'static str {
        schemas::name(self)
    }

    /// What becomes of the node when it is started.
    pub fn work(&self) -> Work<'_> {
        match self {
            NodeKind::Agent(agent) => Work::Outside(match agent.worker {
                Worker::Internal => Outside::Agent(agent),
                Worker::External => Outside::Worker(agent),
            }),
            NodeKind::Transform(_) | NodeKind::Condition(_) => Work::Decided,
            NodeKind::ForEach(each) => Work::Holds(Holds::ForEach(each)),
            NodeKind::Loop(again) => Work::Holds(Holds::Loop(again)),
            NodeKind::Wait(wait) => Work::Waits(Waits::Time(wait)),
            NodeKind::Signal(signal) => Work::Waits(Waits::Signal(signal)),
            NodeKind::Approval(approval) => Work::Waits(Waits::People(approval)),
            NodeKind::Http(call) => Work::Outside(Outside::Http(call)),
        }
    }

    /// The branches by which the node can end when it completes.
    pub fn branches(&self) -> &'static [Branch] {
        match self {
            NodeKind::Condition(_) => &[Branch::True, Branch::False],
            NodeKind::Approval(_) => &[Branch::Approved, Branch::Rejected],
            NodeKind::Agent(_)
            | NodeKind::Transform(_)
            | NodeKind::ForEach(_)
            | NodeKind::Loop(_)
            | NodeKind::Wait(_)
            | NodeKind::Signal(_)
            | NodeKind::Http(_) => &[],
        }
    }

    /// How failures are retried where the node does not say. An agent retries its own model calls, so its step is not by
    /// default; a read may be repeated, a write not unless the definition says so.
    pub fn default_retry(&self) -> RetryPolicy {
        let reads = match self.work() {
            Work::Outside(Outside::Http(call)) => call.method.is_read(),
            Work::Outside(Outside::Agent(_) | Outside::Worker(_))
            | Work::Decided
            | Work::Waits(_)
            | Work::Holds(_) => false,
        };
        RetryPolicy::usual(if reads { 3 } else { 0 })
    }

    /// Who performs it, if that is somebody outside of the run.
    pub fn outside(&self) -> Option<Outside<'_>> {
        match self.work() {
            Work::Outside(outside) => Some(outside),
            Work::Decided | Work::Waits(_) | Work::Holds(_) => None,
        }
    }

    /// Whether an agent performs it, of ours or not.
    pub fn is_agent(&self) -> bool {
        match self.outside() {
            Some(Outside::Agent(_) | Outside::Worker(_)) => true,
            Some(Outside::Http(_)) | None => false,
        }
    }

    /// What it waits for, if it waits for time or people.
    pub fn waits(&self) -> Option<Waits<'_>> {
        match self.work() {
            Work::Waits(waits) => Some(waits),
            Work::Decided | Work::Holds(_) | Work::Outside(_) => None,
        }
    }

    /// How the iterations of its body follow each other, if it has a body.
    pub fn holds(&self) -> Option<Holds<'_>> {
        match self.work() {
            Work::Holds(holds) => Some(holds),
            Work::Decided | Work::Waits(_) | Work::Outside(_) => None,
        }
    }

    /// The graph inside, of a node that holds others.
    pub fn body(&self) -> Option<&Body> {
        self.holds().map(|holds| match holds {
            Holds::ForEach(each) => &each.body,
            Holds::Loop(again) => &again.body,
        })
    }

    /// Returns the agent that it names: one of ours, or a worker outside.
    pub fn agent(&self) -> Option<&AgentNode> {
        match self.outside() {
            Some(Outside::Agent(agent) | Outside::Worker(agent)) => Some(agent),
            Some(Outside::Http(_)) | None => None,
        }
    }

    /// The agent of ours that it asks.
    pub fn asks_agent(&self) -> Option<&AgentNode> {
        match self.outside() {
            Some(Outside::Agent(agent)) => Some(agent),
            Some(Outside::Worker(_) | Outside::Http(_)) | None => None,
        }
    }

    /// The task that is offered to workers outside.
    pub fn asks_worker(&self) -> Option<&AgentNode> {
        match self.outside() {
            Some(Outside::Worker(agent)) => Some(agent),
            Some(Outside::Agent(_) | Outside::Http(_)) | None => None,
        }
    }

    /// The call that it makes.
    pub fn request(&self) -> Option<&request::Template> {
        match self.outside() {
            Some(Outside::Http(call)) => Some(call),
            Some(Outside::Agent(_) | Outside::Worker(_)) | None => None,
        }
    }

    /// The question that it asks a person.
    pub fn approval(&self) -> Option<&ApprovalNode> {
        match self.waits() {
            Some(Waits::People(approval)) => Some(approval),
            Some(Waits::Time(_) | Waits::Signal(_)) | None => None,
        }
    }

    /// The signal that it takes.
    pub fn signal(&self) -> Option<&SignalNode> {
        match self.waits() {
            Some(Waits::Signal(signal)) => Some(signal),
            Some(Waits::Time(_) | Waits::People(_)) | None => None,
        }
    }

    /// Whether it has rules, which see the node's data only.
    pub fn has_rules(&self) -> bool {
        matches!(self, NodeKind::Transform(_))
    }

    /// The schema that the answer from outside must satisfy.
    pub fn output_schema(&self) -> Option<&Value> {
        self.agent().and_then(|agent| agent.output_schema.as_ref())
    }

    /// What it has in common with other kinds, for people.
    pub fn family(&self) -> Family {
        match self {
            NodeKind::Agent(_) => Family::Ai,
            NodeKind::Transform(_) => Family::Data,
            NodeKind::Condition(_) | NodeKind::ForEach(_) | NodeKind::Loop(_) => Family::Flow,
            NodeKind::Wait(_) | NodeKind::Signal(_) => Family::Wait,
            NodeKind::Approval(_) => Family::People,
            NodeKind::Http(_) => Family::Call,
        }
    }

    /// The name of what stands for it, among Tabler's icons.
    pub fn icon(&self) -> &'static str {
        match self {
            NodeKind::Agent(_) => "robot",
            NodeKind::Transform(_) => "transform",
            NodeKind::Condition(_) => "git-branch",
            NodeKind::ForEach(_) => "stack-2",
            NodeKind::Loop(_) => "repeat",
            NodeKind::Wait(_) => "clock",
            NodeKind::Signal(_) => "bell",
            NodeKind::Approval(_) => "user-check",
            NodeKind::Http(_) => "world",
        }
    }

    /// The branch by which it ends with an output that is given, not made.
    pub fn branch_of(&self, output: &Value) -> Option<Branch> {
        let holds = |yes: bool| self.branches().get(usize::from(!yes)).copied();
        match self {
            NodeKind::Condition(_) => holds(output.as_bool().unwrap_or_default()),
            NodeKind::Approval(_) => {
                holds(output.get("approved").and_then(Value::as_bool).unwrap_or_default())
            }
            NodeKind::Agent(_)
            | NodeKind::Transform(_)
            | NodeKind::ForEach(_)
            | NodeKind::Loop(_)
            | NodeKind::Wait(_)
            | NodeKind::Signal(_)
            | NodeKind::Http(_) => None,
        }
    }

    /// The JSON Schema of its output when it completes, as far as its configuration says it. What the body of a node gives
    /// takes a look at the body.
    pub fn output(&self) -> Value {
        match self {
            NodeKind::Agent(agent) => match (&agent.output_schema, agent.worker) {
                (Some(schema), _) => schema.clone(),
                (None, Worker::Internal) => json!({"type": "string"}),
                (None, Worker::External) => json!({}),
            },
            NodeKind::Transform(transform) => transform::output(&transform.rules),
            NodeKind::Condition(_) => json!({"type": "boolean"}),
            NodeKind::ForEach(_) => json!({"type": "array"}),
            NodeKind::Loop(_) | NodeKind::Signal(_) => json!({}),
            NodeKind::Wait(_) => json!({"type": "object", "required": ["until"],
                "properties": {"until": {"type": "string", "format": "date-time"}}}),
            NodeKind::Approval(_) => json!({"type": "object", "required": ["approved"], "properties": {
                "approved": {"type": "boolean"}, "comment": {"type": ["string", "null"]}, "expired": {"type": "boolean"}}}),
            NodeKind::Http(_) => {
                json!({"type": "object", "required": ["status", "headers", "body"], "properties": {
                "status": {"type": "integer"}, "headers": {"type": "object"}, "body": {}}})
            }
        }
    }

    /// Whether its deadline is an instant of the wall clock's, not a span of the run's own time.
    pub fn is_due_by_the_wall_clock(&self) -> bool {
        match self.waits() {
            Some(Waits::Time(wait)) => wait.r#for.is_none() && wait.until.is_some(),
            Some(Waits::Signal(_) | Waits::People(_)) | None => false,
        }
    }
}

// === impl Branch ===

impl Branch {
    /// The branch as edges and events write it.
    pub fn name(self) -> &'static str {
        match self {
            Branch::True => "true",
            Branch::False => "false",
            Branch::Approved => "approved",
            Branch::Rejected => "rejected",
            Branch::Error => "error",
        }
    }

    /// Reads the branch that an event names; none for a name that only a later version knows.
    pub fn named(name: &str) -> Option<Self> {
        let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
        Branch::deserialize(name).ok()
    }
}

#[cfg(test)]
mod tests;
