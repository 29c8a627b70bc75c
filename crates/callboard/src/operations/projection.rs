//! A run's steps as far as its history was folded; and the ones that are kept, so that who asks again what has changed
//! since is not answered by folding everything again.
//!
//! What is recorded never changes, so a projection never gets old: it is folded on. It is dropped when nobody asked for a
//! while, or when others take its room.

use callboard_catalog::Entry;
use callboard_core::{
    id::RunId,
    workflow::{Event, view::Steps},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Unreadable events that a page of steps names.
const NAMED: usize = 100;
/// Memory of the steps of one run that are kept, and of all together, in bytes.
const RUN: usize = 32 << 20;
const ALL: usize = 64 << 20;
/// Runs whose steps are kept.
const RUNS: usize = 256;
/// Kept without being asked for.
const IDLE: Duration = Duration::from_secs(300);
/// What a value in memory takes beside its text, in bytes.
const VALUE: usize = 32;

/// The steps of a run, or a page of them.
pub struct Projection {
    pub steps: Steps,
    /// Seqs of events that can't be read, the first of them.
    pub unreadable: Vec<u64>,
    /// Of the last event that is in it.
    pub seq: u64,
    /// Roughly the memory it takes, and the most it may take, in bytes.
    weight: usize,
    most: usize,
}

/// The projections of runs that were asked for lately; a clone is the same.
#[derive(Clone, Default)]
pub struct Projections(Arc<Mutex<BTreeMap<RunId, Kept>>>);

struct Kept {
    projection: Arc<tokio::sync::Mutex<Projection>>,
    weight: usize,
    used: Instant,
}

// === impl Projection ===

impl Projection {
    /// Up to `limit` steps after the first `skip`, however long the history is.
    pub fn page(skip: usize, limit: usize) -> Self {
        Self { steps: Steps::new(skip, limit), unreadable: Vec::new(), seq: 0, weight: 0, most: usize::MAX }
    }

    /// All steps, as long as they are not too many to be kept.
    fn whole() -> Self {
        Self { most: RUN, ..Self::page(0, usize::MAX) }
    }

    /// Folds the next entry; nothing if it can't be read.
    pub fn apply(&mut self, entry: &Entry, event: Option<&Event>) {
        self.seq = entry.seq;
        match event {
            Some(event) => self.steps.apply(entry.seq, event),
            None if self.unreadable.len() < NAMED => self.unreadable.push(entry.seq),
            None => {}
        }
        let values = entry.event.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
        self.weight = self.weight.saturating_add(entry.event.len() + values * VALUE);
        if self.is_too_large() {
            self.steps = Steps::new(0, 0);
        }
    }

    /// Whether there were too many steps to keep: there are none in it any more.
    pub fn is_too_large(&self) -> bool {
        self.weight > self.most
    }
}

// === impl Projections ===

impl Projections {
    /// Returns the run's projection, to be folded on.
    pub fn of(&self, run: &RunId) -> Arc<tokio::sync::Mutex<Projection>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        all.retain(|_, kept| now.duration_since(kept.used) < IDLE);
        let kept = all.entry(run.clone()).or_insert_with(|| Kept {
            projection: Arc::new(tokio::sync::Mutex::new(Projection::whole())),
            weight: 0,
            used: now,
        });
        kept.used = now;
        kept.projection.clone()
    }

    /// Notes what the run's projection takes now, and makes room where all together take too much.
    pub fn weigh(&self, run: &RunId, projection: &Projection) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(kept) = all.get_mut(run) {
            kept.weight = if projection.is_too_large() { 0 } else { projection.weight };
        }
        while all.len() > RUNS || all.values().map(|kept| kept.weight).sum::<usize>() > ALL {
            let oldest = all.iter().min_by_key(|(_, kept)| kept.used).map(|(run, _)| run.clone());
            let Some(oldest) = oldest else { return };
            all.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::{
        Datum, Hash, Timestamp,
        workflow::{StepKey, What, event::Reserved},
    };

    fn started(seq: u64, text: usize) -> (Entry, Event) {
        let what = What::StepStarted {
            step: StepKey::new(1, &format!("n{seq}"), ""),
            attempt: 1,
            input: Some(Datum::inline("x".repeat(text))),
            deadline: None,
            reserved: Reserved::default(),
        };
        let event = Event { at: Timestamp(0), what };
        let text = serde_json::to_string(&event).expect("JSON");
        (Entry { seq, at: Timestamp(0), hash: Hash::of(b"h"), event: text }, event)
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut projection = Projection::whole();
        let (entry, event) = started(1, RUN / 2);
        projection.apply(&entry, Some(&event));
        assert!(!projection.is_too_large() && projection.steps.lines().len() == 1);
        let (entry, event) = started(2, RUN / 2);
        projection.apply(&entry, Some(&event));
        assert!(projection.is_too_large() && projection.steps.lines().is_empty());
    }

    #[test]
    fn who_was_asked_for_last_stays() {
        let projections = Projections::default();
        let run = |text: &str| text.parse::<RunId>().expect("an id");
        for name in ["a", "b", "c"] {
            let projection = projections.of(&run(name));
            let mut projection = projection.try_lock().expect("nobody else");
            let (entry, event) = started(1, RUN - 4000);
            projection.apply(&entry, Some(&event));
            projections.weigh(&run(name), &projection);
        }
        let seqs =
            ["c", "b", "a"].map(|name| projections.of(&run(name)).try_lock().expect("nobody else").seq);
        assert_eq!(seqs, [1, 1, 0]);
    }

    #[test]
    fn so_many_runs_are_kept_and_no_more() {
        let projections = Projections::default();
        for n in 0..RUNS + 10 {
            let run = format!("r{n}").parse::<RunId>().expect("an id");
            let projection = projections.of(&run);
            projections.weigh(&run, &projection.try_lock().expect("nobody else"));
        }
        assert_eq!(projections.0.lock().expect("whole").len(), RUNS);
    }
}
