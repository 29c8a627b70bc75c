//! What reaches a run, how a call of its ended, and why an input is refused. None of it is recorded.

use super::{
    event::{Reserved, RunSettings, StepKey},
    op::Op,
    trial::Trial,
};
use crate::{
    Code, Datum,
    call::{CallError, Fallback, Usage},
    id::{OperationId, WorkflowId},
};

/// What reached a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Begins the run. A repeated one changes nothing.
    Start {
        op: Op,
        workflow_id: Option<WorkflowId>,
        version: u32,
        plan: Datum,
        input: Datum,
        settings: RunSettings,
        /// How it is tried, if it is.
        trial: Option<Box<Trial>>,
    },
    /// What became of an attempt, known to this process: it made the call, or asked a worker outside.
    Answer {
        step: StepKey,
        attempt: u32,
        outcome: Outcome,
        usage: Usage,
    },
    /// What an agent says about its attempt. Anybody who can call the run can send this, so it counts only for a step
    /// that asks an agent of ours, and only if the answer fits that step.
    AgentAnswer {
        step: StepKey,
        attempt: u32,
        outcome: Outcome,
        usage: Usage,
        fallbacks: Vec<Fallback>,
    },
    /// Something happened outside that a step waits for, or will.
    Signal {
        op: Op,
        name: String,
        data: Datum,
    },
    /// A person answers an approval, or says whether an unknown step was performed. Without `generation` and
    /// `iteration` the one open step of the node is meant.
    Approve {
        op: Op,
        node: String,
        generation: Option<u32>,
        iteration: Option<String>,
        approved: bool,
        comment: Option<String>,
        args_hash: Option<String>,
    },
    Cancel {
        op: Op,
    },
    Pause {
        op: Op,
    },
    Resume {
        op: Op,
    },
    Rerun {
        op: Op,
        from: String,
        input: Option<Datum>,
    },
    /// May `activation` perform this attempt of an `at_most_once` step?
    Grant {
        step: StepKey,
        attempt: u32,
        activation: String,
    },
    /// A looping agent asks for more.
    Reserve {
        op: OperationId,
        step: StepKey,
        attempt: u32,
        reserved: Reserved,
    },
    /// Time has passed, or there is more to decide.
    Tick,
}

impl Input {
    /// Whether it is an operation on the run, not a message between its parts.
    pub fn is_operation(&self) -> bool {
        match self {
            Input::Start { .. }
            | Input::Signal { .. }
            | Input::Approve { .. }
            | Input::Cancel { .. }
            | Input::Pause { .. }
            | Input::Resume { .. }
            | Input::Rerun { .. } => true,
            Input::Answer { .. }
            | Input::AgentAnswer { .. }
            | Input::Grant { .. }
            | Input::Reserve { .. }
            | Input::Tick => false,
        }
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The call was answered with this output.
    Done(Datum),
    /// The call failed. The error says whether another attempt may help.
    Failed(CallError),
    /// Performed at most once, and nobody knows whether.
    Unknown,
}

/// Why the state forbids an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub kind: RefusalKind,
    pub code: Code,
    pub message: String,
    /// What it refers to may come yet: a little later the same input may be right.
    pub early: bool,
}

/// The kinds of refusals, by what the caller can do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// There is no such run or node.
    NotFound,
    /// The state forbids it now.
    Conflict,
    /// The input itself is wrong, whatever the state.
    Invalid,
    /// Too many of these are kept already.
    TooMany,
}

// === impl Refusal ===

impl Refusal {
    fn new(kind: RefusalKind, code: Code, message: impl Into<String>) -> Self {
        Self { kind, code, message: message.into(), early: false }
    }

    /// The same, of something that may come yet.
    pub fn early(self) -> Self {
        Self { early: true, ..self }
    }

    /// The state forbids the input now (409).
    pub fn conflict(code: Code, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Conflict, code, message)
    }
    /// There is no such run or node (404).
    pub fn not_found(code: Code, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::NotFound, code, message)
    }
    /// The input itself is wrong (422).
    pub fn invalid(code: Code, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::Invalid, code, message)
    }
    /// Too many of these are kept already (429).
    pub fn too_many(code: Code, message: impl Into<String>) -> Self {
        Self::new(RefusalKind::TooMany, code, message)
    }
}
