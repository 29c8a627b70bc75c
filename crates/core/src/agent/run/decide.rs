//! The rules of the agent loop: what a reply, a tool's answer or a failure comes to.

use super::{
    Ending, Event, Input, Phase, Run,
    calls::{Unfit, call_hash, check_answer},
    places,
};
use crate::{
    Datum, Span, Timestamp,
    agent::{
        message::{Finish, Message, ModelReply, Role},
        task::Profile,
    },
    call::{CallError, Usage},
    retry::{self, RetryPolicy},
};
use serde_json::{Value, json};

/// Times an answer may miss its schema, or a tool call its arguments' schema, before the task fails.
const STRIKES: u32 = 3;

/// Returns what becomes true because of `input`. What answers an earlier attempt or round is late and yields nothing.
pub(super) fn decide(this: &Run, at: Timestamp, input: &Input) -> Vec<Event> {
    let profile = this.profile.clone().unwrap_or_default();
    let mut run = this.clone();
    let mut events = Vec::new();
    let mut put = |run: &mut Run, event: Event| {
        run.apply(&event);
        events.push(event);
    };
    match input {
        Input::Task(task) => {
            // The same task may come again, and an earlier one late.
            let newer = this.task.as_ref().is_none_or(|t| t.attempt < task.attempt);
            if newer {
                put(&mut run, Event::TaskAccepted { at, task: task.clone() });
                if this.profile.is_none() {
                    let message = format!("there is no agent {}", task.agent);
                    run.end(Ending::Failed(CallError::permanent("unknown_agent", message)), &mut put);
                }
            }
        }
        Input::Replied { attempt, iteration, reply } if this.thinks(*attempt, *iteration) => match reply {
            Ok(reply) => run.replied(&profile, at, reply, &mut put),
            Err(error) => run.call_failed(&profile, at, error, Usage::default(), &mut put),
        },
        Input::ToolAnswered { attempt, iteration, id, result } if this.acts(*attempt, *iteration, id) => {
            // The model made the mistake, not the tool. After a few of them it will not learn it any more.
            let strike = result.as_ref().is_err_and(|e| e.code == "invalid_arguments");
            let message = tool_message(id, result);
            put(&mut run, Event::ToolAnswered { id: id.clone(), message, strike });
            if run.strikes >= STRIKES {
                run.end(
                    Ending::Failed(CallError::permanent(
                        "invalid_tool_arguments",
                        "too many invalid tool calls",
                    )),
                    &mut put,
                );
            }
        }
        Input::Delegated { attempt, iteration, id, from, result, usage }
            if this.acts(*attempt, *iteration, id) =>
        {
            let (id, from, usage) = (id.clone(), from.clone(), *usage);
            let message = tool_message(&id, result);
            put(&mut run, Event::DelegateAnswered { id, from, message, usage });
            // Its use counts against this agent's limits.
            run.check_use(&profile, &mut put);
        }
        Input::Granted { attempt, iteration, granted }
            if this.phase == Phase::Reserving && this.is_at(*attempt, *iteration) =>
        {
            if *granted {
                put(&mut run, Event::CallGranted { at });
            } else {
                let error = CallError::permanent(
                    "budget_exceeded",
                    "the run's budget does not allow another model call",
                );
                run.end(Ending::Failed(error), &mut put);
            }
        }
        Input::Refused { attempt } if this.works() && this.is_attempt(*attempt) => {
            // Another activation was granted the call. Whether it made it is not known here.
            run.end(Ending::Unknown, &mut put)
        }
        Input::Cancel { attempt } if this.works() && this.is_attempt(*attempt) => {
            run.end(Ending::Cancelled, &mut put)
        }
        Input::Delivered { attempt } => {
            if this.is_attempt(*attempt) && !this.delivered && matches!(this.phase, Phase::Done { .. }) {
                put(&mut run, Event::AnswerDelivered {});
            }
        }
        Input::Replied { .. }
        | Input::ToolAnswered { .. }
        | Input::Delegated { .. }
        | Input::Granted { .. }
        | Input::Refused { .. }
        | Input::Cancel { .. }
        | Input::Tick => {}
    }
    // This is checked after every input, since the time runs with or without a tick.
    if let Some(seconds) = profile.spec.limits.seconds
        && run.works()
        && at >= run.accepted_at + Span::secs(seconds)
    {
        run.end(
            Ending::Failed(CallError::permanent(
                "agent_limit",
                format!("the task took longer than {seconds} s"),
            )),
            &mut put,
        );
    }
    events
}

impl Run {
    /// Whether an input is about the task in hand.
    fn is_attempt(&self, attempt: u32) -> bool {
        self.task.as_ref().is_some_and(|t| t.attempt == attempt)
    }

