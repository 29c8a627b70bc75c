//! Which fields of a definition hold what: templates, expressions, names of nodes. Read off the schemas of our own types
//! (`x-callboard`), so that whoever looks through a definition and whoever draws a form know the same.
//!
//! A document is walked as it stands, also one with mistakes: what has no place in the schemas is left alone.

use super::{definition::Definition, kinds};
use crate::schema::join;
use serde_json::Value;

/// A field of a definition that holds something of the language.
pub(super) struct Field<'v> {
    /// `nodes[2].config.prompt`
    pub path: String,
    /// `template`, `expression`, `node`, …
    pub holds: Vec<String>,
    pub value: &'v mut Value,
}

/// A node of a definition, wherever it stands.
pub(super) struct Found<'v> {
    pub path: String,
    pub value: &'v mut Value,
}

/// The keyword by which a schema says what a field holds.
const HOLDS: &str = "x-callboard";
/// Parts of a graph that are walked one by one.
const PARTS: [&str; 2] = ["nodes", "edges"];

/// Calls `visit` with every field that holds something, in all graphs.
pub(super) fn each(definition: &mut Value, visit: &mut impl FnMut(Field<'_>)) {
    let schema = Definition::schema();
    walk(&schema, &schema, definition, "", visit);
    each_node(definition, &mut |Found { path, value }| {
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        let Some(schema) = kinds::schemas().get(kind).copied() else { return };
        if let Some(config) = value.get_mut("config") {
            walk(schema, schema, config, &format!("{path}.config"), visit);
        }
    });
}

/// Calls `visit` with every node of all graphs, those around others first.
pub(super) fn each_node(graph: &mut Value, visit: &mut impl FnMut(Found<'_>)) {
    parts(graph, "", "nodes", visit);
}

/// Calls `visit` with every edge of all graphs.
pub(super) fn each_edge(graph: &mut Value, visit: &mut impl FnMut(Found<'_>)) {
    parts(graph, "", "edges", visit);
}

fn parts(graph: &mut Value, prefix: &str, part: &str, visit: &mut impl FnMut(Found<'_>)) {
    for key in PARTS {
        let Some(list) = graph.get_mut(key).and_then(Value::as_array_mut) else { continue };
        for (i, value) in list.iter_mut().enumerate() {
            let path = format!("{prefix}{key}[{i}]");
            if key == part {
                visit(Found { path: path.clone(), value });
            }
            if key == "nodes"
                && let Some(body) = value.pointer_mut("/config/body")
            {
                parts(body, &format!("{path}.config.body."), part, visit);
            }
        }
    }
}

/// Walks a value by its schema, up to the fields that hold something.
fn walk(root: &Value, schema: &Value, value: &mut Value, path: &str, visit: &mut impl FnMut(Field<'_>)) {
    let whole = resolved(root, schema);
    if let Some(holds) = holds(schema).or_else(|| holds(whole)) {
        return visit(Field { path: path.to_owned(), holds, value });
    }
    match value {
        Value::Array(items) => {
            let Some(schema) = whole.get("items") else { return };
            for (i, item) in items.iter_mut().enumerate() {
                walk(root, schema, item, &format!("{path}[{i}]"), visit);
            }
        }
        Value::Object(map) => {
            let kind = map.get("type").and_then(Value::as_str).map(str::to_owned);
            for (key, item) in map.iter_mut().filter(|(key, _)| !PARTS.contains(&key.as_str())) {
                if let Some(schema) = property(root, whole, key, kind.as_deref()) {
                    walk(root, schema, item, &join(path, key), visit);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Returns the schema of a field; of a choice by `type`, as that type has it.
fn property<'s>(root: &'s Value, schema: &'s Value, key: &str, kind: Option<&str>) -> Option<&'s Value> {
    let own = |schema: &'s Value| schema.get("properties").and_then(|fields| fields.get(key));
    own(schema).or_else(|| {
        let variants = schema.get("oneOf")?.as_array()?.iter().map(|variant| resolved(root, variant));
        let mut of_kind = variants
            .filter(|variant| variant.pointer("/properties/type/const").and_then(Value::as_str) == kind);
        of_kind.find_map(own)
    })
}

fn holds(schema: &Value) -> Option<Vec<String>> {
    let words = schema.get(HOLDS)?.as_array()?;
    Some(words.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Follows a `$ref`, and of an optional field the schema of what is given.
fn resolved<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..8 {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        let either = schema.get("anyOf").and_then(Value::as_array);
        let given = either.and_then(|all| all.iter().find(|one| one["type"] != "null"));
        match reference.and_then(|path| root.pointer(path)).or(given) {
            Some(next) => schema = next,
            None => break,
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(mut definition: Value) -> Vec<String> {
        let mut found = Vec::new();
        let before = definition.clone();
        each(&mut definition, &mut |field| found.push(format!("{} {}", field.path, field.holds.join(","))));
        assert_eq!(definition, before, "whoever only looks changes nothing");
        found.sort();
        found
    }

    #[test]
    fn every_field_of_the_language_is_found_in_all_bodies() {
        let inner = json!({"id": "i", "type": "transform", "config": {"input": "item", "rules": [
            {"source": ".", "target": "t", "type": "reduce", "config": {"initial": 0, "value": "acc"}},
            {"source": ".", "target": "u", "type": "filter", "config": {"if": "item"}}]}});
        let definition = json!({"name": "x", "input": {}, "output": "{{ 1 }}", "nodes": [
            {"id": "a", "type": "agent", "timeout": "1s", "config": {"agent": "q", "prompt": "p", "output_schema": {}}},
            {"id": "e", "type": "for_each", "config": {"items": "x", "body": {"nodes": [inner], "output": {"o": "x"}}}},
            {"id": "l", "type": "loop", "config": {"until": "x", "max": 2, "body": {"nodes": []}}},
            {"id": "w", "type": "wait", "config": {"for": "1s"}},
            {"id": "h", "type": "http", "config": {"url": "u", "body": [1], "headers": {"x": "y"}}},
            {"id": "s", "type": "approval", "config": {"title": "t", "guards": "h", "timeout": "1s"}},
            {"id": "n", "type": "of later", "config": {"prompt": "p"}}, 7]});
        assert_eq!(
            fields(definition),
            [
                "input schema",
                "nodes[0].config.agent agent",
                "nodes[0].config.output_schema schema",
                "nodes[0].config.prompt template",
                "nodes[1].config.body.nodes[0].config.input expression",
                "nodes[1].config.body.nodes[0].config.rules[0].config.value expression",
                "nodes[1].config.body.nodes[0].config.rules[1].config.if expression",
                "nodes[1].config.body.output template",
                "nodes[1].config.items expression",
                "nodes[2].config.until expression",
                "nodes[3].config.for duration,template",
                "nodes[4].config.body template,secret",
                "nodes[4].config.headers template,secret",
                "nodes[4].config.url template,secret",
                "nodes[5].config.guards node",
                "nodes[5].config.timeout duration",
                "nodes[5].config.title template",
                "output template",
            ]
        );
    }

    #[test]
    fn whatever_is_checked_as_the_language_is_marked_so() {
        // Each of these texts is no expression and no template, so whoever reads it as one reports it.
        let broken = "{{ 1 +";
        for kind in kinds::all() {
            let names = kind.config["properties"].as_object().expect("fields");
            for (name, schema) in names {
                let is_text = holds(schema).or_else(|| holds(resolved(&kind.config, schema)));
                let holds = is_text.unwrap_or_default();
                let mut config = serde_json::to_value(kind.example.as_ref().expect("an example"))
                    .expect("JSON")["config"]
                    .clone();
                config[name] = broken.into();
                let definition =
                    json!({"name": "x", "nodes": [{"id": "a", "type": kind.name, "config": config}]});
                let around = super::super::plan::Surroundings::default();
                let problems =
                    super::super::Plan::compile_value(definition, &around).err().unwrap_or_default();
                let path = format!("nodes[0].config.{name}");
                let read = problems.iter().any(|p| {
                    p.path == path && matches!(p.code.as_str(), "invalid_template" | "invalid_expression")
                });
                let marked = holds.iter().any(|word| word == "template" || word == "expression");
                assert!(!read || marked, "{}.{name} is read as the language and not marked", kind.name);
            }
        }
    }
}
