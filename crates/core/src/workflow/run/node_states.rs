//! Where each node of the workflow's own graph stands, by index: derived from the steps, so that finding what is
//! ready does not search maps. Bodies are small and do without.

use super::{Run, Step, StepKey, StepState};
use crate::workflow::{
    kinds::Branch,
    plan::{NodeIx, Plan},
};
use std::{collections::BTreeSet, sync::Arc};

/// Where a node stands in the current generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NodeState {
    /// It has no step yet.
    #[default]
    None,
    /// Its step has not ended.
    Open,
    /// With the branch by which it ended, where its kind has any.
    Completed(Option<Branch>),
    Failed,
    Skipped,
    Cancelled,
}

impl Run {
    /// Gives a state its plan, before anything is folded or decided: without it the end of a body drops no steps.
    pub fn attach(&mut self, plan: Arc<Plan>) {
        self.node_states = vec![NodeState::None; plan.nodes.len()];
        self.plan = Some(plan.clone());
        for ix in &plan.graphs[0].nodes {
            self.note_node(&plan, *ix);
        }
    }

    /// Returns the step of a node in the current generation, or the kept one of an earlier.
    pub fn step_of(&self, plan: &Plan, ix: NodeIx, path: &str) -> Option<(StepKey, &Step)> {
        let id = &plan.node(ix).node.id;
        let newest = self.generation();
        let mut generation = newest;
        loop {
            let key = StepKey::new(generation, id, path);
            if let Some(step) = self.steps.get(&key) {
                let kept = generation == newest
                    // Of earlier generations only finished work is kept. What failed or was cancelled is as if it had
                    // not begun.
                    || matches!(step.state, StepState::Completed { .. } | StepState::Skipped);
                return kept.then_some((key, step));
            }
            // A body's steps belong to one generation; a node that is run again has nothing kept.
            if generation <= 1 || !path.is_empty() || self.reruns(plan, generation, ix) {
                return None;
            }
            generation -= 1;
        }
    }

    /// Whether this generation runs the node again: it is the rerun's start, or lies behind it.
    fn reruns(&self, plan: &Plan, generation: u32, ix: NodeIx) -> bool {
        let from = self.generations.get(generation as usize - 1).and_then(|g| g.from.as_ref());
        // The first generation starts from nowhere: it runs every node.
        let Some(start) = from.and_then(|id| plan.by_id.get(id)) else { return true };
        let mut seen = BTreeSet::from([*start]);
        let mut next = vec![*start];
        while let Some(node) = next.pop() {
            if node == ix {
                return true;
            }
            // `seen` keeps a node with several parents from being walked once for each path to it.
            next.extend(plan.node(node).children.iter().map(|l| l.node).filter(|n| seen.insert(*n)));
        }
        false
    }

    /// Returns where a node of the workflow's own graph stands.
    pub(in crate::workflow) fn node_state(&self, ix: NodeIx) -> NodeState {
        self.node_states.get(ix as usize).copied().unwrap_or_default()
    }

    /// Notes a changed step of the workflow's own graph.
    pub(super) fn note(&mut self, key: &StepKey) {
        let Some(plan) = self.plan.clone() else { return };
        if key.iteration.is_empty()
            && let Some(ix) = plan.by_id.get(&*key.node)
        {
            self.note_node(&plan, *ix);
        }
    }

    /// Notes that a new generation has begun, or that all open steps ended.
    pub(super) fn note_all(&mut self) {
        if let Some(plan) = self.plan.clone() {
            self.attach(plan);
        }
    }

    fn note_node(&mut self, plan: &Plan, ix: NodeIx) {
        let state = match self.step_of(plan, ix, "").map(|(_, step)| &step.state) {
            None => NodeState::None,
            Some(state) => NodeState::of(state),
        };
        if let Some(place) = self.node_states.get_mut(ix as usize) {
            *place = state;
        }
    }
}

impl NodeState {
    /// Returns where a node stands whose step is in this state. A branch that only a later version knows counts as
    /// none, so that edges with a branch are not taken.
    pub fn of(state: &StepState) -> Self {
        match state {
            StepState::Started { .. } | StepState::Retrying { .. } | StepState::Unknown => NodeState::Open,
            StepState::Completed { branch, .. } => {
                NodeState::Completed(branch.as_deref().and_then(Branch::named))
            }
            StepState::Failed => NodeState::Failed,
            StepState::Skipped => NodeState::Skipped,
            StepState::Cancelled => NodeState::Cancelled,
        }
    }

    /// Whether an edge from a node in this state is taken. `branch` is the edge's, `None` for an edge without one.
    pub fn takes(self, branch: Option<Branch>) -> bool {
        match (self, branch) {
            (NodeState::Completed(_), None) => true,
            (NodeState::Completed(ended), Some(branch)) => ended == Some(branch),
            (NodeState::Failed, branch) => branch == Some(Branch::Error),
            (NodeState::None | NodeState::Open | NodeState::Skipped | NodeState::Cancelled, _) => false,
        }
    }
}
