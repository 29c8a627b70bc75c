//! Documents that people write: definitions and agents, in YAML or JSON.
//!
//! Finds files and languages; what a document means is decided in the core.

use anyhow::Context;
use callboard_core::{
    Problem,
    workflow::{Definition, Plan, plan::Surroundings},
};
use serde_json::Value;
use std::path::Path;

pub use callboard_core::agent::spec::Agents;

/// Where agents stand unless the user says otherwise.
const AGENTS_FILE: &str = "config/agents.yaml";
/// The agents of the repository, for a binary on its own.
const AGENTS: &str = include_str!("../../../config/agents.yaml");

/// A definition as it was written, and what stands against running it.
#[derive(Debug)]
pub struct Checked {
    pub document: Value,
    pub name: String,
    pub description: Option<String>,
    pub problems: Vec<Problem>,
}

/// Finds everything that is wrong with a definition.
pub fn check(document: Value, agents: &Agents) -> Checked {
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    let (name, description) = (text("name").unwrap_or_default(), text("description"));
    let around = Surroundings { agents: agents.agents.keys().cloned().collect() };
    let compiled = shape(document.clone()).and_then(|d| Plan::compile(d, &around));
    Checked { name, description, problems: compiled.err().unwrap_or_default(), document }
}

fn shape(document: Value) -> Result<Definition, Vec<Problem>> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        vec![Problem::new(path, "invalid_shape", error.into_inner().to_string())]
    })
}

/// Parses YAML into the data model of JSON.
pub fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())
}

/// Parses a file's text in the language its name says; YAML unless it ends in `.json`.
pub fn read(file: &Path, text: &str) -> Result<Value, String> {
    match file.extension().is_some_and(|extension| extension == "json") {
        true => serde_json::from_str(text).map_err(|error| error.to_string()),
        false => yaml(text),
    }
}

/// Reads agents: of the file given, else of `config/agents.yaml` if there is one, else the built-in ones.
pub fn agents(file: &Path) -> Result<Agents, String> {
    let usual = Path::new(AGENTS_FILE);
    let (file, text) = match (file.as_os_str().is_empty(), usual.is_file()) {
        (true, false) => (usual, Ok(AGENTS.to_owned())),
        (true, true) => (usual, std::fs::read_to_string(usual)),
        (false, _) => (file, std::fs::read_to_string(file)),
    };
    let named = |error: String| format!("{}: {error}", file.display());
    let text = text.map_err(|error| named(error.to_string()))?;
    let value = read(file, &text).map_err(named)?;
    check_agents(value).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| named(problem.to_string())).collect();
        lines.join("\n")
    })
}

/// Reads agents, or finds what is wrong with them.
pub fn check_agents(document: Value) -> Result<Agents, Vec<Problem>> {
    serde_path_to_error::deserialize(document).map_err(|error| {
        let path = error.path().to_string();
        vec![Problem::new(path, "invalid", error.into_inner().to_string())]
    })
}

/// Reads a definition's file; the error is for the user.
pub fn definition(file: &Path) -> anyhow::Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    read(file, &text).map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

/// Returns the JSON Schema of a definition.
pub fn schema() -> Value {
    schemars::schema_for!(Definition).to_value()
}
