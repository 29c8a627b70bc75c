//! The agent loop as a machine: call the model, call these tools, answer. The shell performs.
//!
//! One model call is the common case and commits once, with its answer. A tool's error goes back to the model as
//! data. Messages are kept by reference, each written once. The rules are in `decide`, the checks of what models
//! write in `calls`.

mod answer;
mod calls;
mod decide;
mod places;

use super::{
    message::{ModelReply, ToolCall},
    spec::DELEGATE,
    task::{Profile, Task},
};
use crate::{
    Datum, Hash, Machine, Span, Stop, Timestamp, Values,
    call::{CallError, Fallback, Usage},
    id::AgentId,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, convert::Infallible, sync::Arc};

use calls::call_hash;
pub use calls::check_call;
pub use places::echo;

/// An agent at work on one task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Run {
    /// What the agent is asked; none before the first task.
    pub task: Option<Task>,
    /// When the task came: its time limit counts from here.
    pub accepted_at: Timestamp,
    /// Where the task stands.
    pub phase: Phase,
    /// The conversation after the task's own prompt.
    pub messages: Vec<Datum>,
    /// Rounds of model and tool calls, from 1. An answer to an effect names its round.
    pub iterations: u32,
    /// Failures of the model in use, one after the other; a reply sets them back.
    pub failures: u32,
    /// Answers that missed their schema, and calls with wrong arguments.
    pub strikes: u32,
    /// Index of the model in use: 0 is the agent's own, then its fallbacks.
    pub model: usize,
    /// What all calls of the task used, those of delegates included.
    pub usage: Usage,
    /// How often each (tool, arguments) was called.
    pub repeats: BTreeMap<Hash, u32>,
    /// The answer has arrived.
    pub delivered: bool,
    /// The actors that answered what was delegated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<AgentId>,
    /// Models of this task that gave no answer, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    /// Who the agent is. The shell attaches it; `None` if there is no such agent.
    #[serde(skip)]
    pub profile: Option<Arc<Profile>>,
}

/// Where an agent stands with its task.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Idle,
    /// Asking the run for one more call.
    Reserving,
    /// A call of the model is due, or under way, but not before this instant.
    Thinking {
        not_before: Timestamp,
    },
    /// Each call's `id` is its place in the model's answer (`0`, `1`, …), and so the name of its result; calls recorded
    /// before that have their providers' ids.
    Acting {
        calls: Vec<ToolCall>,
        results: BTreeMap<String, Datum>,
    },
    Done {
        outcome: Ending,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// The task has this answer.
    Completed(Datum),
    /// The task has no answer, for this reason.
    Failed(CallError),
    /// Performed at most once, and nobody knows whether.
    Unknown,
    /// Whoever asked does not want it any more.
    Cancelled,
}

/// What an agent is told. Whatever answers an effect names the attempt that asked: an answer to an earlier one may
/// still be on its way when the next has begun.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A task; a later attempt replaces an earlier one, anything else is a repetition.
    Task(Task),
    /// The model answered, or could not be had.
    Replied {
        attempt: u32,
        iteration: u32,
        reply: Result<ModelReply, CallError>,
    },
    /// A tool answered, or failed. `id` is the call's place.
    ToolAnswered {
        attempt: u32,
        iteration: u32,
        id: String,
        result: Result<Value, CallError>,
    },
    /// What another agent made of a delegated task.
    Delegated {
        attempt: u32,
        iteration: u32,
        id: String,
        /// The actor that performed it.
        from: AgentId,
        result: Result<Value, CallError>,
        usage: Usage,
    },
    /// The run says whether it allows another call of the model.
    Granted {
        attempt: u32,
        iteration: u32,
        granted: bool,
    },
    /// The grant of an `at_most_once` call was refused: another activation has it.
    Refused {
        attempt: u32,
    },
    /// The answer arrived where it was asked for.
    Delivered {
        attempt: u32,
    },
    /// The answer is not wanted any more.
    Cancel {
        attempt: u32,
    },
    Tick,
}

/// What is now true of an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A task begins. What belonged to an earlier attempt is forgotten.
    TaskAccepted { at: Timestamp, task: Task },
    /// The model asks for tools: its message, and the calls by their places.
    ModelReplied { message: Datum, calls: Vec<ToolCall>, usage: Usage },
    /// The model could not be had. `model` is the one to try next, not before `retry_at`; `usage` is that of an answer
    /// that can't be taken and is paid for.
    ModelFailed { error: CallError, model: usize, retry_at: Timestamp, usage: Usage },
    /// The answer missed its schema. The model is told why, and asked again.
    AnswerRejected { message: Datum, complaint: Datum, usage: Usage },
    /// A tool answered. `strike` says that its arguments were wrong.
    ToolAnswered { id: String, message: Datum, strike: bool },
    /// The run allows the next call of the model.
    CallGranted { at: Timestamp },
    /// The task ended. `usage` is that of the reply that ended it, if one did.
    TaskEnded { outcome: Ending, usage: Usage },
    /// The answer arrived; nothing is left to do.
    AnswerDelivered {},
    /// Another agent answered what was delegated. What it used counts here, too.
    DelegateAnswered { id: String, from: AgentId, message: Datum, usage: Usage },
}

