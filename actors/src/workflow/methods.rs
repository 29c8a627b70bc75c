//! The methods of the `Workflow` actor: JSON in, JSON out.

use super::{
    Workflows,
    reason::{Done, Turn},
};
use crate::protocol::{
    Fault, Message, Reply, Taken, parse, reply,
    run::{self as message, Named},
};
use callboard_core::{
    Code, Datum,
    agent::run::Ending,
    call::{CallError, Fallback, Usage},
    id::{OperationId, RunId},
    workflow::{
        Fingerprint, Input, Op, Outcome, Status,
        definition::{EffectMode, SIGNAL_NAME_LIMIT},
        event::RunError,
        run::StepState,
        view::{RunView, Summary},
    },
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Bytes that the values in one answer may have together.
const ANSWER: u64 = 2 << 20;

/// An operation's id, and a node's, in bytes: as the API bounds them.
pub(super) const NAME: usize = 255;
/// The path of an iteration, in bytes.
const PATH: usize = 255;
/// A person's comment, in bytes.
const COMMENT: usize = 64 << 10;
/// The hash of an approval, in bytes. Real ones are shorter.
const HASH: usize = 255;
/// The name of an activation, in bytes.
const ACTIVATION: usize = 64;

/// The command events and the methods they stand for.
pub const COMMANDS: [(&str, &str); 6] = [
    ("callboard.workflow.start", "start"),
    ("callboard.run.signal", "signal"),
    ("callboard.run.cancel", "cancel"),
    ("callboard.run.pause", "pause"),
    ("callboard.run.resume", "resume"),
    ("callboard.run.approve", "approve"),
];

impl Workflows {
    /// Calls a method by name.
    pub(super) async fn call_method(&self, run: &RunId, method: &str, body: &[u8]) -> Reply {
        let input = match method {
            message::Start::METHOD => {
                let done = self.start(run, parse(body)?).await?;
                return reply(self.show(run, &done).await);
            }
            "status" => return reply(self.status(run).await),
            message::Answer::METHOD => return reply(self.answer(run, parse(body)?).await),
            message::Finished::METHOD => return reply(self.finished(run, parse(body)?).await),
            message::Grant::METHOD => return reply(self.grant(run, parse(body)?).await),
            message::Reserve::METHOD => return reply(self.reserve(run, parse(body)?).await),
            message::IsWanted::METHOD => return reply(self.is_wanted(run, parse(body)?).await),
            message::Sweep::METHOD => {
                self.turn(run, Turn::Sweep).await?;
                return reply(Ok(Taken {}));
            }
            "cancel" => Input::Cancel { op: self.op(method, parse::<message::Operation>(body)?)?.0 },
            "pause" => Input::Pause { op: self.op(method, parse::<message::Operation>(body)?)?.0 },
            "resume" => {
                let input = Input::Resume { op: self.op(method, parse::<message::Operation>(body)?)?.0 };
                if self.marks.is_set_aside(run) {
                    self.marks.lift(run);
                    tracing::warn!(%run, "the run that was set aside is tried again");
                    let done = self.turn(run, Turn::Sweep).await?;
                    // It may have been paused besides.
                    if done.run.paused.is_none() {
                        return reply(self.show(run, &done).await);
                    }
                }
                input
            }
            message::Signal::METHOD => {
                let (op, b) = self.op::<message::Signal>(method, parse(body)?)?;
                Input::Signal {
                    op,
                    name: bounded("name", b.name, SIGNAL_NAME_LIMIT)?,
                    data: Datum::inline(b.data),
                }
            }
            message::Approve::METHOD => {
                let (op, b) = self.op::<message::Approve>(method, parse(body)?)?;
                if self.services.settings.require_hash && b.approved && b.args_hash.is_none() {
                    let message = format!(
                        "an approval names what it approves (`approvals.require_hash`): give the `args_hash` of the step \
                         (GET /api/v1/runs/{run}/steps shows it)"
                    );
                    return Err(Fault::new(422, Code::ArgsHashRequired, message));
                }
                Input::Approve {
                    op,
                    node: bounded("node", b.node, NAME)?,
                    generation: b.generation,
                    iteration: b.iteration.map(|path| at_most("iteration", path, PATH)).transpose()?,
                    approved: b.approved,
                    comment: b.comment.map(|text| at_most("comment", text, COMMENT)).transpose()?,
                    args_hash: b.args_hash.map(|hash| at_most("args_hash", hash, HASH)).transpose()?,
                }
            }
            message::Rerun::METHOD => {
                let (op, b) = self.op::<message::Rerun>(method, parse(body)?)?;
                let from = bounded("from", b.from, NAME)?;
                self.may_rerun(run, &op.id).await?;
                let input = match b.input {
                    Some(input) => self.input_of_rerun(run, &op.id, input).await?,
                    None => None,
                };
                Input::Rerun { op, from, input: input.map(Datum::inline) }
            }
            _ => {
                return Err(Fault::new(404, Code::UnknownMethod, format!("Workflow has no method {method}")));
            }
        };
        let done = self.turn(run, Turn::Input(input)).await?;
        // A run that ended does no harm any more, so its mark is lifted.
        if done.run.ended.is_some() {
            self.marks.lift(run);
        }
        reply(self.show(run, &done).await)
    }

    /// Returns an operation's name and what it asks. One without a name can't be told from its repetition: each one counts.
    fn op<B: Named>(&self, method: &str, mut body: B) -> Result<(Op, B), Fault> {
        let Some(id) = body.op().take() else { return Ok((self.unnamed(), body)) };
        let id = bounded("op", id, NAME)?;
        if id.is_unrepeated() {
            return Ok((Op::unnamed(id), body));
        }
        let asked =
            serde_json::to_value(&body).map_err(|e| Fault::new(500, Code::Internal, e.to_string()))?;
        Ok((Op::named(id, Fingerprint::of(method, &asked)), body))
    }

    /// Names an operation that its caller did not.
    pub(super) fn unnamed(&self) -> Op {
        Op::unnamed(OperationId::unrepeated(format_args!("{:x}", self.services.clock.id())))
    }

    /// A rerun begins as a start does. A repetition does not, and what can't be rerun is told so.
    async fn may_rerun(&self, run: &RunId, op: &OperationId) -> Result<(), Fault> {
        let Err(fault) = self.quotas.begin(&self.services, run.project()).await else { return Ok(()) };
        match self.turn(run, Turn::Look).await {
            Ok(done) if done.run.ended.is_some() && !done.run.knows(op) => Err(fault),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Returns the input of a rerun as that of a start is taken. A repetition changes nothing, and a run that goes on is not
    /// rerun: neither needs a check.
    async fn input_of_rerun(
        &self,
        run: &RunId,
        op: &OperationId,
        input: Value,
    ) -> Result<Option<Value>, Fault> {
        let seen = self.turn(run, Turn::Look).await?.run;
        match &seen.plan {
            Some(plan) if seen.ended.is_some() && !seen.knows(op) => {
                self.input_of(plan, Some(input)).await.map(Some)
            }
            Some(_) | None => Ok(Some(input)),
        }
    }

    /// Returns the run; one that left the state store is answered from the catalog.
    pub async fn status(&self, run: &RunId) -> Result<RunView, Fault> {
        match self.turn(run, Turn::Look).await {
            Ok(done) => self.show(run, &done).await,
            Err(fault) if matches!(fault.code, Code::RunArchived | Code::Quarantined) => {
                let row =
                    self.services.catalog.run(run).await.map_err(|e| Fault::unavailable(e.to_string()))?;
                let row =
                    row.ok_or(if fault.code == Code::Quarantined { fault } else { Fault::not_found(run) })?;
                let summary: Summary = serde_json::from_str(&row.summary)
                    .map_err(|e| Fault::new(500, Code::Internal, format!("the summary of run {run}: {e}")))?;
                self.resolve(run, &summary).await
            }
            Err(fault) => Err(fault),
        }
    }

    /// Answers with a run and its seq.
    async fn show(&self, run: &RunId, done: &Done) -> Result<RunView, Fault> {
        match &done.summary {
            Some(summary) => {
                let view = self.resolve(run, summary).await?;
                Ok(RunView { seq: Some(done.seq), replayed: done.replayed, ..view })
            }
            None => Err(Fault::not_found(run)),
        }
    }

    /// Answers with a summary and the values it names, as far as there is room.
    async fn resolve(&self, run: &RunId, summary: &Summary) -> Result<RunView, Fault> {
        // An answer has to fit the sidecar's messages. A value that does not is shown as its reference, and read
        // elsewhere.
        let mut room = ANSWER;
        let refs: Vec<_> =
            summary.references().into_iter().filter(|r| fits(&mut room, r.size)).cloned().collect();
        let found = match self.fetch(run, &refs).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%run, %error, "values of the summary can't be read now");
                BTreeMap::new()
            }
        };
        let mut shown = summary.view(|r| found.get(&r.key).map(|v| (**v).clone()));
        shown.run_id = Some(summary.id.clone());
        if self.is_quarantined(run) && shown.ended_at.is_none() {
            shown.status = Status::Paused.name().to_owned();
            shown.error = Some(RunError {
                code: Code::Quarantined.as_str().to_owned(),
                message: "its turns failed unexpectedly".to_owned(),
                node: None,
            });
        }
        Ok(shown)
    }

    /// Records an agent's answer. A late one is acknowledged too: it needs no further telling.
    async fn answer(&self, run: &RunId, body: message::Answer) -> Result<Taken, Fault> {
        let outcome = match body.outcome {
            Ending::Completed(output) => Outcome::Done(output),
            Ending::Failed(error) => Outcome::Failed(error),
            Ending::Unknown => Outcome::Unknown,
            // The run did not cancel this attempt, so without a failure it would wait for ever.
            Ending::Cancelled => {
                Outcome::Failed(CallError::permanent("agent_cancelled", "the agent was told to stop"))
            }
        };
        let message::Answer { step, attempt, usage, mut fallbacks, .. } = body;
        let usage = usage.believed();
        fallbacks.truncate(Fallback::LIMIT);
        let input = Input::AgentAnswer { step, attempt, outcome, usage, fallbacks };
        match self.turn(run, Turn::Input(input)).await {
            Ok(_) => Ok(Taken {}),
            Err(fault) if matches!(fault.code, Code::UnknownRun | Code::RunArchived) => Ok(Taken {}),
            Err(fault) => Err(self.refused("answer", run, fault)),
        }
    }

    /// Counts what is refused because nobody was asked for it.
    fn refused(&self, what: &str, run: &RunId, fault: Fault) -> Fault {
        if matches!(fault.code, Code::NotAsked | Code::OutputInvalid) {
            self.services.metrics.refused(what);
            tracing::warn!(%run, what, detail = fault.detail, "what nobody was asked for is refused");
        }
        fault
    }

    /// Only an agent of a step that is performed at most once has to be granted it.
    async fn grant(&self, run: &RunId, body: message::Grant) -> Result<message::Granted, Fault> {
        let message::Grant { step, attempt, activation } = body;
        let activation = bounded("activation", activation, ACTIVATION)?;
        let seen = self.turn(run, Turn::Look).await?.run;
        let node = seen.plan.as_ref().and_then(|p| p.by_id.get(&*step.node).map(|ix| &p.node(*ix).node));
        let asks = node
            .is_some_and(|node| node.kind.asks_agent().is_some() && node.effect == EffectMode::AtMostOnce);
        if !asks {
            let message =
                format!("node {} of run {run} has no agent that must be granted its call", step.node);
            return Err(self.refused("grant", run, Fault::new(409, Code::NotAsked, message)));
        }
        let ask = Input::Grant { step: step.clone(), attempt, activation: activation.clone() };
        let done = self.turn(run, Turn::Input(ask)).await?;
        let granted = done.run.steps.get(&step).is_some_and(|s| {
            s.attempt == attempt
                && matches!(&s.state, StepState::Started { granted: Some(holder) } if *holder == activation)
        });
        Ok(message::Granted { granted })
    }

    /// Whether the run still waits for the attempt.
    async fn is_wanted(&self, run: &RunId, body: message::IsWanted) -> Result<message::Wanted, Fault> {
        let done = self.turn(run, Turn::Look).await?;
        let step = done.run.steps.get(&body.step);
        Ok(message::Wanted { wanted: step.is_some_and(|s| s.attempt == body.attempt && s.is_open()) })
    }

    /// Reserves one more call. The answer says whether it is on record, so a repeated question has the same answer.
    async fn reserve(&self, run: &RunId, body: message::Reserve) -> Result<message::Granted, Fault> {
        let message::Reserve { op, step, attempt, reserved } = body;
        if [reserved.calls, reserved.tokens, reserved.cost].iter().any(|n| *n > Usage::LIMIT) {
            return Err(Fault::bad_request(format!(
                "at most {} calls, tokens or millionths can be reserved",
                Usage::LIMIT
            )));
        }
        let ask = Input::Reserve { op: op.clone(), step, attempt, reserved };
        let done = self.turn(run, Turn::Input(ask)).await;
        let done = done.map_err(|fault| self.refused("reserve", run, fault))?;
        Ok(message::Granted { granted: done.run.knows(&op) })
    }

    /// The reminder fired.
    pub(super) async fn tick(&self, run: &RunId) -> Reply {
        match self.turn(run, Turn::Tick).await {
            Ok(_) => reply(Ok(Taken {})),
            // Nothing is left to wake for, and an error would bring the reminder again.
            Err(fault) if matches!(fault.code, Code::UnknownRun | Code::RunArchived) => reply(Ok(Taken {})),
            Err(fault) => Err(fault),
        }
    }
}

/// Refuses a text that is empty or longer than `most` bytes.
pub(super) fn bounded<T: AsRef<str>>(field: &str, text: T, most: usize) -> Result<T, Fault> {
    if text.as_ref().is_empty() {
        return Err(Fault::bad_request(format!("`{field}` has 1 to {most} bytes, not none")));
    }
    at_most(field, text, most)
}

/// Refuses a text that is longer than `most` bytes.
fn at_most<T: AsRef<str>>(field: &str, text: T, most: usize) -> Result<T, Fault> {
    let bytes = text.as_ref().len();
    if bytes > most {
        let message = format!("`{field}` has at most {most} bytes, not {bytes}");
        return Err(Fault::bad_request(message));
    }
    Ok(text)
}

/// Takes a value's size from the room that is left, if there is enough.
fn fits(room: &mut u64, size: u64) -> bool {
    match room.checked_sub(size) {
        Some(left) => {
            *room = left;
            true
        }
        None => false,
    }
}
