//! What an endpoint can do, model by model. The settings say it, else what it refused before, else its name.
//!
//! A setting is never second-guessed: what it says is sent, and refused where it is wrong.

use callboard_core::agent::message::ModelRequest;
use serde::Deserialize;
use std::collections::BTreeSet;

/// How an answer is held to its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// `response_format` has the schema.
    JsonSchema,
    /// `response_format` asks for JSON, the prompt has the schema.
    JsonObject,
    /// The prompt has the schema.
    Prompt,
}

/// The field that bounds an answer's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenLimit {
    MaxTokens,
    MaxCompletionTokens,
    None,
}

/// The role that the instructions have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instructions {
    System,
    Developer,
    /// They stand before the first question.
    User,
}

/// What is said of an endpoint, or of one of its models; what is not said is found out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Abilities {
    pub structured: Option<Structured>,
    /// Whether `response_format` may stand beside tools.
    pub structured_with_tools: Option<bool>,
    pub token_limit: Option<TokenLimit>,
    /// Whether a temperature may be named.
    pub temperature: Option<bool>,
    pub stream: Option<bool>,
    /// Whether a stream is asked for its use of tokens (`stream_options`).
    pub stream_usage: Option<bool>,
    pub instructions: Option<Instructions>,
    /// What is sent as `parallel_tool_calls` beside tools; nothing where it is not said.
    pub parallel_tool_calls: Option<bool>,
    /// Whether fields of its answers that nobody here knows go back to it.
    pub send_back: Option<bool>,
}

/// What is known of a model, everything said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dialect {
    pub structured: Structured,
    pub structured_with_tools: bool,
    pub token_limit: TokenLimit,
    pub temperature: bool,
    pub stream: bool,
    pub stream_usage: bool,
    pub instructions: Instructions,
    pub parallel_tool_calls: Option<bool>,
    pub send_back: bool,
    /// Fields that do not go back.
    pub dropped: BTreeSet<String>,
}

/// Families that refuse `max_tokens`; compatible servers often know nothing else.
const NEW_LIMIT: [&str; 4] = ["o1", "o3", "o4", "gpt-5"];

// === impl Abilities ===

impl Abilities {
    /// Returns what `over` says, and where it says nothing, what `self` does.
    #[must_use]
    pub fn under(&self, over: &Abilities) -> Abilities {
        Abilities {
            structured: over.structured.or(self.structured),
            structured_with_tools: over.structured_with_tools.or(self.structured_with_tools),
            token_limit: over.token_limit.or(self.token_limit),
            temperature: over.temperature.or(self.temperature),
            stream: over.stream.or(self.stream),
            stream_usage: over.stream_usage.or(self.stream_usage),
            instructions: over.instructions.or(self.instructions),
            parallel_tool_calls: over.parallel_tool_calls.or(self.parallel_tool_calls),
            send_back: over.send_back.or(self.send_back),
        }
    }

    /// What the names of a host and of a model tell, after their vendors' documentation.
    pub(super) fn by_name(host: &str, model: &str) -> Abilities {
        let model = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let is = |family: &str| {
            model.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let mut said = Abilities::default();
        if NEW_LIMIT.iter().any(|family| model.starts_with(family)) {
            said.token_limit = Some(TokenLimit::MaxCompletionTokens);
        }
        if ["o1", "o3", "o4", "gpt-5"].into_iter().any(is) && !model.contains("chat") {
            said.temperature = Some(false);
        }
        if is("o1-mini") || is("o1-preview") {
            said.instructions = Some(Instructions::User);
        }
        if host == "api.deepseek.com" {
            said.structured = Some(Structured::JsonObject);
        } else if host == "api.anthropic.com" {
            // It takes a `response_format` and does not look at it.
            said.structured = Some(Structured::Prompt);
        } else if host == "api.mistral.ai" {
            said.stream_usage = Some(false);
        } else if host == "generativelanguage.googleapis.com"
            && (is("gemini-1.5") || is("gemini-2.0") || is("gemini-2.5"))
        {
            said.structured_with_tools = Some(false);
        }
        said
    }
}

// === impl Dialect ===

impl Dialect {
    pub fn of(said: &Abilities, dropped: BTreeSet<String>) -> Self {
        Self {
            structured: said.structured.unwrap_or(Structured::JsonSchema),
            structured_with_tools: said.structured_with_tools.unwrap_or(true),
            token_limit: said.token_limit.unwrap_or(TokenLimit::MaxTokens),
            temperature: said.temperature.unwrap_or(true),
            stream: said.stream.unwrap_or(true),
            stream_usage: said.stream_usage.unwrap_or(true),
            instructions: said.instructions.unwrap_or(Instructions::System),
            parallel_tool_calls: said.parallel_tool_calls,
            send_back: said.send_back.unwrap_or(true),
            dropped,
        }
    }

    /// How the answer to this request is held to its schema; not at all without one.
    pub fn structured(&self, request: &ModelRequest) -> Option<Structured> {
        request.output_schema.as_ref()?;
        let beside = request.tools.is_empty() || self.structured_with_tools;
        Some(if beside { self.structured } else { Structured::Prompt })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_their_vendors_document() {
        let of = |host, model| Dialect::of(&Abilities::by_name(host, model), BTreeSet::new());
        let plain = Dialect::of(&Abilities::default(), BTreeSet::new());
        assert_eq!(of("api.openai.com", "gpt-4o"), plain);
        assert_eq!(of("localhost", "o200k-model"), plain, "a name that only begins like one");
        let new =
            Dialect { token_limit: TokenLimit::MaxCompletionTokens, temperature: false, ..plain.clone() };
        assert_eq!(of("api.openai.com", "gpt-5-mini"), new);
        assert_eq!(of("openrouter.ai", "openai/o3"), new);
        assert_eq!(of("x", "o1-mini"), Dialect { instructions: Instructions::User, ..new.clone() });
        assert!(of("x", "gpt-5-chat-latest").temperature && of("x", "gpt-5.1").temperature);
        assert_eq!(of("api.deepseek.com", "deepseek-chat").structured, Structured::JsonObject);
        assert_eq!(of("api.anthropic.com", "claude-sonnet-4-5").structured, Structured::Prompt);
        assert!(!of("api.mistral.ai", "mistral-large-latest").stream_usage);
        let gemini = |model| of("generativelanguage.googleapis.com", model).structured_with_tools;
        assert!(!gemini("gemini-2.5-flash") && gemini("gemini-3-pro-preview"));
    }
}
