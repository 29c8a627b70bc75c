//! From a definition to a plan: flatten the bodies, link the edges, check every node, put it together.

use super::{
    BODY_DEPTH, EDGES_LIMIT, Graph, GraphIx, NODES_LIMIT, NodeIx, Plan, PlanNode, Surroundings,
    flat::{Flat, flatten},
    graph::{self, Links},
    guards, node,
    scope::{Place, Scopes},
};
use crate::{
    Problem,
    expr::Reads,
    request,
    workflow::definition::{Body, Definition, Edge, Node, RETENTION_LIMIT},
};
use std::{collections::BTreeSet, sync::Arc};

/// Compiles what could be read. `opaque` holds the paths of nodes and edges that could not be read. Placeholders
/// stand in for them, so that edges to them and reads of them are no mistakes; `problems` says what is wrong with
/// them.
///
/// Without surroundings the definition was checked before, maybe by an older version. Its agents may be gone, and its
/// schemas are measured when they are used, so that the run can still be loaded and ended.
pub(in crate::workflow) fn compile(
    definition: Definition,
    opaque: &BTreeSet<String>,
    mut problems: Vec<Problem>,
    around: Option<&Surroundings>,
) -> Result<Plan, Vec<Problem>> {
    check_settings(&definition, around.is_some(), &mut problems);
    let (nodes, edges, depth) = count(&definition.nodes, &definition.edges, 0);
    for (path, what, n, limit) in [
        ("nodes", "nodes", nodes, NODES_LIMIT),
        ("edges", "edges", edges, EDGES_LIMIT),
        ("nodes", "levels of bodies", depth, BODY_DEPTH),
    ] {
        if n > limit {
            let message = format!("the definition has {n} {what}, more than {limit}");
            problems.push(Problem::new(path, "too_large", message));
        }
    }
    if nodes > NODES_LIMIT || edges > EDGES_LIMIT || depth > BODY_DEPTH {
        // What follows is quadratic in the worst case, so it stops here.
        return Err(sorted(problems));
    }

    // The order matters: scopes need the links, and guards need what each node reads.
    let flat = flatten(&definition, opaque, &mut problems);
    let links: Vec<Links> =
        flat.graphs.iter().map(|g| graph::link(&flat, g, opaque, &mut problems)).collect();
    let scopes = Scopes::new(&flat, &links);
    let mut reads = Vec::with_capacity(flat.nodes.len());
    for ix in 0..flat.nodes.len() as NodeIx {
        // A placeholder has a configuration of ours. Its own mistakes are in `problems` already.
        let checked = if opaque.contains(&flat.nodes[ix as usize].path) {
            (Reads::default(), Reads::default())
        } else {
            node::check(&flat, ix, &links, &scopes, around, &mut problems)
        };
        reads.push(checked);
    }
    let output_reads: Vec<Reads> = (0..flat.graphs.len() as GraphIx)
        .map(|g| {
            let graph = &flat.graphs[g as usize];
            let Some(output) = graph.output else { return Reads::default() };
            scopes.template(output, &format!("{}output", graph.prefix), Place::Output(g), &mut problems)
        })
        .collect();
    let guarded = guards::check(&flat, &links, &reads, opaque, &mut problems);
    if !problems.is_empty() {
        return Err(sorted(problems));
    }
    let mut plan = assemble(&definition, &flat, links, reads, output_reads);
    for (approval, node) in guarded {
        plan.nodes[approval as usize].guards = Some(node);
        plan.nodes[node as usize].guarded_by.push(approval);
    }
    Ok(plan)
}

