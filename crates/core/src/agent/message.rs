//! What crosses the border to a model: messages, tool calls, usage. Providers' wire types stay on their side.

use crate::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

/// A call a model asks for. The arguments are text until they are checked: models write invalid JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    pub arguments: String,
}

/// A tool as a model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolSpec {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub parameters: Value,
}

/// One call of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// `gpt-4`, or `provider/model` for a named provider.
    pub model: String,
    pub messages: Vec<Message>,
    pub tools: Vec<ToolSpec>,
    pub temperature: Option<f64>,
    pub max_tokens: Option<u32>,
    /// JSON Schema of the answer.
    pub output_schema: Option<Value>,
    /// Stable over repetitions of the same attempt.
    pub idempotency_key: String,
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReply {
    pub text: String,
    pub tool_calls: Vec<ToolCall>,
    pub usage: Usage,
    /// The model that answered, as it names itself; `scripted` answers say so.
    pub model: String,
    /// The answer was cut by the token limit.
    pub truncated: bool,
}

/// Why a model did not answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallError {
    /// Stable: `model_rate_limited`, `model_unavailable`, `model_rejected`, `model_invalid_response`, `model_timeout`;
    /// of other calls `http_…`.
    pub code: String,
    pub message: String,
    /// Trying again may help.
    pub retryable: bool,
    /// The provider named a delay.
    pub retry_after: Option<Span>,
}

/// What calls used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    pub calls: u64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// A provider did not say how many tokens it used: some of them are a guess.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

// === impl CallError ===

impl CallError {
    /// Whether the call may have been performed although it failed: it went out, and no answer came back or was waited for.
    pub fn leaves_unknown(&self) -> bool {
        matches!(
            self.code.as_str(),
            "timeout" | "http_timeout" | "http_broken" | "model_timeout" | "agent_cancelled"
        )
    }
}

// === impl Usage ===

impl Usage {
    /// More than anybody uses, and the last whole number that every reader of JSON reads as written.
    pub const LIMIT: u64 = 1 << 53;

    pub fn is_plausible(&self) -> bool {
        [self.calls, self.prompt_tokens, self.completion_tokens].iter().all(|n| *n <= Self::LIMIT)
    }

    /// Takes what somebody outside says they used: a number that can't be is none, and what is left is a guess.
    pub fn believed(self) -> Self {
        if self.is_plausible() {
            return self;
        }
        let known = |n: u64| if n <= Self::LIMIT { n } else { 0 };
        Self {
            calls: known(self.calls),
            prompt_tokens: known(self.prompt_tokens),
            completion_tokens: known(self.completion_tokens),
            estimated: true,
        }
    }

    pub fn tokens(&self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        self.calls = self.calls.saturating_add(other.calls);
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
        self.estimated = self.estimated || other.estimated;
    }
}

// === impl Message ===

impl Message {
    pub fn new(role: Role, content: impl Into<String>) -> Self {
        Self { role, content: content.into(), tool_calls: Vec::new(), tool_call_id: None }
    }
}
