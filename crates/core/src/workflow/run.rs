//! The state of one run: what `fold(apply, events)` gives, and what can be read off it.
//!
//! Maps and lists are persistent: a copy shares what did not change, so the copy that a decision works on is cheap.

mod apply;
mod node_states;

use super::{
    event::{Event, Failure, Reserved, RunError, RunSettings},
    op::Fingerprint,
    plan::Plan,
    trial::Trial,
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
    /// The run's id, which names its actor, too.
    pub id: RunId,
    /// Compiled from the pinned definition by the shell; derived, never stored. See `attach`.
    pub plan: Option<Arc<Plan>>,
    /// Where each node stands; derived, never stored.
    pub(super) node_states: Vec<NodeState>,
    /// How the run began. `None` until `RunCreated`.
    pub created: Option<Created>,
    /// How the run is tried, if it is.
    pub trial: Option<Trial>,
    /// Oldest first. There is one as soon as the run is created.
    pub generations: Vector<Generation>,
    /// Every step that still matters: all of the workflow's graph, and those of open iterations.
    pub steps: OrdMap<StepKey, Step>,
    /// Keys of the steps that have not ended.
    pub open: OrdSet<StepKey>,
    /// Early signals by name, oldest first.
    pub signals: OrdMap<String, Vector<Datum>>,
    /// The last operations, oldest first: one that is repeated is known by them.
    pub ops: Vector<Remembered>,
    /// Since when the run is paused.
    pub paused: Option<Timestamp>,
    /// Milliseconds spent paused before the current pause.
    pub paused_for: u64,
    /// What all steps of all generations used.
    pub usage: Usage,
    /// What is set aside for all calls under way.
    pub reserved: Reserved,
    /// A budget was breached, and the definition lets the run finish with what is there.
    pub wrap_up: bool,
    /// The last decision was cut at its limit. The next one needs no other input to go on.
    pub cut: bool,
    /// How the last generation ended. A rerun takes it back.
    pub ended: Option<Ended>,
    /// Attempts that were running when their run or body ended; their agents are told.
    pub abandoned: OrdMap<StepKey, u32>,
    /// The run's keys are about to be deleted; nothing more can be asked of it.
    pub purging: bool,
    /// How far this run's own time is ahead of the wall clock, which was set back; told by the shell, never stored.
    /// Absolute instants are the wall clock's.
    pub ahead: Span,
    /// Finished work in the order it finished; append-only, so that its pages are written once.
    pub archive: Vector<Archived>,
}

/// An operation that a run has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// Of its id, the first 64 bits of the hash.
    pub op: u64,
    /// What it asked; unknown of what we named ourselves, and of what an earlier release recorded.
    pub body: Option<Fingerprint>,
}

/// How a run began: what the start pinned into it.
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

/// When and how a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    pub at: Timestamp,
    pub how: Ending,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The run ended with this output.
    Completed(Datum),
    Failed(RunError),
    Cancelled,
}

/// One execution of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Counts from 1. A step that was skipped has 1, too.
    pub attempt: u32,
    pub state: StepState,
    /// What the node's configuration came to. Recorded with the first attempt.
    pub input: Option<Datum>,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    /// When the attempt is given up, or the wait is over.
    pub deadline: Option<Timestamp>,
    /// What all attempts used.
    pub usage: Usage,
    /// What is set aside for the attempt's calls.
    pub reserved: Reserved,
    /// Why the last attempt failed. Stays beside a default output.
    pub error: Option<Failure>,
    /// Iterations of a `for_each` or `loop`.
    pub iterations: Option<Iterations>,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Started; for an `at_most_once` step, `granted` to one activation.
    Started {
        granted: Option<String>,
    },
    /// Between two attempts: the next begins at this instant.
    Retrying {
        at: Timestamp,
    },
    /// Performed at most once, and nobody knows whether. A person decides, or a late answer does.
    Unknown,
    /// Ended with this output. `branch` has the name by which edges and events know it.
    Completed {
        output: Datum,
        branch: Option<String>,
    },
    Failed,
    /// Never entered, or left out while the run wrapped up.
    Skipped,
    /// Given up: by the end of the run, of its body, or by wrapping up.
    Cancelled,
}

/// The iterations of a `for_each` or `loop`, by index from 0.
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
    /// A step that ended, in the workflow's own graph.
    Step(StepKey, Step),
    /// The output of one iteration: the step with the body, the index, the output.
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
    /// Returns the state before the first event.
    pub fn new(id: &RunId) -> Self {
        Self {
            id: id.clone(),
            plan: None,
            node_states: Vec::new(),
            created: None,
            trial: None,
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

    /// Returns the current generation: 1 for the first, 0 before the run is created.
    pub fn generation(&self) -> u32 {
        self.generations.len() as u32
    }

    /// Returns the input the current generation sees.
    pub fn input(&self) -> Option<&Datum> {
        // A rerun without an input of its own sees that of the generation before.
        let edited = self.generations.iter().rev().find_map(|g| g.input.as_ref());
        edited.or_else(|| self.created.as_ref().map(|c| &c.input))
    }

    /// Returns until when an ended run stays in the state store.
    pub fn retained_until(&self) -> Option<Timestamp> {
        let (ended, settings) = (self.ended.as_ref()?, &self.created.as_ref()?.settings);
        let keep = match (&ended.how, settings.otherwise) {
            (Ending::Failed(_), Some(otherwise)) => otherwise.failed,
            (Ending::Cancelled, Some(otherwise)) => otherwise.cancelled,
            // This holds for every ending where `otherwise` is left out: all three are the same then.
            (Ending::Completed(_) | Ending::Failed(_) | Ending::Cancelled, _) => settings.retention,
        };
        Some(ended.at + Span(keep))
    }

    /// Whether this operation is already in.
    pub fn knows(&self, op: &OperationId) -> bool {
        self.remembered(op).is_some()
    }

    /// Returns what is known of an operation that is in.
    pub fn remembered(&self, op: &OperationId) -> Option<Remembered> {
        let hash = apply::op_hash(op);
        self.ops.iter().rev().find(|known| known.op == hash).copied()
    }

    /// Returns the status, which is worked out each time and stored nowhere.
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
                // One step that works makes the whole run `running`.
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
        // `paused_for` only grows, so the difference is the time paused in this generation. A pause that goes on has
        // no say: a paused run has no deadline.
        Some(generation.at + Span::secs(seconds) + Span(self.paused_for - generation.paused_before))
    }
}

// === impl Step ===

impl Step {
    /// A step that began now.
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

    /// Whether the step has not ended.
    pub fn is_open(&self) -> bool {
        matches!(self.state, StepState::Started { .. } | StepState::Retrying { .. } | StepState::Unknown)
    }
}
