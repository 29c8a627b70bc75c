//! Why a turn of a run is taken, and what comes of it.

use crate::protocol::Fault;
use callboard_core::{
    id::RunId,
    workflow::{Input, Plan, Run, view::Summary},
};
use std::sync::Arc;

/// Why a turn is taken.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time; a box would show in every match")]
pub enum Turn {
    /// The run is to begin, with its compiled plan. The `first` start of an id finds nothing of it.
    Start { input: Box<Input>, plan: Arc<Plan>, first: bool },
    /// Something reached the run.
    Input(Input),
    /// The reminder fired.
    Tick,
    /// The sweeper found the run due.
    Sweep,
    /// A deadline came, or a decision was cut.
    Go,
    /// Somebody looks.
    Look,
}

/// The run after a turn.
#[derive(Debug, Clone)]
pub struct Done {
    pub run: Run,
    /// Of its last event.
    pub seq: u64,
    /// `None` for a run that was never created.
    pub summary: Option<Summary>,
    /// What was asked had been done before.
    pub replayed: bool,
}

/// What ends a pass before its end.
pub enum Cut {
    /// The outcome of a read or a write is unknown. The state in memory is worth nothing, and the next pass reads the
    /// store.
    Unknown,
    Fault(Fault),
}

/// Where a pass takes the run's state from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// What this process remembers.
    Memory,
    /// The store, checked against the history.
    Store,
    /// There is nothing yet: the first start of an id. A wrong guess shows at the first save, or in the history.
    Nothing,
}

impl From<Fault> for Cut {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Turn {
    /// Whether this is a wake-up: something may have been lost before it.
    pub fn is_wake(&self) -> bool {
        matches!(self, Turn::Tick | Turn::Sweep)
    }

    /// Whether nothing may change.
    pub fn is_look(&self) -> bool {
        matches!(self, Turn::Look)
    }

    /// Whether the run is to end, whatever became of it.
    pub fn gives_up(&self) -> bool {
        matches!(self, Turn::Input(Input::Cancel { .. }))
    }

    /// Whether somebody waits for what becomes of it.
    pub fn is_asked(&self) -> bool {
        matches!(self, Turn::Start { .. } | Turn::Input(_))
    }

    /// Whether somebody outside asked for it, and may look at the history next.
    pub fn is_operation(&self) -> bool {
        match self {
            Turn::Input(input) => input.is_operation(),
            Turn::Start { .. } | Turn::Tick | Turn::Sweep | Turn::Go | Turn::Look => false,
        }
    }

    /// Whether what is asked was done before, as far as this state says.
    pub fn is_known_to(&self, run: &Run) -> bool {
        match self {
            Turn::Start { .. } => run.created.is_some(),
            Turn::Input(
                Input::Signal { op, .. }
                | Input::Approve { op, .. }
                | Input::Cancel { op }
                | Input::Pause { op }
                | Input::Resume { op }
                | Input::Rerun { op, .. },
            ) => run.knows(&op.id),
            Turn::Input(
                Input::Start { .. }
                | Input::Answer { .. }
                | Input::AgentAnswer { .. }
                | Input::Grant { .. }
                | Input::Reserve { .. }
                | Input::Tick,
            )
            | Turn::Tick
            | Turn::Sweep
            | Turn::Go
            | Turn::Look => false,
        }
    }

    /// Returns what is answered when no pass came through.
    pub fn unsaved(&self, run: &RunId) -> Fault {
        match self {
            Turn::Start { .. } => {
                Fault::unavailable(format!("run {run} could not be started now: try again"))
            }
            Turn::Input(_) | Turn::Tick | Turn::Sweep | Turn::Go | Turn::Look => {
                Fault::unavailable(format!("run {run} could not be saved now: try again"))
            }
        }
    }
}
