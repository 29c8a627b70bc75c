//! A stored workflow, and the node and edge rows that stand beside its document.
//!
//! The document is kept as it came (a draft may hold parts nobody knows); rows are only taken from what is readable.

use crate::draft::{DraftMark, Provenance};
use callboard_core::{
    Problem, Timestamp,
    id::{ProjectId, WorkflowId},
};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A workflow to create; the caller makes the id (UUIDv7).
#[derive(Debug, Clone, PartialEq)]
pub struct NewWorkflow {
    /// Where it belongs, for good.
    pub project: ProjectId,
    /// UUIDv7: lists are sorted by it.
    pub id: WorkflowId,
    /// What people call it; need not be unique.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The document.
    pub definition: Value,
    /// What stands against running it.
    pub problems: Vec<Problem>,
    /// The caller's own; the catalog only keeps it.
    pub metadata: Map<String, Value>,
    /// When it is made.
    pub at: Timestamp,
    /// Whence it is.
    pub from: Provenance,
}

/// The next version of a workflow.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// The version this change was made on.
    pub expected: Option<u32>,
    /// What people call it from now on.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The document.
    pub definition: Value,
    /// What stands against running it.
    pub problems: Vec<Problem>,
    /// Replaces the metadata of the version before.
    pub metadata: Map<String, Value>,
    /// When it is made.
    pub at: Timestamp,
    /// Whence it is.
    pub from: Provenance,
    /// The revision of the draft that it is made of, which has to be the draft still, and goes.
    pub publishes: Option<u32>,
}

/// A version of a workflow; of one that was never published, its draft.
#[derive(Debug, Clone, PartialEq)]
pub struct Workflow {
    /// Of the workflow: all its versions have it.
    pub id: WorkflowId,
    /// From 1; 0 of a draft.
    pub version: u32,
    /// What people call it.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The document; null in lists.
    pub definition: Value,
    /// What stands against running it.
    pub problems: Vec<Problem>,
    /// The caller's own.
    pub metadata: Map<String, Value>,
    /// Whence it is; not in lists.
    pub from: Provenance,
    /// The draft beside its versions, or the only thing there is.
    pub draft: Option<DraftMark>,
    /// When the workflow was made.
    pub created_at: Timestamp,
    /// When this version was made.
    pub updated_at: Timestamp,
    /// Deleted, so that only its versions can be read by number.
    pub hidden: bool,
    /// Status of its latest run, nothing before the first.
    pub status: Option<String>,
}

/// A row of `workflow_nodes`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NodeRow {
    pub id: String,
    pub parent_id: Option<String>,
    pub node: String,
    pub kind: String,
    pub config: Option<String>,
    pub position: Option<String>,
}

/// A row of `workflow_edges`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EdgeRow {
    pub id: String,
    pub source_id: String,
    pub target_id: String,
    pub config: Option<String>,
}

/// How deep bodies may stand in bodies before rows are no longer taken; a plan allows far less.
const DEPTH: usize = 32;

/// Returns the rows of a document: of every graph, parents before children, edges only between known nodes.
pub(crate) fn rows(workflow: &WorkflowId, version: u32, definition: &Value) -> (Vec<NodeRow>, Vec<EdgeRow>) {
    let space = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("callboard/{workflow}/{version}").as_bytes());
    let mut nodes = BTreeMap::new();
    let mut order = Vec::new();
    let mut edges = Vec::new();
    // A stack instead of recursion: a hostile draft must not exhaust ours.
    let mut graphs = vec![(definition, None::<String>, 0)];
    while let Some((graph, parent, depth)) = graphs.pop() {
        for node in list(graph, "nodes") {
            let Some(name) = node.get("id").and_then(Value::as_str) else { continue };
            let id = Uuid::new_v5(&space, name.as_bytes()).to_string();
            if nodes.insert(name.to_owned(), id.clone()).is_some() {
                continue;
            }
            order.push(NodeRow {
                id: id.clone(),
                parent_id: parent.clone(),
                node: name.to_owned(),
                kind: node.get("type").and_then(Value::as_str).unwrap_or_default().to_owned(),
                config: node.get("config").map(Value::to_string),
                position: node.get("position").map(Value::to_string),
            });
            if let Some(body) = node.pointer("/config/body")
                && depth < DEPTH
            {
                graphs.push((body, Some(id), depth + 1));
            }
        }
        edges.extend(list(graph, "edges"));
    }
    let edges = edges.into_iter().enumerate().filter_map(|(n, edge)| {
        let end = |side| nodes.get(edge.get(side)?.as_str()?).cloned();
        Some(EdgeRow {
            id: Uuid::new_v5(&space, format!("edge {n}").as_bytes()).to_string(),
            source_id: end("source")?,
            target_id: end("target")?,
            config: edge.get("config").map(Value::to_string),
        })
    });
    (order, edges.collect())
}

fn list<'a>(graph: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    graph.get(name).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_of_bodies_name_their_owner_and_unreadable_parts_are_left_out() {
        let definition = json!({
            "nodes": [
                {"id": "a", "type": "for_each", "config": {"items": "input", "body": {"nodes": [
                    {"id": "b", "type": "http", "position": {"x": 1, "y": 2}}]}}},
                {"id": "a", "type": "wait"}, {"type": "wait"}, 7
            ],
            "edges": [{"source": "a", "target": "b"}, {"source": "a", "target": "ghost"}, "edge"]
        });
        let id = WorkflowId::new("w");
        let (nodes, edges) = rows(&id, 1, &definition);
        let names: Vec<_> = nodes.iter().map(|n| (n.node.as_str(), n.kind.as_str())).collect();
        assert_eq!(names, [("a", "for_each"), ("b", "http")]);
        assert_eq!(nodes[1].parent_id.as_ref(), Some(&nodes[0].id));
        assert_eq!(nodes[1].position.as_deref(), Some(r#"{"x":1,"y":2}"#));
        assert_eq!(edges.len(), 1);
        assert_eq!((&edges[0].source_id, &edges[0].target_id), (&nodes[0].id, &nodes[1].id));
        assert_ne!(rows(&id, 2, &definition).0[0].id, nodes[0].id, "ids differ by version");
    }
}
