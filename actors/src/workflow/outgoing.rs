//! The way of a run's events out of the document: into the catalog, then onto the bus, each in order.
//!
//! Turns add what they committed. In strict mode the turn waits for the journal before it acts; in lazy mode one
//! worker per run follows behind. What is published was journaled before.

use crate::{events, failpoint::failpoint, mutant::rule, services::Services};
use bytes::Bytes;
use callboard_catalog::{Append, AppendError, Entry, RunProjection};
use callboard_core::{Hash, Timestamp, id::RunId, workflow::Event};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Bytes that may wait for the catalog before a turn waits for it, in lazy mode.
pub const OUTSTANDING: usize = 64 << 10;

/// What is on its way out of one run.
#[derive(Default)]
pub struct Outgoing {
    queue: Mutex<Queue>,
    /// Held while appending, so that appends stay in order.
    appending: tokio::sync::Mutex<()>,
    /// Held while publishing, so that events stay in order.
    publishing: tokio::sync::Mutex<()>,
    /// Seq of the last event that the catalog has.
    journaled: AtomicU64,
    /// Seq of the last event that is on the bus.
    published: AtomicU64,
    /// The catalog has gone another way: the next turn reads past the cache.
    forked: AtomicBool,
    /// Whether a worker follows behind.
    following: AtomicBool,
    /// Tells the follower that what came must not wait for more.
    hurry: tokio::sync::Notify,
}

#[derive(Default)]
struct Queue {
    /// Not journaled yet.
    entries: VecDeque<Entry>,
    /// Journaled or not, not published yet.
    events: VecDeque<(u64, Event)>,
    /// Values of `entries`, by the seq of the event that names them.
    values: Vec<(u64, String, Bytes)>,
    /// Hash of the last event that the catalog has: the next append continues from it.
    prev_hash: Hash,
    /// `None` until a turn has described the run. Nothing is journaled before that.
    row: Option<RunProjection>,
    /// The catalog has an earlier row: the events came to it before they were described.
    stale: bool,
    next_check_at: Option<Timestamp>,
    /// Bytes of `entries` and `values`.
    bytes: usize,
}

/// Why the journal does not have it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJournaled {
    /// The catalog has other events at this place.
    Conflict,
    /// The catalog lacks events before the first one here.
    Gap,
    /// The catalog does not answer.
    Unavailable,
}

impl Outgoing {
    /// Starts again from what the catalog has: its last seq and hash, and the last seq that was published.
    pub fn reset(&self, seq: u64, hash: Hash, published: u64) {
        let mut queue = self.queue.lock();
        *queue = Queue { prev_hash: hash, ..Queue::default() };
        self.journaled.store(seq, Ordering::Release);
        self.published.store(published, Ordering::Release);
        self.forked.store(false, Ordering::Release);
    }

    /// Waits until no append is under way; none begins while the guard lives. No append may run while a run is
    /// loaded: its end could be mistaken for that of an append of the new queue.
    pub async fn still(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.appending.lock().await
    }

    /// Adds an event that is committed. Its values go with it.
    pub fn push(&self, seq: u64, event: &Event, hash: Hash, json: String, values: Vec<(String, Bytes)>) {
        let mut queue = self.queue.lock();
        if seq > self.journaled() {
            queue.bytes += json.len() + values.iter().map(|(_, v)| v.len()).sum::<usize>();
            queue.values.extend(values.into_iter().map(|(key, data)| (seq, key, data)));
            queue.entries.push_back(Entry { seq, at: event.at, hash, event: json });
        }
        if seq > self.published() {
            queue.events.push_back((seq, event.clone()));
        }
    }

    /// Sets what the catalog shows of the run after the events pushed so far.
    pub fn describe(&self, row: RunProjection, next_check_at: Timestamp) {
        let mut queue = self.queue.lock();
        if let Some(before) = queue.row.replace(row.clone()) {
            queue.stale |= before != row;
            if before.status != row.status {
                self.hurry();
            }
        }
        queue.next_check_at = Some(next_check_at);
    }

    /// Lets what is committed go out at once.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// Returns the seq of the last event that the catalog has.
    pub fn journaled(&self) -> u64 {
        self.journaled.load(Ordering::Acquire)
    }

