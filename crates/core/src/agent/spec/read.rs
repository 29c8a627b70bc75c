//! From `agents.yaml` to agents, with every mistake at once.

use super::{Agents, DELEGATE, Spec, Tool, ToolKind};
use crate::{
    Problem,
    document::{self, Format},
    expr::{self, References},
    id::is_id,
    request,
    schema::{self, Validator, join, shape},
};
use serde_json::Value;
use std::{collections::BTreeSet, sync::LazyLock};

static SCHEMA: LazyLock<Value> = LazyLock::new(schema::of::<Agents>);

impl Agents {
    /// Reads YAML, and so JSON, too. Errs with everything that is wrong with it.
    pub fn read(text: &str) -> Result<Agents, Vec<Problem>> {
        Self::from_value(document::parse(text, Format::Yaml).map_err(|p| vec![p])?)
    }

    /// Reads JSON. Errs with everything that is wrong with it.
    pub fn from_value(value: Value) -> Result<Agents, Vec<Problem>> {
        let mut problems = shape::check(&SCHEMA, &value);
        // What is wrong in one agent does not hide what is wrong in another.
        let named = |part: &str| -> BTreeSet<String> {
            value[part].as_object().map(|of| of.keys().cloned().collect()).unwrap_or_default()
        };
        // The names are taken before anything is removed: a tool with a mistake exists for those who name it.
        let (tools, others) = (named("tools"), named("agents"));
        let mut rest = value;
        for problem in &problems {
            remove(&mut rest, &problem.path);
        }
        match serde_json::from_value::<Agents>(rest) {
            Ok(agents) => {
                agents.check(&tools, &others, &mut problems);
                if problems.is_empty() {
                    return Ok(agents);
                }
            }
            Err(e) if problems.is_empty() => problems.push(Problem::new("", "invalid", e.to_string())),
            Err(_) => {}
        }
        problems.sort();
        problems.dedup();
        Err(problems)
    }

    /// Returns the names of the secrets that the tools of some agents refer to, and those of the agents they may ask.
    pub fn secrets<'a>(&self, of: impl IntoIterator<Item = &'a String>) -> BTreeSet<String> {
        let specs: Vec<&Spec> = of.into_iter().filter_map(|id| self.agents.get(id)).collect();
        // Whoever is asked may ask others, so one that delegates may reach every agent's tools.
        let specs = match specs.iter().any(|spec| spec.allow_delegation) {
            true => self.agents.values().collect(),
            false => specs,
        };
        let tools = specs.into_iter().flat_map(|spec| &spec.tools).filter_map(|id| self.tools.get(id));
        let mut names = BTreeSet::new();
        for tool in tools {
            if let ToolKind::Http(http) = &tool.kind {
                names.extend(request::references(http));
            }
        }
        names
    }

    /// Finds the tools whose secrets go to a host that data chooses. `bound` are the secrets that say to which hosts
    /// they may go.
    pub fn check_hosts(&self, bound: &BTreeSet<String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (id, tool) in &self.tools {
            if let ToolKind::Http(http) = &tool.kind {
                problems.extend(mistakes(http, &join(&join("tools", id), "config"), Some(bound)));
            }
        }
        problems
    }

    /// Returns the JSON Schema of the file.
    pub fn schema() -> Value {
        SCHEMA.clone()
    }

    /// Checks every agent and tool. `tools` and `others` are the names of all of them, those with mistakes included.
    fn check(&self, tools: &BTreeSet<String>, others: &BTreeSet<String>, problems: &mut Vec<Problem>) {
        for (id, spec) in &self.agents {
            let path = join("agents", id);
            check_id(id, &path, problems);
            spec.check(&path, tools, problems);
            spec.check_delegation(id, &path, others, problems);
        }
        for (id, tool) in &self.tools {
            let path = join("tools", id);
            check_id(id, &path, problems);
            tool.check(&path, problems);
        }
    }
}

