//! Which file needs which: files and folders that stand side by side in a module need each other one way.
//!
//! The rule. A path in one file that leads to another is an arrow between the two places where their modules part:
//! `workflow/decide/ops.rs` naming `workflow/event.rs` is an arrow from `decide` to `event` in the module `workflow`. A
//! folder so counts as a whole, with all that it needs and all that is needed of it. In no module do these arrows close a
//! circle.
//!
//! What a module and the files below it say of each other is no arrow. `mod x; pub use x::Y;` above and `super::Z` below
//! are how one thought is told in parts; what is taken from a sibling by way of `super` is an arrow to that sibling.
//!
//! Tests may name what they like. Only paths are seen: a method that is called on a value names no file.

use super::{
    none,
    sources::{bare, code, is_test},
    texts,
};
use std::collections::{BTreeMap, BTreeSet};

/// Crates whose files are looked at.
const CRATES: [&str; 2] = ["crates/core", "actors"];

/// Circles that there are: crate, module, what stands in the circle, why. One that is broken leaves the list.
const KNOWN: [(&str, &str, &[&str], &str); 1] = [(
    "actors",
    "",
    &["events", "live", "services"],
    "who listens is told of events by a service, and hears of other processes by the bus",
)];

/// In the core: what must not name what, although it would close no circle.
const APART: [(&str, &str); 3] = [("agent", "workflow"), ("workflow", "agent"), ("schema", "workflow")];

/// The path of a module from its crate, `["workflow", "decide"]`.
type Module = Vec<String>;

/// The files of a crate by module, each with its code.
struct Crate(BTreeMap<Module, String>);

/// An arrow between two things that stand side by side, and the files that make it one.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

impl Crate {
    fn read(folder: &str) -> Self {
        let source = format!("{folder}/src/");
        let files = texts(|path| path.starts_with(&source) && path.ends_with(".rs") && !is_test(path));
        Self::new(files.iter().map(|file| (&file.path[source.len()..], file.text.as_str())))
    }

    fn new<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let module = |path: &str| -> Module {
            let mut parts: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            parts.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
            parts
        };
        Self(files.into_iter().map(|(path, text)| (module(path), bare(&code(text)))).collect())
    }

    /// Returns the arrows of each module.
    fn arrows(&self) -> BTreeMap<Module, Arrows> {
        let mut arrows: BTreeMap<Module, Arrows> = BTreeMap::new();
        let exports: BTreeMap<&Module, Vec<Used>> = self.0.iter().map(|(m, text)| (m, uses(text))).collect();
        for (from, text) in &self.0 {
            let used = exports[from].iter().map(|used| used.path.clone());
            for path in used.chain(inline(text)) {
                let Some(to) = self.file_of(from, &path, &exports, 0) else { continue };
                let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
                if let (Some(a), Some(b)) = (from.get(common), to.get(common)) {
                    let by = format!("{} names {}", from.join("::"), to.join("::"));
                    let of_module = arrows.entry(from[..common].to_vec()).or_default();
                    of_module.entry((a.clone(), b.clone())).or_default().insert(by);
                }
            }
        }
        arrows
    }

    /// Finds the file that a path in `from` leads to, past what modules pass on from their files.
    fn file_of(
        &self,
        from: &Module,
        path: &[String],
        exports: &BTreeMap<&Module, Vec<Used>>,
        steps: u32,
    ) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Module::new(),
            "self" => from.clone(),
            "super" => {
                let more = rest.iter().take_while(|part| *part == "super").count();
                rest = &rest[more..];
                from[..from.len().checked_sub(more + 1)?].to_vec()
            }
            _ => {
                rest = path;
                from.clone()
            }
        };
        while let Some((next, after)) = rest.split_first() {
            let below: Module = at.iter().chain([next]).cloned().collect();
            let passed =
                exports.get(&at).into_iter().flatten().find(|used| used.public && used.name == *next);
            if self.0.contains_key(&below) {
                at = below;
            } else if let (Some(used), true) = (passed, steps < 8) {
                let path: Vec<String> = used.path.iter().chain(after).cloned().collect();
                return self.file_of(&at, &path, exports, steps + 1).or(Some(at));
            } else {
                break;
            }
            rest = after;
        }
        // A path that begins with neither is another crate's, unless it names a file below.
        (at != *from).then_some(at)
    }

    /// Returns the circles: the module, what stands in it, and what closes it.
    fn circles(&self) -> Vec<(String, Vec<String>, Vec<String>)> {
        let mut circles = Vec::new();
        for (module, arrows) in self.arrows() {
            let reached = |from: &String| -> BTreeSet<String> {
                let (mut found, mut next) = (BTreeSet::new(), vec![from.clone()]);
                while let Some(at) = next.pop() {
                    let below = arrows.keys().filter(|(a, _)| *a == at).map(|(_, b)| b.clone());
                    next.extend(below.filter(|b| found.insert(b.clone())));
                }
                found
            };
            let things: BTreeSet<&String> = arrows.keys().flat_map(|(a, b)| [a, b]).collect();
            let mut done: BTreeSet<String> = BTreeSet::new();
            for thing in things {
                let below = reached(thing);
                if !below.contains(thing) || done.contains(thing) {
                    continue;
                }
                let circle: Vec<String> = below.into_iter().filter(|b| reached(b).contains(thing)).collect();
                done.extend(circle.iter().cloned());
                let inside = |(a, b): &(String, String)| circle.contains(a) && circle.contains(b);
                let closing = arrows.iter().filter(|(arrow, _)| inside(arrow)).flat_map(|(_, by)| by.clone());
                circles.push((module.join("::"), circle.clone(), closing.collect()));
            }
        }
        circles
    }
}

