//! In-process fan-out of "this run's history grew", and of what models say while they say it.
//!
//! Both wake event streams; the history itself is the truth, and words are best effort.

use parking_lot::Mutex;
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::broadcast;

/// How many notices a slow listener may be behind before it is told that it lagged.
const CAPACITY: usize = 64;
/// Words come faster.
const WORDS: usize = 1024;

/// Tells listeners up to which seq a run is recorded, and what its agents are saying; a clone is the same.
#[derive(Clone, Default)]
pub struct Live {
    recorded: Channels<u64>,
    said: Channels<Said>,
}

/// A piece of a model's answer, on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Said {
    pub node: Arc<str>,
    pub generation: u32,
    pub iteration: Arc<str>,
    pub attempt: u32,
    pub text: String,
}

/// A channel for each run that somebody listens to.
struct Channels<T>(Arc<Mutex<HashMap<String, broadcast::Sender<T>>>>);

impl Live {
    /// Returns a receiver of seqs. A listener that lags reads the history anyway.
    pub fn subscribe(&self, run: &str) -> broadcast::Receiver<u64> {
        self.recorded.subscribe(run, CAPACITY)
    }

    pub fn notify(&self, run: &str, seq: u64) {
        self.recorded.send(run, seq);
    }

    /// Returns a receiver of what the run's agents say. While there is one, models are asked to stream.
    pub fn listen(&self, run: &str) -> broadcast::Receiver<Said> {
        self.said.subscribe(run, WORDS)
    }

    pub fn is_heard(&self, run: &str) -> bool {
        self.said.0.lock().get(run).is_some_and(|sender| sender.receiver_count() > 0)
    }

    pub fn say(&self, run: &str, said: Said) {
        self.said.send(run, said);
    }
}

impl<T: Clone> Channels<T> {
    fn subscribe(&self, run: &str, capacity: usize) -> broadcast::Receiver<T> {
        let mut runs = self.0.lock();
        // Whoever comes sweeps out what nobody listens to any more.
        if runs.len() > 256 {
            runs.retain(|_, sender| sender.receiver_count() > 0);
        }
        runs.entry(run.to_owned()).or_insert_with(|| broadcast::channel(capacity).0).subscribe()
    }

    fn send(&self, run: &str, value: T) {
        let mut runs = self.0.lock();
        let Some(sender) = runs.get(run) else { return };
        if sender.send(value).is_err() {
            runs.remove(run);
        }
    }
}

impl<T> Clone for Channels<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Channels<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}
