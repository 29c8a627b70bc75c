//! The house rules, as tests: who may depend on whom, what the core must not contain, and that what is written
//! about the program is true of it.
//!
//! Each test reads the repository as it lies on disk and reports everything it finds at once.

mod crates;
mod documents;
mod doors;
mod ids;
mod kinds;
mod matches;
mod modules;
mod promises;
mod recorded;
mod sources;

use super::harness::{self, root};
use std::path::{Path, PathBuf};

/// Folders that hold nothing of ours.
const NOT_OURS: [&str; 8] = ["target", ".git", ".cache", ".dapr", "node_modules", "data", "dist", "coverage"];

/// A file of the repository.
struct Text {
    /// From the root, with `/`.
    path: String,
    text: String,
}

/// Returns the text files for which `wanted` holds, by path.
fn texts(wanted: impl Fn(&str) -> bool) -> Vec<Text> {
    let mut found = Vec::new();
    walk(root(), &mut |path| {
        let name = path.strip_prefix(root()).expect("a path below the root").display().to_string();
        if wanted(&name)
            && let Ok(text) = std::fs::read_to_string(path)
        {
            found.push(Text { path: name, text });
        }
    });
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty(), "there is no such file");
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            if !NOT_OURS.contains(&name.as_str()) {
                walk(&path, visit);
            }
        } else if path.is_file() {
            visit(&path);
        }
    }
}

/// Fails with everything that is wrong.
#[track_caller]
fn none(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} thing(s) are wrong:\n  {}", wrong.len(), wrong.join("\n  "));
}
