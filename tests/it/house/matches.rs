//! A `match` on an enum of ours says something to each variant: a new one must break every place that has to think.

use super::{
    none,
    sources::{bare, code, is_test},
    texts,
};
use std::collections::BTreeSet;

/// Where it is held.
const FOLDERS: [&str; 2] = ["crates/core/src/", "actors/src/"];

/// A `match` with the patterns of its arms.
struct Match {
    line: usize,
    patterns: Vec<String>,
}

/// Returns the names of the enums that are declared.
fn enums(code: &str) -> impl Iterator<Item = &str> {
    code.split("enum ").skip(1).filter_map(|after| after.split(|c: char| !c.is_alphanumeric()).next())
}

/// Returns every `match`, those inside of others included.
fn matches(code: &str) -> Vec<Match> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("match ") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.') {
            continue;
        }
        let Some(open) = outside(&code[at..], |rest| rest.starts_with('{')) else { continue };
        let line = code[..at].matches('\n').count() + 1;
        found.push(Match { line, patterns: patterns(&code[at + open + 1..]) });
    }
    found
}

/// Returns the patterns of the arms that begin here and end with the bracket around them.
fn patterns(mut rest: &str) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(arrow) = outside(rest, |rest| rest.starts_with("=>") || rest.starts_with('}')) {
        if rest[arrow..].starts_with('}') {
            break;
        }
        found.push(rest[..arrow].split_whitespace().collect::<Vec<_>>().join(" "));
        rest = rest[arrow + 2..].trim_start();
        let end = match rest.starts_with('{') {
            true => outside(&rest[1..], |rest| rest.starts_with('}')).map(|n| n + 2),
            false => outside(rest, |rest| rest.starts_with([',', '}'])),
        };
        rest = &rest[end.unwrap_or(rest.len())..];
        rest = rest.trim_start().trim_start_matches(',');
    }
    found
}

/// Finds the first place, outside of all brackets that open here, where `is` holds.
fn outside(text: &str, is: impl Fn(&str) -> bool) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        if depth == 0 && is(&text[at..]) {
            return Some(at);
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Whether a pattern takes whatever is left: `_`, a name, or a tuple of such. One with a condition leaves something over.
fn is_rest(pattern: &str) -> bool {
    let parts = pattern.trim_start_matches('|').trim_matches(['(', ')', ' ']).split(',').map(str::trim);
    parts.filter(|part| !part.is_empty()).all(|part| {
        part.starts_with(|c: char| c.is_lowercase() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// Returns the enum of ours that a `match` with an arm for whatever is left is about.
fn swallows<'e>(found: &Match, ours: &BTreeSet<&'e str>) -> Option<&'e str> {
    let rest = found.patterns.iter().any(|pattern| is_rest(pattern));
    let named = |of: &str| {
        let variant = format!("{of}::");
        found.patterns.iter().any(|pattern| {
            let pattern = pattern.split(" if ").next().unwrap_or_default();
            pattern.match_indices(&variant).any(|(at, _)| {
                let (before, after) = (&pattern[..at], &pattern[at + variant.len()..]);
                // `Other::X` is not `X`; a constant or a function is no variant.
                !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
                    && after.starts_with(char::is_uppercase)
                    && after.chars().nth(1).is_none_or(|c| !c.is_uppercase())
            })
        })
    };
    ours.iter().copied().find(|of| rest && named(of))
}

#[test]
fn no_arm_takes_whatever_is_left_of_an_enum_of_ours() {
    let sources: Vec<(String, String)> = texts(|path| path.ends_with(".rs") && !is_test(path))
        .into_iter()
        .filter(|file| FOLDERS.iter().any(|folder| file.path.starts_with(folder)))
        .map(|file| (file.path, bare(&code(&file.text))))
        .collect();
    let ours: BTreeSet<&str> = sources.iter().flat_map(|(_, code)| enums(code)).collect();
    let mut wrong = Vec::new();
    for (path, code) in &sources {
        // Somebody else's enum may have the name of one of ours here.
        let here = ours.iter().copied().filter(|name| !code.contains(&format!(" as {name}")));
        let here: BTreeSet<&str> = here.collect();
        for found in matches(code) {
            if let Some(of) = swallows(&found, &here) {
                wrong.push(format!("{path}: a match near line {} swallows variants of {of}", found.line));
            }
        }
    }
    none(wrong);
}

#[test]
fn an_arm_for_whatever_is_left_is_seen_wherever_it_stands() {
    let ours = BTreeSet::from(["Kind"]);
    let all = |code: &str| matches(code).iter().filter_map(|found| swallows(found, &ours)).count();
    for swallowing in [
        "match kind { Kind::A => 1, _ => 2 }",
        "match kind { Kind::A(x) if x > 0 => { f(Kind::B) } other => g(other), }",
        "match node.map(|n| n.kind) { Some(Kind::A { .. }) => vec![1, 2], _ => vec![] }",
        "match (a, b) { (Kind::A, Some(_)) => 1, (_, _) => 2 }",
        "match x { 1 => match kind { Kind::A => {} _ => {} }, _ => {} }",
    ] {
        assert_eq!(all(swallowing), 1, "{swallowing}");
    }
    for fine in [
        "match kind { Kind::A | Kind::B(_) => 1 }",
        "match kind { Kind::A => match x { 1 => 2, _ => 3 }, Kind::B(_) => 4 }",
        "match x { Some(x) => Kind::A, _ => Kind::B }",
        "match x { 1 if x == Kind::A => 1, _ => 2 }",
        "match (kind, x) { (Kind::A, _) => 1, (Kind::B(_), y) => y }",
        "match other { OtherKind::A => 1, _ => 2 }",
    ] {
        assert_eq!(all(fine), 0, "{fine}");
    }
}
