//! What a trial makes of nodes that have not started: which of them run, and which have their outputs given.

use super::{Decision, Halt, ready::Ready};
use crate::{
    Datum,
    workflow::{decide::context::Scope, kinds::Branch, plan::NodeIx, run::StepState},
};
use std::collections::BTreeSet;

/// The part of a graph that a trial runs.
pub(super) enum Part {
    /// All of it, as always.
    Whole,
    /// A node and what leads to it.
    Until(BTreeSet<NodeIx>),
    /// One node, and what has its output given.
    Only(NodeIx),
}

impl Decision<'_> {
    /// Returns the part of a graph that runs. A body runs as a whole, where the node runs that it belongs to.
    pub(super) fn part(&self, scope: &Scope) -> Part {
        let Some(trial) = self.run.trial.as_ref().filter(|_| scope.graph == 0) else { return Part::Whole };
        let node = |id: &Option<String>| id.as_ref().and_then(|id| self.plan.by_id.get(id)).copied();
        match (node(&trial.only), node(&trial.until)) {
            (Some(only), _) => Part::Only(only),
            (None, Some(until)) => Part::Until(self.leading_to(until)),
            (None, None) => Part::Whole,
        }
    }

    /// Returns whether a node of the part may start. What is pinned starts at once where only a part runs: what leads to it
    /// may not run at all, and what lies behind it may use the output of another pinned node before it.
    pub(super) fn ready_in(&self, part: &Part, ix: NodeIx, path: &str, passed: &BTreeSet<NodeIx>) -> Ready {
        match part {
            Part::Whole => self.ready(ix, path, passed),
            Part::Until(_) if self.is_pinned(ix) => Ready::Start,
            Part::Until(nodes) if !nodes.contains(&ix) => Ready::Skip,
            Part::Until(_) => self.ready(ix, path, passed),
            Part::Only(only) if ix == *only || self.is_pinned(ix) => Ready::Start,
            Part::Only(_) => Ready::Skip,
        }
    }

    /// Returns a node and what lies before it, up to what is pinned.
    fn leading_to(&self, ix: NodeIx) -> BTreeSet<NodeIx> {
        let mut found = BTreeSet::from([ix]);
        let mut next = vec![ix];
        while let Some(ix) = next.pop() {
            if !self.is_pinned(ix) {
                let parents = self.plan.node(ix).parents.iter().map(|link| link.node);
                next.extend(parents.filter(|node| found.insert(*node)));
            }
        }
        found
    }

    fn is_pinned(&self, ix: NodeIx) -> bool {
        let id = &self.plan.node(ix).node.id;
        self.run.trial.as_ref().is_some_and(|trial| trial.pinned.contains(id))
    }

    /// Returns the output that is given for a node, and the branch by which it so ends.
    pub(super) fn pinned(&self, ix: NodeIx) -> Result<Option<(Datum, Option<Branch>)>, Halt> {
        let Some(trial) = self.run.trial.as_ref().filter(|_| self.is_pinned(ix)) else { return Ok(None) };
        let node = &self.plan.node(ix).node;
        let outputs = self.values.get(&trial.outputs)?;
        let output = outputs.get(&node.id).cloned().unwrap_or_default();
        let branch = node.kind.branch_of(&output);
        Ok(Some((Datum::inline(output), branch)))
    }

    /// Returns the output of a run that ends behind one node; nothing where it does not. A node that did not complete has
    /// none.
    pub(super) fn tried_output(&self, scope: &Scope) -> Option<Datum> {
        let target = self.run.trial.as_ref().filter(|_| scope.graph == 0)?.target()?;
        let ix = self.plan.by_id.get(target)?;
        let (_, step) = self.step_of(*ix, "")?;
        Some(match &step.state {
            StepState::Completed { output, .. } => output.clone(),
            StepState::Started { .. }
            | StepState::Retrying { .. }
            | StepState::Unknown
            | StepState::Failed
            | StepState::Skipped
            | StepState::Cancelled => Datum::null(),
        })
    }
}
