//! The rules of a run: an input and the state give the events that become true.
//!
//! `decide` works on a copy: each event is applied to it as it is made, so later rules of the same decision see it.
//! `advance` then starts, joins, iterates and ends until nothing more follows or the decision is long enough.

use super::{
    definition::{EffectMode, Join, OnBreach, OnError},
    effects::{self, Effect},
    event::{Event, Failure, Reserved, RunError, StepKey, What},
    input::{Input, Refusal},
    kinds::Branch,
    op::{Fingerprint, Op},
    plan::{NodeIx, Plan},
    run::Run,
};
use crate::{
    Code, Datum, Machine, Missing, Stop, Timestamp, ValueRef, Values,
    call::{CallError, Spent},
    expr::Meter,
    retry,
    value::{VALUE_LIMIT, json_len},
};
use std::sync::Arc;

mod advance;
mod answers;
mod context;
mod ops;
mod seen;

pub use seen::Place;

/// Events after which a decision stops; the next turn goes on from the state that they give.
const MAX_EVENTS: usize = 64;
/// Bytes of data in its events after which a decision stops.
const MAX_BYTES: usize = 4 << 10;
/// Units of work on expressions after which a decision stops: no evaluation begins after that.
const MAX_WORK: u64 = 2_000_000;
/// Units of work that may be thrown away and done again because a value has to be loaded first. More than that is
/// kept.
const KEPT_WORK: u64 = 100_000;

/// Why a decision stops early.
pub(super) type Halt = Stop<Refusal>;

/// A decision under way.
pub(super) struct Decision<'a> {
    /// The state after all `events` of this decision.
    pub run: Run,
    pub plan: Arc<Plan>,
    /// The time of every event that this decision makes.
    pub at: Timestamp,
    /// The stored values that the shell has loaded so far.
    pub values: &'a Values,
    pub events: Vec<Event>,
    /// Counts the work on expressions.
    pub meter: &'a Meter<'a>,
    /// Bytes of data in `events`, as far as they stay inline.
    bytes: usize,
    /// How many events make the decision full.
    most: usize,
    /// What the meter said at the beginning, and where the decision is long enough.
    work: u64,
    most_work: u64,
    /// Whether one more event is tried only to see whether there is one.
    probing: bool,
    /// Whether another step may be dispatched, and how many events there were when that was found out.
    room: std::cell::Cell<Option<(usize, bool)>>,
}

/// Errs if a value is larger than one may be. `what` says which it is.
fn within(what: &str, datum: &Datum) -> Result<(), CallError> {
    let bytes = match datum {
        Datum::Inline(value) => json_len(value) as u64,
        Datum::Stored(stored) => stored.size,
    };
    if bytes <= VALUE_LIMIT as u64 {
        return Ok(());
    }
    let message = format!("{what}: it has {bytes} bytes as JSON, more than {VALUE_LIMIT} (16 MiB)");
    Err(CallError::permanent("value_too_large", message))
}

impl Machine for Run {
    type Input = Input;
    type Event = Event;
    type Effect = Effect;
    type Refusal = Refusal;

    fn decide(&self, at: Timestamp, input: &Input, values: &Values) -> Result<Vec<Event>, Halt> {
        self.decide_under(&Meter::default(), at, input, values)
    }

    fn apply(&mut self, event: &Event) {
        Run::apply(self, event);
    }

    fn pending(&self) -> Vec<Effect> {
        effects::pending(self)
    }

    fn deadline(&self) -> Option<Timestamp> {
        effects::deadline(self)
    }
}

