//! A run's state in parts: a head that is written each time, and an archive whose pages are written once.
//!
//! The head holds what is open; finished steps and collected outputs stand in the archive, in the order they ended,
//! so the cost of writing a snapshot does not grow with the work already done.

use super::{
    event::{Reserved, StepKey},
    op::Fingerprint,
    run::{Archived, Created, Ended, Generation, Remembered, Run, Step},
    trial::Trial,
};
use crate::{Datum, Timestamp, call::Usage, id::RunId};
use imbl::Vector;
use serde::{Deserialize, Serialize};

/// What of a run's state is not in its archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    created: Option<Created>,
    generations: Vec<Generation>,
    steps: Vec<(StepKey, Step)>,
    signals: Vec<(String, Vec<Datum>)>,
    ops: Vec<u64>,
    paused: Option<Timestamp>,
    paused_for: u64,
    usage: Usage,
    reserved: Reserved,
    wrap_up: bool,
    cut: bool,
    ended: Option<Ended>,
    abandoned: Vec<(StepKey, u32)>,
    purging: bool,
    /// How many archived items belong to it.
    pub archived: u64,
    /// What each of `ops` asked; nothing where that is known of none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    bodies: Vec<Option<Fingerprint>>,
    /// How the run is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trial: Option<Trial>,
}

impl Run {
    /// Returns the part of the state that its archive does not hold.
    pub fn head(&self) -> Head {
        // Steps inside bodies are never archived, and an open step may still change.
        let is_live = |(key, step): &(&StepKey, &Step)| !key.iteration.is_empty() || step.is_open();
        let steps = self.steps.iter().filter(is_live).map(|(key, step)| {
            let mut step = step.clone();
            if key.iteration.is_empty()
                && let Some(iterations) = &mut step.iterations
            {
                // Each of them is in the archive as `Archived::Output`.
                iterations.outputs.clear();
            }
            (key.clone(), step)
        });
        Head {
            created: self.created.clone(),
            generations: self.generations.iter().cloned().collect(),
            steps: steps.collect(),
            signals: self.signals.iter().map(|(n, q)| (n.clone(), q.iter().cloned().collect())).collect(),
            ops: self.ops.iter().map(|known| known.op).collect(),
            paused: self.paused,
            paused_for: self.paused_for,
            usage: self.usage,
            reserved: self.reserved,
            wrap_up: self.wrap_up,
            cut: self.cut,
            ended: self.ended.clone(),
            abandoned: self.abandoned.iter().map(|(k, a)| (k.clone(), *a)).collect(),
            purging: self.purging,
            archived: self.archive.len() as u64,
            bodies: match self.ops.iter().any(|known| known.body.is_some()) {
                true => self.ops.iter().map(|known| known.body).collect(),
                false => Vec::new(),
            },
            trial: self.trial.clone(),
        }
    }

    /// Puts a state together again from what `head` and the archive's pages say. The plan is attached by the caller.
    pub fn restore(id: &RunId, head: Head, archive: Vector<Archived>) -> Run {
        let mut run = Run::new(id);
        for item in &archive {
            if let Archived::Step(key, step) = item {
                run.steps.insert(key.clone(), step.clone());
            }
        }
        for (key, step) in head.steps {
            if step.is_open() {
                run.open.insert(key.clone());
            }
            run.steps.insert(key, step);
        }
        // The outputs come after the head's steps, since each belongs to a step that is still open.
        for item in &archive {
            if let Archived::Output(key, index, output) = item
                && let Some(iterations) = run.steps.get_mut(key).and_then(|s| s.iterations.as_mut())
            {
                iterations.outputs.insert(*index, output.clone());
            }
        }
        let bodies = head.bodies.into_iter().chain(std::iter::repeat(None));
        Run {
            created: head.created,
            generations: head.generations.into_iter().collect(),
            signals: head.signals.into_iter().map(|(n, q)| (n, Vector::from(q))).collect(),
            ops: head.ops.into_iter().zip(bodies).map(|(op, body)| Remembered { op, body }).collect(),
            paused: head.paused,
            paused_for: head.paused_for,
            usage: head.usage,
            reserved: head.reserved,
            wrap_up: head.wrap_up,
            cut: head.cut,
            ended: head.ended,
            abandoned: head.abandoned.into_iter().collect(),
            purging: head.purging,
            trial: head.trial,
            archive,
            ..run
        }
    }
}
