//! What a schema costs, measured before it is used: as a graph of its parts, then over a value.
//!
//! A few lines of `$ref` can ask for more evaluations than any machine makes, and for as many errors. So a schema is
//! first laid out as a graph. One whose parts apply to the same value too often, in a circle or too deep is refused
//! for good. What parts of it come to over the levels of a value, its lists and its texts is known only with the
//! value: [`Graph::weigh`] walks it as the validator would, without its short cuts, and stops where it is too much.

use super::pattern;
use jsonschema::{Draft, Registry, uri};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

/// Evaluations of one value by a schema and its parts in place.
const IN_PLACE: u64 = 10_000;
/// Parts applied in place one inside the other.
const NESTED: usize = 300;
/// Parts of one schema, with what its references lead to.
const PARTS: usize = 50_000;
/// What checking one value may cost: about one for each evaluation of a part.
const WORK: u64 = 2_000_000;
/// Parts under way at once, over all levels of the value: each takes native stack.
const STACK: usize = 1_000;
/// Work for each evaluation of a part that looks at what the others left over: they are asked once more for it.
const LEFT_OVER: u64 = 3;

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
    parts: Vec<Part>,
}

/// One subschema.
#[derive(Debug, Default)]
struct Part {
    /// Where it stands, for messages.
    at: String,
    /// Applied to the same value.
    in_place: Vec<usize>,
    /// What it costs by itself: one, and what it compares with.
    own: u64,
    /// It has `unevaluated…`.
    left_over: bool,
    /// No two items of a list may be equal.
    unique: bool,
    /// Places of its `pattern`.
    pattern: u64,
    /// A text is read as JSON, or as a pattern: work for each byte.
    each_byte: u64,
    /// The part for the names of an object's fields.
    names: Option<usize>,
    /// The part of each named field.
    properties: BTreeMap<String, usize>,
    /// With the places of each pattern.
    patterns: Vec<(u64, usize)>,
    /// The parts for fields that no name and no pattern takes.
    other_properties: Vec<usize>,
    /// The parts for the first items of a list, one each.
    first_items: Vec<usize>,
    /// The parts for the items after those.
    other_items: Vec<usize>,
    /// The parts for every item of a list.
    every_item: Vec<usize>,
}

// === the layout ===

impl Graph {
    /// Lays a schema out and refuses one that no value could be checked against in reasonable time.
    pub fn new(schema: &Value) -> Result<Self, Costly> {
        let mut graph = Graph::default();
        graph.lay_out(schema)?;
        graph.measure()?;
        Ok(graph)
    }

    /// Names every part and what it leads to. Parts are known by their address in the document, so that one that is
    /// named often is laid out once.
    fn lay_out(&mut self, schema: &Value) -> Result<(), Costly> {
        const BASE: &str = "json-schema:///";
        let draft = Draft::default().detect(schema);
        let Ok(base) = uri::from_str(BASE) else { return Ok(()) };
        let registry = Registry::new().draft(draft).add(BASE, draft.create_resource_ref(schema));
        // References that can't be resolved are reported when the schema is compiled.
        let Ok(registry) = registry.and_then(|r| r.prepare()) else { return Ok(()) };
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
                    part.in_place.push(name(contents, resolver, draft, reference.to_owned()));
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
        Ok(())
    }

    /// Counts, for each part, the evaluations of one value that begin with it.
    fn measure(&self) -> Result<(), Costly> {
        let mut counted = vec![None; self.parts.len()];
        let mut under_way = vec![false; self.parts.len()];
        for at in 0..self.parts.len() {
            self.count(at, 0, &mut counted, &mut under_way)?;
        }
        Ok(())
    }

