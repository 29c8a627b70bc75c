//! What documents and comments say of the code holds: default values, codes, and the files they name.

use super::{none, root, sources::code, texts};
use callboard_core::Code;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Codes that nobody outside meets, each with the reason.
const INSIDE: [(&str, &str); 2] =
    [("not_saved", "said by the simulated world only"), ("other", "stands for a code of another version")];

/// What is given a code, and as which of its arguments.
const SAYS_A_CODE: [(&str, usize); 4] =
    [("CallError::permanent(", 0), ("CallError::transient(", 0), ("Problem::new(", 1), ("code: ", 0)];

/// Words in quotation marks that end in one of these are files of the repository.
const FILES: [&str; 4] = [".rs", ".md", ".sql", ".proto"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

/// Returns `section.key` and value of every setting, as the file of defaults writes it.
fn defaults(text: &str) -> BTreeMap<String, String> {
    let (mut section, mut found) = (String::new(), BTreeMap::new());
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            found.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    found
}

/// Returns setting and default of each row of a table of settings, as the page writes them.
fn promised(text: &str) -> Vec<(String, String)> {
    let table = text.lines().skip_while(|line| !line.starts_with("| Setting | Default |")).skip(2);
    let rows = table.take_while(|line| line.starts_with('|'));
    let cells =
        rows.map(|row| row.split(" | ").map(|cell| cell.trim_matches(['|', ' '])).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].trim_matches('`').to_owned(), cells[1].to_owned())).collect()
}

/// Returns the rows whose default is another one, and those that no setting has.
fn untrue(page: &str, file: &str) -> Vec<String> {
    let defaults = defaults(file);
    let mut wrong = Vec::new();
    for (setting, said) in promised(page) {
        // A table that the user fills: `models.providers.NAME`.
        if let Some((section, _)) = setting.split_once(".NAME") {
            if said != "none" || !file.lines().any(|line| line == format!("[{section}]")) {
                wrong.push(format!("{setting}: {said}, and config/default.toml has no [{section}]"));
            }
            continue;
        }
        let Some(is) = defaults.get(&setting) else {
            wrong.push(format!("{setting} is no setting"));
            continue;
        };
        let is = is.trim_matches('"');
        let said = if said == "empty" { "" } else { said.trim_matches('`') };
        if is != said {
            wrong.push(format!("{setting} is {is:?}, not {said:?}"));
        }
    }
    wrong
}

#[test]
fn every_default_is_told_as_it_is() {
    let (page, file) = (read("docs/configuration.md"), read("config/default.toml"));
    assert!(promised(&page).len() >= defaults(&file).len(), "the table is read whole");
    none(untrue(&page, &file));
}

#[test]
fn another_default_is_seen() {
    let page = "| Setting | Default | Means |\n|---|---|---|\n| `a.b` | `20s` | x |\n| `a.c` | empty | y |\n| `a.d` | `1` | z |\n";
    let file = "[a]\nb = \"15s\"\nc = \"\"\n";
    assert_eq!(untrue(page, file), ["a.b is \"15s\", not \"20s\"", "a.d is no setting"]);
}

