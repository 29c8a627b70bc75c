//! A definition laid flat: the workflow's graph first, then the bodies, as they stand in the document.

use super::{GraphIx, NodeIx};
use crate::{
    Problem,
    id::is_id,
    workflow::definition::{Definition, Edge, Node},
};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A definition with its bodies laid side by side.
pub(super) struct Flat<'a> {
    pub graphs: Vec<FlatGraph<'a>>,
    pub nodes: Vec<FlatNode<'a>>,
    /// The first node of each id.
    pub by_id: BTreeMap<&'a str, NodeIx>,
}

/// The workflow's graph, or that of a body, before its edges are resolved.
pub(super) struct FlatGraph<'a> {
    pub owner: Option<NodeIx>,
    /// In the order of the document.
    pub nodes: Vec<NodeIx>,
    pub edges: &'a [Edge],
    pub output: Option<&'a Value>,
    /// Where its edges and output stand: `` or `nodes[1].config.body.`.
    pub prefix: String,
}

/// A node with its place in the document.
pub(super) struct FlatNode<'a> {
    pub node: &'a Node,
    pub graph: GraphIx,
    pub body: Option<GraphIx>,
    /// `nodes[1].config.body.nodes[0]`
    pub path: String,
}

/// Lays the bodies side by side, and checks that ids are ids and unique.
pub(super) fn flatten<'a>(
    definition: &'a Definition,
    opaque: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Flat<'a> {
    let mut flat = Flat { graphs: vec![], nodes: vec![], by_id: BTreeMap::new() };
    let output = definition.output.as_ref();
    let top = (definition.nodes.as_slice(), definition.edges.as_slice(), output);
    add_graph(&mut flat, None, top, String::new(), opaque, problems);
    flat
}

/// Adds a graph and, node by node, the bodies inside it. Returns its index.
fn add_graph<'a>(
    flat: &mut Flat<'a>,
    owner: Option<NodeIx>,
    (nodes, edges, output): (&'a [Node], &'a [Edge], Option<&'a Value>),
    prefix: String,
    opaque: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> GraphIx {
    let graph = flat.graphs.len() as GraphIx;
    flat.graphs.push(FlatGraph { owner, nodes: vec![], edges, output, prefix: prefix.clone() });
    for (i, node) in nodes.iter().enumerate() {
        let ix = flat.nodes.len() as NodeIx;
        let path = format!("{prefix}nodes[{i}]");
        // A placeholder without an id has been reported.
        if !(node.id.is_empty() && opaque.contains(&path)) {
            check_id(flat, &node.id, &path, problems);
            // The first one keeps the id, so that edges and reads still lead somewhere.
            flat.by_id.entry(&node.id).or_insert(ix);
        }
        // The node goes in before its body, which names it as its owner.
        flat.nodes.push(FlatNode { node, graph, body: None, path: path.clone() });
        flat.graphs[graph as usize].nodes.push(ix);
        if let Some(body) = node.kind.body() {
            let prefix = format!("{path}.config.body.");
            let inner = (body.nodes.as_slice(), body.edges.as_slice(), body.output.as_ref());
            let body = add_graph(flat, Some(ix), inner, prefix, opaque, problems);
            flat.nodes[ix as usize].body = Some(body);
        }
    }
    graph
}

fn check_id(flat: &Flat<'_>, id: &str, path: &str, problems: &mut Vec<Problem>) {
    let path = || format!("{path}.id");
    if let Some(first) = flat.by_id.get(id) {
        let first = &flat.nodes[*first as usize].path;
        let message = format!("the id `{id}` is already that of {first}; ids are unique, bodies included");
        problems.push(Problem::new(path(), "duplicate_id", message).in_node(id));
    }
    if !is_id(id) {
        let message = format!("`{id}` is not an id: 1 to 64 letters, digits, `_` or `-`");
        problems.push(Problem::new(path(), "invalid_id", message).in_node(id));
    }
}
