//! What Rust sources say and do not say.

use super::{none, texts};

/// What the core must not contain, beside what its manifest can't declare.
const IMPURE: [&str; 15] = [
    "async fn",
    "async move",
    ".await",
    "tokio",
    "tracing::",
    "rand::",
    "SystemTime",
    "Instant",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "HashMap",
    "HashSet",
];
/// minijinja hands out a `HashSet`; it is sorted where it is received.
const SORTED_AT_ONCE: (&str, &str) = ("crates/core/src/expr/references.rs", "HashSet");

/// Kinds of files that people write; those without a kind (scripts, Makefile) are checked as well.
const WRITTEN: [&str; 14] =
    ["rs", "md", "toml", "yaml", "yml", "json", "sql", "proto", "sh", "mod", "ts", "tsx", "css", "html"];

/// Paths of the machine that somebody works on. Written in two parts, or this file would have one.
const MACHINE: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];

/// Returns a source without its line comments and without the tests at its end.
pub fn code(text: &str) -> String {
    let own = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = own.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

#[test]
fn the_core_has_no_clock_no_randomness_no_io_and_no_order_of_chance() {
    let mut wrong = Vec::new();
    for source in
        texts(|path| path.starts_with("crates/core/src/") && path.ends_with(".rs") && !is_test(path))
    {
        let code = code(&source.text);
        let found = IMPURE.iter().filter(|word| code.contains(**word));
        let found = found.filter(|word| (source.path.as_str(), **word) != SORTED_AT_ONCE);
        wrong.extend(found.map(|word| format!("{}: {word}", source.path)));
    }
    none(wrong);
}

#[test]
fn operations_know_no_transport() {
    let transports =
        ["axum", "http::", "http_body", "StatusCode", "HeaderMap", "Json(", "tonic", "crate::gateway"];
    let mut wrong = Vec::new();
    for source in texts(|path| path.starts_with("crates/callboard/src/operations") && path.ends_with(".rs")) {
        let code = code(&source.text);
        let found = transports.iter().filter(|word| code.contains(**word));
        wrong.extend(found.map(|word| format!("{}: {word}", source.path)));
    }
    none(wrong);
}

#[test]
fn every_source_says_first_what_it_is_for() {
    let sources = texts(|path| path.ends_with(".rs"));
    let silent = sources.iter().filter(|source| !source.text.starts_with("//!"));
    none(silent.map(|source| format!("{} does not begin with //!", source.path)).collect());
}

#[test]
fn nothing_names_the_machine_it_was_written_on() {
    let checked = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.rsplit_once('.').is_none_or(|(_, kind)| WRITTEN.contains(&kind))
    };
    let mut wrong = Vec::new();
    for file in texts(checked) {
        for (number, line) in file.text.lines().enumerate() {
            if MACHINE.iter().any(|path| line.contains(path)) {
                wrong.push(format!("{}:{}: {}", file.path, number + 1, line.trim()));
            }
        }
    }
    none(wrong);
}
