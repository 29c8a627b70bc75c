//! A run's document: the commit point. Header, reference to a snapshot, and the tail of events since.
//!
//! Unjournaled events always stay in the tail. A tail that grows too long is folded into a snapshot of parts: a head
//! written anew, and pages of finished work written once.
//!
//! There are two versions of what is stored, and both are read. In the first a field is known by its place; the second
//! gives names, and keeps each event as the text that its hash covers. `version` says which one is written.

pub mod form;
mod named;
pub mod parts;
mod version;

pub use form::{decode, encode, versioned};
pub use parts::{HeadPart, PAGE_SIZE, Page, TAIL_LIMIT, foldable};
pub use version::{Said, Version, version_for};

use callboard_core::{Hash, workflow::Event};
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use std::borrow::Cow;

/// A run's document. Its own form in serde is that of version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    v: Version,
    /// Seq of the last event.
    pub seq: u64,
    pub hash: Hash,
    pub snapshot: Option<Snapshot>,
    /// Seq of the first event in `tail`.
    pub tail_from: u64,
    /// Hash of the event before the tail.
    pub base_hash: Hash,
    pub tail: Vec<Kept>,
    /// Up to which seq the events were published.
    pub published: u64,
}

/// An event of the tail, and the hash that ends with it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "(Event, Hash)")]
pub struct Kept {
    pub event: Event,
    pub hash: Hash,
    /// The text that the hash covers, in a document of version 2: it may say more than `event` does.
    text: Option<Box<str>>,
}

/// Where the state before (or inside) the tail stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Key of the head part, and its size.
    pub key: String,
    pub size: u64,
    /// The events it includes.
    pub seq: u64,
}

/// What was stored can't be read: a newer version wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its version, or the event that this version does not know.
    #[error("it was written by a newer version ({0})")]
    Newer(String),
    #[error("{0}")]
    Damaged(String),
}

// === impl Document ===

impl Document {
    pub fn empty() -> Self {
        Self {
            v: Version::default(),
            seq: 0,
            hash: Hash::default(),
            snapshot: None,
            tail_from: 1,
            base_hash: Hash::default(),
            tail: Vec::new(),
            published: 0,
        }
    }

    /// A document whose whole past stands in a snapshot.
    pub fn at(seq: u64, hash: Hash, snapshot: Option<Snapshot>) -> Self {
        Self { seq, hash, snapshot, tail_from: seq + 1, base_hash: hash, ..Self::empty() }
    }

    /// Returns the version that it, and whatever part is made for it, is written in.
    pub fn version(&self) -> Version {
        self.v
    }

    /// Has it written in `version` from now on, if that is later than its own. It never goes back: what was read in a
    /// version may say what the one before can't.
    pub fn raise(&mut self, version: Version) {
        self.v = self.v.max(version);
    }

    /// Appends an event and returns its JSON, which is what the hash covers and the catalog keeps.
    pub fn push(&mut self, event: Event) -> String {
        let json = encode_event(&event);
        self.hash = next_hash(self.hash, &json);
        self.seq += 1;
        self.raise(version_for(Said::Event(&event)));
        let text = match self.v {
            Version::Positional => None,
            Version::Named => Some(json.as_str().into()),
        };
        self.tail.push(Kept { event, hash: self.hash, text });
        json
    }

    /// Returns the hash at `seq`, if it stands in this document.
    pub fn hash_at(&self, seq: u64) -> Option<Hash> {
        if seq + 1 == self.tail_from {
            return Some(self.base_hash);
        }
        let index = seq.checked_sub(self.tail_from)?;
        self.tail.get(usize::try_from(index).ok()?).map(|kept| kept.hash)
    }

    /// Returns the events after `seq`, numbered.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = (u64, &Kept)> {
        let from = self.tail_from;
        self.tail.iter().zip(from..).filter(move |(_, n)| *n > seq).map(|(kept, n)| (n, kept))
    }

    /// Drops the tail's events up to `seq`, which a snapshot includes and the catalog has.
    pub fn drop_until(&mut self, seq: u64) {
        let n = usize::try_from((seq + 1).saturating_sub(self.tail_from)).unwrap_or(0).min(self.tail.len());
        if let Some(last) = n.checked_sub(1).and_then(|i| self.tail.get(i)) {
            self.base_hash = last.hash;
            self.tail_from += n as u64;
            self.tail.drain(..n);
        }
    }

    /// Returns the bytes to store, in the document's version.
    pub fn encode(&self) -> Vec<u8> {
        match self.v {
            Version::Positional => encode(self, self.v),
            Version::Named => named::encode(self),
        }
    }

    /// Reads a document of either version.
    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match form::open(bytes) {
            Ok((Version::Positional, content)) => form::read(content),
            Ok((Version::Named, content)) => named::read(content),
            // A flipped bit may make another version of ours: what its hashes prove to be version 1 is damaged.
            Err(Unreadable::Newer(v)) if Self::is_of_ours(bytes) => {
                Err(Unreadable::Damaged(format!("its version {v} is not that of its content")))
            }
            Err(error @ (Unreadable::Newer(_) | Unreadable::Damaged(_))) => Err(error),
        }
    }

    /// Whether the content behind a wrong version is that of version 1, chained by its hashes.
    fn is_of_ours(bytes: &[u8]) -> bool {
        let Ok(head) = form::elements(bytes) else { return false };
        let mut ours = bytes.to_vec();
        if let Some(v) = ours.get_mut(head) {
            *v = Version::Positional.into();
        }
        let Ok(doc) = form::read::<Self>(&ours) else { return false };
        let end = doc.tail.iter().try_fold(doc.base_hash, |before, kept| {
            (next_hash(before, &kept.json()) == kept.hash).then_some(kept.hash)
        });
        !doc.tail.is_empty() && end == Some(doc.hash)
    }
}

// === impl Kept ===

impl Kept {
    /// Returns the event as the catalog keeps it.
    pub fn json(&self) -> Cow<'_, str> {
        match &self.text {
            Some(text) => Cow::Borrowed(text),
            None => Cow::Owned(encode_event(&self.event)),
        }
    }
}

impl From<(Event, Hash)> for Kept {
    fn from((event, hash): (Event, Hash)) -> Self {
        Self { event, hash, text: None }
    }
}

/// By its place: the event, then the hash.
impl Serialize for Kept {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.event, &self.hash).serialize(serializer)
    }
}

/// Returns an event as the catalog keeps it.
pub fn encode_event(event: &Event) -> String {
    serde_json::to_string(event).expect("events have only string keys")
}

/// Reads an event as the catalog keeps it, of number `seq`. JSON that is none of our events is a newer version's.
pub fn decode_event(seq: u64, json: &str) -> Result<Event, Unreadable> {
    serde_json::from_str(json).map_err(|error| match error.classify() {
        Category::Data => Unreadable::Newer(format!("event {seq}: {error}")),
        Category::Io | Category::Syntax | Category::Eof => {
            Unreadable::Damaged(format!("event {seq}: {error}"))
        }
    })
}

/// Returns the hash of an event's JSON after the hash of the event before.
pub fn next_hash(previous: Hash, json: &str) -> Hash {
    Hash::chain(&[&previous.0, json.as_bytes()])
}

#[cfg(test)]
mod tests;
