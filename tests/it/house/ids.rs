//! An id has a type, which says of what, and in which project: text is made an id where it comes in, and nowhere is one
//! handed on as text.

use super::{
    none,
    sources::{bare, code, is_test},
    texts,
};

/// What knows of runs. The sidecar does not: to it an actor's id is a text.
const FOLDERS: [&str; 5] = [
    "actors/src/",
    "crates/callboard/src/",
    "crates/catalog/src/",
    "crates/connectors/src/",
    "crates/core/src/",
];

/// What an id is called, as a parameter and as a field.
const NAMES: [&str; 12] = [
    "run",
    "run_id",
    "workflow",
    "workflow_id",
    "agent_id",
    "op",
    "operation",
    "operation_id",
    "project",
    "project_id",
    "runs",
    "workflows",
];

/// What may stand around a text.
const AROUND: [&str; 9] = ["&", "mut ", "Option<", "Vec<", "Arc<", "Box<", "Cow<", "[", "impl Into<"];

/// Columns of the database, which are texts until an id is made of them.
const COLUMNS: [(&str, &str); 5] = [
    ("crates/catalog/src/postgres/append.rs", "project"),
    ("crates/catalog/src/postgres/append.rs", "run"),
    ("crates/catalog/src/sql.rs", "project"),
    ("crates/catalog/src/sqlite/runs.rs", "project"),
    ("crates/catalog/src/sqlite/runs.rs", "workflow_id"),
];

/// Returns what is called as an id is, and is a text.
fn untyped(code: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    for name in NAMES {
        for (at, _) in code.match_indices(name) {
            let (before, after) = (&code[..at], &code[at + name.len()..]);
            let is_whole = !before.ends_with(|c: char| c.is_alphanumeric() || "_.:".contains(c));
            let Some(kind) = after.strip_prefix(": ").filter(|_| is_whole) else { continue };
            if is_text(kind) {
                found.push(name);
            }
        }
    }
    found
}

/// Whether a type is a text, or a reference, an option or a list of one.
fn is_text(mut kind: &str) -> bool {
    loop {
        let inner = AROUND.iter().find_map(|around| kind.strip_prefix(around));
        // A lifetime, before a space or a comma.
        let inner = inner.or_else(|| {
            let lifetime = kind.strip_prefix('\'')?;
            let end = lifetime.find(|c: char| !c.is_alphanumeric() && c != '_')?;
            Some(lifetime[end..].trim_start_matches(',').trim_start())
        });
        match inner {
            Some(inner) => kind = inner,
            None => break,
        }
    }
    let word = kind.split(|c: char| !c.is_alphanumeric() && c != '_').next();
    matches!(word, Some("str" | "String"))
}

#[test]
fn no_parameter_and_no_field_that_is_an_id_is_a_text() {
    let (mut wrong, mut columns) = (Vec::new(), Vec::new());
    let ours = |path: &str| FOLDERS.iter().any(|folder| path.starts_with(folder));
    for source in texts(|path| path.ends_with(".rs") && ours(path) && !is_test(path)) {
        for name in untyped(&bare(&code(&source.text))) {
            match COLUMNS.iter().find(|column| **column == (source.path.as_str(), name)) {
                Some(column) => columns.push(*column),
                None => wrong.push(format!("{}: `{name}` is an id, and a text", source.path)),
            }
        }
    }
    let unused = COLUMNS.iter().filter(|column| !columns.contains(column));
    wrong.extend(unused.map(|(path, name)| format!("{path}: `{name}` need not be left out any more")));
    none(wrong);
}

#[test]
fn nobody_else_makes_or_reads_a_runs_text() {
    let mut wrong = Vec::new();
    // Elsewhere `~` is one of JSON pointers.
    let ours = |path: &str| FOLDERS[..3].iter().any(|folder| path.starts_with(folder));
    for source in texts(|path| path.ends_with(".rs") && ours(path) && !is_test(path)) {
        let code = code(&source.text);
        // What joins project and name, and the head of a state key: `{run}.`
        let found = ["'~'", "\"~\"", "}~{", "\"{{{"].into_iter().filter(|text| code.contains(text));
        wrong.extend(found.map(|text| format!("{}: {text} is for `core::id` to write", source.path)));
    }
    none(wrong);
}

#[test]
fn a_text_is_seen_whatever_stands_around_it() {
    for text in [
        "fn f(run: &str) {}",
        "fn f(&self, run_id: Option<&'a str>, x: u8) {}",
        "struct S { pub op: Option<String>, }",
        "struct S { workflow_id: Arc<str> }",
        "fn f(runs: &[String]) {}",
        "struct S<'a> { project: Cow<'a, str> }",
        "fn f(operation: impl Into<String>) {}",
    ] {
        assert_eq!(untyped(text).len(), 1, "{text}");
    }
    for fine in [
        "fn f(run: &RunId, node: &str) {}",
        "S { run: run.clone() }",
        "S { run: Strings::new() }",
        "let return_op: &str = x;",
        "struct S { last_run: Option<RunId>, runs: BTreeMap<RunId, String> }",
    ] {
        assert_eq!(untyped(fine), [""; 0], "{fine}");
    }
}
