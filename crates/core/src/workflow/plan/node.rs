//! The rules of each kind of node, and what its configuration reads.

use super::{
    NodeIx, Surroundings,
    flat::Flat,
    graph::{Links, listed},
    scope::{Place, RULE_ROOTS, Scopes},
};
use crate::{
    Problem, Timestamp,
    expr::Reads,
    id::is_id,
    request,
    schema::{self, Validator, join},
    transform::Change,
    workflow::definition::{
        AgentNode, ApprovalNode, Delay, EffectMode, Join, LoopNode, NodeKind, SIGNAL_NAME_LIMIT,
        TransformNode, WaitNode, Worker,
    },
};
use serde_json::Value;

/// One node under check.
struct Check<'a> {
    ix: NodeIx,
    id: &'a str,
    /// `nodes[1].config`
    config: String,
    scopes: &'a Scopes<'a>,
    problems: &'a mut Vec<Problem>,
    reads: Reads,
}

/// Checks a node and returns what its configuration and its `until` read.
pub(super) fn check(
    flat: &Flat<'_>,
    ix: NodeIx,
    links: &[Links],
    scopes: &Scopes<'_>,
    around: Option<&Surroundings>,
    problems: &mut Vec<Problem>,
) -> (Reads, Reads) {
    let at = &flat.nodes[ix as usize];
    let node = at.node;
    let in_graph = &links[at.graph as usize];
    let parents = in_graph.ends[in_graph.position[&ix]].1.len();
    check_join(node.join, parents, &node.id, &at.path, problems);
    let config = format!("{}.config", at.path);
    let mut check = Check { ix, id: &node.id, config, scopes, problems, reads: Reads::default() };
    let mut until = Reads::default();
    match &node.kind {
        NodeKind::Agent(n) => {
            check.agent(n, around);
            if n.worker == Worker::External && node.effect == EffectMode::AtMostOnce && node.timeout.is_none()
            {
                let message = "an offer that is made only once may be lost: it needs a timeout";
                let path = format!("{}.timeout", at.path);
                check.problems.push(Problem::new(path, "missing_timeout", message).in_node(&node.id));
            }
        }
        NodeKind::Transform(n) => check.transform(n),
        NodeKind::Condition(n) => check.expression(&n.r#if, "if"),
        NodeKind::ForEach(n) => {
            check.expression(&n.items, "items");
            check.range(n.parallel, 1, 64, "parallel");
        }
        NodeKind::Loop(n) => until = check.repeat(n),
        NodeKind::Wait(n) => check.wait(n),
        NodeKind::Signal(n) => {
            if n.name.is_empty() || n.name.len() > SIGNAL_NAME_LIMIT {
                let message = format!("a signal's name has 1 to {SIGNAL_NAME_LIMIT} bytes");
                check.problem("name", "invalid_name", message);
            }
        }
        NodeKind::Approval(n) => check.approval(n),
        NodeKind::Http(n) => check.http(n, around),
    }
    (check.reads, until)
}

/// Checks that `schema` is a JSON Schema that we can use. `path` is where it stands.
pub(super) fn check_schema(schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    if let Err(why) = Validator::new(schema) {
        problems.extend(why.into_iter().map(|p| Problem { path: join(path, &p.path), ..p }));
    }
}

/// The same of a schema whose defaults are applied.
pub(super) fn check_input(schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    problems.extend(schema::mistakes(schema).into_iter().map(|p| Problem { path: join(path, &p.path), ..p }));
}

/// A join that needs more edges than there are would wait for ever.
fn check_join(join: Join, parents: usize, id: &str, path: &str, problems: &mut Vec<Problem>) {
    let Join::N(n) = join else { return };
    if n == 0 || n as usize > parents {
        let message = match (n, parents) {
            (0, _) => "`join: {n: 0}` would start before anything; n is at least 1".to_owned(),
            (_, 1) => format!("`join: {{n: {n}}}` waits for ever: the node has 1 incoming edge"),
            _ => format!("`join: {{n: {n}}}` waits for ever: the node has {parents} incoming edges"),
        };
        problems.push(Problem::new(format!("{path}.join"), "invalid_join", message).in_node(id));
    }
}

impl Check<'_> {
    /// Reports a problem of a field of `config`; the whole of it if `field` is empty.
    fn problem(&mut self, field: &str, code: &str, message: impl Into<String>) {
        let path = join(&self.config, field);
        self.problems.push(Problem::new(path, code, message).in_node(self.id));
    }

    /// Checks an expression, and notes what it reads.
    fn expression(&mut self, source: &str, field: &str) {
        let path = join(&self.config, field);
        self.reads.extend(self.scopes.expression(source, &path, Place::Node(self.ix), self.problems));
    }

    /// Checks a text that may be a template, and notes what it reads.
    fn text(&mut self, text: &str, field: &str) {
        let path = join(&self.config, field);
        self.reads.extend(self.scopes.text(text, &path, Place::Node(self.ix), self.problems));
    }

    /// Checks every text inside a value, and notes what they read.
    fn template(&mut self, template: &Value, field: &str) {
        let path = join(&self.config, field);
        self.reads.extend(self.scopes.template(template, &path, Place::Node(self.ix), self.problems));
    }

    fn range(&mut self, n: u32, min: u32, max: u32, field: &str) {
        if !(min..=max).contains(&n) {
            self.problem(field, "out_of_range", format!("{field} must be {min} to {max}, not {n}"));
        }
    }

    fn agent(&mut self, node: &AgentNode, around: Option<&Surroundings>) {
        // A worker outside need not be known here.
        if let Some(around) = around
            && node.worker == Worker::Internal
            && !around.agents.contains(&node.agent)
        {
            let known: Vec<&str> = around.agents.iter().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "no agents are configured".to_owned(),
                known => format!("there are {}", listed(known).replace(" or ", " and ")),
            };
            self.problem("agent", "unknown_agent", format!("there is no agent `{}`; {known}", node.agent));
        }
        self.text(&node.prompt, "prompt");
        // A pinned definition keeps its schema; see `compile`.
        if let (Some(schema), Some(_)) = (&node.output_schema, around) {
            let mut found = vec![];
            check_schema(schema, &join(&self.config, "output_schema"), &mut found);
            self.problems.extend(found.into_iter().map(|p| p.in_node(self.id)));
        }
    }

    fn transform(&mut self, node: &TransformNode) {
        match &node.input {
            Some(input) => self.expression(input, "input"),
            // Without it the rules read the run's input.
            None => self.reads.input = true,
        }
        if node.rules.is_empty() {
            self.problem("rules", "empty_rules", "a transform has at least one rule");
        }
        for (i, rule) in node.rules.iter().enumerate() {
            if !is_id(&rule.target) {
                let message =
                    format!("`{}` is not a target: 1 to 64 letters, digits, `_` or `-`", rule.target);
                self.problem(&format!("rules[{i}].target"), "invalid_target", message);
            }
            if rule.source != "." && rule.source.split('.').any(str::is_empty) {
                let message = format!("`{}` is not a path such as `items` or `result.items`", rule.source);
                self.problem(&format!("rules[{i}].source"), "invalid_source", message);
            }
            let (source, field, roots): (_, _, &'static [&str]) = match &rule.change {
                Change::Map { value } => (value, "value", &RULE_ROOTS[1..]),
                Change::Filter { r#if } => (r#if, "if", &RULE_ROOTS[1..]),
                Change::Reduce { value, .. } => (value, "value", RULE_ROOTS),
            };
            let path = format!("{}.rules[{i}].config.{field}", self.config);
            // A rule reads the node's data only, so it adds nothing to what is loaded.
            self.scopes.expression(source, &path, Place::Rule(self.ix, roots), self.problems);
        }
    }

    /// Checks a loop. Returns what its `until` reads, which is looked at by itself after each iteration.
    fn repeat(&mut self, node: &LoopNode) -> Reads {
        self.range(node.max, 1, 10_000, "max");
        let path = join(&self.config, "until");
        self.scopes.expression(&node.until, &path, Place::Until(self.ix), self.problems)
    }

    fn wait(&mut self, node: &WaitNode) {
        match (&node.r#for, &node.until) {
            (None, None) => self.problem("", "invalid_wait", "a wait needs `for` or `until`"),
            (Some(_), Some(_)) => self.problem("", "invalid_wait", "a wait has `for` or `until`, not both"),
            _ => {}
        }
        if let Some(Delay::Rendered(template)) = &node.r#for {
            self.text(template, "for");
        }
        let Some(until) = &node.until else { return };
        self.text(until, "until");
        if !until.contains("{{") && !until.contains("{%") && Timestamp::parse(until).is_none() {
            let message = format!("`{until}` is not an instant such as \"2027-01-01T00:00:00Z\"");
            self.problem("until", "invalid_instant", message);
        }
    }

    fn approval(&mut self, node: &ApprovalNode) {
        if node.title.trim().is_empty() {
            self.problem("title", "invalid_title", "the title is empty");
        }
        self.text(&node.title, "title");
        if let Some(detail) = &node.detail {
            self.template(detail, "detail");
        }
    }

    fn http(&mut self, node: &request::Template, around: Option<&Surroundings>) {
        self.text(&node.url, "url");
        // The text before the first tag is all of the URL that is known now.
        let literal = node.url.split("{{").next().unwrap_or("");
        let known =
            |scheme: &str| literal.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        let templated = literal.len() < node.url.len();
        let unknown_yet = templated && literal.is_empty();
        if !(known("http://") || known("https://") || unknown_yet) {
            let message = format!("`{}` does not begin with http:// or https://", node.url);
            self.problem("url", "invalid_url", message);
        }
        for (name, value) in &node.headers {
            self.template(value, &format!("headers.{name}"));
        }
        for (name, value) in &node.query {
            self.template(value, &format!("query.{name}"));
        }
        for (field, _, body) in node.bodies() {
            self.template(body, field);
        }
        for (i, status) in node.expect.iter().enumerate() {
            if !(100..=599).contains(status) {
                let message = format!("{status} is not a status; they are 100 to 599");
                self.problem(&format!("expect[{i}]"), "out_of_range", message);
            }
        }
        // A definition that was recorded goes on under the rules by which it was checked.
        if let Some(around) = around {
            for mistake in request::mistakes(node, &around.bound_secrets) {
                self.problem(&mistake.field, mistake.code, mistake.message);
            }
        }
    }
}
