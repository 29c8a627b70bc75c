//! A checked definition: inside, nothing needs checking again.
//!
//! `compile` decides what a definition means; beside it stand the definition laid flat, the edges of its graphs, what
//! each place may look at, and the rules of each kind of node. Mistakes of shape are found by `read` before.

pub(super) mod compile;
mod flat;
mod graph;
mod guards;
mod names;
mod node;
mod scope;

pub use names::{Names, Places};

use super::{
    definition::{Definition, Join, Node},
    kinds::Branch,
    pin::Pin,
    read,
};
use crate::{
    Problem,
    document::{self, Format},
    expr::Reads,
    schema,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Nodes of one definition, those in bodies included.
pub const NODES_LIMIT: usize = 1_000;
/// Edges of one definition, those in bodies included.
pub const EDGES_LIMIT: usize = 5_000;
/// Bodies within bodies.
pub const BODY_DEPTH: usize = 8;

/// Index of a node in its plan.
pub type NodeIx = u32;
/// Index of a graph in its plan: 0 is the workflow itself, the others are bodies.
pub type GraphIx = u32;

/// A compiled definition.
#[derive(Debug)]
pub struct Plan {
    /// The definition as it was read; a run records this one.
    pub definition: Arc<Definition>,
    /// The workflow's graph first, then the bodies.
    pub graphs: Vec<Graph>,
    /// All nodes of all graphs.
    pub nodes: Vec<PlanNode>,
    /// Every node by its id. Ids are unique across bodies.
    pub by_id: BTreeMap<String, NodeIx>,
    /// Names of the secrets that its calls refer to.
    pub secrets: BTreeSet<String>,
    /// Names of the agents that it asks.
    pub agents: BTreeSet<String>,
    /// Who those are; none of a run that began before that was recorded.
    pub pin: Option<Pin>,
}

/// A graph of nodes: the workflow, or the body of a `for_each` or `loop`.
#[derive(Debug)]
pub struct Graph {
    /// The node whose body this is; none for the workflow itself.
    pub owner: Option<NodeIx>,
    /// In topological order.
    pub nodes: Vec<NodeIx>,
    /// Template of the graph's output, if the definition gives one.
    pub output: Option<Value>,
    /// What that template reads.
    pub output_reads: Reads,
}

/// A node with its surroundings.
#[derive(Debug)]
pub struct PlanNode {
    /// The node as the definition has it.
    pub node: Node,
    /// The graph in which it stands.
    pub graph: GraphIx,
    /// The graph of its body, for `for_each` and `loop`.
    pub body: Option<GraphIx>,
    /// The edges that lead here. Two edges may come from the same node by different branches.
    pub parents: Vec<Link>,
    /// The edges that lead away.
    pub children: Vec<Link>,
    /// What the node's own configuration reads when it starts (for a `loop`, not its `until`).
    pub reads: Reads,
    /// What a loop's `until` reads.
    pub until_reads: Reads,
    /// The node whose sending an approval covers.
    pub guards: Option<NodeIx>,
    /// The approvals that cover what this node sends.
    pub guarded_by: Vec<NodeIx>,
}

/// One edge seen from one of its ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The node at the other end.
    pub node: NodeIx,
    /// The branch that the edge takes; `None` if it is taken whenever the node at its source completes.
    pub branch: Option<Branch>,
}

/// What a plan is checked against.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Ids of the agents that exist.
    pub agents: BTreeSet<String>,
    /// Secrets that say to which hosts they may go.
    pub bound_secrets: BTreeSet<String>,
}

// === impl Plan ===

impl Plan {
    /// Checks everything that can be checked before a run. Errs with all problems at once, sorted by where they are.
    pub fn compile(definition: Definition, around: &Surroundings) -> Result<Plan, Vec<Problem>> {
        compile::compile(definition, &BTreeSet::new(), vec![], Some(around))
    }

    /// Reads and compiles, so that mistakes of shape and of meaning come together. Errs as `compile` does.
    pub fn compile_value(value: Value, around: &Surroundings) -> Result<Plan, Vec<Problem>> {
        let read = read::readable(value)?;
        compile::compile(read.definition, &read.opaque, read.problems, Some(around))
    }

    /// Reads a text and compiles it. Errs as `compile` does, or with the one problem that keeps the text from being
    /// read.
    pub fn compile_text(text: &str, format: Format, around: &Surroundings) -> Result<Plan, Vec<Problem>> {
        Self::compile_value(document::parse(text, format).map_err(|p| vec![p])?, around)
    }

    /// Returns the input that a run is recorded with: what was given, with the defaults of the definition's schema for what
    /// was left out. Nothing given is the schema's own default, or `{}`. Errs with what the schema does not allow.
    ///
    /// Whatever hands an input to a run takes it from here, and whatever compares one with a recorded one, too.
    pub fn input_of(&self, given: Option<Value>) -> Result<Value, Vec<Problem>> {
        let Some(schema) = &self.definition.input else {
            return Ok(given.unwrap_or_else(|| Value::Object(Default::default())));
        };
        schema::filled(schema, given).map_err(|problems| {
            let at = |path: &str| if path.is_empty() { "input".to_owned() } else { format!("input.{path}") };
            problems.into_iter().map(|p| Problem { path: at(&p.path), ..p }).collect()
        })
    }

    /// Returns a node. `ix` must be one of this plan's.
    pub fn node(&self, ix: NodeIx) -> &PlanNode {
        &self.nodes[ix as usize]
    }

    /// Returns when a node with several incoming edges starts.
    pub fn join(&self, ix: NodeIx) -> Join {
        self.node(ix).node.join
    }
}

#[cfg(test)]
mod tests;
