//! Files of definitions: which of a folder's are some, what they say, how new ones are called.

use super::shown;
use crate::{client::Definition, commands::workflows::own, document, say::say};
use anyhow::Context;
use callboard_core::{
    document::{Format, parse},
    id::WorkflowId,
    workflow::content,
};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// What the name of a definition's file may end in.
const KINDS: [&str; 3] = ["yaml", "yml", "json"];
/// Folders inside each other, and letters of a file's name.
const DEPTH: usize = 16;
const LONGEST: usize = 80;

/// A file with a definition.
#[derive(Debug)]
pub struct Source {
    pub file: PathBuf,
    /// Empty where it is missing, which the server will say.
    pub name: String,
    /// The workflow it was read from.
    pub id: Option<String>,
    /// What it says, without what a server added; of an export, with positions where they belong.
    pub value: Value,
    /// As it is sent.
    pub definition: Definition,
}

// === impl Source ===

impl Source {
    /// Reads a definition; the error says what is wrong.
    pub fn of(file: PathBuf, text: String) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let format = document::language(&file, &text);
        let value = parse(&text, format).map_err(|problem| problem.message)?;
        if !value.is_object() {
            return Err("a definition is an object".to_owned());
        }
        let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let (name, id) = (field("name").unwrap_or_default(), field("id"));
        let value = own(content::joined(value));
        Ok(Self { file, name, id, value, definition: Definition { text, format } })
    }

    pub fn shown(&self) -> String {
        shown(&self.file)
    }

    /// Whether it is something else of ours: agents.
    fn is_agents(&self) -> bool {
        self.value.get("agents").is_some() && self.value.get("nodes").is_none()
    }
}

/// Reads the definitions of files and folders. Also returns what can't be read, a line each.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<(Vec<Source>, Vec<String>)> {
    let mut files = BTreeSet::new();
    for path in paths {
        match path.is_dir() {
            true => walk(path, 0, &mut files)?,
            false => drop(files.insert(path.clone())),
        }
    }
    let (mut sources, mut wrong) = (Vec::new(), Vec::new());
    for file in files {
        let text = match document::text(&file) {
            Ok(text) => text,
            Err(error) => {
                wrong.push(format!("{error:#}"));
                continue;
            }
        };
        match Source::of(file.clone(), text) {
            Ok(source) if source.is_agents() => say!("({} holds agents and is left out)", source.shown()),
            Ok(source) => sources.push(source),
            Err(error) => wrong.push(format!("{}: {}", shown(&file), crate::terminal::plain(&error))),
        }
    }
    Ok((sources, wrong))
}

/// Returns the definitions of a folder; what is none is somebody else's.
pub fn definitions(folder: &Path) -> anyhow::Result<Vec<Source>> {
    let mut files = BTreeSet::new();
    walk(folder, 0, &mut files)?;
    let texts = files.into_iter().filter_map(|file| document::text(&file).ok().map(|text| (file, text)));
    Ok(texts
        .filter_map(|(file, text)| Source::of(file, text).ok())
        .filter(|source| !source.is_agents())
        .collect())
}

/// Collects the files of a folder that may be definitions. What is hidden (`.git`), and links to folders, are left out.
fn walk(folder: &Path, depth: usize, files: &mut BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let named = || folder.display().to_string();
    anyhow::ensure!(depth < DEPTH, "{}: folders are inside each other too deep", named());
    for entry in std::fs::read_dir(folder).with_context(named)? {
        let entry = entry.with_context(named)?;
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type().with_context(named)?.is_dir() {
            walk(&path, depth + 1, files)?;
        } else if path
            .extension()
            .and_then(|kind| kind.to_str())
            .is_some_and(|kind| KINDS.iter().any(|known| known.eq_ignore_ascii_case(kind)))
            && path.is_file()
        {
            files.insert(path);
        }
    }
    Ok(())
}

/// Returns the path of a new file for a workflow: by its name, as far as that can be a file's.
pub fn free(
    folder: &Path,
    name: &str,
    id: &WorkflowId,
    format: Format,
    taken: &BTreeSet<PathBuf>,
) -> PathBuf {
    let kind = match format {
        Format::Yaml => "yaml",
        Format::Json => "json",
    };
    let letters = name.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' });
    let stem: String = letters.take(LONGEST).collect();
    let stem = stem.trim_matches(['.', '-']);
    let plain = folder.join(format!("{stem}.{kind}"));
    match stem.is_empty() || taken.contains(&plain) || plain.symlink_metadata().is_ok() {
        true => folder
            .join(format!("{}{id}.{kind}", if stem.is_empty() { String::new() } else { format!("{stem}-") })),
        false => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_read_with_those_inside_and_without_what_is_hidden() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        for dir in ["b", ".git"] {
            std::fs::create_dir(at(dir)).expect("a folder");
        }
        for (file, text) in [
            ("z.json", r#"{"name": "z", "nodes": [], "id": "7", "version": 3}"#),
            ("b/a.yml", "name: a\nnodes: []\n"),
            (".git/c.yaml", "name: c\n"),
            ("agents.yaml", "agents: {}\n"),
            ("readme.md", "name: d\n"),
            ("wrong.yaml", "name: [\n"),
            ("list.json", "[]"),
        ] {
            std::fs::write(at(file), text).expect("a file");
        }
        let (sources, wrong) = read(&[folder.path().to_owned(), at("missing.yaml")]).expect("read");
        let found: Vec<_> = sources.iter().map(|source| (&*source.name, source.id.as_deref())).collect();
        assert_eq!(found, [("a", None), ("z", Some("7"))]);
        assert_eq!(sources[1].value, serde_json::json!({"name": "z", "nodes": []}));
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(wrong.iter().any(|line| line.contains("wrong.yaml: line ")), "{wrong:?}");
        assert_eq!(definitions(folder.path()).expect("read").len(), 2);
    }

    #[test]
    fn no_name_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let id = WorkflowId::new("0197");
        let mut taken = BTreeSet::new();
        let mut free = |name: &str| {
            let path = free(folder.path(), name, &id, Format::Yaml, &taken);
            taken.insert(path.clone());
            path.strip_prefix(folder.path()).expect("inside").display().to_string()
        };
        assert_eq!(free("haiku"), "haiku.yaml");
        assert_eq!(free("haiku"), "haiku-0197.yaml");
        assert_eq!(free("../../etc/passwd"), "etc-passwd.yaml");
        assert_eq!(free("a b\u{1b}[2J/俳句"), "a-b--2J-俳句.yaml");
        assert_eq!((free("..."), free(".git")), ("0197.yaml".into(), "git.yaml".into()));
        assert!(free(&"x".repeat(500)).len() < 100);
    }
}
