//! Every row of the table.

use super::*;
use callboard_core::{
    Hash, Timestamp,
    id::OperationId,
    workflow::{Event, What},
};

/// A document whose tail has the events after `from`, up to `to`; `branch` tells two histories apart.
fn document(from: u64, to: u64, branch: &str) -> Document {
    let mut doc = Document::empty();
    for n in 1..=to {
        let op = OperationId::new(if n > 2 { branch } else { "" });
        doc.push(Event { at: Timestamp(n as i64), what: What::RunPaused { op, body: None } });
    }
    doc.drop_until(from);
    doc
}

fn tip(seq: u64, branch: &str) -> Tip {
    let doc = document(0, seq, branch);
    Tip { seq, hash: doc.hash, hash_at: None, purged: false, purging: false, cleaned_seq: 0 }
}

#[test]
fn what_follows_from_a_document_and_a_history() {
    let doc = document(3, 6, "a");
    let (purging, purged) =
        (Tip { purging: true, ..tip(6, "a") }, Tip { purging: true, purged: true, ..tip(6, "a") });
    let (nothing, damaged, document) = (Stored::Nothing, Stored::Damaged, Stored::Document(&doc));
    let fresh = self::document(0, 2, "a");
    let rows: &[(&str, Stored<'_>, Seen<'_>, Next)] = &[
        ("nobody knows it", nothing, Seen::Unknown, Next::Unknown),
        ("nobody can say", nothing, Seen::Away, Next::Lost),
        ("only the history has it", nothing, Seen::History(&tip(4, "a")), Next::Rebuild),
        ("damaged, with a history", damaged, Seen::History(&tip(4, "a")), Next::Rebuild),
        ("damaged, without one", damaged, Seen::Unknown, Next::Lost),
        ("damaged, and nobody can say", damaged, Seen::Away, Next::Lost),
        ("the store alone is trusted", document, Seen::Away, Next::Use),
        ("never journaled", Stored::Document(&fresh), Seen::Unknown, Next::Use),
        ("journaled to its end", document, Seen::History(&tip(6, "a")), Next::Use),
        ("journaled in part", document, Seen::History(&tip(4, "a")), Next::Use),
        ("journaled up to its tail", document, Seen::History(&tip(3, "a")), Next::Use),
        ("the store went back", document, Seen::History(&tip(7, "a")), Next::Rebuild),
        ("another way, same length", document, Seen::History(&tip(6, "b")), Next::Rebuild),
        ("another way, in the tail", document, Seen::History(&tip(4, "b")), Next::Rebuild),
        ("another way, before the tail", document, Seen::History(&tip(3, "b")), Next::Rebuild),
        (
            "the history lacks what left the document",
            document,
            Seen::History(&tip(2, "a")),
            Next::Gap { history: 2, document: 4 },
        ),
        ("no history of what left it", document, Seen::Unknown, Next::Gap { history: 0, document: 4 }),
        ("being purged", document, Seen::History(&purging), Next::Purging),
        ("being purged, document gone", nothing, Seen::History(&purging), Next::Purging),
        ("purged", nothing, Seen::History(&purged), Next::Purged { came_back: false }),
        ("purged, and back", document, Seen::History(&purged), Next::Purged { came_back: true }),
        ("purged, and rubbish back", damaged, Seen::History(&purged), Next::Purged { came_back: true }),
    ];
    for (name, stored, seen, next) in rows {
        assert_eq!(reconcile(*stored, *seen), *next, "{name}");
    }
    assert_eq!(fresh.hash_at(0), Some(Hash::default()), "no events, no hash");
}
