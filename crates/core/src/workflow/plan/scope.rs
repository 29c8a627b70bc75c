//! What an expression at some place may look at: the run, what is upstream, and what its bodies give it.

use super::{
    GraphIx, NodeIx,
    flat::Flat,
    graph::{Links, listed},
};
use crate::{
    Problem,
    expr::{self, Reads, References},
    schema::shape::closest,
    workflow::kinds::Holds,
};
use serde_json::Value;

/// Where an expression stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// In the configuration of a node.
    Node(NodeIx),
    /// In the `until` of a loop.
    Until(NodeIx),
    /// In a rule of a transform, which sees the node's data and nothing of the run.
    Rule(NodeIx, &'static [&'static str]),
    /// In the output of a graph, after all its nodes.
    Output(GraphIx),
}

/// What each place of a definition may look at.
pub(super) struct Scopes<'a> {
    flat: &'a Flat<'a>,
    links: &'a [Links],
}

/// What rules see; `acc` only those that have one.
pub(super) const RULE_ROOTS: &[&str] = &["acc", "item", "index", "data"];
/// What a step offers: its output, or why there is none.
const STEP_FIELDS: [&str; 3] = ["output", "error", "status"];
/// What `run` offers.
const RUN_FIELDS: [&str; 2] = ["id", "generation"];

impl<'a> Scopes<'a> {
    pub fn new(flat: &'a Flat<'a>, links: &'a [Links]) -> Self {
        Self { flat, links }
    }

