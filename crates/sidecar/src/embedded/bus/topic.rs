//! One topic's queue: a bounded window in memory on the rows in the table.
//!
//! Messages arrive in commit order. While the window is full, later ones stay on disk only (`behind`), and are
//! read in order once there is room; so memory is bounded and nothing overtakes what was committed before it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::super::store::Store;
use super::super::times;
use super::{Stream, Target};

/// Unacknowledged messages of one topic, after which publishing is refused.
const BACKLOG: u64 = 1_000_000;
/// Bytes of messages one topic holds in memory, give or take one read of the table.
const WINDOW: usize = 32 << 20;
const REFILL: usize = 256;

/// A message as the bus keeps it. `id` is its row, 0 where nothing is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::embedded) struct Message {
    pub(in crate::embedded) id: i64,
    pub(in crate::embedded) event: Bytes,
    pub(in crate::embedded) metadata: BTreeMap<String, String>,
    /// Milliseconds since the epoch.
    pub(in crate::embedded) expires: Option<i64>,
}

/// A message on its way, with the deliveries that failed before.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) message: Arc<Message>,
    pub(super) tries: u32,
}

/// A topic of one pub/sub component.
pub(in crate::embedded) struct Topic {
    pubsub: String,
    name: String,
    kept: bool,
    depth: usize,
    queue: Mutex<Queue>,
    /// Something may have become ready, or there is room again.
    wake: Notify,
    targets: Mutex<Targets>,
    /// A subscriber came.
    joined: Notify,
}

#[derive(Default)]
struct Queue {
    ready: VecDeque<Delivery>,
    later: BinaryHeap<Reverse<(Instant, u64)>>,
    /// What `later` points at; a heap of messages would order by them.
    waiting: BTreeMap<u64, Delivery>,
    next_wait: u64,
    running: usize,
    /// Bytes of all the above.
    bytes: usize,
    /// A large message's size as last seen, so that a read of the table fits the window.
    large: usize,
    /// The last row that was in memory.
    cursor: i64,
    /// The last row that was committed.
    newest: i64,
    behind: bool,
    /// Rows not yet acknowledged.
    backlog: u64,
    closed: bool,
}

struct Targets {
    list: Vec<Target>,
    turn: usize,
    started: bool,
    /// Keeps its messages though nobody reads it.
    pinned: bool,
    unattended_since: Option<Instant>,
}

// === impl Topic ===

impl Topic {
    /// A topic whose messages are rows. Its window is filled from the table first.
    pub(super) fn kept(pubsub: &str, name: &str, depth: usize) -> Arc<Self> {
        Self::new(pubsub, name, depth, true)
    }

    /// A topic whose messages exist in memory only; the oldest goes when it is full.
    pub(super) fn volatile(pubsub: &str, name: &str, depth: usize) -> Arc<Self> {
        Self::new(pubsub, name, depth, false)
    }

    fn new(pubsub: &str, name: &str, depth: usize, kept: bool) -> Arc<Self> {
        Arc::new(Self {
            pubsub: pubsub.to_owned(),
            name: name.to_owned(),
            kept,
            depth: depth.max(1),
            queue: Mutex::new(Queue { behind: kept, large: crate::client::MAX_MESSAGE, ..Queue::default() }),
            wake: Notify::new(),
            targets: Mutex::new(Targets {
                list: Vec::new(),
                turn: 0,
                started: false,
                pinned: false,
                unattended_since: Some(Instant::now()),
            }),
            joined: Notify::new(),
        })
    }

    pub(in crate::embedded) fn pubsub(&self) -> &str {
        &self.pubsub
    }

    pub(in crate::embedded) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn is_kept(&self) -> bool {
        self.kept
    }

    /// Tells whether the backlog has reached its bound.
    pub(super) fn is_full(&self) -> bool {
        self.queue.lock().backlog >= BACKLOG
    }

    /// Counts the rows a start found.
    pub(super) fn restored(&self, count: u64, newest: i64) {
        let mut queue = self.queue.lock();
        queue.backlog = queue.backlog.max(count);
        queue.newest = queue.newest.max(newest);
    }

