//! Messages to an agent: tasks from runs and from other agents, and what came of those.

use super::Taken;
use crate::AGENT;
use callboard_core::{
    Datum, Hash, Timestamp,
    agent::{
        message::Message,
        run::Ending,
        task::{Origin, Task},
    },
    call::{Fallback, Usage},
    id::{AgentId, RunId, WorkflowId},
    workflow::view::UsageView,
    workflow::{StepKey, event::Failure},
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use std::{collections::BTreeSet, ops::Not};

/// A task: a run's, or another agent's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskReady {
    /// None where an outside caller's agent delegated it.
    pub run: Option<RunId>,
    pub step: Option<StepKey>,
    /// The run's, if it is stored: for whose turn it is to call, and nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<WorkflowId>,
    /// When it was published for the first time, so that nobody had saved anything for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    #[serde(serialize_with = "lean")]
    pub task: Task,
}

/// A message leaves out what is as usual. A document can't: its fields are known by their places.
fn lean<S: Serializer>(task: &Task, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Lean<'a> {
        agent: &'a str,
        input: &'a Datum,
        key: &'a str,
        attempt: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        output_schema: Option<&'a Value>,
        #[serde(skip_serializing_if = "Not::not")]
        at_most_once: bool,
        #[serde(skip_serializing_if = "Not::not")]
        budgeted: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        origin: Option<&'a Origin>,
        #[serde(skip_serializing_if = "BTreeSet::is_empty")]
        secrets: &'a BTreeSet<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pin: Option<Hash>,
    }
    let Task { agent, input, key, attempt, output_schema, at_most_once, budgeted, origin, secrets, pin } =
        task;
    let lean = Lean {
        agent,
        input,
        key,
        attempt: *attempt,
        output_schema: output_schema.as_ref(),
        at_most_once: *at_most_once,
        budgeted: *budgeted,
        origin: origin.as_ref(),
        secrets,
        pin: *pin,
    };
    lean.serialize(serializer)
}

/// What came of a delegated task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delegated {
    pub attempt: u32,
    pub iteration: u32,
    pub call: String,
    /// The id of the agent that performed it.
    pub from: AgentId,
    pub outcome: Ending,
    pub usage: Usage,
}

/// What came of the task that was delegated to this agent?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AskOutcome {
    pub attempt: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time; a box would show in every match")]
pub enum Outcome {
    Done(Delegated),
    /// Nothing yet; without `works` the task is lost.
    Open {
        works: bool,
    },
}

/// Does the agent wait for what it delegated by this call?
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DoesAwait {
    pub attempt: u32,
    pub iteration: u32,
    pub call: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Awaits {
    pub awaits: bool,
}

/// Ends a task; without an attempt, whichever is under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Cancel {
    pub attempt: Option<u32>,
}

/// A task from outside, whose caller waits for its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Execute {
    pub agent: String,
    pub prompt: String,
    #[serde(default)]
    pub output_schema: Option<Value>,
}

// === what anybody may see ===

/// An agent as it is shown.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AgentView {
    pub status: AgentStatus,
    /// Null until the task is completed.
    pub output: Value,
    pub error: Option<Failure>,
    /// Its name in the agents' file.
    pub agent: Option<String>,
    pub usage: UsageView,
    /// Models that gave no answer, and which was asked next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    Idle,
    Running,
    Completed,
    Failed,
    /// Nobody knows whether the task was performed.
    Unknown,
    Cancelled,
}

/// A conversation, the task's prompt first.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Messages {
    pub items: Vec<Message>,
}

macro_rules! messages {
    (public { $($public:tt)* } internal { $($message:ident: $method:literal -> $answer:ty;)* }) => {
        /// Methods that only our own processes call: they are signed.
        pub(super) const INTERNAL: &[&str] = &[$($method),*];
        messages!($($public)*);
        messages!($($message: $method -> $answer;)*);
    };
    ($($message:ident: $method:literal -> $answer:ty;)*) => {
        $(impl super::Message for $message {
            const ACTOR: &'static str = AGENT;
            const METHOD: &'static str = $method;
            type To = AgentId;
            type Answer = $answer;
        })*
    };
}

messages! {
    public {
        Cancel: "cancel" -> Taken;
        Execute: "execute" -> AgentView;
    }
    internal {
        TaskReady: "task" -> Taken;
        Delegated: "delegated" -> Taken;
        AskOutcome: "outcome" -> Outcome;
        DoesAwait: "awaits" -> Awaits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_task_says_only_what_is_not_as_usual_and_reads_as_it_was() {
        let usual = Task {
            agent: "a".into(),
            input: Datum::inline(json!("x")),
            key: "r/1/n//1".into(),
            attempt: 1,
            output_schema: None,
            at_most_once: false,
            budgeted: false,
            origin: None,
            secrets: BTreeSet::new(),
            pin: None,
        };
        let origin =
            Origin { depth: 1, agent: "r.n.1._".parse().expect("an id"), iteration: 2, call: "c".into() };
        let full = Task {
            output_schema: Some(json!({"type": "object"})),
            at_most_once: true,
            budgeted: true,
            origin: Some(origin),
            secrets: BTreeSet::from(["key".to_owned()]),
            pin: Some(Hash::of(b"x")),
            ..usual.clone()
        };
        for (task, fields) in [(usual, 4), (full, 10)] {
            let ready = TaskReady {
                run: Some("r".parse().expect("an id")),
                step: None,
                workflow: None,
                first: None,
                task: task.clone(),
            };
            let written = serde_json::to_value(&ready).expect("JSON");
            assert_eq!(written["task"].as_object().map(|task| task.len()), Some(fields), "{written}");
            assert_eq!(serde_json::from_value::<TaskReady>(written).expect("a message").task, task);
        }
    }
}
