//! What crosses the border to a model: messages and tool calls. Providers' wire types stay on their side.

use crate::call::Usage;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    User,
    Assistant,
    Tool,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub role: Role,
    pub content: String,
    /// Of an assistant's message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's message: the call it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Of an assistant's message: what its provider wants back with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extras: Option<Extras>,
}

/// Fields of a provider's message that nobody here reads: reasoning, signatures. They go back as they came, to the
/// provider they came from and to no other.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Extras {
    /// The provider's name in the settings.
    pub provider: String,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub message: Map<String, Value>,
    /// Those of each tool call, in the calls' order; shorter where the last calls have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Map<String, Value>>,
}

/// A call a model asks for. The arguments are text until they are checked: models write invalid JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The provider's id in a message; the place among its round's calls (`0`, `1`, …) in the agent's state.
    pub id: String,
    /// Name of the tool.
    pub name: String,
    /// JSON, as the model wrote it.
    pub arguments: String,
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    /// By which the model calls it.
    pub name: String,
    /// What the model is told that it does.
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

/// One call of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// `gpt-4`, or `provider/model` for a named provider.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// The tools that the model may call.
    pub tools: Vec<ToolSpec>,
    pub temperature: Option<f64>,
    /// Tokens of the largest answer.
    pub max_tokens: Option<u32>,
    /// JSON Schema of the answer.
    pub output_schema: Option<Value>,
    /// Stable over repetitions of the same attempt.
    pub idempotency_key: String,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    /// Empty where the model only calls tools.
    pub text: String,
    /// In the order in which the model wants them.
    pub tool_calls: Vec<ToolCall>,
    /// What this call used.
    pub usage: Usage,
    /// Tokens of the prompt that the provider had kept from calls before, and asks less for.
    pub cached: u64,
    /// The model that answered, as it names itself; `scripted` answers say so.
    pub model: String,
    pub finish: Finish,
    pub extras: Option<Extras>,
}

/// How an answer ended. One that is not complete is no answer, whatever stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    #[default]
    Complete,
    /// The token limit ended it.
    Cut,
    /// The provider's filter ended it.
    Filtered,
    /// The model said that it won't, in these words.
    Refused(String),
    /// The model thought, and said nothing after it.
    Thought,
}

// === impl Message ===

impl Message {
    /// A message that calls no tool and answers none.
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None, extras: None }
    }
}
