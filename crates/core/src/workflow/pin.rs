//! Who a run's agents are, as its recorded definition says it.

use crate::Hash;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who a run's agents are. Recorded as JSON: a later field is left out where it is not given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Of the document with the agents, those they may ask, and the tools of all of them.
    pub agents: Hash,
    /// Names of the secrets that their tools refer to, so that nobody has to read that document for them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub secrets: BTreeSet<String>,
}
