//! What the kinds say of themselves agrees with what the documents say.

use super::*;
use crate::{
    document::{self, Format},
    schema::Validator,
    workflow::{Definition, Node},
};
use serde_json::json;
use std::collections::BTreeSet;

/// A node of each kind, and one of each worker.
fn one_of_each() -> Vec<Node> {
    let text = r#"
- {id: agent, type: agent, config: {agent: a, prompt: p}}
- {id: worker, type: agent, config: {agent: a, prompt: p, worker: external}}
- {id: transform, type: transform, config: {rules: []}}
- {id: condition, type: condition, config: {if: "true"}}
- {id: each, type: for_each, config: {items: "[]", body: {nodes: [{id: inner, type: wait, config: {}}]}}}
- {id: loop, type: loop, config: {until: "true", max: 1, body: {nodes: []}}}
- {id: wait, type: wait, config: {for: 1s}}
- {id: signal, type: signal, config: {name: go}}
- {id: approval, type: approval, config: {title: t}}
- {id: http, type: http, config: {url: "https://example.com"}}
"#;
    let value = document::parse(text, Format::Yaml).expect("a document");
    serde_json::from_value(value).expect("nodes")
}

#[test]
fn names_are_those_of_documents() {
    let named: Vec<_> = one_of_each().iter().map(|node| node.kind.name()).collect();
    let typed: Vec<_> = one_of_each()
        .iter()
        .map(|node| serde_json::to_value(&node.kind).expect("json")["type"].clone())
        .collect();
    assert_eq!(json!(named), json!(typed));
    let mut once = named;
    once.dedup();
    assert_eq!(NodeKind::names().collect::<Vec<_>>(), once, "each kind is in the list above");
}

#[test]
fn a_name_is_found_without_writing_the_whole_configuration() {
    let prompt = "x".repeat(4 << 20);
    let large = json!({"type": "agent", "config": {"agent": "a", "prompt": prompt}});
    let kind: NodeKind = serde_json::from_value(large).expect("a kind");
    let start = std::time::Instant::now();
    (0..1_000).for_each(|_| assert_eq!(kind.name(), "agent"));
    // Written as a whole each time it would take minutes.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn every_kind_has_a_schema_of_its_config() {
    for node in one_of_each() {
        let config = serde_json::to_value(&node.kind).expect("json")["config"].clone();
        let schema = Validator::new(schemas()[node.kind.name()]).expect("a schema");
        assert_eq!(schema.validate(&config), Ok(()), "{}", node.id);
        assert!(!schema.is_valid(&json!({"more": 1})), "{}", node.id);
    }
}

#[test]
fn branches_are_read_as_they_are_written() {
    let nodes = one_of_each();
    let all: BTreeSet<Branch> =
        nodes.iter().flat_map(|node| node.kind.branches()).copied().chain([Branch::Error]).collect();
    for branch in &all {
        assert_eq!(Branch::named(branch.name()), Some(*branch));
    }
    // What serde would say of a name that is none lists those there are.
    let known = serde_json::from_value::<Branch>(json!("?")).expect_err("no branch").to_string();
    let listed = known.matches('`').count() / 2 - 1;
    assert_eq!(listed, all.len(), "a branch by which no node ends is one that nobody lists: {known}");
}

#[test]
fn a_node_that_can_not_be_read_keeps_the_kind_of_its_body() {
    for node in one_of_each() {
        let kind = node.kind.name();
        let example = NodeKind::named(kind).expect("an example of each kind");
        assert_eq!((example.name(), example.body().is_some()), (kind, node.kind.body().is_some()));
        let body = node.kind.body().map(|body| (example, serde_json::to_value(body).expect("json")));
        let expected = if body.is_some() { kind } else { "signal" };
        let read: Node = serde_json::from_value(placeholder("x", body)).expect("a node");
        assert_eq!((read.kind.name(), read.kind.body()), (expected, node.kind.body()));
    }
}

#[test]
fn what_does_not_depend_on_the_configuration_can_be_asked_of_an_example() {
    for node in one_of_each().into_iter().filter(|node| node.id != "worker") {
        let example = NodeKind::named(node.kind.name()).expect("an example of each kind");
        assert_eq!(std::mem::discriminant(example), std::mem::discriminant(&node.kind), "{}", node.id);
        assert_eq!(example.waits().is_some(), node.kind.waits().is_some());
        assert_eq!(example.outside().is_some(), node.kind.outside().is_some());
        assert_eq!(example.branches(), node.kind.branches());
    }
    assert_eq!(NodeKind::named("nope"), None);
}

#[test]
fn nodes_in_bodies_are_among_all_nodes() {
    let definition =
        Definition::from_value(json!({"name": "x", "nodes": one_of_each()})).expect("a definition");
    let all = definition.all_nodes();
    let inner = all.iter().find(|(node, _)| node.id == "inner").expect("the inner node");
    assert_eq!(inner.1.map(|owner| owner.id.as_str()), Some("each"));
    assert_eq!(all.len(), one_of_each().len() + 1);
    assert_eq!(definition.agents(), BTreeSet::from(["a".to_owned()]));
}
