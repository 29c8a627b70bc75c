//! `callboard runs`.

use super::{ASKS, Desk, ECHO, WAITS, desk, done, json_lines};
use crate::harness::{eventually, when};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

/// Stores a definition and starts it.
fn started(desk: &Desk, definition: &str, input: &str) -> String {
    let name =
        serde_json::from_str::<Value>(definition).expect("JSON")["name"].as_str().expect("a name").to_owned();
    let file = format!("{name}.json");
    desk.write(&file, definition);
    desk.prints(&["apply", &file]);
    desk.prints(&["workflows", "start", &name, "--input", input])
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_and_shown_as_a_timeline() {
    let (_server, desk, api) = desk().await;
    let waits = started(&desk, WAITS, "{}");
    let asks = started(&desk, ASKS, "{}");
    let echo = started(&desk, ECHO, r#"{"a": 1}"#);
    for (run, status) in [(&waits, "waiting"), (&asks, "waiting"), (&echo, "completed")] {
        api.until(run, status).await;
    }
    let ids = |text: &str| -> Vec<String> {
        text.lines().skip(1).map(|line| line.split(' ').next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(ids(&desk.prints(&["runs", "list"])), [&*echo, &asks, &waits]);
    assert_eq!(ids(&desk.prints(&["runs", "list", "--workflow", "asks"])), [&*asks]);
    assert_eq!(ids(&desk.prints(&["runs", "list", "--status", "completed"])), [&*echo]);
    let cut = desk.run(&["runs", "list", "--limit", "2", "--status", "waiting", "--all"]);
    assert_eq!(cut.code, 64, "one of the two: {cut:#?}");
    let cut = desk.run(&["runs", "list", "--limit", "2"]);
    assert!(ids(&cut.out).len() == 2 && cut.err.contains("there are more"), "{cut:#?}");
    assert_eq!(
        desk.lines(&["runs", "list"]),
        api.get("/runs").await["items"].as_array().expect("items").clone()
    );

    let shown = desk.prints(&["runs", "show", &waits]);
    for part in [
        "status    waiting",
        "waits, version 1",
        "the signal go",
        &format!("callboard runs signal {waits} go"),
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = desk.prints(&["runs", "show", &asks]);
    let hash = api.step(&asks, "ask").await["args_hash"].as_str().expect("a hash").to_owned();
    assert!(
        shown.contains(&hash) && shown.contains(&format!("callboard approvals approve {asks} ask")),
        "{shown}"
    );
    let shown = desk.prints(&["runs", "show", &echo]);
    assert!(shown.contains("completed after") && shown.ends_with("{\n  \"got\": 1\n}"), "{shown}");
    assert_eq!(desk.lines(&["runs", "show", &echo])[0]["output"], json!({"got": 1}));
    assert_eq!(desk.lines(&["runs", "steps", &echo]), api.steps(&echo).await);
    let history = desk.lines(&["runs", "history", &echo]);
    assert_eq!(history, api.history(&echo).await);
    assert_eq!(desk.lines(&["runs", "history", &echo, "--after", "2"]), history[2..]);
    let events = desk.prints(&["runs", "history", &echo]);
    assert!(events.lines().count() == history.len() + 1 && events.contains("step.completed"), "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_on_a_run_has_its_command() {
    let (_server, desk, api) = desk().await;
    let run = started(&desk, WAITS, "{}");
    assert_eq!(desk.prints(&["runs", "pause", &run]), format!("{run}  paused"));
    let again = desk.run(&["runs", "pause", &run]);
    assert!(again.code == 1 && again.err.contains("[run_paused]"), "{again:#?}");
    assert_eq!(desk.lines(&["runs", "resume", &run])[0]["status"], "waiting");
    let open = desk.run(&["runs", "result", &run]);
    assert!(open.code == 1 && open.out.is_empty() && open.err.contains("it is waiting"), "{open:#?}");
    let sent = desk.run_with(&["runs", "signal", &run, "go", "--data", "-"], &[], r#"{"n": 7}"#);
    assert_eq!(sent.code, 0, "{sent:#?}");
    api.until(&run, "completed").await;
    assert_eq!(desk.lines(&["runs", "result", &run])[0]["output"], json!({"got": {"n": 7}}));
    let out = desk.prints(&["runs", "result", &run]);
    assert_eq!(serde_json::from_str::<Value>(&out).expect("JSON"), json!({"got": {"n": 7}}));

    let nowhere = desk.run(&["runs", "rerun", &run]);
    assert!(nowhere.code == 64 && nowhere.err.contains("--from"), "{nowhere:#?}");
    assert_eq!(desk.lines(&["runs", "rerun", &run, "--from", "go"])[0]["generation"], 2);
    let other = started(&desk, WAITS, "{}");
    assert_eq!(
        desk.prints(&["runs", "cancel", &run, &other]),
        format!("{run}  cancelled\n{other}  cancelled")
    );
    for words in [["runs", "result", &run], ["runs", "follow", &run]] {
        assert_eq!(desk.run(&words).code, 2, "cancelled");
    }
    let wrong = desk.run(&["runs", "rerun", &run, "--from", "nowhere"]);
    assert!(wrong.code == 64 && wrong.err.contains("[unknown_node]"), "{wrong:#?}");

    // A run that failed runs again from where it failed.
    let fails = r#"{"name": "fails", "nodes": [{"id": "a", "type": "transform", "config": {"rules": [
        {"source": "missing", "target": "x", "type": "map", "config": {"value": "item"}}]}}]}"#;
    let failed = started(&desk, fails, "{}");
    let ended = desk.run(&["runs", "result", &failed, "--wait"]);
    assert!(ended.code == 1 && ended.err.contains("the run failed in node a"), "{ended:#?}");
    let again = desk.run(&["runs", "rerun", &failed, "--wait"]);
    assert!(again.code == 1 && again.err.contains("the run failed in node a"), "{again:#?}");
    assert_eq!(api.get(&format!("/runs/{failed}")).await["generation"], 2);

    let inline = desk.run_with(&["runs", "start", "-", "--input", r#"{"a": 3}"#, "--wait"], &[], ECHO);
    assert_eq!(serde_json::from_str::<Value>(&inline.out).expect("JSON"), json!({"got": 3}), "{inline:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_over_a_restart_of_the_server() {
    let (mut server, desk, api) = desk().await;
    let run = started(&desk, WAITS, "{}");
    api.until(&run, "waiting").await;
    let mut events = desk.spawn(&["runs", "follow", &run, "--json"]);
    let mut lines = BufReader::new(events.stdout.take().expect("a pipe")).lines();
    let mut people = desk.spawn(&["runs", "follow", &run]);
    let mut told =
        BufReader::new(people.stderr.take().expect("a pipe")).lines().map(|line| line.expect("a text"));
    assert!(told.any(|line| line.contains("▸ go")), "it is there before the server goes");
    let mut seen = Vec::new();
    let open = api.history(&run).await.len();
    while seen.len() < open {
        let line = lines.next().expect("a line").expect("a text");
        seen.push(serde_json::from_str::<Value>(&line).expect("JSON"));
    }
    server.kill();
    // Nobody answers now; the two keep looking.
    let away = desk.run(&["runs", "show", &run]);
    assert_eq!(away.code, 69, "{away:#?}");
    server.restart().await;
    eventually(Duration::from_secs(20), || async {
        when(desk.run(&["runs", "signal", &run, "go", "--data", "5"]), |done| done.code == 0)
    })
    .await;
    for line in lines {
        seen.push(serde_json::from_str(&line.expect("a text")).expect("JSON"));
    }
    assert_eq!(seen, api.history(&run).await, "every event once, in order");
    assert_eq!(events.wait().expect("it ends").code(), Some(0));
    let people = done(people);
    assert_eq!(serde_json::from_str::<Value>(&people.out).expect("JSON"), json!({"got": 5}));
    let told: Vec<String> = told.collect();
    assert!(
        ["looking for it again", "✓ go"].iter().all(|part| told.iter().any(|line| line.contains(part))),
        "{told:#?}"
    );
    assert_eq!(people.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_ends_the_command() {
    let (_server, desk, api) = desk().await;
    let run = started(&desk, WAITS, "{}");
    api.until(&run, "waiting").await;
    // The run goes on, and so would the command.
    let said = desk.shell(&format!(
        "{{ callboard runs follow {run} --json | head -1; echo ${{PIPESTATUS[0]}} >code; }} &\n\
         until callboard runs signal {run} other >/dev/null; [ -s code ]; do :; done; wait; cat code"
    ));
    let mut lines = said.out.lines();
    let first: Value = serde_json::from_str(lines.next().expect("an event")).expect("JSON");
    assert_eq!((first["type"].as_str(), lines.next()), (Some("run.created"), Some("0")), "{said:#?}");
    for line in
        ["runs list", "runs list --json", "runs history RUN", "runs show RUN", "workflows list --json"]
    {
        let line = line.replace("RUN", &run);
        let said = desk.shell(&format!("callboard {line} | true; echo ${{PIPESTATUS[0]}}"));
        assert_eq!((said.out.as_str(), said.err.as_str()), ("0\n", ""), "{line}");
        let full = desk.shell(&format!("callboard {line} >/dev/full; echo $?"));
        assert!(full.out == "1\n" && full.err.contains("No space left"), "{line}: {full:#?}");
    }
    // A pipe gets no colours and no cut lines; a program gets what the API answers.
    let piped = desk.shell("callboard runs list --json | cat");
    assert_eq!(json_lines(&piped.out), api.get("/runs").await["items"].as_array().expect("items").clone());
}
