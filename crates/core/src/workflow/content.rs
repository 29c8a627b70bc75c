//! What a definition says, whatever it looks like: its hash, and the form in which it is handed on.
//!
//! Where nodes are drawn, and in which order fields stand, says nothing about what runs. The hash leaves both out. An export
//! has the fields that we know in one order, and all positions in a part of their own at the end, so that moving a node
//! changes no other line; [`joined`] puts them back. Free data keeps its order: outputs show it.

use crate::Hash;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The part of an export that says where nodes are drawn.
pub const POSITIONS: &str = "positions";
const POSITION: &str = "position";

/// In which order an export has the fields of each thing; what it does not name follows as it stands.
const WHOLE: [&str; 8] = ["name", "description", "input", "nodes", "edges", "output", "settings", "metadata"];
const NODE: [&str; 11] =
    ["id", "type", "name", "disabled", "config", "retry", "timeout", "on_error", "effect", "join", POSITION];
const EDGE: [&str; 4] = ["id", "source", "target", "config"];

/// How deep bodies may stand in bodies before they are taken as free data; a plan allows far less.
const DEPTH: usize = 32;

/// Returns the hash of what a definition says.
pub fn hash(definition: &Value) -> Hash {
    let mut text = Vec::new();
    let bare = each_node(definition.clone(), 0, &mut |node| {
        node.shift_remove(POSITION);
    });
    canonical(&bare, &mut text);
    Hash::of(&text)
}

/// Returns a definition as it is handed on. What [`joined`] could not put back stays where it is.
pub fn exported(definition: &Value) -> Value {
    let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    let whole = each_node(definition.clone(), 0, &mut |node| {
        if let Some(id) = id(node)
            && !seen.insert(id.to_owned())
        {
            repeated.insert(id.to_owned());
        }
    });
    let may_move = whole.get(POSITIONS).is_none();
    let mut positions = Map::new();
    let whole = each_node(whole, 0, &mut |node| {
        let one = id(node).filter(|id| may_move && !repeated.contains(*id)).map(str::to_owned);
        if let Some(id) = one
            && let Some(position) = node.shift_remove(POSITION)
        {
            positions.insert(id, position);
        }
    });
    let mut whole = ordered(whole, 0);
    if let (false, Some(fields)) = (positions.is_empty(), whole.as_object_mut()) {
        fields.insert(POSITIONS.to_owned(), Value::Object(positions));
    }
    whole
}

/// Puts the positions of an export back to their nodes. Those of no node stay, so that whoever reads it next says so.
pub fn joined(document: Value) -> Value {
    let mut document = document;
    let part = document.get_mut(POSITIONS).and_then(Value::as_object_mut).map(std::mem::take);
    let (Some(positions), Some(fields)) = (part, document.as_object_mut()) else { return document };
    fields.shift_remove(POSITIONS);
    let mut left: BTreeMap<String, Value> = positions.into_iter().collect();
    let mut document = each_node(document, 0, &mut |node| {
        if !node.contains_key(POSITION)
            && let Some(position) = id(node).and_then(|id| left.remove(id))
        {
            node.insert(POSITION.to_owned(), position);
        }
    });
    if let (false, Some(fields)) = (left.is_empty(), document.as_object_mut()) {
        fields.insert(POSITIONS.to_owned(), left.into_iter().collect());
    }
    document
}

fn id(node: &Map<String, Value>) -> Option<&str> {
    node.get("id").and_then(Value::as_str)
}

/// Shows every node of a graph and of the bodies in it, outer ones first.
fn each_node(graph: Value, depth: usize, show: &mut impl FnMut(&mut Map<String, Value>)) -> Value {
    let mut graph = graph;
    let nodes = graph.get_mut("nodes").and_then(Value::as_array_mut).into_iter().flatten();
    for node in nodes.filter_map(Value::as_object_mut) {
        show(node);
        let body = node.get_mut("config").and_then(|config| config.get_mut("body"));
        if let Some(body) = body.filter(|_| depth < DEPTH) {
            *body = each_node(body.take(), depth + 1, show);
        }
    }
    graph
}

/// Puts the fields of a graph in order, and those of its nodes, edges and bodies.
fn ordered(graph: Value, depth: usize) -> Value {
    let mut graph = in_order(graph, &WHOLE);
    let mut each = |list: &str, of: &[&str]| {
        for item in graph.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            *item = in_order(item.take(), of);
            let body = item.get_mut("config").and_then(|config| config.get_mut("body"));
            if let Some(body) = body.filter(|_| depth < DEPTH && list == "nodes") {
                *body = ordered(body.take(), depth + 1);
            }
        }
    };
    each("nodes", &NODE);
    each("edges", &EDGE);
    graph
}

