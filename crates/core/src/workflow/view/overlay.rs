//! Folds a run's history into one line per node and a count per edge: what is drawn over the definition, for one
//! generation, however many steps there were.
//!
//! Of steps only the open ones are kept, and of nodes that a rerun kept what they were. Which edges were taken is told by
//! the ends of steps; `drawing` has the edges.

use super::{
    super::{Event, StepKey, What, kinds::Branch, run::NodeState},
    Shape, StepStatus,
    drawing::{Drawing, EdgeIx},
    shape::{is_within, path_of},
    usage::UsageView,
};
use crate::{Timestamp, call::Usage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A run as it is drawn over its definition.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Overlay")]
pub struct OverlayView {
    /// Counts from 1; a rerun opens the next.
    pub generation: u32,
    /// Of the last event that it takes into account.
    pub seq: u64,
    /// Nodes that have a step, by their ids.
    pub nodes: Vec<NodeOverlay>,
    /// Edges that were taken, in the order of the definition.
    pub edges: Vec<EdgeOverlay>,
}

/// What became of a node: its one step, or of a node in a body all its steps together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeOverlay {
    pub node: String,
    /// The one in which it ran. A rerun keeps what lies before it.
    pub generation: u32,
    /// Of several steps: what is open comes first (`running`, `waiting`, `unknown`, `pending`), then `failed`, `completed`,
    /// `cancelled`, `skipped`.
    pub status: StepStatus,
    /// The definition leaves it out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Its output was given when the run was started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// The last one; of several steps the highest.
    pub attempt: u32,
    /// Of a node in a body: how many of its steps have which status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, u64>>")]
    pub counts: Option<BTreeMap<&'static str, u64>>,
    /// Of a node with a body: its rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<Rounds>,
    /// When the first step began; of what ends at once, when it ended.
    pub started_at: Option<String>,
    /// When the last step ended; null while one is open.
    pub ended_at: Option<String>,
    /// Milliseconds from begin to end, all steps that have ended together.
    pub ms: u64,
    pub usage: UsageView,
    /// The code of the last failure, also of one that was tried again or has a default.
    pub error: Option<String>,
}

/// The rounds of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Rounds {
    pub begun: u64,
    pub ended: u64,
}

/// An edge that was taken.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EdgeOverlay {
    pub source: String,
    pub target: String,
    /// Null of an edge without one.
    pub branch: Option<String>,
    /// How often: more than once in bodies.
    pub taken: u64,
}

/// An overlay while it is folded.
#[derive(Debug, Clone)]
pub struct Overlay {
    shape: Shape,
    drawing: Drawing,
    /// The one to show; the latest if none is asked for.
    wanted: Option<u32>,
    generation: u32,
    /// The wanted generation is over.
    settled: bool,
    lines: BTreeMap<Arc<str>, Line>,
    open: BTreeMap<StepKey, Open>,
    /// What led to nodes so far, in iterations that are open. Kept only where a node is disabled.
    led: BTreeMap<(Arc<str>, Arc<str>), Led>,
    taken: BTreeMap<EdgeIx, u64>,
    /// Nodes whose outputs are given.
    pinned: BTreeSet<String>,
}

/// A node as its steps leave it.
#[derive(Debug, Clone, Default)]
struct Line {
    generation: u32,
    attempt: u32,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    ms: u64,
    usage: Usage,
    error: Option<String>,
    completed: u64,
    failed: u64,
    skipped: u64,
    cancelled: u64,
    rounds: Rounds,
    /// It is disabled, and what follows it went on.
    passed: bool,
}

/// A step that has not ended.
#[derive(Debug, Clone, Copy)]
struct Open {
    since: Timestamp,
    /// `Running` also of what waits: the kind says which.
    status: StepStatus,
}

/// Edges and parents that led to a step.
#[derive(Debug, Clone, Copy, Default)]
struct Led {
    taken: usize,
    entered: usize,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Completed(Option<Branch>),
    Failed,
    Skipped,
    Cancelled,
}

// === impl Overlay ===

impl Overlay {
    /// Of one generation, or of the latest.
    pub fn new(wanted: Option<u32>) -> Self {
        Self {
            shape: Shape::default(),
            drawing: Drawing::default(),
            wanted,
            generation: 0,
            settled: false,
            lines: BTreeMap::new(),
            open: BTreeMap::new(),
            led: BTreeMap::new(),
            taken: BTreeMap::new(),
            pinned: BTreeSet::new(),
        }
    }

    /// Takes the definition pinned in the run.
    pub fn of(&mut self, definition: &Value) {
        self.shape = Shape::of(definition);
        self.drawing = Drawing::of(definition);
    }

