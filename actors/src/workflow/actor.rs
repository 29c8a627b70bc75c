//! What this process remembers of a run between turns.

use super::{attempts::Attempts, outgoing::Outgoing};
use crate::{
    document::{Document, Page},
    kernel::Reminder,
};
use callboard_core::{
    Timestamp, Values,
    id::RunId,
    workflow::{Run, StepKey},
};
use std::{collections::BTreeSet, sync::Arc};

/// One run's place in this process.
#[derive(Default)]
pub struct Actor {
    /// The state as committed; thrown away after any failed or unknown write.
    pub mem: Option<Mem>,
    /// What is not journaled or not published yet.
    pub outgoing: Arc<Outgoing>,
    /// What this process knows of the run's reminder.
    pub reminder: Reminder,
    /// Who works on which attempts, as far as it began here.
    pub attempts: Attempts,
    /// When a tick last went well, in steady time.
    pub ticked: Option<Timestamp>,
    /// Abandoned attempts whose agents were told.
    pub told: Arc<parking_lot::Mutex<BTreeSet<(StepKey, u32)>>>,
    /// How far the run's own time is ahead of the steady clock, in milliseconds, as of its last event.
    pub ahead: Option<i64>,
}

impl Actor {
    /// Whether the run must stay in this process, with or without its state. An HTTP call is under way here, which
    /// would be made a second time by whoever forgot it; or the run has yet to get its reminder, and nothing else
    /// would call it.
    pub fn is_bound(&self) -> bool {
        self.attempts.are_here() || self.reminder.is_promised()
    }
}

/// A run's state with what it takes to save the next one.
pub struct Mem {
    /// The document as it was saved last, or as the next save will write it.
    pub doc: Document,
    /// The state that it stands for.
    pub run: Run,
    /// The run's own time, as of the turn that was asked last.
    pub now: Timestamp,
    /// What is known of the document in the store.
    pub saved: Saved,
    /// Bytes of each event in the tail.
    pub sizes: Vec<usize>,
    /// Where the state's archive is in the store.
    pub pages: Pages,
    /// Contents seen lately.
    pub values: Values,
}

/// What is known of the document in the store.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// The etag of the document as it was read or written last; `None` before the first save.
    pub etag: Option<String>,
    /// The document still has the expiry of a first save.
    pub expires: bool,
    /// The catalog had nothing of this run when it was read or begun.
    pub unheard: bool,
    /// Nobody could say whether the catalog knows the run, and its document may still have the expiry of a first one.
    pub unsure: bool,
}

/// The pages of a run's archive.
#[derive(Debug, Clone, Default)]
pub struct Pages {
    /// What the snapshot's head lists.
    pub heads: Vec<Page>,
    /// What stands in lists of pages, at any level.
    pub listed: Vec<Page>,
    /// Archived items that stand in pages.
    pub items: usize,
}

impl Pages {
    /// Returns every page, at any level.
    pub fn all(&self) -> impl Iterator<Item = &Page> {
        self.heads.iter().chain(&self.listed)
    }
}

impl Mem {
    /// A run of which there is nothing yet.
    pub fn new(run: &RunId) -> Self {
        let mem = Self::of(Document::empty(), Run::new(run), None);
        Self { saved: Saved { unheard: true, ..mem.saved }, ..mem }
    }

    /// A state that was read, with the etag that its document had.
    pub fn of(doc: Document, run: Run, etag: Option<String>) -> Self {
        let sizes = doc.tail.iter().map(|kept| kept.json().len()).collect();
        Self {
            doc,
            run,
            now: Timestamp::default(),
            saved: Saved { etag, ..Saved::default() },
            sizes,
            pages: Pages::default(),
            values: Values::default(),
        }
    }
}
