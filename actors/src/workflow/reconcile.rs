//! What to do with a run whose document and history may differ. Pure: the shell reads both and does what comes out.
//!
//! The store may have gone back in time, a zombie may have written late, a document may be damaged. The catalog never
//! loses what it has, so the history wins wherever the two say different things.

use crate::{document::Document, mutant::rule};
use callboard_catalog::Tip;
use callboard_core::Hash;

/// What the store has of a run.
#[derive(Debug, Clone, Copy)]
pub enum Stored<'d> {
    Nothing,
    /// Something that no version of ours can have written.
    Damaged,
    Document(&'d Document),
}

/// What the catalog says of the run's history.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'t> {
    /// It does not answer. Where the store can't roll back, a document is enough to go on.
    Away,
    /// The catalog knows no such run.
    Unknown,
    History(&'t Tip),
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There is no such run.
    Unknown,
    /// The document is what the history says, and more.
    Use,
    /// The history has what the document lacks, or something else. The document is built again from it.
    Rebuild,
    /// The run is being purged. It is never repaired: what is left to do is to delete, by the names in the history.
    Purging,
    /// The run was purged; with `came_back` there is something in the store all the same.
    Purged { came_back: bool },
    /// The history ends before the document's oldest event: an operator must look.
    Gap { history: u64, document: u64 },
    /// There is no document that can be read, and no history at hand to build it from.
    Lost,
}

/// Decides what follows from what the store and the catalog have of a run.
pub fn reconcile(stored: Stored<'_>, seen: Seen<'_>) -> Next {
    if let Seen::History(tip) = seen {
        if tip.purged {
            return Next::Purged { came_back: !matches!(stored, Stored::Nothing) };
        }
        if rule!(PurgeAsIs, tip.purging) {
            return Next::Purging;
        }
    }
    match (stored, seen) {
        (Stored::Nothing, Seen::Unknown) => Next::Unknown,
        (Stored::Nothing, Seen::Away) | (Stored::Damaged, Seen::Away | Seen::Unknown) => Next::Lost,
        (Stored::Nothing | Stored::Damaged, Seen::History(_)) => Next::Rebuild,
        (Stored::Document(_), Seen::Away) => Next::Use,
        (Stored::Document(doc), Seen::Unknown) => compare(doc, 0, Hash::default()),
        (Stored::Document(doc), Seen::History(tip)) => compare(doc, tip.seq, tip.hash),
    }
}

/// Compares a document with a history of `seq` events whose last one has `hash`.
fn compare(doc: &Document, seq: u64, hash: Hash) -> Next {
    if doc.seq < seq {
        // The document is older than the history, whatever it says.
        return Next::Rebuild;
    }
    match doc.hash_at(seq) {
        Some(own) if rule!(CompareHash, own != hash) => Next::Rebuild,
        Some(_) => Next::Use,
        // The tail begins after the history ends, so nobody can say whether they agree.
        None => Next::Gap { history: seq, document: doc.tail_from },
    }
}

#[cfg(test)]
mod tests;
