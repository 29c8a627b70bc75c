//! Messages to an agent: tasks from runs and from other agents, and what came of those.

use super::Taken;
use crate::AGENT;
use callboard_core::{
    Timestamp,
    agent::{message::Message, run::Ending, task::Task},
    call::Usage,
    workflow::{StepKey, event::Failure},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A task: a run's, or another agent's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskReady {
    /// None where an outside caller's agent delegated it.
    pub run: Option<String>,
    pub step: Option<StepKey>,
    /// When it was published for the first time, so that nobody had saved anything for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Timestamp>,
    pub task: Task,
}

/// What came of a delegated task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Delegated {
    pub attempt: u32,
    pub iteration: u32,
    pub call: String,
    /// The id of the agent that performed it.
    pub from: String,
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
    pub usage: Usage,
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
    ($($message:ident: $method:literal -> $answer:ty;)*) => {
        $(impl super::Message for $message {
            const ACTOR: &'static str = AGENT;
            const METHOD: &'static str = $method;
            type Answer = $answer;
        })*
    };
}

messages! {
    TaskReady: "task" -> Taken;
    Delegated: "delegated" -> Taken;
    AskOutcome: "outcome" -> Outcome;
    DoesAwait: "awaits" -> Awaits;
    Cancel: "cancel" -> Taken;
    Execute: "execute" -> AgentView;
}