    /// Returns the evaluations, and how deep they nest.
    fn count(
        &self,
        at: usize,
        depth: usize,
        counted: &mut [Option<(u64, usize)>],
        under_way: &mut [bool],
    ) -> Result<(u64, usize), Costly> {
        if let Some(known) = counted[at] {
            return Ok(known);
        }
        let part = &self.parts[at];
        // The same part, for the same value, while it is still under way: this would never end.
        if under_way[at] {
            return Err(Costly::Circle(part.at.clone()));
        }
        if depth > NESTED {
            return Err(Costly::Nested);
        }
        under_way[at] = true;
        let (mut sum, mut deepest) = (0u64, 0);
        for next in &part.in_place {
            // Recursion is safe: `NESTED` bounds its depth.
            let (evaluations, nested) = self.count(*next, depth + 1, counted, under_way)?;
            sum = sum.saturating_add(evaluations);
            deepest = deepest.max(nested);
        }
        under_way[at] = false;
        // The numbers grow by the power of the nesting, so they saturate.
        let sum = sum.saturating_mul(part.times()).saturating_add(1);
        if sum > IN_PLACE {
            return Err(Costly::InPlace);
        }
        if deepest + 1 > NESTED {
            return Err(Costly::Nested);
        }
        counted[at] = Some((sum, deepest + 1));
        Ok((sum, deepest + 1))
    }
}

impl Part {
    /// How often the parts below are evaluated for one evaluation of this one.
    fn times(&self) -> u64 {
        if self.left_over { LEFT_OVER } else { 1 }
    }

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
                    self.in_place.extend(all.map(|v| name(v, key)));
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
                    }
                }
                "patternProperties" => {
                    for (pattern, value) in value.as_object().into_iter().flatten() {
                        let places = patterns.take(pattern).map_err(Costly::Patterns)?;
                        self.patterns.push((places, name(value, key)));
                    }
                }
                "additionalProperties" if schema(value) => self.other_properties.push(name(value, key)),
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

// === over a value ===

/// The walk over a value.
struct Walk<'g, V: FnMut(&Value) -> u64> {
    graph: &'g Graph,
    left: u64,
    /// What it costs that a value is looked at, beside the part's own work.
    look: V,
}

impl Graph {
    /// Whether checking `value` takes a bounded amount of work.
    pub fn weigh(&self, value: &Value) -> bool {
        self.within(value, WORK, |_| 0)
    }

    /// Whether all errors there could be, each with the value it is about, are within `most` values.
    pub fn explainable(&self, value: &Value, most: u64) -> bool {
        // Sizes of lists, objects and long texts, by their address: a part may look at the same one many times.
        let mut sizes: BTreeMap<*const Value, u64> = BTreeMap::new();
        size(value, &mut sizes, most) <= most
            && self.within(value, most, |value| sizes.get(&std::ptr::from_ref(value)).copied().unwrap_or(1))
    }

    /// Whether a walk over `value` spends no more than `most`.
    fn within(&self, value: &Value, most: u64, look: impl FnMut(&Value) -> u64) -> bool {
        let mut walk = Walk { graph: self, left: most, look };
        self.parts.is_empty() || walk.part(0, value, 1, 0).is_some()
    }
}

