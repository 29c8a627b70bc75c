//! The names that each place of a definition can use, with what is known of their kinds as JSON Schema: for editors, of
//! definitions that may still have mistakes.
//!
//! Which names there are is asked of `Scopes`, which refuses the others. What they hold is read off schemas, kinds and the
//! paths that lead to them; what would take an evaluation to know is left open (`{}`).

mod kinds;

use super::{
    GraphIx, NodeIx, Plan,
    flat::{Flat, flatten},
    graph::{self, Links},
    scope::{Place, RULE_ROOTS, Scopes},
};
use crate::{Problem, workflow::read};
use kinds::Kinds;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Names with their JSON Schemas.
pub type Names = Map<String, Value>;

/// The names of each place, by its path below the node: `config`, `config.until`, `config.body.output`, `config.rules`; of
/// the workflow `output`. What stands deeper has the names of the nearest place above.
pub type Places = BTreeMap<&'static str, Names>;

impl Plan {
    /// Returns the names that the places of a node can use, or those of the workflow's own output. What is wrong elsewhere
    /// is no matter. Errs if the definition can't be read at all, or has no such node.
    pub fn names(definition: Value, node: Option<&str>) -> Result<Places, Vec<Problem>> {
        let read = read::readable(definition)?;
        let mut beside = Vec::new();
        let flat = flatten(&read.definition, &read.opaque, &mut beside);
        let links: Vec<Links> =
            flat.graphs.iter().map(|g| graph::link(&flat, g, &read.opaque, &mut beside)).collect();
        let scopes = Scopes::new(&flat, &links);
        let seen = Seen {
            flat: &flat,
            scopes: &scopes,
            kinds: Kinds::new(&read.definition, &flat, &links, &scopes, &read.opaque),
        };
        match node {
            None => Ok(Places::from([("output", seen.names(Place::Output(0)))])),
            Some(id) => match flat.by_id.get(id) {
                Some(ix) => Ok(seen.of_node(*ix)),
                None => Err(vec![Problem::new("node", "unknown_node", format!("there is no node `{id}`"))]),
            },
        }
    }
}

/// A definition, as its places see it.
struct Seen<'a> {
    flat: &'a Flat<'a>,
    scopes: &'a Scopes<'a>,
    kinds: Kinds<'a>,
}

impl Seen<'_> {
    fn of_node(&self, ix: NodeIx) -> Places {
        let at = &self.flat.nodes[ix as usize];
        let mut places = Places::from([("config", self.names(Place::Node(ix)))]);
        if let Some(holds) = at.node.kind.holds() {
            if holds.has_last() {
                places.insert("config.until", self.names(Place::Until(ix)));
            }
            if let Some(body) = at.body {
                places.insert("config.body.output", self.names(Place::Output(body)));
            }
        }
        if at.node.kind.has_rules() {
            places.insert("config.rules", self.names(Place::Rule(ix, RULE_ROOTS)));
        }
        places
    }

    fn names(&self, place: Place) -> Names {
        let roots: BTreeSet<&str> = self.scopes.roots(place).into_iter().collect();
        let of = |root: &&str| ((*root).to_owned(), self.kinds.of_root(root, place, 0));
        roots.iter().map(of).collect()
    }
}

/// What can be anything.
fn open() -> Value {
    json!({})
}

#[cfg(test)]
mod tests;
