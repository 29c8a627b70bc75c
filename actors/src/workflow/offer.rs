//! Tasks for workers outside: offered as messages, answered by messages. Nothing is known of a worker; what an offer
//! says is all it gets, and its answer counts like any other.

use super::{Workflows, turn::Turn};
use crate::{
    events,
    mutant::{Rule, holds},
    reply::{Fault, Reply},
};
use callboard_core::{
    Datum, Problem, Span, Timestamp,
    call::{CallError, Usage},
    schema,
    workflow::{Input, Outcome, Run, StepKey, definition::EffectMode, plan::PlanNode, run::StepState},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A prompt and a schema together; a message through the sidecar has at most 4 MiB.
const LARGEST: usize = 2 << 20;
/// What a worker says went wrong, in bytes.
const COMPLAINT: usize = 2000;

/// A task on its way out.
pub(super) struct Offer {
    pub step: StepKey,
    pub attempt: u32,
    pub agent: String,
    pub input: Datum,
    pub at_most_once: bool,
    pub output_schema: Option<Value>,
    pub deadline: Option<Timestamp>,
    pub published: Arc<AtomicI64>,
}

/// What a worker says about a task.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Finished {
    step: StepKey,
    attempt: u32,
    #[serde(default, deserialize_with = "given")]
    output: Option<Value>,
    #[serde(default)]
    error: Option<Complaint>,
    #[serde(default)]
    usage: Option<Used>,
    /// The event's identity; an answer is told from its repetitions by its attempt.
    #[serde(default, rename = "op")]
    _op: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Complaint {
    #[serde(default = "Complaint::usual")]
    code: String,
    #[serde(default)]
    message: String,
    /// Whether the node's retry policy counts.
    #[serde(default = "Complaint::may_be_retried")]
    retryable: bool,
    #[serde(default)]
    retry_after: Option<Span>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Used {
    calls: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    estimated: bool,
}

impl Workflows {
    /// Offers a task, in a task of its own.
    pub(super) fn offer(&self, run: &str, offer: Offer) {
        let (this, run) = (self.clone(), run.to_owned());
        self.tasks.spawn(async move {
            if this.tasks.is_stopping() {
                return;
            }
            let once = offer.at_most_once && holds(Rule::Grant);
            // Only the one that is granted it makes an offer that must not be made twice. Should it die before the
            // message is out, the step's timeout is what ends the wait.
            if once && !this.granted(&run, &offer.step, offer.attempt).await {
                this.land(&run, &offer.step, offer.attempt).await;
                return;
            }
            let data = match this.offered(&run, &offer).await {
                Ok(Some(data)) => data,
                Ok(None) => return offer.published.store(0, Ordering::Release),
                Err(error) => return this.conclude(&run, &offer, Outcome::Failed(error)).await,
            };
            if this.publish_offer(&run, &offer, &data).await {
                return;
            }
            if once {
                return this.conclude(&run, &offer, Outcome::Unknown).await;
            }
            offer.published.store(0, Ordering::Release);
        });
    }

    /// Returns what a worker is told, nothing if the prompt can't be read now.
    async fn offered(&self, run: &str, offer: &Offer) -> Result<Option<Value>, CallError> {
        let Some(input) = self.content(run, &offer.input).await else { return Ok(None) };
        let data = json!({
            "run_id": run,
            "step": offer.step,
            "attempt": offer.attempt,
            "agent": offer.agent,
            "prompt": input["prompt"],
            "output_schema": offer.output_schema,
            "deadline": offer.deadline.map(|at| at.to_string()),
            "at_most_once": offer.at_most_once,
        });
        let size = callboard_core::value::json_len(&data);
        if size > LARGEST {
            let message = format!("a task of {size} bytes can't be offered; {LARGEST} are the most");
            return Err(CallError::permanent("task_too_large", message));
        }
        Ok(Some(data))
    }

    async fn publish_offer(&self, run: &str, offer: &Offer, data: &Value) -> bool {
        let id = format!("{run}/{}/{}", offer.step, offer.attempt);
        let message = events::envelope(&id, events::TASK_OFFERED, run, self.services.clock.now(), data);
        for wait in [20, 200, 1000, 2000, 4000, 8000] {
            match events::send(&self.services, events::OFFERS, vec![message.clone()]).await {
                Ok(()) => return true,
                Err(error) => tracing::warn!(run, %error, "an offer is not published yet"),
            }
            // One that was granted is nobody else's to make.
            if self.tasks.is_stopping() && !offer.at_most_once {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        false
    }

    /// Ends an attempt that no worker hears of.
    async fn conclude(&self, run: &str, offer: &Offer, outcome: Outcome) {
        let (step, attempt) = (offer.step.clone(), offer.attempt);
        let input = Input::Answer { step, attempt, outcome, usage: Usage::default() };
        if let Err(fault) = self.turn(run, Turn::Input(input)).await {
            tracing::debug!(run, detail = fault.detail, "the end of an offer is not recorded yet");
            self.land(run, &offer.step, attempt).await;
        }
    }

    /// Records a worker's answer. A late or repeated one is acknowledged too; one that can't be an answer is refused.
    pub(super) async fn finished(&self, run: &str, body: Finished) -> Reply {
        let outcome = match (body.output, body.error) {
            (Some(output), None) => Ok(output),
            (None, Some(complaint)) => Err(complaint.into_error()?),
            (Some(_), Some(_)) => return Err(Fault::bad_request("give either output or error, not both")),
            (None, None) => return Err(Fault::bad_request("give an output or an error")),
        };
        let seen = match self.turn(run, Turn::Look).await {
            Ok(seen) => seen.run,
            Err(fault) if fault.code == "run_archived" => return Ok(json!({})),
            Err(fault) => return Err(fault),
        };
        let node = seen.plan.as_ref().and_then(|p| p.by_id.get(&*body.step.node).map(|ix| p.node(*ix)));
        let Some(task) = node.and_then(|n| n.node.kind.asks_worker()) else {
            let message = format!("run {run} has no node {} with an external worker", body.step.node);
            return Err(self.forged(run, Fault::new(409, "not_external", message)));
        };
        if !self.was_offered(&seen, node, &body.step, body.attempt) {
            let message =
                format!("attempt {} of step {} was not offered to anybody", body.attempt, body.step);
            return Err(self.forged(run, Fault::new(409, "not_offered", message)));
        }
        let outcome = match outcome {
            Ok(output) => match self.fits(task.output_schema.clone(), output).await? {
                Ok(output) => Outcome::Done(Datum::inline(output)),
                Err(problems) => {
                    let all: Vec<String> =
                        problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
                    let message = format!("the answer does not fit the output schema: {}", all.join("; "));
                    let costly = schema::is_too_costly(&problems);
                    Outcome::Failed(CallError::permanent(
                        if costly { schema::TOO_COSTLY } else { "output_invalid" },
                        message,
                    ))
                }
            },
            Err(error) => Outcome::Failed(error),
        };
        let used = body.usage.unwrap_or_default();
        let usage = Usage {
            calls: used.calls,
            prompt_tokens: used.prompt_tokens,
            completion_tokens: used.completion_tokens,
            estimated: used.estimated,
        };
        let usage = usage.believed();
        let input = Input::Answer { step: body.step, attempt: body.attempt, outcome, usage };
        match self.turn(run, Turn::Input(input)).await {
            Ok(_) => Ok(json!({})),
            Err(fault) if fault.code == "run_archived" => Ok(json!({})),
            Err(fault) => Err(fault),
        }
    }
}

impl Workflows {
    /// Whether a worker can have heard of the attempt. What is performed at most once is granted, on record, before it is
    /// offered. Of other steps only the attempt is on record, and the offer follows it.
    fn was_offered(&self, seen: &Run, node: Option<&PlanNode>, step: &StepKey, attempt: u32) -> bool {
        let Some(known) = seen.steps.get(step) else {
            // Steps of ended bodies are forgotten: that is late, and nothing comes of it.
            return !step.iteration.is_empty();
        };
        let once = node.is_some_and(|n| n.node.effect == EffectMode::AtMostOnce);
        let ungranted = matches!(known.state, StepState::Started { granted: None });
        attempt <= known.attempt && !(once && ungranted && attempt == known.attempt && holds(Rule::Grant))
    }

    fn forged(&self, run: &str, fault: Fault) -> Fault {
        self.services.metrics.refused("finished");
        tracing::warn!(run, detail = fault.detail, "what no worker was asked for is refused");
        fault
    }

    /// Checks an output against its schema, if there is one.
    async fn fits(&self, schema: Option<Value>, output: Value) -> Result<Result<Value, Vec<Problem>>, Fault> {
        let Some(schema) = schema else { return Ok(Ok(output)) };
        let check = move || schema::validate(&schema, &output).map(|()| output);
        self.tasks.pool.check(check).await.map_err(Fault::busy)
    }
}

// === impl Complaint ===

impl Complaint {
    fn usual() -> String {
        "worker_failed".into()
    }

    fn may_be_retried() -> bool {
        true
    }

    fn into_error(self) -> Result<CallError, Fault> {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=64).contains(&self.code.len()) || !self.code.bytes().all(fine) {
            return Err(Fault::bad_request("an error's code is 1 to 64 of a-z 0-9 _"));
        }
        let mut message = self.message;
        message.truncate(message.floor_char_boundary(COMPLAINT));
        let Self { code, retryable, retry_after, .. } = self;
        Ok(CallError { code, message, retryable, retry_after })
    }
}

/// An output of `null` is an output.
fn given<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
