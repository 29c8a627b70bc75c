//! What a source looks at: roots, steps, paths. Found without evaluating.

use super::{
    Error, Reads, bounds,
    error::{error, no_expression},
    names, operands,
    scan::is_template,
};
use crate::id::is_id;
use minijinja::Environment;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::LazyLock,
};

/// The names and paths a source looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct References {
    /// Dotted paths from a root: `steps.a.output.x`, `input`.
    paths: BTreeSet<String>,
    /// Looks at `steps` as a whole, or by a name that is computed.
    all_steps: bool,
}

/// Stands for a quoted id while minijinja looks at the source.
const QUOTED: &str = "quoted__";

/// Only parses, and always what is measured: minijinja folds constants while it compiles, without fuel.
static PARSER: LazyLock<Environment<'static>> = LazyLock::new(Environment::empty);

impl References {
    /// Finds what an expression looks at. Errs if it is too long, does not parse, or names a filter that does not
    /// exist.
    pub fn of_expression(source: &str) -> Result<Self, Error> {
        bounds::expression(source)?;
        names::expression(source)?;
        let (plain, ids) = unquoted(source);
        let plain = operands::plain_expression(&plain);
        let parsed = PARSER.compile_expression(&plain).map_err(|e| no_expression(source, e))?;
        Ok(Self::from_names(parsed.undeclared_variables(true), &ids))
    }

    /// Finds what a template looks at. Errs as for an expression.
    pub fn of_template(source: &str) -> Result<Self, Error> {
        bounds::template(source)?;
        if !is_template(source) {
            return Ok(Self::default());
        }
        names::template(source)?;
        let (plain, ids) = unquoted(source);
        let plain = operands::plain_template(&plain);
        let parsed = PARSER.template_from_str(&plain).map_err(error)?;
        Ok(Self::from_names(parsed.undeclared_variables(true), &ids))
    }

    fn from_names(names: HashSet<String>, ids: &[String]) -> Self {
        // The names come without an order, and are sorted as they go in.
        let mut found = Self::default();
        for name in names {
            let mut parts: Vec<Cow<'_, str>> = name.split('.').map(Cow::Borrowed).collect();
            if let Some(second) = parts.get_mut(1)
                && let Some(id) = second.strip_prefix(QUOTED).and_then(|n| ids.get(n.parse::<usize>().ok()?))
            {
                *second = Cow::Owned(id.clone());
            }
            match (parts[0].as_ref(), parts.len()) {
                (root, 1) if names::has(&names::FUNCTIONS, root) => {}
                ("steps", 1) => found.all_steps = true,
                _ => {
                    found.paths.insert(parts.join("."));
                }
            }
        }
        found
    }

    /// Whether it looks at `steps` as a whole, or by a name that is computed.
    pub fn looks_at_all_steps(&self) -> bool {
        self.all_steps
    }

    /// The same, where the step `from` has the id `to`.
    pub(super) fn renamed(&self, from: &str, to: &str) -> Self {
        let renamed = |path: &String| match path
            .strip_prefix("steps.")
            .map(|rest| rest.split_once('.').unwrap_or((rest, "")))
        {
            Some((id, "")) if id == from => format!("steps.{to}"),
            Some((id, rest)) if id == from => format!("steps.{to}.{rest}"),
            Some(_) | None => path.clone(),
        };
        Self { paths: self.paths.iter().map(renamed).collect(), all_steps: self.all_steps }
    }

    /// Adds what another source looks at.
    pub fn extend(&mut self, other: References) {
        self.paths.extend(other.paths);
        self.all_steps |= other.all_steps;
    }

    /// Dotted paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// The first parts of the paths.
    pub fn roots(&self) -> BTreeSet<&str> {
        let steps = self.all_steps.then_some("steps");
        self.paths().map(|p| p.split('.').next().unwrap_or(p)).chain(steps).collect()
    }

    /// The steps named, each with the fields looked at; a step looked at as a whole has none.
    pub fn steps(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut steps: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for path in self.paths() {
            let mut parts = path.split('.');
            if let (Some("steps"), Some(id)) = (parts.next(), parts.next()) {
                steps.entry(id).or_default().extend(parts.next());
            }
        }
        steps
    }

    /// Returns what must be loaded.
    pub fn reads(&self) -> Reads {
        let roots = self.roots();
        Reads {
            steps: self.steps().into_keys().map(str::to_owned).collect(),
            all_steps: self.all_steps,
            input: roots.contains("input"),
            item: roots.contains("item") || roots.contains("index"),
            last: roots.contains("last"),
            now: roots.contains("now"),
        }
    }
}

/// Replaces `steps["my-id"]` by `steps.quoted__0`: minijinja lists attributes, but not subscripts.
///
/// Inside a quoted text the same may happen; that changes a constant, and constants are not looked at.
fn unquoted(source: &str) -> (String, Vec<String>) {
    let (mut out, mut ids, mut rest) = (String::with_capacity(source.len()), Vec::new(), source);
    while let Some(at) = rest.find("steps") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        let after = &found["steps".len()..];
        let part_of_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        out.push_str("steps");
        rest = after;
        if let Some((id, tail)) = subscript(after)
            && !part_of_word
        {
            out.push_str(&format!(".{QUOTED}{}", ids.len()));
            ids.push(id.to_owned());
            rest = tail;
        }
    }
    out.push_str(rest);
    (out, ids)
}

/// Splits `["id"]…` into `id` and what follows.
fn subscript(text: &str) -> Option<(&str, &str)> {
    let inner = text.trim_start().strip_prefix('[')?.trim_start();
    let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let (id, after) = inner[1..].split_once(quote)?;
    let tail = after.trim_start().strip_prefix(']')?;
    is_id(id).then_some((id, tail))
}
