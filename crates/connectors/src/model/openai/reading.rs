//! Reading answers: what is needed is read as a value, wherever and in whatever form a known dialect has it; all else is
//! nobody's business. A whole answer and a streamed one are put together by the same rules.

use super::{
    super::{estimate, invalid},
    events::Events,
    extras::Gathering,
    lenient::{self, place},
    refusal,
    thinking::{self, Aloud},
};
use crate::CallError;
use callboard_core::{
    agent::message::{Finish, ModelReply, ModelRequest, ToolCall},
    call::Usage,
    json,
};
use serde_json::{Map, Value};

/// No model asks for more at once.
const CALLS: usize = 128;
/// Of a refusal's words, in characters.
const REFUSAL: usize = 300;

/// What has come of an answer so far.
#[derive(Default)]
pub(super) struct Gathered {
    /// Without what was thought aloud.
    text: String,
    aloud: Aloud,
    /// It has reasoning beside its text.
    thought: bool,
    refusal: String,
    /// Bytes of all texts, those of thinking included: they are paid for.
    written: usize,
    calls: Vec<Call>,
    extras: Gathering,
    tokens: Tokens,
    model: Option<String>,
    end: Option<End>,
}

/// A tool call, in pieces.
#[derive(Default)]
struct Call {
    /// What the stream calls it.
    index: Option<u64>,
    id: String,
    name: String,
    arguments: String,
}

#[derive(Debug, Clone, Copy, Default)]
struct Tokens {
    prompt: Option<u64>,
    completion: Option<u64>,
    /// A part of the prompt's.
    cached: Option<u64>,
}

/// Why a provider says that an answer ended.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Done,
    Cut,
    Filtered,
    Refused,
    Broken,
}

// === impl Gathered ===

impl Gathered {
    /// Adds an answer, or a piece of one; returns what of its text can be shown.
    pub fn add(&mut self, answer: &Value) -> Result<String, CallError> {
        let answer = answer.as_array().and_then(|items| items.first()).unwrap_or(answer);
        if let Some(error) = answer.get("error").filter(|error| refusal::is_one(error)) {
            return Err(refusal::told(error));
        }
        self.tokens.add(&answer["usage"]);
        self.tokens.add(&answer["x_groq"]["usage"]);
        if let Some(model) = answer["model"].as_str().filter(|model| !model.is_empty()) {
            self.model = Some(model.to_owned());
        }
        // We ask for one choice.
        let Some(choices) = answer["choices"].as_array() else { return Ok(String::new()) };
        let is_first = |choice: &&Value| choice["index"].as_u64().unwrap_or(0) == 0;
        let Some(choice) = choices.iter().find(is_first).or(choices.first()) else {
            return Ok(String::new());
        };
        if let Some(error) = choice.get("error").filter(|error| refusal::is_one(error)) {
            return Err(refusal::told(error));
        }
        self.tokens.add(&choice["usage"]);
        if let Some(reason) = choice["finish_reason"].as_str().filter(|reason| !reason.is_empty()) {
            self.end = Some(End::of(reason));
        }
        let (piece, is_whole) = match (&choice["delta"], &choice["message"]) {
            (Value::Object(delta), _) => (delta, false),
            // A stream may end with the message that it consisted of.
            (_, Value::Object(_)) if self.written > 0 || !self.calls.is_empty() => return Ok(String::new()),
            (_, Value::Object(message)) => (message, true),
            (_, _) => return Ok(choice["text"].as_str().map(|text| self.add_text(text)).unwrap_or_default()),
        };
        self.add_piece(piece, is_whole)
    }

    fn add_piece(&mut self, piece: &Map<String, Value>, is_whole: bool) -> Result<String, CallError> {
        self.extras.add(piece);
        let text = piece.get("content").map(|content| self.add_content(content)).unwrap_or_default();
        if let Some(refusal) = piece.get("refusal").and_then(Value::as_str) {
            self.refusal.push_str(refusal);
            self.written += refusal.len();
        }
        for name in ["reasoning_content", "reasoning"] {
            let thought = piece.get(name).and_then(Value::as_str).map_or(0, str::len);
            self.written += thought;
            self.thought |= thought > 0;
        }
        let calls = match piece.get("tool_calls") {
            Some(Value::Array(calls)) => calls.as_slice(),
            Some(call @ Value::Object(_)) => std::slice::from_ref(call),
            Some(_) | None => &[],
        };
        for (n, call) in calls.iter().enumerate() {
            // In a whole answer a call is its place, whatever it says of itself.
            let index = if is_whole { u64::try_from(n).ok() } else { call["index"].as_u64() };
            self.add_call(index, call, is_whole)?;
        }
        // How calls were said before there were several.
        if let Some(function) = piece.get("function_call").filter(|f| f.is_object()) {
            self.add_call(Some(0), &serde_json::json!({"function": function}), is_whole)?;
        }
        Ok(text)
    }

