//! Ids: what may be one, and what is made of it.
//!
//! A text is made an id where it comes in, once; inside, an id is what it says and is not looked at again. An id's text
//! is what is written, recorded and shown: `Display`, `FromStr` and serde know nothing else. Only `RunId` knows how a run's
//! text is made of its project and its name.

mod agent;
mod named;
mod project;
mod run;

pub use agent::AgentId;
pub use named::{KeyId, OperationId, TriggerId, WorkflowId};
pub use project::ProjectId;
pub use run::RunId;

/// Returns whether `text` can be the id of a node: 1 to 64 of `A-Z a-z 0-9 _ -`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && is_word(text)
}

/// Whether `text` consists of `A-Z a-z 0-9 _ -`, of one at least.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A text that can't be such an id. It does not repeat the text, which may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {form}")]
pub struct NoId {
    what: &'static str,
    form: &'static str,
}

/// What an id is to everybody else: its text.
macro_rules! text {
    ($id:ident) => {
        impl std::fmt::Display for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::fmt::Debug for $id {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.as_str(), f)
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl serde::Serialize for $id {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl schemars::JsonSchema for $id {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($id).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                String::json_schema(generator)
            }
        }
    };
}

/// What is checked as it is read.
macro_rules! checked {
    ($id:ident) => {
        impl<'de> serde::Deserialize<'de> for $id {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

use {checked, text};

#[cfg(test)]
mod tests;