impl Run {
    /// Decides, and counts the work on expressions in `meter`. Throw the result away if the meter's allowance ran out
    /// (`Meter::is_over`): expressions were cut short then.
    ///
    /// Errs with `Stop::Missing` if a stored value has to be loaded first, and with `Stop::Refused` if the state
    /// forbids the input.
    pub fn decide_under(
        &self,
        meter: &Meter<'_>,
        at: Timestamp,
        input: &Input,
        values: &Values,
    ) -> Result<Vec<Event>, Halt> {
        // A start that comes twice finds the run created. It goes on below, where `take` ignores it.
        if let Input::Start { op, workflow_id, version, plan, input, settings, trial } = input
            && self.created.is_none()
        {
            let mut d = Decision::new(self.clone(), at, values, meter)?;
            d.put(What::RunCreated {
                op: op.id.clone(),
                workflow_id: workflow_id.clone(),
                version: *version,
                plan: plan.clone(),
                input: input.clone(),
                settings: settings.clone(),
                body: op.body,
            });
            if let Some(trial) = trial {
                d.put(What::RunTried { trial: (**trial).clone() });
            }
            d.advance()?;
            return Ok(d.events);
        }
        if self.created.is_none() {
            let message = format!("there is no run {}", self.id);
            return Err(Refusal::not_found(Code::UnknownRun, message).early().into());
        }
        // The decision works on a copy, so that `self` is unchanged if it is refused or a value is missing. The maps
        // of a run are persistent, so the copy is cheap.
        let mut d = Decision::new(self.clone(), at, values, meter)?;
        d.take(input)?;
        d.advance()?;
        Ok(d.events)
    }
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Stop::Refused(refusal)
    }
}

// === impl Decision ===

impl<'a> Decision<'a> {
    /// Begins a decision. Errs with `plan_unavailable` if the run has no plan.
    fn new(run: Run, at: Timestamp, values: &'a Values, meter: &'a Meter<'a>) -> Result<Self, Halt> {
        // The shell attaches the plan before it decides. Without one no rule can be applied, so every input is
        // refused.
        let Some(plan) = run.plan.clone() else {
            return Err(Refusal::conflict(
                Code::PlanUnavailable,
                format!("the plan of run {} is not loaded", run.id),
            )
            .into());
        };
        Ok(Self {
            run,
            plan,
            at,
            values,
            events: Vec::new(),
            meter,
            bytes: 0,
            // One place stays free for `DecisionCut`.
            most: MAX_EVENTS - 1,
            // The meter is the caller's and may have counted before, so the limit counts from here.
            work: meter.used(),
            most_work: meter.used().saturating_add(MAX_WORK),
            probing: false,
            room: Default::default(),
        })
    }

    /// Makes an event true: later rules of this decision see it.
    pub fn put(&mut self, what: What) {
        self.bytes += what
            .data()
            .iter()
            .map(|d| match d {
                // A larger value is moved out by the shell, so it never takes more than this in the event.
                Datum::Inline(v) => json_len(v).min(crate::value::INLINE_LIMIT),
                // A reference has about this size: key, hash and length.
                Datum::Stored(_) => 64,
            })
            .sum::<usize>();
        let event = Event { at: self.at, what };
        self.run.apply(&event);
        self.events.push(event);
    }

    /// Whether the decision is long enough; one place is left for the mark that it was cut.
    pub fn is_full(&self) -> bool {
        self.events.len() >= self.most
            || self.bytes >= MAX_BYTES
            || self.meter.used() >= self.most_work
            // Without `probing` an eased meter would make every probe find nothing, and the run would look as if it
            // had nothing left to do.
            || self.meter.is_eased() && !self.probing
    }

    /// Whether the work so far is recorded although a value is missing for the rest.
    fn is_worth_keeping(&self) -> bool {
        !self.events.is_empty() && self.meter.used() >= self.work + KEPT_WORK
    }

    /// Moves each limit just far enough for one more event, to see whether any follows. What a probe finds is taken
    /// back.
    pub fn probe(&mut self) {
        self.most = self.events.len() + 1;
        self.bytes = 0;
        self.most_work = self.meter.used().saturating_add(1);
        self.probing = true;
    }

