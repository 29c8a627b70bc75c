//! Another id for a node, with everything that names it.

use super::fields::{self, Field, Found};
use crate::{
    Problem,
    expr::{self, Renamed, Text},
    id::is_id,
    schema::join,
};
use serde_json::Value;
use std::collections::BTreeSet;

/// A definition in which a node has another id.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewritten {
    pub definition: Value,
    /// The paths of what was changed, in order.
    pub changed: Vec<String>,
    /// The paths of what may mean the node in a way that can't be told: a name that is computed, a text that does not
    /// parse, a kind that only a later version knows.
    pub unsure: Vec<String>,
}

/// Gives the node `from` the id `to`: in the node, in edges, in `guards`, in expressions and templates. The rest stays as it
/// stands, mistakes included. Errs with what is wrong with the two ids.
pub fn rename(mut definition: Value, from: &str, to: &str) -> Result<Rewritten, Vec<Problem>> {
    let mut ids = BTreeSet::new();
    fields::each_node(&mut definition, &mut |Found { value, .. }| {
        ids.extend(value.get("id").and_then(Value::as_str).map(str::to_owned));
    });
    let mut wrong = Vec::new();
    if !ids.contains(from) {
        wrong.push(Problem::new("from", "unknown_node", format!("there is no node `{from}`")));
    }
    if !is_id(to) {
        let message = format!("`{to}` is not an id: 1 to 64 letters, digits, `_` or `-`");
        wrong.push(Problem::new("to", "invalid_id", message));
    } else if from != to && ids.contains(to) {
        let message = format!("the id `{to}` is that of another node; ids are unique, bodies included");
        wrong.push(Problem::new("to", "duplicate_id", message));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if from == to {
        return Ok(Rewritten { definition, changed: Vec::new(), unsure: Vec::new() });
    }
    let (mut changed, mut unsure) = (BTreeSet::new(), BTreeSet::new());
    let set = |value: Option<&mut Value>| match value.filter(|value| value.as_str() == Some(from)) {
        Some(value) => {
            *value = to.into();
            true
        }
        None => false,
    };
    fields::each_edge(&mut definition, &mut |Found { path, value }| {
        for end in ["source", "target"] {
            if set(value.get_mut(end)) {
                changed.insert(format!("{path}.{end}"));
            }
        }
    });
    fields::each_node(&mut definition, &mut |Found { path, value }| {
        if set(value.get_mut("id")) {
            changed.insert(format!("{path}.id"));
        }
        let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
        if !super::kinds::schemas().contains_key(kind) {
            unsure.insert(path);
        }
    });
    fields::each(&mut definition, &mut |Field { path, holds, value }| {
        let holds = |word: &str| holds.iter().any(|held| held == word);
        if holds("node") {
            if set(Some(value)) {
                changed.insert(path);
            }
        } else if holds("expression") || holds("template") {
            let text = if holds("expression") { Text::Expression } else { Text::Template };
            each_text(value, &path, &mut |value, path| {
                let Some(source) = value.as_str() else { return };
                let Renamed { source, is_unsure } = expr::renamed(text, source, from, to);
                if is_unsure {
                    unsure.insert(path.clone());
                }
                if let Some(source) = source {
                    *value = source.into();
                    changed.insert(path);
                }
            });
        }
    });
    let sorted = |paths: BTreeSet<String>| paths.into_iter().collect();
    Ok(Rewritten { definition, changed: sorted(changed), unsure: sorted(unsure) })
}

/// Calls `f` with every text of a template, and where it stands.
fn each_text(value: &mut Value, path: &str, f: &mut impl FnMut(&mut Value, String)) {
    match value {
        Value::String(_) => f(value, path.to_owned()),
        Value::Array(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                each_text(item, &format!("{path}[{i}]"), f);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                each_text(item, &join(path, key), f);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_node_is_renamed_wherever_it_is_named() {
        let definition = |id: &str, step: &str| {
            json!({"name": "steps.a", "metadata": {"a": "steps.a"}, "nodes": [
                {"id": id, "type": "http", "name": "steps.a", "config": {"url": "https://a.example/steps.a"}},
                {"id": "ok", "type": "approval", "config": {"title": format!("{{{{ {step}.status }}}}"), "guards": id,
                    "detail": {"a": [format!("x {{{{ {step}.output.a }}}}")]}}},
                {"id": "each", "type": "for_each", "config": {"items": format!("{step}.output"), "body": {"nodes": [
                    {"id": "in", "type": "condition", "config": {"if": format!("item in {step}.output")}, "more": 1}],
                    "output": format!("{{{{ {step}.output }}}}")}}},
                {"id": "broken", "type": "agent", "config": {"agent": 7, "prompt": format!("{{{{ {step}.error }}}}")}}],
                "edges": [{"source": id, "target": "ok"}, {"source": "ok", "target": id, "config": {"branch": "a"}}],
                "output": {"a": format!("{{{{ {step}.output }}}}")}})
        };
        for (to, step) in [("b", "steps.b"), ("node-2", "steps[\"node-2\"]")] {
            let rewritten = rename(definition("a", "steps.a"), "a", to).expect("renamed");
            assert_eq!(rewritten.definition, definition(to, step));
            assert_eq!(rewritten.unsure, Vec::<String>::new());
            assert_eq!(rewritten.changed.len(), 11, "{:?}", rewritten.changed);
            let back = rename(rewritten.definition, to, "a").expect("renamed").definition;
            assert!(to != "b" || back == definition("a", "steps.a"), "and back: {back}");
        }
    }

    #[test]
    fn what_is_wrong_with_the_ids_is_said_and_what_cannot_be_told_too() {
        let definition = json!({"name": "x", "nodes": [
            {"id": "a", "type": "wait", "config": {"for": "1s"}},
            {"id": "b", "type": "transform", "config": {"input": "steps | list", "rules": []}},
            {"id": "c", "type": "of later", "config": {}}]});
        let codes = |from: &str, to: &str| -> Vec<(String, String)> {
            let wrong = rename(definition.clone(), from, to).expect_err("wrong");
            wrong.into_iter().map(|p| (p.path, p.code)).collect()
        };
        let named = |path: &str, code: &str| (path.to_owned(), code.to_owned());
        assert_eq!(codes("z", "a b"), [named("from", "unknown_node"), named("to", "invalid_id")]);
        assert_eq!(codes("a", "b"), [named("to", "duplicate_id")]);
        let rewritten = rename(definition.clone(), "a", "d").expect("renamed");
        assert_eq!(
            (rewritten.changed, rewritten.unsure),
            (vec!["nodes[0].id".to_owned()], vec!["nodes[1].config.input".to_owned(), "nodes[2]".to_owned()])
        );
        let same = rename(definition.clone(), "a", "a").expect("renamed");
        assert_eq!((same.definition, same.changed.len()), (definition.clone(), 0));
        assert!(rename(json!(7), "a", "b").is_err());
    }
}
