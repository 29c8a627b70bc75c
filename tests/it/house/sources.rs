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
    let own = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = own.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Returns code without what stands in its texts, its characters and its comments, all else where it was.
pub fn bare(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(['"', '\'', '/', 'r']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        let word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let hashes = here[1..].len() - here[1..].trim_start_matches('#').len();
        let (kept, len) = match here.as_bytes() {
            [b'/', b'/', ..] => ("", here.find('\n').unwrap_or(here.len())),
            [b'r', ..] if !word && here[1 + hashes..].starts_with('"') => {
                let end = format!("\"{}", "#".repeat(hashes));
                let start = hashes + 2;
                ("\"\"", here[start..].find(&end).map_or(here.len(), |n| start + n + end.len()))
            }
            [b'"', ..] => ("\"\"", quoted(here)),
            // A character, not a lifetime.
            [b'\'', b'\\', ..] => ("' '", quoted(here)),
            [b'\'', ..] if here.chars().nth(2) == Some('\'') => {
                ("' '", here.char_indices().nth(3).map_or(here.len(), |(n, _)| n))
            }
            _ => (&here[..1], 1),
        };
        out.push_str(kept);
        rest = &here[len..];
    }
    out + rest
}

/// Returns how long the quoted text at the start is, its quotes included.
fn quoted(text: &str) -> usize {
    let mut escaped = true;
    let quote = text.chars().next();
    let end = text.char_indices().find(|(_, c)| {
        let ends = !escaped && Some(*c) == quote;
        escaped = if *c == '\\' { !escaped } else { false };
        ends
    });
    end.map_or(text.len(), |(n, c)| n + c.len_utf8())
}

#[test]
fn texts_characters_and_comments_are_left_out() {
    let left = [
        ("let a = \"x\\\"y\"; b", "let a = \"\"; b"),
        ("r#\"a\"b\"# r\"\\\" for r in 'a", "\"\" \"\" for r in 'a"),
        ("let c = '\"'; fn f<'a>(x: &'a str) {} // 'x", "let c = ' '; fn f<'a>(x: &'a str) {} "),
        ("'\\'' \"\\\\\" /b", "' ' \"\" /b"),
    ];
    for (text, expected) in left {
        assert_eq!(bare(text), expected);
    }
}

pub fn is_test(path: &str) -> bool {
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
