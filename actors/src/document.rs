//! A run's document: the commit point. Header, reference to a snapshot, and the tail of events since.
//!
//! Unjournaled events always stay in the tail. A tail that grows too long is folded into a snapshot of parts: a head
//! written anew, and pages of finished work written once.

use callboard_core::{
    Hash,
    workflow::{Event, run::Archived, snapshot::Head},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Version of the encoding.
const VERSION: u8 = 1;
/// What formats after the first begin with; their version follows. No MessagePack begins with 0xC1, so version 1, which has
/// nothing before its array, is told from them, and so is whatever is damaged.
pub const MAGIC: [u8; 4] = [0xC1, b'C', b'B', b'D'];
/// A tail longer than this (bytes) is folded into a snapshot.
pub const TAIL_LIMIT: usize = 4 << 10;
/// The archive's rest moves into a page of its own when it passes this (bytes).
pub const PAGE_SIZE: usize = 2 << 10;
/// So many pages of a level become one list in the level above, so that a head does not grow with the archive.
pub const PAGES: usize = 8;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    v: u8,
    /// Seq of the last event.
    pub seq: u64,
    pub hash: Hash,
    pub snapshot: Option<Snapshot>,
    /// Seq of the first event in `tail`.
    pub tail_from: u64,
    /// Hash of the event before the tail.
    pub base_hash: Hash,
    pub tail: Vec<(Event, Hash)>,
    /// Up to which seq the events were published.
    pub published: u64,
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

/// The head part of a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeadPart {
    pub head: Head,
    /// The archive's pages, oldest first; of a long archive most stand in lists of pages.
    pub pages: Vec<Page>,
    /// Archived items that are in no page yet.
    pub rest: Vec<Archived>,
}

/// A part that is written once: archived items, or a list of such parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub key: String,
    pub size: u64,
    /// Archived items in it, and in whatever it lists.
    pub items: u64,
    /// 0: archived items; else a list of pages of the level below.
    pub level: u8,
}

/// What was stored can't be read: a newer version wrote it, or it is damaged.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("it was written by a newer version ({0})")]
    Newer(u8),
    #[error("{0}")]
    Damaged(String),
}

/// Returns how many pages at the end are to become a list: all of one level, and enough of them.
pub fn foldable(pages: &[Page]) -> Option<usize> {
    let level = pages.last()?.level;
    let same = pages.iter().rev().take_while(|page| page.level == level).count();
    (same >= PAGES).then_some(same)
}

// === impl Document ===

