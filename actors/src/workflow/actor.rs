//! What this process remembers of a run between turns.

use super::tail::Tail;
use crate::document::{Document, Page};
use callboard_core::{
    Timestamp, Values,
    workflow::{Run, StepKey},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};
use tokio::task::AbortHandle;

/// One run's place in this process.
#[derive(Default)]
pub struct Actor {
    /// The state as committed; thrown away after any failed or unknown write.
    pub mem: Option<Mem>,
    /// What is not journaled or not published yet.
    pub tail: Arc<Tail>,
    pub armed: Option<Armed>,
    /// The run began here, and no reminder was ever asked for.
    pub unarmed: bool,
    /// Asks for the first one in a while.
    pub arming: Option<AbortHandle>,
    /// Its reminder is left alone until then, in steady time.
    pub cools_until: Timestamp,
    /// Attempts under way, by step and attempt.
    pub in_flight: BTreeMap<(StepKey, u32), InFlight>,
    /// When a tick last went well, in steady time.
    pub ticked: Option<Timestamp>,
    /// Abandoned attempts whose agents were told.
    pub told: Arc<parking_lot::Mutex<BTreeSet<(StepKey, u32)>>>,
    /// What the run's own time is more than the steady one, in milliseconds, as of its last event.
    pub ahead: Option<i64>,
}

/// A run's state with what it takes to save the next one.
pub struct Mem {
    pub doc: Document,
    pub run: Run,
    /// The run's own time, as of the turn that was asked last.
    pub now: Timestamp,
    /// Of the document as read or written last; none before the first save.
    pub etag: Option<String>,
    /// The document still has the expiry of a first one.
    pub expires: bool,
    /// When it was read or begun, the catalog had nothing of this run.
    pub unheard: bool,
    /// Nobody could say whether the catalog knows the run, and its document may still have the expiry of a first one.
    pub unsure: bool,
    /// Bytes of each event in the tail.
    pub sizes: Vec<usize>,
    /// Of the snapshot: what its head lists.
    pub pages: Vec<Page>,
    /// What stands in lists of pages, at any level.
    pub listed: Vec<Page>,
    /// Archived items that stand in pages.
    pub paged: usize,
    /// Contents seen lately.
    pub values: Values,
}

/// The reminder as it was registered last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Armed {
    pub due: Timestamp,
    pub often: bool,
}

/// An attempt that somebody works on.
#[derive(Debug, Clone)]
pub struct InFlight {
    /// In steady time, as what follows.
    pub since: Timestamp,
    /// When its task was published last; 0 if that failed.
    pub published: Arc<AtomicI64>,
    /// An agent of ours works on it.
    pub agent: bool,
}

impl Actor {
    /// Whether an attempt is performed in this process, not by an agent: its task was never published.
    pub fn performs_here(&self) -> bool {
        self.in_flight.values().any(|attempt| attempt.published.load(Ordering::Acquire) == 0)
    }
}

impl Mem {
    pub fn new(run: &str) -> Self {
        Self { unheard: true, ..Self::of(Document::empty(), Run::new(run), None) }
    }

    pub fn of(doc: Document, run: Run, etag: Option<String>) -> Self {
        let sizes = doc.tail.iter().map(|kept| kept.json().len()).collect();
        Self {
            doc,
            run,
            now: Timestamp::default(),
            etag,
            expires: false,
            unheard: false,
            unsure: false,
            sizes,
            pages: Vec::new(),
            listed: Vec::new(),
            paged: 0,
            values: Values::default(),
        }
    }
}