    /// Records what the input itself says.
    fn take(&mut self, input: &Input) -> Result<(), Halt> {
        match input {
            // A repeated start is ignored, and a tick says nothing: `advance` finds what follows from the state and
            // the time.
            Input::Start { .. } | Input::Tick => Ok(()),
            Input::Answer { step, attempt, outcome, usage } => {
                self.answer(step, *attempt, outcome, (*usage).into());
                Ok(())
            }
            Input::AgentAnswer { step, attempt, outcome, usage, fallbacks } => {
                let spent = Spent { usage: Some(*usage), fallbacks: fallbacks.clone() };
                self.agent_answer(step, *attempt, outcome, spent)
            }
            Input::Grant { step, attempt, activation } => {
                self.grant(step, *attempt, activation);
                Ok(())
            }
            Input::Reserve { op, step, attempt, reserved } => {
                self.reserve(op, step, *attempt, *reserved).map_err(Into::into)
            }
            // A repeated operation was recorded under the same `op`. It succeeds again and changes nothing, unless it asks
            // something else.
            Input::Signal { op, .. }
            | Input::Approve { op, .. }
            | Input::Cancel { op }
            | Input::Pause { op }
            | Input::Resume { op }
            | Input::Rerun { op, .. } => match self.run.remembered(&op.id) {
                Some(known) if Fingerprint::fits(known.body, op.body) => Ok(()),
                Some(_) => {
                    let message = format!(
                        "run {} has taken another operation under this id, or this one with another body: use \
                             another id for another operation",
                        self.run.id
                    );
                    Err(Refusal::invalid(Code::IdempotencyKeyReused, message).into())
                }
                None => self.operate(input).map_err(Into::into),
            },
        }
    }

