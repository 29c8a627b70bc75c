//! The plan of a run that has begun: its definition was checked when it was pinned, and agents may have come and gone.

use super::{
    definition::{Definition, Node, NodeKind},
    plan::{Plan, Surroundings},
};
use crate::Problem;
use std::collections::BTreeSet;

impl Plan {
    /// Compiles a definition that was checked before; its agents need not exist any more.
    pub fn pinned(definition: Definition) -> Result<Plan, Vec<Problem>> {
        let agents = definition.agents();
        Plan::compile(definition, &Surroundings { agents, recorded: true, ..Surroundings::default() })
    }
}

impl Definition {
    /// Returns the names of all agents it asks.
    pub fn agents(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let mut graphs: Vec<&[Node]> = vec![&self.nodes];
        while let Some(nodes) = graphs.pop() {
            for node in nodes {
                match &node.kind {
                    NodeKind::Agent(agent) => drop(names.insert(agent.agent.clone())),
                    NodeKind::ForEach(each) => graphs.push(&each.body.nodes),
                    NodeKind::Loop(again) => graphs.push(&again.body.nodes),
                    NodeKind::Transform(_)
                    | NodeKind::Condition(_)
                    | NodeKind::Wait(_)
                    | NodeKind::Signal(_)
                    | NodeKind::Approval(_)
                    | NodeKind::Http(_) => {}
                }
            }
        }
        names
    }
}
