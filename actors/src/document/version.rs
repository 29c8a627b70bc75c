//! Which version a document is written in: the first that can say all of it.
//!
//! A release that does not know a version leaves its documents alone. So that a release can be taken back, the later
//! version is written only for what needs it; all other runs stay readable to the release before.

use callboard_core::{
    agent::run::{Phase, Run},
    workflow::{Event, What},
};
use serde::{Deserialize, Serialize};

/// How documents and their parts are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Version {
    /// MessagePack without names: a field is known by its place.
    #[default]
    Positional = 1,
    /// MessagePack with names, behind a magic number; a run's events as JSON.
    Named = 2,
}

/// What a document is to say.
#[derive(Debug, Clone, Copy)]
pub enum Said<'a> {
    /// An event: a run's state has nothing that none of its events says.
    Event(&'a Event),
    /// An agent's state: its events are not kept.
    Agent(&'a Run),
}

/// Returns the first version that can say it. What version 1 can say is listed in `tests/it/house/recorded.rs`.
///
/// The next field of a recorded type, and the next kind of event or state, makes this `Version::Named` where it is given:
/// version 1 has no place for it. So an arm comes before the others, say `What::RunCreated { by: Some(_), .. } =>
/// Version::Named`. Where the field is not given it is not written, and version 1 goes on.
pub fn version_for(said: Said<'_>) -> Version {
    match said {
        Said::Event(event) => match &event.what {
            What::StepCompleted { error: Some(error), .. } | What::StepFailed { error, .. }
                if error.details.is_some() =>
            {
                Version::Named
            }
            // What calls cost, and what is set aside for them.
            What::StepCompleted { usage: Some(usage), .. } | What::StepFailed { usage: Some(usage), .. }
                if usage.priced > 0 =>
            {
                Version::Named
            }
            What::StepStarted { reserved, .. } | What::BudgetReserved { reserved, .. }
                if reserved.cost > 0 =>
            {
                Version::Named
            }
            What::RunCreated { settings, .. } if !settings.prices.is_empty() => Version::Named,
            // A release that does not know it would run all of it.
            What::RunTried { .. } => Version::Named,
            // What an operation asked.
            What::RunCreated { body: Some(_), .. }
            | What::StepCompleted { body: Some(_), .. }
            | What::StepFailed { body: Some(_), .. }
            | What::SignalReceived { body: Some(_), .. }
            | What::RunPaused { body: Some(_), .. }
            | What::RunResumed { body: Some(_), .. }
            | What::RunRerun { body: Some(_), .. }
            | What::RunCancelled { body: Some(_), .. } => Version::Named,
            What::StepCompleted { fallbacks, .. } | What::StepFailed { fallbacks, .. }
                if !fallbacks.is_empty() =>
            {
                Version::Named
            }
            What::RunCreated { .. }
            | What::StepStarted { .. }
            | What::StepCompleted { .. }
            | What::StepFailed { .. }
            | What::StepSkipped { .. }
            | What::StepCancelled { .. }
            | What::StepUnknown { .. }
            | What::StepGranted { .. }
            | What::IterationStarted { .. }
            | What::IterationEnded { .. }
            | What::SignalReceived { .. }
            | What::BudgetReserved { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunRerun { .. }
            | What::RunCompleted { .. }
            | What::RunFailed { .. }
            | What::RunCancelled { .. }
            | What::DecisionCut {}
            | What::RunPurging {} => Version::Positional,
        },
        Said::Agent(run) if run.task.as_ref().is_some_and(|task| task.pin.is_some()) => Version::Named,
        Said::Agent(run) if !run.fallbacks.is_empty() || run.usage.priced > 0 => Version::Named,
        Said::Agent(run) => match &run.phase {
            Phase::Idle
            | Phase::Reserving
            | Phase::Thinking { .. }
            | Phase::Acting { .. }
            | Phase::Done { .. } => Version::Positional,
        },
    }
}

// === impl Version ===

impl From<Version> for u8 {
    fn from(version: Version) -> u8 {
        match version {
            Version::Positional => 1,
            Version::Named => 2,
        }
    }
}

impl TryFrom<u8> for Version {
    type Error = String;

    fn try_from(v: u8) -> Result<Self, String> {
        match v {
            1 => Ok(Version::Positional),
            2 => Ok(Version::Named),
            _ => Err(format!("there is no version {v}")),
        }
    }
}