    /// Returns the last row this topic knows of.
    pub(super) fn newest(&self) -> i64 {
        self.queue.lock().newest
    }

    /// Takes a committed message. Called in commit order.
    pub(in crate::embedded) fn arrive(&self, message: Message) {
        {
            let mut queue = self.queue.lock();
            if !self.kept {
                if queue.full(self.depth)
                    && let Some(oldest) = queue.ready.pop_front()
                {
                    queue.bytes = queue.bytes.saturating_sub(oldest.message.event.len());
                }
                queue.push(message);
            } else {
                queue.backlog += 1;
                queue.newest = queue.newest.max(message.id);
                if message.id <= queue.cursor {
                    // Read from the table already, between its commit and this call.
                } else if queue.behind || queue.full(self.depth) {
                    queue.behind = true;
                } else {
                    queue.cursor = message.id;
                    queue.push(message);
                }
            }
        }
        self.wake.notify_one();
    }

    /// Takes a message whose commit is under way, if it stays in memory. Called in commit order.
    pub(in crate::embedded) fn arrive_early(&self, message: Message) -> bool {
        {
            let mut queue = self.queue.lock();
            if queue.behind || queue.full(self.depth) {
                return false;
            }
            queue.backlog += 1;
            queue.newest = queue.newest.max(message.id);
            queue.cursor = message.id;
            queue.push(message);
        }
        self.wake.notify_one();
        true
    }

    /// Waits for the next message to deliver; `None` once the topic is closed. One caller at a time.
    pub(super) async fn next(&self, store: &Store) -> Option<Delivery> {
        loop {
            let step = self.queue.lock().step(self.depth);
            match step {
                Step::Closed => return None,
                Step::Deliver(delivery) => return Some(delivery),
                Step::Refill { after, room } => {
                    match store.messages(&self.pubsub, &self.name, after, room).await {
                        Ok(found) => self.refilled(found, room),
                        Err(error) => {
                            tracing::error!(%error, topic = %self.name, "the backlog could not be read");
                            tokio::time::sleep(Duration::from_secs(1)).await;
                        }
                    }
                }
                Step::WaitUntil(at) => {
                    // Either way the queue is looked at again.
                    let _ = tokio::time::timeout_at(at, self.wake.notified()).await;
                }
                Step::Wait => self.wake.notified().await,
            }
        }
    }

    fn refilled(&self, found: Vec<Message>, asked: usize) {
        let mut queue = self.queue.lock();
        let all = found.len() < asked;
        queue.large = found.iter().map(|message| message.event.len()).max().unwrap_or_default().max(4096);
        for message in found {
            queue.cursor = message.id;
            queue.push(message);
        }
        // A message committed while the table was read is found by the next look.
        if all && queue.cursor >= queue.newest {
            queue.behind = false;
        }
    }

    /// Ends a delivery for good.
    pub(super) fn done(&self, message: &Message) {
        let mut queue = self.queue.lock();
        queue.running = queue.running.saturating_sub(1);
        queue.bytes = queue.bytes.saturating_sub(message.event.len());
        queue.backlog = queue.backlog.saturating_sub(1);
        let look = queue.behind;
        drop(queue);
        if look {
            self.wake.notify_one();
        }
    }

    /// Ends a delivery that has to be repeated, at once or after a delay.
    pub(super) fn again(&self, delivery: Delivery, delay: Option<Duration>) {
        {
            let mut queue = self.queue.lock();
            queue.running = queue.running.saturating_sub(1);
            match delay {
                None => queue.ready.push_front(delivery),
                Some(delay) => {
                    let ticket = queue.next_wait;
                    queue.next_wait += 1;
                    queue.later.push(Reverse((Instant::now() + delay, ticket)));
                    let tries = delivery.tries.saturating_add(1);
                    queue.waiting.insert(ticket, Delivery { tries, ..delivery });
                }
            }
        }
        self.wake.notify_one();
    }

    /// Adds a subscriber and tells whether it is the first ever, who needs a dispatcher.
    pub(super) fn attach(&self, target: Target) -> bool {
        let mut targets = self.targets.lock();
        targets.list.push(target);
        targets.unattended_since = None;
        let first = !targets.started;
        targets.started = true;
        drop(targets);
        self.joined.notify_one();
        first
    }

