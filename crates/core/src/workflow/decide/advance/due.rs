//! What time and people brought: steps past their deadline, attempts due again, kept signals.

use super::{Decision, permanent};
use crate::{
    Datum, Span, Timestamp,
    agent::message::CallError,
    workflow::{
        definition::{EffectMode, NodeKind},
        effects,
        event::{StepKey, What},
        run::{Run, Step, StepState},
    },
};
use serde_json::json;

impl Decision<'_> {
    /// A run whose wall time is used up ends, or wraps up.
    pub(super) fn spend_time(&mut self) {
        if self.run.ended.is_none()
            && !self.run.wrap_up
            && time_limit(&self.run).is_some_and(|t| self.at >= t)
        {
            self.breached("seconds", None);
        }
    }

    /// Handles every open step whose instant has come.
    pub(super) fn due(&mut self) {
        let keys: Vec<StepKey> = self.run.open.iter().cloned().collect();
        for key in keys {
            if self.is_full() || self.run.ended.is_some() {
                return;
            }
            let Some(step) = self.run.steps.get(&key).cloned() else { continue };
            match step.state {
                StepState::Retrying { at } if at <= self.at => self.retry(&key, &step),
                StepState::Started { .. }
                    if effects::due(&self.run, &key, &step).is_some_and(|due| due <= self.at) =>
                {
                    self.expire(&key, &step)
                }
                _ => {}
            }
        }
    }

    fn retry(&mut self, key: &StepKey, step: &Step) {
        if self.run.wrap_up {
            self.put(What::StepCancelled { step: key.clone() });
            return;
        }
        let Some(ix) = self.plan.by_id.get(&*key.node).copied() else { return };
        let Some(reserved) = self.reservation(key, ix, step.input.as_ref()) else { return };
        let deadline = self.plan.node(ix).node.timeout.map(|t| self.at + t);
        let attempt = step.attempt + 1;
        self.put(What::StepStarted { step: key.clone(), attempt, input: None, deadline, reserved });
    }

    /// Ends a step whose deadline has passed, each kind in its own way.
    fn expire(&mut self, key: &StepKey, step: &Step) {
        let plan = self.plan.clone();
        let Some(ix) = plan.by_id.get(&*key.node) else { return };
        let node = &plan.node(*ix).node;
        match &node.kind {
            NodeKind::Wait(_) => {
                let until = step.deadline.unwrap_or(self.at).to_string();
                self.complete(key, step.attempt, Datum::inline(json!({ "until": until })), None, None);
            }
            NodeKind::Approval(_) => {
                let output = json!({"approved": false, "comment": null, "expired": true});
                self.complete(key, step.attempt, Datum::inline(output), Some("rejected"), None);
            }
            NodeKind::Signal(signal) => {
                let message = format!("no signal {} came in time", signal.name);
                self.fail(key, step.attempt, permanent("signal_timeout", message), None);
            }
            NodeKind::Agent(_) | NodeKind::Http(_) if node.effect == EffectMode::AtMostOnce => {
                self.put(What::StepUnknown { step: key.clone(), attempt: step.attempt });
            }
            NodeKind::Agent(_)
            | NodeKind::Http(_)
            | NodeKind::ForEach(_)
            | NodeKind::Loop(_)
            | NodeKind::Transform(_)
            | NodeKind::Condition(_) => {
                let limit = node.timeout.unwrap_or_default();
                let retryable = matches!(node.kind, NodeKind::Agent(_) | NodeKind::Http(_));
                let message = format!("attempt {} took longer than {limit}", step.attempt);
                let error = CallError { code: "timeout".into(), message, retryable, retry_after: None };
                self.fail(key, step.attempt, error, None);
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
        for key in keys {
            let Some(NodeKind::Signal(signal)) =
                plan.by_id.get(&*key.node).map(|ix| &plan.node(*ix).node.kind)
            else {
                continue;
            };
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
            });
        }
    }
}

/// Returns when the run's wall time is used up, given the pauses so far.
pub(in crate::workflow) fn time_limit(run: &Run) -> Option<Timestamp> {
    let seconds = run.plan.as_ref()?.definition.settings.budget.as_ref()?.seconds?;
    let generation = run.generations.last()?;
    Some(generation.at + Span::secs(seconds) + Span(run.paused_for - generation.paused_before))
}
