//! Whether a node may start, judged by where its parents stand now.

use super::Decision;
use crate::workflow::{definition::Join, plan::NodeIx, run::NodeState};
use std::collections::BTreeSet;

/// Whether a node may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ready {
    Wait,
    Start,
    Skip,
    /// Its join can't be satisfied any more.
    Never,
}

/// How many of a node's edges and parents stand how.
#[derive(Default)]
struct Parents {
    /// Edges.
    taken: usize,
    /// Parents at the ends of edges.
    open: usize,
    skipped: usize,
}

impl Decision<'_> {
    /// Returns whether a node may start. `passed` are the disabled nodes of its graph that were reached.
    pub(super) fn ready(&self, ix: NodeIx, path: &str, passed: &BTreeSet<NodeIx>) -> Ready {
        let all = self.plan.node(ix).parents.len();
        if all == 0 {
            return Ready::Start;
        }
        let Parents { taken, open, skipped } = self.parents(ix, path, passed);
        let needed = match self.plan.join(ix) {
            Join::Settle => {
                return match open {
                    // No parent was ever entered, so this part of the graph is not entered either.
                    0 if skipped == all => Ready::Skip,
                    0 => Ready::Start,
                    _ => Ready::Wait,
                };
            }
            Join::All => {
                return if open > 0 {
                    Ready::Wait
                } else if taken > 0 {
                    Ready::Start
                } else {
                    Ready::Skip
                };
            }
            Join::Any => 1,
            Join::N(n) => n as usize,
        };
        // Too few edges can still be taken. With none at all the node was not chosen; with some its join has failed.
        match () {
            () if taken >= needed => Ready::Start,
            () if open > 0 => Ready::Wait,
            () if taken == 0 => Ready::Skip,
            () => Ready::Never,
        }
    }

    /// Whether the node is disabled, and would have started: then what follows it goes on as if it had completed.
    ///
    /// Nothing of it is recorded. It was skipped, as a node that no edge led to, and where its parents stand says which of
    /// the two it was.
    pub(super) fn is_passed(&self, ix: NodeIx, path: &str, passed: &BTreeSet<NodeIx>) -> bool {
        let node = self.plan.node(ix);
        if !node.node.disabled || self.node_state(ix, path) != NodeState::Skipped {
            return false;
        }
        let all = node.parents.len();
        let Parents { taken, open, skipped } = self.parents(ix, path, passed);
        node.node.join.is_met(all, taken, all - open - skipped)
    }

    fn parents(&self, ix: NodeIx, path: &str, passed: &BTreeSet<NodeIx>) -> Parents {
        let mut found = Parents::default();
        for link in &self.plan.node(ix).parents {
            let state = if passed.contains(&link.node) {
                NodeState::Completed(None)
            } else {
                self.node_state(link.node, path)
            };
            match state {
                NodeState::None | NodeState::Open => found.open += 1,
                NodeState::Completed(_) | NodeState::Failed => {
                    found.taken += usize::from(state.takes(link.branch));
                }
                NodeState::Skipped => found.skipped += 1,
                // A cancelled parent takes no edge, and it was entered, so it counts for neither.
                NodeState::Cancelled => {}
            }
        }
        found
    }
}
