//! What time and people brought: steps past their deadline, attempts due again, kept signals.

use super::Decision;
use crate::{
    Datum,
    call::{CallError, Spent},
    workflow::{
        definition::EffectMode,
        effects,
        event::{StepKey, What},
        kinds::{Branch, Waits, Work},
        run::{Step, StepState},
    },
};
use serde_json::json;

impl Decision<'_> {
    /// Ends the run, or wraps it up, when its wall time is used up.
    pub(super) fn spend_time(&mut self) {
        if self.run.ended.is_none()
            && !self.run.wrap_up
            && self.run.time_limit().is_some_and(|t| self.at >= t)
        {
            self.breached("seconds", None);
        }
    }

    /// Handles every open step whose instant has come.
    pub(super) fn due(&mut self) {
        // A copy of the keys, since each step that ends changes `open`.
        let keys: Vec<StepKey> = self.run.open.iter().cloned().collect();
        for key in keys {
            if self.is_full() || self.run.ended.is_some() {
                return;
            }
            // It may be gone: the end of a step drops the steps of its body.
            let Some(step) = self.run.steps.get(&key).cloned() else { continue };
            match step.state {
                StepState::Retrying { at } if at <= self.at => self.retry(&key, &step),
                StepState::Started { .. }
                    if effects::due(&self.run, &key, &step).is_some_and(|due| due <= self.at) =>
                {
                    self.expire(&key, &step)
                }
                StepState::Started { .. }
                | StepState::Retrying { .. }
                | StepState::Unknown
                | StepState::Completed { .. }
                | StepState::Failed
                | StepState::Skipped
                | StepState::Cancelled => {}
            }
        }
    }

    /// Starts the next attempt of a step whose delay is over, if the budget allows.
    fn retry(&mut self, key: &StepKey, step: &Step) {
        if self.run.wrap_up {
            self.put(What::StepCancelled { step: key.clone() });
            return;
        }
        let Some(ix) = self.plan.by_id.get(&*key.node).copied() else { return };
        let Some(reserved) = self.reservation(key, ix, step.input.as_ref()) else { return };
        let deadline = self.plan.node(ix).node.timeout.map(|t| self.at + t);
        let attempt = step.attempt + 1;
        // The input was recorded with the first attempt, and holds for all of them.
        self.put(What::StepStarted { step: key.clone(), attempt, input: None, deadline, reserved });
    }

    /// Ends a step whose deadline has passed. What that means depends on its kind.
    fn expire(&mut self, key: &StepKey, step: &Step) {
        let plan = self.plan.clone();
        let Some(ix) = plan.by_id.get(&*key.node) else { return };
        let node = &plan.node(*ix).node;
        let limit = node.timeout.unwrap_or_default();
        let timeout = format!("attempt {} took longer than {limit}", step.attempt);
        match node.kind.work() {
            Work::Waits(Waits::Time(_)) => {
                let until = step.deadline.unwrap_or(self.at).to_string();
                self.complete(
                    key,
                    step.attempt,
                    Datum::inline(json!({ "until": until })),
                    None,
                    Spent::default(),
                );
            }
            // Silence is a rejection, never an approval.
            Work::Waits(Waits::People(_)) => {
                let output = json!({"approved": false, "comment": null, "expired": true});
                self.complete(
                    key,
                    step.attempt,
                    Datum::inline(output),
                    Some(Branch::Rejected),
                    Spent::default(),
                );
            }
            Work::Waits(Waits::Signal(signal)) => {
                let message = format!("no signal {} came in time", signal.name);
                self.fail(
                    key,
                    step.attempt,
                    CallError::permanent("signal_timeout", message),
                    Spent::default(),
                );
            }
            // The call may have been performed, so only a person can say what follows.
            Work::Outside(_) if node.effect == EffectMode::AtMostOnce => {
                self.put(What::StepUnknown { step: key.clone(), attempt: step.attempt });
            }
            Work::Outside(_) => {
                self.fail(key, step.attempt, CallError::transient("timeout", timeout), Spent::default());
            }
            // An attempt of a body is all of its iterations: it is not tried again.
            Work::Holds(_) | Work::Decided => {
                self.fail(key, step.attempt, CallError::permanent("timeout", timeout), Spent::default());
            }
        }
    }

    /// Gives kept signals to the steps that wait for them, oldest first.
    pub(super) fn take_signals(&mut self) {
        if self.run.signals.is_empty() {
            return;
        }
        let plan = self.plan.clone();
        let keys: Vec<StepKey> = self.run.open.iter().cloned().collect();
        // `open` is ordered by key, so a replay gives a signal to the same step.
        for key in keys {
            let kind = plan.by_id.get(&*key.node).map(|ix| &plan.node(*ix).node.kind);
            let Some(signal) = kind.and_then(|kind| kind.signal()) else { continue };
            let Some(data) = self.run.signals.get(&signal.name).and_then(|q| q.front()).cloned() else {
                continue;
            };
            let Some(attempt) = self.run.steps.get(&key).map(|s| s.attempt) else { continue };
            if self.is_full() {
                return;
            }
            self.put(What::StepCompleted {
                step: key,
                attempt,
                output: data,
                branch: None,
                usage: None,
                error: None,
                op: None,
                signal: Some(signal.name.clone()),
                body: None,
                fallbacks: Vec::new(),
            });
        }
    }
}
