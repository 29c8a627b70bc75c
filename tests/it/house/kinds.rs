//! What it takes to add a kind of node is what the recipe says: kinds, and ways to work, are told apart in the files that
//! it names and nowhere else, and they are few.

use super::{
    none,
    sources::{bare, code, is_test},
    texts,
};
use std::collections::BTreeSet;

/// What tells kinds apart: the kinds themselves, and the ways to work that a kind may bring.
const TOLD_APART: [&str; 4] = ["NodeKind", "Waits", "Holds", "Outside"];
/// A kind takes no more edits of product code than this.
const MOST: usize = 7;
const RECIPE: &str = "### … add a kind of node";

/// The files of the recipe: those of every kind, and for each new way to work those that it takes beside them.
struct Recipe {
    every: BTreeSet<String>,
    ways: Vec<BTreeSet<String>>,
}

impl Recipe {
    /// Reads the list: numbered lines are for every kind, lines with a dash for a new way to work.
    fn read(text: &str) -> Self {
        let section = text.split(RECIPE).nth(1).expect("the recipe");
        let section = section.split("\n### ").next().unwrap_or_default();
        let mut recipe = Self { every: BTreeSet::new(), ways: Vec::new() };
        let mut item = String::new();
        for line in section.lines().chain(["1. "]) {
            let begins = line.starts_with("- ") || line.starts_with(|c: char| c.is_ascii_digit());
            if begins || line.is_empty() {
                recipe.take(&std::mem::take(&mut item));
            }
            item += line;
            item.push('\n');
        }
        recipe
    }

    fn take(&mut self, item: &str) {
        let quoted = item.split('`').skip(1).step_by(2);
        let files: BTreeSet<String> =
            quoted.filter(|name| name.ends_with(".rs")).map(str::to_owned).collect();
        match item.starts_with("- ") {
            true => self.ways.push(files),
            false if item.starts_with(|c: char| c.is_ascii_digit()) => self.every.extend(files),
            false => {}
        }
    }

    fn most(&self) -> usize {
        self.every.len()
            + self.ways.iter().map(|files| files.difference(&self.every).count()).max().unwrap_or(0)
    }
}

/// Whether the code names a variant of the enum, by a path that ends with its name.
fn names(code: &str, of: &str) -> bool {
    let start = format!("{of}::");
    code.match_indices(&start).any(|(at, _)| {
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && code[at + start.len()..].starts_with(char::is_uppercase)
    })
}

#[test]
fn a_kind_of_node_takes_the_places_that_the_recipe_names_and_no_other() {
    let text = texts(|path| path == "CONTRIBUTING.md").remove(0).text;
    let recipe = Recipe::read(&text);
    let ways: BTreeSet<String> = recipe.ways.iter().flatten().cloned().collect();
    let mut wrong = Vec::new();
    let mut unmet: BTreeSet<&String> = recipe.every.union(&ways).collect();
    let product = |path: &str| {
        path.ends_with(".rs") && path.contains("/src/") && !is_test(path) && !path.starts_with("tests/")
    };
    for source in texts(product) {
        let code = bare(&code(&source.text));
        unmet.remove(&source.path);
        for of in TOLD_APART.into_iter().filter(|of| names(&code, of)) {
            let listed =
                recipe.every.contains(&source.path) || of != "NodeKind" && ways.contains(&source.path);
            if !listed {
                wrong.push(format!("{} tells {of} apart, and the recipe does not name it", source.path));
            }
        }
    }
    wrong.extend(unmet.into_iter().map(|path| format!("the recipe names {path}, which is no source")));
    if recipe.most() > MOST {
        wrong.push(format!("a kind takes {} places, more than {MOST}", recipe.most()));
    }
    none(wrong);
}

#[test]
fn a_recipe_is_read_as_it_is_written() {
    let text = format!(
        "# x\n\n{RECIPE}\n\nThe compiler leads in `no/file.rs`:\n\n1. `a.rs`: this\n   and `b.rs`.\n2. `config/K.yaml`.\n\n\
         - If it waits: `c.rs`.\n- If it holds: `a.rs`,\n  `d.rs`, `e.rs`.\n\n### … next\n\n1. `f.rs`\n"
    );
    let recipe = Recipe::read(&text);
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(recipe.every, set(&["a.rs", "b.rs"]));
    assert_eq!(recipe.ways, [set(&["c.rs"]), set(&["a.rs", "d.rs", "e.rs"])]);
    assert_eq!(recipe.most(), 4);
    assert!(
        names("match k { NodeKind::Wait(_) => 1 }", "NodeKind") && names("kinds::Waits::Time(_)", "Waits")
    );
    assert!(!names("NodeKind::named(x); Awaits::X; Work::Waits(_)", "NodeKind"));
    assert!(!names("NodeKind::named(x); Awaits::X; Work::Waits(_)", "Waits"));
}
