//! In-process fan-out of "this run's history grew": wakes event streams; the history itself is the truth.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::broadcast;

/// How many notices a slow listener may be behind before it is told that it lagged.
const CAPACITY: usize = 64;

/// Tells listeners up to which seq a run is recorded; a clone is the same.
#[derive(Clone, Default)]
pub struct Live(Arc<Mutex<HashMap<String, broadcast::Sender<u64>>>>);

impl Live {
    /// Returns a receiver of seqs. A listener that lags reads the history anyway.
    pub fn subscribe(&self, run: &str) -> broadcast::Receiver<u64> {
        let mut runs = self.0.lock();
        // Whoever comes sweeps out what nobody listens to any more.
        if runs.len() > 256 {
            runs.retain(|_, sender| sender.receiver_count() > 0);
        }
        runs.entry(run.to_owned()).or_insert_with(|| broadcast::channel(CAPACITY).0).subscribe()
    }

    pub fn notify(&self, run: &str, seq: u64) {
        let mut runs = self.0.lock();
        let Some(sender) = runs.get(run) else { return };
        if sender.send(seq).is_err() {
            runs.remove(run);
        }
    }
}
