//! `callboard triggers`, and `docs/triggers.md`: what it tells a reader to type does what it says.

use super::{ECHO, desk};
use crate::{
    e2e::api::PATIENCE,
    harness::{eventually, root, when},
};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_made_listed_shown_fired_disabled_and_deleted() {
    let (_server, desk, api) = desk().await;
    desk.write("echo.json", ECHO);
    desk.prints(&["workflows", "create", "echo.json"]);
    let id = desk.prints(&[
        "triggers",
        "create",
        "echo",
        "--name",
        "nightly",
        "--cron",
        "0 3 * * *",
        "--zone",
        "Europe/Berlin",
        "--missed",
        "last",
        "--overlap",
        "queue_one",
        "--input",
        r#"{"a": "{{ scheduled_at }}"}"#,
    ]);
    let id = id.trim();
    let trigger = api.get(&format!("/triggers/{id}")).await;
    assert_eq!(
        trigger["settings"],
        json!({"cron": "0 3 * * *", "zone": "Europe/Berlin", "missed": "last", "overlap": "queue_one",
            "input": {"a": "{{ scheduled_at }}"}})
    );
    let listed = desk.prints(&["triggers", "list", "--workflow", "echo"]);
    assert!(listed.contains(id) && listed.contains("nightly") && listed.contains("schedule"), "{listed}");
    let run = desk.prints(&["triggers", "fire", "nightly", "--input", r#"{"a": 1}"#]);
    let result = desk.prints(&["runs", "result", run.trim(), "--wait"]);
    assert_eq!(serde_json::from_str::<Value>(&result).expect("JSON"), json!({"got": 1}));
    let shown = desk.prints(&["triggers", "show", "nightly"]);
    assert!(
        shown.contains(run.trim()) && shown.contains("started") && shown.contains("Europe/Berlin"),
        "{shown}"
    );
    assert!(desk.prints(&["triggers", "disable", "nightly"]).contains("disabled"));
    assert!(desk.prints(&["triggers", "list"]).contains("disabled"));
    assert!(desk.prints(&["triggers", "enable", id]).contains("enabled, next at 20"));
    let wrong = desk.run(&["triggers", "create", "echo", "--cron", "x"]);
    assert!(wrong.code == 64 && wrong.err.contains("invalid_cron"), "{wrong:?}");
    for words in [&["--cron", "* * * * *", "--every", "1h"][..], &[], &["--every", "1h", "--secret", "x"]] {
        let words: Vec<&str> = ["triggers", "create", "echo"].iter().chain(words).copied().collect();
        assert!(desk.run(&words).code > 1, "{words:?}");
    }
    assert!(desk.prints(&["triggers", "delete", "nightly"]).contains("deleted"));
    assert_eq!(api.get("/triggers").await["items"], json!([]));
    assert_eq!(desk.run(&["triggers", "show", "nightly"]).code, 1);

    let hook: Value = serde_json::from_str(&desk.prints(&[
        "triggers",
        "create",
        "echo",
        "--webhook",
        "standard",
        "--json",
    ]))
    .expect("JSON");
    assert!(hook["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")), "{hook}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_to_triggers_does_what_it_says() {
    let (server, desk, api) = desk().await;
    let page = std::fs::read_to_string(root().join("docs/triggers.md")).expect("the page");
    let blocks = super::page::blocks(&page);
    let definition = blocks.iter().find(|(kind, _)| kind == "yaml callboard").expect("a definition");
    desk.write("report.yaml", &definition.1);
    let typed: Vec<_> =
        blocks.iter().filter(|(kind, _)| kind == "sh callboard").map(|(_, text)| text.as_str()).collect();
    assert!(typed.len() > 3, "{typed:?}");
    let script = typed.join("\n").replace("http://127.0.0.1:8080", &server.url);
    let said = desk.shell(&format!("set -euo pipefail\n{script}"));
    assert_eq!(said.code, 0, "{said:#?}");
    let runs = eventually(PATIENCE, || async {
        let runs = api.get("/runs?status=completed").await["items"].as_array().cloned().unwrap_or_default();
        when(runs, |runs| runs.len() >= 3)
    });
    assert!(runs.await.iter().all(|run| run["status"] == "completed"), "{said:#?}");
}
