//! What is written down of who asked: changes, refusals, and when a key was last used. Nobody waits for it: it goes through
//! a queue to the catalog, many at once. What can't be written is told in the log, with all that it says.

use callboard_catalog::{Access, ApiKey, AuditEntry};
use callboard_core::{Span, Timestamp};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Entries that wait; more are told in the log only.
const QUEUE: usize = 4096;
/// Entries that are written at once.
const BATCH: usize = 256;
/// How long an entry waits for others.
const LINGER: Duration = Duration::from_millis(100);
/// A key's last use is written again after so long.
const USED_AGAIN: Span = Span::secs(60);
/// Refusals that are told apart in a minute; of one kind the first is written. More sources than that are not, so that
/// nobody fills the catalog or the log by asking.
const REFUSALS: usize = 1024;
const MINUTE: i64 = 60_000;
/// How often what is too old is looked for.
const FORGET: Duration = Duration::from_secs(3600);

/// The way of entries into the catalog. A clone is the same.
#[derive(Clone)]
pub struct Trail {
    queue: mpsc::Sender<Item>,
    refused: Arc<Mutex<Refusals>>,
}

/// What was refused in a minute, by source and code.
#[derive(Default)]
struct Refusals {
    minute: i64,
    seen: HashSet<(String, String)>,
}

enum Item {
    Entry(Box<AuditEntry>),
    Used(Arc<ApiKey>, Timestamp),
    /// Says when everything before it is written.
    Flush(oneshot::Sender<()>),
}

// === impl Trail ===

impl Trail {
    pub(super) fn new(store: Arc<dyn Access>) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        tokio::spawn(write(store, queue));
        Self { queue: sender, refused: Arc::default() }
    }

    pub fn record(&self, entry: AuditEntry) {
        if let Some(refused) = &entry.refused {
            let mut known = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
            if !known.is_news(entry.at, (refused.source.clone(), refused.code.clone())) {
                return;
            }
        }
        if let Err(error) = self.queue.try_send(Item::Entry(Box::new(entry))) {
            let (mpsc::error::TrySendError::Full(item) | mpsc::error::TrySendError::Closed(item)) = error;
            if let Item::Entry(entry) = item {
                tracing::error!(?entry, "the audit can't take this");
            }
        }
    }

    pub(super) fn used(&self, key: &Arc<ApiKey>, now: Timestamp) {
        if key.last_used_at.is_none_or(|at| at + USED_AGAIN <= now) {
            let _ = self.queue.try_send(Item::Used(key.clone(), now));
        }
    }

    /// Returns once what was recorded before is written.
    pub async fn flushed(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }
}

// === impl Refusals ===

impl Refusals {
    /// Whether nothing of this source and code was refused in this minute, and there is room to remember it.
    fn is_news(&mut self, at: Timestamp, refusal: (String, String)) -> bool {
        let minute = at.0.div_euclid(MINUTE);
        if minute != self.minute {
            *self = Self { minute, seen: HashSet::new() };
        }
        self.seen.len() < REFUSALS && self.seen.insert(refusal)
    }
}

/// Waits a little for more, unless somebody waits for what is there: each write of the catalog is one sync for all of it.
async fn gather(queue: &mut mpsc::Receiver<Item>, items: &mut Vec<Item>) {
    let until = tokio::time::Instant::now() + LINGER;
    let is_awaited = |items: &[Item]| items.iter().any(|item| matches!(item, Item::Flush(_)));
    while items.len() < BATCH && !is_awaited(items) {
        match tokio::time::timeout_at(until, queue.recv_many(items, BATCH)).await {
            Ok(taken) if taken > 0 => {}
            Ok(_) | Err(_) => return,
        }
    }
}

/// Writes what comes, and ends with the last who could send.
async fn write(store: Arc<dyn Access>, mut queue: mpsc::Receiver<Item>) {
    let mut forget = tokio::time::interval(FORGET);
    let mut items = Vec::with_capacity(BATCH);
    // One key is used many times before its row is read again.
    let mut used = HashMap::new();
    loop {
        tokio::select! {
            taken = queue.recv_many(&mut items, BATCH) => if taken == 0 { return },
            _ = forget.tick() => {
                let now = crate::operations::now();
                if let Err(error) = store.forget_audit(now).await {
                    tracing::debug!(%error, "the audit is not shortened now");
                }
                used.retain(|_, at: &mut Timestamp| *at + USED_AGAIN > now);
                continue;
            }
        }
        gather(&mut queue, &mut items).await;
        let (mut entries, mut flushed) = (Vec::new(), Vec::new());
        for item in items.drain(..) {
            match item {
                Item::Entry(entry) => entries.push(*entry),
                Item::Flush(done) => flushed.push(done),
                Item::Used(key, at) => {
                    let before = used.insert(key.id.clone(), at);
                    if before.is_some_and(|before| at < before + USED_AGAIN) {
                        used.extend(before.map(|before| (key.id.clone(), before)));
                    } else if let Err(error) = store.key_used(&key.id, at).await {
                        tracing::debug!(%error, key = %key.id, "the last use of a key is not written");
                    }
                }
            }
        }
        if !entries.is_empty()
            && let Err(error) = store.record(entries.clone()).await
        {
            for entry in entries {
                tracing::error!(%error, ?entry, "the audit does not take this");
            }
        }
        for done in flushed {
            // Who has asked may have gone.
            let _ = done.send(());
        }
    }
}
