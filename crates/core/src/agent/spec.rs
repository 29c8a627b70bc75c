//! Who an agent is: model, role, goal, backstory, tools, limits. Read from `config/agents.yaml`.

mod read;
mod resolved;

use crate::{request, retry::RetryPolicy};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// The name of the tool by which an agent delegates. An agent that may delegate can't have another tool of this name.
pub const DELEGATE: &str = "delegate";

/// The file `agents.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agents {
    #[serde(default)]
    pub agents: BTreeMap<String, Spec>,
    /// Tools that agents may name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tools: BTreeMap<String, Tool>,
}

/// One agent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    pub model: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 2.0))]
    pub temperature: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// How a failed model call is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backstory: Option<String>,
    /// The system text; without it, it is built of role, goal and backstory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// It may ask the agents of `delegate_to` to perform parts of its tasks.
    #[serde(default)]
    pub allow_delegation: bool,
    /// Names of `agents` that it may ask; there is no "all", since each of them brings its own tools.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegate_to: Vec<String>,
    /// Names of `tools`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    #[serde(default)]
    pub limits: Limits,
    /// Models tried in order when the first is unavailable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallback_models: Vec<String>,
}

/// Bounds on one task of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Rounds of model and tool calls.
    #[schemars(range(min = 1, max = 1000))]
    pub iterations: u32,
    /// Model calls.
    pub calls: Option<u64>,
    pub tokens: Option<u64>,
    pub seconds: Option<u64>,
    /// The same tool with the same arguments so many times is a loop.
    #[schemars(range(min = 2, max = 100))]
    pub repeats: u32,
}

/// A tool that agents may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    pub description: String,
    /// JSON Schema of the arguments.
    #[serde(default = "Tool::any_object")]
    pub parameters: Value,
    #[serde(flatten)]
    #[schemars(flatten)]
    pub kind: ToolKind,
}

/// What a tool does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "config", rename_all = "snake_case", deny_unknown_fields)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful of tools are read once; a box would show in every match"
)]
pub enum ToolKind {
    /// An HTTP call; templates see `args`.
    Http(request::Template),
    /// An expression over `args`.
    Expression { value: String },
}

// === impl ===

impl Spec {
    /// Returns what others are told it is for.
    pub fn summary(&self) -> String {
        let parts =
            [&self.role, &self.goal].into_iter().flatten().map(|part| part.trim().trim_end_matches('.'));
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        if parts.is_empty() { "no description".to_owned() } else { parts.join(": ") }
    }

    /// Returns the system text: the instructions, else what role, goal and backstory say; none without any.
    pub fn system_text(&self) -> Option<String> {
        if let Some(instructions) = &self.instructions {
            return Some(instructions.clone());
        }
        let parts: Vec<String> = [
            self.role.as_ref().map(|role| format!("You are {}.", role.trim_end_matches('.'))),
            self.goal.as_ref().map(|goal| format!("Your goal: {goal}")),
            self.backstory.as_ref().map(|story| format!("Your background: {story}")),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!parts.is_empty()).then(|| parts.join("\n\n"))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { iterations: 20, calls: None, tokens: None, seconds: None, repeats: 3 }
    }
}

impl Tool {
    fn any_object() -> Value {
        serde_json::json!({"type": "object"})
    }
}

#[cfg(test)]
mod tests;
