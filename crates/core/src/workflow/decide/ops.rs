//! Operations of people and programs on a run: signal, approve, cancel, pause, resume, rerun.

use super::Decision;
use crate::{
    Code, Datum,
    call::{CallError, Spent},
    workflow::{
        args_hash,
        event::{StepKey, What},
        input::{Input, Refusal},
        kinds::Branch,
        op::Op,
        run::StepState,
    },
};
use serde_json::json;

/// Signals that a run keeps at most until a step takes them. They are a part of its state.
const MAX_SIGNALS: usize = 256;

impl Decision<'_> {
    /// Records an operation. Errs if the state forbids it.
    pub(super) fn operate(&mut self, input: &Input) -> Result<(), Refusal> {
        let run = &self.run.id.clone();
        // A rerun is the only operation that a run takes after its end.
        if let Input::Rerun { op, from, input } = input {
            return self.rerun(op, from, input.clone());
        }
        if self.run.ended.is_some() {
            let status = serde_json::to_value(self.run.status()).unwrap_or_default();
            let status = status.as_str().unwrap_or_default();
            return Err(Refusal::conflict(Code::RunEnded, format!("run {run} has ended: it is {status}")));
        }
        match input {
            Input::Signal { op, name, data } => {
                if self.run.signals.values().map(|q| q.len()).sum::<usize>() >= MAX_SIGNALS {
                    let message = format!("run {run} already keeps {MAX_SIGNALS} signals that nobody took");
                    return Err(Refusal::too_many(Code::TooManySignals, message));
                }
                let (id, body) = (op.id.clone(), op.body);
                self.put(What::SignalReceived { op: id, name: name.clone(), data: data.clone(), body });
            }
            Input::Cancel { op } => self.put(What::RunCancelled { op: op.id.clone(), body: op.body }),
            Input::Pause { op } => {
                if self.run.paused.is_some() {
                    return Err(Refusal::conflict(Code::RunPaused, format!("run {run} is paused already")));
                }
                self.put(What::RunPaused { op: op.id.clone(), body: op.body });
            }
            Input::Resume { op } => {
                if self.run.paused.is_none() {
                    return Err(Refusal::conflict(Code::RunNotPaused, format!("run {run} is not paused")));
                }
                self.put(What::RunResumed { op: op.id.clone(), body: op.body });
            }
            Input::Approve { op, node, generation, iteration, approved, comment, args_hash } => {
                let key = self.asked(node, *generation, iteration.as_deref())?;
                self.approve(op, &key, *approved, comment.clone(), args_hash.as_deref())?;
            }
            // `take` hands over operations only.
            Input::Rerun { .. }
            | Input::Start { .. }
            | Input::Answer { .. }
            | Input::AgentAnswer { .. }
            | Input::Grant { .. }
            | Input::Reserve { .. }
            | Input::Tick => {}
        }
        Ok(())
    }

    /// Finds the one open step of `node` that waits for a person. Errs if there is none, or more than one.
    fn asked(
        &self,
        node: &str,
        generation: Option<u32>,
        iteration: Option<&str>,
    ) -> Result<StepKey, Refusal> {
        let run = &self.run.id;
        let Some(ix) = self.plan.by_id.get(node) else {
            return Err(Refusal::not_found(Code::UnknownNode, format!("run {run} has no node {node}")));
        };
        let is_approval = self.plan.node(*ix).node.kind.approval().is_some();
        let asks = |key: &StepKey| {
            self.run.steps.get(key).is_some_and(|s| match s.state {
                StepState::Started { .. } => is_approval,
                // Whatever its kind, a person says whether the call was performed.
                StepState::Unknown => true,
                StepState::Retrying { .. }
                | StepState::Completed { .. }
                | StepState::Failed
                | StepState::Skipped
                | StepState::Cancelled => false,
            })
        };
        let mut found = self.run.open.iter().filter(|key| {
            &*key.node == node
                && generation.is_none_or(|g| g == key.generation)
                && iteration.is_none_or(|i| i == &*key.iteration)
                && asks(key)
        });
        match (found.next(), found.next()) {
            (Some(key), None) => Ok(key.clone()),
            (None, _) => {
                let message = format!("node {node} of run {run} does not wait for an approval");
                let refusal = Refusal::conflict(Code::NotWaiting, message);
                // Who approves what was never asked may only be too early. What was asked once, or is asked again and
                // again in a body, is not answered ahead: nobody has seen the next question.
                let unasked =
                    self.plan.node(*ix).graph == 0 && !self.run.steps.keys().any(|key| &*key.node == node);
                Err(if is_approval && unasked { refusal.early() } else { refusal })
            }
            (Some(_), Some(_)) => {
                let message =
                    format!("node {node} of run {run} waits in several iterations: name the iteration");
                Err(Refusal::conflict(Code::AmbiguousIteration, message))
            }
        }
    }

    /// Records what a person says about an open step. `hash` names the arguments that the person saw.
    fn approve(
        &mut self,
        op: &Op,
        key: &StepKey,
        approved: bool,
        comment: Option<String>,
        hash: Option<&str>,
    ) -> Result<(), Refusal> {
        let Some(step) = self.run.steps.get(key).cloned() else { return Ok(()) };
        // The step's input may be another one by now, after a rerun for example.
        if let Some(given) = hash {
            let asked = step.input.as_ref().map(args_hash).unwrap_or_default();
            if given != asked {
                let message =
                    format!("the approval is for other arguments: this step's args_hash is {asked}");
                return Err(Refusal::conflict(Code::ArgumentsChanged, message));
            }
        } else if approved && self.asks_for_hash(key, &step) {
            let message = format!(
                "this approval covers what the node it guards will send: look at the step's input, and give its \
                 `args_hash` (GET /api/v1/runs/{}/steps shows both)",
                self.run.id
            );
            return Err(Refusal::invalid(Code::ArgsHashRequired, message));
        }
        if step.state == StepState::Unknown && !approved {
            let error = CallError::permanent(
                "unknown_outcome",
                "nobody knows whether it was performed; a person said it was not",
            );
            self.fail_as(key, step.attempt, error, Spent::default(), Some(op));
            return Ok(());
        }
        // To approve an unknown step means that it was performed. It completes without a branch, as it would have by
        // itself.
        let by = if approved { Branch::Approved } else { Branch::Rejected };
        let branch = (step.state != StepState::Unknown).then(|| by.name().to_owned());
        self.put(What::StepCompleted {
            step: key.clone(),
            attempt: step.attempt,
            output: Datum::inline(json!({"approved": approved, "comment": comment})),
            branch,
            usage: None,
            error: None,
            op: Some(op.id.clone()),
            signal: None,
            body: op.body,
            fallbacks: Vec::new(),
        });
        Ok(())
    }

    /// Begins a new generation at the node `from`. Errs if the run goes on, or its state is being deleted.
    fn rerun(&mut self, op: &Op, from: &str, input: Option<Datum>) -> Result<(), Refusal> {
        let run = &self.run.id;
        if self.run.ended.is_none() {
            return Err(Refusal::conflict(
                Code::RunNotEnded,
                format!("run {run} has not ended: it can't be rerun yet"),
            ));
        }
        if self.run.purging {
            return Err(Refusal::conflict(
                Code::RunArchived,
                format!("run {run} is archived: its state is gone"),
            ));
        }
        let Some(ix) = self.plan.by_id.get(from) else {
            return Err(Refusal::invalid(Code::UnknownNode, format!("run {run} has no node {from}")));
        };
        // The steps of a body are dropped when an iteration ends, so there is nothing to start from.
        if self.plan.node(*ix).graph != 0 {
            let message = format!("node {from} is inside a body: rerun from the node that holds it");
            return Err(Refusal::invalid(Code::NodeInBody, message));
        }
        self.put(What::RunRerun { op: op.id.clone(), from: from.to_owned(), input, body: op.body });
        Ok(())
    }
}
