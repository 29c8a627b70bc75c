//! The edges of a recorded definition, as far as it takes them to say which were taken.

use super::super::{definition::Join, kinds::Branch, run::NodeState};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Place of an edge in its drawing.
pub(super) type EdgeIx = usize;

/// The edges of all graphs, in the order of the document: the workflow's own first, then the bodies.
#[derive(Debug, Clone, Default)]
pub(super) struct Drawing {
    edges: Vec<Drawn>,
    from: BTreeMap<Arc<str>, Vec<EdgeIx>>,
    /// How many edges lead to a node.
    to: BTreeMap<Arc<str>, usize>,
    joins: BTreeMap<Arc<str>, Join>,
    leaves_out: bool,
}

/// An edge.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub source: Arc<str>,
    pub target: Arc<str>,
    pub branch: Option<String>,
}

/// Levels of bodies that are followed, as in `Shape`.
const DEPTH: usize = 32;

// === impl Drawing ===

impl Drawing {
    /// Reads what it can, since nothing in what was recorded is a mistake.
    pub fn of(definition: &Value) -> Self {
        let mut drawing = Self::default();
        drawing.graph(definition, 0);
        drawing
    }

    fn graph(&mut self, graph: &Value, depth: usize) {
        let list =
            |key: &str| graph.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for edge in list("edges") {
            let end = |key: &str| edge.get(key).and_then(Value::as_str).map(Arc::<str>::from);
            let (Some(source), Some(target)) = (end("source"), end("target")) else { continue };
            let branch = edge.pointer("/config/branch").and_then(Value::as_str).map(str::to_owned);
            self.from.entry(source.clone()).or_default().push(self.edges.len());
            *self.to.entry(target.clone()).or_default() += 1;
            self.edges.push(Drawn { source, target, branch });
        }
        for node in list("nodes") {
            let Some(id) = node.get("id").and_then(Value::as_str) else { continue };
            let join = node.get("join").cloned().and_then(|join| serde_json::from_value(join).ok());
            self.joins.insert(id.into(), join.unwrap_or_default());
            self.leaves_out |= node.get("disabled").and_then(Value::as_bool).unwrap_or_default();
            if let Some(body) = node.pointer("/config/body")
                && depth < DEPTH
            {
                self.graph(body, depth + 1);
            }
        }
    }

    /// Whether any node is disabled.
    pub fn leaves_out(&self) -> bool {
        self.leaves_out
    }

    pub fn edge(&self, ix: EdgeIx) -> Option<&Drawn> {
        self.edges.get(ix)
    }

    /// Returns the node at which an edge begins.
    pub fn source(&self, ix: EdgeIx) -> &str {
        self.edges.get(ix).map_or("", |edge| &edge.source)
    }

    /// Returns the edges that lead away from a node.
    pub fn from(&self, node: &str) -> impl Iterator<Item = (EdgeIx, &Drawn)> {
        let away = self.from.get(node).map(Vec::as_slice).unwrap_or_default();
        away.iter().filter_map(|ix| Some((*ix, self.edges.get(*ix)?)))
    }

    /// Whether a node would start, with so many edges taken and so many parents that were not skipped.
    pub fn is_met(&self, node: &str, taken: usize, entered: usize) -> bool {
        let parents = self.to.get(node).copied().unwrap_or_default();
        self.joins.get(node).copied().unwrap_or_default().is_met(parents, taken, entered)
    }

    /// Returns a node and all that lies behind it.
    pub fn reached_from<'d>(&'d self, node: &'d str) -> BTreeSet<&'d str> {
        let mut found = BTreeSet::from([node]);
        let mut next = vec![node];
        while let Some(node) = next.pop() {
            for (_, edge) in self.from(node) {
                if found.insert(&edge.target) {
                    next.push(&edge.target);
                }
            }
        }
        found
    }
}

// === impl Drawn ===

impl Drawn {
    /// Whether a step that ended so takes the edge. A branch that only a later version knows is taken by none.
    pub fn takes(&self, state: NodeState) -> bool {
        match &self.branch {
            None => state.takes(None),
            Some(name) => Branch::named(name).is_some_and(|branch| state.takes(Some(branch))),
        }
    }
}
