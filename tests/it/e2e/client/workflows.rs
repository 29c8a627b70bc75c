//! `callboard workflows`.

use super::{ASKS, ECHO, desk};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_created_shown_replaced_exported_and_deleted() {
    let (_server, desk, api) = desk().await;
    desk.write("echo.json", ECHO);
    let id = desk.prints(&["workflows", "create", "echo.json"]);
    assert_eq!(api.get(&format!("/workflows/{id}")).await["name"], "echo");

    // By name and by id, for people and for programs.
    for which in ["echo", &id] {
        let shown = desk.prints(&["workflows", "show", which]);
        assert!(shown.starts_with(&format!("echo  {id}\n")) && shown.contains("moment"), "{shown}");
    }
    let shown = desk.lines(&["workflows", "show", "echo"]);
    assert_eq!(shown, [api.get(&format!("/workflows/{id}")).await]);
    let listed = desk.prints(&["workflows", "list"]);
    let row = listed.lines().nth(1).expect("a row");
    assert!(
        listed.starts_with("ID ") && row.starts_with(&id) && row.contains("echo") && row.contains("draft")
    );
    let items = desk.lines(&["workflows", "list"]);
    assert_eq!(items, api.get("/workflows").await["items"].as_array().expect("items").clone());

    // The next version, from standard input, and only on the one it was made on.
    let next = ECHO.replace("0s", "1ms");
    let saved = desk.run_with(&["workflows", "replace", "echo", "-", "--version", "1", "--json"], &[], &next);
    let saved: Value = serde_json::from_str(&saved.out).expect("JSON");
    assert_eq!((&saved["id"], &saved["version"]), (&json!(id), &json!(2)));
    let stale = desk.run_with(&["workflows", "replace", "echo", "-", "--version", "1"], &[], &next);
    assert!(stale.code == 1 && stale.err.contains("[version_conflict]"), "{stale:#?}");

    // What comes out goes in again.
    let yaml = desk.prints(&["workflows", "export", "echo"]);
    assert!(yaml.starts_with("name: echo\n"), "{yaml}");
    assert_eq!(desk.run_with(&["workflows", "check", "-"], &[], &yaml).code, 0);
    let json = desk.prints(&["workflows", "export", "echo", "--format", "json"]);
    let expected: Value = serde_json::from_str(&next).expect("JSON");
    assert_eq!(serde_json::from_str::<Value>(&json).expect("JSON"), expected);
    assert_eq!(desk.lines(&["workflows", "export", "echo"]), [expected]);

    let missing = desk.run(&["workflows", "delete", "echo", "nobody"]);
    assert!(missing.code == 1 && missing.err.contains("no workflow nobody"), "{missing:#?}");
    assert_eq!(api.get("/workflows").await["items"].as_array().map(Vec::len), Some(1), "nothing was deleted");
    assert_eq!(desk.prints(&["workflows", "delete", "echo"]), format!("deleted {id}"));
    assert_eq!(desk.prints(&["workflows", "list"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_mistakes_of_a_definition_are_told_and_a_draft_is_kept_with_them() {
    let (_server, desk, api) = desk().await;
    let wrong = r#"{"name": "wrong", "nodes": [{"id": "a", "type": "agent", "config": {"agent": "nobody", "prompt": "{{"}},
        {"id": "b", "type": "dream"}], "edges": [{"source": "a", "target": "c"}]}"#;
    desk.write("wrong.json", wrong);
    for (words, code) in [(["workflows", "create"], 64), (["workflows", "check"], 1)] {
        let said = desk.run(&[words[0], words[1], "wrong.json"]);
        assert_eq!(said.code, code, "{said:#?}");
        for place in ["nodes[0].config.prompt", "nodes[1].type", "[unknown_type]"] {
            assert!(said.err.contains(place), "{place}: {said:#?}");
        }
    }
    assert_eq!(api.get("/workflows").await["items"], json!([]));
    let checked = desk.run(&["workflows", "check", "wrong.json", "--json"]);
    let checked: Value = serde_json::from_str(&checked.out).expect("JSON");
    assert!(checked["problems"].as_array().is_some_and(|problems| problems.len() >= 2), "{checked:#}");

    desk.write("half.json", r#"{"name": "half", "nodes": [{"id": "a", "type": "agent", "config": {"agent": "nobody", "prompt": "x"}}]}"#);
    let draft = desk.run(&["workflows", "create", "half.json", "--draft"]);
    assert!(draft.code == 0 && draft.err.contains("[unknown_agent]"), "{draft:#?}");
    assert!(desk.prints(&["workflows", "list"]).contains("(1 wrong)"));
    assert!(desk.prints(&["workflows", "show", "half"]).contains("It can't be started:"));
    let started = desk.run(&["workflows", "start", "half"]);
    assert!(started.code == 1 && started.err.contains("[workflow_has_problems]"), "{started:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_two_have_is_not_guessed() {
    let (_server, desk, _api) = desk().await;
    desk.write("asks.json", ASKS);
    let ids = [(); 2].map(|()| desk.prints(&["workflows", "create", "asks.json"]));
    for words in [
        &["workflows", "show", "asks"][..],
        &["workflows", "start", "asks"],
        &["workflows", "delete", "asks"],
    ] {
        let said = desk.run(words);
        assert!(said.code == 64 && ids.iter().all(|id| said.err.contains(id)), "{said:#?}");
    }
    desk.prints(&["workflows", "delete", &ids[0]]);
    assert!(desk.prints(&["workflows", "show", "asks"]).contains(&ids[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_answers_with_the_id_or_with_how_the_run_ended() {
    let (_server, desk, api) = desk().await;
    desk.write("echo.json", ECHO);
    let workflow = desk.prints(&["workflows", "create", "echo.json"]);
    let run = desk.prints(&["workflows", "start", "echo", "--input", r#"{"a": 1}"#]);
    assert_eq!(api.until(&run, "completed").await["output"], json!({"got": 1}));
    let started = desk.lines(&["workflows", "start", "echo", "--input", r#"{"a": 1}"#]);
    assert_eq!(started[0]["workflow_id"], json!(workflow));

    desk.write("input.yaml", "a: [x, y]\n");
    let out = desk.prints(&["workflows", "start", "echo", "--input", "@input.yaml", "--wait"]);
    assert_eq!(serde_json::from_str::<Value>(&out).expect("JSON"), json!({"got": ["x", "y"]}));
    let piped =
        desk.run_with(&["workflows", "start", "echo", "--input", "-", "--follow"], &[], r#"{"a": "😀"}"#);
    assert_eq!(serde_json::from_str::<Value>(&piped.out).expect("JSON"), json!({"got": "😀"}));
    assert!(piped.err.contains("run ") && piped.err.contains("✓ moment"), "{piped:#?}");
    let whole = desk.lines(&["workflows", "start", "echo", "--input", r#"{"a": 2}"#, "--wait"]);
    assert_eq!((&whole[0]["status"], &whole[0]["output"]), (&json!("completed"), &json!({"got": 2})));

    for (input, code, told) in
        [("{}", 64, "[invalid_input]"), ("nonsense", 64, "--input is not JSON"), ("@none", 64, "none")]
    {
        let said = desk.run(&["workflows", "start", "echo", "--input", input]);
        assert!(said.code == code && said.err.contains(told), "{said:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_name_acts_on_the_terminal() {
    let (_server, desk, api) = desk().await;
    let evil = "evil\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}txt";
    let id = api.create(&json!({"name": evil, "description": "\u{1b}[31m\nred", "nodes": [
        {"id": "ask", "type": "approval", "config": {"title": "\u{1b}[8mhidden\rshown", "detail": "a\u{1b}b"}}]})).await;
    let run = api.start(&id, json!({})).await;
    api.until(&run, "waiting").await;
    desk.write("evil.yaml", "name: \"evil\\e]0;owned\\a\"\nnodes: [{id: \"\\e[1m\", type: \"\\e[2J\"}]\n");
    for words in [
        &["workflows", "list"][..],
        &["workflows", "list", "--json"],
        &["workflows", "show", &id],
        &["workflows", "show", &id, "--json"],
        &["workflows", "show", evil],
        &["workflows", "show", "no\u{1b}body"],
        &["workflows", "check", "evil.yaml"],
        &["diff", "evil.yaml"],
        &["apply", "evil.yaml"],
        &["export", "--dir", "out"],
        &["runs", "list"],
        &["runs", "show", &run],
        &["runs", "steps", &run],
        &["runs", "history", &run],
        &["runs", "history", &run, "--json"],
        &["approvals", "list"],
        &["approvals", "list", "--json"],
        &["approvals", "show", &run],
        &["approvals", "reject", &run, "ask", "--comment", "\u{1b}[1m"],
        &["runs", "follow", &run],
        &["runs", "show", &run],
    ] {
        let said = desk.run(words);
        for text in [&said.out, &said.err] {
            let acts = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(acts), "{words:?}: {text:?}");
        }
        assert!(!said.out.is_empty() || !said.err.is_empty(), "{words:?}");
    }
    let shown = desk.prints(&["workflows", "list"]);
    assert!(shown.contains("evil\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}txt"), "{shown}");
    assert_eq!(desk.lines(&["workflows", "list"])[0]["name"], evil, "to programs it is what it is");
}
