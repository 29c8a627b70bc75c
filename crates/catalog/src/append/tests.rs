//! Every row of the table: a history of a length, an append to it, what comes of it.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::suite::{self, entries, hash};

fn batch(run: &str, first_seq: u64, n: u64, fork: &str) -> Append {
    suite::batch(&run.parse().unwrap(), first_seq, n, fork)
}

/// The end of a made-up history that goes the way of `a`.
fn end(seq: u64) -> End {
    End { seq, hash: hash(seq, "a") }
}

/// What `place` says after it was shown what it asked for.
fn placed(seq: u64, append: &Append) -> Place<'_> {
    let recorded: Vec<_> =
        overlap(end(seq), append).into_iter().flatten().map(|n| (n, hash(n, "a"))).collect();
    place(end(seq), &recorded, append)
}

#[test]
fn an_append_finds_its_place() {
    let wrong_start = |first, n| Append { prev_hash: hash(9, "b"), ..batch("r", first, n, "a") };
    let news = |from, n| Ok(entries(from, n, "a"));
    #[rustfmt::skip]
    let table = [
        // The history's length, the append, the entries that are new or what it is otherwise.
        // It continues the history.
        (0, batch("r", 1, 2, "a"), news(1, 2)),
        (3, batch("r", 4, 2, "a"), news(4, 2)),
        // It overlaps: what is there is left out.
        (3, batch("r", 1, 5, "a"), news(4, 2)),
        (3, batch("r", 2, 3, "a"), news(4, 1)),
        (3, batch("r", 3, 2, "a"), news(4, 1)),
        // It is there already.
        (3, batch("r", 1, 3, "a"), Err(Place::Known)),
        (3, batch("r", 3, 1, "a"), Err(Place::Known)),
        (3, batch("r", 4, 0, "a"), Err(Place::Known)),
        (3, batch("r", 1, 2, "a"), Err(Place::Behind)),
        (3, batch("r", 2, 1, "a"), Err(Place::Behind)),
        (3, batch("r", 3, 0, "a"), Err(Place::Behind)),
        (3, batch("r", 1, 0, "a"), Err(Place::Behind)),
        // There is no run.
        (0, batch("r", 1, 0, "a"), Err(Place::Nothing)),
        // Another entry is there: before the first one, at the first one, further on.
        (3, batch("r", 4, 1, "b"), Err(Place::Conflict)),
        (3, batch("r", 4, 0, "b"), Err(Place::Conflict)),
        (3, batch("r", 2, 0, "b"), Err(Place::Conflict)),
        (3, batch("r", 2, 1, "b"), Err(Place::Conflict)),
        (3, batch("r", 1, 1, "b"), Err(Place::Conflict)),
        (3, batch("r", 1, 5, "b"), Err(Place::Conflict)),
        (3, forked_at(2), Err(Place::Conflict)),
        (3, forked_at(3), Err(Place::Conflict)),
        // It does not begin where histories begin.
        (0, wrong_start(1, 1), Err(Place::Conflict)),
        (0, wrong_start(1, 0), Err(Place::Conflict)),
        (3, wrong_start(1, 3), Err(Place::Conflict)),
        (3, wrong_start(1, 0), Err(Place::Conflict)),
        // Entries are missing before it, whatever hash it expects there.
        (0, batch("r", 2, 1, "a"), Err(Place::Gap { last: 0 })),
        (0, batch("r", 2, 0, "a"), Err(Place::Gap { last: 0 })),
        (3, batch("r", 5, 1, "a"), Err(Place::Gap { last: 3 })),
        (3, batch("r", 5, 1, "b"), Err(Place::Gap { last: 3 })),
        (3, batch("r", 5, 0, "a"), Err(Place::Gap { last: 3 })),
        // Its entries are not numbered in order, or by numbers no database has.
        (3, misnumbered(), Err(Place::Conflict)),
        (0, Append { first_seq: 0, entries: Vec::new(), ..batch("r", 1, 0, "a") }, Err(Place::Conflict)),
        (3, Append { first_seq: u64::MAX, ..batch("r", 4, 0, "a") }, Err(Place::Conflict)),
    ];
    for (seq, append, expected) in table {
        let new;
        let expected = match expected {
            Ok(entries) => {
                new = entries;
                Place::New(&new)
            }
            Err(place) => place,
        };
        let shown =
            format!("{} entries from {} to a history of {seq}", append.entries.len(), append.first_seq);
        assert_eq!(placed(seq, &append), expected, "{shown}");
    }
}

/// Entries 1 to 4, of which one has another hash.
fn forked_at(seq: usize) -> Append {
    let mut append = batch("r", 1, 4, "a");
    append.entries[seq - 1].hash = hash(9, "b");
    append
}

fn misnumbered() -> Append {
    let mut append = batch("r", 4, 2, "a");
    append.entries.swap(0, 1);
    append
}

#[test]
fn a_history_with_a_hole_is_not_continued() {
    let append = batch("r", 2, 4, "a");
    let whole = [1, 2, 3].map(|seq| (seq, hash(seq, "a")));
    assert_eq!(place(end(3), &whole, &append), Place::New(&entries(4, 2, "a")));
    for missing in 0..3 {
        let mut recorded = whole.to_vec();
        recorded.remove(missing);
        assert_eq!(place(end(3), &recorded, &append), Place::Conflict, "without {}", missing + 1);
    }
}

#[test]
fn only_what_overlaps_is_asked_for() {
    let asked = |seq, append: Append| overlap(end(seq), &append);
    assert_eq!(asked(3, batch("r", 4, 2, "a")), None, "it continues the history");
    assert_eq!(asked(0, batch("r", 1, 2, "a")), None);
    assert_eq!(asked(3, batch("r", 5, 2, "a")), None, "there is a gap");
    assert_eq!(asked(3, batch("r", 1, 0, "a")), None, "it names nothing");
    assert_eq!(asked(3, batch("r", 1, 9, "a")), Some(1..=3));
    assert_eq!(asked(9, batch("r", 1, 3, "a")), Some(1..=3));
    assert_eq!(asked(9, batch("r", 4, 2, "a")), Some(3..=5), "with the entry before");
    assert_eq!(asked(3, batch("r", 4, 2, "b")), Some(3..=3), "another end is expected");
}

#[test]
fn only_what_plainly_continues_is_taken_at_its_word() {
    let table = [
        (Some(end(3)), batch("r", 4, 1, "a"), true),
        (Some(end(3)), batch("r", 4, 0, "a"), true),
        (Some(end(3)), batch("r", 3, 2, "a"), false),
        (Some(end(3)), batch("r", 4, 1, "b"), false),
        (Some(end(3)), batch("r", 5, 1, "a"), false),
        (None, batch("r", 1, 1, "a"), true),
        (None, batch("r", 1, 0, "a"), false),
        (None, batch("r", 2, 1, "a"), false),
        (None, Append { prev_hash: hash(9, "b"), ..batch("r", 1, 1, "a") }, false),
    ];
    for (known, append, expected) in table {
        let shown = format!("{} entries from {} after {known:?}", append.entries.len(), append.first_seq);
        assert_eq!(continues(known, &append), expected, "{shown}");
    }
}