    /// Returns the seq of the last event that is on the bus.
    pub fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Returns how many bytes wait for the catalog.
    pub fn outstanding(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Tells, once, that the catalog has gone another way.
    pub fn take_fork(&self) -> bool {
        self.forked.swap(false, Ordering::AcqRel)
    }

    /// Appends everything pushed so far, and what the catalog shows of the run if that is all that changed. `touch`
    /// appends in any case, for the check time.
    pub async fn journal(&self, services: &Services, run: &RunId, touch: bool) -> Result<(), NotJournaled> {
        let _turn = self.appending.lock().await;
        let Some(batch) = self.batch(run, touch) else { return Ok(()) };
        let appended: Vec<(u64, Hash)> = batch.entries.iter().map(|e| (e.seq, e.hash)).collect();
        let last = batch.last_seq();
        let begins = batch.first_seq == 1;
        let bytes = batch.entries.iter().map(|e| e.event.len()).sum::<usize>()
            + batch.values.iter().map(|(key, data)| key.len() + data.len()).sum::<usize>()
            + batch.row.summary.len();
        services.metrics.catalog_bytes.inc_by(bytes as u64);
        let row = batch.row.clone();
        failpoint!("journal.before");
        match services.catalog.append(batch).await {
            Ok(()) => {
                failpoint!("journal.after");
            }
            Err(AppendError::Unavailable(error)) => {
                tracing::warn!(%run, %error, "the catalog does not take the journal");
                return Err(NotJournaled::Unavailable);
            }
            Err(AppendError::Conflict) => {
                self.forked.store(true, Ordering::Release);
                return Err(NotJournaled::Conflict);
            }
            Err(AppendError::Gap { last }) => {
                tracing::error!(
                    %run,
                    last,
                    "the history lacks events that this run has: an operator must look"
                );
                return Err(NotJournaled::Gap);
            }
        }
        if self.take_off(&row, appended, last) {
            services.live.notify(run, last, row.ended_at.is_some(), services.clock.now());
            if begins || row.ended_at.is_some() {
                services.live.moved(run);
            }
        }
        Ok(())
    }

    /// Returns a copy of all that waits for the catalog, since turns go on pushing while it is on its way; nothing if
    /// there is nothing to append.
    fn batch(&self, run: &RunId, touch: bool) -> Option<Append> {
        let queue = self.queue.lock();
        let row = queue.row.clone().filter(|_| touch || queue.has_row_or_entries())?;
        Some(Append {
            run: run.clone(),
            first_seq: queue.entries.front().map_or(self.journaled() + 1, |e| e.seq),
            prev_hash: queue.prev_hash,
            entries: queue.entries.iter().cloned().collect(),
            values: queue.values.iter().map(|(_, key, data)| (key.clone(), data.clone())).collect(),
            next_check_at: queue.next_check_at,
            row,
        })
    }

    /// Takes what was appended off the queue. Returns whether the queue still began with it.
    fn take_off(&self, row: &RunProjection, appended: Vec<(u64, Hash)>, last: u64) -> bool {
        let mut queue = self.queue.lock();
        queue.stale &= queue.row.as_ref() != Some(row);
        // A load may have filled the queue again meanwhile, maybe with other events. The next append finds those
        // out.
        for (seq, hash) in appended {
            let Some(front) = queue.entries.front().filter(|e| e.seq <= seq) else { continue };
            if (front.seq, front.hash) != (seq, hash) {
                return false;
            }
            queue.prev_hash = hash;
            queue.entries.pop_front();
        }
        queue.values.retain(|(seq, _, _)| *seq > last);
        queue.bytes = queue.entries.iter().map(|e| e.event.len()).sum::<usize>()
            + queue.values.iter().map(|(_, _, v)| v.len()).sum::<usize>();
        // The seq never goes backwards, even if a load knew of more meanwhile.
        self.journaled.fetch_max(last, Ordering::AcqRel);
        true
    }

    /// Publishes what is journaled and was not published. Returns whether all of it is out; what is not journaled
    /// waits.
    pub async fn publish(&self, services: &Services, run: &RunId) -> bool {
        let _turn = self.publishing.lock().await;
        loop {
            let batch: Vec<(u64, Event)> = {
                let journaled = if rule!(PublishJournaled, true) { self.journaled() } else { u64::MAX };
                let queue = self.queue.lock();
                queue.events.iter().take_while(|(seq, _)| *seq <= journaled).take(64).cloned().collect()
            };
            let Some((last, _)) = batch.last() else { return true };
            failpoint!("events.before_publish");
            if let Err(error) = events::publish(services, run, &batch).await {
                tracing::warn!(%run, %error, "events are not published yet");
                return false;
            }
            failpoint!("events.after_publish");
            let mut queue = self.queue.lock();
            while queue.events.front().is_some_and(|(seq, _)| seq <= last) {
                queue.events.pop_front();
            }
            self.published.fetch_max(*last, Ordering::AcqRel);
        }
    }

    /// Waits for more that may go out together, since the steps of a run come close upon each other. A change of the
    /// run's own status, above all its end, does not wait: somebody waits for it.
    pub async fn gather(&self, at_most: Duration) {
        tokio::select! {
            biased;
            () = self.hurry.notified() => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Marks the one worker that follows behind. Returns whether the caller is it.
    pub fn begin_following(&self) -> bool {
        !self.following.swap(true, Ordering::AcqRel)
    }

    /// Takes the mark back.
    pub fn end_following(&self) {
        self.following.store(false, Ordering::Release);
    }

    /// Whether everything up to `seq` is journaled and published.
    pub fn is_done(&self, seq: u64) -> bool {
        self.journaled() >= seq && self.published() >= seq && !self.queue.lock().stale
    }

    /// Whether anything waits to be journaled or published.
    pub fn has_work(&self) -> bool {
        let queue = self.queue.lock();
        queue.row.is_some() && (queue.has_row_or_entries() || !queue.events.is_empty())
    }
}

// === impl Queue ===

impl Queue {
    fn has_row_or_entries(&self) -> bool {
        self.stale || !self.entries.is_empty()
    }
}