    /// A text, or parts of which some may be something else.
    fn add_content(&mut self, content: &Value) -> String {
        match content {
            Value::String(text) => {
                if self.extras.message.contains_key("content") && !text.is_empty() {
                    self.extras.add_content(serde_json::json!([{"type": "text", "text": text}]));
                }
                self.add_text(text)
            }
            Value::Array(parts) => {
                let is_text = |part: &Value| {
                    part.is_string()
                        || matches!(part["type"].as_str(), Some("text" | "output_text" | "refusal") | None)
                };
                if !parts.iter().all(is_text) || self.extras.message.contains_key("content") {
                    self.extras.add_content(content.clone());
                }
                let mut shown = String::new();
                for part in parts {
                    match (part.as_str(), part["type"].as_str()) {
                        (Some(text), _) => shown.push_str(&self.add_text(text)),
                        (None, Some("text" | "output_text") | None) => {
                            shown.push_str(&self.add_text(part["text"].as_str().unwrap_or_default()));
                        }
                        (None, Some("refusal")) => {
                            self.refusal.push_str(part["refusal"].as_str().unwrap_or_default())
                        }
                        (None, Some(kind)) => {
                            self.written += part.to_string().len();
                            self.thought |= matches!(kind, "thinking" | "reasoning" | "redacted_thinking");
                        }
                    }
                }
                shown
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
        }
    }

    fn add_text(&mut self, text: &str) -> String {
        self.written += text.len();
        let shown = self.aloud.push(text);
        self.text.push_str(&shown);
        shown
    }

    fn add_call(&mut self, index: Option<u64>, call: &Value, is_whole: bool) -> Result<(), CallError> {
        let function = &call["function"];
        let id = match &call["id"] {
            Value::String(id) => id.clone(),
            Value::Number(id) => id.to_string(),
            _ => String::new(),
        };
        let name = function["name"].as_str().unwrap_or_default();
        let arguments = match &function["arguments"] {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            // Text by the book; some servers send the object itself.
            other => other.to_string(),
        };
        let at = if is_whole { None } else { self.going_on(index, &id, name, &arguments) };
        let at = match at {
            Some(at) => at,
            None if self.calls.len() >= CALLS => {
                return Err(invalid("the answer asks for too many tools at once", false));
            }
            None => {
                self.calls.push(Call { index, ..Call::default() });
                self.calls.len() - 1
            }
        };
        if let Some(call) = call.as_object() {
            self.extras.add_call(at, call);
        }
        let gathered = &mut self.calls[at];
        if !id.is_empty() {
            gathered.id = id;
        }
        // Some say the name again with each piece.
        if gathered.name != name {
            gathered.name.push_str(name);
        }
        gathered.arguments.push_str(&arguments);
        self.written += name.len() + arguments.len();
        Ok(())
    }

    /// Returns the call that a piece goes on with. Servers are known that give each call the index 0, or none.
    fn going_on(&self, index: Option<u64>, id: &str, name: &str, arguments: &str) -> Option<usize> {
        let same_id = || self.calls.iter().rposition(|call| !id.is_empty() && call.id == id);
        let at = match index {
            Some(_) => self.calls.iter().rposition(|call| call.index == index)?,
            None if name.is_empty() => self.calls.len().checked_sub(1)?,
            None => same_id()?,
        };
        let there = &self.calls[at];
        let is_other = !id.is_empty() && !there.id.is_empty() && there.id != id;
        let begins_again = !name.is_empty() && !arguments.is_empty() && is_complete(&there.arguments);
        if !(is_other || begins_again) {
            return Some(at);
        }
        // Pieces of calls that share an index may come in turns.
        if begins_again { None } else { same_id() }
    }

    /// The provider said that the answer is complete.
    pub fn is_finished(&self) -> bool {
        self.end.is_some()
    }

    pub fn reply(mut self, request: &ModelRequest) -> Result<ModelReply, CallError> {
        let rest = self.aloud.finish();
        self.text.push_str(&rest);
        let headless = thinking::without_head(&self.text).map(str::to_owned);
        let (text, headless) = headless.map_or((self.text, false), |answer| (answer, true));
        self.text = text;
        let kept: Vec<usize> = (0..self.calls.len()).filter(|at| !self.calls[*at].name.is_empty()).collect();
        let tool_calls: Vec<ToolCall> = self
            .calls
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.name.is_empty())
            .map(|(n, c)| c.made(n))
            .collect();
        let finish = match self.end {
            Some(End::Cut) => Finish::Cut,
            Some(End::Filtered) => Finish::Filtered,
            Some(End::Broken) => {
                return Err(CallError::transient("model_unavailable", "the provider broke off its answer"));
            }
            Some(End::Refused) => {
                let words = if self.refusal.is_empty() { &self.text } else { &self.refusal };
                Finish::Refused(words.chars().take(REFUSAL).collect())
            }
            Some(End::Done) | None if !self.refusal.is_empty() => {
                Finish::Refused(self.refusal.chars().take(REFUSAL).collect())
            }
            Some(End::Done) | None => Finish::Complete,
        };
        let thought = self.thought || self.aloud.thought || headless;
        let finish = match finish {
            Finish::Complete if thought && self.text.trim().is_empty() && tool_calls.is_empty() => {
                Finish::Thought
            }
            finish => finish,
        };
        if finish == Finish::Complete && self.text.is_empty() && tool_calls.is_empty() {
            return Err(invalid("the answer is empty", true));
        }
        let guess = estimate(&request.messages, self.written);
        Ok(ModelReply {
            text: self.text,
            tool_calls,
            usage: self.tokens.usage(guess),
            cached: self.tokens.cached.unwrap_or_default(),
            model: self.model.unwrap_or_else(|| request.model.clone()),
            finish,
            extras: self.extras.finish(&kept),
        })
    }
}

