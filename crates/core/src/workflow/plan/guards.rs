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

/// What is wrong with a `guards`: a code and a sentence.
type Mistake = (&'static str, String);

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
        let mistakes = match named(flat, name) {
            Err(mistake) => vec![mistake],
            // A node that can't be read is reported already, and nothing is known of it.
            Ok(node) if opaque.contains(&flat.nodes[node as usize].path) => continue,
            Ok(node) => match guardable(flat, approval, node) {
                Err(mistake) => vec![mistake],
                // With a cycle nothing is before anything; the cycle is the mistake to mend first.
                Ok(()) if !links[at.graph as usize].acyclic => continue,
                Ok(()) => {
                    found.push((approval, node));
                    let around = Around::new(flat, &links[at.graph as usize]);
                    let mut mistakes = Vec::from_iter(around.unguarded(approval, node));
                    mistakes.extend(around.unknown(approval, node, &reads[node as usize].0));
                    mistakes
                }
            },
        };
        problems.extend(mistakes.into_iter().map(|(code, message)| {
            Problem::new(format!("{}.config.guards", at.path), code, message).in_node(&at.node.id)
        }));
    }
    found
}

/// Returns the node of this name.
fn named(flat: &Flat<'_>, name: &str) -> Result<NodeIx, Mistake> {
    flat.by_id.get(name).copied().ok_or_else(|| {
        let hint = closest(name, flat.by_id.keys().copied());
        let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        ("unknown_node", format!("there is no node `{name}`{hint}"))
    })
}

/// Checks that the node stands beside its approval and is one that sends something.
fn guardable(flat: &Flat<'_>, approval: NodeIx, node: NodeIx) -> Result<(), Mistake> {
    let guarded = &flat.nodes[node as usize];
    let (name, kind) = (&guarded.node.id, guarded.node.kind.name());
    let message = if guarded.graph != flat.nodes[approval as usize].graph {
        format!("`{name}` is in another body: an approval guards a node beside it")
    } else {
        match guarded.node.kind.work() {
            Work::Outside(_) => return Ok(()),
            Work::Holds(_) => format!(
                "`{name}` is a {kind}: what it sends is known one round at a time; put the approval into its body"
            ),
            Work::Decided | Work::Waits(_) => {
                format!("`{name}` is a node of type {kind} and sends nothing")
            }
        }
    };
    Err(("invalid_guard", message))
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

    /// Says so if `node` can start without `approval`.
    fn unguarded(&self, approval: NodeIx, node: NodeIx) -> Option<Mistake> {
        if self.only_through(approval, node) {
            return None;
        }
        let [approval, node] = [approval, node].map(|ix| &self.flat.nodes[ix as usize].node.id);
        let message = format!(
            "`{node}` can start without this approval: every edge that leads to it must come by the branch \
             `approved` of `{approval}`, itself or through nodes that do"
        );
        Some(("unguarded_path", message))
    }

    /// Returns what `node` reads and nobody knows yet when `approval` is asked.
    fn unknown(&self, approval: NodeIx, node: NodeIx, reads: &Reads) -> Vec<Mistake> {
        let mut found = Vec::new();
        let name = &self.flat.nodes[node as usize].node.id;
        if reads.all_steps {
            let message =
                format!("what `{name}` reads of `steps` can't be told before: name the steps it reads");
            found.push(("not_known_yet", message));
        }
        if reads.now {
            let message = format!(
                "`{name}` reads `now`, which is later when it starts: have a step before this approval keep the \
                 instant, and read that"
            );
            found.push(("not_known_yet", message));
        }
        let (graph, known) = (self.flat.nodes[approval as usize].graph, self.ended_before(approval));
        for step in &reads.steps {
            let Some(&read) = self.flat.by_id.get(step.as_str()) else { continue };
            // What stands outside this body has ended, or the body would not have begun.
            if self.flat.nodes[read as usize].graph != graph || known.contains(&read) {
                continue;
            }
            let message = if read == approval {
                format!(
                    "`{name}` reads `steps.{step}`, this approval itself, which has no output when it is asked"
                )
            } else {
                format!("`{name}` reads `steps.{step}`, which may not have ended when the approval is asked")
            };
            found.push(("not_known_yet", message));
        }
        found
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
