//! Tasks for workers outside: offered as messages, answered by messages. We know nothing of a worker. It knows what
//! the offer says, and its answer counts like any other.

use super::{
    Workflows,
    attempts::{Attempt, Handle, PUBLISH},
    nodes::output_schema,
    reason::Turn,
};
use crate::{
    events,
    mutant::rule,
    protocol::{
        Fault, Taken,
        run::{Complaint, Finished, TaskOffered},
        sealed,
    },
};
use callboard_core::{
    Code, Datum, Problem, Timestamp,
    call::{CallError, Usage},
    id::RunId,
    schema,
    value::json_len,
    workflow::{Input, Outcome, Run, StepKey, definition::EffectMode, plan::PlanNode, run::StepState},
};
use serde_json::Value;
/// Bytes of a prompt and a schema together. A message through the sidecar has at most 4 MiB.
const LARGEST: usize = 2 << 20;
/// Bytes of what a worker says went wrong.
const COMPLAINT: usize = 2000;

/// A task on its way out.
pub(super) struct Offer {
    step: StepKey,
    attempt: u32,
    agent: String,
    input: Datum,
    at_most_once: bool,
    output_schema: Option<Value>,
    deadline: Option<Timestamp>,
    handle: Handle,
}

impl Offer {
    /// Makes the offer of an attempt, with what the run's plan says of the step.
    pub fn new(
        run: &Run,
        (step, attempt): Attempt,
        agent: String,
        input: Datum,
        at_most_once: bool,
        handle: Handle,
    ) -> Self {
        let output_schema = output_schema(run, &step).cloned();
        let deadline = run.steps.get(&step).and_then(|s| s.deadline);
        Self { step, attempt, agent, input, at_most_once, output_schema, deadline, handle }
    }
}

impl Workflows {
    /// Offers a task, in a task of its own.
    pub(super) fn offer(&self, run: &RunId, offer: Offer) {
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            if this.tasks.is_stopping() {
                return;
            }
            if !this.services.projects.is_open(run.project()) {
                let message = format!("workers outside are offered nothing of the project {}", run.project());
                let closed = Outcome::Failed(CallError::permanent("offers_closed", message));
                return this.conclude(&run, &offer, closed).await;
            }
            let once = rule!(Grant, offer.at_most_once);
            // An offer that must not be made twice is made by the one that is granted it. If that one dies before the
            // message is out, the step's timeout ends the wait.
            if once && !this.granted(&run, &offer.step, offer.attempt).await {
                this.land(&run, &offer.step, offer.attempt).await;
                return;
            }
            let data = match this.offered(&run, &offer).await {
                Ok(Some(data)) => data,
                Ok(None) => return offer.handle.failed(),
                Err(error) => return this.conclude(&run, &offer, Outcome::Failed(error)).await,
            };
            if this.publish_offer(&run, &offer, &data).await {
                return;
            }
            if once {
                return this.conclude(&run, &offer, Outcome::Unknown).await;
            }
            offer.handle.failed();
        });
    }

    /// Returns what a worker is told, nothing if the prompt can't be read now.
    async fn offered(&self, run: &RunId, offer: &Offer) -> Result<Option<TaskOffered>, CallError> {
        let Some(input) = self.content(run, &offer.input).await else { return Ok(None) };
        let data = TaskOffered {
            run_id: run.clone(),
            step: offer.step.clone(),
            attempt: offer.attempt,
            agent: offer.agent.clone(),
            prompt: input["prompt"].clone(),
            output_schema: offer.output_schema.clone(),
            deadline: offer.deadline.map(|at| at.to_string()),
            at_most_once: offer.at_most_once,
            token: sealed::offer_token(&self.services.keyring, run, &offer.step, offer.attempt),
        };
        let size = json_len(&data.prompt) + data.output_schema.as_ref().map_or(0, json_len);
        if size > LARGEST {
            let message = format!("a task of {size} bytes can't be offered; {LARGEST} are the most");
            return Err(CallError::permanent("task_too_large", message));
        }
        Ok(Some(data))
    }

    /// Publishes an offer. Returns whether it is out.
    async fn publish_offer(&self, run: &RunId, offer: &Offer, data: &TaskOffered) -> bool {
        let id = format!("{run}/{}/{}", offer.step, offer.attempt);
        let message =
            events::envelope(&id, events::TASK_OFFERED, run.as_str(), self.services.clock.now(), data);
        let mut tries = PUBLISH;
        while tries.climb().await {
            match events::send(&self.services, events::OFFERS, vec![message.clone()]).await {
                Ok(()) => return true,
                Err(error) => tracing::warn!(%run, %error, "an offer is not published yet"),
            }
            // An offer that was granted can't be made by another process, so it is tried to the end.
            if self.tasks.is_stopping() && !offer.at_most_once {
                return false;
            }
        }
        false
    }

    /// Ends an attempt that no worker hears of.
    async fn conclude(&self, run: &RunId, offer: &Offer, outcome: Outcome) {
        let (step, attempt) = (offer.step.clone(), offer.attempt);
        let input = Input::Answer { step, attempt, outcome, usage: Usage::default() };
        if let Err(fault) = self.turn(run, Turn::Input(input)).await {
            tracing::debug!(%run, detail = fault.detail, "the end of an offer is not recorded yet");
            self.land(run, &offer.step, attempt).await;
        }
    }

    /// Records a worker's answer. A late or repeated one is acknowledged too; one that can't be an answer is refused.
    pub(super) async fn finished(&self, run: &RunId, body: Finished) -> Result<Taken, Fault> {
        let outcome = match (body.output, body.error) {
            (Some(output), None) => Ok(output),
            (None, Some(complaint)) => Err(error_of(complaint)?),
            (Some(_), Some(_)) => return Err(Fault::bad_request("give either output or error, not both")),
            (None, None) => return Err(Fault::bad_request("give an output or an error")),
        };
        // A look is enough to refuse what nobody was asked for: such an answer costs no write.
        let seen = match self.turn(run, Turn::Look).await {
            Ok(seen) => seen.run,
            // The run is over, and the worker need not try again.
            Err(fault) if fault.code == Code::RunArchived => return Ok(Taken {}),
            Err(fault) => return Err(fault),
        };
        let node = seen.plan.as_ref().and_then(|p| p.by_id.get(&*body.step.node).map(|ix| p.node(*ix)));
        let Some(task) = node.and_then(|n| n.node.kind.asks_worker()) else {
            let message = format!("run {run} has no node {} with an external worker", body.step.node);
            return Err(self.forged(run, Fault::new(409, Code::NotExternal, message)));
        };
        if !self.was_offered(&seen, node, &body.step, body.attempt) {
            let message =
                format!("attempt {} of step {} was not offered to anybody", body.attempt, body.step);
            return Err(self.forged(run, Fault::new(409, Code::NotOffered, message)));
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
            // What workers outside spend nobody here knows.
            ..Usage::default()
        };
        let usage = usage.believed();
        let input = Input::Answer { step: body.step, attempt: body.attempt, outcome, usage };
        match self.turn(run, Turn::Input(input)).await {
            Ok(_) => Ok(Taken {}),
            Err(fault) if fault.code == Code::RunArchived => Ok(Taken {}),
            Err(fault) => Err(fault),
        }
    }
}