// === impl parts ===

impl Call {
    fn made(&self, n: usize) -> ToolCall {
        let id = if self.id.is_empty() { format!("call_{n}") } else { self.id.clone() };
        let mut arguments = self.arguments.trim();
        if arguments.is_empty() {
            arguments = "{}";
        }
        // Some print the JSON as a text of JSON.
        let inner = serde_json::from_str::<String>(arguments).ok().filter(|inner| is_complete(inner));
        ToolCall { id, name: self.name.clone(), arguments: inner.unwrap_or_else(|| arguments.to_owned()) }
    }
}

/// Whether arguments are a whole object.
fn is_complete(arguments: &str) -> bool {
    let arguments = arguments.trim();
    arguments.starts_with('{')
        && arguments.ends_with('}')
        && json::check(arguments.as_bytes(), &json::Limits::default()).is_ok()
}

impl Tokens {
    /// Takes what is said, under whatever name; a stream may say it often, and then counts up.
    fn add(&mut self, usage: &Value) {
        let number = |names: &[&str]| names.iter().find_map(|name| whole(&usage[*name]));
        let prompt = number(&["prompt_tokens", "input_tokens", "promptTokens", "inputTokens"]);
        let completion = number(&["completion_tokens", "output_tokens", "completionTokens", "outputTokens"]);
        let total = number(&["total_tokens", "totalTokens"]);
        let rest = |part: Option<u64>| total.zip(part).and_then(|(total, part)| total.checked_sub(part));
        self.prompt = prompt.or_else(|| rest(completion)).or(self.prompt);
        self.completion = completion.or_else(|| rest(prompt)).or(self.completion);
        let within = ["prompt_tokens_details", "input_tokens_details"];
        let cached = within.iter().find_map(|name| whole(&usage[*name]["cached_tokens"]));
        let cached = cached.or_else(|| number(&["prompt_cache_hit_tokens", "cached_tokens"]));
        self.cached = cached.or(self.cached);
    }

    /// What is not said is guessed: the answer is paid for, whatever its count says.
    fn usage(self, guess: Usage) -> Usage {
        let told = Usage {
            calls: 1,
            prompt_tokens: self.prompt.unwrap_or(guess.prompt_tokens),
            completion_tokens: self.completion.unwrap_or(guess.completion_tokens),
            estimated: self.prompt.is_none() || self.completion.is_none(),
            ..Usage::default()
        };
        if told.tokens() > 0 && told.is_plausible() { told } else { guess }
    }
}

/// A count, also where it is written with a point, or as a text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64().or_else(|| {
            let float = number.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0 && *n < 9e15)?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is whole and in range"
            )]
            Some(float as u64)
        }),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl End {
    fn of(reason: &str) -> Self {
        match reason.to_ascii_lowercase().as_str() {
            "length"
            | "max_tokens"
            | "max_output_tokens"
            | "model_length"
            | "max_completion_tokens"
            | "limit"
            | "model_context_window_exceeded" => End::Cut,
            "content_filter" | "content_filtered" | "safety" | "prohibited_content" | "blocklist"
            | "recitation" | "spii" | "sensitive" => End::Filtered,
            "refusal" => End::Refused,
            // Reasons of the provider's own.
            reason if reason.starts_with("content_filter") => End::Filtered,
            "error" | "insufficient_system_resource" | "network_error" | "engine_error" => End::Broken,
            _ => End::Done,
        }
    }
}

/// Reads an answer that came as a whole, also where it is a stream that nobody asked for.
pub(super) fn whole_answer(body: &[u8], request: &ModelRequest) -> Result<ModelReply, CallError> {
    let mut gathered = Gathered::default();
    match lenient::value(body) {
        Ok(answer) => drop(gathered.add(&answer)?),
        Err(_) if Events::begin(body) => {
            let mut events = Events::default();
            let found = events.add(body)?.into_iter().chain(events.finish()?);
            for answer in found.flatten() {
                gathered.add(&answer)?;
            }
            if !gathered.is_finished() {
                return Err(invalid("the stream was cut", true));
            }
        }
        Err(e) => return Err(invalid(format!("the answer is not as agreed: {}", place(&e)), true)),
    }
    gathered.reply(request)
}