/// Returns the argument at this place of a list of arguments.
fn argument(list: &str, place: usize) -> &str {
    let (mut depth, mut quoted, mut before, mut start) = (0, false, 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ',' | ')' | '}' | ']' if depth == 0 => {
                if before == place {
                    return list[start..at].trim();
                }
                (before, start) = (before + 1, at + 1);
            }
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    ""
}

/// Returns the codes that a source gives to what it reports: words in quotation marks.
fn said_by(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (constructor, place) in SAYS_A_CODE {
        let given = source.split(constructor).skip(1).map(|rest| argument(rest, place));
        let literal = given.filter_map(|code| code.strip_prefix('"')?.strip_suffix('"'));
        found.extend(literal.map(str::to_owned));
    }
    found
}

#[test]
fn every_code_stands_in_a_page() {
    let pages: String = texts(|path| path.starts_with("docs/") && path.ends_with(".md"))
        .into_iter()
        .map(|page| page.text)
        .collect();
    let mut said: BTreeMap<String, String> =
        Code::ALL.iter().map(|code| (code.as_str().to_owned(), "crates/core/src/code.rs".into())).collect();
    let product = |path: &str| {
        path.ends_with(".rs")
            && path.contains("/src/")
            && !super::sources::is_test(path)
            && !path.contains("/suite/")
    };
    for source in texts(product) {
        said.extend(said_by(&code(&source.text)).into_iter().map(|code| (code, source.path.clone())));
    }
    assert!(said.len() > 80, "{said:?}");
    let inside = |code: &str| INSIDE.iter().any(|(known, _)| *known == code);
    let unsaid = said.iter().filter(|(code, _)| !inside(code) && !pages.contains(&format!("`{code}`")));
    none(unsaid.map(|(code, path)| format!("no page names the code {code} of {path}")).collect());
}

#[test]
fn a_code_is_found_wherever_its_line_breaks() {
    let source = "CallError::permanent(\n    \"http_status\",\n    x) Problem::new(format!(\"{}, {y}\", f(1, 2)), \"a_b\",\
                  z) CallError::transient(code, \"c_d\") M { code: \"e_f\", g }";
    assert_eq!(said_by(source).into_iter().collect::<Vec<_>>(), ["a_b", "e_f", "http_status"]);
}

/// Returns the files that a text names: words that end as a file of ours does, and decisions by their number.
fn named_files(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_-./".contains(c)));
    let words = words.map(|word| word.trim_matches(['.', '/']));
    words
        .filter(|word| {
            FILES.iter().any(|kind| word.len() > kind.len() && word.ends_with(kind))
                || word.starts_with("docs/adr/")
        })
        .collect()
}

/// Returns what a line of a source says to people.
fn comment(line: &str) -> &str {
    line.trim_start().strip_prefix("//").map(|rest| rest.trim_start_matches(['/', '!'])).unwrap_or_default()
}

#[test]
fn every_file_that_a_comment_or_a_page_names_is_there() {
    let all: Vec<String> = texts(|_| true).into_iter().map(|file| file.path).collect();
    let is_there = |name: &str| {
        all.iter().any(|path| {
            path == name
                || path.ends_with(&format!("/{name}"))
                || (name.starts_with("docs/adr/") && path.starts_with(name))
        })
    };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for file in texts(|path| path.ends_with(".rs") || path.ends_with(".md")) {
        let source = file.path.ends_with(".rs");
        for (number, line) in file.text.lines().enumerate() {
            let said = if source { comment(line) } else { line };
            // Addresses and what lies in a user's home are not ours.
            for name in
                named_files(said).into_iter().filter(|_| !said.contains("://") && !said.contains("~/"))
            {
                seen += 1;
                if !is_there(name) {
                    wrong.push(format!("{}:{}: there is no {name}", file.path, number + 1));
                }
            }
        }
    }
    assert!(seen > 50, "{seen}");
    none(wrong);
}

#[test]
fn a_file_is_told_from_other_words() {
    let text = "see `embedded/store.rs`, docs/adr/0014, (x.md). Not `a.rss`, .rs or 1.5.";
    assert_eq!(named_files(text), ["embedded/store.rs", "docs/adr/0014", "x.md"]);
    assert_eq!(comment("    /// a `b.rs`"), " a `b.rs`");
    assert_eq!(comment("let a = 1; // b.rs"), "");
}

#[test]
fn a_decision_that_a_comment_cites_was_made() {
    let decisions = texts(|path| path.starts_with("docs/adr/")).len();
    let mut wrong = Vec::new();
    for file in texts(|path| path.ends_with(".rs") || path.ends_with(".md")) {
        for (number, line) in file.text.lines().enumerate() {
            for rest in line.split("ADR ").skip(1) {
                let cited: String = rest.chars().take_while(char::is_ascii_digit).collect();
                if cited.parse::<usize>().is_ok_and(|n| n == 0 || n > decisions) {
                    wrong.push(format!("{}:{}: there is no ADR {cited}", file.path, number + 1));
                }
            }
        }
    }
    none(wrong);
}

#[test]
fn every_code_of_the_api_is_one_that_is_said() {
    let description: Value = serde_json::from_str(&read("docs/openapi.json")).expect("JSON");
    let sources: String =
        texts(|path| path.ends_with(".rs") && path.contains("/src/") && !path.contains("/openapi/"))
            .into_iter()
            .map(|source| code(&source.text))
            .collect();
    let mut described = BTreeSet::new();
    super::documents::examples(&description["components"], &mut described);
    assert!(described.len() > 60, "{described:?}");
    let dead = described.iter().filter(|code| !sources.contains(&format!("\"{code}\"")));
    none(dead.map(|code| format!("docs/openapi.json has the code {code}, which nothing says")).collect());
}

#[test]
fn the_walks_are_short_and_pass_each_file_once() {
    let document = read("ARCHITECTURE.md");
    let (_, rest) = document.split_once("## Three walks").expect("the walks");
    let (walks, _) = rest.split_once("\n## ").expect("an end");
    let walks: Vec<&str> = walks.split("\n**").skip(1).collect();
    assert_eq!(walks.len(), 3);
    let mut wrong = Vec::new();
    for walk in walks {
        let files = named_files(walk);
        // `workflow/decide.rs` of the actors is another file than that of the core.
        let short = |file: &str| file.trim_start_matches("actors/src/").to_owned();
        let once: BTreeSet<String> = files.iter().map(|file| short(file)).collect();
        let name = walk.split("**").next().unwrap_or_default();
        if files.len() > 12 || once.len() != files.len() {
            wrong.push(format!("{name} {} files, {} of them different: {files:?}", files.len(), once.len()));
        }
    }
    none(wrong);
}
