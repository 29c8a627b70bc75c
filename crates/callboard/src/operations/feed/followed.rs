//! What all feeds of a run have in common: its history is looked at, and read, once for all of them.
//!
//! Whoever has told all there was waits here for what comes next, and is handed the same events as everybody else. Whoever
//! is behind reads on its own until it has caught up.

use super::{BATCH, BATCH_BYTES, Operations, Over, PAUSE};
use crate::operations::{Turn, history::Batch};
use callboard_core::{id::RunId, workflow::view::EventView};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::broadcast;

/// Growths that a slow feed may be behind before it reads on its own.
const KEPT: usize = 4;

/// The runs that have feeds; a clone is the same.
#[derive(Clone, Default)]
pub struct Followed(Arc<Mutex<HashMap<RunId, broadcast::Sender<Arc<Growth>>>>>);

/// Events that were read together, and how far the history goes.
#[derive(Debug)]
pub(super) struct Growth {
    pub events: Vec<Arc<EventView>>,
    /// Of the last event there was when the run was looked at.
    pub seq: u64,
    pub ended: bool,
    /// Of the events, as long as anybody has still to hand them on.
    _room: Option<Turn>,
}

/// Who looks at a run for all its feeds.
struct Look {
    operations: Operations,
    run: RunId,
    growths: broadcast::Sender<Arc<Growth>>,
    /// Up to where it was told.
    seq: Option<u64>,
    /// How far the history goes, as it was told, and whether the run has ended there.
    known: Option<(u64, bool)>,
}

// === impl Followed ===

impl Followed {
    /// Returns what comes from now on. The first feed of a run begins to look at it, the last one ends that.
    pub(super) fn join(&self, operations: &Operations, run: &RunId) -> broadcast::Receiver<Arc<Growth>> {
        let mut runs = self.runs();
        if let Some(growths) = runs.get(run) {
            return growths.subscribe();
        }
        let (growths, receiver) = broadcast::channel(KEPT);
        runs.insert(run.clone(), growths.clone());
        let look = Look { operations: operations.clone(), run: run.clone(), growths, seq: None, known: None };
        tokio::spawn(look.go());
        receiver
    }

    /// Takes the run out if nobody follows it any more, or in any case.
    fn leave(&self, look: &Look, in_any_case: bool) -> bool {
        let mut runs = self.runs();
        let is_over = in_any_case || look.growths.receiver_count() == 0;
        if is_over {
            runs.remove(&look.run);
        }
        is_over
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<RunId, broadcast::Sender<Arc<Growth>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Growth ===

impl Growth {
    /// Reads what comes after a seq, as much as is read at once.
    pub async fn read(
        operations: &Operations,
        run: &RunId,
        after: u64,
        (seq, ended): (u64, bool),
    ) -> Result<Self, Over> {
        let entries = operations.catalog.history(run, after, BATCH).await;
        let entries = entries.map_err(|error| {
            tracing::warn!(%run, %error, "a feed ends early");
            Over
        })?;
        let batch = Batch::of(run, &entries, BATCH_BYTES);
        let mut room = None;
        if !entries.is_empty() {
            // A feed that nobody reads keeps its room until its connection is cut, and others wait for theirs.
            tokio::select! {
                turn = operations.heavy.show(batch.bytes) => room = turn,
                () = operations.stop.cancelled() => return Err(Over),
            }
        }
        let (events, _) = batch.show(&*operations.catalog, run).await.map_err(|_| Over)?;
        Ok(Self { events: events.into_iter().map(Arc::new).collect(), seq, ended, _room: room })
    }
}

// === impl Look ===

impl Look {
    async fn go(mut self) {
        let Operations { feeds, stop, told, .. } = self.operations.clone();
        let mut notices = self.operations.runs.watch(&self.run);
        // Whoever follows resumes where it was; what went wrong is in the log.
        while self.once().await.is_ok() {
            tokio::select! {
                notice = notices.recv() => {
                    if let Err(broadcast::error::RecvError::Closed) = notice {
                        notices = self.operations.runs.watch(&self.run);
                        tokio::time::sleep(PAUSE).await;
                    }
                }
                () = tokio::time::sleep(told.every()) => {}
                () = self.growths.closed() => {}
                () = stop.cancelled() => break,
            }
            if feeds.leave(&self, false) {
                return;
            }
        }
        feeds.leave(&self, true);
    }

    /// Tells what has come since the last time; at first only how far the history goes.
    async fn once(&mut self) -> Result<(), Over> {
        // The row is read first: whatever it counts is in the history that is read after it.
        let row = self.operations.runs.row(&self.run).await.map_err(|_| Over)?;
        let known = (row.seq, row.ended_at.is_some());
        let mut seq = self.seq.unwrap_or(row.seq);
        while seq < row.seq {
            let growth = Growth::read(&self.operations, &self.run, seq, known).await?;
            let Some(last) = growth.events.last() else { break };
            seq = last.seq;
            self.known = Some(known);
            self.tell(growth);
        }
        self.seq = Some(seq);
        // Also that it has ended: its last event may have been told before.
        if self.known != Some(known) {
            self.known = Some(known);
            self.tell(Growth { events: Vec::new(), seq: known.0, ended: known.1, _room: None });
        }
        Ok(())
    }

    /// Where nobody listens there is nobody to be told.
    fn tell(&self, growth: Growth) {
        let _ = self.growths.send(Arc::new(growth));
    }
}
