//! A run as the catalog sees it: numbered entries, a projection row, the end of the history.

use crate::Asking;
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{RunId, WorkflowId},
};
use std::collections::BTreeSet;

/// What one turn journals: entries that continue the history, the values they name, and what they make of the run.
#[derive(Debug, Clone)]
pub struct Append {
    /// The run's id.
    pub run: RunId,
    /// Seq of the first entry, from 1; without entries, the seq the next one would have.
    pub first_seq: u64,
    /// Hash of the entry before the first one; `NO_HASH` for the first.
    pub prev_hash: Hash,
    /// Numbered from `first_seq` without a hole.
    pub entries: Vec<Entry>,
    /// Write-once: a key that is there already keeps its content.
    pub values: Vec<(String, Bytes)>,
    /// When the sweeper looks at the run again; nothing leaves it as it is (a new run is looked at at once).
    pub next_check_at: Option<Timestamp>,
    /// The run after the last entry. An append whose end is behind the history's changes nothing here: it comes from a
    /// host that was left behind. So does one to a purged run: its row follows what it adds to the history, and the
    /// time of the next look stays.
    pub row: RunProjection,
}

/// One event of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the history, from 1.
    pub seq: u64,
    /// When it happened; never earlier than the entry before.
    pub at: Timestamp,
    /// Over the event and the hash before.
    pub hash: Hash,
    /// JSON.
    pub event: String,
}

/// What lists show of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunProjection {
    /// The stored workflow it runs, if it is one.
    pub workflow_id: Option<WorkflowId>,
    /// The version of that workflow.
    pub version: Option<u32>,
    /// What lists filter by; the catalog takes any text.
    pub status: String,
    /// JSON.
    pub summary: String,
    /// Of what it runs: its words find the run.
    pub name: String,
    /// Why it failed: these words find it, too.
    pub error: Option<String>,
    /// What waits for a person in it.
    pub asks: Vec<Asking>,
    /// What lists are sorted by; never changes.
    pub created_at: Timestamp,
    /// Nothing while it goes on.
    pub ended_at: Option<Timestamp>,
    /// When a cleaned-up run is looked at again for retention; nothing means never.
    pub retain_until: Option<Timestamp>,
    /// The last entry says that the run is being purged.
    pub purging: bool,
}

/// A run's projection as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRow {
    /// The run's id.
    pub id: RunId,
    /// The stored workflow it runs, if it is one.
    pub workflow_id: Option<WorkflowId>,
    /// The version of that workflow.
    pub version: Option<u32>,
    /// JSON.
    pub summary: String,
    /// As the last append said.
    pub status: String,
    /// Seq of the history's last entry.
    pub seq: u64,
    /// When it began.
    pub created_at: Timestamp,
    /// Nothing while it goes on.
    pub ended_at: Option<Timestamp>,
    /// When the sweeper looks at it; nothing means never.
    pub next_check_at: Option<Timestamp>,
    /// The state store no longer has it.
    pub purged: bool,
    /// The run is cleaned up if this equals `seq`.
    pub cleaned_seq: u64,
}

/// What the sweeper has to know of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenRun {
    /// The run's id.
    pub id: RunId,
    /// When the sweeper looks at it; nothing means never.
    pub next_check_at: Option<Timestamp>,
    /// Time of the history's last entry.
    pub last_at: Timestamp,
}

/// The end of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tip {
    /// Seq of the last entry.
    pub seq: u64,
    /// Hash of the last entry.
    pub hash: Hash,
    /// The hash at the seq asked for; nothing if the history is shorter. `NO_HASH` at 0.
    pub hash_at: Option<Hash>,
    /// The state store no longer has the run.
    pub purged: bool,
    /// The last entry says that the run is being purged.
    pub purging: bool,
    /// The run is cleaned up if this equals `seq`.
    pub cleaned_seq: u64,
}

/// Which runs to list; what is left out restricts nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Runs of this stored workflow.
    pub workflow_id: Option<WorkflowId>,
    /// Runs with one of these statuses; none means all. Made for a handful: each is a search of its own.
    pub statuses: BTreeSet<String>,
    /// Created then or later.
    pub from: Option<Timestamp>,
    /// Created before then.
    pub to: Option<Timestamp>,
    /// The oldest first, not the newest.
    pub oldest_first: bool,
}

// === impl Append ===

impl Append {
    /// Returns the seq the history has after this append.
    pub fn last_seq(&self) -> u64 {
        self.first_seq.saturating_add(self.entries.len() as u64).saturating_sub(1)
    }

    /// Returns roughly how much memory the append holds.
    pub(crate) fn size(&self) -> usize {
        let entries: usize = self.entries.iter().map(|e| e.event.len() + 64).sum();
        let values: usize = self.values.iter().map(|(k, v)| k.len() + v.len()).sum();
        let asks: usize = self.row.asks.iter().map(|ask| ask.step.len() + ask.asked.len() + 32).sum();
        self.run.as_str().len() + self.row.summary.len() + asks + entries + values + 256
    }

    /// Whether the entries are numbered from `first_seq` without a hole, and the numbers fit a database.
    pub(crate) fn is_well_formed(&self) -> bool {
        self.first_seq >= 1
            && i64::try_from(self.first_seq.saturating_add(self.entries.len() as u64)).is_ok()
            && self.entries.iter().zip(self.first_seq..).all(|(entry, seq)| entry.seq == seq)
    }
}

// === impl RunRow ===

impl RunRow {
    /// Nothing is left to do for the history as it stands.
    pub fn is_cleaned(&self) -> bool {
        self.cleaned_seq == self.seq
    }
}

// === impl Tip ===

impl Tip {
    /// Nothing is left to do for the history as it stands.
    pub fn is_cleaned(&self) -> bool {
        self.cleaned_seq == self.seq
    }
}