    /// Whether an input is about the round in hand.
    fn is_at(&self, attempt: u32, iteration: u32) -> bool {
        self.is_attempt(attempt) && self.iterations == iteration
    }

    /// Whether the model's answer of this round is waited for.
    fn thinks(&self, attempt: u32, iteration: u32) -> bool {
        matches!(self.phase, Phase::Thinking { .. }) && self.is_at(attempt, iteration)
    }

    /// Whether the answer of this call is waited for.
    fn acts(&self, attempt: u32, iteration: u32, id: &str) -> bool {
        matches!(&self.phase, Phase::Acting { calls, results }
            if self.is_at(attempt, iteration) && places::names(calls).iter().any(|name| name == id)
                && !results.contains_key(id))
    }

    /// Takes a model's reply: calls of tools, or an answer.
    fn replied(
        &mut self,
        profile: &Profile,
        at: Timestamp,
        reply: &ModelReply,
        put: &mut impl FnMut(&mut Run, Event),
    ) {
        // This is one call, even if the provider counts more.
        let usage = Usage { calls: 1, ..reply.usage };
        if let Some(error) = unfinished(profile, reply) {
            self.call_failed(profile, at, &error, usage, put);
        } else if reply.tool_calls.is_empty() {
            self.answered(profile, reply, usage, put);
        } else {
            self.called(profile, reply, usage, put);
        }
    }

    /// Takes calls of tools.
    fn called(
        &mut self,
        profile: &Profile,
        reply: &ModelReply,
        usage: Usage,
        put: &mut impl FnMut(&mut Run, Event),
    ) {
        let message = Message { tool_calls: places::kept(&reply.tool_calls), ..said(reply) };
        let calls = places::placed(&reply.tool_calls);
        put(self, Event::ModelReplied { message: datum(&message), calls, usage });
        if let Some((tool, times)) = self.looping(profile) {
            let message = format!("called {tool} with the same arguments {times} times");
            self.end(Ending::Failed(CallError::permanent("loop_detected", message)), put);
        } else {
            self.check_limits(profile, self.iterations, put);
        }
    }

    /// Takes an answer. It ends the task, unless the model may try again because a schema does not allow it.
    fn answered(
        &mut self,
        profile: &Profile,
        reply: &ModelReply,
        usage: Usage,
        put: &mut impl FnMut(&mut Run, Event),
    ) {
        // The definition's schema goes before the agent's own.
        let asked = self.task.as_ref().and_then(|t| t.output_schema.clone());
        let ending = match asked.or_else(|| profile.spec.output_schema.clone()) {
            None => Ending::Completed(Datum::inline(reply.text.clone())),
            Some(schema) => match check_answer(&schema, &reply.text) {
                Ok(value) => Ending::Completed(Datum::inline(value)),
                // The fault is the schema's: asking the model again would not help.
                Err(Unfit::Schema(error)) => Ending::Failed(error),
                Err(Unfit::Answer(complaint)) if self.strikes + 1 < STRIKES => {
                    return self.ask_again(profile, reply, &complaint, usage, put);
                }
                Err(Unfit::Answer(complaint)) => {
                    let message = format!("the answer does not fit the output schema: {complaint}");
                    Ending::Failed(CallError::permanent("output_invalid", message))
                }
            },
        };
        self.end_with(ending, usage, put);
    }

    /// Tells the model what is wrong with its answer.
    fn ask_again(
        &mut self,
        profile: &Profile,
        reply: &ModelReply,
        complaint: &str,
        usage: Usage,
        put: &mut impl FnMut(&mut Run, Event),
    ) {
        let text = format!("Your answer does not fit: {complaint}. Answer again with JSON only.");
        let complaint = datum(&Message::new(Role::User, text));
        let round = self.iterations;
        put(self, Event::AnswerRejected { message: datum(&said(reply)), complaint, usage });
        self.check_limits(profile, round, put);
    }

    /// Takes a failed call: another attempt, another model, or the end of the task.
    fn call_failed(
        &mut self,
        profile: &Profile,
        at: Timestamp,
        error: &CallError,
        usage: Usage,
        put: &mut impl FnMut(&mut Run, Event),
    ) {
        let key = self.task.as_ref().map_or("", |t| &t.key).to_owned();
        let policy = profile.spec.retry_policy.clone().unwrap_or_else(|| RetryPolicy::usual(3));
        let at_most_once = self.task.as_ref().is_some_and(|t| t.at_most_once);
        let again = (error.retryable && !at_most_once)
            .then(|| retry::delay(&policy, self.failures + 1, &key, error.retry_after))
            .flatten();
        let may_elsewhere = (error.retryable || error.elsewhere) && !at_most_once;
        let next = match again {
            Some(delay) => Some((self.model, at + delay)),
            None if may_elsewhere && self.model < profile.spec.fallback_models.len() => {
                Some((self.model + 1, at))
            }
            None => None,
        };
        if let Some((model, retry_at)) = next {
            put(self, Event::ModelFailed { error: error.clone(), model, retry_at, usage });
            self.check_use(profile, put);
            return;
        }
        // The agent's own retries are used up. Whether the step is tried again is for the definition to say.
        self.end_with(Ending::Failed(error.clone()), usage, put);
    }