/// A call's `id` names it among those of its round; it is not what its provider called it.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Ask the run for one more call of the model.
    Reserve {
        iteration: u32,
    },
    /// Call the model of this index, not before the instant.
    CallModel {
        iteration: u32,
        model: usize,
        not_before: Timestamp,
    },
    CallTool {
        iteration: u32,
        call: ToolCall,
    },
    /// Have another agent perform what the call says.
    Delegate {
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
        Ok(decide::decide(self, at, input))
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
    /// Returns the name of the model of an index: 0 is the agent's own, then its fallbacks.
    pub fn model_name(&self, model: usize) -> &str {
        let Some(profile) = self.profile.as_deref() else { return "" };
        let spec = &profile.spec;
        model.checked_sub(1).and_then(|n| spec.fallback_models.get(n)).unwrap_or(&spec.model)
    }

    fn may_delegate(&self) -> bool {
        let (Some(profile), Some(task)) = (&self.profile, &self.task) else { return false };
        profile.may_delegate(task)
    }

    /// Returns the calls by which parts of the task are delegated and not answered yet.
    pub fn delegated(&self) -> Vec<(u32, String)> {
        if !matches!(self.phase, Phase::Acting { .. }) {
            return Vec::new();
        }
        let calls = self.pending().into_iter().filter_map(|effect| match effect {
            Effect::Delegate { iteration, call } => Some((iteration, call.id)),
            Effect::Reserve { .. }
            | Effect::CallModel { .. }
            | Effect::CallTool { .. }
            | Effect::Deliver { .. } => None,
        });
        calls.collect()
    }

    /// Whether a task is under way.
    pub fn works(&self) -> bool {
        !matches!(self.phase, Phase::Idle | Phase::Done { .. })
    }

    /// Folds one event. No rule lives here.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::TaskAccepted { at, task } => {
                // The run reserved the first call of its own agents; nobody reserved a delegate's.
                let asks = task.budgeted && task.origin.is_some();
                let phase = if asks { Phase::Reserving } else { Phase::Thinking { not_before: *at } };
                // All of the earlier attempt goes but who the agent is.
                *self = Run {
                    profile: self.profile.take(),
                    task: Some(task.clone()),
                    accepted_at: *at,
                    phase,
                    iterations: 1,
                    ..Run::default()
                };
            }
            Event::ModelReplied { message, calls, usage } => {
                self.messages.push(message.clone());
                self.usage += *usage;
                // A model that answers has all its retries again.
                self.failures = 0;
                for call in calls {
                    *self.repeats.entry(call_hash(call)).or_default() += 1;
                }
                self.phase = Phase::Acting { calls: calls.clone(), results: BTreeMap::new() };
            }
            Event::ModelFailed { error, model, retry_at, usage } => {
                self.usage += *usage;
                if *model != self.model {
                    let fallback = Fallback::new(self.model_name(self.model), error, self.model_name(*model));
                    self.fallbacks.push(fallback);
                }
                // Each model has retries of its own.
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
                self.take_result(id, message);
            }
            Event::DelegateAnswered { id, from, message, usage } => {
                self.usage += *usage;
                self.children.push(from.clone());
                self.take_result(id, message);
            }
            Event::CallGranted { at } => self.phase = Phase::Thinking { not_before: *at },
            Event::TaskEnded { outcome, usage } => {
                self.usage += *usage;
                self.phase = Phase::Done { outcome: outcome.clone() };
            }
            Event::AnswerDelivered {} => self.delivered = true,
        }
    }

    fn take_result(&mut self, id: &str, message: &Datum) {
        let Phase::Acting { calls, results } = &mut self.phase else { return };
        results.insert(id.to_owned(), message.clone());
        // The messages stand in the order of the calls. The answers may have come in any order.
        let answers: Option<Vec<Datum>> =
            places::names(calls).iter().map(|name| results.get(name).cloned()).collect();
        if let Some(answers) = answers {
            self.messages.extend(answers);
            self.next_round(self.accepted_at);
        }
    }

    fn next_round(&mut self, not_before: Timestamp) {
        // Answers to the round before are late from now on.
        self.iterations += 1;
        let budgeted = self.task.as_ref().is_some_and(|t| t.budgeted);
        self.phase = if budgeted { Phase::Reserving } else { Phase::Thinking { not_before } };
    }

    /// Returns everything asked for and not yet answered.
    pub fn pending(&self) -> Vec<Effect> {
        let iteration = self.iterations;
        match &self.phase {
            Phase::Idle => Vec::new(),
            Phase::Reserving => vec![Effect::Reserve { iteration }],
            Phase::Thinking { not_before } => {
                vec![Effect::CallModel { iteration, model: self.model, not_before: *not_before }]
            }
            Phase::Acting { calls, results } => places::names(calls)
                .into_iter()
                .zip(calls)
                .filter(|(name, _)| !results.contains_key(name))
                .map(|(id, call)| ToolCall { id, ..call.clone() })
                .map(|call| match call.name.as_str() {
                    // A model may name the tool without having it; then it is a call of an unknown tool, and answered
                    // as that.
                    DELEGATE if self.may_delegate() => Effect::Delegate { iteration, call },
                    _ => Effect::CallTool { iteration, call },
                })
                .collect(),
            Phase::Done { .. } if self.delivered => Vec::new(),
            Phase::Done { .. } => self.task.iter().map(|t| Effect::Deliver { attempt: t.attempt }).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
