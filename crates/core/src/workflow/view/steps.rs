//! Folds a run's history into one line per step, in the order in which the steps began: a page of them, or all.
//!
//! Of a page only its lines are kept, so that its memory does not grow with the run. Of what comes before it is kept
//! which steps there were, of what comes after only that there is more. No rule of the machine is repeated here beyond
//! what an event means for a step's line.

use super::{
    super::{Event, StepKey, What, args_hash, event::Failure},
    Shape, content,
    shape::{is_within, path_of},
    usage::UsageView,
};
use crate::{
    Datum, Hash, Timestamp, ValueRef,
    call::{Fallback, Usage},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A step.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Step")]
pub struct StepView {
    pub node: String,
    /// Counts from 1; a rerun opens the next.
    pub generation: u32,
    /// `""` outside bodies, inside a path of indices from 0: `"3.17"`.
    pub iteration: String,
    /// The last one.
    pub attempt: u32,
    pub status: StepStatus,
    /// It was skipped, and what follows it went on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Its output was given when the run was started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    pub input: Option<Value>,
    /// Of what a person is asked: an approval, or whether an `unknown` step was performed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_hash: Option<String>,
    pub output: Option<Value>,
    pub error: Option<FailureView>,
    pub usage: UsageView,
    /// Models that gave no answer in this or an earlier attempt, and which was asked next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
}

/// Why a step failed, or would have.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Failure")]
pub struct FailureView {
    pub code: String,
    pub message: String,
    /// What came all the same: of an http call `{status, headers, body}`, with `cut` where the body is only its beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

/// A step's status as users see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// Between two attempts.
    Pending,
    Running,
    /// For time, for a signal, or for people.
    Waiting,
    Completed,
    Failed,
    Skipped,
    Cancelled,
    /// Performed at most once, and nobody knows whether.
    Unknown,
}

/// A page of a run's steps.
#[derive(Debug, Clone)]
pub struct Steps {
    shape: Shape,
    skip: usize,
    limit: usize,
    /// Hashes of the steps before the page: 16 bytes each, however long their keys are.
    before: BTreeSet<Hash>,
    lines: Vec<Line>,
    by_key: BTreeMap<StepKey, usize>,
    /// There are steps after the page.
    more: bool,
    /// Nodes whose outputs are given.
    pinned: BTreeSet<String>,
}

/// When an event became true: its place in the history, and its time.
#[derive(Debug, Clone, Copy)]
struct When {
    seq: u64,
    at: Timestamp,
}

/// A step as the events leave it.
#[derive(Debug, Clone)]
pub struct Line {
    key: StepKey,
    /// Seq of the last event that changed it.
    changed: u64,
    attempt: u32,
    state: State,
    input: Option<Datum>,
    output: Option<Datum>,
    error: Option<Failure>,
    usage: Usage,
    fallbacks: Vec<Fallback>,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between two attempts.
    Pending,
    Started,
    Unknown,
    Completed,
    Failed,
    Skipped,
    Cancelled,
}

// === impl StepStatus ===

impl StepStatus {
    /// Those of a step that has not ended, the busiest first.
    pub(super) const OPEN: [Self; 4] = [Self::Running, Self::Waiting, Self::Unknown, Self::Pending];

    /// Returns the status as users see it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Steps ===

impl Steps {
    /// Up to `limit` steps after the first `skip`.
    pub fn new(skip: usize, limit: usize) -> Self {
        Self {
            shape: Shape::default(),
            skip,
            limit,
            before: BTreeSet::new(),
            lines: Vec::new(),
            by_key: BTreeMap::new(),
            more: false,
            pinned: BTreeSet::new(),
        }
    }

    /// Takes the shape of the definition pinned in the run.
    pub fn of(&mut self, shape: Shape) {
        self.shape = shape;
    }

    /// Whether no further event can change the page.
    pub fn is_settled(&self) -> bool {
        self.more && self.lines.iter().all(|line| !line.is_open())
    }

    /// How many steps are before the page.
    pub fn skipped(&self) -> usize {
        self.skip
    }

    /// Whether there are steps after the page.
    pub fn has_more(&self) -> bool {
        self.more
    }

    /// The page's lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Folds the event at `seq`.
    pub fn apply(&mut self, seq: u64, event: &Event) {
        let at = When { seq, at: event.at };
        match &event.what {
            What::StepStarted { step, attempt, input, .. } => {
                let Some(line) = self.line(step, at) else { return };
                line.attempt = *attempt;
                line.state = State::Started;
                // Only the event of the first attempt has the input.
                line.input = input.clone().or(line.input.take());
                line.started_at = line.started_at.or(Some(at.at));
            }
            What::StepCompleted { step, attempt, output, usage, error, fallbacks, .. } => {
                let Some(line) = self.end(step, *attempt, State::Completed, at) else { return };
                line.output = Some(output.clone());
                line.error = error.clone();
                line.usage += usage.unwrap_or_default();
                line.fallbacks.extend_from_slice(fallbacks);
            }
            What::StepFailed { step, attempt, error, retry_at, usage, fallbacks, .. } => {
                let line = match retry_at {
                    Some(_) => self.line(step, at),
                    None => self.end(step, *attempt, State::Failed, at),
                };
                let Some(line) = line else { return };
                if retry_at.is_some() {
                    line.state = State::Pending;
                    line.attempt = *attempt;
                }
                line.error = Some(error.clone());
                line.usage += usage.unwrap_or_default();
                line.fallbacks.extend_from_slice(fallbacks);
            }
            What::StepSkipped { step } => {
                self.end(step, 0, State::Skipped, at);
            }
            What::StepCancelled { step } => {
                self.end(step, 0, State::Cancelled, at);
            }
            What::StepUnknown { step, attempt } => {
                let Some(line) = self.line(step, at) else { return };
                line.state = State::Unknown;
                line.attempt = *attempt;
            }
            What::RunTried { trial } => self.pinned.clone_from(&trial.pinned),
            // What is still open in a body that ended was given up with it.
            What::IterationEnded { step, index, .. } => self.cancel_inside(step, Some(*index), at),
            What::RunCompleted { .. } | What::RunFailed { .. } | What::RunCancelled { .. } => {
                // The run's end cancels what is open. There is no event for each of these steps.
                for line in &mut self.lines {
                    line.cancel(at);
                }
            }
            What::RunCreated { .. }
            | What::StepGranted { .. }
            | What::IterationStarted { .. }
            | What::SignalReceived { .. }
            | What::BudgetReserved { .. }
            | What::BudgetBreached { .. }
            | What::RunPaused { .. }
            | What::RunResumed { .. }
            | What::RunRerun { .. }
            | What::DecisionCut {}
            | What::RunPurging {} => {}
        }
    }

    /// Shows a line; `value` has the stored data.
    pub fn show(&self, line: &Line, value: impl Fn(&ValueRef) -> Option<Value>) -> StepView {
        let show = |datum: &Datum| content(datum, &value);
        StepView {
            node: line.key.node.to_string(),
            generation: line.key.generation,
            iteration: line.key.iteration.to_string(),
            attempt: line.attempt,
            status: self.status(line),
            disabled: line.state == State::Skipped && self.shape.is_disabled(&line.key.node),
            pinned: line.state == State::Completed && self.pinned.contains(&*line.key.node),
            input: line.input.as_ref().map(show),
            args_hash: line.input.as_ref().filter(|_| self.is_asked(line)).map(args_hash),
            output: line.output.as_ref().map(show),
            error: line.error.as_ref().map(|error| FailureView {
                code: error.code.clone(),
                message: error.message.clone(),
                details: error.details.as_ref().map(show),
            }),
            usage: line.usage.into(),
            fallbacks: line.fallbacks.clone(),
            started_at: line.started_at.map(|at| at.to_string()),
            ended_at: line.ended_at.map(|at| at.to_string()),
        }
    }

    /// Returns where the step stands.
    pub fn status(&self, line: &Line) -> StepStatus {
        match line.state {
            State::Pending => StepStatus::Pending,
            State::Started if self.shape.waits(&line.key.node) => StepStatus::Waiting,
            State::Started => StepStatus::Running,
            State::Unknown => StepStatus::Unknown,
            State::Completed => StepStatus::Completed,
            State::Failed => StepStatus::Failed,
            State::Skipped => StepStatus::Skipped,
            State::Cancelled => StepStatus::Cancelled,
        }
    }

    /// Whether the line shows the hash that an approval must name.
    fn is_asked(&self, line: &Line) -> bool {
        line.state == State::Unknown || self.shape.asks(&line.key.node)
    }

    /// Returns the line of a step that the event changes, if it is on the page.
    fn line(&mut self, key: &StepKey, at: When) -> Option<&mut Line> {
        if let Some(place) = self.by_key.get(key) {
            let line = self.lines.get_mut(*place)?;
            line.changed = at.seq;
            return Some(line);
        }
        // Any other step stands behind the page, and only its being there counts.
        if self.more {
            return None;
        }
        // The steps before the page are kept as hashes, which take little memory.
        let StepKey { generation, node, iteration } = key;
        let hash = Hash::chain(&[&generation.to_le_bytes(), node.as_bytes(), iteration.as_bytes()]);
        if self.before.contains(&hash) {
            return None;
        }
        if self.before.len() < self.skip {
            self.before.insert(hash);
            return None;
        }
        if self.lines.len() == self.limit {
            self.more = true;
            return None;
        }
        self.by_key.insert(key.clone(), self.lines.len());
        self.lines.push(Line::new(key.clone(), at.seq));
        self.lines.last_mut()
    }

    /// Ends the line of a step, and what is open in its body. Attempt 0 leaves the number as it is.
    fn end(&mut self, key: &StepKey, attempt: u32, state: State, at: When) -> Option<&mut Line> {
        self.cancel_inside(key, None, at);
        let line = self.line(key, at)?;
        line.attempt = line.attempt.max(attempt);
        line.state = state;
        line.ended_at = Some(at.at);
        Some(line)
    }

    /// Cancels what is open in the body of `owner`, in one iteration or all.
    fn cancel_inside(&mut self, owner: &StepKey, index: Option<u32>, at: When) {
        let Self { shape, lines, .. } = self;
        if !shape.has_body(&owner.node) {
            return;
        }
        let path = path_of(owner, index);
        for line in lines.iter_mut().filter(|line| line.is_open() && line.key.generation == owner.generation)
        {
            if is_within(&line.key.iteration, &path) && shape.is_inside(&line.key.node, &owner.node) {
                line.cancel(at);
            }
        }
    }
}

// === impl Line ===

impl Line {
    fn new(key: StepKey, seq: u64) -> Self {
        Self {
            key,
            changed: seq,
            attempt: 0,
            state: State::Pending,
            input: None,
            output: None,
            error: None,
            usage: Usage::default(),
            fallbacks: Vec::new(),
            started_at: None,
            ended_at: None,
        }
    }

    /// Whose line it is.
    pub fn key(&self) -> &StepKey {
        &self.key
    }

    /// Seq of the last event that changed the step.
    pub fn changed(&self) -> u64 {
        self.changed
    }

    /// The data that the line shows.
    pub fn data(&self) -> impl Iterator<Item = &Datum> {
        let details = self.error.as_ref().and_then(|error| error.details.as_ref());
        self.input.iter().chain(&self.output).chain(details)
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Pending | State::Started | State::Unknown)
    }

    fn cancel(&mut self, at: When) {
        if self.is_open() {
            self.changed = at.seq;
            self.state = State::Cancelled;
            self.ended_at = Some(at.at);
        }
    }
}

#[cfg(test)]
mod tests;