    /// Checks every text of a template and returns what they read.
    pub fn template(&self, template: &Value, path: &str, place: Place, problems: &mut Vec<Problem>) -> Reads {
        let mut reads = Reads::default();
        match template {
            Value::String(text) => return self.text(text, path, place, problems),
            Value::Array(items) => {
                for (i, item) in items.iter().enumerate() {
                    reads.extend(self.template(item, &format!("{path}[{i}]"), place, problems));
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    reads.extend(self.template(item, &format!("{path}.{key}"), place, problems));
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
        reads
    }

    /// Checks a text that may be a template. Returns what it reads, or nothing if it does not parse.
    pub fn text(&self, text: &str, path: &str, place: Place, problems: &mut Vec<Problem>) -> Reads {
        self.references(References::of_template(text), "invalid_template", path, place, problems)
    }

    /// The same of an expression.
    pub fn expression(&self, source: &str, path: &str, place: Place, problems: &mut Vec<Problem>) -> Reads {
        self.references(References::of_expression(source), "invalid_expression", path, place, problems)
    }

    /// Reports every name that does not exist at `place`, and every step that has not ended there.
    fn references(
        &self,
        found: Result<References, expr::Error>,
        code: &str,
        path: &str,
        place: Place,
        problems: &mut Vec<Problem>,
    ) -> Reads {
        let mut add = |code: &str, message: String| {
            let problem = Problem::new(path, code, message);
            problems.push(match self.node_of(place) {
                Some(ix) => problem.in_node(&self.flat.nodes[ix as usize].node.id),
                None => problem,
            });
        };
        let found = match found {
            Ok(found) => found,
            Err(e) => {
                add(code, e.to_string());
                return Reads::default();
            }
        };
        let known = self.roots(place);
        for root in found.roots() {
            if !known.contains(&root) {
                add("unknown_reference", self.why_no_root(root, &known, place));
            }
        }
        if known.contains(&"steps") {
            for (id, fields) in found.steps() {
                match self.flat.by_id.get(id) {
                    None => {
                        let hint = self.likely(id);
                        add("unknown_reference", format!("`steps.{id}`: there is no node `{id}`{hint}"));
                    }
                    Some(&step) => {
                        if let Some(why) = self.why_not_upstream(step, place) {
                            add("not_upstream", why);
                        }
                    }
                }
                for field in fields.iter().filter(|f| !STEP_FIELDS.contains(f)) {
                    let message = format!(
                        "`steps.{id}.{field}`: a step has no `{field}`, only {}",
                        listed(&STEP_FIELDS)
                    );
                    add("unknown_reference", message);
                }
            }
        }
        for path in found.paths() {
            let mut parts = path.split('.');
            if let (Some("run"), Some(field)) = (parts.next(), parts.next())
                && known.contains(&"run")
                && !RUN_FIELDS.contains(&field)
            {
                let message = format!("`{path}`: a run has no `{field}`, only {}", listed(&RUN_FIELDS));
                add("unknown_reference", message);
            }
        }
        found.reads()
    }

    /// Returns the names that stand alone at `place`.
    pub fn roots(&self, place: Place) -> Vec<&'static str> {
        if let Place::Rule(_, roots) = place {
            return roots.to_vec();
        }
        let mut roots = vec!["input", "steps", "run", "now"];
        // `until` stands outside the body, but `last` and `index` are of the body's last iteration.
        let (mut in_for_each, mut in_loop) = (false, matches!(place, Place::Until(_)));
        let mut graph = self.graph_of(place);
        while let Some(owner) = self.flat.graphs[graph as usize].owner {
            match self.flat.nodes[owner as usize].node.kind.holds() {
                Some(Holds::ForEach(_)) => in_for_each = true,
                Some(Holds::Loop(_)) => in_loop = true,
                None => {}
            }
            graph = self.flat.nodes[owner as usize].graph;
        }
        if in_for_each {
            roots.push("item");
        }
        if in_for_each || in_loop {
            roots.push("index");
        }
        if in_loop {
            roots.push("last");
        }
        roots
    }

    /// Says why `root` is unknown at `place`, and what was probably meant.
    fn why_no_root(&self, root: &str, known: &[&str], place: Place) -> String {
        let of_bodies = match place {
            Place::Rule(..) => match root {
                "now" => Some("`now` does not exist in rules; hand it in by the `input` of the node"),
                _ => None,
            },
            Place::Node(_) | Place::Until(_) | Place::Output(_) => match root {
                "item" => Some("`item` exists only in the body of a for_each"),
                "index" => Some("`index` exists only in the body of a for_each or loop"),
                "last" => Some("`last` exists only in the body and the `until` of a loop"),
                _ => None,
            },
        };
        if let Some(why) = of_bodies {
            return why.to_owned();
        }
        if self.flat.by_id.contains_key(root) && known.contains(&"steps") {
            return format!("`{root}` is unknown here; the output of that node is `steps.{root}.output`");
        }
        format!("`{root}` is unknown here; known are {}", listed(known).replace(" or ", " and "))
    }

    /// Says why `step` has no output yet at `place`, or is inside a body where it can't be seen. Nothing is wrong
    /// with `None`.
    pub fn why_not_upstream(&self, step: NodeIx, place: Place) -> Option<String> {
        let of_step = &self.flat.nodes[step as usize];
        let id = &of_step.node.id;
        let (mut graph, mut below) = match place {
            Place::Output(graph) => (graph, None),
            Place::Node(ix) | Place::Until(ix) | Place::Rule(ix, _) => {
                (self.flat.nodes[ix as usize].graph, Some(ix))
            }
        };
        loop {
            if of_step.graph == graph {
                // After a graph all of its own steps are there.
                return self.why_not_above(step, below?, id);
            }
            // Outside this body, everything upstream of its owner is visible.
            let Some(owner) = self.flat.graphs[graph as usize].owner else { break };
            (graph, below) = (self.flat.nodes[owner as usize].graph, Some(owner));
        }
        let owner =
            self.flat.graphs[of_step.graph as usize].owner.map(|ix| &self.flat.nodes[ix as usize].node.id);
        let owner = owner.map_or("", String::as_str);
        Some(format!(
            "`steps.{id}` is inside the body of `{owner}`; from outside, read `steps.{owner}.output`"
        ))
    }

    /// Says why `step` has not ended before `below` starts. Both are in one graph.
    fn why_not_above(&self, step: NodeIx, below: NodeIx, id: &str) -> Option<String> {
        let links = &self.links[self.flat.nodes[below as usize].graph as usize];
        // With a cycle there is no upstream; the cycle is the mistake to mend first.
        if !links.acyclic || links.upstream[links.position[&below]].contains(links.position[&step]) {
            return None;
        }
        Some(if step == below {
            format!("`steps.{id}` is this node itself, which has no output yet")
        } else {
            let here = &self.flat.nodes[below as usize].node.id;
            format!("`steps.{id}` is not upstream of `{here}`; add an edge, or a path of edges, from it")
        })
    }

    /// Guesses what was meant by the unknown id of a step.
    fn likely(&self, id: &str) -> String {
        let ids = || self.flat.by_id.keys().copied();
        // `steps.my-node` reads as a subtraction: the id ends before the dash.
        if let Some(dashed) =
            ids().find(|other| other.strip_prefix(id).is_some_and(|rest| rest.starts_with('-')))
        {
            return format!("; an id with a dash is written `steps[\"{dashed}\"]`");
        }
        closest(id, ids()).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
    }

    /// Returns the graph in which the place stands.
    pub fn graph_of(&self, place: Place) -> GraphIx {
        match place {
            Place::Output(graph) => graph,
            Place::Node(ix) | Place::Until(ix) | Place::Rule(ix, _) => self.flat.nodes[ix as usize].graph,
        }
    }

    /// Returns the node that a problem at this place is told of; none for the workflow's own output.
    fn node_of(&self, place: Place) -> Option<NodeIx> {
        match place {
            Place::Output(graph) => self.flat.graphs[graph as usize].owner,
            Place::Node(ix) | Place::Until(ix) | Place::Rule(ix, _) => Some(ix),
        }
    }
}
