//! What becomes true of a run.
//!
//! Events are recorded for ever: fields are only ever added, at the end, with a default.

use super::{args::args_hash, definition::Retention, op::Fingerprint, trial::Trial};
use crate::{
    Datum, Span, Timestamp,
    call::{CallError, Fallback, Usage, is_zero},
    id::{AgentId, OperationId, RunId, WorkflowId},
    price::Price,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Names one execution of a node in a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StepKey {
    /// Counts from 1; a rerun opens the next.
    pub generation: u32,
    /// The id of the node in the definition.
    pub node: Arc<str>,
    /// Path of 0-based indices through the enclosing bodies: `"3.17"`; `""` outside.
    pub iteration: Arc<str>,
}

/// Something that is now true, and since when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// The run's own time of the decision. It never goes back along a history.
    pub at: Timestamp,
    pub what: What,
}

/// What is now true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The run began. Definition, input and settings are pinned from here on.
    RunCreated {
        op: OperationId,
        workflow_id: Option<WorkflowId>,
        version: u32,
        /// The definition, pinned.
        plan: Datum,
        input: Datum,
        settings: RunSettings,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
    },
    /// `input` is given on the first attempt only.
    StepStarted {
        step: StepKey,
        attempt: u32,
        input: Option<Datum>,
        deadline: Option<Timestamp>,
        reserved: Reserved,
    },
    /// `error` is given when the output is the definition's default after a failure.
    StepCompleted {
        step: StepKey,
        attempt: u32,
        output: Datum,
        branch: Option<String>,
        usage: Option<Usage>,
        error: Option<Failure>,
        op: Option<OperationId>,
        /// The early or awaited signal that this step took.
        signal: Option<String>,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
        /// Models that gave no answer in this attempt, in their order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fallbacks: Vec<Fallback>,
    },
    /// With `retry_at` another attempt follows; without it the failure is final.
    StepFailed {
        step: StepKey,
        attempt: u32,
        error: Failure,
        retry_at: Option<Timestamp>,
        usage: Option<Usage>,
        op: Option<OperationId>,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
        /// Models that gave no answer in this attempt, in their order.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        fallbacks: Vec<Fallback>,
    },
    /// No edge to the node was taken, or the run wraps up.
    StepSkipped {
        step: StepKey,
    },
    /// The step was given up before it ended.
    StepCancelled {
        step: StepKey,
    },
    /// Performed at most once, and nobody knows whether.
    StepUnknown {
        step: StepKey,
        attempt: u32,
    },
    /// The one activation that may perform this attempt.
    StepGranted {
        step: StepKey,
        attempt: u32,
        activation: String,
    },
    /// An iteration of a `for_each` or `loop` began. `step` is the node with the body, `index` counts from 0.
    IterationStarted {
        step: StepKey,
        index: u32,
    },
    /// An iteration ended, and the steps inside it are dropped from the state.
    IterationEnded {
        step: StepKey,
        index: u32,
        /// Nothing where it is the output of one step: an answer is not written twice.
        output: Option<Datum>,
        /// The step of the body whose output it is.
        #[serde(default)]
        of: Option<StepKey>,
    },
    /// A signal came. It is kept until a step takes it.
    SignalReceived {
        op: OperationId,
        name: String,
        data: Datum,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
    },
    /// A looping agent may make the calls that it asked for.
    BudgetReserved {
        step: StepKey,
        attempt: u32,
        reserved: Reserved,
        op: OperationId,
    },
    /// The budget does not allow more, so the run wraps up. `limit` is `calls`, `tokens`, `cost` or `seconds`.
    BudgetBreached {
        limit: String,
    },
    RunPaused {
        op: OperationId,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
    },
    RunResumed {
        op: OperationId,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
    },
    /// The run starts again at the node `from`, with `input` in place of its input if there is one.
    RunRerun {
        op: OperationId,
        from: String,
        input: Option<Datum>,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
    },
    RunCompleted {
        output: Datum,
    },
    RunFailed {
        error: RunError,
    },
    RunCancelled {
        op: OperationId,
        /// What the operation asks, where its caller named it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<Fingerprint>,
    },
    /// The decision was cut at its limit; the next turn goes on.
    DecisionCut {},
    /// The retention is over: the run's keys are about to be deleted.
    RunPurging {},
    /// The run is tried: it is not what its definition alone says. Comes right behind its creation.
    RunTried {
        trial: Trial,
    },
}

/// What is set aside for calls not yet answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    pub calls: u64,
    pub tokens: u64,
    /// In millionths; nothing where the run has no budget of money.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost: u64,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
    /// What came all the same: of an http call `{status, headers, body}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Datum>,
}

