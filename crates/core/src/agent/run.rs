//! The agent loop as a machine: call the model, call these tools, answer. The shell performs.
//!
//! One model call is the common case and commits once, with its answer. A tool's error goes back to the model as
//! data. Messages are kept by reference, each written once.

use super::{
    message::{CallError, Message, ModelReply, Role, ToolCall, Usage},
    spec::{Spec, Tool},
};
use crate::{
    Datum, Hash, Machine, Span, Stop, Timestamp, Values, retry, schema,
    workflow::definition::{Backoff, RetryPolicy},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

/// Times an answer may miss its schema, or a tool call its arguments' schema, before the task fails.
const STRIKES: u32 = 3;

/// One task of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The agent's name in `agents.yaml`.
    pub agent: String,
    /// `{"agent", "prompt"}`.
    pub input: Datum,
    /// Names the task over repetitions: run, step and attempt.
    pub key: String,
    pub attempt: u32,
    #[serde(default)]
    pub output_schema: Option<Value>,
    #[serde(default)]
    pub at_most_once: bool,
    /// The run has a budget: calls after the first are asked for.
    #[serde(default)]
    pub budgeted: bool,
}

/// What the machine needs of its surroundings, resolved by the shell from the agents' file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile {
    pub spec: Spec,
    pub tools: BTreeMap<String, Tool>,
}

/// An agent at work on one task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    pub task: Option<Task>,
    pub accepted_at: Timestamp,
    pub phase: Phase,
    /// The conversation after the task's own prompt.
    pub messages: Vec<Datum>,
    pub iterations: u32,
    pub failures: u32,
    pub strikes: u32,
    /// Index of the model in use: 0 is the agent's own, then its fallbacks.
    pub model: usize,
    pub usage: Usage,
    /// How often each (tool, arguments) was called.
    pub repeats: BTreeMap<Hash, u32>,
    /// The answer has arrived.
    pub delivered: bool,
    /// Who the agent is; attached by the shell, none when there is no such agent.
    #[serde(skip)]
    pub profile: Option<Arc<Profile>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Idle,
    /// Asking the run for one more call.
    Reserving,
    Thinking {
        not_before: Timestamp,
    },
    Acting {
        calls: Vec<ToolCall>,
        results: BTreeMap<String, Datum>,
    },
    Done {
        outcome: Ending,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    Completed(Datum),
    Failed(CallError),
    /// Performed at most once, and nobody knows whether.
    Unknown,
    Cancelled,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A task; a later attempt replaces an earlier one, anything else is a repetition.
    Task(Task),
    Replied {
        iteration: u32,
        reply: Result<ModelReply, CallError>,
    },
    ToolAnswered {
        iteration: u32,
        id: String,
        result: Result<Value, CallError>,
    },
    Granted {
        iteration: u32,
        granted: bool,
    },
    /// The grant of an `at_most_once` call was refused: another activation has it.
    Refused,
    Delivered {
        attempt: u32,
    },
    Cancel,
    Tick,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    TaskAccepted { at: Timestamp, task: Task },
    ModelReplied { message: Datum, calls: Vec<ToolCall>, usage: Usage },
    ModelFailed { error: CallError, model: usize, retry_at: Timestamp },
    AnswerRejected { message: Datum, complaint: Datum, usage: Usage },
    ToolAnswered { id: String, message: Datum, strike: bool },
    CallGranted { at: Timestamp },
    TaskEnded { outcome: Ending, usage: Usage },
    AnswerDelivered {},
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the run for one more call of the model.
    Reserve {
        iteration: u32,
    },
    CallModel {
        iteration: u32,
        model: usize,
        not_before: Timestamp,
    },
    CallTool {
        iteration: u32,
        call: ToolCall,
    },
    /// Give the answer to whoever asked.
    Deliver {
        attempt: u32,
    },
}

impl Machine for Run {
    type Input = Input;
    type Event = Event;
    type Effect = Effect;
    type Refusal = Infallible;