    /// Returns the name of the budget's limit (`calls`, `tokens` or `cost`) that `more` would exceed, if any.
    pub fn breach(&self, more: Reserved) -> Option<&'static str> {
        let budget = self.plan.definition.settings.budget.as_ref()?;
        // A rerun has the whole budget again.
        let before = self.run.generations.last().map(|g| g.used_before).unwrap_or_default();
        // What is reserved counts as used. Otherwise steps in parallel would each find the same room.
        let (used, reserved) = (self.run.usage, self.run.reserved);
        // Agents and providers say these numbers: a sum that wrapped would pass under the limit.
        let sum = |used: u64, before: u64, reserved: u64, more: u64| {
            used.saturating_sub(before).saturating_add(reserved).saturating_add(more)
        };
        let calls = sum(used.calls, before.calls, reserved.calls, more.calls);
        let tokens = sum(used.tokens(), before.tokens(), reserved.tokens, more.tokens);
        if budget.calls.is_some_and(|limit| calls > limit) {
            return Some("calls");
        }
        if budget.tokens.is_some_and(|limit| tokens > limit) {
            return Some("tokens");
        }
        let cost = sum(used.cost, before.cost, reserved.cost, more.cost);
        budget.cost.is_some_and(|limit| cost > limit).then_some("cost")
    }

    /// Records that an attempt of a step ended with this output, by this branch.
    pub fn complete(
        &mut self,
        key: &StepKey,
        attempt: u32,
        output: Datum,
        branch: Option<Branch>,
        spent: Spent,
    ) {
        let Spent { usage, fallbacks } = spent;
        if let Err(error) = within("output", &output) {
            return self.fail(key, attempt, error, Spent { usage, fallbacks });
        }
        self.put(What::StepCompleted {
            step: key.clone(),
            attempt,
            output,
            branch: branch.map(|branch| branch.name().to_owned()),
            usage,
            error: None,
            op: None,
            signal: None,
            body: None,
            fallbacks,
        });
    }

    /// Records a failed attempt and what follows from it: another attempt, another output, or the end.
    pub fn fail(&mut self, key: &StepKey, attempt: u32, error: CallError, spent: Spent) {
        self.fail_as(key, attempt, error, spent, None);
    }

    /// The same, said by a person in the operation `op`.
    pub fn fail_as(&mut self, key: &StepKey, attempt: u32, error: CallError, spent: Spent, op: Option<&Op>) {
        let Spent { usage, fallbacks } = spent;
        let plan = self.plan.clone();
        let Some(ix) = plan.by_id.get(&*key.node) else { return };
        let node = &plan.node(*ix).node;
        // The core has no randomness: the delay's jitter derives from the step's name, so a replay gives the same
        // delay.
        let seed = format!("{}/{key}", self.run.id);
        let policy = node.retry.clone().unwrap_or_else(|| node.kind.default_retry());
        // A step that is performed at most once is never tried again by itself.
        let delay = (error.retryable && node.effect == EffectMode::Retry)
            .then(|| retry::delay(&policy, attempt, &seed, error.retry_after))
            .flatten();
        let failure = Failure::from(error);
        let (op, body) = (op.map(|op| op.id.clone()), op.and_then(|op| op.body));
        if let Some(delay) = delay {
            let retry_at = Some(self.at + delay);
            let step = key.clone();
            self.put(What::StepFailed {
                step,
                attempt,
                error: failure,
                retry_at,
                usage,
                op,
                body,
                fallbacks,
            });
            return;
        }
        // The error is recorded beside the default, so that people see why the output is not the node's own.
        if let OnError::Default(value) = &node.on_error {
            self.put(What::StepCompleted {
                step: key.clone(),
                attempt,
                output: Datum::inline(value.clone()),
                branch: None,
                usage,
                error: Some(failure),
                op,
                signal: None,
                body,
                fallbacks,
            });
            return;
        }
        self.put(What::StepFailed {
            step: key.clone(),
            attempt,
            error: failure.clone(),
            retry_at: None,
            usage,
            op,
            body,
            fallbacks,
        });
        if !self.handled(*ix) {
            self.fail_scope(key, *ix, failure);
        }
    }

    /// Whether the graph goes on behind a node that failed: by its `error` branch, or by a `settle` join, which takes
    /// any end.
    fn handled(&self, ix: NodeIx) -> bool {
        let node = self.plan.node(ix);
        node.node.on_error == OnError::Branch
            || node.children.iter().any(|link| self.plan.join(link.node) == Join::Settle)
    }

    /// Ends the owner of the body in which a failure was not handled, or the run.
    fn fail_scope(&mut self, key: &StepKey, ix: NodeIx, failure: Failure) {
        let plan = self.plan.clone();
        let graph = &plan.graphs[plan.node(ix).graph as usize];
        match graph.owner {
            None => self.put(What::RunFailed {
                error: RunError {
                    code: failure.code,
                    message: failure.message,
                    node: Some(key.node.to_string()),
                },
            }),
            Some(owner) => {
                // The path of the owner is this path without its last index.
                let outer = key.iteration.rsplit_once('.').map_or("", |(outer, _)| outer);
                let owner = StepKey::new(key.generation, &plan.node(owner).node.id, outer);
                let attempt = self.run.steps.get(&owner).map_or(1, |s| s.attempt);
                let message =
                    format!("node {} in iteration {}: {}", key.node, key.iteration, failure.message);
                // What was just recorded is not moved out yet.
                let details = failure.details.and_then(|details| match details {
                    Datum::Inline(details) => Some(Box::new((*details).clone())),
                    Datum::Stored(_) => None,
                });
                // The error is permanent, because another attempt of the owner would repeat the iterations that
                // succeeded, too.
                let error = CallError { details, ..CallError::permanent(&failure.code, message) };
                self.fail(&owner, attempt, error, Spent::default());
            }
        }
    }

    /// Ends the run because a budget does not allow more, or lets it finish with what is there. `limit` is the
    /// limit's name.
    pub fn breached(&mut self, limit: &str, node: Option<&str>) {
        let policy = self.plan.definition.settings.budget.as_ref().map_or(OnBreach::Stop, |b| b.on_breach);
        match policy {
            OnBreach::WrapUp => {
                // One event is enough: while the run wraps up, it may meet the same limit again.
                if !self.run.wrap_up {
                    self.put(What::BudgetBreached { limit: limit.to_owned() });
                }
            }
            OnBreach::Stop => self.put(What::RunFailed {
                error: RunError {
                    code: "budget_exceeded".into(),
                    message: format!("the run's budget of {limit} does not allow more"),
                    node: node.map(str::to_owned),
                },
            }),
        }
    }
}

/// Stops the decision until the shell has loaded these values.
pub(super) fn missing_all(refs: Vec<ValueRef>) -> Halt {
    Stop::Missing(Missing(refs))
}

#[cfg(test)]
mod tests;
