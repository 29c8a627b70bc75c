//! What a schema costs, measured before it is used: as a graph of its parts, then over a value.
//!
//! A few lines of `$ref` can ask for more evaluations than any machine makes, and for as many errors. So a schema is
//! first laid out as a graph. One whose parts apply to the same value too often, in a circle or too deep is refused
//! for good. What parts of it come to over the levels of a value, its lists and its texts is known only with the
//! value: [`Graph::weigh`] walks it as the validator would, without its short cuts, and stops where it is too much.

use super::parts::{Costly, Graph, IN_PLACE, NESTED, Part, values};
use serde_json::Value;
use std::{
    collections::{BTreeMap, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

/// What checking one value may cost: about one for each evaluation of a part.
const WORK: u64 = 2_000_000;
/// Parts under way at once, over all levels of the value: each takes native stack.
const STACK: usize = 1_000;
/// Work for each evaluation of a part that looks at what the others left over: they are asked once more for it.
const LEFT_OVER: u64 = 3;

// === the layout ===

impl Graph {
    /// Lays a schema out and refuses one that no value could be checked against in reasonable time.
    pub fn new(schema: &Value) -> Result<Self, Costly> {
        let mut graph = Graph::default();
        drop(graph.lay_out(schema)?);
        graph.measure()?;
        Ok(graph)
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
        self.weigh_by(0, value)
    }

    /// The same, for one part.
    pub fn weigh_by(&self, part: usize, value: &Value) -> bool {
        self.within(part, value, WORK, |_| 0)
    }

    /// Whether all errors there could be, each with the value it is about, are within `most` values.
    pub fn explainable(&self, value: &Value, most: u64) -> bool {
        // Sizes of lists, objects and long texts, by their address: a part may look at the same one many times.
        let mut sizes: BTreeMap<*const Value, u64> = BTreeMap::new();
        size(value, &mut sizes, most) <= most
            && self
                .within(0, value, most, |value| sizes.get(&std::ptr::from_ref(value)).copied().unwrap_or(1))
    }

    /// Whether a walk over `value` spends no more than `most`.
    fn within(&self, part: usize, value: &Value, most: u64, look: impl FnMut(&Value) -> u64) -> bool {
        let mut walk = Walk { graph: self, left: most, look };
        self.parts.is_empty() || walk.part(part, value, 1, 0).is_some()
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
