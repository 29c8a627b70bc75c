//! From a text to a definition, with every mistake of shape at once.
//!
//! Text becomes JSON (with bounds), JSON is checked against the schema of our own types, and only then serde reads
//! it. What is wrong in one node does not hide what is wrong elsewhere: `Readable` is the rest, with placeholders.

mod numbers;

use super::{
    definition::{Definition, Edge, NodeKind},
    kinds,
};
use crate::{
    Problem,
    document::{self, DEPTH_LIMIT, Format, SIZE_LIMIT},
    id::is_id,
    schema::{self, shape},
    value::json_len,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

/// Built once: each definition is checked against it.
static SCHEMA: LazyLock<Value> = LazyLock::new(schema::of::<Definition>);

/// What could be read of a definition.
pub(super) struct Readable {
    /// With a placeholder for each node and edge that could not be read.
    pub definition: Definition,
    /// The paths of the placeholders.
    pub opaque: BTreeSet<String>,
    pub problems: Vec<Problem>,
}

impl Definition {
    /// Reads a text and reports every mistake of shape.
    pub fn read(text: &str, format: Format) -> Result<Definition, Vec<Problem>> {
        Self::from_value(document::parse(text, format).map_err(|p| vec![p])?)
    }

    /// Reads JSON and reports every mistake of shape.
    pub fn from_value(value: Value) -> Result<Definition, Vec<Problem>> {
        let mut problems = check(&value);
        if problems.iter().all(|p| !p.path.is_empty()) {
            problems.extend(numbers(&value));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        serde_json::from_value(value).map_err(|e| vec![unforeseen(&e)])
    }

    /// Returns the JSON Schema of definitions.
    pub fn schema() -> Value {
        SCHEMA.clone()
    }
}

/// Returns every mistake of shape.
fn check(value: &Value) -> Vec<Problem> {
    // The depth is checked first, because what comes after recurses.
    if !shallow(value, DEPTH_LIMIT) {
        let message = format!("the definition is nested deeper than {DEPTH_LIMIT} levels");
        return vec![Problem::new("", "too_deep", message)];
    }
    if json_len(value) > SIZE_LIMIT {
        return vec![Problem::new(
            "",
            "too_large",
            format!("the definition is larger than {SIZE_LIMIT} bytes"),
        )];
    }
    let mut problems = shape::check(&SCHEMA, value);
    for problem in &mut problems {
        problem.node = node_at(value, &problem.path).map(str::to_owned);
    }
    problems
}

/// Reads what can be read. Fails only when there is nothing to go on with.
pub(super) fn readable(value: Value) -> Result<Readable, Vec<Problem>> {
    let mut problems = check(&value);
    if !value.is_object() || problems.iter().any(|p| p.path.is_empty()) {
        return Err(problems);
    }
    // A number hides nothing else of its node: that can be read.
    let inexact = numbers(&value);
    let mut opaque = BTreeSet::new();
    let value = if problems.is_empty() { value } else { without(&value, &problems, &mut opaque) };
    match serde_json::from_value(value) {
        Ok(definition) => {
            problems.extend(inexact);
            Ok(Readable { definition, opaque, problems })
        }
        Err(e) => {
            if problems.is_empty() {
                problems.push(unforeseen(&e));
            }
            Err(problems)
        }
    }
}

/// Returns the numbers that are out of range, each with its node.
fn numbers(value: &Value) -> Vec<Problem> {
    let mut problems = numbers::check(value);
    for problem in &mut problems {
        problem.node = node_at(value, &problem.path).map(str::to_owned);
    }
    problems
}

/// The schema is made of the same types as serde's reader, so it should have found the mistake first.
fn unforeseen(e: &serde_json::Error) -> Problem {
    Problem::new("", "invalid", e.to_string())
}

/// Returns the definition with placeholders where the problems are.
fn without(value: &Value, problems: &[Problem], opaque: &mut BTreeSet<String>) -> Value {
    let broken = |path: &str| problems.iter().any(|p| inside(&p.path, path));
    let mut whole = Map::new();
    for (key, part) in value.as_object().into_iter().flatten() {
        if !matches!(key.as_str(), "nodes" | "edges") && !broken(key) {
            whole.insert(key.clone(), part.clone());
        }
    }
    // A broken name is in `problems`. Without any name serde would refuse the whole.
    whole.entry("name").or_insert_with(|| json!("?"));
    graph(value, "", problems, opaque, &mut whole);
    Value::Object(whole)
}

/// Copies the nodes and edges of one graph into `out`, with placeholders for the broken ones.
fn graph(
    value: &Value,
    prefix: &str,
    problems: &[Problem],
    opaque: &mut BTreeSet<String>,
    out: &mut Map<String, Value>,
) {
    let list = |key: &str| value[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let nodes = list("nodes")
        .iter()
        .enumerate()
        .map(|(i, n)| node(n, &format!("{prefix}nodes[{i}]"), problems, opaque));
    out.insert("nodes".to_owned(), nodes.collect());
    let edges = list("edges").iter().enumerate().map(|(i, edge)| {
        let path = format!("{prefix}edges[{i}]");
        if problems.iter().any(|p| inside(&p.path, &path)) {
            opaque.insert(path);
            json!(Edge { id: None, source: String::new(), target: String::new(), config: Default::default() })
        } else {
            edge.clone()
        }
    });
    let edges: Value = edges.collect();
    out.insert("edges".to_owned(), edges);
}

/// Returns a node as it is, or a placeholder if something in it is wrong. The body is cleaned in either case.
fn node(value: &Value, path: &str, problems: &[Problem], opaque: &mut BTreeSet<String>) -> Value {
    let body = &value["config"]["body"];
    let body_path = format!("{path}.config.body");
    // A mistake inside the lists of a body belongs to a node or edge there. This node is not broken by it.
    let lists = [format!("{body_path}.nodes["), format!("{body_path}.edges[")];
    let broken = problems.iter().any(|p| {
        inside(&p.path, path) && !lists.iter().any(|list| body.is_object() && p.path.starts_with(list))
    });
    let kind = value["type"].as_str().and_then(NodeKind::named);
    let holds = kind.filter(|kind| kind.body().is_some() && body.is_object());
    let has_body = holds.is_some();
    let mut cleaned = Map::new();
    if has_body {
        // The output of a broken node may be what is broken.
        if let (Some(output), false) = (body.get("output"), broken) {
            cleaned.insert("output".to_owned(), output.clone());
        }
        graph(body, &format!("{body_path}."), problems, opaque, &mut cleaned);
    }
    if !broken {
        let mut node = value.clone();
        if has_body {
            node["config"]["body"] = Value::Object(cleaned);
        }
        return node;
    }
    opaque.insert(path.to_owned());
    let id = value["id"].as_str().filter(|id| is_id(id)).unwrap_or_default();
    kinds::placeholder(id, holds.map(|kind| (kind, Value::Object(cleaned))))
}

/// Returns whether `path` is `outer` or leads into it.
fn inside(path: &str, outer: &str) -> bool {
    path.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Returns the id of the innermost node that `path` leads into; the end of the path may be missing.
fn node_at<'v>(value: &'v Value, path: &str) -> Option<&'v str> {
    let (mut at, mut found) = (value, None);
    for part in path.split('.') {
        let (key, index) = part.split_once('[').unwrap_or((part, ""));
        let Some(next) = at.get(key) else { break };
        at = next;
        let Some(index) = index.strip_suffix(']').and_then(|i| i.parse::<usize>().ok()) else { continue };
        let Some(next) = at.get(index) else { break };
        at = next;
        if key == "nodes" {
            found = at.get("id").and_then(Value::as_str).filter(|id| !id.is_empty()).or(found);
        }
    }
    found
}

/// Returns whether `value` has no more than `levels` levels.
fn shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(_) | Value::Object(_) if levels == 0 => false,
        Value::Array(items) => items.iter().all(|v| shallow(v, levels - 1)),
        Value::Object(map) => map.values().all(|v| shallow(v, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests;
