//! The state of one run: what `fold(apply, events)` gives. No rule lives here, only bookkeeping.
//!
//! Maps are persistent, so the copy a decision works on costs nothing.

use super::{
    event::{Event, Failure, Reserved, RunError, RunSettings, What},
    marks::Mark,
    plan::Plan,
};
use crate::{Datum, Hash, Span, Timestamp, agent::message::Usage};
use imbl::{OrdMap, OrdSet, Vector};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use super::event::StepKey;

/// How many operation ids a run remembers.
const REMEMBERED_OPS: usize = 256;

/// One execution of a plan.
#[derive(Debug, Clone, Default)]
pub struct Run {
    pub id: Arc<str>,
    /// Compiled from the pinned definition by the shell; derived, never stored. See `attach`.
    pub plan: Option<Arc<Plan>>,
    /// Where each node stands; derived, never stored.
    pub(super) marks: Vec<Mark>,
    pub created: Option<Created>,
    pub generations: Vector<Generation>,
    /// Every step that still matters: all of the workflow's graph, and those of open iterations.
    pub steps: OrdMap<StepKey, Step>,
    pub open: OrdSet<StepKey>,
    /// Early signals by name, oldest first.
    pub signals: OrdMap<String, Vector<Datum>>,
    pub ops: Vector<u64>,
    pub paused: Option<Timestamp>,
    /// Milliseconds spent paused before the current pause.
    pub paused_for: u64,
    pub usage: Usage,
    pub reserved: Reserved,
    pub wrap_up: bool,
    pub cut: bool,
    pub ended: Option<Ended>,
    /// Attempts that were running when their run or body ended; their agents are told.
    pub abandoned: OrdMap<StepKey, u32>,
    pub purging: bool,
    /// Finished work in the order it finished; append-only, so that its pages are written once.
    pub archive: Vector<Archived>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub at: Timestamp,
    pub workflow_id: Option<String>,
    pub version: u32,
    pub plan: Datum,
    pub input: Datum,
    pub settings: RunSettings,
}

/// A run of the plan, or of a part of it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    pub at: Timestamp,
    /// The node a rerun starts from.
    pub from: Option<String>,
    pub input: Option<Datum>,
    /// What was used before it began.
    pub used_before: Usage,
    /// Milliseconds spent paused before it began.
    pub paused_before: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub at: Timestamp,
    pub how: Ending,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Completed(Datum),
    Failed(RunError),
    Cancelled,
}

/// One execution of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub attempt: u32,
    pub state: StepState,
    pub input: Option<Datum>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    pub usage: Usage,
    pub reserved: Reserved,
    pub error: Option<Failure>,
    /// Iterations of a `for_each` or `loop`.
    pub iterations: Option<Iterations>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Started; for an `at_most_once` step, `granted` to one activation.
    Started {
        granted: Option<String>,
    },
    Retrying {
        at: Timestamp,
    },
    Unknown,
    Completed {
        output: Datum,
        branch: Option<String>,
    },
    Failed,
    Skipped,
    Cancelled,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Iterations {
    /// Index of the next iteration to start.
    pub next: u32,
    pub open: OrdSet<u32>,
    pub outputs: OrdMap<u32, Datum>,
}

/// A piece of finished work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "most are steps, and a box each would cost more than it saves")]
pub enum Archived {
    Step(StepKey, Step),
    Output(StepKey, u32, Datum),
}

/// A run's status as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Pending,
    Running,
    Waiting,
    Paused,
    Completed,
    Failed,
    Cancelled,
}

// === impl Run ===

