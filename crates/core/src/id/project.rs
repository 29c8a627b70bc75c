//! The project that workflows, runs and agents belong to.

use super::{NoId, checked, text};
use std::{
    cmp::Ordering,
    hash::{Hash, Hasher},
    str::FromStr,
    sync::Arc,
};

/// A project's id: a small letter, then up to 31 small letters, digits and `-`. A clone is cheap.
#[derive(Clone)]
pub struct ProjectId(Text);

#[derive(Clone)]
enum Text {
    Known(&'static str),
    Read(Arc<str>),
}

const FORM: NoId = NoId { what: "a project's id", form: "a small letter, then up to 31 of a-z 0-9 -" };

text!(ProjectId);
checked!(ProjectId);

// === impl ProjectId ===

impl ProjectId {
    /// The one that always exists. What belongs to it has the ids that it had before there were projects.
    pub const DEFAULT: Self = Self(Text::Known("default"));

    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }

    /// Returns the key in the state store of a pin, the agents under a hash, and of its further pieces. No run's keys
    /// begin like that: a run's text stands in their braces.
    pub fn pin_key(&self, hash: crate::Hash, piece: usize) -> String {
        let project = if self.is_default() { String::new() } else { format!("{self}.") };
        let piece = if piece == 0 { String::new() } else { format!(".{piece}") };
        format!("pin.{project}{hash}{piece}")
    }

    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Known(text) => text,
            Text::Read(text) => text,
        }
    }
}

impl FromStr for ProjectId {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        if text == Self::DEFAULT.as_str() {
            return Ok(Self::DEFAULT);
        }
        let is_small = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let fits = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(is_small);
        if fits { Ok(Self(Text::Read(text.into()))) } else { Err(FORM) }
    }
}

impl PartialEq for ProjectId {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for ProjectId {}

impl PartialOrd for ProjectId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ProjectId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for ProjectId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}