/// Why a run failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunError {
    pub code: String,
    pub message: String,
    pub node: Option<String>,
}

/// The server's settings, pinned into the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSettings {
    /// Steps dispatched at once.
    pub dispatch: u32,
    /// How long a completed run stays in the state store, in milliseconds; any run, without `otherwise`.
    pub retention: u64,
    /// Tokens of the largest answer, by name of the agent: what a reservation sets aside. Agents without a limit are
    /// left out.
    pub max_tokens: BTreeMap<String, u32>,
    /// Left out where it would say the same as `retention`; runs of earlier versions never have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Otherwise>,
    /// The highest price of each agent's models, by its name, of a run with a budget of money: what a reservation sets
    /// aside.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prices: BTreeMap<String, Price>,
}

/// How long runs that did not complete stay in the state store, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Otherwise {
    pub failed: u64,
    pub cancelled: u64,
}

// === impl StepKey ===

impl StepKey {
    /// Names the execution of `node` in a generation (from 1) and an iteration (`""` outside bodies).
    pub fn new(generation: u32, node: &str, iteration: &str) -> Self {
        Self { generation, node: node.into(), iteration: iteration.into() }
    }

    /// Returns the id of the agent that works on this step of a run.
    pub fn agent(&self, run: &RunId) -> AgentId {
        AgentId::of_step(run, &self.node, self.generation, &self.iteration)
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.generation, self.node, self.iteration)
    }
}

/// Where the details of a failure stand in an event.
pub(crate) const DETAILS: &str = "error.details";

// === impl What ===

