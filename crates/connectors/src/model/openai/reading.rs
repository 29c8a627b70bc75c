//! Reading answers: what is needed must be there, the rest may be missing or new.

use super::super::{estimate, invalid};
use crate::CallError;
use callboard_core::{
    agent::message::{ModelReply, ModelRequest, ToolCall},
    call::Usage,
};
use serde::Deserialize;
use serde_json::Value;

/// Of a provider's error text, in characters.
const ERROR_TEXT: usize = 300;

/// An answer, or one piece of a streamed one.
#[derive(Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub model: Option<String>,
    #[serde(default)]
    pub choices: Vec<Choice>,
    #[serde(default)]
    pub usage: Option<Tokens>,
    /// Some servers report a failure inside a stream that began well.
    #[serde(default)]
    pub error: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default, alias = "delta")]
    pub message: Option<Piece>,
    #[serde(default)]
    pub finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Piece {
    #[serde(default)]
    pub content: Option<String>,
    #[serde(default)]
    pub refusal: Option<String>,
    #[serde(default)]
    pub tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    pub index: Option<usize>,
    #[serde(default)]
    pub id: Option<String>,
    #[serde(default)]
    pub function: Option<Function>,
}

#[derive(Default, Deserialize)]
pub(super) struct Function {
    #[serde(default)]
    pub name: Option<String>,
    /// Text by the book; some servers send the object itself.
    #[serde(default)]
    pub arguments: Option<Value>,
}

#[derive(Clone, Copy, Deserialize)]
pub(super) struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// What has come of an answer so far.
#[derive(Default)]
pub(super) struct Gathered {
    text: String,
    calls: Vec<ToolCall>,
    usage: Option<Tokens>,
    model: Option<String>,
    finish: Option<String>,
}

/// No model asks for more at once.
const CALLS: usize = 128;

// === impl Gathered ===

impl Gathered {
    /// Adds a piece; returns its text.
    pub fn add(&mut self, answer: Answer) -> Result<String, CallError> {
        if let Some(error) = answer.error.filter(|error| !error.is_null()) {
            let message = format!("the provider broke off{}", describe(&error));
            return Err(CallError::transient("model_unavailable", message));
        }
        self.usage = answer.usage.or(self.usage);
        self.model = answer.model.filter(|model| !model.is_empty()).or(self.model.take());
        // We ask for one choice.
        let Some(choice) = answer.choices.into_iter().next() else { return Ok(String::new()) };
        self.finish = choice.finish_reason.or(self.finish.take());
        let piece = choice.message.unwrap_or_default();
        let text = piece.content.unwrap_or_default() + &piece.refusal.unwrap_or_default();
        self.text.push_str(&text);
        for (n, call) in piece.tool_calls.unwrap_or_default().into_iter().enumerate() {
            self.add_call(call.index.unwrap_or(n), call)?;
        }
        Ok(text)
    }

    fn add_call(&mut self, index: usize, call: Call) -> Result<(), CallError> {
        if index >= CALLS {
            return Err(invalid("the answer asks for too many tools at once", false));
        }
        while self.calls.len() <= index {
            let id = format!("call_{}", self.calls.len());
            self.calls.push(ToolCall { id, name: String::new(), arguments: String::new() });
        }
        let gathered = &mut self.calls[index];
        if let Some(id) = call.id.filter(|id| !id.is_empty()) {
            gathered.id = id;
        }
        let function = call.function.unwrap_or_default();
        gathered.name.push_str(&function.name.unwrap_or_default());
        match function.arguments {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => gathered.arguments.push_str(&text),
            Some(other) => gathered.arguments.push_str(&other.to_string()),
        }
        Ok(())
    }

    /// The provider said that the answer is complete.
    pub fn is_finished(&self) -> bool {
        self.finish.is_some()
    }

    pub fn reply(mut self, request: &ModelRequest) -> Result<ModelReply, CallError> {
        self.calls.retain(|call| !call.name.is_empty());
        if self.text.is_empty() && self.calls.is_empty() {
            return Err(match self.finish.as_deref() {
                Some("content_filter") => {
                    CallError::permanent("model_rejected", "the provider's filter stopped the answer")
                }
                // The limit was used up before the first word, by reasoning.
                Some("length") => {
                    CallError::permanent("model_rejected", "the token limit leaves no room for an answer")
                }
                _ => invalid("the answer is empty", true),
            });
        }
        for call in &mut self.calls {
            if call.arguments.trim().is_empty() {
                call.arguments = "{}".to_owned();
            }
        }
        let written =
            self.text.len() + self.calls.iter().map(|c| c.name.len() + c.arguments.len()).sum::<usize>();
        let usage = match self.usage {
            Some(Tokens { prompt_tokens, completion_tokens }) => {
                Usage { calls: 1, prompt_tokens, completion_tokens, estimated: false }
            }
            None => Usage::default(),
        };
        // The answer is paid for, whatever its count says.
        let usage = if usage.tokens() > 0 && usage.is_plausible() {
            usage
        } else {
            estimate(&request.messages, written)
        };
        Ok(ModelReply {
            text: self.text,
            tool_calls: self.calls,
            usage,
            model: self.model.unwrap_or_else(|| request.model.clone()),
            truncated: self.finish.as_deref() == Some("length"),
        })
    }
}

/// Reads an answer that came as a whole.
pub(super) fn whole(body: &[u8], request: &ModelRequest) -> Result<ModelReply, CallError> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|e| invalid(format!("the answer is not as agreed: {}", place(&e)), true))?;
    let mut gathered = Gathered::default();
    gathered.add(answer)?;
    gathered.reply(request)
}

/// Returns what an error's body says (`: …`), and the provider's code for it.
pub(super) fn refusal(body: &[u8]) -> (String, String) {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = body.get("error").unwrap_or(&body);
    let code = error.get("code").or_else(|| error.get("type")).and_then(Value::as_str).unwrap_or_default();
    (describe(error), code.to_owned())
}

fn describe(error: &Value) -> String {
    let message = error.get("message").or(Some(error)).and_then(Value::as_str).unwrap_or_default();
    if message.is_empty() {
        return String::new();
    }
    format!(": {}", message.chars().take(ERROR_TEXT).collect::<String>())
}

/// Where and how JSON is wrong, without quoting it.
pub(super) fn place(error: &serde_json::Error) -> String {
    let kind = if error.is_data() { "a field has another type" } else { "it is not JSON" };
    format!("{kind} (line {}, column {})", error.line(), error.column())
}
