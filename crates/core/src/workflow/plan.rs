//! A checked definition: inside, nothing needs checking again.
//!
//! `compile` decides what a definition means; beside it stand the definition laid flat, the edges of its graphs, what
//! each place may look at, and the rules of each kind of node. Mistakes of shape are found by `read` before.

pub(super) mod compile;
mod flat;
mod graph;
mod guards;
mod node;
mod scope;

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
    pub definition: Arc<Definition>,
    /// The workflow's graph first, then the bodies.
    pub graphs: Vec<Graph>,
    /// All nodes of all graphs.
    pub nodes: Vec<PlanNode>,
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
    pub node: Node,
    pub graph: GraphIx,
    /// The graph of its body, for `for_each` and `loop`.
    pub body: Option<GraphIx>,
    pub parents: Vec<Link>,
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
    /// Checks everything that can be checked before a run, and reports all problems at once.
    pub fn compile(definition: Definition, around: &Surroundings) -> Result<Plan, Vec<Problem>> {
        compile::compile(definition, &BTreeSet::new(), vec![], Some(around))
    }

    /// Reads and compiles, so that mistakes of shape and of meaning come together.
    pub fn compile_value(value: Value, around: &Surroundings) -> Result<Plan, Vec<Problem>> {
        let read = read::readable(value)?;
        compile::compile(read.definition, &read.opaque, read.problems, Some(around))
    }

    /// Reads a text and compiles it, so that mistakes of shape and of meaning come together.
    pub fn compile_text(text: &str, format: Format, around: &Surroundings) -> Result<Plan, Vec<Problem>> {
        Self::compile_value(document::parse(text, format).map_err(|p| vec![p])?, around)
    }

    pub fn node(&self, ix: NodeIx) -> &PlanNode {
        &self.nodes[ix as usize]
    }

    pub fn join(&self, ix: NodeIx) -> Join {
        self.node(ix).node.join
    }
}

#[cfg(test)]
mod tests;