    /// Whether no further event can change it.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// How many generations there were, as far as it was folded.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// Folds an event.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        match &event.what {
            What::RunCreated { .. } => self.generation = 1,
            What::StepStarted { step, attempt, .. } => {
                let since = self.open.get(step).map_or(at, |open| open.since);
                self.open.insert(step.clone(), Open { since, status: StepStatus::Running });
                let line = self.line(step);
                line.attempt = line.attempt.max(*attempt);
                line.started_at = line.started_at.or(Some(at));
            }
            What::StepCompleted { step, attempt, branch, usage, error, .. } => {
                let branch = branch.as_deref().and_then(Branch::named);
                self.end(step, *attempt, End::Completed(branch), at);
                let line = self.line(step);
                line.usage += usage.unwrap_or_default();
                line.error = error.as_ref().map(|error| error.code.clone()).or(line.error.take());
            }
            What::StepFailed { step, attempt, error, retry_at, usage, .. } => {
                match retry_at {
                    Some(_) => self.stays(step, *attempt, StepStatus::Pending, at),
                    None => self.end(step, *attempt, End::Failed, at),
                }
                let line = self.line(step);
                line.usage += usage.unwrap_or_default();
                line.error = Some(error.code.clone());
            }
            What::StepUnknown { step, attempt } => self.stays(step, *attempt, StepStatus::Unknown, at),
            What::StepSkipped { step } => self.end(step, 0, End::Skipped, at),
            What::StepCancelled { step } => self.end(step, 0, End::Cancelled, at),
            What::IterationStarted { step, .. } => self.line(step).rounds.begun += 1,
            What::IterationEnded { step, index, .. } => {
                self.line(step).rounds.ended += 1;
                self.leave(step, Some(*index), at);
            }
            What::RunRerun { from, .. } => self.rerun(from),
            What::RunTried { trial } => self.pinned.clone_from(&trial.pinned),
            // The run's end cancels what is open. There is no event for each of these steps.
            What::RunCompleted { .. } | What::RunFailed { .. } | What::RunCancelled { .. } => {
                let open: Vec<StepKey> = self.open.keys().cloned().collect();
                open.iter().for_each(|step| self.close(step, End::Cancelled, at));
            }
            What::StepGranted { .. }
            | What::SignalReceived { .. }
            | What::BudgetReserved { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::DecisionCut {}
            | What::RunPurging {} => {}
        }
    }

    fn line(&mut self, step: &StepKey) -> &mut Line {
        let new = || Line { generation: step.generation, ..Line::default() };
        self.lines.entry(step.node.clone()).or_insert_with(new)
    }

    /// An attempt is over, and the step is not.
    fn stays(&mut self, step: &StepKey, attempt: u32, status: StepStatus, at: Timestamp) {
        let since = self.open.get(step).map_or(at, |open| open.since);
        self.open.insert(step.clone(), Open { since, status });
        let line = self.line(step);
        line.attempt = line.attempt.max(attempt);
    }

    /// A step ended, and what is open in its body with it.
    fn end(&mut self, step: &StepKey, attempt: u32, end: End, at: Timestamp) {
        self.leave(step, None, at);
        let line = self.line(step);
        line.attempt = line.attempt.max(attempt).max(1);
        if matches!(end, End::Completed(_) | End::Failed) {
            line.started_at = line.started_at.or(Some(at));
        }
        self.close(step, end, at);
        self.goes_on(step, end);
    }

    /// Counts a step that ended.
    fn close(&mut self, step: &StepKey, end: End, at: Timestamp) {
        let open = self.open.remove(step);
        let line = self.line(step);
        line.ended_at = Some(at);
        line.ms = line.ms.saturating_add(open.map_or(0, |open| at.since(open.since).0));
        match end {
            End::Completed(_) => line.completed += 1,
            End::Failed => line.failed += 1,
            End::Skipped => line.skipped += 1,
            End::Cancelled => line.cancelled += 1,
        }
    }

    /// Counts the edges that the end of a step takes.
    fn goes_on(&mut self, step: &StepKey, end: End) {
        let state = match end {
            End::Completed(branch) => NodeState::Completed(branch),
            End::Failed => NodeState::Failed,
            // What follows a disabled node that was reached goes on as if it had completed.
            End::Skipped if self.was_reached(step) => {
                self.line(step).passed = true;
                NodeState::Completed(None)
            }
            End::Skipped => NodeState::Skipped,
            End::Cancelled => NodeState::Cancelled,
        };
        let Self { drawing, taken, led, .. } = self;
        for (ix, edge) in drawing.from(&step.node) {
            let takes = edge.takes(state);
            if takes {
                *taken.entry(ix).or_default() += 1;
            }
            if drawing.leaves_out() {
                let led = led.entry((step.iteration.clone(), edge.target.clone())).or_default();
                led.taken += usize::from(takes);
                led.entered += usize::from(state != NodeState::Skipped);
            }
        }
    }

    /// Whether a step that was skipped would have started, were its node not disabled.
    fn was_reached(&self, step: &StepKey) -> bool {
        let led = self.led.get(&(step.iteration.clone(), step.node.clone())).copied().unwrap_or_default();
        self.shape.is_disabled(&step.node) && self.drawing.is_met(&step.node, led.taken, led.entered)
    }

    /// Cancels what is open in the body of `owner`, in one iteration or all, and forgets what led to what in it.
    fn leave(&mut self, owner: &StepKey, index: Option<u32>, at: Timestamp) {
        if !self.shape.has_body(&owner.node) {
            return;
        }
        let path = path_of(owner, index);
        let Self { shape, open, led, .. } = self;
        let within =
            |node: &str, iteration: &str| is_within(iteration, &path) && shape.is_inside(node, &owner.node);
        led.retain(|(iteration, node), _| !within(node, iteration));
        let inside =
            |step: &&StepKey| step.generation == owner.generation && within(&step.node, &step.iteration);
        let open: Vec<StepKey> = open.keys().filter(inside).cloned().collect();
        open.iter().for_each(|step| self.close(step, End::Cancelled, at));
    }

    /// Another generation begins: of this one stays what it keeps.
    fn rerun(&mut self, from: &str) {
        if self.wanted == Some(self.generation) {
            self.settled = true;
            return;
        }
        self.generation += 1;
        let again = self.drawing.reached_from(from);
        let kept: BTreeSet<Arc<str>> = {
            // What failed or was cancelled is as if it had not begun.
            let is_kept = |(node, line): &(&Arc<str>, &Line)| {
                !again.contains(&***node)
                    && line.completed + line.skipped > 0
                    && self.shape.is_outermost(node)
            };
            self.lines.iter().filter(is_kept).map(|(node, _)| node.clone()).collect()
        };
        let shape = &self.shape;
        self.lines.retain(|node, _| kept.contains(shape.outermost(node)));
        let drawing = &self.drawing;
        self.taken.retain(|ix, _| kept.contains(shape.outermost(drawing.source(*ix))));
        self.led.clear();
        if self.drawing.leaves_out() {
            for node in &kept {
                let skipped = self.lines.get(node).is_some_and(|line| line.skipped > 0 && !line.passed);
                for (ix, edge) in self.drawing.from(node) {
                    let led = self.led.entry(("".into(), edge.target.clone())).or_default();
                    led.taken += usize::from(self.taken.contains_key(&ix));
                    led.entered += usize::from(!skipped);
                }
            }
        }
    }

    /// Shows it, as far as the event `seq`.
    pub fn view(&self, seq: u64) -> OverlayView {
        let mut open: BTreeMap<&str, Vec<StepStatus>> = BTreeMap::new();
        for (step, Open { status, .. }) in &self.open {
            let waits = *status == StepStatus::Running && self.shape.waits(&step.node);
            let status = if waits { StepStatus::Waiting } else { *status };
            open.entry(&*step.node).or_default().push(status);
        }
        let node = |(node, line): (&Arc<str>, &Line)| {
            self.node(node, line, open.get(&**node).map(Vec::as_slice).unwrap_or_default())
        };
        let edge = |(ix, taken): (&EdgeIx, &u64)| {
            let edge = self.drawing.edge(*ix)?;
            let (source, target) = (edge.source.to_string(), edge.target.to_string());
            Some(EdgeOverlay { source, target, branch: edge.branch.clone(), taken: *taken })
        };
        OverlayView {
            generation: self.generation,
            seq,
            nodes: self.lines.iter().map(node).collect(),
            edges: self.taken.iter().filter_map(edge).collect(),
        }
    }

    fn node(&self, node: &str, line: &Line, open: &[StepStatus]) -> NodeOverlay {
        let ended = [
            (StepStatus::Failed, line.failed),
            (StepStatus::Completed, line.completed),
            (StepStatus::Cancelled, line.cancelled),
            (StepStatus::Skipped, line.skipped),
        ];
        let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (status, n) in ended.into_iter().filter(|(_, n)| *n > 0) {
            counts.insert(status.name(), n);
        }
        for status in open {
            *counts.entry(status.name()).or_default() += 1;
        }
        let ends = ended.iter().find(|(_, n)| *n > 0).map(|(status, _)| *status);
        let first = StepStatus::OPEN.into_iter().find(|status| open.contains(status)).or(ends);
        NodeOverlay {
            node: node.to_owned(),
            generation: line.generation,
            status: first.unwrap_or(StepStatus::Pending),
            disabled: self.shape.is_disabled(node),
            pinned: line.completed > 0 && self.pinned.contains(node),
            attempt: line.attempt,
            counts: (!self.shape.is_outermost(node)).then_some(counts),
            iterations: self.shape.has_body(node).then_some(line.rounds),
            started_at: line.started_at.map(|at| at.to_string()),
            ended_at: line.ended_at.filter(|_| open.is_empty()).map(|at| at.to_string()),
            ms: line.ms,
            usage: line.usage.into(),
            error: line.error.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
