//! Ids that are their text and nothing else: of workflows, of operations, of keys and of triggers.

use super::{NoId, is_id, text};
use serde::{Deserialize, Deserializer};
use std::{str::FromStr, sync::Arc};

/// A stored workflow, over all its versions: a UUIDv7 where we make it. A clone is cheap.
///
/// What is recorded is read as it is. An id that is asked for is parsed: nothing has another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkflowId(Arc<str>);

/// An operation on a run over its repetitions: the caller's own name of it, or one we made. Whoever takes one from
/// outside bounds it. A clone is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(Arc<str>);

/// A key of the API: what stands before its secret, and what it is called in lists. A clone is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

/// What starts runs by itself: a UUIDv7 where we make it, and a part of a webhook's address. A clone is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerId(Arc<str>);

const FORM: NoId = NoId { what: "a workflow's id", form: "1 to 64 of A-Z a-z 0-9 _ -" };
const KEY: NoId = NoId { what: "a key's id", form: "8 to 32 of a-z 0-9" };
const TRIGGER: NoId = NoId { what: "a trigger's id", form: "1 to 64 of A-Z a-z 0-9 _ -" };

macro_rules! named {
    ($($id:ident)*) => {
        $(
            text!($id);

            impl $id {
                /// Takes a text that is known to be one.
                pub fn new(text: impl Into<Arc<str>>) -> Self {
                    Self(text.into())
                }

                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl<'de> Deserialize<'de> for $id {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    String::deserialize(deserializer).map(Self::new)
                }
            }
        )*
    };
}

named!(WorkflowId OperationId KeyId TriggerId);

/// What no caller's key begins with: a key has no blank.
const UNREPEATED: &str = "once ";

impl OperationId {
    /// Names an operation that its caller has not named, by something that nothing else is named by. It may be sent again
    /// on its way, but nobody asks for it again.
    pub fn unrepeated(unique: impl std::fmt::Display) -> Self {
        Self::new(format!("{UNREPEATED}{unique}"))
    }

    /// Whether nobody asks for it again, so that what it asked need not be remembered.
    pub fn is_unrepeated(&self) -> bool {
        self.as_str().starts_with(UNREPEATED)
    }
}

impl From<&str> for OperationId {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl FromStr for WorkflowId {
    type Err = NoId;

    /// Reads 1 to 64 of `A-Z a-z 0-9 _ -`.
    fn from_str(text: &str) -> Result<Self, NoId> {
        if is_id(text) { Ok(Self::new(text)) } else { Err(FORM) }
    }
}

impl FromStr for TriggerId {
    type Err = NoId;

    /// Reads 1 to 64 of `A-Z a-z 0-9 _ -`.
    fn from_str(text: &str) -> Result<Self, NoId> {
        if is_id(text) { Ok(Self::new(text)) } else { Err(TRIGGER) }
    }
}

impl FromStr for KeyId {
    type Err = NoId;

    /// Reads 8 to 32 of `a-z 0-9`.
    fn from_str(text: &str) -> Result<Self, NoId> {
        let is_one = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        if (8..=32).contains(&text.len()) && text.bytes().all(is_one) {
            Ok(Self::new(text))
        } else {
            Err(KEY)
        }
    }
}
