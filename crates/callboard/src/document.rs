//! Documents that people write: definitions and agents, in YAML or JSON.
//!
//! Finds files and languages; what a document means is decided in the core.

use crate::{config::Config, trust::REMEDY};
use anyhow::Context;
use callboard_core::{
    Problem,
    agent::spec::ToolKind,
    document::{Format, parse},
    workflow::{Plan, content, plan::Surroundings},
};
use serde_json::Value;
use std::{collections::BTreeSet, io, path::Path};

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

/// Finds everything that is wrong with a definition, which may be an export. `bound` are the secrets that say to which hosts they
/// may go.
pub fn check(document: Value, agents: &Agents, bound: &BTreeSet<String>) -> Checked {
    let document = content::joined(document);
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    let (name, description) = (text("name").unwrap_or_default(), text("description"));
    let around =
        Surroundings { agents: agents.agents.keys().cloned().collect(), bound_secrets: bound.clone() };
    let compiled = Plan::compile_value(document.clone(), &around);
    Checked { name, description, problems: compiled.err().unwrap_or_default(), document }
}

/// The name of standard input where a file is asked for.
pub const STDIN: &str = "-";

/// Reads a file, or standard input where its name is `-`; the error names it.
pub fn text(file: &Path) -> anyhow::Result<String> {
    if file.as_os_str() == STDIN {
        return io::read_to_string(io::stdin().lock()).context("standard input");
    }
    std::fs::read_to_string(file).with_context(|| file.display().to_string())
}

/// Parses a file's text in the language its name says: JSON if it ends in `.json`, else YAML. Standard input has no name:
/// what can be read as JSON is JSON.
pub fn read(file: &Path, text: &str) -> Result<Value, String> {
    parse(text, language(file, text)).map_err(|problem| problem.message)
}

/// Returns the language of a file's text, by the same rule.
pub fn language(file: &Path, text: &str) -> Format {
    let is_json = match file.as_os_str() == STDIN {
        true => parse(text, Format::Json).is_ok(),
        false => file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json")),
    };
    if is_json { Format::Json } else { Format::Yaml }
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
    Agents::read(&text).map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| named(problem.to_string())).collect();
        lines.join("\n")
    })
}

/// Reads a definition's file, which may be an export; the error is for the user.
pub fn definition(file: &Path) -> anyhow::Result<Value> {
    let text = text(file)?;
    let definition = read(file, &text).map(content::joined);
    definition.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))
}

/// Reads the agents of the settings. Those that merely lie in the working directory may not bring tools that call
/// somebody: what such a tool is given, and the secrets it names, would go to whoever wrote it.
pub fn agents_of(config: &Config) -> Result<Agents, String> {
    let agents = agents(Path::new(&config.agents.file))?;
    match loosened(config, &agents) {
        Some(loose) if !config.ground.trusted => Err(format!(
            "{loose}, which a file of the working directory may not bring, since it may be anybody's; {REMEDY}, or name it: \
             --agents {AGENTS_FILE}"
        )),
        Some(_) | None => Ok(agents),
    }
}

/// Returns what of the agents needs trust, if they just lie in the working directory.
pub fn loosened(config: &Config, agents: &Agents) -> Option<String> {
    let mut tools = agents.tools.iter().filter(|(_, tool)| matches!(tool.kind, ToolKind::Http(_)));
    let (tool, _) = tools.next().filter(|_| config.agents.file.is_empty())?;
    Some(format!("{AGENTS_FILE}: the tool {tool} calls a server"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::workflow::{Definition, NodeKind};

    /// Every example with its definition.
    fn examples() -> Vec<(String, Value)> {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/examples"));
        let files =
            std::fs::read_dir(folder).expect("the examples").map(|entry| entry.expect("an entry").path());
        files.map(|file| (file.display().to_string(), definition(&file).expect("a document"))).collect()
    }

    #[test]
    fn every_example_has_no_problems() {
        let agents = Agents::read(AGENTS).expect("the built-in agents");
        for (file, document) in examples() {
            assert_eq!(check(document, &agents, &BTreeSet::new()).problems, [], "{file}");
        }
    }

    #[test]
    fn every_kind_of_node_has_an_example() {
        let mut kinds = BTreeSet::new();
        for (file, document) in examples() {
            let definition =
                Definition::from_value(document).unwrap_or_else(|problems| panic!("{file}: {problems:?}"));
            kinds.extend(definition.nodes.iter().map(|node| node.kind.name()));
        }
        assert_eq!(kinds, NodeKind::names().collect());
    }

    #[test]
    fn tools_that_call_servers_need_trust_unless_their_file_is_named() {
        let tools = |kind: &str| {
            let text =
                format!("tools: {{t: {{description: d, {kind}}}}}\nagents: {{a: {{model: m, tools: [t]}}}}");
            Agents::read(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
        };
        let calling = tools("type: http, config: {url: 'https://attacker.example'}");
        let counting = tools("type: expression, config: {value: args.a}");
        let mut config = crate::config::Sources::default().load().expect("the defaults");
        assert!(loosened(&config, &calling).is_some_and(|loose| loose.contains("the tool t calls a server")));
        assert_eq!(loosened(&config, &counting), None);
        assert_eq!(loosened(&config, &Agents::read(AGENTS).expect("the built-in agents")), None);
        config.agents.file = AGENTS_FILE.into();
        assert_eq!(loosened(&config, &calling), None);
    }

    #[test]
    fn a_file_is_read_in_the_language_of_its_name() {
        assert!(read(Path::new("a.json"), "a: 1").is_err());
        assert!(read(Path::new("a.JSON"), "a: 1").is_err());
        assert_eq!(read(Path::new("a.yaml"), "a: yes").expect("YAML")["a"], "yes");
        assert_eq!(read(Path::new(STDIN), "a: yes").expect("YAML")["a"], "yes");
        // In YAML it would be another text.
        assert_eq!(read(Path::new(STDIN), r#"{"a": "\ud83d\ude00"}"#).expect("JSON")["a"], "😀");
    }
}
