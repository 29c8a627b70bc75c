//! Fan-out of "this run's history grew", and of what models say while they say it.
//!
//! Both wake event streams; the history itself is the truth, and words are best effort. Within the process it is
//! enough to subscribe. What listens in other processes is known by their notices (`bus`), and only then is anything
//! kept for them.

pub(crate) mod bus;

use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId},
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
    sync::Arc,
};
use tokio::sync::{Notify, broadcast};

/// How many notices a slow listener may be behind before it is told that it lagged.
const CAPACITY: usize = 64;
/// Runs that have begun or ended, in one project.
const MOVES: usize = 1024;
/// Words come faster.
const WORDS: usize = 1024;
/// Words that wait for the bus, in bytes; what comes beyond is not heard elsewhere.
const WAITING: usize = 256 << 10;
/// Runs that are listened to elsewhere, and runs whose growth waits for the bus.
const RUNS: usize = 10_000;

/// Tells listeners up to which seq a run is recorded, and what its agents are saying; a clone is the same.
#[derive(Clone, Default)]
pub struct Live(Arc<Inner>);

#[derive(Default)]
struct Inner {
    recorded: Channels<RunId, Recorded>,
    said: Channels<RunId, Said>,
    moved: Channels<ProjectId, RunId>,
    /// Who listens in this process, for the others to know.
    here: Mutex<HashMap<RunId, Here>>,
    /// What is listened to in other processes.
    elsewhere: Mutex<HashMap<RunId, Elsewhere>>,
    /// What waits for the bus.
    out: Mutex<Out>,
    news: Notify,
}

/// A run's history grew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    pub seq: u64,
    /// Whether the run has ended, where that is known: in the process that recorded it.
    pub ended: Option<bool>,
}

/// A piece of a model's answer, on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub node: Arc<str>,
    pub generation: u32,
    pub iteration: Arc<str>,
    pub attempt: u32,
    pub text: String,
}

/// Somebody listens to a run, as long as this lives.
pub struct Listening {
    live: Live,
    run: RunId,
    words: bool,
}

/// Listeners of one run in this process.
#[derive(Default)]
struct Here {
    all: u32,
    words: u32,
    /// What the other processes were told: that somebody listens, and whether to words.
    told: Option<bool>,
}

/// Until when other processes listen to a run.
#[derive(Clone, Copy, Default)]
struct Elsewhere {
    history: Timestamp,
    words: Timestamp,
}

/// What is to be told to the other processes.
#[derive(Default)]
struct Out {
    said: Vec<(RunId, Said)>,
    bytes: usize,
    recorded: BTreeMap<RunId, u64>,
}

/// A channel for each run, or project, that somebody listens to.
struct Channels<K, T>(Mutex<HashMap<K, broadcast::Sender<T>>>);

impl Live {
    /// Returns a receiver of notices. A listener that lags reads the history anyway.
    pub fn subscribe(&self, run: &RunId) -> broadcast::Receiver<Recorded> {
        self.0.recorded.subscribe(run, CAPACITY)
    }

    /// The run is recorded up to `seq`.
    pub fn notify(&self, run: &RunId, seq: u64, ended: bool, now: Timestamp) {
        self.0.recorded.send(run, Recorded { seq, ended: Some(ended) });
        if self.until(run).history > now {
            let mut out = self.0.out.lock();
            if out.recorded.len() < RUNS || out.recorded.contains_key(run) {
                out.recorded.insert(run.clone(), seq);
            }
            self.0.news.notify_one();
        }
    }

    /// Returns a receiver of the project's runs that have just begun, or ended, in this process.
    pub fn moves(&self, project: &ProjectId) -> broadcast::Receiver<RunId> {
        self.0.moved.subscribe(project, MOVES)
    }

    /// A run has begun or ended.
    pub fn moved(&self, run: &RunId) {
        self.0.moved.send(run.project(), run.clone());
    }

    /// Returns a receiver of what the run's agents say. While there is one, models are asked to stream.
    pub fn listen(&self, run: &RunId) -> broadcast::Receiver<Said> {
        self.0.said.subscribe(run, WORDS)
    }