    fn decide(&self, at: Timestamp, input: &Input, _: &Values) -> Result<Vec<Event>, Stop<Infallible>> {
        let profile = self.profile.clone().unwrap_or_default();
        let mut run = self.clone();
        let mut events = Vec::new();
        let mut put = |run: &mut Run, event: Event| {
            run.apply(&event);
            events.push(event);
        };
        match input {
            Input::Task(task) => {
                let newer = self.task.as_ref().is_none_or(|t| t.attempt < task.attempt);
                if newer {
                    put(&mut run, Event::TaskAccepted { at, task: task.clone() });
                    if self.profile.is_none() {
                        let message = format!("there is no agent {}", task.agent);
                        run.end(Ending::Failed(failed("unknown_agent", message)), &mut put);
                    }
                }
            }
            Input::Replied { iteration, reply } if self.thinks(*iteration) => match reply {
                Ok(reply) => run.replied(&profile, reply, &mut put),
                Err(error) => run.call_failed(&profile, at, error, &mut put),
            },
            Input::ToolAnswered { iteration, id, result } if self.acts(*iteration, id) => {
                let (text, strike) = match result {
                    Ok(value) => (value.clone(), false),
                    Err(e) => (
                        json!({"error": {"code": e.code, "message": e.message}}),
                        e.code == "invalid_arguments",
                    ),
                };
                let message =
                    Message { tool_call_id: Some(id.clone()), ..Message::new(Role::Tool, plain(&text)) };
                put(&mut run, Event::ToolAnswered { id: id.clone(), message: datum(&message), strike });
                if run.strikes >= STRIKES {
                    run.end(
                        Ending::Failed(failed("invalid_tool_arguments", "too many invalid tool calls")),
                        &mut put,
                    );
                }
            }
            Input::Granted { iteration, granted }
                if self.phase == Phase::Reserving && self.iterations == *iteration =>
            {
                if *granted {
                    put(&mut run, Event::CallGranted { at });
                } else {
                    let error =
                        failed("budget_exceeded", "the run's budget does not allow another model call");
                    run.end(Ending::Failed(error), &mut put);
                }
            }
            Input::Refused if self.works() => run.end(Ending::Unknown, &mut put),
            Input::Cancel if self.works() => run.end(Ending::Cancelled, &mut put),
            Input::Delivered { attempt } => {
                let current = self.task.as_ref().is_some_and(|t| t.attempt == *attempt);
                if current && !self.delivered && matches!(self.phase, Phase::Done { .. }) {
                    put(&mut run, Event::AnswerDelivered {});
                }
            }
            Input::Replied { .. }
            | Input::ToolAnswered { .. }
            | Input::Granted { .. }
            | Input::Refused
            | Input::Cancel
            | Input::Tick => {}
        }
        if let Some(seconds) = profile.spec.limits.seconds
            && run.works()
            && at >= run.accepted_at + Span::secs(seconds)
        {
            run.end(
                Ending::Failed(failed("agent_limit", format!("the task took longer than {seconds} s"))),
                &mut put,
            );
        }
        Ok(events)
    }

    fn apply(&mut self, event: &Event) {
        Run::apply(self, event);
    }

    fn pending(&self) -> Vec<Effect> {
        Run::pending(self)
    }

    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.profile.as_ref()?.spec.limits.seconds?;
        self.works().then(|| self.accepted_at + Span::secs(seconds))
    }
}

// === impl Run ===

impl Run {
    fn thinks(&self, iteration: u32) -> bool {
        matches!(self.phase, Phase::Thinking { .. }) && self.iterations == iteration
    }

    fn acts(&self, iteration: u32, id: &str) -> bool {
        matches!(&self.phase, Phase::Acting { calls, results }
            if self.iterations == iteration && calls.iter().any(|c| c.id == id) && !results.contains_key(id))
    }

