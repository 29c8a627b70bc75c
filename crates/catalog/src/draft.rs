//! Drafts and published versions: what is edited, what it is made on, what came of it.

use crate::{Error, NewVersion};
use callboard_core::{Hash, Problem, Timestamp, id::WorkflowId};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Whence a definition is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// Who saved it.
    pub author: Option<String>,
    /// What it is about, in its author's words.
    pub note: Option<String>,
    /// The text it was read from, if that was YAML.
    pub source: Option<String>,
}

/// What a draft is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDraft {
    /// What the change was made on.
    pub expected: Expected,
    /// What people are to call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The document.
    pub definition: Value,
    /// What stands against publishing it.
    pub problems: Vec<Problem>,
    /// The caller's own.
    pub metadata: Map<String, Value>,
    /// Whence it is; a draft has no note.
    pub from: Provenance,
    /// When it is saved.
    pub at: Timestamp,
}

/// What a change of a draft was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// This latest version, whatever the draft.
    Version(u32),
    /// This latest version, and no draft.
    Latest(u32),
    /// This draft.
    Draft(u32),
    /// No draft.
    NoDraft,
}

/// What a list says of a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftMark {
    /// Counts the drafts of a workflow from 1, and is never given again.
    pub revision: u32,
    pub problems: Vec<Problem>,
}

/// What is edited.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub revision: u32,
    /// The version that was the latest when it was begun.
    pub base: u32,
    pub name: String,
    pub description: Option<String>,
    pub definition: Value,
    pub problems: Vec<Problem>,
    pub metadata: Map<String, Value>,
    pub from: Provenance,
    pub updated_at: Timestamp,
}

/// A published version in a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub version: u32,
    pub name: String,
    pub note: Option<String>,
    pub author: Option<String>,
    /// Of what it says: see `callboard_core::workflow::content`.
    pub hash: Hash,
    /// Those of one that was saved before versions had none.
    pub problems: Vec<Problem>,
    pub created_at: Timestamp,
}

/// What people call a workflow, where that is not what its latest version says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Renaming {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The inner nothing is no description.
    #[serde(deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub description: Option<Option<String>>,
}

/// A workflow before a change.
#[derive(Debug)]
pub(crate) struct Current {
    /// The latest one; 0 where there is none.
    pub version: u32,
    /// The largest number that a version ever had.
    pub last: u32,
    /// The revision of the last draft there was.
    pub drafts: u32,
    pub draft: Option<u32>,
    pub renamed: Renaming,
    /// What the latest version itself says.
    pub name: Option<String>,
    pub description: Option<String>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

// === impl Renaming ===

impl Renaming {
    /// Takes over what another one says.
    pub(crate) fn and(self, other: Renaming) -> Self {
        Self { name: other.name.or(self.name), description: other.description.or(self.description) }
    }

    pub(crate) fn applied(self, name: String, description: Option<String>) -> (String, Option<String>) {
        (self.name.unwrap_or(name), self.description.unwrap_or(description))
    }
}

// === impl Current ===

impl Current {
    /// Refuses a change that was made on something else.
    pub fn check(&self, id: &WorkflowId, expected: Expected) -> Result<(), Error> {
        let stale = |what, current| Err(Error::Conflict { what, id: id.to_string(), current });
        match expected {
            Expected::Anything => Ok(()),
            Expected::Version(version) if version == self.version => Ok(()),
            Expected::Version(_) => stale("workflow", Some(self.version)),
            Expected::Latest(version) if version == self.version && self.draft.is_none() => Ok(()),
            Expected::Draft(revision) if self.draft == Some(revision) => Ok(()),
            Expected::NoDraft if self.draft.is_none() => Ok(()),
            Expected::Latest(_) | Expected::Draft(_) | Expected::NoDraft => stale("draft", self.draft),
        }
    }

    /// Refuses a version that was made on something else, or returns its number and what the workflow is called then.
    ///
    /// A definition that is handed in says what it is called. A draft does so where it says something else than the version
    /// before: it may have been begun before somebody renamed the workflow.
    pub fn next(&self, id: &WorkflowId, change: &NewVersion) -> Result<(u32, Renaming), Error> {
        if let Some(expected) = change.expected {
            self.check(id, Expected::Version(expected))?;
        }
        if let Some(revision) = change.publishes {
            self.check(id, Expected::Draft(revision))?;
        }
        let keeps = |same: bool| change.publishes.is_some() && self.version > 0 && same;
        let renamed = self.renamed.clone();
        let name = renamed.name.filter(|_| keeps(self.name.as_ref() == Some(&change.name)));
        let description = renamed.description.filter(|_| keeps(self.description == change.description));
        Ok((self.last.saturating_add(1), Renaming { name, description }))
    }

    /// Refuses to forget a draft that is not the expected one, or all that there is.
    pub fn may_be_discarded(&self, id: &WorkflowId, expected: Expected) -> Result<(), Error> {
        self.check(id, expected)?;
        match self.version {
            0 => Err(Error::Conflict { what: "workflow", id: id.to_string(), current: Some(0) }),
            _ => Ok(()),
        }
    }

    /// Whether the draft goes with a new version: it became one, or was all that there was to see.
    pub fn loses_draft(&self, change: &NewVersion) -> bool {
        self.draft.is_some() && (change.publishes.is_some() || self.version == 0)
    }
}
