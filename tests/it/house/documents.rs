//! What is written for people is true: links lead somewhere, examples compile, expressions give what is said,
//! every setting and every route has its line.

use super::{Text, none, root, texts};
use callboard::config::Sources;
use callboard_core::{
    agent::spec::Agents,
    document::{Format, parse},
    expr,
    workflow::{Definition, Plan, plan::Surroundings},
};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// A fenced block of a document.
struct Block {
    /// `docs/definitions.md:12`
    place: String,
    /// What stands behind the fence: `yaml callboard`.
    kind: String,
    text: String,
}

/// An example of the language: an expression or template, what it sees, what comes of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    expression: Option<String>,
    template: Option<Value>,
    with: Value,
    gives: Value,
}

fn documents() -> Vec<Text> {
    texts(|path| path.ends_with(".md"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

fn agents() -> Agents {
    Agents::read(&read("config/agents.yaml")).expect("config/agents.yaml has no mistakes")
}

/// Returns what is wrong with a definition, each with where it stands.
fn problems(text: &str, format: Format, place: &str) -> Vec<String> {
    let around = Surroundings { agents: agents().agents.into_keys().collect(), ..Surroundings::default() };
    let found = match Definition::read(text, format) {
        Ok(definition) => Plan::compile(definition, &around).err().unwrap_or_default(),
        Err(found) => found,
    };
    found.into_iter().map(|problem| format!("{place}: {problem}")).collect()
}

#[test]
fn every_example_runs() {
    let examples = texts(|path| path.starts_with("config/examples/") && !path.ends_with(".md"));
    let of = |path: &str| if path.ends_with(".json") { Format::Json } else { Format::Yaml };
    none(examples.iter().flat_map(|file| problems(&file.text, of(&file.path), &file.path)).collect());
}

#[test]
fn every_block_that_claims_to_be_one_of_ours_is() {
    let mut wrong = Vec::new();
    let mut seen = [0; 4];
    for block in documents().iter().flat_map(blocks) {
        let place = &block.place;
        match block.kind.as_str() {
            "yaml callboard" | "json callboard" => {
                let format = if block.kind.starts_with("json") { Format::Json } else { Format::Yaml };
                wrong.extend(problems(&block.text, format, place));
                seen[0] += 1;
            }
            "yaml agents" => {
                let found = Agents::read(&block.text).err().unwrap_or_default();
                wrong.extend(found.into_iter().map(|problem| format!("{place}: {problem}")));
                seen[1] += 1;
            }
            "toml callboard" => {
                let found = Sources::file(place.clone(), block.text).load().err();
                wrong.extend(found.map(|mistakes| mistakes.to_string()));
                seen[2] += 1;
            }
            "yaml expressions" => {
                wrong.extend(unlike(&block));
                seen[3] += 1;
            }
            _ => {}
        }
    }
    none(wrong);
    assert!(seen.iter().all(|n| *n > 0), "some kind of block is checked nowhere: {seen:?}");
}

/// Returns the examples of a block that give something else.
fn unlike(block: &Block) -> Vec<String> {
    let parsed = parse(&block.text, Format::Yaml).map_err(|problem| problem.to_string());
    let parsed = parsed.and_then(|value| serde_json::from_value(value).map_err(|error| error.to_string()));
    let examples: Vec<Example> = match parsed {
        Ok(examples) => examples,
        Err(error) => return vec![format!("{}: {error}", block.place)],
    };
    let mut wrong = Vec::new();
    for Example { expression, template, with, gives } in examples {
        let (source, result) = match (expression, template) {
            (Some(source), None) => (source.clone(), expr::evaluate(&source, &with)),
            (None, Some(template)) => (template.to_string(), expr::render(&template, &with)),
            _ => (String::new(), Err(expr::Error::Syntax("expression or template, one of them".into()))),
        };
        // An error is written as {error: part of its message}.
        let fits = match &result {
            Ok(value) => *value == gives,
            Err(error) => gives["error"].as_str().is_some_and(|part| error.to_string().contains(part)),
        };
        if !fits {
            wrong.push(format!("{}: {source} gives {result:?}, not {gives}", block.place));
        }
    }
    wrong
}

#[test]
fn every_link_leads_to_a_file() {
    let mut wrong = Vec::new();
    for document in documents() {
        let folder = root().join(&document.path);
        let folder = folder.parent().expect("a document lies in a folder");
        for target in links(&document.text) {
            let path = target.split('#').next().unwrap_or_default();
            let outside = path.is_empty() || path.contains("://") || path.starts_with("mailto:");
            if !outside && !folder.join(path).exists() {
                wrong.push(format!("{}: {target}", document.path));
            }
        }
    }
    none(wrong);
}

#[test]
fn every_setting_has_its_line() {
    let (document, defaults) = (read("docs/configuration.md"), read("config/default.toml"));
    let (mut section, mut missing) = (String::new(), Vec::new());
    for line in defaults.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, _)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            let path = format!("`{section}.{key}`");
            if !document.contains(&path) {
                missing.push(format!("docs/configuration.md does not name {path}"));
            }
        }
    }
    none(missing);
}