impl Run {
    pub fn new(id: &str) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// Folds recorded events.
    pub fn fold<'a>(id: &str, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut run = Self::new(id);
        for event in events {
            run.apply(event);
        }
        run
    }

    pub fn generation(&self) -> u32 {
        self.generations.len() as u32
    }

    /// Returns the input the current generation sees.
    pub fn input(&self) -> Option<&Datum> {
        let edited = self.generations.iter().rev().find_map(|g| g.input.as_ref());
        edited.or_else(|| self.created.as_ref().map(|c| &c.input))
    }

    /// Returns until when an ended run stays in the state store.
    pub fn retained_until(&self) -> Option<Timestamp> {
        let (ended, settings) = (self.ended.as_ref()?, &self.created.as_ref()?.settings);
        let keep = match (&ended.how, settings.otherwise) {
            (Ending::Failed(_), Some(otherwise)) => otherwise.failed,
            (Ending::Cancelled, Some(otherwise)) => otherwise.cancelled,
            (Ending::Completed(_) | Ending::Failed(_) | Ending::Cancelled, _) => settings.retention,
        };
        Some(ended.at + Span(keep))
    }

    /// Whether this operation is already in.
    pub fn knows(&self, op: &str) -> bool {
        self.ops.contains(&op_hash(op))
    }

    pub fn status(&self) -> Status {
        if let Some(ended) = &self.ended {
            return match ended.how {
                Ending::Completed(_) => Status::Completed,
                Ending::Failed(_) => Status::Failed,
                Ending::Cancelled => Status::Cancelled,
            };
        }
        if self.paused.is_some() {
            return Status::Paused;
        }
        if self.created.is_none() || (self.steps.is_empty() && self.open.is_empty()) {
            return Status::Pending;
        }
        let mut waits = false;
        for step in self.open.iter().filter_map(|key| self.steps.get(key).map(|s| (key, s))) {
            match self.waits(step.0, step.1) {
                Some(true) => waits = true,
                Some(false) => return Status::Running,
                None => {}
            }
        }
        if waits { Status::Waiting } else { Status::Running }
    }

    /// Whether an open step waits for time or people (`true`), runs (`false`), or only holds others.
    pub fn waits(&self, key: &StepKey, step: &Step) -> Option<bool> {
        use super::definition::NodeKind;
        if matches!(step.state, StepState::Unknown) {
            return Some(true);
        }
        if step.iterations.is_some() {
            return None;
        }
        let plan = self.plan.as_ref()?;
        let node = plan.by_id.get(&*key.node)?;
        Some(matches!(
            plan.node(*node).node.kind,
            NodeKind::Wait(_) | NodeKind::Signal(_) | NodeKind::Approval(_)
        ))
    }

    /// Folds one event.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        if !matches!(event.what, What::DecisionCut {}) {
            self.cut = false;
        }
        match &event.what {
            What::RunCreated { op, workflow_id, version, plan, input, settings } => {
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
                self.remember(op);
            }
            What::StepStarted { step, attempt, input, deadline, reserved } => {
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
            What::StepCompleted { step, attempt, output, branch, usage, error, op, signal } => {
                let state = StepState::Completed { output: output.clone(), branch: branch.clone() };
                signal.iter().for_each(|name| self.take_signal(name));
                self.end_step(step, *attempt, at, state, *usage, error.clone());
                op.iter().for_each(|op| self.remember(op));
            }
            What::StepFailed { step, attempt, error, retry_at, usage, op } => {
                let error = Some(error.clone());
                match retry_at {
                    Some(retry) => {
                        let mut s = self.steps.get(step).cloned().unwrap_or_else(|| Step::new(at));
                        s.attempt = *attempt;
                        s.state = StepState::Retrying { at: *retry };
                        s.error = error;
                        s.deadline = None;
                        self.settle(&mut s, *usage);
                        self.open.insert(step.clone());
                        self.steps.insert(step.clone(), s);
                        self.note(step);
                    }
                    None => self.end_step(step, *attempt, at, StepState::Failed, *usage, error),
                }
                op.iter().for_each(|op| self.remember(op));
            }
            What::StepSkipped { step } => self.end_step(step, 0, at, StepState::Skipped, None, None),
            What::StepCancelled { step } => self.end_step(step, 0, at, StepState::Cancelled, None, None),
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
            What::IterationEnded { step, index, output } => {
                if let Some(s) = self.steps.get_mut(step) {
                    let i = s.iterations.get_or_insert_default();
                    i.open.remove(index);
                    i.outputs.insert(*index, output.clone());
                }
                if step.iteration.is_empty() {
                    self.archive.push_back(Archived::Output(step.clone(), *index, output.clone()));
                }
                self.drop_body(step, Some(*index));
            }
            What::SignalReceived { op, name, data } => {
                self.signals.entry(name.clone()).or_default().push_back(data.clone());
                self.remember(op);
            }
            What::BudgetReserved { step, reserved, op, .. } => {
                if let Some(mut s) = self.steps.get(step).cloned() {
                    self.reserve(&mut s, *reserved);
                    self.steps.insert(step.clone(), s);
                }
                self.remember(op);
            }
            What::BudgetBreached { .. } => self.wrap_up = true,
            What::RunPaused { op } => {
                self.paused = Some(at);
                self.remember(op);
            }
            What::RunResumed { op } => {
                if let Some(since) = self.paused.take() {
                    self.paused_for += at.since(since).0;
                }
                self.remember(op);
            }
            What::RunRerun { op, from, input } => {
                self.generations.push_back(Generation {
                    at,
                    from: Some(from.clone()),
                    input: input.clone(),
                    used_before: self.usage,
                    paused_before: self.paused_for,
                });
                self.ended = None;
                self.wrap_up = false;
                self.abandoned.clear();
                self.remember(op);
                self.note_all();
            }
            What::RunCompleted { output } => self.end(at, Ending::Completed(output.clone())),
            What::RunFailed { error } => self.end(at, Ending::Failed(error.clone())),
            What::RunCancelled { op } => {
                self.end(at, Ending::Cancelled);
                self.remember(op);
            }
            What::DecisionCut {} => self.cut = true,
            What::RunPurging {} => self.purging = true,
        }
    }

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
        let Some(plan) = &self.plan else { return };
        let Some(body) = plan.by_id.get(&*owner.node).and_then(|ix| plan.node(*ix).body) else { return };
        let inner = plan_nodes_within(plan, body);
        let gone: Vec<StepKey> = inner
            .iter()
            .flat_map(|node| {
                let id = &plan.node(*node).node.id;
                let from = StepKey::new(owner.generation, id, "");
                let to = StepKey::new(owner.generation, id, "\u{10ffff}");
                self.steps.range(from..to).map(|(key, _)| key.clone()).collect::<Vec<_>>()
            })
            .filter(|key| within(&key.iteration, &prefix))
            .collect();
        for key in gone {
            if let Some(s) = self.steps.remove(&key) {
                self.release(s.reserved);
                if self.open.remove(&key).is_some() && matches!(s.state, StepState::Started { .. }) {
                    self.abandoned.insert(key, s.attempt);
                }
            }
        }
    }

    fn end(&mut self, at: Timestamp, how: Ending) {
        for key in std::mem::take(&mut self.open) {
            if let Some(s) = self.steps.get_mut(&key) {
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
        self.reserved = Reserved::default();
        self.paused = None;
        self.signals.clear();
        self.ended = Some(Ended { at, how });
        self.note_all();
    }

    fn reserve(&mut self, step: &mut Step, reserved: Reserved) {
        step.reserved.calls += reserved.calls;
        step.reserved.tokens += reserved.tokens;
        self.reserved.calls += reserved.calls;
        self.reserved.tokens += reserved.tokens;
    }

    fn release(&mut self, reserved: Reserved) {
        self.reserved.calls = self.reserved.calls.saturating_sub(reserved.calls);
        self.reserved.tokens = self.reserved.tokens.saturating_sub(reserved.tokens);
    }

    fn settle(&mut self, step: &mut Step, usage: Option<Usage>) {
        self.release(std::mem::take(&mut step.reserved));
        if let Some(usage) = usage {
            step.usage += usage;
            self.usage += usage;
        }
    }

    fn remember(&mut self, op: &str) {
        self.ops.push_back(op_hash(op));
        if self.ops.len() > REMEMBERED_OPS {
            self.ops.pop_front();
        }
    }
}

// === impl Step ===

impl Step {
    fn new(at: Timestamp) -> Self {
        Self {
            attempt: 1,
            state: StepState::Started { granted: None },
            input: None,
            started_at: Some(at),
            ended_at: None,
            deadline: None,
            usage: Usage::default(),
            reserved: Reserved::default(),
            error: None,
            iterations: None,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self.state, StepState::Started { .. } | StepState::Retrying { .. } | StepState::Unknown)
    }
}

/// Returns the nodes of a body and of the bodies inside it.
fn plan_nodes_within(plan: &Plan, graph: super::plan::GraphIx) -> Vec<super::plan::NodeIx> {
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

fn op_hash(op: &str) -> u64 {
    let h = Hash::of(op.as_bytes()).0;
    u64::from_le_bytes([h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7]])
}

/// Whether `path` lies inside `prefix` (`"3.17"` inside `"3"`, not inside `"31"`).
fn within(path: &str, prefix: &str) -> bool {
    prefix.is_empty() && !path.is_empty()
        || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