/// Takes an agent, a tool or a whole part out of the document, so that the others can be read.
fn remove(value: &mut Value, path: &str) {
    let Some(root) = value.as_object_mut() else { return };
    let part = path.split('.').next().unwrap_or_default();
    let named = root.get(part).and_then(Value::as_object).map(|of| of.keys().cloned().collect::<Vec<_>>());
    // Names may have dots, so they are looked for and not split off.
    let inside = |name: &str| {
        let whole = join(part, name);
        path.strip_prefix(&whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    match named.unwrap_or_default().into_iter().find(|name| inside(name)) {
        Some(name) => drop(root.get_mut(part).and_then(Value::as_object_mut).map(|of| of.remove(&name))),
        None if path == part => drop(root.remove(part)),
        // Taken out already, for another mistake.
        None => {}
    }
}

impl Spec {
    /// Checks all but the delegation.
    fn check(&self, path: &str, tools: &BTreeSet<String>, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, code: &str, message: String| {
            problems.push(Problem::new(join(path, field), code, message));
        };
        if self.model.trim().is_empty() {
            add("model", "invalid_model", "the model is empty".to_owned());
        }
        for (i, model) in self.fallback_models.iter().enumerate() {
            if model.trim().is_empty() {
                add(&format!("fallback_models[{i}]"), "invalid_model", "the model is empty".to_owned());
            }
        }
        for (i, tool) in self.tools.iter().enumerate() {
            let field = format!("tools[{i}]");
            if !tools.contains(tool) {
                let known: Vec<String> = tools.iter().map(|k| format!("`{k}`")).collect();
                let known = match known.as_slice() {
                    [] => "the file defines none".to_owned(),
                    known => format!("the tools are {}", known.join(", ")),
                };
                add(&field, "unknown_tool", format!("there is no tool `{tool}`; {known}"));
            }
            if self.allow_delegation && tool == DELEGATE {
                let message = format!("an agent that may delegate has a tool `{tool}` already");
                add(&field, "reserved_tool", message);
            }
            if self.tools[..i].contains(tool) {
                add(&field, "duplicate_tool", format!("the tool `{tool}` is named twice"));
            }
        }
        let limits =
            [("calls", self.limits.calls), ("tokens", self.limits.tokens), ("seconds", self.limits.seconds)];
        for (name, limit) in limits {
            if limit == Some(0) {
                add(&format!("limits.{name}"), "out_of_range", format!("{name} must be at least 1"));
            }
        }
        if let Some(schema) = &self.output_schema {
            check_schema(schema, &join(path, "output_schema"), problems);
        }
    }
}

impl Spec {
    /// Checks whom the agent may delegate to. They are named one by one: an agent that reads what strangers write
    /// would otherwise have the tools of all others.
    fn check_delegation(&self, id: &str, path: &str, others: &BTreeSet<String>, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, code: &str, message: String| {
            problems.push(Problem::new(join(path, field), code, message));
        };
        let known: Vec<String> =
            others.iter().filter(|name| *name != id).map(|name| format!("`{name}`")).collect();
        let known = match known.as_slice() {
            [] => "the file has no other".to_owned(),
            known => format!("the others are {}", known.join(", ")),
        };
        match (self.allow_delegation, self.delegate_to.is_empty()) {
            (true, true) => {
                let message = format!(
                    "an agent that may delegate says to whom: write `delegate_to: [NAME, …]` with the agents it may \
                     ask ({known}), or leave `allow_delegation` out"
                );
                add("delegate_to", "missing_field", message);
            }
            (false, false) => {
                let message =
                    "nobody is asked without `allow_delegation: true`: write it, or leave `delegate_to` out";
                add("delegate_to", "unused_field", message.to_owned());
            }
            (true, false) | (false, true) => {}
        }
        for (i, name) in self.delegate_to.iter().enumerate() {
            let field = format!("delegate_to[{i}]");
            if name == id {
                add(&field, "invalid_delegate", "an agent does not delegate to itself".to_owned());
            } else if !others.contains(name) {
                add(&field, "unknown_agent", format!("there is no agent `{name}`; {known}"));
            }
            if self.delegate_to[..i].contains(name) {
                add(&field, "duplicate_delegate", format!("the agent `{name}` is named twice"));
            }
        }
    }
}

impl Tool {
    /// Checks the parameters and what the tool does.
    fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        check_parameters(&self.parameters, &join(path, "parameters"), problems);
        let config = join(path, "config");
        match &self.kind {
            ToolKind::Expression { value } => {
                check_reads(References::of_expression(value), &join(&config, "value"), problems);
            }
            ToolKind::Http(http) => check_http(http, &config, problems),
        }
    }
}

/// Checks a call as a node's is checked, but its templates see `args` only.
fn check_http(http: &request::Template, config: &str, problems: &mut Vec<Problem>) {
    let lower = http.url.to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") && !lower.starts_with("{{") {
        let message = format!("`{}` does not begin with http:// or https://", http.url);
        problems.push(Problem::new(join(config, "url"), "invalid_url", message));
    }
    let headers = http.headers.iter().map(|(k, v)| (format!("headers.{k}"), v));
    let query = http.query.iter().map(|(k, v)| (format!("query.{k}"), v));
    let body = http.bodies().map(|(field, _, v)| (field.to_owned(), v));
    let url = Value::String(http.url.clone());
    for (field, template) in headers.chain(query).chain(body).chain([("url".to_owned(), &url)]) {
        expr::each_text(template, &mut |text| {
            check_reads(References::of_template(text), &join(config, &field), problems);
        });
    }
    for (i, status) in http.expect.iter().enumerate() {
        if !(100..=599).contains(status) {
            let message = format!("{status} is not a status; they are 100 to 599");
            problems.push(Problem::new(join(config, &format!("expect[{i}]")), "out_of_range", message));
        }
    }
    problems.extend(mistakes(http, config, None));
}

/// Returns the mistakes of a call: with `bound` those that depend on the settings, without it all others. The file is
/// read before the settings are known.
fn mistakes<'a>(
    http: &request::Template,
    config: &'a str,
    bound: Option<&BTreeSet<String>>,
) -> impl Iterator<Item = Problem> + use<'a> {
    let of_settings = bound.is_some();
    let found = request::mistakes(http, bound.unwrap_or(&BTreeSet::new()));
    let found = found.into_iter().filter(move |m| (m.code == request::WITHOUT_HOSTS) == of_settings);
    found.map(move |m| Problem::new(join(config, &m.field), m.code, m.message))
}

/// A tool sees its arguments and nothing else.
fn check_reads(found: Result<References, expr::Error>, path: &str, problems: &mut Vec<Problem>) {
    match found {
        Err(e) => problems.push(Problem::new(path, "invalid_template", e.to_string())),
        Ok(found) => {
            for root in found.roots().into_iter().filter(|root| *root != "args") {
                let message = format!("`{root}` is unknown here; a tool sees only `args`");
                problems.push(Problem::new(path, "unknown_reference", message));
            }
        }
    }
}

fn check_schema(schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    if let Err(found) = Validator::new(schema) {
        problems.extend(found.into_iter().map(|p| Problem { path: join(path, &p.path), ..p }));
    }
}

/// The same of a schema whose defaults are applied.
fn check_parameters(schema: &Value, path: &str, problems: &mut Vec<Problem>) {
    problems.extend(schema::mistakes(schema).into_iter().map(|p| Problem { path: join(path, &p.path), ..p }));
}

fn check_id(id: &str, path: &str, problems: &mut Vec<Problem>) {
    if !is_id(id) {
        let message = format!("`{id}` is not an id: 1 to 64 letters, digits, `_` or `-`");
        problems.push(Problem::new(path, "invalid_id", message));
    }
}
