//! What names hold, as JSON Schema.

use super::{GraphIx, NodeIx, open};
use crate::{
    expr,
    value::json_len,
    workflow::{
        definition::{Definition, OnError},
        kinds::Holds,
        plan::{
            flat::Flat,
            graph::Links,
            scope::{Place, Scopes},
        },
    },
};
use serde_json::{Map, Value, json};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

/// Bytes of one schema that is made of others; a larger one is left open. Each may hold several of the ones before it.
const LARGEST: usize = 64 << 10;
/// Bytes of what all steps together hold; the outputs of the rest are left open.
const TOGETHER: usize = 1 << 20;
/// Names that lead to names, bodies within bodies included.
const DEPTH: usize = 32;

/// What the names of a definition hold.
pub(super) struct Kinds<'a> {
    definition: &'a Definition,
    flat: &'a Flat<'a>,
    links: &'a [Links],
    scopes: &'a Scopes<'a>,
    opaque: &'a BTreeSet<String>,
    /// Outputs that are known, or being looked for: edges may form cycles in what still has mistakes.
    outputs: RefCell<BTreeMap<NodeIx, Value>>,
}

impl<'a> Kinds<'a> {
    pub fn new(
        definition: &'a Definition,
        flat: &'a Flat<'a>,
        links: &'a [Links],
        scopes: &'a Scopes<'a>,
        opaque: &'a BTreeSet<String>,
    ) -> Self {
        Self { definition, flat, links, scopes, opaque, outputs: RefCell::default() }
    }

    /// What a name holds that stands alone.
    pub fn of_root(&self, root: &str, place: Place, depth: usize) -> Value {
        match root {
            "input" => self.definition.input.clone().unwrap_or_else(open),
            "run" => json!({"type": "object", "properties": {
                "id": {"type": "string"}, "generation": {"type": "integer", "minimum": 1}}}),
            "now" => json!({"type": "string", "format": "date-time"}),
            "index" => json!({"type": "integer", "minimum": 0}),
            "steps" => self.steps(place, depth),
            "item" => self.item(place, depth),
            "last" => self.last(place, depth),
            // What rules see is made by the rules before.
            _ => open(),
        }
    }

    /// All steps that have ended at a place.
    fn steps(&self, place: Place, depth: usize) -> Value {
        let mut left = TOGETHER;
        let mut steps = Map::new();
        for (id, ix) in &self.flat.by_id {
            if self.scopes.why_not_upstream(*ix, place).is_some() {
                continue;
            }
            let output = self.output(*ix, depth + 1);
            let bytes = json_len(&output);
            let output = if bytes <= left { output } else { open() };
            left = left.saturating_sub(bytes);
            steps.insert((*id).to_owned(), step(output));
        }
        json!({"type": "object", "properties": steps})
    }

    /// The items of the nearest `for_each` around.
    fn item(&self, place: Place, depth: usize) -> Value {
        let Some((owner, items)) = self.around(place, Holds::items) else { return open() };
        within(&self.expression(items, Place::Node(owner), depth + 1), &["0"])
    }

    /// The output of the nearest `loop` around; null before there is one.
    fn last(&self, place: Place, depth: usize) -> Value {
        let again = match place {
            Place::Until(ix) => Some(ix),
            Place::Node(_) | Place::Rule(..) | Place::Output(_) => {
                self.around(place, |holds| holds.has_last().then_some(())).map(|(owner, ())| owner)
            }
        };
        let body = again.and_then(|ix| self.flat.nodes[ix as usize].body);
        let Some(body) = body else { return open() };
        let output = self.of_graph(body, depth + 1);
        match place {
            // The round is done.
            Place::Until(_) => output,
            Place::Node(_) | Place::Rule(..) | Place::Output(_) => {
                bounded(json!({"anyOf": [output, {"type": "null"}]}))
            }
        }
    }