/// A path that is brought in.
struct Used {
    path: Vec<String>,
    /// The name under which it is known here.
    name: String,
    /// Whether it is passed on.
    public: bool,
}

/// Returns what the `use` declarations of a file name.
fn uses(code: &str) -> Vec<Used> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].trim_end_matches([' ', '\t']);
        let public = before.ends_with("pub") || before.ends_with(')');
        if !(public || before.is_empty() || before.ends_with(['\n', '{', ';', '}'])) {
            continue;
        }
        let Some((tree, _)) = code[at + "use ".len()..].split_once(';') else { continue };
        unfold(tree, &[], public, &mut found);
    }
    found
}

/// Takes a tree such as `a::{b, c::{d, e as f}}` apart.
fn unfold(tree: &str, above: &[String], public: bool, found: &mut Vec<Used>) {
    let tree = tree.trim();
    let (head, inner) = match tree.split_once('{') {
        Some((head, inner)) => (head, Some(inner.strip_suffix('}').unwrap_or(inner))),
        None => (tree, None),
    };
    let (head, alias) = head.split_once(" as ").unwrap_or((head, ""));
    let parts = head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned);
    let mut path: Vec<String> = above.iter().cloned().chain(parts).collect();
    let Some(inner) = inner else {
        if path.len() > 1 {
            path.pop_if(|last| last.as_str() == "self");
        }
        if let Some(last) = path.last().cloned() {
            let name = if alias.is_empty() { last } else { alias.trim().to_owned() };
            found.push(Used { path, name, public });
        }
        return;
    };
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices().chain([(inner.len(), ',')]) {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                unfold(&inner[from..at], &path, public, found);
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// Returns the paths that stand in the code itself.
fn inline(code: &str) -> Vec<Vec<String>> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for start in ["crate::", "super::", "self::"] {
        for (at, _) in code.match_indices(start) {
            if code[..at].ends_with(|c| is_word(c) || c == ':') {
                continue;
            }
            let end = code[at..].find(|c| !is_word(c) && c != ':').map_or(code.len(), |n| at + n);
            let parts = code[at..end].split("::").filter(|part| !part.is_empty());
            found.push(parts.map(str::to_owned).collect());
        }
    }
    found
}

#[test]
fn no_circle_of_files_but_those_that_are_known() {
    let mut wrong = Vec::new();
    let mut met = BTreeSet::new();
    for folder in CRATES {
        for (module, circle, closing) in Crate::read(folder).circles() {
            let known = KNOWN.iter().position(|(of, at, members, _)| {
                *of == folder && *at == module && circle.iter().all(|one| members.contains(&one.as_str()))
            });
            match known {
                Some(known) => drop(met.insert(known)),
                None => wrong.push(format!(
                    "{folder}, in `{module}`: {} need each other:\n    {}",
                    circle.join(", "),
                    closing.join("\n    ")
                )),
            }
        }
    }
    let stale = (0..KNOWN.len()).filter(|n| !met.contains(n)).map(|n| KNOWN[n]);
    wrong.extend(stale.map(|(of, at, members, _)| {
        format!("{of}, in `{at}`: {} is no circle any more: take it off the list", members.join(", "))
    }));
    none(wrong);
}

#[test]
fn agents_and_workflows_stand_on_common_ground_and_not_on_each_other() {
    let arrows = Crate::read("crates/core").arrows().remove(&Module::new()).expect("the core's arrows");
    let mut wrong = Vec::new();
    for (from, to) in APART {
        let by = arrows.get(&(from.to_owned(), to.to_owned())).into_iter().flatten();
        wrong.extend(by.map(|by| format!("`{from}` must not name `{to}`: {by}")));
    }
    none(wrong);
}

#[test]
fn a_circle_is_seen_and_what_is_none_is_not() {
    let found = |files: &[(&str, &str)]| -> Vec<(String, Vec<String>)> {
        let circles = Crate::new(files.iter().copied()).circles();
        circles.into_iter().map(|(module, circle, _)| (module, circle)).collect()
    };
    let circle =
        |module: &str, of: &[&str]| vec![(module.to_owned(), of.iter().map(|s| s.to_string()).collect())];
    // Parts of one thought.
    let told =
        [("lib.rs", "mod a;"), ("a.rs", "mod b;\npub use b::B;\nstruct A;"), ("a/b.rs", "use super::A;")];
    assert!(found(&told).is_empty());
    // Side by side, one by a declaration and one in the code.
    let two = [("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { crate::a::g(); }")];
    assert_eq!(found(&two), circle("", &["a", "b"]));
    // By way of what the module above passes on, and deep in the two folders.
    let deep = [
        ("m/mod.rs", "pub use b::{B, c::{C as D}};"),
        ("m/a.rs", "use super::D;"),
        ("m/b.rs", "struct B;"),
        ("m/b/c.rs", "use crate::{m::{a::A}, other};"),
    ];
    assert_eq!(found(&deep), circle("m", &["a", "b"]));
    // Tests, texts and comments name what they like.
    let quiet = [
        (
            "a.rs",
            "// use crate::b;\nconst T: &str = \"crate::b::B\";\n#[cfg(test)]\nmod tests { use crate::b::B; }",
        ),
        ("b.rs", "use crate::a::A;"),
    ];
    assert!(found(&quiet).is_empty());
}
