//! How events change a run. No rule lives here, only bookkeeping: recorded events fold the same in every later version.

use super::{Archived, Created, Ended, Ending, Generation, Remembered, Run, Step, StepState};
use crate::{
    Datum, Hash, Timestamp,
    call::Usage,
    id::OperationId,
    workflow::{
        event::{Event, Failure, Reserved, StepKey, What},
        op::Fingerprint,
        plan::{GraphIx, NodeIx, Plan},
    },
};

/// How many operation ids a run remembers.
const REMEMBERED_OPS: usize = 256;

impl Run {
    /// Folds one event.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        // The mark says that the last decision was cut. Any other event means that the run went on since.
        if !matches!(event.what, What::DecisionCut {}) {
            self.cut = false;
        }
        match &event.what {
            What::RunCreated { op, workflow_id, version, plan, input, settings, body } => {
                self.created = Some(Created {
                    at,
                    workflow_id: workflow_id.clone(),
                    version: *version,
                    plan: plan.clone(),
                    input: input.clone(),
                    settings: settings.clone(),
                });
                self.generations.push_back(Generation {
                    at,
                    from: None,
                    input: None,
                    used_before: Usage::default(),
                    paused_before: 0,
                });
                self.remember(op, *body);
            }
            What::StepStarted { step, attempt, input, deadline, reserved } => {
                // A retry keeps what the attempts before it left: the input, the use, the beginning.
                let mut s = self.steps.get(step).cloned().unwrap_or_else(|| Step::new(at));
                s.attempt = *attempt;
                s.state = StepState::Started { granted: None };
                s.input = input.clone().or(s.input);
                s.deadline = *deadline;
                s.started_at = s.started_at.or(Some(at));
                self.reserve(&mut s, *reserved);
                self.open.insert(step.clone());
                self.steps.insert(step.clone(), s);
                self.note(step);
            }
            // Which models failed before is for people to read: nothing follows from it.
            What::StepCompleted {
                step,
                attempt,
                output,
                branch,
                usage,
                error,
                op,
                signal,
                body,
                fallbacks: _,
            } => {
                let state = StepState::Completed { output: output.clone(), branch: branch.clone() };
                // The signal leaves its queue in the same event, so that no second step can have it.
                signal.iter().for_each(|name| self.take_signal(name));
                self.end_step(step, *attempt, at, state, *usage, error.clone());
                op.iter().for_each(|op| self.remember(op, *body));
            }
            What::StepFailed { step, attempt, error, retry_at, usage, op, body, fallbacks: _ } => {
                let error = Some(error.clone());
                match retry_at {
                    Some(retry) => {
                        let mut s = self.steps.get(step).cloned().unwrap_or_else(|| Step::new(at));
                        s.attempt = *attempt;
                        s.state = StepState::Retrying { at: *retry };
                        s.error = error;
                        // The next attempt sets its own.
                        s.deadline = None;
                        self.settle(&mut s, *usage);
                        self.open.insert(step.clone());
                        self.steps.insert(step.clone(), s);
                        self.note(step);
                    }
                    None => self.end_step(step, *attempt, at, StepState::Failed, *usage, error),
                }
                op.iter().for_each(|op| self.remember(op, *body));
            }
            // An attempt of 0 leaves the number of the step as it is.
            What::StepSkipped { step } => self.end_step(step, 0, at, StepState::Skipped, None, None),
            What::StepCancelled { step } => self.end_step(step, 0, at, StepState::Cancelled, None, None),
            // The step stays open, and its reservation stays: the call may go on.
            What::StepUnknown { step, attempt } => {
                if let Some(s) = self.steps.get_mut(step) {
                    s.attempt = *attempt;
                    s.state = StepState::Unknown;
                    s.deadline = None;
                }
            }
            What::StepGranted { step, activation, .. } => {
                if let Some(s) = self.steps.get_mut(step) {
                    s.state = StepState::Started { granted: Some(activation.clone()) };
                }
            }
            What::IterationStarted { step, index } => {
                if let Some(s) = self.steps.get_mut(step) {
                    let i = s.iterations.get_or_insert_default();
                    i.next = index + 1;
                    i.open.insert(*index);
                }
            }
            // An output that a step of the body has is taken from there. It was recorded once.
            What::IterationEnded { step, index, output, of } => {
                let output = match (output, of.as_ref().and_then(|key| self.steps.get(key))) {
                    (Some(output), _) => output.clone(),
                    (None, Some(Step { state: StepState::Completed { output, .. }, .. })) => output.clone(),
                    (None, _) => Datum::null(),
                };
                if let Some(s) = self.steps.get_mut(step) {
                    let i = s.iterations.get_or_insert_default();
                    i.open.remove(index);
                    i.outputs.insert(*index, output.clone());
                }
                // Only the workflow's own graph is archived. A body inside a body is gone when the outer iteration
                // ends.
                if step.iteration.is_empty() {
                    self.archive.push_back(Archived::Output(step.clone(), *index, output));
                }
                // The body is dropped last, since the output may be that of one of its steps.
                self.drop_body(step, Some(*index));
            }
            What::SignalReceived { op, name, data, body } => {
                self.signals.entry(name.clone()).or_default().push_back(data.clone());
                self.remember(op, *body);
            }
            // Looping agents reserve one call after the other; the next `settle` gives all of it back.
            What::BudgetReserved { step, reserved, op, .. } => {
                if let Some(mut s) = self.steps.get(step).cloned() {
                    self.reserve(&mut s, *reserved);
                    self.steps.insert(step.clone(), s);
                }
                // Our own agents ask, and one asks the same again.
                self.remember(op, None);
            }
            What::BudgetBreached { .. } => self.wrap_up = true,
            What::RunPaused { op, body } => {
                self.paused = Some(at);
                self.remember(op, *body);
            }
            What::RunResumed { op, body } => {
                if let Some(since) = self.paused.take() {
                    self.paused_for += at.since(since).0;
                }
                self.remember(op, *body);
            }
            What::RunRerun { op, from, input, body } => {
                self.generations.push_back(Generation {
                    at,
                    from: Some(from.clone()),
                    input: input.clone(),
                    used_before: self.usage,
                    paused_before: self.paused_for,
                });
                self.ended = None;
                self.wrap_up = false;
                // An agent that was not told by now works on. Its late answer yields nothing.
                self.abandoned.clear();
                self.remember(op, *body);
                // The generation has changed, and with it the step that counts for each node.
                self.note_all();
            }
            What::RunCompleted { output } => self.end(at, Ending::Completed(output.clone())),
            What::RunFailed { error } => self.end(at, Ending::Failed(error.clone())),
            What::RunCancelled { op, body } => {
                self.end(at, Ending::Cancelled);
                self.remember(op, *body);
            }
            What::DecisionCut {} => self.cut = true,
            What::RunPurging {} => self.purging = true,
            What::RunTried { trial } => self.trial = Some(trial.clone()),
        }
    }

    /// Ends a step, and drops what is open in its body.
    fn end_step(
        &mut self,
        key: &StepKey,
        attempt: u32,
        at: Timestamp,
        state: StepState,
        usage: Option<Usage>,
        error: Option<Failure>,
    ) {
        let mut s = self.steps.get(key).cloned().unwrap_or_else(|| Step::new(at));
        // Skipped and cancelled steps come with 0.
        s.attempt = s.attempt.max(attempt);
        s.ended_at = Some(at);
        s.deadline = None;
        s.error = error;
        self.settle(&mut s, usage);
        s.state = state;
        if s.iterations.is_some() {
            self.drop_body(key, None);
            s.iterations = None;
        }
        self.open.remove(key);
        if key.iteration.is_empty() {
            self.archive.push_back(Archived::Step(key.clone(), s.clone()));
        }
        self.steps.insert(key.clone(), s);
        self.note(key);
    }

    fn take_signal(&mut self, name: &str) {
        if let Some(queue) = self.signals.get_mut(name) {
            queue.pop_front();
            // An empty queue must not stay, because a decision only asks whether the map of queues is empty.
            if queue.is_empty() {
                self.signals.remove(name);
            }
        }
    }

    /// Forgets the steps of one iteration of `owner`, or of all: what they did is in the history.
    fn drop_body(&mut self, owner: &StepKey, index: Option<u32>) {
        let prefix = match (&*owner.iteration, index) {
            ("", None) => String::new(),
            ("", Some(i)) => i.to_string(),
            (path, None) => path.to_owned(),
            (path, Some(i)) => format!("{path}.{i}"),
        };
        // A state without a plan keeps the steps: it does not know which nodes are in the body.
        let Some(plan) = &self.plan else { return };
        let Some(body) = plan.by_id.get(&*owner.node).and_then(|ix| plan.node(*ix).body) else { return };
        let inner = plan_nodes_within(plan, body);
        let gone: Vec<StepKey> = inner
            .iter()
            .flat_map(|node| {
                let id = &plan.node(*node).node.id;
                // Paths consist of digits and dots, so this range has every path of the node and nothing else.
                let from = StepKey::new(owner.generation, id, "");
                let to = StepKey::new(owner.generation, id, "\u{10ffff}");
                self.steps.range(from..to).map(|(key, _)| key.clone()).collect::<Vec<_>>()
            })
            .filter(|key| within(&key.iteration, &prefix))
            .collect();
        for key in gone {
            if let Some(s) = self.steps.remove(&key) {
                self.release(s.reserved);
                // Somebody may be at work on a started step, and should be told. Nobody is on the others.
                if self.open.remove(&key).is_some() && matches!(s.state, StepState::Started { .. }) {
                    self.abandoned.insert(key, s.attempt);
                }
            }
        }
    }

    /// Ends the run, and cancels every step that is open.
    fn end(&mut self, at: Timestamp, how: Ending) {
        for key in std::mem::take(&mut self.open) {
            if let Some(s) = self.steps.get_mut(&key) {
                // A step with a body only holds others; nobody works on it.
                if matches!(s.state, StepState::Started { .. }) && s.iterations.is_none() {
                    self.abandoned.insert(key.clone(), s.attempt);
                }
                s.state = StepState::Cancelled;
                s.ended_at = Some(at);
                s.deadline = None;
                s.iterations = None;
                let s = s.clone();
                if key.iteration.is_empty() {
                    self.archive.push_back(Archived::Step(key, s));
                }
            }
        }
        // Nothing is under way any more. The steps keep their numbers, which nobody reads again.
        self.reserved = Reserved::default();
        self.paused = None;
        self.signals.clear();
        self.ended = Some(Ended { at, how });
        self.note_all();
    }

    // Agents say these numbers: the sums must not wrap.
    fn reserve(&mut self, step: &mut Step, reserved: Reserved) {
        for sum in [&mut step.reserved, &mut self.reserved] {
            sum.calls = sum.calls.saturating_add(reserved.calls);
            sum.tokens = sum.tokens.saturating_add(reserved.tokens);
            sum.cost = sum.cost.saturating_add(reserved.cost);
        }
    }

    fn release(&mut self, reserved: Reserved) {
        self.reserved.calls = self.reserved.calls.saturating_sub(reserved.calls);
        self.reserved.tokens = self.reserved.tokens.saturating_sub(reserved.tokens);
        self.reserved.cost = self.reserved.cost.saturating_sub(reserved.cost);
    }

    /// Gives back what was set aside for the step, and adds what was used instead.
    fn settle(&mut self, step: &mut Step, usage: Option<Usage>) {
        self.release(std::mem::take(&mut step.reserved));
        if let Some(usage) = usage {
            step.usage += usage;
            self.usage += usage;
        }
    }

    /// Remembers an operation and forgets the oldest, so that the state does not grow with the operations.
    fn remember(&mut self, op: &OperationId, body: Option<Fingerprint>) {
        self.ops.push_back(Remembered { op: op_hash(op), body });
        if self.ops.len() > REMEMBERED_OPS {
            self.ops.pop_front();
        }
    }
}

/// Returns the nodes of a body and of the bodies inside it.
fn plan_nodes_within(plan: &Plan, graph: GraphIx) -> Vec<NodeIx> {
    let mut out = Vec::new();
    let mut graphs = vec![graph];
    while let Some(g) = graphs.pop() {
        for node in &plan.graphs[g as usize].nodes {
            out.push(*node);
            graphs.extend(plan.node(*node).body);
        }
    }
    out
}

/// Returns the first 8 bytes of an operation's hash. They tell 256 operations apart, and names of any length take the
/// same place in the state.
pub(super) fn op_hash(op: &OperationId) -> u64 {
    let h = Hash::of(op.as_str().as_bytes()).0;
    u64::from_le_bytes([h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]])
}

/// Whether `path` lies inside `prefix` (`"3.17"` inside `"3"`, not inside `"31"`).
fn within(path: &str, prefix: &str) -> bool {
    prefix.is_empty() && !path.is_empty()
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
