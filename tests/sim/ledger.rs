//! What the outside saw: which calls were made and answered, what clients were promised.

use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Ledger {
    /// By run, step, attempt and round of the agent.
    pub calls: BTreeMap<CallKey, Calls>,
    /// Operations that were answered with success.
    pub acknowledged: BTreeMap<String, Vec<Promise>>,
    /// Runs whose client gave up before it knew.
    pub given_up: BTreeSet<String>,
    /// Clients still at work.
    pub clients: u32,
    pub late_calls: u64,
    /// Model calls that a run may make in one generation.
    pub budgets: BTreeMap<String, u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallKey {
    pub run: String,
    /// As `StepKey` prints itself.
    pub step: String,
    pub attempt: u32,
    pub round: u32,
}

#[derive(Debug, Clone, Default)]
pub struct Calls {
    pub made: u32,
    pub answered: u32,
    /// What was answered, each unlike any other.
    pub answers: BTreeSet<String>,
    pub at_most_once: bool,
    /// When the first call began and the last ended.
    pub began: u64,
    pub ended: u64,
}

/// What a client was told.
#[derive(Debug, Clone)]
pub struct Promise {
    pub op: String,
    pub what: &'static str,
}

impl CallKey {
    /// Reads `run/generation/node/iteration/attempt[/round]`, which is how an effect names itself.
    pub fn read(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.split('/').collect();
        let [run, generation, node, iteration, attempt, rest @ ..] = parts.as_slice() else { return None };
        Some(Self {
            run: (*run).to_owned(),
            step: format!("{generation}/{node}/{iteration}"),
            attempt: attempt.parse().ok()?,
            round: rest.first().and_then(|r| r.parse().ok()).unwrap_or(1),
        })
    }
}