impl Document {
    pub fn empty() -> Self {
        Self {
            v: VERSION,
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

    /// Appends an event and returns its JSON, which is what the hash covers and the catalog keeps.
    pub fn push(&mut self, event: Event) -> String {
        let json = encode_event(&event);
        self.hash = next_hash(self.hash, &json);
        self.seq += 1;
        self.tail.push((event, self.hash));
        json
    }

    /// Returns the hash at `seq`, if it stands in this document.
    pub fn hash_at(&self, seq: u64) -> Option<Hash> {
        if seq + 1 == self.tail_from {
            return Some(self.base_hash);
        }
        let index = seq.checked_sub(self.tail_from)?;
        self.tail.get(usize::try_from(index).ok()?).map(|(_, hash)| *hash)
    }

    /// Returns the events after `seq`, numbered.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = (u64, &Event, Hash)> {
        let from = self.tail_from;
        self.tail
            .iter()
            .zip(from..)
            .filter(move |(_, n)| *n > seq)
            .map(|((event, hash), n)| (n, event, *hash))
    }

    /// Drops the tail's events up to `seq`, which a snapshot includes and the catalog has.
    pub fn drop_until(&mut self, seq: u64) {
        let n = usize::try_from((seq + 1).saturating_sub(self.tail_from)).unwrap_or(0).min(self.tail.len());
        if let Some((_, hash)) = n.checked_sub(1).and_then(|i| self.tail.get(i)) {
            self.base_hash = *hash;
            self.tail_from += n as u64;
            self.tail.drain(..n);
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, Unreadable> {
        match versioned(bytes) {
            // A flipped bit may make another version of ours: what its hashes prove to be version 1 is damaged.
            Err(Unreadable::Newer(v)) if Self::is_of_ours(bytes) => {
                Err(Unreadable::Damaged(format!("its version {v} is not that of its content")))
            }
            read @ (Ok(_) | Err(Unreadable::Newer(_) | Unreadable::Damaged(_))) => read,
        }
    }

    /// Whether the content behind a wrong version is that of version 1, chained by its hashes.
    fn is_of_ours(bytes: &[u8]) -> bool {
        let Ok(head) = elements(bytes) else { return false };
        let mut ours = bytes.to_vec();
        if let Some(v) = ours.get_mut(head) {
            *v = VERSION;
        }
        let Ok(doc) = decode::<Self>(&ours) else { return false };
        let end = doc.tail.iter().try_fold(doc.base_hash, |before, (event, hash)| {
            (next_hash(before, &encode_event(event)) == *hash).then_some(*hash)
        });
        !doc.tail.is_empty() && end == Some(doc.hash)
    }
}

/// Reads a document whose first element is its version: ours, a newer one's, or neither.
pub fn versioned<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let damaged = |why: &str| Err(Unreadable::Damaged(why.to_owned()));
    if let Some(rest) = bytes.strip_prefix(&MAGIC) {
        return match rest.first() {
            Some(v) if *v > VERSION => Err(Unreadable::Newer(*v)),
            Some(v) => damaged(&format!("version {v} has no magic number")),
            None => damaged("it ends before its version"),
        };
    }
    let head = elements(bytes)?;
    match bytes.get(head) {
        Some(&VERSION) => decode(bytes),
        Some(v) if (VERSION + 1..0x80).contains(v) => Err(Unreadable::Newer(*v)),
        Some(_) => damaged("it does not begin with a version"),
        None => damaged("it ends before its version"),
    }
}

/// Returns where the elements of a MessagePack array begin.
fn elements(bytes: &[u8]) -> Result<usize, Unreadable> {
    match bytes {
        [0x91..=0x9f, ..] => Ok(1),
        [0xdc, _, _, ..] => Ok(3),
        [] => Err(Unreadable::Damaged("it is empty".to_owned())),
        _ => Err(Unreadable::Damaged("it is no document".to_owned())),
    }
}

/// Returns an event as the catalog keeps it.
pub fn encode_event(event: &Event) -> String {
    serde_json::to_string(event).expect("events have only string keys")
}

pub fn next_hash(previous: Hash, json: &str) -> Hash {
    Hash::chain(&[&previous.0, json.as_bytes()])
}

pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("documents have no type that MessagePack lacks")
}

pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    rmp_serde::from_slice(bytes).map_err(|e| Unreadable::Damaged(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::{
        Datum, Timestamp,
        workflow::{StepKey, What},
    };

    fn event(n: i64) -> Event {
        let step = StepKey::new(1, "a", "3.17");
        let output = Datum::inline(serde_json::json!({"x": 0.1, "big": u64::MAX, "list": [null, "é"]}));
        let what = What::StepCompleted {
            step,
            attempt: 1,
            output,
            branch: None,
            usage: None,
            error: None,
            op: None,
            signal: None,
        };
        Event { at: Timestamp(n), what }
    }

    #[test]
    fn a_document_reads_as_it_was_written_and_its_events_hash_the_same() {
        let mut doc = Document::empty();
        let json = doc.push(event(1));
        doc.push(event(2));
        let read = Document::decode(&doc.encode()).expect("readable");
        assert_eq!(read, doc);
        assert_eq!(encode_event(&read.tail[0].0), json);
        assert_eq!(next_hash(Hash::default(), &json), read.hash_at(1).expect("a hash"));
        let from_json: Event = serde_json::from_str(&json).expect("readable");
        assert_eq!(encode_event(&from_json), json);
    }

    #[test]
    fn dropping_the_tail_keeps_the_chain() {
        let mut doc = Document::empty();
        for n in 0..5 {
            doc.push(event(n));
        }
        let (third, last) = (doc.hash_at(3), doc.hash);
        doc.drop_until(3);
        assert_eq!((doc.tail_from, doc.tail.len()), (4, 2));
        assert_eq!((doc.hash_at(3), doc.hash_at(2), doc.hash_at(5)), (third, None, Some(last)));
        doc.drop_until(9);
        assert_eq!((doc.tail_from, doc.hash_at(5)), (6, Some(last)));
    }

    #[test]
    fn a_newer_document_is_told_from_a_damaged_one() {
        let mut bytes = Document::empty().encode();
        bytes[1] = 2;
        assert!(matches!(Document::decode(&bytes), Err(Unreadable::Newer(2))));
        assert!(matches!(Document::decode(b"\xff\xff"), Err(Unreadable::Damaged(_))));
    }

    fn lived() -> Document {
        let mut doc = Document::empty();
        (0..6).for_each(|n| drop(doc.push(event(n))));
        doc.snapshot = Some(Snapshot { key: "t.0".into(), size: 900, seq: 2 });
        doc.published = 4;
        doc.drop_until(2);
        doc
    }

    #[test]
    fn what_has_our_magic_and_a_later_version_is_newer_whatever_follows() {
        for v in 2..=255 {
            for rest in [&b""[..], b"\x98\x01", b"{}", &[0; 40]] {
                let bytes = [&MAGIC[..], &[v], rest].concat();
                assert!(matches!(Document::decode(&bytes), Err(Unreadable::Newer(n)) if n == v), "{v}");
            }
        }
        // An array that says its version, as ours would.
        for bytes in [&b"\x98\x02rest"[..], b"\x99\x05", b"\xdc\x00\x10\x7f", b"\x93\x02"] {
            assert!(matches!(Document::decode(bytes), Err(Unreadable::Newer(_))), "{bytes:?}");
        }
    }

    #[test]
    fn rubbish_is_damaged_and_not_newer() {
        let texts = [
            "",
            "1",
            "{}",
            "[]",
            "null",
            "\"rubbish\"",
            "rubbish",
            "[2,3]",
            "<html>",
            "\u{feff}{}",
            "CCBD\x02",
        ];
        let mut rubbish: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
        rubbish.extend([
            vec![0; 64],
            vec![0xff; 64],
            vec![0xc1],
            MAGIC.to_vec(),
            [&MAGIC[..], &[0]].concat(),
            [&MAGIC[..], &[1]].concat(),
            [&MAGIC[..3], &[2, 2]].concat(),
            b"\x98".to_vec(),
            b"\x98\x00".to_vec(),
            b"\x98\x01\xdd\xff\xff\xff\xff".to_vec(),
            b"\x98\x01\x01\x01\x01\x01\x01\x01\x01".to_vec(),
            b"\x91\x01".to_vec(),
            b"\xdc\x00".to_vec(),
            [&b"\x98\x01"[..], &[0x91; 100_000]].concat(),
            lived().encode().repeat(2)[1..].to_vec(),
            format!("{:?}", lived().encode()).into_bytes(),
        ]);
        // Every two bytes there can be.
        rubbish.extend((0..=u16::MAX).map(|n| n.to_be_bytes().to_vec()));
        for bytes in rubbish {
            let told = Document::decode(&bytes);
            let is_array = matches!(bytes.as_slice(), [0x91..=0x9f, 2..0x80]);
            assert_eq!(
                matches!(told, Err(Unreadable::Newer(_))),
                is_array,
                "{:?}",
                &bytes[..bytes.len().min(9)]
            );
            assert!(told.is_err());
        }
    }

    #[test]
    fn a_cut_document_and_one_with_a_flipped_bit_read_or_are_damaged() {
        let bytes = lived().encode();
        for end in 0..bytes.len() {
            assert!(matches!(Document::decode(&bytes[..end]), Err(Unreadable::Damaged(_))), "cut at {end}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let told = Document::decode(&flipped);
            assert!(!matches!(told, Err(Unreadable::Newer(_))), "bit {bit}");
        }
    }
}
