//! `docs/cli.md` and the help: what they tell a reader to type does what they say.

use super::desk;
use crate::harness::root;
use serde_json::Value;

/// A fenced block: what stands behind the fence, and the text.
pub fn blocks(text: &str) -> Vec<(String, String)> {
    let mut parts = text.split("\n```").skip(1).step_by(2);
    let mut found = Vec::new();
    for part in &mut parts {
        let (kind, body) = part.split_once('\n').expect("a block has lines");
        found.push((kind.to_owned(), body.to_owned()));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_page_do_what_it_says() {
    let (server, desk, api) = desk().await;
    let page = std::fs::read_to_string(root().join("docs/cli.md")).expect("the page");
    let blocks = blocks(&page);
    let definition = blocks.iter().find(|(kind, _)| kind == "yaml callboard").expect("a definition");
    desk.write("flows/haiku.yaml", &definition.1);
    // Somebody who types is slower than the steps of a run: between two blocks everything comes to rest.
    let rest = "\nwhile [ -n \"$(callboard runs list --status running --json)\" ]; do :; done\n";
    let typed: Vec<_> =
        blocks.iter().filter(|(kind, _)| kind == "sh callboard").map(|(_, text)| text.as_str()).collect();
    assert!(typed.len() > 3, "{typed:?}");
    let script = typed.join(rest).replace("http://127.0.0.1:8080", &server.url);
    let said = desk.shell(&format!("set -euo pipefail\nunset CALLBOARD_SERVER\n{script}"));
    assert_eq!(said.code, 0, "{said:#?}");
    let runs = api.get("/runs").await;
    let statuses: Vec<&Value> =
        runs["items"].as_array().expect("items").iter().map(|run| &run["status"]).collect();
    assert!(statuses.len() >= 2 && statuses.contains(&&Value::from("completed")), "{statuses:?}\n{said:#?}");
    assert!(said.err.contains("1 created") && said.err.contains("1 unchanged"), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_explains_itself_and_the_page_names_it() {
    let desk = super::Desk::at("");
    let page = std::fs::read_to_string(root().join("docs/cli.md")).expect("the page");
    // Names of commands stand at the beginning of the lines below `Commands:`.
    let below = |help: &str| -> Vec<String> {
        let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        let lines = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("    "));
        lines
            .filter_map(|line| Some(line.split_whitespace().next()?.to_owned()))
            .filter(|name| name != "help")
            .collect()
    };
    let top = below(&desk.prints(&["--help"]));
    assert!(top.len() > 12, "{top:?}");
    for command in &top {
        let help = desk.prints(&[command, "--help"]);
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{help}");
        let of = below(&help);
        for word in &of {
            desk.prints(&[command, word, "--help"]);
            assert!(
                command == "keys" || page.contains(&format!("callboard {command} {word}")),
                "docs/cli.md: {command} {word}"
            );
        }
        assert!(page.contains(&format!("callboard {command}")), "docs/cli.md does not name {command}");
    }
    for shell in ["bash", "zsh", "fish"] {
        let script = desk.prints(&["completions", shell]);
        assert!(["approvals", "rerun", "dry-run"].iter().all(|word| script.contains(word)), "{shell}");
    }
    let read = desk.shell("callboard completions bash >done.bash && . ./done.bash && complete -p callboard");
    assert!(read.out.contains("_callboard"), "{read:#?}");
}