impl What {
    /// Returns the event's public type, without the `callboard.` prefix.
    pub fn name(&self) -> &'static str {
        match self {
            What::RunCreated { .. } => "run.created",
            What::StepStarted { .. } => "step.started",
            What::StepCompleted { .. } => "step.completed",
            What::StepFailed { retry_at: Some(_), .. } => "step.retrying",
            What::StepFailed { retry_at: None, .. } => "step.failed",
            What::StepSkipped { .. } => "step.skipped",
            What::StepCancelled { .. } => "step.cancelled",
            What::StepUnknown { .. } => "step.unknown",
            What::StepGranted { .. } => "step.granted",
            What::IterationStarted { .. } => "step.iteration_started",
            What::IterationEnded { .. } => "step.iteration_ended",
            What::SignalReceived { .. } => "run.signal_received",
            What::BudgetReserved { .. } => "step.budget_reserved",
            What::BudgetBreached { .. } => "run.budget_breached",
            What::RunPaused { .. } => "run.paused",
            What::RunResumed { .. } => "run.resumed",
            What::RunRerun { .. } => "run.rerun",
            What::RunCompleted { .. } => "run.completed",
            What::RunFailed { .. } => "run.failed",
            What::RunCancelled { .. } => "run.cancelled",
            What::DecisionCut {} => "run.continued",
            What::RunPurging {} => "run.purging",
            What::RunTried { .. } => "run.tried",
        }
    }

    /// Whether only the run itself has a use for the event. It is in the history, but it is not published.
    pub fn is_bookkeeping(&self) -> bool {
        match self {
            What::StepGranted { .. }
            | What::BudgetReserved { .. }
            | What::IterationStarted { .. }
            | What::DecisionCut {} => true,
            What::RunCreated { .. }
            | What::StepStarted { .. }
            | What::StepCompleted { .. }
            | What::StepFailed { .. }
            | What::StepSkipped { .. }
            | What::StepCancelled { .. }
            | What::StepUnknown { .. }
            | What::IterationEnded { .. }
            | What::SignalReceived { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunRerun { .. }
            | What::RunCompleted { .. }
            | What::RunFailed { .. }
            | What::RunCancelled { .. }
            | What::RunPurging {}
            | What::RunTried { .. } => false,
        }
    }

    /// Returns the step the event is about, and its attempt where it has one.
    pub fn step(&self) -> Option<(&StepKey, Option<u32>)> {
        match self {
            What::StepStarted { step, attempt, .. }
            | What::StepCompleted { step, attempt, .. }
            | What::StepFailed { step, attempt, .. }
            | What::StepUnknown { step, attempt }
            | What::StepGranted { step, attempt, .. }
            | What::BudgetReserved { step, attempt, .. } => Some((step, Some(*attempt))),
            What::StepSkipped { step }
            | What::StepCancelled { step }
            | What::IterationStarted { step, .. }
            | What::IterationEnded { step, .. } => Some((step, None)),
            What::RunCreated { .. }
            | What::SignalReceived { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunRerun { .. }
            | What::RunCompleted { .. }
            | What::RunFailed { .. }
            | What::RunCancelled { .. }
            | What::DecisionCut {}
            | What::RunPurging {}
            | What::RunTried { .. } => None,
        }
    }

    /// Returns the hash of what this event asks a person, if it begins an approval: no other input has a title and a
    /// detail. An input that is stored elsewhere can't be looked into, so its hash is returned whatever kind of step
    /// it begins.
    pub fn args_hash(&self) -> Option<String> {
        let What::StepStarted { input: Some(input), .. } = self else { return None };
        let asks = match input {
            Datum::Inline(value) => value.get("title").is_some() && value.get("detail").is_some(),
            Datum::Stored(_) => true,
        };
        asks.then(|| args_hash(input))
    }

    /// Returns every piece of data in the event, to be changed: the shell moves large ones out, and lists stored
    /// ones.
    pub fn data_mut(&mut self) -> Vec<&mut Datum> {
        match self {
            What::RunCreated { plan, input, .. } => vec![plan, input],
            What::StepStarted { input, .. } | What::RunRerun { input, .. } => input.iter_mut().collect(),
            What::IterationEnded { output, .. } => output.iter_mut().collect(),
            What::StepCompleted { output, error, .. } => {
                let details = error.as_mut().and_then(|error| error.details.as_mut());
                std::iter::once(output).chain(details).collect()
            }
            What::StepFailed { error, .. } => error.details.iter_mut().collect(),
            What::RunCompleted { output } => vec![output],
            What::SignalReceived { data, .. } => vec![data],
            What::RunTried { trial } => vec![&mut trial.outputs],
            What::StepSkipped { .. }
            | What::StepCancelled { .. }
            | What::StepUnknown { .. }
            | What::StepGranted { .. }
            | What::IterationStarted { .. }
            | What::BudgetReserved { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunFailed { .. }
            | What::RunCancelled { .. }
            | What::DecisionCut {}
            | What::RunPurging {} => Vec::new(),
        }
    }

    /// Returns every piece of data in the event.
    pub fn data(&self) -> Vec<&Datum> {
        self.named_data().into_iter().map(|(_, datum)| datum).collect()
    }

    /// The same, each with the name of its field, or of the one that it stands in.
    pub(crate) fn named_data(&self) -> Vec<(&'static str, &Datum)> {
        match self {
            What::RunCreated { plan, input, .. } => vec![("plan", plan), ("input", input)],
            What::StepStarted { input, .. } | What::RunRerun { input, .. } => {
                input.iter().map(|input| ("input", input)).collect()
            }
            What::IterationEnded { output, .. } => output.iter().map(|output| ("output", output)).collect(),
            What::StepCompleted { output, error, .. } => {
                let details = error.as_ref().and_then(|error| error.details.as_ref());
                std::iter::once(("output", output)).chain(details.map(|details| (DETAILS, details))).collect()
            }
            What::StepFailed { error, .. } => {
                error.details.iter().map(|details| (DETAILS, details)).collect()
            }
            What::RunCompleted { output } => vec![("output", output)],
            What::SignalReceived { data, .. } => vec![("data", data)],
            What::RunTried { trial } => vec![("trial.outputs", &trial.outputs)],
            What::StepSkipped { .. }
            | What::StepCancelled { .. }
            | What::StepUnknown { .. }
            | What::StepGranted { .. }
            | What::IterationStarted { .. }
            | What::BudgetReserved { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunFailed { .. }
            | What::RunCancelled { .. }
            | What::DecisionCut {}
            | What::RunPurging {} => Vec::new(),
        }
    }
}

// === impl RunSettings ===

impl RunSettings {
    /// Pins how long the run is kept, in milliseconds. What `retention` leaves open is as in `Retention::USUAL`.
    pub fn retain(&mut self, retention: Retention) {
        let all = retention.or(Retention::USUAL);
        let ms = |span: Option<Span>| span.unwrap_or_default().0;
        self.retention = ms(all.completed);
        let otherwise = Otherwise { failed: ms(all.failed), cancelled: ms(all.cancelled) };
        // `otherwise` is younger than `retention`. A run that does not need it is recorded as before.
        let same = otherwise == Otherwise { failed: self.retention, cancelled: self.retention };
        self.otherwise = (!same).then_some(otherwise);
    }
}

// === impl Failure ===

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let details = error.details.map(|details| Datum::inline(*details));
        Self { code: error.code, message: error.message, details }
    }
}
