//! Edges of one graph: what they join, which branch they take, the order they give, and the cycles they close.

use super::{
    Link, NodeIx,
    flat::{Flat, FlatGraph},
};
use crate::{
    Problem,
    workflow::{
        definition::{Node, OnError},
        kinds::Branch,
    },
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The edges of one graph, resolved.
pub(super) struct Links {
    /// Node, parents, children.
    pub ends: Vec<(NodeIx, Vec<Link>, Vec<Link>)>,
    /// Topological; without the nodes in and behind cycles.
    pub order: Vec<NodeIx>,
    /// The nodes upstream of each, by position in `ends`; empty for those outside `order`.
    pub upstream: Vec<Bits>,
    /// Node to position in `ends`.
    pub position: BTreeMap<NodeIx, usize>,
    /// Whether every node is in `order`.
    pub acyclic: bool,
}

/// A set of positions in a graph.
#[derive(Clone, Default)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn insert(&mut self, n: usize) {
        if self.0.len() <= n / 64 {
            self.0.resize(n / 64 + 1, 0);
        }
        self.0[n / 64] |= 1 << (n % 64);
    }

    fn union(&mut self, other: &Bits) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    pub fn contains(&self, n: usize) -> bool {
        self.0.get(n / 64).is_some_and(|word| word & (1 << (n % 64)) != 0)
    }
}

