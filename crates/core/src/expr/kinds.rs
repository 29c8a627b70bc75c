//! The kinds of values as comparisons and messages see them.

use minijinja::{
    Error, ErrorKind,
    value::{Value, ValueKind},
};
use std::borrow::Cow;

/// Characters of a text that a message shows.
const SHOWN: usize = 40;

/// What can be compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    Null,
    Truth,
    Number,
    Text,
    List,
    Object,
    Other,
}

/// A missing value is an error, as elsewhere; the path is named further up.
pub(super) fn given(value: &Value) -> Result<(), Error> {
    if value.is_undefined() { Err(Error::from(ErrorKind::UndefinedError)) } else { Ok(()) }
}

/// A value as a message shows it.
pub(super) fn shown(value: &Value) -> Cow<'static, str> {
    match Kind::of(value) {
        Kind::Missing => "a missing value".into(),
        Kind::Null => "null".into(),
        Kind::Truth => format!("the truth value {}", value.is_true()).into(),
        Kind::Number => format!("the number {value}").into(),
        Kind::Text => {
            let text = value.as_str().unwrap_or_default();
            let mut short: String = text.chars().take(SHOWN).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            format!("the text {short:?}").into()
        }
        Kind::List => "a list".into(),
        Kind::Object => "an object".into(),
        Kind::Other => "a value that is not data".into(),
    }
}

// === impl Kind ===

impl Kind {
    pub fn of(value: &Value) -> Self {
        match value.kind() {
            ValueKind::Undefined => Self::Missing,
            ValueKind::None => Self::Null,
            ValueKind::Bool => Self::Truth,
            ValueKind::Number => Self::Number,
            ValueKind::String => Self::Text,
            ValueKind::Seq | ValueKind::Iterable => Self::List,
            ValueKind::Map => Self::Object,
            _ => Self::Other,
        }
    }

    /// Whether values of the two kinds can be equal, or are asked for with reason: whether something is null is known.
    pub fn equals(self, other: Self) -> bool {
        self == other
            || self == Self::Null
            || other == Self::Null
            || matches!((self, other), (Self::Truth, Self::Number) | (Self::Number, Self::Truth))
    }

    pub fn has_order(self) -> bool {
        matches!(self, Self::Truth | Self::Number | Self::Text | Self::List)
    }
}