#[test]
fn every_route_has_its_line() {
    let document = read("docs/api.md");
    let routes = super::doors::api_routes();
    none(
        routes
            .iter()
            .filter(|(r, _)| !document.contains(r))
            .map(|(r, _)| format!("docs/api.md lacks {r}"))
            .collect(),
    );
}

#[test]
fn every_filter_and_function_has_its_word() {
    let text = read("docs/definitions.md");
    let (_, after) = text.split_once("\nFilters: `").expect("the filters");
    let (filters, after) = after.split_once('`').expect("their end");
    let known = expr::names::filters().iter().filter(|(_, about)| !about.starts_with("Short for"));
    let known: BTreeSet<&str> = known.map(|(name, _)| *name).collect();
    assert_eq!(filters.split_whitespace().collect::<BTreeSet<_>>(), known);
    let (_, functions) = after.split_once("Functions: ").expect("the functions");
    let functions = functions.split('.').next().unwrap_or_default();
    let known = expr::names::functions().iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(codes(functions), known.collect());
}

/// Collects the examples of every field `code` in a description.
pub fn examples(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let own = value.pointer("/code/examples").and_then(Value::as_array).into_iter().flatten();
            found.extend(own.filter_map(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| examples(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| examples(value, found)),
        _ => {}
    }
}

/// Returns the words in backticks that can be codes.
fn codes(text: &str) -> BTreeSet<String> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_code = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    quoted.filter(is_code).map(str::to_owned).collect()
}

#[test]
fn the_description_of_the_api_has_every_route_and_every_code() {
    let description: Value = serde_json::from_str(&read("docs/openapi.json")).expect("JSON");
    let mut wrong = Vec::new();
    let routes = super::doors::api_routes();
    for (path, methods) in &routes {
        for method in methods {
            if description["paths"][path][method.to_ascii_lowercase()].is_null() {
                wrong.push(format!("docs/openapi.json lacks {method} {path}"));
            }
        }
    }
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let method = method.to_ascii_uppercase();
            let is_there =
                |(known, methods): &(String, Vec<&str>)| known == path && methods.contains(&&*method);
            if !routes.iter().any(is_there) {
                wrong.push(format!("docs/openapi.json has {method} {path}, which the router does not have"));
            }
        }
    }
    let document = read("docs/api.md");
    let (_, errors) = document.split_once("## Errors").expect("a part about errors");
    // The first sentences name the fields of a problem; codes stand in the table and after it.
    let (_, errors) = errors.split_once("|---|").expect("a table");
    let mut described = BTreeSet::new();
    examples(&description["components"], &mut described);
    // The beginning of many codes is not one.
    let promised: BTreeSet<_> = codes(errors).into_iter().filter(|code| !code.ends_with('_')).collect();
    assert!(promised.len() > 60, "{promised:?}");
    wrong.extend(promised.difference(&described).map(|code| format!("docs/openapi.json lacks {code}")));
    wrong.extend(described.difference(&promised).map(|code| format!("docs/api.md lacks the code {code}")));
    none(wrong);
}

/// Returns the fenced blocks of a document.
fn blocks(document: &Text) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in document.text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(kind)) => {
                let place = format!("{}:{}", document.path, number + 1);
                open = Some(Block { place, kind: kind.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{} has a block without an end", document.path);
    found
}

/// Returns the targets of `[text](target)`, those in code left out.
fn links(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        // Every second piece stands between backticks.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.map(|(target, _)| target.trim().to_owned()));
    }
    found
}

#[test]
fn links_in_code_are_none() {
    let text = "see [a](b.md#c) and `[x](y)`\n```\n[q](r)\n```\n[`d`](e/f.md)";
    assert_eq!(links(text), ["b.md#c", "e/f.md"]);
}
