//! What of a definition matters to read a history: each node's kind, and the node whose body it stands in.

use crate::workflow::{NodeKind, StepKey};
use serde_json::Value;
use std::collections::BTreeMap;

/// The nodes of a definition by id.
#[derive(Debug, Clone, Default)]
pub struct Shape(BTreeMap<String, Place>);

/// Where a node stands.
#[derive(Debug, Clone)]
struct Place {
    /// None of a kind that only a later version knows.
    kind: Option<&'static NodeKind>,
    owner: Option<String>,
    disabled: bool,
}

/// Levels of bodies that are followed. A plan has fewer (`BODY_DEPTH`); a document that was never checked may have
/// more.
const DEPTH: usize = 32;

// === impl Shape ===

impl Shape {
    /// Reads what it can from a definition as it was recorded. It may come from another version, so nothing in it is
    /// a mistake.
    pub fn of(definition: &Value) -> Self {
        let mut places = BTreeMap::new();
        let mut graphs = vec![(definition, None::<String>, 0)];
        while let Some((graph, owner, depth)) = graphs.pop() {
            for node in graph.get("nodes").and_then(Value::as_array).into_iter().flatten() {
                let Some(id) = node.get("id").and_then(Value::as_str) else { continue };
                let kind = node.get("type").and_then(Value::as_str).and_then(NodeKind::named);
                let disabled = node.get("disabled").and_then(Value::as_bool).unwrap_or_default();
                places.insert(id.to_owned(), Place { kind, owner: owner.clone(), disabled });
                if let Some(body) = node.pointer("/config/body")
                    && depth < DEPTH
                {
                    graphs.push((body, Some(id.to_owned()), depth + 1));
                }
            }
        }
        Self(places)
    }

    /// Returns the kind of a node, if this version knows it.
    fn kind(&self, node: &str) -> Option<&'static NodeKind> {
        self.0.get(node)?.kind
    }

    /// Whether the node waits for time or people rather than runs.
    pub fn waits(&self, node: &str) -> bool {
        self.kind(node).is_some_and(|kind| kind.waits().is_some())
    }

    /// Whether the node asks a person.
    pub fn asks(&self, node: &str) -> bool {
        self.kind(node).is_some_and(|kind| kind.approval().is_some())
    }

    /// Whether the node is left out of runs.
    pub fn is_disabled(&self, node: &str) -> bool {
        self.0.get(node).is_some_and(|place| place.disabled)
    }

    /// Whether an agent performs the node, wherever it is.
    pub fn is_agent(&self, node: &str) -> bool {
        self.kind(node).is_some_and(NodeKind::is_agent)
    }

    /// Whether the node has a body.
    pub fn has_body(&self, node: &str) -> bool {
        self.kind(node).is_some_and(|kind| kind.body().is_some())
    }

    /// Whether the node stands in the workflow's own graph.
    pub fn is_outermost(&self, node: &str) -> bool {
        self.0.get(node).is_none_or(|place| place.owner.is_none())
    }

    /// Returns the node of the workflow's own graph in whose body the node stands, or that it is.
    pub fn outermost<'n>(&'n self, mut node: &'n str) -> &'n str {
        for _ in 0..=DEPTH {
            match self.0.get(node).and_then(|place| place.owner.as_deref()) {
                Some(owner) => node = owner,
                None => break,
            }
        }
        node
    }

    /// Whether the node stands in the body of `owner`, or in a body inside that.
    pub fn is_inside(&self, node: &str, owner: &str) -> bool {
        let mut place = self.0.get(node);
        for _ in 0..=DEPTH {
            match place.and_then(|place| place.owner.as_deref()) {
                Some(id) if id == owner => return true,
                Some(id) => place = self.0.get(id),
                None => return false,
            }
        }
        false
    }
}

/// Returns what the paths of a body's iterations begin with: those of one, or of all.
pub(super) fn path_of(owner: &StepKey, index: Option<u32>) -> String {
    match (&*owner.iteration, index) {
        (path, None) => path.to_owned(),
        ("", Some(index)) => index.to_string(),
        (path, Some(index)) => format!("{path}.{index}"),
    }
}

/// Whether an iteration is that of the path, or inside of it: `3.17` is within `3`, and `31` is not.
pub fn is_within(iteration: &str, path: &str) -> bool {
    let rest = iteration.strip_prefix(path);
    path.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_know_the_bodies_around_them() {
        let shape = Shape::of(&json!({"nodes": [
            {"id": "a", "type": "for_each", "config": {"body": {"nodes": [
                {"id": "b", "type": "loop", "config": {"body": {"nodes": [{"id": "c", "type": "wait"}]}}}]}}},
            {"id": "d", "type": "agent"}, 7, {"id": "e", "type": "http"}
        ]}));
        assert!(shape.is_inside("c", "a") && shape.is_inside("c", "b") && shape.is_inside("b", "a"));
        assert!(!shape.is_inside("d", "a") && !shape.is_inside("a", "b"));
        assert!(shape.is_agent("d") && !shape.is_agent("e") && !shape.is_agent("a"));
        assert!(shape.waits("c") && !shape.waits("d") && !shape.waits("ghost"));
    }
}
