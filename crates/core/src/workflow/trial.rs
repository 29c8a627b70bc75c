//! A run that is tried: some nodes have their outputs given, and only a part of the graph runs.

use super::op::Fingerprint;
use crate::Datum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How a run is tried. Recorded: fields are only ever added, at the end, with a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The run ends behind this node, and nothing runs that does not lead to it.
    pub until: Option<String>,
    /// Nothing runs but this node; what has no output given is skipped.
    pub only: Option<String>,
    /// Ids of the nodes whose outputs are given.
    pub pinned: BTreeSet<String>,
    /// Those outputs, by the id of the node.
    pub outputs: Datum,
    /// What was asked for, so that a repeated start is told from another one.
    pub asked: Fingerprint,
}

/// How a run is tried, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Trial")]
pub struct TrialView {
    /// The node behind which it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// The one node that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<String>,
    /// The nodes whose outputs were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pinned: Vec<String>,
}

impl Trial {
    /// The node whose output is the run's.
    pub fn target(&self) -> Option<&str> {
        self.only.as_deref().or(self.until.as_deref())
    }

    /// Returns what people see of it.
    pub fn view(&self) -> TrialView {
        TrialView {
            until: self.until.clone(),
            only: self.only.clone(),
            pinned: self.pinned.iter().cloned().collect(),
        }
    }
}
