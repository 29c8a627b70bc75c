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
    BadRequest = "bad_request",
    /// The history ends before the document begins.
    HistoryGap = "history_gap",
    /// The same idempotency key with another start.
    IdempotencyKeyReused = "idempotency_key_reused",
    Internal = "internal",
    InvalidDefinition = "invalid_definition",
    InvalidId = "invalid_id",
    InvalidInput = "invalid_input",
    /// Too many calls wait for this actor already.
    MailboxFull = "mailbox_full",
    /// The document was written by a later version.
    NewerVersion = "newer_version",
    /// A node inside a body can't be rerun alone.
    NodeInBody = "node_in_body",
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
    OutputInvalid = "output_invalid",
    /// The run's definition can't be had.
    PlanUnavailable = "plan_unavailable",
    /// The run is set aside.
    Quarantined = "quarantined",
    /// The run's state is gone from the store, or on its way out.
    RunArchived = "run_archived",
    RunEnded = "run_ended",
    RunExists = "run_exists",
    RunNotEnded = "run_not_ended",
    RunNotPaused = "run_not_paused",
    RunPaused = "run_paused",
    TooManySignals = "too_many_signals",
    /// The caller may try again: nothing is known to have happened.
    Unavailable = "unavailable",
    UnknownActorType = "unknown_actor_type",
    UnknownAgent = "unknown_agent",
    UnknownMethod = "unknown_method",
    UnknownNode = "unknown_node",
    UnknownRun = "unknown_run",
    UnknownWorkflow = "unknown_workflow",
    /// Only our own actors send this, and they sign it.
    Unsigned = "unsigned",
    /// The answer's value is in neither store nor catalog.
    ValueLost = "value_lost",
    ValueTooLarge = "value_too_large",
    WorkflowHasProblems = "workflow_has_problems",
    /// The agent works for a run, which waits for its answer.
    WorksForRun = "works_for_run",
    /// The signature is of another message, or by another key.
    WrongMac = "wrong_mac",
}

impl From<&str> for Code {
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
