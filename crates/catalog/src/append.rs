//! The rules of appending, the same for every database: what is there must agree, what is new must continue it.
//!
//! They are pure. The database says where a history ends and which hashes it has where an append `overlap`s it;
//! `place` says what of the append is to be written.

use crate::{Append, Entry, NO_HASH};
use callboard_core::Hash;
use std::{cmp::Ordering, ops::RangeInclusive};

/// Where a history ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// Seq of the last entry, 0 before the first.
    pub seq: u64,
    /// Hash of the last entry, `NO_HASH` before the first.
    pub hash: Hash,
}

/// What an append is to a history.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// These entries follow the history's end, and the others are there. Entries, values and row are written.
    New(&'a [Entry]),
    /// All entries are there and the last one is the history's end. Values and row are written.
    Known,
    /// All entries are there and the history has gone on. Values are written, the row says what is past.
    Behind,
    /// Neither a history nor entries, so there is no run. Nothing is written.
    Nothing,
    /// The history has another entry at one of these places, or the entries are not numbered in order.
    Conflict,
    /// Entries are missing between the history's end, `last`, and the first of these.
    Gap { last: u64 },
}

/// Returns the seqs whose recorded hashes `place` must see; nothing if it needs none.
pub(crate) fn overlap(end: End, append: &Append) -> Option<RangeInclusive<u64>> {
    let base = End::expected_by(append);
    let seqs = base.seq.max(1)..=append.last_seq().min(end.seq);
    (base != end && !seqs.is_empty()).then_some(seqs)
}

/// Says what an append is to a history that ends at `end`, which has the `recorded` hashes at the seqs of `overlap`.
///
/// A recorded hash that is missing is a conflict: the history has a hole, and must not be continued.
pub(crate) fn place<'a>(end: End, recorded: &[(u64, Hash)], append: &'a Append) -> Place<'a> {
    let base = End::expected_by(append);
    if !append.is_well_formed() {
        return Place::Conflict;
    }
    if base.seq > end.seq {
        return Place::Gap { last: end.seq };
    }
    if base != end && !agrees(end, recorded, append) {
        return Place::Conflict;
    }
    match append.last_seq().cmp(&end.seq) {
        Ordering::Greater => {
            let old = usize::try_from(end.seq - base.seq).unwrap_or(usize::MAX);
            Place::New(append.entries.get(old..).unwrap_or_default())
        }
        Ordering::Equal if end == End::START => Place::Nothing,
        Ordering::Equal => Place::Known,
        Ordering::Less => Place::Behind,
    }
}

/// Whether an append plainly continues what is remembered of its run, so that nothing has to be read before it.
///
/// Of a run that nothing is remembered of, an append from the start is taken at its word: if there is a history
/// already, its unique key refuses the entries, and the database is asked.
pub(crate) fn continues(remembered: Option<End>, append: &Append) -> bool {
    let base = End::expected_by(append);
    remembered.map_or(base == End::START && !append.entries.is_empty(), |end| end == base)
}

/// Whether the hashes of the overlap are those that the append names.
fn agrees(end: End, recorded: &[(u64, Hash)], append: &Append) -> bool {
    let base = End::expected_by(append);
    if base.seq == 0 && base.hash != NO_HASH {
        return false;
    }
    let before = (base.seq > 0).then_some((base.seq, base.hash));
    let entries = append.entries.iter().map(|entry| (entry.seq, entry.hash));
    recorded.iter().copied().eq(before.into_iter().chain(entries.take_while(|(seq, _)| *seq <= end.seq)))
}

// === impl End ===

impl End {
    /// Before the first entry.
    pub const START: End = End { seq: 0, hash: NO_HASH };

    /// Returns where the history ends if the whole append is new.
    pub fn expected_by(append: &Append) -> Self {
        Self { seq: append.first_seq.saturating_sub(1), hash: append.prev_hash }
    }

    /// Returns where the history ends after an entry.
    pub fn after(entry: &Entry) -> Self {
        Self { seq: entry.seq, hash: entry.hash }
    }
}

#[cfg(test)]
mod tests;