    /// Whether a task is under way.
    pub fn works(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Done { .. })
    }

    fn replied(&mut self, profile: &Profile, reply: &ModelReply, put: &mut impl FnMut(&mut Run, Event)) {
        let usage = Usage { calls: 1, ..reply.usage };
        if !reply.tool_calls.is_empty() {
            let message = Message {
                tool_calls: reply.tool_calls.clone(),
                ..Message::new(Role::Assistant, reply.text.clone())
            };
            put(
                self,
                Event::ModelReplied { message: datum(&message), calls: reply.tool_calls.clone(), usage },
            );
            if let Some((tool, times)) = self.looping(profile) {
                let message = format!("called {tool} with the same arguments {times} times");
                self.end(Ending::Failed(failed("loop_detected", message)), put);
            } else {
                self.check_limits(profile, put);
            }
            return;
        }
        let schema =
            self.task.as_ref().and_then(|t| t.output_schema.clone()).or(profile.spec.output_schema.clone());
        let Some(schema) = schema else {
            self.end_with(Ending::Completed(Datum::inline(reply.text.clone())), usage, put);
            return;
        };
        match check_answer(&schema, &reply.text) {
            Ok(value) => self.end_with(Ending::Completed(Datum::inline(value)), usage, put),
            Err(complaint) if self.strikes + 1 < STRIKES => {
                let answer = Message::new(Role::Assistant, reply.text.clone());
                let text = format!("Your answer does not fit: {complaint}. Answer again with JSON only.");
                let complaint = Message::new(Role::User, text);
                put(
                    self,
                    Event::AnswerRejected { message: datum(&answer), complaint: datum(&complaint), usage },
                );
                self.check_limits(profile, put);
            }
            Err(complaint) => {
                let message = format!("the answer does not fit the output schema: {complaint}");
                self.end_with(Ending::Failed(failed("output_invalid", message)), usage, put);
            }
        }
    }

    fn call_failed(
        &mut self,
        profile: &Profile,
        at: Timestamp,
        error: &CallError,
        put: &mut impl FnMut(&mut Run, Event),
    ) {
        let key = self.task.as_ref().map_or("", |t| &t.key).to_owned();
        let policy = profile.spec.retry_policy.clone().unwrap_or(RetryPolicy {
            max_retries: 3,
            backoff: Backoff::Exponential,
            initial: Span::secs(1),
            max: Span::secs(60),
            jitter: true,
        });
        let at_most_once = self.task.as_ref().is_some_and(|t| t.at_most_once);
        if error.retryable && !at_most_once {
            if let Some(delay) = retry::delay(&policy, self.failures + 1, &key, error.retry_after) {
                put(
                    self,
                    Event::ModelFailed { error: error.clone(), model: self.model, retry_at: at + delay },
                );
                return;
            }
            if self.model < profile.spec.fallback_models.len() {
                put(self, Event::ModelFailed { error: error.clone(), model: self.model + 1, retry_at: at });
                return;
            }
        }
        // The agent's own retries are used up: whether the step is tried again is the definition's business.
        self.end(Ending::Failed(error.clone()), put);
    }

    /// Returns a call made too often with the same arguments.
    fn looping(&self, profile: &Profile) -> Option<(String, u32)> {
        let Phase::Acting { calls, .. } = &self.phase else { return None };
        calls.iter().find_map(|call| {
            let times = self.repeats.get(&call_hash(call)).copied().unwrap_or(0);
            (times >= profile.spec.limits.repeats).then(|| (call.name.clone(), times))
        })
    }

    fn check_limits(&mut self, profile: &Profile, put: &mut impl FnMut(&mut Run, Event)) {
        let limits = &profile.spec.limits;
        let breach = if self.iterations > limits.iterations {
            Some(format!("{} rounds of model and tool calls", limits.iterations))
        } else if limits.calls.is_some_and(|n| self.usage.calls >= n) {
            limits.calls.map(|n| format!("{n} model calls"))
        } else if limits.tokens.is_some_and(|n| self.usage.tokens() >= n) {
            limits.tokens.map(|n| format!("{n} tokens"))
        } else {
            None
        };
        if let Some(breach) = breach {
            self.end(Ending::Failed(failed("agent_limit", format!("the agent's limit is {breach}"))), put);
        }
    }

    fn end(&mut self, outcome: Ending, put: &mut impl FnMut(&mut Run, Event)) {
        self.end_with(outcome, Usage::default(), put);
    }

    fn end_with(&mut self, outcome: Ending, usage: Usage, put: &mut impl FnMut(&mut Run, Event)) {
        put(self, Event::TaskEnded { outcome, usage });
    }

    /// Folds one event.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TaskAccepted { at, task } => {
                *self = Run {
                    profile: self.profile.take(),
                    task: Some(task.clone()),
                    accepted_at: *at,
                    phase: Phase::Thinking { not_before: *at },
                    iterations: 1,
                    ..Run::default()
                };
            }
            Event::ModelReplied { message, calls, usage } => {
                self.messages.push(message.clone());
                self.usage += *usage;
                self.failures = 0;
                for call in calls {
                    *self.repeats.entry(call_hash(call)).or_default() += 1;
                }
                self.phase = Phase::Acting { calls: calls.clone(), results: BTreeMap::new() };
            }
            Event::ModelFailed { model, retry_at, .. } => {
                self.failures = if *model == self.model { self.failures + 1 } else { 0 };
                self.model = *model;
                self.phase = Phase::Thinking { not_before: *retry_at };
            }
            Event::AnswerRejected { message, complaint, usage } => {
                self.messages.extend([message.clone(), complaint.clone()]);
                self.usage += *usage;
                self.strikes += 1;
                self.next_round(self.accepted_at);
            }
            Event::ToolAnswered { id, message, strike } => {
                self.strikes += u32::from(*strike);
                let Phase::Acting { calls, results } = &mut self.phase else { return };
                results.insert(id.clone(), message.clone());
                if results.len() == calls.len() {
                    // In the order of the calls, whatever order the answers came in.
                    let answers: Vec<Datum> =
                        calls.iter().filter_map(|c| results.get(&c.id).cloned()).collect();
                    self.messages.extend(answers);
                    self.next_round(self.accepted_at);
                }
            }
            Event::CallGranted { at } => self.phase = Phase::Thinking { not_before: *at },
            Event::TaskEnded { outcome, usage } => {
                self.usage += *usage;
                self.phase = Phase::Done { outcome: outcome.clone() };
            }
            Event::AnswerDelivered {} => self.delivered = true,
        }
    }

    fn next_round(&mut self, not_before: Timestamp) {
        self.iterations += 1;
        let budgeted = self.task.as_ref().is_some_and(|t| t.budgeted);
        self.phase = if budgeted { Phase::Reserving } else { Phase::Thinking { not_before } };
    }

    /// Everything asked for and not yet answered.
    pub fn pending(&self) -> Vec<Effect> {
        let iteration = self.iterations;
        match &self.phase {
            Phase::Idle => Vec::new(),
            Phase::Reserving => vec![Effect::Reserve { iteration }],
            Phase::Thinking { not_before } => {
                vec![Effect::CallModel { iteration, model: self.model, not_before: *not_before }]
            }
            Phase::Acting { calls, results } => calls
                .iter()
                .filter(|c| !results.contains_key(&c.id))
                .map(|call| Effect::CallTool { iteration, call: call.clone() })
                .collect(),
            Phase::Done { .. } if self.delivered => Vec::new(),
            Phase::Done { .. } => self.task.iter().map(|t| Effect::Deliver { attempt: t.attempt }).collect(),
        }
    }
}