/// Resolves the edges of `graph` and reports what is wrong with them.
pub(super) fn link(
    flat: &Flat<'_>,
    graph: &FlatGraph<'_>,
    opaque: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> Links {
    let position: BTreeMap<NodeIx, usize> = graph.nodes.iter().enumerate().map(|(p, ix)| (*ix, p)).collect();
    let mut ends: Vec<_> = graph.nodes.iter().map(|ix| (*ix, vec![], vec![])).collect();
    let mut seen = BTreeMap::new();
    for (i, edge) in graph.edges.iter().enumerate() {
        let path = format!("{}edges[{i}]", graph.prefix);
        if opaque.contains(&path) {
            continue;
        }
        let source = end(flat, &position, &edge.source, &format!("{path}.source"), problems);
        let target = end(flat, &position, &edge.target, &format!("{path}.target"), problems);
        let (Some(source), Some(target)) = (source, target) else { continue };
        let from = &flat.nodes[source as usize];
        // What branches a node has that could not be read is not known either.
        let branch = match &edge.config.branch {
            Some(name) if !opaque.contains(&from.path) => branch(from.node, name, &path, problems),
            Some(_) | None => None,
        };
        // The edge is not linked: it would be reported once more, as a cycle.
        if source == target {
            let message =
                format!("the edge leads from `{}` to itself; use a loop node to repeat", edge.source);
            problems.push(Problem::new(&path, "self_edge", message).in_node(&edge.source));
            continue;
        }
        // The edge is not linked twice, because a join counts edges.
        if let Some(first) = seen.insert((source, target, &edge.config.branch), i) {
            let message = format!("the edge is the same as edges[{first}]");
            problems.push(Problem::new(&path, "duplicate_edge", message).in_node(&edge.source));
            continue;
        }
        ends[position[&source]].2.push(Link { node: target, branch });
        ends[position[&target]].1.push(Link { node: source, branch });
    }
    let (order, upstream) = sort(&ends, &position);
    let acyclic = order.len() == ends.len();
    if !acyclic {
        report_cycles(flat, &ends, &position, &order, problems);
    }
    Links { ends, order, upstream, position, acyclic }
}

/// Finds the node at one end of an edge. Reports one that does not exist, or is in another graph.
fn end(
    flat: &Flat<'_>,
    position: &BTreeMap<NodeIx, usize>,
    id: &str,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<NodeIx> {
    let Some(&ix) = flat.by_id.get(id) else {
        problems.push(Problem::new(path, "dangling_edge", format!("there is no node `{id}`")));
        return None;
    };
    if !position.contains_key(&ix) {
        let message = format!("the node `{id}` is in another body; an edge joins nodes of one graph");
        problems.push(Problem::new(path, "crossing_edge", message).in_node(id));
        return None;
    }
    Some(ix)
}

/// Finds the branch of this name among those by which `source` can end, or says that there is none.
fn branch(source: &Node, name: &str, path: &str, problems: &mut Vec<Problem>) -> Option<Branch> {
    let mut given = source.kind.branches().to_vec();
    if source.on_error == OnError::Branch {
        given.push(Branch::Error);
    }
    if let Some(branch) = given.iter().find(|branch| branch.name() == name) {
        return Some(*branch);
    }
    let (id, kind) = (&source.id, source.kind.name());
    let message = match (name, given.is_empty()) {
        ("error", _) => format!("`{id}` takes the branch `error` only with `on_error: branch`"),
        (_, true) => format!("`{id}` is a node of type {kind} and has no branch `{name}`"),
        (_, false) => {
            let given: Vec<&str> = given.into_iter().map(Branch::name).collect();
            format!("`{id}` has no branch `{name}`, only {}", listed(&given))
        }
    };
    problems.push(Problem::new(format!("{path}.config.branch"), "invalid_branch", message).in_node(id));
    None
}

/// `a`, `b` or `c`.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

type Ends = [(NodeIx, Vec<Link>, Vec<Link>)];

/// Sorts by Kahn's algorithm, and gathers everything upstream of each node. Nodes in and behind cycles are left out.
fn sort(ends: &Ends, position: &BTreeMap<NodeIx, usize>) -> (Vec<NodeIx>, Vec<Bits>) {
    let mut waiting: Vec<usize> = ends.iter().map(|(_, parents, _)| parents.len()).collect();
    // This is a set and not a queue, so that the document's order decides where the edges leave it open.
    let mut ready: BTreeSet<usize> = (0..ends.len()).filter(|p| waiting[*p] == 0).collect();
    let mut order = Vec::with_capacity(ends.len());
    let mut upstream = vec![Bits::default(); ends.len()];
    while let Some(at) = ready.pop_first() {
        let (ix, parents, children) = &ends[at];
        // A parent comes before its children, so all that is upstream of it is known by now.
        let mut above = Bits::default();
        for parent in parents {
            let p = position[&parent.node];
            above.insert(p);
            above.union(&upstream[p]);
        }
        upstream[at] = above;
        order.push(*ix);
        for child in children {
            let c = position[&child.node];
            waiting[c] -= 1;
            if waiting[c] == 0 {
                ready.insert(c);
            }
        }
    }
    (order, upstream)
}

/// Reports each cycle once, and each node that only a cycle leads to: it can never start.
fn report_cycles(
    flat: &Flat<'_>,
    ends: &Ends,
    position: &BTreeMap<NodeIx, usize>,
    order: &[NodeIx],
    problems: &mut Vec<Problem>,
) {
    let sorted: BTreeSet<usize> = order.iter().map(|ix| position[ix]).collect();
    let rest: Vec<usize> = (0..ends.len()).filter(|p| !sorted.contains(p)).collect();
    let mut in_cycle = BTreeSet::new();
    for &start in &rest {
        if in_cycle.contains(&start) {
            continue;
        }
        // The search is breadth first, so this is the shortest cycle. Its nodes are not reported again from another
        // start.
        let Some(cycle) = way_back(ends, position, start) else { continue };
        let names: Vec<&str> =
            cycle.iter().map(|p| flat.nodes[ends[*p].0 as usize].node.id.as_str()).collect();
        in_cycle.extend(cycle.iter().copied());
        let first = &flat.nodes[ends[start].0 as usize];
        let message = format!("the edges form a cycle: {} -> {}", names.join(" -> "), names[0]);
        problems.push(Problem::new(&first.path, "cycle", message).in_node(&first.node.id));
    }
    let reachable = reachable(ends, position);
    for p in rest {
        let node = &flat.nodes[ends[p].0 as usize];
        if !in_cycle.contains(&p) && !reachable.contains(&p) {
            let message = format!("the node `{}` is never reached: only a cycle leads to it", node.node.id);
            problems.push(Problem::new(&node.path, "unreachable", message).in_node(&node.node.id));
        }
    }
}

/// Returns the shortest cycle through `start`, as positions in `ends`, if there is one.
fn way_back(ends: &Ends, position: &BTreeMap<NodeIx, usize>, start: usize) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for child in &ends[at].2 {
            let c = position[&child.node];
            if c == start {
                let mut cycle = vec![at];
                while let Some(&before) = came_from.get(cycle.last()?) {
                    cycle.push(before);
                }
                cycle.reverse();
                return Some(cycle);
            }
            if let std::collections::btree_map::Entry::Vacant(new) = came_from.entry(c) {
                new.insert(at);
                queue.push_back(c);
            }
        }
    }
    None
}

/// Returns the positions of all nodes that can be reached from a node without parents.
fn reachable(ends: &Ends, position: &BTreeMap<NodeIx, usize>) -> BTreeSet<usize> {
    let mut found: BTreeSet<usize> = (0..ends.len()).filter(|p| ends[*p].1.is_empty()).collect();
    let mut queue: Vec<usize> = found.iter().copied().collect();
    while let Some(at) = queue.pop() {
        for child in &ends[at].2 {
            let c = position[&child.node];
            if found.insert(c) {
                queue.push(c);
            }
        }
    }
    found
}
