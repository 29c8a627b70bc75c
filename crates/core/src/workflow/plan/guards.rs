//! Approvals that say what they guard: whether the node they name can be shown before, and comes to be by them alone.
//!
//! An approval covers exactly what is sent. So everything that the guarded node reads must be known when the question
//! is asked, and every way to the node must lead through the answer.

use super::{Link, NodeIx, flat::Flat, graph::Links};
use crate::{
    Problem,
    expr::Reads,
    schema::shape::closest,
    workflow::{
        definition::Join,
        kinds::{Branch, Work},
    },
};
use std::collections::{BTreeMap, BTreeSet};

/// Checks every `guards` and returns who guards whom.
pub(super) fn check(
    flat: &Flat<'_>,
    links: &[Links],
    reads: &[(Reads, Reads)],
    opaque: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Vec<(NodeIx, NodeIx)> {
    let mut found = Vec::new();
    for approval in 0..flat.nodes.len() as NodeIx {
        let at = &flat.nodes[approval as usize];
        let guards = at.node.kind.approval().and_then(|asks| asks.guards.as_deref());
        let Some(name) = guards.filter(|_| !opaque.contains(&at.path)) else { continue };
        let mut add = |code: &str, message: String| {
            let path = format!("{}.config.guards", at.path);
            problems.push(Problem::new(path, code, message).in_node(&at.node.id));
        };
        let Some(&node) = flat.by_id.get(name) else {
            let hint = closest(name, flat.by_id.keys().copied());
            let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
            add("unknown_node", format!("there is no node `{name}`{hint}"));
            continue;
        };
        let guarded = &flat.nodes[node as usize];
        // What this node would send is not known.
        if opaque.contains(&guarded.path) {
            continue;
        }
        if guarded.graph != at.graph {
            let message = format!("`{name}` is in another body: an approval guards a node beside it");
            add("invalid_guard", message);
            continue;
        }
        match guarded.node.kind.work() {
            Work::Outside(_) => {}
            Work::Holds(_) => {
                let message = format!(
                    "`{name}` is a {}: what it sends is known one round at a time; put the approval into its body",
                    guarded.node.kind.name()
                );
                add("invalid_guard", message);
                continue;
            }
            Work::Decided | Work::Waits(_) => {
                let kind = guarded.node.kind.name();
                add("invalid_guard", format!("`{name}` is a node of type {kind} and sends nothing"));
                continue;
            }
        }
        let links = &links[at.graph as usize];
        // With a cycle nothing is before anything; the cycle is the mistake to mend first.
        if !links.acyclic {
            continue;
        }
        let around = Around::new(flat, links);
        if !around.only_through(approval, node) {
            let message = format!(
                "`{name}` can start without this approval: every edge that leads to it must come by the branch \
                 `approved` of `{}`, itself or through nodes that do",
                at.node.id
            );
            add("unguarded_path", message);
        }
        let known = around.ended_before(approval);
        let reads = &reads[node as usize].0;
        if reads.all_steps {
            let message =
                format!("what `{name}` reads of `steps` can't be told before: name the steps it reads");
            add("not_known_yet", message);
        }
        for step in &reads.steps {
            let Some(&read) = flat.by_id.get(step.as_str()) else { continue };
            // What stands outside this body has ended, or the body would not have begun.
            if flat.nodes[read as usize].graph == at.graph && !known.contains(&read) {
                let message = if read == approval {
                    format!(
                        "`{name}` reads `steps.{step}`, this approval itself, which has no output when it is asked"
                    )
                } else {
                    format!(
                        "`{name}` reads `steps.{step}`, which may not have ended when the approval is asked"
                    )
                };
                add("not_known_yet", message);
            }
        }
        found.push((approval, node));
    }
    found
}

/// The edges of one graph, node by node in topological order.
struct Around<'a> {
    flat: &'a Flat<'a>,
    parents: BTreeMap<NodeIx, &'a [Link]>,
    order: &'a [NodeIx],
}

impl<'a> Around<'a> {
    fn new(flat: &'a Flat<'a>, links: &'a Links) -> Self {
        let parents = links.ends.iter().map(|(ix, parents, _)| (*ix, parents.as_slice())).collect();
        Self { flat, parents, order: &links.order }
    }

    fn join(&self, ix: NodeIx) -> Join {
        self.flat.nodes[ix as usize].node.join
    }

    /// Whether `node` is always skipped unless `approval` was given.
    fn only_through(&self, approval: NodeIx, node: NodeIx) -> bool {
        // The nodes of which that is true, found in topological order.
        let mut implied: BTreeSet<NodeIx> = BTreeSet::new();
        for ix in self.order {
            let parents = self.parents[ix];
            let is_implied = match self.join(*ix) {
                // One taken edge may start the node, or make its join fail. So every edge must come from an implied
                // node, or be the branch `approved` itself.
                Join::All | Join::Any | Join::N(_) => parents.iter().all(|link| {
                    implied.contains(&link.node)
                        || link.node == approval && link.branch == Some(Branch::Approved)
                }),
                // A `settle` join starts when all parents have ended, unless all were skipped. A rejected approval
                // has ended, so the branch `approved` is no safeguard here.
                Join::Settle => parents.iter().all(|link| implied.contains(&link.node)),
            };
            // A node without parents starts by itself, though `all` of no parents is true.
            if is_implied && !parents.is_empty() && *ix != approval {
                implied.insert(*ix);
            }
        }
        implied.contains(&node)
    }

    /// Returns the nodes of the graph that have ended in one way or another when `approval` starts.
    fn ended_before(&self, approval: NodeIx) -> BTreeSet<NodeIx> {
        let mut before: BTreeMap<NodeIx, BTreeSet<NodeIx>> = BTreeMap::new();
        for ix in self.order {
            // Several edges may join the same two nodes.
            let parents: BTreeSet<NodeIx> = self.parents[ix].iter().map(|link| link.node).collect();
            let needed = match self.join(*ix) {
                Join::All | Join::Settle => parents.len(),
                Join::Any => 1,
                // `n` edges may come from fewer nodes, and one is enough to be safe.
                Join::N(n) if self.parents[ix].len() == parents.len() => (n as usize).min(parents.len()),
                Join::N(_) => 1,
            };
            let mut times: BTreeMap<NodeIx, usize> = BTreeMap::new();
            for parent in &parents {
                let with_it = before.get(parent).into_iter().flatten().chain([parent]);
                with_it.for_each(|node| *times.entry(*node).or_default() += 1);
            }
            // At most `parents.len() - needed` parents may still be open when the node starts. What lies before more
            // parents than that has ended, whichever these are.
            let sure = times.into_iter().filter(|(_, n)| n + needed > parents.len()).map(|(node, _)| node);
            before.insert(*ix, sure.collect());
        }
        before.remove(&approval).unwrap_or_default()
    }
}