impl Workflows {
    /// Whether a worker can have heard of the attempt. An attempt that is performed at most once is granted, on
    /// record, before it is offered. Of other steps only the attempt is on record, and the offer follows it.
    fn was_offered(&self, seen: &Run, node: Option<&PlanNode>, step: &StepKey, attempt: u32) -> bool {
        let Some(known) = seen.steps.get(step) else {
            // The steps of ended bodies are forgotten. Such an answer is late, and changes nothing.
            return !step.iteration.is_empty();
        };
        let once = node.is_some_and(|n| n.node.effect == EffectMode::AtMostOnce);
        let ungranted = matches!(known.state, StepState::Started { granted: None });
        attempt <= known.attempt && !rule!(Grant, once && ungranted && attempt == known.attempt)
    }

    /// Counts an answer that nobody was asked for.
    fn forged(&self, run: &RunId, fault: Fault) -> Fault {
        self.services.metrics.refused("finished");
        tracing::warn!(%run, detail = fault.detail, "what no worker was asked for is refused");
        fault
    }

    /// Checks an output against its schema, if there is one.
    async fn fits(&self, schema: Option<Value>, output: Value) -> Result<Result<Value, Vec<Problem>>, Fault> {
        let Some(schema) = schema else { return Ok(Ok(output)) };
        let check = move || schema::validate(&schema, &output).map(|()| output);
        self.tasks.pool.check(check).await.map_err(Fault::busy)
    }
}

/// Reads what a worker says went wrong as a failure of the step.
fn error_of(complaint: Complaint) -> Result<CallError, Fault> {
    let Complaint { code, mut message, retryable, retry_after } = complaint;
    let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if !(1..=64).contains(&code.len()) || !code.bytes().all(fine) {
        return Err(Fault::bad_request("an error's code is 1 to 64 of a-z 0-9 _"));
    }
    message.truncate(message.floor_char_boundary(COMPLAINT));
    Ok(CallError { retryable, retry_after, ..CallError::permanent(&code, message) })
}
