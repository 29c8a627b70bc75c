//! Data inside events: small values stand in the event, larger ones under a key of their own with their hash.
//!
//! The machine makes `Datum::Inline`; the shell moves what is larger than `INLINE_LIMIT` out before it hashes and
//! applies an event, and brings contents back through `Values` when the machine says they are `Missing`.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Values up to this many bytes of JSON stand in the event itself.
pub const INLINE_LIMIT: usize = 1024;
/// No single value may be larger (bytes of JSON).
pub const VALUE_LIMIT: usize = 16 << 20;

/// The first 128 bits of a BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash(pub [u8; 16]);

/// Names a stored value: the key's suffix inside its run, its content hash and its size.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ValueRef {
    /// `<turn>.<n>`: write-once, named by the turn that wrote it.
    pub key: String,
    /// Of the value as it was written. What does not match it counts as missing.
    pub hash: Hash,
    /// Bytes of JSON.
    pub size: u64,
}

/// A piece of data in an event or in the state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Datum {
    /// The value itself, at most `INLINE_LIMIT` bytes once it is recorded.
    #[serde(rename = "v")]
    Inline(Arc<Value>),
    #[serde(rename = "ref")]
    Stored(ValueRef),
}

/// The contents the shell has loaded for this decision, by key.
#[derive(Debug, Clone, Default)]
pub struct Values {
    contents: BTreeMap<String, Arc<Value>>,
    /// Bytes of JSON.
    size: usize,
}

/// Stored values that a decision must see first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Missing(pub Vec<ValueRef>);

// === impl Hash ===

impl Hash {
    /// Hashes one piece. The same as `chain` of it.
    pub fn of(bytes: &[u8]) -> Self {
        Self::chain(&[bytes])
    }

    /// Hashes several pieces. Each is preceded by its length, so `["ab", "c"]` and `["a", "bc"]` differ.
    pub fn chain(parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        let mut out = [0; 16];
        out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(out)
    }

    /// Reads 32 hexadecimal digits.
    pub fn parse(hex: &str) -> Option<Self> {
        let mut out = [0; 16];
        // `from_str_radix` takes a sign, and a hash has one text.
        if hex.len() != 32 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        for (i, byte) in out.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * i..2 * i + 2)?, 16).ok()?;
        }
        Some(Self(out))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Hash {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        // Documents are binary and keep 16 bytes; everything that people read has the digits.
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Hash;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a 128-bit hash")
            }
            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<Hash, E> {
                Hash::parse(v).ok_or_else(|| E::custom("not a hash"))
            }
            fn visit_bytes<E: serde::de::Error>(self, v: &[u8]) -> Result<Hash, E> {
                v.try_into().map(Hash).map_err(|_| E::custom("not a hash"))
            }
        }
        if d.is_human_readable() { d.deserialize_str(Visitor) } else { d.deserialize_bytes(Visitor) }
    }
}

// === impl Datum ===

impl Datum {
    /// Returns a piece of data that stands in the event itself.
    pub fn inline(value: impl Into<Value>) -> Self {
        Datum::Inline(Arc::new(value.into()))
    }

    /// Returns `null`, for what has no data.
    pub fn null() -> Self {
        Self::inline(Value::Null)
    }

    /// Returns the reference of a stored value.
    pub fn reference(&self) -> Option<&ValueRef> {
        match self {
            Datum::Inline(_) => None,
            Datum::Stored(r) => Some(r),
        }
    }
}

// === impl Values ===

impl Values {
    /// Keeps the content of the stored value with this key.
    pub fn insert(&mut self, key: String, value: Arc<Value>) {
        self.size += json_len(&value);
        if let Some(old) = self.contents.insert(key, value) {
            self.size -= json_len(&old);
        }
    }

    /// Whether the content of this key is here.
    pub fn contains(&self, key: &str) -> bool {
        self.contents.contains_key(key)
    }

    /// Forgets everything once it is more than `limit` bytes: it can be loaded again.
    pub fn forget_over(&mut self, limit: usize) {
        if self.size > limit {
            *self = Self::default();
        }
    }

    /// Returns the content of `datum`, or names it as missing.
    pub fn get(&self, datum: &Datum) -> Result<Arc<Value>, Missing> {
        match datum {
            Datum::Inline(value) => Ok(value.clone()),
            Datum::Stored(r) => self.contents.get(&r.key).cloned().ok_or_else(|| Missing(vec![r.clone()])),
        }
    }
}

/// Returns the length of `value` as compact JSON without building the text.
pub fn json_len(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0 += buf.len();
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A `Value` has only string keys, so it always serializes.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}
