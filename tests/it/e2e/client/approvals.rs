//! `callboard approvals`.

use super::{ASKS, desk};
use serde_json::{Value, json};

/// Asks once for each of two things.
const EACH: &str = r#"{"name": "each", "nodes": [{"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "body": {
    "nodes": [{"id": "ask", "type": "approval", "config": {"title": "Number {{ item }}?"}}]}}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_is_found_shown_and_answered() {
    let (_server, desk, api) = desk().await;
    assert_eq!(desk.prints(&["approvals", "list"]), "");
    let run = api.run(&serde_json::from_str(ASKS).expect("JSON"), json!({})).await;
    let step = api.until_step(&run, "ask", "waiting").await;
    let hash = step["args_hash"].as_str().expect("a hash");

    let listed = desk.prints(&["approvals", "list"]);
    let row = listed.lines().nth(1).expect("a row");
    assert!([&*run, "ask", "Publish?", "asks"].iter().all(|part| row.contains(part)), "{listed}");
    let items = desk.lines(&["approvals", "list"]);
    assert_eq!((&items[0]["run_id"], &items[0]["args_hash"]), (&json!(run), &json!(hash)));
    let shown = desk.prints(&["approvals", "show", &run]);
    assert!(shown.contains("\"text\": \"a note\"") && shown.contains(hash), "{shown}");
    assert_eq!(desk.lines(&["approvals", "show", &run, "ask"]), std::slice::from_ref(&step));

    // What was seen when it was decided may be another thing by now.
    let other = desk.run(&["approvals", "approve", &run, "ask", "--args-hash", &"0".repeat(32)]);
    assert!(other.code == 1 && other.err.contains("[arguments_changed]"), "{other:#?}");
    let nowhere = desk.run(&["approvals", "approve", &run, "done"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("these do: ask"), "{nowhere:#?}");

    let answered = desk.run(&["approvals", "approve", &run, "ask", "--comment", "looks good"]);
    assert!(answered.code == 0 && answered.err.contains(hash), "{answered:#?}");
    let ended = api.until(&run, "completed").await;
    assert_eq!(ended["output"], json!({"approved": true}));
    let history = api.history(&run).await;
    assert!(history.iter().any(|event| event["data"]["output"]["comment"] == "looks good"), "{history:#?}");
    let over = desk.run(&["approvals", "approve", &run, "ask"]);
    assert!(over.code == 1 && over.err.contains("nothing of run"), "{over:#?}");
    assert_eq!(desk.lines(&["approvals", "list"]), [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_iteration_is_named_where_several_wait() {
    let (_server, desk, api) = desk().await;
    let run = api.run(&serde_json::from_str(EACH).expect("JSON"), json!({})).await;
    api.until(&run, "waiting").await;
    let unclear = desk.run(&["approvals", "reject", &run, "ask"]);
    assert!(unclear.code == 64 && unclear.err.contains("ask[0], ask[1]"), "{unclear:#?}");
    let first = desk.lines(&["approvals", "reject", &run, "ask[1]"]);
    assert_eq!(first[0]["status"], "waiting");
    desk.prints(&["approvals", "approve", &run, "ask", "--yes"]);
    let ended = api.until(&run, "completed").await;
    let verdicts: Vec<_> =
        ended["output"].as_array().expect("a list").iter().map(|one| one["approved"].clone()).collect();
    assert_eq!(verdicts, [json!(true), json!(false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_a_terminal_is_asked_before_anything_is_sent() {
    let (_server, desk, api) = desk().await;
    let run = api.run(&serde_json::from_str(ASKS).expect("JSON"), json!({})).await;
    api.until(&run, "waiting").await;
    // `script` is the terminal: what is typed comes in, what is shown goes out.
    let on_terminal = |typed: &str| {
        let line = format!("'{}' approvals approve {run} ask", crate::harness::callboard().display());
        desk.shell(&format!("printf '{typed}\\n' | script -qec \"{line}\" /dev/null"))
    };
    let no = on_terminal("n");
    assert!(no.out.contains("Approve this? [y/N]") && no.out.contains("nothing was sent"), "{no:#?}");
    assert_eq!((no.code, &api.get(&format!("/runs/{run}")).await["status"]), (1, &json!("waiting")));
    let yes = on_terminal("y");
    assert_eq!(yes.code, 0, "{yes:#?}");
    api.until(&run, "completed").await;
}
