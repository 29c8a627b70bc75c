//! The bytes of what is stored, and how they say their version.
//!
//! Version 1 has nothing before its MessagePack: a document is an array whose first element is its version, a part says
//! none. Later versions begin with a magic number and their version. A document's map then begins with `v`, the version
//! once more: the two agree, or one of them is damaged.

use super::{Unreadable, Version};
use serde::{Serialize, de::DeserializeOwned};

/// What versions after the first begin with; their number follows. No MessagePack begins with 0xC1, so version 1, which has
/// nothing before its array, is told from them, and so is whatever is damaged.
pub const MAGIC: [u8; 4] = [0xC1, b'C', b'B', b'D'];

const POSITIONAL: u8 = Version::Positional as u8;
const NAMED: u8 = Version::Named as u8;

/// Returns a value's bytes in a version: a document's whose first field is its version, or a part's.
pub fn encode<T: Serialize>(value: &T, version: Version) -> Vec<u8> {
    let written = match version {
        Version::Positional => rmp_serde::to_vec(value),
        Version::Named => {
            let mut bytes = Vec::with_capacity(128);
            bytes.extend(MAGIC);
            bytes.push(NAMED);
            rmp_serde::encode::write_named(&mut bytes, value).map(|()| bytes)
        }
    };
    written.expect("documents have no type that MessagePack lacks")
}

/// Reads a part. One is never of a later version than the document that names it, so what says so is damaged.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    match bytes.strip_prefix(&MAGIC) {
        Some([NAMED, content @ ..]) => read(content),
        Some(_) => damaged("it is of no version that its document can name"),
        None => read(bytes),
    }
}

/// Reads a document whose first field is its version.
pub fn versioned<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    open(bytes).and_then(|(_, content)| read(content))
}

/// Returns a document's version and its MessagePack, unless a newer version wrote it, or nobody did.
pub fn open(bytes: &[u8]) -> Result<(Version, &[u8]), Unreadable> {
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        return match bytes.get(elements(bytes)?) {
            Some(&POSITIONAL) => Ok((Version::Positional, bytes)),
            Some(v) if (POSITIONAL + 1..0x80).contains(v) => Err(Unreadable::Newer(v.to_string())),
            Some(_) => damaged("it does not begin with a version"),
            None => damaged("it ends before its version"),
        };
    };
    let Some((v, content)) = rest.split_first() else { return damaged("it ends before its version") };
    match (*v, inner(content)) {
        (..NAMED, _) => damaged(&format!("version {v} has no magic number")),
        (_, Some(inner)) if inner != *v => damaged(&format!("its version {v} is not that of its content")),
        (NAMED, Some(_)) => Ok((Version::Named, content)),
        (NAMED, None) => damaged("its content does not begin with its version"),
        // Whatever follows, if it does not say the contrary.
        (_, _) => Err(Unreadable::Newer(v.to_string())),
    }
}

/// Returns the version that a document's map begins with.
fn inner(content: &[u8]) -> Option<u8> {
    match content {
        [0x81..=0x8f, 0xa1, b'v', v @ ..0x80, ..] | [0xde, _, _, 0xa1, b'v', v @ ..0x80, ..] => Some(*v),
        _ => None,
    }
}

/// Returns where the elements of a MessagePack array begin.
pub fn elements(bytes: &[u8]) -> Result<usize, Unreadable> {
    match bytes {
        [0x91..=0x9f, ..] => Ok(1),
        [0xdc, _, _, ..] => Ok(3),
        [] => damaged("it is empty"),
        _ => damaged("it is no document"),
    }
}

/// Reads MessagePack, with names or without.
pub fn read<T: DeserializeOwned>(content: &[u8]) -> Result<T, Unreadable> {
    rmp_serde::from_slice(content).map_err(|e| Unreadable::Damaged(e.to_string()))
}

fn damaged<T>(why: &str) -> Result<T, Unreadable> {
    Err(Unreadable::Damaged(why.to_owned()))
}
