//! The state of one run: what `fold(apply, events)` gives, and what can be read off it.
//!
//! Maps are persistent, so the copy a decision works on costs nothing.

mod apply;
mod node_states;

use super::{
    event::{Event, Failure, Reserved, RunError, RunSettings},
    plan::Plan,
};
use crate::{
    Datum, Span, Timestamp,
    call::Usage,
    id::{OperationId, RunId, WorkflowId},
};
use imbl::{OrdMap, OrdSet, Vector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub use super::event::StepKey;
pub use node_states::NodeState;

/// One execution of a plan.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: RunId,
    /// Compiled from the pinned definition by the shell; derived, never stored. See `attach`.
    pub plan: Option<Arc<Plan>>,
    /// Where each node stands; derived, never stored.
    pub(super) node_states: Vec<NodeState>,
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
    /// How far this run's own time is ahead of the wall clock, which was set back; told by the shell, never stored.
    /// Absolute instants are the wall clock's.
    pub ahead: Span,
    /// Finished work in the order it finished; append-only, so that its pages are written once.
    pub archive: Vector<Archived>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub at: Timestamp,
    pub workflow_id: Option<WorkflowId>,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    pub fn new(id: &RunId) -> Self {
        Self {
            id: id.clone(),
            plan: None,
            node_states: Vec::new(),
            created: None,
            generations: Vector::new(),
            steps: OrdMap::new(),
            open: OrdSet::new(),
            signals: OrdMap::new(),
            ops: Vector::new(),
            paused: None,
            paused_for: 0,
            usage: Usage::default(),
            reserved: Reserved::default(),
            wrap_up: false,
            cut: false,
            ended: None,
            abandoned: OrdMap::new(),
            purging: false,
            ahead: Span::ZERO,
            archive: Vector::new(),
        }
    }

    /// Folds recorded events.
    pub fn fold<'a>(id: &RunId, events: impl IntoIterator<Item = &'a Event>) -> Self {
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
    pub fn knows(&self, op: &OperationId) -> bool {
        self.ops.contains(&apply::op_hash(op))
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
        if matches!(step.state, StepState::Unknown) {
            return Some(true);
        }
        if step.iterations.is_some() {
            return None;
        }
        let plan = self.plan.as_ref()?;
        let node = plan.by_id.get(&*key.node)?;
        Some(plan.node(*node).node.kind.waits().is_some())
    }

    /// Returns when the run's wall time is used up, given the pauses so far.
    pub fn time_limit(&self) -> Option<Timestamp> {
        let seconds = self.plan.as_ref()?.definition.settings.budget.as_ref()?.seconds?;
        let generation = self.generations.last()?;
        Some(generation.at + Span::secs(seconds) + Span(self.paused_for - generation.paused_before))
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
