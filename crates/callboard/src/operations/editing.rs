//! What an editor asks of a definition that may still have mistakes: which names a place can use, and another id for a
//! node. Nothing is saved.

use super::{Operations, Refusal, Request, off_the_reactor};
use callboard_core::{
    Problem,
    expr::names::{Named, filters, functions, tests},
    value::json_len,
    workflow::{Plan, Rewritten, plan::Places, rename},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A node of a definition, or the definition's own output.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskScope {
    /// Up to 4 MiB; it may have mistakes.
    pub definition: Value,
    /// The workflow's own output unless it is given.
    pub node: Option<String>,
}

/// Another id for a node.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRename {
    /// Up to 4 MiB; it may have mistakes.
    pub definition: Value,
    pub from: String,
    pub to: String,
}

impl Request for AskScope {}
impl Request for AskRename {}

/// What the places of a node can name.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Scope")]
pub struct ScopeView {
    /// By the path below the node: `config`, and where there are others `config.until`, `config.body.output`,
    /// `config.rules`; of the workflow `output`. What stands deeper has the names of the nearest place above. Of each name the
    /// JSON Schema, `{}` where nothing is known.
    #[schemars(with = "BTreeMap<String, Map<String, Value>>")]
    pub places: Places,
}

/// A definition in which a node has another id.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RenamedDefinition")]
pub struct RenamedView {
    pub definition: Value,
    /// The paths of what was changed.
    pub changed: Vec<String>,
    /// The paths of what may mean the node in a way that can't be told: a name that is computed, a text that does not parse,
    /// a kind that is not known.
    pub unsure: Vec<String>,
}

/// What expressions and templates are made of, beside names.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExpressionReference")]
pub struct ReferenceView {
    /// Behind `|`.
    pub filters: Vec<WordView>,
    /// Called by name.
    pub functions: Vec<WordView>,
    /// Behind `is` and `is not`, and in filters such as `select`.
    pub tests: Vec<WordView>,
}

/// A filter, a function or a test.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WordView {
    pub name: &'static str,
    /// What it gives, in a sentence.
    pub description: &'static str,
}

// === impl Operations ===

impl Operations {
    /// Returns the names that the places of a node can use.
    pub async fn scope(&self, asked: AskScope) -> Result<ScopeView, Refusal> {
        let AskScope { definition, node } = asked;
        let turn = self.heavy.check(json_len(&definition)).await?;
        off_the_reactor(move || {
            let places = Plan::names(definition, node.as_deref()).map_err(|problems| wrong(problems, "node"));
            drop(turn);
            Ok(ScopeView { places: places? })
        })
        .await
    }

    /// Returns the definition with another id for one of its nodes, and everything that names it rewritten.
    pub async fn rename(&self, asked: AskRename) -> Result<RenamedView, Refusal> {
        let AskRename { definition, from, to } = asked;
        let turn = self.heavy.check(json_len(&definition)).await?;
        off_the_reactor(move || {
            let rewritten = rename(definition, &from, &to).map_err(|problems| wrong(problems, "from"));
            drop(turn);
            let Rewritten { definition, changed, unsure } = rewritten?;
            Ok(RenamedView { definition, changed, unsure })
        })
        .await
    }

    /// Returns every filter, function and test, as the language has them.
    pub fn expression_reference(&self) -> ReferenceView {
        let words = |words: &[Named]| {
            words.iter().map(|&(name, description)| WordView { name, description }).collect()
        };
        ReferenceView { filters: words(filters()), functions: words(functions()), tests: words(tests()) }
    }
}

/// Places of mistakes are those of the body, in which the definition is a field.
fn wrong(problems: Vec<Problem>, own: &str) -> Refusal {
    let placed = |problem: Problem| match problem.path.as_str() {
        path if path == own || path == "to" => problem,
        "" => Problem { path: "definition".to_owned(), ..problem },
        path => Problem { path: format!("definition.{path}"), ..problem },
    };
    Refusal::invalid("invalid_body", "the body", problems.into_iter().map(placed).collect())
}
