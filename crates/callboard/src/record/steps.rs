//! Folds a run's history into one line per step, in the order in which the steps began: a page of them.
//!
//! Only the page's lines are kept, so that its memory does not grow with the run. Of what comes before it is kept which
//! steps there were, of what comes after only that there is more.

use super::{Data, Shape};
use callboard_core::{
    Datum, Timestamp,
    call::Usage,
    workflow::{Event, StepKey, What, args_hash, event::Failure},
};
use serde::Serialize;
use serde_json::Value;
use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher,
};

/// An item of `GET /runs/{id}/steps`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepItem {
    pub node: String,
    pub generation: u32,
    pub iteration: String,
    pub attempt: u32,
    pub status: &'static str,
    pub input: Option<Value>,
    /// Of what a person is asked: an approval, or whether an `unknown` step was performed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_hash: Option<String>,
    pub output: Option<Value>,
    pub error: Option<Failure>,
    pub usage: Usage,
    pub started_at: Option<String>,
    pub ended_at: Option<String>,
}

/// A page of a run's steps.
#[derive(Debug)]
pub struct Steps {
    shape: Shape,
    skip: usize,
    limit: usize,
    /// Hashes of the steps before the page.
    before: HashSet<u64>,
    hasher: RandomState,
    lines: Vec<Line>,
    by_key: HashMap<StepKey, usize>,
    /// There are steps after the page.
    more: bool,
}

/// A step as the events leave it.
#[derive(Debug)]
pub struct Line {
    key: StepKey,
    attempt: u32,
    state: State,
    input: Option<Datum>,
    output: Option<Datum>,
    error: Option<Failure>,
    usage: Usage,
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

// === impl Steps ===

impl Steps {
    /// Up to `limit` steps after the first `skip`.
    pub fn new(skip: usize, limit: usize) -> Self {
        Self {
            shape: Shape::default(),
            skip,
            limit,
            before: HashSet::new(),
            hasher: RandomState::new(),
            lines: Vec::new(),
            by_key: HashMap::new(),
            more: false,
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

    /// Folds one event.
    pub fn apply(&mut self, event: &Event) {
        let at = event.at;
        match &event.what {
            What::StepStarted { step, attempt, input, .. } => {
                let Some(line) = self.line(step) else { return };
                line.attempt = *attempt;
                line.state = State::Started;
                line.input = input.clone().or(line.input.take());
                line.started_at = line.started_at.or(Some(at));
            }
            What::StepCompleted { step, attempt, output, usage, error, .. } => {
                let Some(line) = self.end(step, *attempt, State::Completed, at) else { return };
                line.output = Some(output.clone());
                line.error = error.clone();
                line.usage += usage.unwrap_or_default();
            }
            What::StepFailed { step, attempt, error, retry_at, usage, .. } => {
                let line = match retry_at {
                    Some(_) => self.line(step),
                    None => self.end(step, *attempt, State::Failed, at),
                };
                let Some(line) = line else { return };
                if retry_at.is_some() {
                    line.state = State::Pending;
                    line.attempt = *attempt;
                }
                line.error = Some(error.clone());
                line.usage += usage.unwrap_or_default();
            }
            What::StepSkipped { step } => {
                self.end(step, 0, State::Skipped, at);
            }
            What::StepCancelled { step } => {
                self.end(step, 0, State::Cancelled, at);
            }
            What::StepUnknown { step, attempt } => {
                let Some(line) = self.line(step) else { return };
                line.state = State::Unknown;
                line.attempt = *attempt;
            }
            // What is still open in a body that ended was given up with it.
            What::IterationEnded { step, index, .. } => self.cancel_inside(step, Some(*index), at),
            What::RunCompleted { .. } | What::RunFailed { .. } | What::RunCancelled { .. } => {
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

    /// Returns the page's lines, as many as `data` has room for but at least one, and whether there are further steps;
    /// asks `data` for what they hold.
    pub fn page(&self, data: &mut Data) -> (&[Line], bool) {
        let mut taken = 0;
        for line in &self.lines {
            let fits = line.input.iter().chain(&line.output).all(|datum| data.want(datum));
            if !fits && taken > 0 {
                break;
            }
            taken += 1;
        }
        (&self.lines[..taken], self.more || taken < self.lines.len())
    }

    /// Shows a line; stored data must have been loaded before.
    pub fn show(&self, line: &Line, data: &Data) -> StepItem {
        StepItem {
            node: line.key.node.to_string(),
            generation: line.key.generation,
            iteration: line.key.iteration.to_string(),
            attempt: line.attempt,
            status: match line.state {
                State::Pending => "pending",
                State::Started if self.shape.waits(&line.key.node) => "waiting",
                State::Started => "running",
                State::Unknown => "unknown",
                State::Completed => "completed",
                State::Failed => "failed",
                State::Skipped => "skipped",
                State::Cancelled => "cancelled",
            },
            input: line.input.as_ref().map(|datum| data.show(datum)),
            args_hash: line.input.as_ref().filter(|_| self.is_asked(line)).map(args_hash),
            output: line.output.as_ref().map(|datum| data.show(datum)),
            error: line.error.clone(),
            usage: line.usage,
            started_at: line.started_at.map(|at| at.to_string()),
            ended_at: line.ended_at.map(|at| at.to_string()),
        }
    }

    fn is_asked(&self, line: &Line) -> bool {
        line.state == State::Unknown || self.shape.asks(&line.key.node)
    }

    /// Returns the line of a step, if it is on the page.
    fn line(&mut self, key: &StepKey) -> Option<&mut Line> {
        if let Some(place) = self.by_key.get(key) {
            return self.lines.get_mut(*place);
        }
        if self.more {
            return None;
        }
        let hash = self.hasher.hash_one(key);
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
        self.lines.push(Line::new(key.clone()));
        self.lines.last_mut()
    }

    fn end(&mut self, key: &StepKey, attempt: u32, state: State, at: Timestamp) -> Option<&mut Line> {
        self.cancel_inside(key, None, at);
        let line = self.line(key)?;
        line.attempt = line.attempt.max(attempt);
        line.state = state;
        line.ended_at = Some(at);
        Some(line)
    }

    /// Cancels what is open in the body of `owner`, in one iteration or all.
    fn cancel_inside(&mut self, owner: &StepKey, index: Option<u32>, at: Timestamp) {
        let Self { shape, lines, .. } = self;
        if !shape.has_body(&owner.node) {
            return;
        }
        let prefix = match (&*owner.iteration, index) {
            (path, None) => path.to_owned(),
            ("", Some(index)) => index.to_string(),
            (path, Some(index)) => format!("{path}.{index}"),
        };
        for line in lines.iter_mut().filter(|line| line.is_open() && line.key.generation == owner.generation)
        {
            let rest = line.key.iteration.strip_prefix(&*prefix);
            let within =
                prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if within && shape.is_inside(&line.key.node, &owner.node) {
                line.cancel(at);
            }
        }
    }
}

// === impl Line ===

impl Line {
    fn new(key: StepKey) -> Self {
        Self {
            key,
            attempt: 0,
            state: State::Pending,
            input: None,
            output: None,
            error: None,
            usage: Usage::default(),
            started_at: None,
            ended_at: None,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Pending | State::Started | State::Unknown)
    }

    fn cancel(&mut self, at: Timestamp) {
        if self.is_open() {
            self.state = State::Cancelled;
            self.ended_at = Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
