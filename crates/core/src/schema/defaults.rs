//! The defaults that a schema gives: what a value is that was left out.
//!
//! Followed is what holds whatever the value is: `properties`, `items`, `prefixItems`, `additionalProperties`, `allOf` and
//! `$ref`. Under `anyOf`, `oneOf`, `if` and the like a default would depend on a choice that may depend on the default, so
//! there none is taken.

use super::{TOO_COSTLY, join, parts::Graph};
use crate::{Problem, json, value::VALUE_LIMIT, value::json_len};
use jsonschema::{Draft, Registry};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Parts that may be looked at while one value is filled.
const WORK: u64 = 2_000_000;

/// Why a value is not filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Endless {
    #[error("the schema's defaults come to more than {} values", json::VALUES)]
    TooMany,
    #[error("the schema's defaults come to more than {VALUE_LIMIT} bytes")]
    TooLarge,
    #[error(
        "the schema's defaults nest deeper than {} levels: a default may lead back to itself",
        json::DEPTH
    )]
    TooDeep,
    #[error("to find the schema's defaults for this value takes too much work")]
    Work,
}

impl Graph {
    /// Returns what a value is that nobody gave, if the schema says so.
    pub fn default_of_all(&self) -> Option<&Value> {
        if self.parts.is_empty() { None } else { self.default_of(&[0]) }
    }

    /// Puts the defaults into `value` for everything that is left out of it. What is there stays, also where it is null.
    pub fn fill(&self, value: &mut Value) -> Result<(), Vec<Problem>> {
        if self.parts.is_empty() {
            return Ok(());
        }
        self.fill_by(0, value).map_err(|why| vec![Problem::new("", TOO_COSTLY, why.to_string())])
    }

    fn fill_by(&self, part: usize, value: &mut Value) -> Result<(), Endless> {
        if self.parts.iter().all(|part| part.default.is_none()) {
            return Ok(());
        }
        let mut filling = Filling {
            graph: self,
            leads: self.leading(),
            work: WORK,
            values: json::VALUES as u64,
            bytes: VALUE_LIMIT,
        };
        filling.value(&[part], value, 0)
    }

    /// The parts that hold for a value of which these hold: they themselves, in the order in which they are asked.
    fn flat(&self, parts: &[usize]) -> Vec<usize> {
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        let mut open: Vec<usize> = parts.iter().rev().copied().collect();
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                found.push(at);
                open.extend(self.parts[at].always.iter().rev());
            }
        }
        found
    }

    fn default_of(&self, parts: &[usize]) -> Option<&Value> {
        self.flat(parts).into_iter().find_map(|at| self.parts[at].default.as_ref())
    }

    /// Says of each part whether it leads to a default.
    fn leading(&self) -> Vec<bool> {
        let mut comes_from: Vec<Vec<usize>> = vec![Vec::new(); self.parts.len()];
        for (at, part) in self.parts.iter().enumerate() {
            let below = part.always.iter().chain(part.properties.values()).chain(&part.additional);
            for next in below.chain(&part.first_items).chain(&part.other_items) {
                comes_from[*next].push(at);
            }
        }
        let mut leads = vec![false; self.parts.len()];
        let mut open: Vec<usize> = self
            .parts
            .iter()
            .enumerate()
            .filter(|(_, part)| part.default.is_some())
            .map(|(at, _)| at)
            .collect();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut leads[at], true) {
                open.extend(&comes_from[at]);
            }
        }
        leads
    }
}

