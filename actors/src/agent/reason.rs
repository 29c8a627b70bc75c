//! Why an agent's turn is taken.

use super::Target;
use callboard_core::{
    agent::{run::Input, task::Task},
    id::WorkflowId,
};

/// Why an agent's turn is taken.
#[derive(Debug, Clone)]
pub(super) enum Turn {
    /// Something reached the agent.
    Input(Box<Input>),
    /// A task came. Of one that `is_new` nothing can have been saved.
    Task { task: Box<Task>, target: Option<Target>, workflow: Option<WorkflowId>, is_new: bool },
    /// Somebody looks. An answer whose save was put off is saved now.
    Look,
}

impl Turn {
    /// The reminder fired, or the task's time limit is over.
    pub fn is_tick(&self) -> bool {
        matches!(self, Turn::Input(input) if matches!(**input, Input::Tick))
    }

    /// Whether an answer that was told, or can't be for now, is to be saved.
    pub fn saves(&self) -> bool {
        match self {
            Turn::Look => true,
            Turn::Input(input) => matches!(**input, Input::Delivered { .. } | Input::Tick),
            Turn::Task { .. } => false,
        }
    }
}