/// A tool's answer as text: a string as it is, anything else as JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn datum(message: &Message) -> Datum {
    Datum::inline(serde_json::to_value(message).unwrap_or_default())
}

fn failed(code: &str, message: impl Into<String>) -> CallError {
    CallError { code: code.into(), message: message.into(), retryable: false, retry_after: None }
}

/// Hashes a tool's name and its arguments in canonical form.
fn call_hash(call: &ToolCall) -> Hash {
    let arguments: Value =
        serde_json::from_str(&call.arguments).unwrap_or(Value::String(call.arguments.clone()));
    Hash::chain(&[call.name.as_bytes(), canonical(&arguments).as_bytes()])
}

/// Prints JSON with its keys sorted, whatever map the value uses.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> = map.iter().map(|(k, v)| (k, canonical(v))).collect();
            let fields: Vec<String> =
                sorted.into_iter().map(|(k, v)| format!("{}:{v}", Value::String(k.clone()))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Parses an answer that must be JSON; models like to wrap it in a fence.
fn check_answer(schema: &Value, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let inner = trimmed
        .strip_prefix("```json")
        .or_else(|| trimmed.strip_prefix("```"))
        .and_then(|t| t.strip_suffix("```"))
        .unwrap_or(trimmed);
    let value: Value = serde_json::from_str(inner.trim()).map_err(|e| format!("it is not JSON ({e})"))?;
    schema::validate(schema, &value).map_err(|problems| {
        problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect::<Vec<_>>().join("; ")
    })?;
    Ok(value)
}

/// Checks a tool call against what the agent may do.
pub fn check_call<'p>(profile: &'p Profile, call: &ToolCall) -> Result<(&'p Tool, Value), CallError> {
    let Some(tool) = profile.tools.get(&call.name) else {
        let known: Vec<&str> = profile.tools.keys().map(String::as_str).collect();
        let message = format!("there is no tool {}; there is {}", call.name, known.join(", "));
        return Err(failed("invalid_arguments", message));
    };
    let arguments: Value = serde_json::from_str(&call.arguments)
        .map_err(|e| failed("invalid_arguments", format!("the arguments are not JSON: {e}")))?;
    schema::validate(&tool.parameters, &arguments).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
        failed("invalid_arguments", all.join("; "))
    })?;
    Ok((tool, arguments))
}