fn assemble(
    definition: &Definition,
    flat: &Flat<'_>,
    links: Vec<Links>,
    reads: Vec<(Reads, Reads)>,
    output_reads: Vec<Reads>,
) -> Plan {
    let mut nodes: Vec<PlanNode> = flat
        .nodes
        .iter()
        .zip(reads)
        .map(|(n, (reads, until_reads))| PlanNode {
            node: n.node.clone(),
            graph: n.graph,
            body: n.body,
            parents: vec![],
            children: vec![],
            reads,
            until_reads,
            guards: None,
            guarded_by: vec![],
        })
        .collect();
    let mut graphs = Vec::with_capacity(flat.graphs.len());
    for ((graph, links), output_reads) in flat.graphs.iter().zip(links).zip(output_reads) {
        for (ix, parents, children) in links.ends {
            nodes[ix as usize].parents = parents;
            nodes[ix as usize].children = children;
        }
        graphs.push(Graph {
            owner: graph.owner,
            nodes: links.order,
            output: graph.output.cloned(),
            output_reads,
        });
    }
    let by_id = flat.by_id.iter().map(|(id, ix)| ((*id).to_owned(), *ix)).collect();
    let calls = flat.nodes.iter().filter_map(|node| node.node.kind.request());
    let secrets = calls.flat_map(request::references).collect();
    Plan {
        definition: Arc::new(definition.clone()),
        graphs,
        nodes,
        by_id,
        secrets,
        agents: definition.agents(),
        pin: None,
    }
}

/// Sorts problems by place, and keeps each once: reading and compiling may both see it.
pub(super) fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    problems.retain(|p| seen.insert((p.path.clone(), p.code.clone(), p.message.clone())));
    problems.sort_by(|a, b| natural(&a.path).cmp(&natural(&b.path)).then_with(|| a.code.cmp(&b.code)));
    problems
}

/// Splits a path so that numbers compare as numbers: `nodes[10]` comes after `nodes[9]`.
fn natural(path: &str) -> Vec<(&str, usize)> {
    path.split(['.', '['])
        .map(|part| part.strip_suffix(']').and_then(|n| n.parse().ok()).map_or((part, 0), |n| ("", n)))
        .collect()
}

/// Checks what stands beside the nodes. Only a fresh definition has its schema checked.
fn check_settings(definition: &Definition, fresh: bool, problems: &mut Vec<Problem>) {
    let length = definition.name.chars().count();
    if definition.name.trim().is_empty() {
        problems.push(Problem::new("name", "invalid_name", "the name is empty"));
    } else if length > 255 {
        let message = format!("the name has {length} characters, more than 255");
        problems.push(Problem::new("name", "invalid_name", message));
    }
    // A definition that is pinned keeps its schema, even if a later version would refuse it.
    if let Some(schema) = definition.input.as_ref().filter(|_| fresh) {
        node::check_input(schema, "input", problems);
    }
    if let Some(budget) = &definition.settings.budget {
        for (name, limit) in [
            ("calls", budget.calls),
            ("tokens", budget.tokens),
            ("cost", budget.cost),
            ("seconds", budget.seconds),
        ] {
            if limit == Some(0) {
                let path = format!("settings.budget.{name}");
                problems.push(Problem::new(path, "out_of_range", format!("{name} must be at least 1")));
            }
        }
    }
    let too_long = definition.settings.retention.map(|r| r.too_long()).unwrap_or_default();
    for name in too_long {
        let message = format!("{name} runs are kept at most {RETENTION_LIMIT}");
        problems.push(Problem::new(format!("settings.retention.{name}"), "out_of_range", message));
    }
    if let Some(parallel) = definition.settings.parallel
        && !(1..=64).contains(&parallel)
    {
        problems.push(Problem::new("settings.parallel", "out_of_range", "parallel must be 1 to 64"));
    }
}

/// Returns how many nodes, edges and levels of bodies there are, all bodies included.
fn count(nodes: &[Node], edges: &[Edge], depth: usize) -> (usize, usize, usize) {
    let mut sum = (nodes.len(), edges.len(), depth);
    for Body { nodes, edges, .. } in nodes.iter().filter_map(|n| n.kind.body()) {
        let inner = count(nodes, edges, depth + 1);
        sum = (sum.0 + inner.0, sum.1 + inner.1, sum.2.max(inner.2));
    }
    sum
}