fn in_order(value: Value, names: &[&str]) -> Value {
    let Value::Object(mut fields) = value else { return value };
    let known: Vec<_> =
        names.iter().filter_map(|name| Some(((*name).to_owned(), fields.shift_remove(*name)?))).collect();
    Value::Object(known.into_iter().chain(fields).collect())
}

/// Writes a value so that two that are equal as JSON are the same text.
fn canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            out.push(b'{');
            for (name, value) in sorted {
                out.extend_from_slice(Value::from(name.as_str()).to_string().as_bytes());
                out.push(b':');
                canonical(value, out);
                out.push(b',');
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            out.push(b'[');
            for item in items {
                canonical(item, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            out.extend_from_slice(value.to_string().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Format, parse, write};
    use serde_json::json;

    fn definition() -> Value {
        json!({
            "metadata": {"z": 1, "position": {"x": 9}}, "output": {"b": 1, "a": {"position": 2}},
            "edges": [{"target": "b", "source": "a"}],
            "nodes": [
                {"position": {"x": 1.5, "y": -2}, "config": {"items": "input", "body": {"output": 1, "nodes": [
                    {"config": {"for": "1s"}, "type": "wait", "position": {"x": 7, "y": 8}, "id": "in"}]}},
                    "type": "for_each", "id": "a"},
                {"id": "b", "type": "transform", "config": {"rules": [], "position": "data"}}],
            "name": "n"
        })
    }

    #[test]
    fn an_export_is_joined_to_what_it_was_in_both_languages() {
        let (definition, export) = (definition(), exported(&definition()));
        let fields: Vec<&String> = export.as_object().expect("an object").keys().collect();
        assert_eq!(fields, ["name", "nodes", "edges", "output", "metadata", "positions"]);
        assert_eq!(export["positions"], json!({"a": {"x": 1.5, "y": -2}, "in": {"x": 7, "y": 8}}));
        let node: Vec<&String> = export["nodes"][0].as_object().expect("an object").keys().collect();
        assert_eq!(node, ["id", "type", "config"]);
        assert_eq!(
            export["output"].to_string(),
            r#"{"b":1,"a":{"position":2}}"#,
            "free data keeps its order"
        );
        for format in [Format::Yaml, Format::Json] {
            let text = write(&export, format);
            let read = joined(parse(&text, format).expect("a document"));
            assert_eq!(read, definition);
            assert_eq!((hash(&read), write(&exported(&read), format)), (hash(&definition), text));
        }
    }

    #[test]
    fn the_hash_is_of_what_is_said() {
        let said = hash(&definition());
        let mut moved = definition();
        moved["nodes"][0]["position"] = json!({"x": 0, "y": 0});
        moved["nodes"][0]["config"]["body"]["nodes"][0].as_object_mut().expect("a node").remove("position");
        assert_eq!(hash(&moved), said);
        assert_eq!(hash(&ordered(definition(), 0)), said);
        for (place, value) in [
            ("/metadata/position/x", json!(8)),
            ("/nodes/1/config/position", json!("other")),
            ("/nodes/0/config/body/output", json!(1.0)),
            ("/name", json!("m")),
        ] {
            let mut other = definition();
            *other.pointer_mut(place).expect(place) = value;
            assert_ne!(hash(&other), said, "{place}");
        }
        assert_ne!(hash(&json!([["a"], "b"])), hash(&json!([["a", "b"]])));
    }

    #[test]
    fn what_could_not_be_put_back_stays_where_it_is() {
        for odd in [
            json!({"nodes": [{"id": "a", "position": 1}, {"id": "a", "position": 2}, {"position": 3}, 7], "edges": 1}),
            json!({"nodes": [{"id": "a", "position": 1}], "positions": {"b": 1}}),
            json!({"nodes": {"id": "a", "position": 1}}),
            json!({"positions": 7}),
            json!([]),
        ] {
            let export = exported(&odd);
            assert_eq!(export["positions"], odd["positions"]);
            assert_eq!(joined(export), odd);
        }
        let strange = json!({"nodes": [{"id": "a", "position": 1}], "positions": {"a": 2, "ghost": 3}});
        assert_eq!(joined(strange.clone()), strange);
    }
}