impl<V: FnMut(&Value) -> u64> Walk<'_, V> {
    /// Takes units. `None` ends the walk.
    fn spend(&mut self, units: u64) -> Option<()> {
        self.left = self.left.checked_sub(units)?;
        Some(())
    }

    /// Evaluates a part `times` over.
    fn part(&mut self, at: usize, value: &Value, times: u64, depth: usize) -> Option<()> {
        if depth > STACK {
            return None;
        }
        let graph = self.graph;
        let part = &graph.parts[at];
        let looked = (self.look)(value);
        // A product that overflows is more than any bound, so it ends the walk, too.
        self.spend(times.checked_mul(part.own + looked)?)?;
        let inner = times.checked_mul(part.times())?;
        let depth = depth + 1;
        for next in &part.in_place {
            self.part(*next, value, inner, depth)?;
        }
        match value {
            Value::String(text) => {
                let bytes = text.len() as u64;
                self.spend(times.checked_mul(matching(bytes, part.pattern) + bytes * part.each_byte)?)?;
            }
            Value::Array(items) => {
                if part.unique {
                    self.spend(times.checked_mul(comparisons(items))?)?;
                }
                for (next, item) in part.first_items.iter().zip(items) {
                    self.part(*next, item, inner, depth)?;
                }
                let others = items.get(part.first_items.len()..).unwrap_or_default();
                for next in &part.other_items {
                    others.iter().try_for_each(|item| self.part(*next, item, inner, depth))?;
                }
                for next in &part.every_item {
                    items.iter().try_for_each(|item| self.part(*next, item, inner, depth))?;
                }
            }
            Value::Object(map) => {
                // Where only names count, the schema's fields are walked: there may be fewer than in the value.
                let named =
                    part.names.is_none() && part.patterns.is_empty() && part.other_properties.is_empty();
                if named {
                    for (key, next) in &part.properties {
                        map.get(key).map_or(Some(()), |item| self.part(*next, item, inner, depth))?;
                    }
                } else {
                    map.iter().try_for_each(|(key, item)| self.property(part, key, item, inner, depth))?;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        Some(())
    }

    /// Evaluates what the part says of one field.
    fn property(&mut self, part: &Part, key: &str, item: &Value, times: u64, depth: usize) -> Option<()> {
        if let Some(names) = part.names {
            self.part(names, &Value::from(key), times, depth)?;
        }
        for (places, next) in &part.patterns {
            self.spend(times.checked_mul(1 + matching(key.len() as u64, *places))?)?;
            self.part(*next, item, times, depth)?;
        }
        match part.properties.get(key) {
            Some(next) => self.part(*next, item, times, depth),
            None => part.other_properties.iter().try_for_each(|next| self.part(*next, item, times, depth)),
        }
    }
}

/// What a pattern costs over a text: each place of it may be looked at with each byte.
fn matching(bytes: u64, places: u64) -> u64 {
    if places == 0 { 0 } else { bytes.saturating_mul(1 + places / 8) / 8 }
}

/// What it costs to find out that no two items are equal. The validator hashes them, but not how lists nest, and
/// compares those of one hash each with each.
fn comparisons(items: &[Value]) -> u64 {
    let mut alike: BTreeMap<u64, u64> = BTreeMap::new();
    let mut all = 0u64;
    for item in items {
        let mut hasher = DefaultHasher::new();
        flat(item, &mut hasher);
        let same = alike.entry(hasher.finish()).or_default();
        *same += 1;
        all = all.saturating_add(values(item)).saturating_add(*same);
    }
    all
}

/// Hashes the scalars of a value in order.
fn flat(value: &Value, hasher: &mut impl Hasher) {
    match value {
        Value::Null => 0u8.hash(hasher),
        Value::Bool(b) => b.hash(hasher),
        Value::Number(n) => n.as_f64().unwrap_or_default().to_bits().hash(hasher),
        Value::String(text) => text.hash(hasher),
        Value::Array(items) => items.iter().for_each(|v| flat(v, hasher)),
        // An object's fields have no order, so their hashes are joined by a sum that has none either.
        Value::Object(map) => {
            let keys = map.keys().fold(0u64, |all, key| {
                let mut one = DefaultHasher::new();
                key.hash(&mut one);
                map.get(key).inspect(|v| flat(v, &mut one));
                all ^ one.finish()
            });
            keys.hash(hasher);
        }
    }
}

/// Notes the sizes of all lists, objects and long texts inside; stops noting past `most`.
fn size(value: &Value, sizes: &mut BTreeMap<*const Value, u64>, most: u64) -> u64 {
    let mut sum = 1u64;
    match value {
        Value::Array(items) => {
            for item in items {
                sum = sum.saturating_add(size(item, sizes, most));
                if sum > most {
                    return sum;
                }
            }
        }
        Value::Object(map) => {
            for item in map.values() {
                sum = sum.saturating_add(1 + size(item, sizes, most));
                if sum > most {
                    return sum;
                }
            }
        }
        Value::String(text) => sum += text.len() as u64 / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    if sum > 1 {
        sizes.insert(value, sum);
    }
    sum
}