    /// Returns the nearest node around a place of whose body something is wanted, and that.
    fn around<T>(&self, place: Place, wanted: impl Fn(Holds<'a>) -> Option<T>) -> Option<(NodeIx, T)> {
        let mut graph = self.scopes.graph_of(place);
        loop {
            let owner = self.flat.graphs[graph as usize].owner?;
            let at = &self.flat.nodes[owner as usize];
            if let Some(found) = at.node.kind.holds().and_then(&wanted) {
                return Some((owner, found));
            }
            graph = at.graph;
        }
    }

    /// The output of a node.
    fn output(&self, ix: NodeIx, depth: usize) -> Value {
        let at = &self.flat.nodes[ix as usize];
        if depth > DEPTH || self.opaque.contains(&at.path) {
            return open();
        }
        if at.node.disabled {
            return json!({"type": "null"});
        }
        if let Some(known) = self.outputs.borrow().get(&ix) {
            return known.clone();
        }
        // Whoever asks for it while it is looked for has come in a circle.
        self.outputs.borrow_mut().insert(ix, open());
        let own = match (at.node.kind.holds(), at.body) {
            (Some(holds), Some(body)) => {
                let round = self.of_graph(body, depth + 1);
                // One for each item, or the last one.
                if holds.items().is_some() { json!({"type": "array", "items": round}) } else { round }
            }
            (Some(_) | None, _) => at.node.kind.output(),
        };
        let output = match &at.node.on_error {
            OnError::Default(value) => json!({"anyOf": [own, {"const": value}]}),
            OnError::Fail | OnError::Branch => own,
        };
        let output = bounded(output);
        self.outputs.borrow_mut().insert(ix, output.clone());
        output
    }

    /// What a graph gives.
    fn of_graph(&self, graph: GraphIx, depth: usize) -> Value {
        if depth > DEPTH {
            return open();
        }
        let at = &self.flat.graphs[graph as usize];
        if let Some(output) = at.output {
            return bounded(self.template(output, Place::Output(graph), depth + 1));
        }
        // The last node that completes gives it, whichever that is.
        let links = &self.links[graph as usize];
        let mut ends = links.ends.iter().filter(|(_, _, children)| children.is_empty());
        match (ends.next(), ends.next(), links.ends.len()) {
            (Some((ix, ..)), None, 1) => self.output(*ix, depth + 1),
            _ => open(),
        }
    }

    /// What a template gives.
    fn template(&self, template: &Value, place: Place, depth: usize) -> Value {
        match template {
            Value::String(text) => match expr::whole(text) {
                Some(source) => self.expression(source, place, depth + 1),
                None => json!({"type": "string"}),
            },
            Value::Object(map) => {
                let fields: Map<String, Value> = map
                    .iter()
                    .map(|(key, item)| (key.clone(), self.template(item, place, depth + 1)))
                    .collect();
                let required: Vec<&String> = map.keys().collect();
                json!({"type": "object", "required": required, "properties": fields})
            }
            Value::Array(_) => json!({"type": "array"}),
            Value::Number(_) => json!({"type": "number"}),
            Value::Bool(_) => json!({"type": "boolean"}),
            Value::Null => json!({"type": "null"}),
        }
    }

    /// What an expression gives that is a path; anything else may give anything.
    fn expression(&self, source: &str, place: Place, depth: usize) -> Value {
        let Some(path) = expr::path(source).filter(|_| depth <= DEPTH) else { return open() };
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if !self.scopes.roots(place).contains(&path[0]) {
            return open();
        }
        match path.as_slice() {
            // Of all the steps only this one is looked at.
            ["steps", id, rest @ ..] => match (self.flat.by_id.get(id), rest) {
                (Some(ix), ["output", rest @ ..]) if self.scopes.why_not_upstream(*ix, place).is_none() => {
                    within(&self.output(*ix, depth + 1), rest)
                }
                (Some(_), rest) => within(&step(open()), rest),
                (None, _) => open(),
            },
            [root, rest @ ..] => within(&self.of_root(root, place, depth + 1), rest),
            [] => open(),
        }
    }
}

/// What a step holds.
fn step(output: Value) -> Value {
    json!({"type": "object", "required": ["status"], "properties": {
        "status": {"enum": ["completed", "failed", "skipped", "cancelled"]},
        "output": output,
        "error": {"type": "object", "properties": {
            "code": {"type": "string"}, "message": {"type": "string"}, "details": {}}}}})
}

/// Follows a path through a schema, as far as the schema goes.
fn within(schema: &Value, path: &[&str]) -> Value {
    let mut at = schema;
    for part in path {
        at = resolved(schema, at);
        let is_index = part.bytes().all(|b| b.is_ascii_digit());
        let next = match at.get("properties").and_then(|fields| fields.get(part)) {
            Some(field) => Some(field),
            None if is_index => at.get("items"),
            None => at.get("additionalProperties"),
        };
        match next {
            Some(next) if next.is_object() => at = next,
            Some(_) | None => return open(),
        }
    }
    let mut found = resolved(schema, at).clone();
    // What it refers to stands in the whole.
    if has_reference(&found) {
        match (schema.get("$defs"), found.as_object_mut()) {
            (Some(defs), Some(found)) => drop(found.insert("$defs".to_owned(), defs.clone())),
            (Some(_) | None, _) => return open(),
        }
    }
    bounded(found)
}

fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let path = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
    path.and_then(|path| root.pointer(path)).unwrap_or(schema)
}

fn has_reference(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => map.contains_key("$ref") || map.values().any(has_reference),
        Value::Array(items) => items.iter().any(has_reference),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Leaves a schema open that is too large.
fn bounded(schema: Value) -> Value {
    if json_len(&schema) > LARGEST { open() } else { schema }
}