    /// Lets the other processes know that somebody listens here, until the guard is dropped.
    pub fn announce(&self, run: &RunId, words: bool) -> Listening {
        let mut here = self.0.here.lock();
        let entry = here.entry(run.clone()).or_default();
        entry.all += 1;
        entry.words += u32::from(words);
        self.0.news.notify_one();
        Listening { live: self.clone(), run: run.clone(), words }
    }

    /// Whether anybody listens to the run's words, here or elsewhere.
    pub fn is_heard(&self, run: &RunId, now: Timestamp) -> bool {
        self.0.said.is_heard(run) || self.until(run).words > now
    }

    pub fn say(&self, run: &RunId, said: Said, now: Timestamp) {
        if self.until(run).words > now {
            self.0.out.lock().say(run, &said);
            self.0.news.notify_one();
        }
        self.0.said.send(run, said);
    }

    fn until(&self, run: &RunId) -> Elsewhere {
        self.0.elsewhere.lock().get(run).copied().unwrap_or_default()
    }

    /// Somebody elsewhere listens to the run until then.
    fn heard_elsewhere(&self, run: &RunId, words: bool, until: Timestamp, now: Timestamp) {
        let mut elsewhere = self.0.elsewhere.lock();
        if elsewhere.len() > 256 {
            elsewhere.retain(|_, e| e.history > now);
        }
        if elsewhere.len() >= RUNS && !elsewhere.contains_key(run) {
            return;
        }
        let entry = elsewhere.entry(run.clone()).or_default();
        entry.history = entry.history.max(until);
        if words {
            entry.words = entry.words.max(until);
        }
    }

    /// Takes the runs to announce, each with whether words are listened to: those not told yet, or all of them.
    fn take_listening(&self, all: bool) -> Vec<(RunId, bool)> {
        let mut here = self.0.here.lock();
        let mut runs = Vec::new();
        for (run, entry) in &mut *here {
            let now = Some(entry.words > 0);
            if all || entry.told < now {
                entry.told = now;
                runs.push((run.clone(), entry.words > 0));
            }
        }
        runs
    }

    /// What was announced last did not reach anybody.
    fn forget_told(&self) {
        self.0.here.lock().values_mut().for_each(|entry| entry.told = None);
    }
}

// === impl Listening ===

impl Drop for Listening {
    fn drop(&mut self) {
        let mut here = self.live.0.here.lock();
        let Some(entry) = here.get_mut(&self.run) else { return };
        entry.all -= 1;
        entry.words -= u32::from(self.words);
        if entry.all == 0 {
            here.remove(&self.run);
        }
    }
}

// === impl Out ===

impl Out {
    /// Adds words behind those of the same answer.
    fn say(&mut self, run: &RunId, said: &Said) {
        if self.bytes + said.text.len() > WAITING {
            return;
        }
        self.bytes += said.text.len();
        let of = |s: &Said| (s.node.clone(), s.generation, s.iteration.clone(), s.attempt);
        match self.said.iter_mut().rev().find(|(of_run, s)| of_run == run && of(s) == of(said)) {
            Some((_, last)) => last.text.push_str(&said.text),
            None => self.said.push((run.clone(), said.clone())),
        }
    }
}

// === impl Channels ===

impl<K: Hash + Eq + Clone, T: Clone> Channels<K, T> {
    fn subscribe(&self, to: &K, capacity: usize) -> broadcast::Receiver<T> {
        let mut all = self.0.lock();
        // Whoever comes sweeps out what nobody listens to any more.
        if all.len() > 256 {
            all.retain(|_, sender| sender.receiver_count() > 0);
        }
        all.entry(to.clone()).or_insert_with(|| broadcast::channel(capacity).0).subscribe()
    }

    fn send(&self, to: &K, value: T) {
        let mut all = self.0.lock();
        let Some(sender) = all.get(to) else { return };
        if sender.send(value).is_err() {
            all.remove(to);
        }
    }

    fn is_heard(&self, of: &K) -> bool {
        self.0.lock().get(of).is_some_and(|sender| sender.receiver_count() > 0)
    }
}

impl<K, T> Default for Channels<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests;
