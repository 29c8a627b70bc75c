//! Delegation: an agent with `allow_delegation` has one more tool, by which another agent performs a part of its task.
//!
//! The agents' file says whom an agent may ask (`delegate_to`). An agent that is asked may ask nobody whom the asker
//! could not ask itself.
//!
//! The other agent works as for any task; its answer, or its failure, is the tool's answer. How deep this goes is
//! bounded, and what it uses counts for the one who delegated.

use super::{
    message::{ToolCall, ToolSpec},
    spec::{Agents, DELEGATE},
    task::{Profile, Task},
};
use crate::{Datum, call::CallError};
use serde::Deserialize;
use serde_json::{Value, json};

/// How often a task may be passed on.
pub const DEPTH: u32 = 5;
/// What may be asked of another agent, in bytes.
const TASK_LIMIT: usize = 64 << 10;

/// The tool's arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Name of the agent that is asked.
    pub agent: String,
    /// What it is asked to do.
    pub task: String,
}

/// Returns the input of a delegated task: what is asked, and whom the one who is asked may ask in turn. That is at
/// most whom the asker may ask.
pub fn input(request: &Request, asker: &Profile) -> Value {
    let peers: Vec<&String> = asker.peers.keys().collect();
    json!({"agent": request.agent, "prompt": request.task, "delegate_to": peers})
}

/// Whether the task lets its agent delegate to `name`. A task of a run does, and so does one that was delegated
/// before the input said whom.
pub fn leaves_open(task: &Task, name: &str) -> bool {
    match &task.input {
        Datum::Inline(input) if task.origin.is_some() => {
            input["delegate_to"].as_array().is_none_or(|names| names.iter().any(|n| n == name))
        }
        Datum::Inline(_) => true,
        // The names of a delegated task always stand in its own input. What can't be looked into allows nobody.
        Datum::Stored(_) => task.origin.is_none(),
    }
}

// === impl Profile ===

impl Profile {
    /// Finds who performs a task, and with what; the task says whom it may be passed on to. None where no agent has that
    /// name.
    pub fn of(agents: &Agents, task: &Task) -> Option<Profile> {
        let spec = agents.agents.get(&task.agent)?.clone();
        let tools = spec.tools.iter();
        let tools = tools.filter_map(|name| Some((name.clone(), agents.tools.get(name)?.clone()))).collect();
        let others = spec
            .delegate_to
            .iter()
            .filter(|name| spec.allow_delegation && **name != task.agent && leaves_open(task, name));
        let peers = others.filter_map(|name| Some((name.clone(), agents.agents.get(name)?.summary())));
        Some(Profile { peers: peers.collect(), secrets: agents.secrets([&task.agent]), tools, spec })
    }

    /// Whether the agent may delegate parts of this task. A task that must be done at most once is done by one agent
    /// alone.
    pub fn may_delegate(&self, task: &Task) -> bool {
        !self.peers.is_empty() && !task.at_most_once && depth(task) < DEPTH
    }

    /// Returns the tool as a model sees it, if the agent may delegate.
    pub fn delegate_tool(&self, task: &Task) -> Option<ToolSpec> {
        if !self.may_delegate(task) {
            return None;
        }
        let who: Vec<String> = self.peers.iter().map(|(name, what)| format!("{name} ({what})")).collect();
        let names: Vec<&String> = self.peers.keys().collect();
        Some(ToolSpec {
            name: DELEGATE.to_owned(),
            description: format!(
                "Asks another agent to perform a part of your task and returns its answer. It knows nothing but what \
                 you write in `task`. The agents: {}",
                who.join("; ")
            ),
            parameters: json!({
                "type": "object",
                "properties": {"agent": {"type": "string", "enum": names}, "task": {"type": "string"}},
                "required": ["agent", "task"],
                "additionalProperties": false,
            }),
        })
    }
}

/// Reads a call of the tool. Errs with `invalid_arguments` and a sentence for the model.
pub fn check(profile: &Profile, call: &ToolCall) -> Result<Request, CallError> {
    let wrong = |message: String| CallError::permanent("invalid_arguments", message);
    let request: Request = serde_json::from_str(&call.arguments)
        .map_err(|e| wrong(format!("the arguments are not {{\"agent\", \"task\"}}: {e}")))?;
    if !profile.peers.contains_key(&request.agent) {
        let known: Vec<&str> = profile.peers.keys().map(String::as_str).collect();
        return Err(wrong(format!("there is no agent {}; there is {}", request.agent, known.join(", "))));
    }
    if request.task.trim().is_empty() || request.task.len() > TASK_LIMIT {
        return Err(wrong(format!("a task has 1 to {TASK_LIMIT} bytes")));
    }
    Ok(request)
}

/// Returns how often the task was passed on; 0 for a task of a run.
pub fn depth(task: &Task) -> u32 {
    task.origin.as_ref().map_or(0, |origin| origin.depth)
}
