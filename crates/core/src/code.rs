//! Why something is refused, by a name that programs may rely on.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $code:ident = $name:literal,)*) => {
        /// Why something is refused. The names are part of the API and stay what they are.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $code,)*
            /// A name that this version does not know: another version's.
            Other,
        }

        impl Code {
            /// Every code of this version.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The code as it is written.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$code => $name,)*
                    Code::Other => "other",
                }
            }
        }
    };
}

codes! {
    /// Another task of this agent is under way.
    AgentBusy = "agent_busy",
    /// Several iterations wait for this answer: it must say which is meant.
    AmbiguousIteration = "ambiguous_iteration",
    /// The approval must name the hash of what it approves.
    ArgsHashRequired = "args_hash_required",
    /// What is approved is not what the step asks now.
    ArgumentsChanged = "arguments_changed",
    /// What was sent can't be read.
    BadRequest = "bad_request",
    /// The history ends before the document begins.
    HistoryGap = "history_gap",
    /// The same idempotency key with another start.
    IdempotencyKeyReused = "idempotency_key_reused",
    /// A mistake of ours.
    Internal = "internal",
    /// The definition has problems; they are told with it.
    InvalidDefinition = "invalid_definition",
    /// This can't be an id.
    InvalidId = "invalid_id",
    /// The input does not satisfy the workflow's schema.
    InvalidInput = "invalid_input",
    /// The outputs that a run is to be tried with, or the part of it, can't be used.
    InvalidPins = "invalid_pins",
    /// Too many calls wait for this actor already.
    MailboxFull = "mailbox_full",
    /// The document was written by a later version.
    NewerVersion = "newer_version",
    /// A node inside a body can't be rerun alone.
    NodeInBody = "node_in_body",
    /// The workflow has no draft.
    NoDraft = "no_draft",
    /// Nobody was asked for this answer.
    NotAsked = "not_asked",
    /// The node has no external worker.
    NotExternal = "not_external",
    /// The task was not offered to anybody.
    NotOffered = "not_offered",
    /// The document was not saved; said by the simulator only.
    NotSaved = "not_saved",
    /// No approval waits at this node.
    NotWaiting = "not_waiting",
    /// The answer does not satisfy the node's schema.
    OutputInvalid = "output_invalid",
    /// The run's definition can't be had.
    PlanUnavailable = "plan_unavailable",
    /// The run has a budget of money, and one of its models has no price.
    PriceUnknown = "price_unknown",
    /// The project has used what it may of a day or a month.
    ProjectBudgetReached = "project_budget_reached",
    /// The project is paused: nothing begins in it.
    ProjectPaused = "project_paused",
    /// The run is set aside.
    Quarantined = "quarantined",
    /// The run's state is gone from the store, or on its way out.
    RunArchived = "run_archived",
    /// The run has ended, so this can't be done any more.
    RunEnded = "run_ended",
    /// A run of this id exists.
    RunExists = "run_exists",
    /// The run has not ended, so this can't be done yet.
    RunNotEnded = "run_not_ended",
    /// The run is not paused.
    RunNotPaused = "run_not_paused",
    /// The run is paused already.
    RunPaused = "run_paused",
    /// The project has as many runs that have not ended as it may.
    TooManyRuns = "too_many_runs",
    /// The run keeps as many signals as it may.
    TooManySignals = "too_many_signals",
    /// The caller may try again: nothing is known to have happened.
    Unavailable = "unavailable",
    /// No such type of actor is served here.
    UnknownActorType = "unknown_actor_type",
    /// There is no agent of this name.
    UnknownAgent = "unknown_agent",
    /// The actor has no such method.
    UnknownMethod = "unknown_method",
    /// The run's definition has no such node.
    UnknownNode = "unknown_node",
    /// There is no such run.
    UnknownRun = "unknown_run",
    /// There is no such workflow, or version of it.
    UnknownWorkflow = "unknown_workflow",
    /// Only our own actors send this, and they sign it.
    Unsigned = "unsigned",
    /// The answer's value is in neither store nor catalog.
    ValueLost = "value_lost",
    /// A value is larger than any may be.
    ValueTooLarge = "value_too_large",
    /// The workflow can't be started: it has problems, or was never published.
    WorkflowHasProblems = "workflow_has_problems",
    /// The agent works for a run, which waits for its answer.
    WorksForRun = "works_for_run",
    /// The signature is of another message, or by another key.
    WrongMac = "wrong_mac",
}

impl From<&str> for Code {
    // A later version's code is kept as `Other`: it still says that something was refused.
    fn from(name: &str) -> Self {
        Self::ALL.iter().copied().find(|code| code.as_str() == name).unwrap_or(Self::Other)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Ok(Self::from(&*name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_reads_as_it_is_written_and_no_two_are_the_same() {
        for code in Code::ALL {
            let text = serde_json::to_string(code).expect("JSON");
            assert_eq!(serde_json::from_str::<Code>(&text).expect("a code"), *code);
            assert_eq!(Code::ALL.iter().filter(|other| other.as_str() == code.as_str()).count(), 1);
        }
        assert_eq!(serde_json::from_str::<Code>("\"of_tomorrow\"").expect("a code"), Code::Other);
    }
}
