//! What is wrong with a document: where, which kind, and a sentence. Always all of them at once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One mistake in a definition or a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The node's id, when the mistake is in a node.
    pub node: Option<String>,
    /// Where in the document: `nodes[2].config.prompt`.
    pub path: String,
    /// Stable, for programs: `unknown_agent`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
}

impl Problem {
    /// A mistake of the whole document, or of the field at `path`.
    pub fn new(path: impl Into<String>, code: &str, message: impl Into<String>) -> Self {
        Self { node: None, path: path.into(), code: code.to_owned(), message: message.into() }
    }

    /// Says in which node the mistake is.
    pub fn in_node(mut self, node: &str) -> Self {
        self.node = Some(node.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(node) = &self.node {
            write!(f, "node {node}: ")?;
        }
        write!(f, "{}: {} [{}]", self.path, self.message, self.code)
    }
}