    pub(super) fn detach(&self, stream: &Arc<Stream>) {
        let mut targets = self.targets.lock();
        targets.list.retain(|target| !matches!(target, Target::Stream(known) if Arc::ptr_eq(known, stream)));
        if targets.list.is_empty() && !targets.pinned {
            targets.unattended_since = Some(Instant::now());
        }
    }

    /// Keeps the topic's messages for whoever comes to read them.
    pub(super) fn pin(&self) {
        let mut targets = self.targets.lock();
        targets.pinned = true;
        targets.unattended_since = None;
    }

    /// Whether it keeps its messages for somebody who has not come.
    pub(super) fn is_unread(&self) -> bool {
        let targets = self.targets.lock();
        targets.pinned && targets.list.is_empty()
    }

    /// Takes messages out of memory whose rows are gone.
    pub(super) fn forgotten(&self, ids: &[i64]) {
        let mut queue = self.queue.lock();
        let queue = &mut *queue;
        let gone = |delivery: &Delivery| ids.contains(&delivery.message.id);
        let mut freed = 0;
        queue.ready.retain(|delivery| {
            let gone = gone(delivery);
            freed += if gone { delivery.message.event.len() } else { 0 };
            !gone
        });
        queue.bytes = queue.bytes.saturating_sub(freed);
        queue.backlog = queue.backlog.saturating_sub(ids.len() as u64);
    }

    pub(super) fn stream_count(&self) -> usize {
        let targets = self.targets.lock();
        targets.list.iter().filter(|target| matches!(target, Target::Stream(_))).count()
    }

    pub(super) fn unattended_for(&self, time: Duration) -> bool {
        self.targets.lock().unattended_since.is_some_and(|since| since.elapsed() >= time)
    }

    /// Returns whose turn it is, waiting for a subscriber if there is none; `None` once the topic is closed.
    pub(super) async fn target(&self) -> Option<Target> {
        loop {
            if self.queue.lock().closed {
                return None;
            }
            {
                let mut targets = self.targets.lock();
                targets.turn = targets.turn.wrapping_add(1);
                let turn = targets.turn % targets.list.len().max(1);
                if let Some(target) = targets.list.get(turn) {
                    return Some(target.clone());
                }
            }
            self.joined.notified().await;
        }
    }

    pub(super) fn close(&self) {
        self.queue.lock().closed = true;
        self.wake.notify_one();
        self.joined.notify_one();
    }
}

enum Step {
    Closed,
    Deliver(Delivery),
    Refill { after: i64, room: usize },
    WaitUntil(Instant),
    Wait,
}

impl Queue {
    fn held(&self) -> usize {
        self.ready.len() + self.waiting.len() + self.running
    }

    fn full(&self, depth: usize) -> bool {
        self.held() >= depth || self.bytes >= WINDOW
    }

    fn push(&mut self, message: Message) {
        self.bytes += message.event.len();
        self.large = self.large.max(message.event.len());
        self.ready.push_back(Delivery { message: Arc::new(message), tries: 0 });
    }

    fn step(&mut self, depth: usize) -> Step {
        if self.closed {
            return Step::Closed;
        }
        let now = Instant::now();
        while let Some(Reverse((at, ticket))) = self.later.peek().copied() {
            if at > now {
                break;
            }
            self.later.pop();
            self.ready.extend(self.waiting.remove(&ticket));
        }
        if let Some(delivery) = self.ready.pop_front() {
            self.running += 1;
            return Step::Deliver(delivery);
        }
        let fits = WINDOW.saturating_sub(self.bytes) / self.large.max(1);
        let room = depth.saturating_sub(self.held()).min(fits).min(REFILL);
        if self.behind && room > 0 {
            return Step::Refill { after: self.cursor, room };
        }
        match self.later.peek() {
            Some(Reverse((at, _))) => Step::WaitUntil(*at),
            None => Step::Wait,
        }
    }
}

impl Message {
    pub(super) fn expired(&self) -> bool {
        self.expires.is_some_and(|at| at <= times::steady())
    }
}