/// Lists, objects, keys and scalars of a value.
fn count(value: &Value) -> u64 {
    match value {
        Value::Array(items) => 1 + items.iter().map(count).sum::<u64>(),
        Value::Object(map) => 1 + map.values().map(|value| 1 + count(value)).sum::<u64>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// A value that is being filled.
struct Filling<'g> {
    graph: &'g Graph,
    leads: Vec<bool>,
    /// Looks at parts that are left.
    work: u64,
    /// Values and bytes that defaults may still add.
    values: u64,
    bytes: usize,
}

impl Filling<'_> {
    fn value(&mut self, parts: &[usize], value: &mut Value, depth: usize) -> Result<(), Endless> {
        if !parts.iter().any(|at| self.leads[*at]) {
            return Ok(());
        }
        if depth > json::DEPTH {
            return Err(Endless::TooDeep);
        }
        let parts = self.graph.flat(parts);
        self.work = self.work.checked_sub(parts.len() as u64).ok_or(Endless::Work)?;
        match value {
            Value::Object(map) => self.object(&parts, map, depth),
            Value::Array(items) => {
                for (i, item) in items.iter_mut().enumerate() {
                    let below: Vec<usize> =
                        parts.iter().flat_map(|at| self.graph.item(*at, i)).copied().collect();
                    self.value(&below, item, depth + 1)?;
                }
                Ok(())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn object(&mut self, parts: &[usize], map: &mut Map<String, Value>, depth: usize) -> Result<(), Endless> {
        let graph = self.graph;
        for name in parts.iter().flat_map(|at| &graph.parts[*at].order) {
            self.work = self.work.checked_sub(1).ok_or(Endless::Work)?;
            if !map.contains_key(name) {
                let of_name: Vec<usize> =
                    parts.iter().filter_map(|at| graph.parts[*at].properties.get(name)).copied().collect();
                if let Some(default) = graph.default_of(&of_name) {
                    self.values = self.values.checked_sub(1 + count(default)).ok_or(Endless::TooMany)?;
                    self.bytes = self.bytes.checked_sub(json_len(default)).ok_or(Endless::TooLarge)?;
                    map.insert(name.clone(), default.clone());
                }
            }
        }
        for (name, value) in map {
            self.work = self.work.checked_sub(parts.len() as u64).ok_or(Endless::Work)?;
            let below: Vec<usize> = parts.iter().filter_map(|at| graph.field(*at, name)).collect();
            self.value(&below, value, depth + 1)?;
        }
        Ok(())
    }
}

impl Graph {
    /// The part of a field of an object.
    fn field(&self, at: usize, name: &str) -> Option<usize> {
        let part = &self.parts[at];
        // Which names a pattern takes, and so leaves to `additionalProperties`, is not asked.
        let additional = part.additional.filter(|_| part.patterns.is_empty());
        part.properties.get(name).copied().or(additional)
    }

    /// The parts of an item of a list.
    fn item(&self, at: usize, i: usize) -> &[usize] {
        let part = &self.parts[at];
        part.first_items.get(i..=i).unwrap_or(&part.other_items)
    }
}

/// Returns what is wrong with the defaults of a schema that is valid otherwise; paths are inside the schema.
pub(super) fn mistakes(schema: &Value) -> Vec<Problem> {
    const BASE: &str = "json-schema:///input";
    let mut graph = Graph::default();
    let Ok(known) = graph.lay_out(schema) else { return Vec::new() };
    if graph.parts.iter().all(|part| part.default.is_none()) {
        return Vec::new();
    }
    let mut places = BTreeMap::new();
    pointers(schema, &Place::default(), &known, &mut places);
    // Only what is followed is taken, so nothing else can be wrong.
    let taken = graph.taken();
    let mut problems = Vec::new();
    let (mut parts, mut filled) = (Vec::new(), Vec::new());
    for (at, part) in graph.parts.iter().enumerate() {
        let (Some(default), Some(place)) = (&part.default, places.get(&at)) else { continue };
        if !taken.contains(&at) {
            continue;
        }
        let mut value = default.clone();
        match graph.fill_by(at, &mut value) {
            Ok(()) if graph.weigh_by(at, &value) => {
                parts.push(place);
                filled.push(value);
            }
            Ok(()) => problems.push(place.problem(TOO_COSTLY, "checking the default takes too much work")),
            Err(why) => problems.push(place.problem(TOO_COSTLY, why.to_string())),
        }
    }
    // All of them are the items of one list, so that the schema is compiled once.
    let draft = Draft::default().detect(schema);
    let registry = Registry::new().draft(draft).add(BASE, draft.create_resource_ref(schema));
    let Ok(registry) = registry.and_then(|r| r.prepare()) else { return problems };
    let all: Vec<Value> =
        parts.iter().map(|place| json!({"$ref": format!("{BASE}{}", place.pointer)})).collect();
    let list = json!({"prefixItems": all});
    let Ok(validator) = super::options().with_registry(&registry).build(&list) else { return problems };
    let filled = Value::Array(filled);
    for error in validator.iter_errors(&filled) {
        let path = error.instance_path().to_string();
        let nth = path.split('/').nth(1).and_then(|n| n.parse::<usize>().ok());
        let Some(place) = nth.and_then(|n| parts.get(n)) else { continue };
        for problem in super::explain::problems(&error) {
            let within = problem.path.split_once(']').map_or("", |(_, rest)| rest.trim_start_matches('.'));
            let within = if within.is_empty() { String::new() } else { format!("{within}: ") };
            let message = format!("the default does not fit its own schema: {within}{}", problem.message);
            problems.push(place.problem("invalid_default", message));
            if problems.len() >= super::PROBLEMS {
                return problems;
            }
        }
    }
    problems
}

/// Where a part stands in its schema.
#[derive(Debug, Clone, Default)]
struct Place {
    /// As a fragment: `#/properties/lang`.
    pointer: String,
    /// As people write it: `properties.lang`.
    path: String,
}

impl Place {
    fn below(&self, key: &str) -> Self {
        let escaped = key.replace('~', "~0").replace('/', "~1");
        let mut pointer = if self.pointer.is_empty() { "#".to_owned() } else { self.pointer.clone() };
        pointer.push('/');
        for byte in escaped.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    pointer.push(byte.into())
                }
                _ => pointer.push_str(&format!("%{byte:02X}")),
            }
        }
        Self { pointer, path: join(&self.path, key) }
    }

    fn item(&self, i: usize) -> Self {
        Self { path: format!("{}[{i}]", self.path), ..self.below(&i.to_string()) }
    }

    fn problem(&self, code: &str, message: impl Into<String>) -> Problem {
        Problem::new(join(&self.path, "default"), code, message)
    }
}

/// Finds the places of all parts that are known by their address.
fn pointers(
    at: &Value,
    place: &Place,
    known: &BTreeMap<*const Value, usize>,
    found: &mut BTreeMap<usize, Place>,
) {
    if let Some(part) = known.get(&std::ptr::from_ref(at)) {
        found.insert(*part, place.clone());
    }
    match at {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| pointers(value, &place.below(key), known, found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, value)| pointers(value, &place.item(i), known, found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Graph {
    /// The parts that are reached by what is followed.
    fn taken(&self) -> BTreeSet<usize> {
        let (mut seen, mut open) = (BTreeSet::new(), vec![0]);
        while let Some(at) = open.pop() {
            if seen.insert(at) {
                let part = &self.parts[at];
                let additional = part.additional.filter(|_| part.patterns.is_empty());
                open.extend(part.always.iter().chain(part.properties.values()).chain(&additional));
                open.extend(part.first_items.iter().chain(&part.other_items));
            }
        }
        seen
    }
}
