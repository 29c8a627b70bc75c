//! What an agent has under way, by name: an effect is performed once, however often a turn finds it pending.

use super::Actor;
use callboard_core::agent::run::{Effect, Run};

/// One effect of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Job {
    Reserve {
        iteration: u32,
    },
    /// A call of the model that is `model` in the list of fallbacks, after so many failures.
    Model {
        iteration: u32,
        failures: u32,
        model: usize,
    },
    Tool {
        iteration: u32,
        call: String,
    },
    Delegate {
        iteration: u32,
        call: String,
    },
    Deliver,
}

impl Job {
    pub fn of(effect: &Effect, run: &Run) -> Self {
        match effect {
            Effect::Reserve { iteration } => Self::Reserve { iteration: *iteration },
            Effect::CallModel { iteration, .. } => {
                Self::Model { iteration: *iteration, failures: run.failures, model: run.model }
            }
            Effect::CallTool { iteration, call } => {
                Self::Tool { iteration: *iteration, call: call.id.clone() }
            }
            Effect::Delegate { iteration, call } => {
                Self::Delegate { iteration: *iteration, call: call.id.clone() }
            }
            Effect::Deliver { .. } => Self::Deliver,
        }
    }

    pub fn is_model(&self) -> bool {
        matches!(self, Self::Model { .. })
    }
}

impl Actor {
    /// Whether a delegated part is under way.
    pub(super) fn waits_for_others(&self) -> bool {
        self.in_flight.iter().any(|(_, job)| matches!(job, Job::Delegate { .. }))
    }
}