    /// Returns the tool of a call that was made too often with the same arguments, and how often it was.
    fn looping(&self, profile: &Profile) -> Option<(String, u32)> {
        let Phase::Acting { calls, .. } = &self.phase else { return None };
        calls.iter().find_map(|call| {
            let times = self.repeats.get(&call_hash(call)).copied().unwrap_or(0);
            (times >= profile.spec.limits.repeats).then(|| (call.name.clone(), times))
        })
    }

    /// Ends the task if it passed a limit of its agent. `round` is the one whose reply was no answer: a call of tools, or an
    /// answer that does not fit. After as many of them as are allowed the model may answer once more.
    fn check_limits(&mut self, profile: &Profile, round: u32, put: &mut impl FnMut(&mut Run, Event)) {
        let limits = &profile.spec.limits;
        if round > limits.iterations {
            let breach = format!("{} rounds of tool calls and rejected answers", limits.iterations);
            self.end(Ending::Failed(over(&breach)), put);
        } else {
            self.check_use(profile, put);
        }
    }

    /// The same without the rounds: a delegate's answer begins none.
    fn check_use(&mut self, profile: &Profile, put: &mut impl FnMut(&mut Run, Event)) {
        let limits = &profile.spec.limits;
        let breach = if limits.calls.is_some_and(|n| self.usage.calls >= n) {
            limits.calls.map(|n| format!("{n} model calls"))
        } else if limits.tokens.is_some_and(|n| self.usage.tokens() >= n) {
            limits.tokens.map(|n| format!("{n} tokens"))
        } else {
            None
        };
        if let Some(breach) = breach {
            self.end(Ending::Failed(over(&breach)), put);
        }
    }

    fn end(&mut self, outcome: Ending, put: &mut impl FnMut(&mut Run, Event)) {
        self.end_with(outcome, Usage::default(), put);
    }

    fn end_with(&mut self, outcome: Ending, usage: Usage, put: &mut impl FnMut(&mut Run, Event)) {
        put(self, Event::TaskEnded { outcome, usage });
    }
}

/// Why an answer can't be taken although it came.
fn unfinished(profile: &Profile, reply: &ModelReply) -> Option<CallError> {
    match &reply.finish {
        Finish::Complete => None,
        // The same limit would cut it again, at whatever model.
        Finish::Cut => Some(match profile.spec.max_tokens {
            Some(limit) => CallError::permanent(
                "model_cut",
                format!("the answer was cut at the agent's limit of {limit} tokens (max_tokens)"),
            ),
            None => {
                CallError::elsewhere("model_cut", "the answer was cut at the model's own limit of tokens")
            }
        }),
        Finish::Filtered => {
            Some(CallError::elsewhere("model_filtered", "the provider's filter stopped the answer"))
        }
        Finish::Refused(words) => {
            Some(CallError::elsewhere("model_refused", format!("the model refuses to answer: {words}")))
        }
        // It may come to an answer the next time.
        Finish::Thought => Some(CallError::transient(
            "model_no_answer",
            "the model only thought: its reply has reasoning and no answer behind it",
        )),
    }
}

fn over(limit: &str) -> CallError {
    CallError::permanent("agent_limit", format!("the agent's limit is {limit}"))
}

/// What the model said, as it is shown to it again.
fn said(reply: &ModelReply) -> Message {
    Message { extras: reply.extras.clone(), ..Message::new(Role::Assistant, reply.text.clone()) }
}

/// Makes the message that answers a call. A failure is data for the model, which may find another way.
fn tool_message(id: &str, result: &Result<Value, CallError>) -> Datum {
    let text = match result {
        Ok(value) => value.clone(),
        Err(e) => match &e.details {
            Some(details) => json!({"error": {"code": e.code, "message": e.message, "details": details}}),
            None => json!({"error": {"code": e.code, "message": e.message}}),
        },
    };
    datum(&Message { tool_call_id: Some(id.to_owned()), ..Message::new(Role::Tool, plain(&text)) })
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
