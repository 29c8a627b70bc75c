//! What the shell must do, derived from the state: the state is the outbox.

use super::{
    definition::EffectMode,
    event::StepKey,
    kinds::{Outside, Work},
    run::{Run, Step, StepState},
};
use crate::{Datum, Span, Timestamp};

/// Something asked of the outside and not yet answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Publish a task for the step's agent.
    StartAgent { step: StepKey, attempt: u32, agent: String, input: Datum, at_most_once: bool },
    /// Offer the step's task to workers outside.
    OfferTask { step: StepKey, attempt: u32, agent: String, input: Datum, at_most_once: bool },
    /// Make the step's call.
    CallHttp { step: StepKey, attempt: u32, input: Datum, expect: Vec<u16>, at_most_once: bool },
    /// Tell an agent that its answer is not wanted any more.
    CancelAgent { step: StepKey, attempt: u32 },
    /// Decide on.
    Continue,
    /// Delete the run's keys.
    Purge,
}

/// Returns everything asked for and not yet answered.
pub(super) fn pending(run: &Run) -> Vec<Effect> {
    // Nothing else matters once the state is about to be deleted.
    if run.purging {
        return vec![Effect::Purge];
    }
    let Some(plan) = &run.plan else { return Vec::new() };
    // Only agents of ours are told. A worker outside goes on, and its late answer changes nothing.
    let is_agent = |key: &StepKey| {
        plan.by_id.get(&*key.node).is_some_and(|ix| plan.node(*ix).node.kind.asks_agent().is_some())
    };
    let mut out: Vec<Effect> = run
        .abandoned
        .iter()
        .filter(|(key, _)| is_agent(key))
        .map(|(step, attempt)| Effect::CancelAgent { step: step.clone(), attempt: *attempt })
        .collect();
    if run.ended.is_some() {
        return out;
    }
    // A paused run goes on when it is resumed.
    if run.cut && run.paused.is_none() {
        out.push(Effect::Continue);
    }
    // These effects stay while the run is paused: the steps began before, and their calls may be under way.
    for key in &run.open {
        let Some(step) = run.steps.get(key) else { continue };
        let StepState::Started { granted } = &step.state else { continue };
        let granted = granted.is_some();
        let Some(ix) = plan.by_id.get(&*key.node) else { continue };
        let node = &plan.node(*ix).node;
        let (step, attempt, input) =
            (key.clone(), step.attempt, step.input.clone().unwrap_or_else(Datum::null));
        let at_most_once = node.effect == EffectMode::AtMostOnce;
        match node.kind.work() {
            // A task that is performed at most once is offered once. After the grant the offer may be out, so it is
            // not made again.
            Work::Outside(Outside::Worker(n)) => {
                if !(at_most_once && granted) {
                    let agent = n.agent.clone();
                    out.push(Effect::OfferTask { step, attempt, agent, input, at_most_once });
                }
            }
            Work::Outside(Outside::Agent(n)) => {
                out.push(Effect::StartAgent { step, attempt, agent: n.agent.clone(), input, at_most_once });
            }
            Work::Outside(Outside::Http(n)) => {
                out.push(Effect::CallHttp { step, attempt, input, expect: n.expect.clone(), at_most_once });
            }
            Work::Decided | Work::Waits(_) | Work::Holds(_) => {}
        }
    }
    out
}

/// Returns when a started step is due, in the run's own time. The deadline of `wait until` is an instant of the wall
/// clock, so it is moved by as much as the run's own time is ahead.
pub(super) fn due(run: &Run, key: &StepKey, step: &Step) -> Option<Timestamp> {
    let deadline = step.deadline?;
    // The usual case, which needs no look into the plan.
    if run.ahead == Span::ZERO {
        return Some(deadline);
    }
    let plan = run.plan.as_ref()?;
    let node = plan.by_id.get(&*key.node).map(|ix| &plan.node(*ix).node);
    let absolute = node.is_some_and(|node| node.kind.is_due_by_the_wall_clock());
    Some(if absolute { deadline + run.ahead } else { deadline })
}

/// Returns when to send a tick, in the run's own time.
pub(super) fn deadline(run: &Run) -> Option<Timestamp> {
    // An ended run waits for one tick more: the one that begins the purge.
    if run.ended.is_some() {
        return run.retained_until().filter(|_| !run.purging);
    }
    // Nothing is due in a pause. Resuming looks at all deadlines again.
    if run.paused.is_some() {
        return None;
    }
    let steps = run.open.iter().filter_map(|key| {
        let step = run.steps.get(key)?;
        match step.state {
            StepState::Retrying { at } => Some(at),
            StepState::Started { .. } => due(run, key, step),
            StepState::Unknown
            | StepState::Completed { .. }
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => None,
        }
    });
    // While the run wraps up the limit has passed already: a tick for it would come again and again.
    let time = if run.wrap_up { None } else { run.time_limit() };
    steps.chain(time).min()
}
