//! The model that is no model: answers by rules of a file, or echoes. It makes no call and costs nothing.
//!
//! Deterministic, so examples and tests give the same every time. Every answer says `scripted` as its model; texts
//! that no rule gave begin with `[scripted] `.

mod sample;

use super::{ChatModel, OnDelta, SCRIPTED, estimate};
use crate::CallError;
use async_trait::async_trait;
use callboard_core::{
    Problem, Span,
    agent::message::{Finish, Message, ModelReply, ModelRequest, Role, ToolCall},
};
use serde::Deserialize;
use serde_json::Value;
use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

const LABEL: &str = "[scripted] ";
/// Of the question in an echo, in characters.
const ECHO: usize = 2000;

/// What a file says. The first rule that matches answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    pub rules: Vec<Rule>,
    /// Before every answer of no rule.
    pub delay: Option<Span>,
}

/// When and what to answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub when: When,
    /// One for each round of tool calls on the same question; the last one stands for all further rounds.
    pub replies: Vec<Reply>,
}

/// All that is given must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    pub model: Option<String>,
    /// Part of the system text, such as an agent's role.
    pub system: Option<String>,
    /// Part of the last question.
    pub contains: Option<String>,
}

/// An answer, or a failure.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Reply {
    pub text: Option<String>,
    /// An answer to an `output_schema`.
    pub json: Option<Value>,
    pub tool_calls: Vec<Call>,
    pub delay: Option<Span>,
    pub error: Option<Failure>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub name: String,
    #[serde(default)]
    pub arguments: Value,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    pub code: String,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub retryable: bool,
    #[serde(default)]
    pub retry_after: Option<Span>,
    /// So many calls fail, then the rest of the reply is given; without it all fail.
    #[serde(default)]
    pub times: Option<u32>,
}

/// Failures that another model could help with, whoever plays them.
const ELSEWHERE: [&str; 6] = [
    "model_quota",
    "model_unauthorized",
    "model_unknown",
    "model_context_length",
    "model_filtered",
    "model_refused",
];

/// The model.
pub struct Scripted {
    script: Script,
    /// How often each rule has failed.
    failures: Vec<AtomicU32>,
}

// === impl Script ===

impl Script {
    /// Reads a script from YAML.
    pub fn read(text: &str) -> Result<Self, Problem> {
        let script: Script = serde_saphyr::from_str(text)
            .map_err(|e| Problem::new("scripted", "script_invalid", e.to_string()))?;
        match script.rules.iter().position(|rule| rule.replies.is_empty()) {
            Some(n) => {
                Err(Problem::new(format!("rules[{n}].replies"), "script_invalid", "a rule needs a reply"))
            }
            None => Ok(script),
        }
    }
}

// === impl Scripted ===

impl Scripted {
    pub fn new(script: Script) -> Self {
        let failures = script.rules.iter().map(|_| AtomicU32::new(0)).collect();
        Self { script, failures }
    }

    /// Returns the reply for this request and the counter of its rule's failures.
    fn find(&self, request: &ModelRequest) -> Option<(&Reply, &AtomicU32)> {
        let question = question(&request.messages);
        let asked = request.messages.get(question..).unwrap_or_default();
        // Each answer with tool calls since the question was a round.
        let round = asked.iter().filter(|m| m.role == Role::Assistant).count();
        let rules = self.script.rules.iter().zip(&self.failures);
        let (rule, failures) = rules.into_iter().find(|(rule, _)| rule.when.holds(request, question))?;
        Some((rule.replies.get(round).or(rule.replies.last())?, failures))
    }
}

#[async_trait]
impl ChatModel for Scripted {
    async fn call(&self, request: &ModelRequest, on_delta: OnDelta<'_>) -> Result<ModelReply, CallError> {
        let found = self.find(request);
        if let Some(delay) = found.map_or(self.script.delay, |(reply, _)| reply.delay) {
            tokio::time::sleep(Duration::from_millis(delay.0)).await;
        }
        let (text, tool_calls) = match found {
            Some((reply, failures)) => {
                if let Some(error) = reply.error.as_ref().and_then(|failure| failure.now(failures)) {
                    return Err(error);
                }
                let round = request.messages.len();
                let calls =
                    reply.tool_calls.iter().enumerate().map(|(n, call)| call.made(round, n)).collect();
                (reply.text(request), calls)
            }
            None => (echo(request), Vec::new()),
        };
        if let Some(on_delta) = on_delta {
            text.split_inclusive(' ').for_each(on_delta);
        }
        let usage = estimate(&request.messages, text.len());
        Ok(ModelReply {
            text,
            tool_calls,
            usage,
            cached: 0,
            model: SCRIPTED.to_owned(),
            finish: Finish::Complete,
            extras: None,
        })
    }
}

/// Returns the place of the last question.
fn question(messages: &[Message]) -> usize {
    messages.iter().rposition(|m| m.role == Role::User).unwrap_or(messages.len())
}

/// Repeats the question, or makes up an answer that satisfies the schema.
fn echo(request: &ModelRequest) -> String {
    let question = request.messages.get(question(&request.messages)).map_or("", |m| m.content.as_str());
    let text: String = LABEL.chars().chain(question.chars().take(ECHO)).collect();
    match &request.output_schema {
        Some(schema) => sample::of(schema, &text).to_string(),
        None => text,
    }
}

// === impl parts ===

impl When {
    fn holds(&self, request: &ModelRequest, question: usize) -> bool {
        let has = |part: &Option<String>, found: &dyn Fn(&str) -> bool| part.as_deref().is_none_or(found);
        has(&self.model, &|model| request.model == model)
            && has(&self.system, &|part| {
                request.messages.iter().any(|m| m.role == Role::System && m.content.contains(part))
            })
            && has(&self.contains, &|part| {
                request.messages.get(question).is_some_and(|m| m.content.contains(part))
            })
    }
}

impl Reply {
    fn text(&self, request: &ModelRequest) -> String {
        match (&self.text, &self.json) {
            (Some(text), _) => text.clone(),
            (None, Some(json)) => json.to_string(),
            (None, None) if self.tool_calls.is_empty() => echo(request),
            (None, None) => String::new(),
        }
    }
}

impl Call {
    fn made(&self, round: usize, n: usize) -> ToolCall {
        let arguments = match &self.arguments {
            Value::Null => "{}".to_owned(),
            // Texts stand as they are, so that a script can send broken JSON.
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        ToolCall { id: format!("call_{round}_{n}"), name: self.name.clone(), arguments }
    }
}

impl Failure {
    /// Returns the error if it is to happen (again).
    fn now(&self, failures: &AtomicU32) -> Option<CallError> {
        if let Some(times) = self.times {
            let more = |n: u32| (n < times).then_some(n + 1);
            failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        }
        let error = CallError::permanent(&self.code, self.message.clone());
        let elsewhere = ELSEWHERE.contains(&self.code.as_str());
        Some(CallError { retryable: self.retryable, retry_after: self.retry_after, elsewhere, ..error })
    }
}
