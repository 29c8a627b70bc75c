//! A schema laid out as a graph: its parts, each once, and what every part leads to.
//!
//! What a schema costs (`cost`) and which defaults it gives (`defaults`) is found out over this graph.

use super::pattern;
use jsonschema::{Draft, Registry, uri};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Evaluations of one value by a schema and its parts in place.
pub(super) const IN_PLACE: u64 = 10_000;
/// Parts applied in place one inside the other.
pub(super) const NESTED: usize = 300;
/// Parts of one schema, with what its references lead to.
const PARTS: usize = 50_000;

/// Why a schema is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Costly {
    #[error(
        "the schema would check one value more than {IN_PLACE} times over: its parts (`$ref`, `allOf`, `anyOf`, \
         `oneOf`, …) name the same parts again and again"
    )]
    InPlace,
    #[error("the schema applies a part to the same value inside itself: `{0}` leads back to where it began")]
    Circle(String),
    #[error("the schema applies more than {NESTED} parts to the same value, one inside the other")]
    Nested,
    #[error("the schema has more than {PARTS} parts")]
    Parts,
    #[error("{0}")]
    Patterns(String),
}

/// A schema's parts and how they hang together.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub parts: Vec<Part>,
}

/// One subschema.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Where it stands, for messages.
    pub at: String,
    /// Applied to the same value.
    pub in_place: Vec<usize>,
    /// What it costs by itself: one, and what it compares with.
    pub own: u64,
    /// It has `unevaluated…`.
    pub left_over: bool,
    /// No two items of a list may be equal.
    pub unique: bool,
    /// Places of its `pattern`.
    pub pattern: u64,
    /// A text is read as JSON, or as a pattern: work for each byte.
    pub each_byte: u64,
    /// The part for the names of an object's fields.
    pub names: Option<usize>,
    /// The part of each named field.
    pub properties: BTreeMap<String, usize>,
    /// With the places of each pattern.
    pub patterns: Vec<(u64, usize)>,
    /// The parts for fields that no name and no pattern takes.
    pub other_properties: Vec<usize>,
    /// The parts for the first items of a list, one each.
    pub first_items: Vec<usize>,
    /// The parts for the items after those.
    pub other_items: Vec<usize>,
    /// The parts for every item of a list.
    pub every_item: Vec<usize>,
    /// The names of `properties` in the order in which the schema has them.
    pub order: Vec<String>,
    /// Those of `in_place` that hold whatever the value is: `$ref` and `allOf`.
    pub always: Vec<usize>,
    /// The part of `additionalProperties`.
    pub additional: Option<usize>,
    /// What a value is that nobody gave.
    pub default: Option<Value>,
}

// === the layout ===

impl Graph {
    /// Names every part and what it leads to. Parts are known by their address in the document, so that one that is
    /// named often is laid out once; the addresses are returned.
    pub fn lay_out(&mut self, schema: &Value) -> Result<BTreeMap<*const Value, usize>, Costly> {
        const BASE: &str = "json-schema:///";
        let draft = Draft::default().detect(schema);
        let Ok(base) = uri::from_str(BASE) else { return Ok(BTreeMap::new()) };
        let registry = Registry::new().draft(draft).add(BASE, draft.create_resource_ref(schema));
        // References that can't be resolved are reported when the schema is compiled.
        let Ok(registry) = registry.and_then(|r| r.prepare()) else { return Ok(BTreeMap::new()) };
        let mut known: BTreeMap<*const Value, usize> = BTreeMap::new();
        let mut patterns = pattern::Measured::default();
        let dynamic = anchored(schema);
        let mut open = vec![(schema, registry.resolver(base), draft)];
        known.insert(schema, 0);
        self.parts.push(Part { at: "#".into(), own: 1, ..Part::default() });
        while let Some((schema, resolver, draft)) = open.pop() {
            let Some(at) = known.get(&std::ptr::from_ref(schema)).copied() else { continue };
            let Some(map) = schema.as_object() else { continue };
            let resolver = resolver.in_subresource(draft.create_resource_ref(schema)).unwrap_or(resolver);
            let mut part = std::mem::take(&mut self.parts[at]);
            let mut name = |found, resolver, draft, place: String| {
                let next = self.parts.len();
                *known.entry(std::ptr::from_ref(found)).or_insert_with(|| {
                    self.parts.push(Part { at: place, own: 1, ..Part::default() });
                    open.push((found, resolver, draft));
                    next
                })
            };
            for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
                let Some(reference) = map.get(keyword).and_then(Value::as_str) else { continue };
                if let Ok(found) = resolver.lookup(reference) {
                    let (contents, resolver, draft) = found.into_inner();
                    let found = name(contents, resolver, draft, reference.to_owned());
                    part.in_place.push(found);
                    if keyword == "$ref" {
                        part.always.push(found);
                    }
                }
                // Which part a dynamic reference means depends on the way that led there, so all that it could be
                // count.
                let others = if keyword == "$ref" { &[][..] } else { &dynamic };
                for (anchor, found) in others {
                    let wanted = reference.rsplit_once('#').map_or("", |(_, anchor)| anchor);
                    if *anchor == wanted {
                        let place = name(found, resolver.clone(), draft, reference.to_owned());
                        if !part.in_place.contains(&place) {
                            part.in_place.push(place);
                        }
                    }
                }
            }
            let here = part.at.clone();
            let mut inner =
                |found, keyword: &str| name(found, resolver.clone(), draft, format!("{here}/{keyword}"));
            part.read(map, &mut patterns, &mut inner)?;
            self.parts[at] = part;
            if self.parts.len() > PARTS {
                return Err(Costly::Parts);
            }
        }
        Ok(known)
    }
}

