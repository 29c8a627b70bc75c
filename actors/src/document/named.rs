//! A run's document in version 2. Its events are the texts that their hashes cover: what a text says beyond this
//! version stays in it, and the hashes prove whether it is what was written.

use super::{Document, Kept, Snapshot, Unreadable, Version, decode_event, form, next_hash};
use callboard_core::Hash;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `Document`, as it is stored. Fields that a later release adds are ignored.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    v: Version,
    seq: u64,
    hash: Hash,
    snapshot: Cow<'a, Option<Snapshot>>,
    tail_from: u64,
    base_hash: Hash,
    tail: Vec<Cow<'a, str>>,
    published: u64,
}

pub fn encode(doc: &Document) -> Vec<u8> {
    let stored = Stored {
        v: doc.v,
        seq: doc.seq,
        hash: doc.hash,
        snapshot: Cow::Borrowed(&doc.snapshot),
        tail_from: doc.tail_from,
        base_hash: doc.base_hash,
        tail: doc.tail.iter().map(Kept::json).collect(),
        published: doc.published,
    };
    form::encode(&stored, doc.v)
}

/// Reads a document. An event that can't be read although the hashes are right is a newer version's.
pub fn read(content: &[u8]) -> Result<Document, Unreadable> {
    let stored: Stored<'_> = form::read(content)?;
    let mut end = stored.base_hash;
    let texts = stored.tail.into_iter().map(|text| {
        end = next_hash(end, &text);
        (text.into_owned(), end)
    });
    let texts: Vec<(String, Hash)> = texts.collect();
    let next = stored.tail_from.checked_add(texts.len() as u64);
    if end != stored.hash || next.is_none() || next != stored.seq.checked_add(1) {
        return Err(Unreadable::Damaged("its events are not those that its hashes cover".to_owned()));
    }
    if stored.tail_from > 1 && stored.snapshot.is_none() {
        return Err(Unreadable::Damaged("what was before its events is missing".to_owned()));
    }
    let keep = |((text, hash), seq): ((String, Hash), u64)| {
        let event = decode_event(seq, &text)?;
        Ok(Kept { event, hash, text: Some(text.into()) })
    };
    Ok(Document {
        v: stored.v,
        seq: stored.seq,
        hash: stored.hash,
        snapshot: stored.snapshot.into_owned(),
        tail_from: stored.tail_from,
        base_hash: stored.base_hash,
        tail: texts.into_iter().zip(stored.tail_from..).map(keep).collect::<Result<_, Unreadable>>()?,
        published: stored.published,
    })
}