impl Part {
    /// Takes in what the keywords say, whatever draft they are of.
    fn read<'v>(
        &mut self,
        map: &'v Map<String, Value>,
        patterns: &mut pattern::Measured,
        name: &mut impl FnMut(&'v Value, &str) -> usize,
    ) -> Result<(), Costly> {
        // Anything else in these places is no schema.
        let schema = |value: &Value| value.is_object() || value.is_boolean();
        for (keyword, value) in map {
            let key = keyword.as_str();
            match key {
                "allOf" | "anyOf" | "oneOf" => {
                    let all = value.as_array().into_iter().flatten().filter(|v| schema(v));
                    let all: Vec<usize> = all.map(|v| name(v, key)).collect();
                    if key == "allOf" {
                        self.always.extend(&all);
                    }
                    self.in_place.extend(all);
                }
                "not" | "if" | "then" | "else" if schema(value) => self.in_place.push(name(value, key)),
                "dependentSchemas" | "dependencies" => {
                    let all = value.as_object().into_iter().flat_map(Map::values).filter(|v| schema(v));
                    self.in_place.extend(all.map(|v| name(v, key)));
                }
                "properties" => {
                    for (property, value) in value.as_object().into_iter().flatten() {
                        let at = name(value, &format!("{key}/{property}"));
                        self.properties.insert(property.clone(), at);
                        self.order.push(property.clone());
                    }
                }
                "patternProperties" => {
                    for (pattern, value) in value.as_object().into_iter().flatten() {
                        let places = patterns.take(pattern).map_err(Costly::Patterns)?;
                        self.patterns.push((places, name(value, key)));
                    }
                }
                "additionalProperties" if schema(value) => {
                    let at = name(value, key);
                    self.other_properties.push(at);
                    self.additional = Some(at);
                }
                "unevaluatedProperties" if schema(value) => {
                    self.left_over = true;
                    self.other_properties.push(name(value, key));
                }
                "propertyNames" if schema(value) => self.names = Some(name(value, key)),
                "items" | "prefixItems" if value.is_array() => {
                    let all = value.as_array().into_iter().flatten().filter(|v| schema(v));
                    self.first_items = all.map(|v| name(v, key)).collect();
                }
                "items" | "additionalItems" if schema(value) => self.other_items.push(name(value, key)),
                "unevaluatedItems" if schema(value) => {
                    self.left_over = true;
                    self.every_item.push(name(value, key));
                }
                "contains" if schema(value) => self.every_item.push(name(value, key)),
                "enum" | "const" => self.own += values(value),
                // A name costs less than a value that is compared: eight of them count as one.
                "required" | "dependentRequired" => self.own += values(value) / 8,
                "uniqueItems" => self.unique |= value == true,
                "pattern" => {
                    if let Some(pattern) = value.as_str() {
                        self.pattern = patterns.take(pattern).map_err(Costly::Patterns)?;
                    }
                }
                "default" => self.default = Some(value.clone()),
                "contentMediaType" => self.each_byte += 1,
                "format" if value == "regex" => self.each_byte += 64,
                _ => {}
            }
        }
        Ok(())
    }
}

/// Returns the parts with a `$dynamicAnchor`, each with its name, and those with a `$recursiveAnchor` without one.
fn anchored(schema: &Value) -> Vec<(&str, &Value)> {
    let (mut found, mut open) = (Vec::new(), vec![schema]);
    while let Some(value) = open.pop() {
        if let Some(anchor) = value.get("$dynamicAnchor").and_then(Value::as_str) {
            found.push((anchor, value));
        }
        if value.get("$recursiveAnchor").is_some_and(|v| v == true) {
            found.push(("", value));
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(map) => open.extend(map.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    found
}

/// Counts a value's lists, objects and scalars.
pub(super) fn values(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(values).sum::<u64>(),
        Value::Object(map) => 1 + map.values().map(|v| 1 + values(v)).sum::<u64>(),
        Value::String(text) => 1 + text.len() as u64 / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}
