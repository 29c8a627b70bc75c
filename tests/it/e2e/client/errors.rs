//! What a server refuses is told as it said it, with an exit code that scripts can tell apart; and what may be sent again is.

use super::{Desk, ECHO, WAITS, desk};
use crate::harness::{Recorded, Reply, Upstream};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn each_refusal_has_its_words_and_its_exit_code() {
    let (_server, desk, api) = desk().await;
    let run = api.run(&serde_json::from_str(ECHO).expect("JSON"), json!({"a": 1})).await;
    api.until(&run, "completed").await;
    for (words, code, told) in [
        (&["runs", "show", "nobody"][..], 1, "[unknown_run]"),
        (&["runs", "follow", "nobody"], 1, "[unknown_run]"),
        (&["runs", "history", "nobody"], 1, "[unknown_run]"),
        (&["approvals", "approve", "nobody", "x"], 1, "[unknown_run]"),
        (&["workflows", "show", "nobody"], 1, "no workflow nobody"),
        (&["workflows", "create", "missing.yaml"], 64, "missing.yaml"),
        (&["runs", "cancel", &run], 1, "[run_ended]"),
        (&["runs", "signal", &run, "x"], 1, "[run_ended]"),
        (&["runs", "rerun", &run, "--from", "x"], 64, "[unknown_node]"),
        (&["runs", "signal", &run, &"x".repeat(300)], 64, "name: a signal's name has 1 to 255 bytes"),
        (&["runs", "show", "no id"], 64, "A-Z a-z 0-9"),
        (&["runs", "list", "--status", "dreaming"], 64, "completed"),
        (&["runs", "list", "--limit", "0"], 64, "--limit"),
        (&["runs", "show", &run, "--server", "nowhere"], 64, "https://callboard.example"),
        (
            &["runs", "show", &run, "--server", "http://127.0.0.1:1"],
            69,
            "no server answers at http://127.0.0.1:1",
        ),
        (&["runs"], 64, "Usage"),
    ] {
        let said = desk.run(words);
        assert!(said.code == code && said.err.contains(told) && said.out.is_empty(), "{words:?}: {said:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_our_server_does_not_say_today_is_told_as_well() {
    let (server, desk) = (Upstream::start().await, Desk::at(""));
    for (status, body, code, told) in [
        (401, json!({"code": "unauthenticated", "detail": "no key"}), 1, "callboard login URL"),
        (403, json!({"code": "forbidden", "detail": "a viewer may not"}), 1, "a viewer may not [forbidden]"),
        (
            412,
            json!({"code": "version_conflict", "detail": "version 4 is the latest"}),
            1,
            "version 4 is the latest",
        ),
        (
            422,
            json!({"code": "x", "detail": "wrong", "problems": [{"node": "a", "path": "b.c", "code": "y", "message": "no"},
            {"node": null, "path": "d", "code": "z", "message": "nor this"}]}),
            64,
            "node a: b.c: no [y]\n  d: nor this [z]",
        ),
        (500, json!({"code": "internal"}), 1, "500 Internal Server Error [internal]"),
        (302, Value::Null, 1, "302 Found"),
    ] {
        server.script.then([Reply::Refused(status, body)]);
        let said = desk.run(&["runs", "show", "r", "--server", &server.url()]);
        assert!(said.code == code && said.err.contains(told), "{said:#?}");
    }
    server.script.then([Reply::Garbage]);
    let garbage = desk.run(&["runs", "show", "r", "--server", &server.url()]);
    assert!(garbage.code == 1 && garbage.err.contains("is no callboard"), "{garbage:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_can_do_nothing_twice_is_sent_again() {
    let (server, desk) = (Upstream::start().await, Desk::at(""));
    let run = json!({"id": "r", "status": "waiting"});
    let at = server.url();
    let busy = || Reply::Refused(503, json!({"code": "overloaded", "detail": "busy"}));
    let calls = |words: &[&str], replies: Vec<Reply>| -> (i32, Vec<Recorded>) {
        let before = server.script.calls();
        server.script.then(replies);
        let words: Vec<&str> = words.iter().copied().chain(["--server", &at, "--json"]).collect();
        let done = desk.run(&words);
        (done.code, server.script.requests()[before..].to_vec())
    };
    // A read, and an operation under one name.
    let (code, sent) = calls(&["runs", "show", "r"], vec![busy(), Reply::Cut, Reply::Json(run.clone())]);
    assert_eq!((code, sent.len()), (0, 3));
    let (code, sent) = calls(&["runs", "cancel", "r"], vec![Reply::Cut, busy(), Reply::Json(run.clone())]);
    let keys: Vec<_> = sent.iter().map(|request| request.idempotency_key().map(str::to_owned)).collect();
    assert!(
        code == 0 && keys.len() == 3 && keys[0].is_some() && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
    let (_, again) = calls(&["runs", "cancel", "r"], vec![Reply::Json(run.clone())]);
    assert_ne!(
        again[0].idempotency_key().map(str::to_owned),
        keys[0],
        "another command is another operation"
    );
    // It ends.
    let (code, sent) = calls(&["runs", "show", "r"], vec![busy(), busy(), busy(), busy()]);
    assert_eq!((code, sent.len()), (69, 4));
    // So does a definition: under one name it is saved once, however often it arrives.
    let file = desk.write("waits.json", WAITS).display().to_string();
    let saved = json!({"id": "w", "name": "waits", "version": 1, "problems": []});
    let (code, sent) =
        calls(&["workflows", "create", &file], vec![Reply::Cut, busy(), Reply::Json(saved.clone())]);
    let keys: Vec<_> = sent.iter().map(|request| request.idempotency_key().map(str::to_owned)).collect();
    assert!(
        code == 0 && keys.len() == 3 && keys[0].is_some() && keys.iter().all(|key| *key == keys[0]),
        "{keys:?}"
    );
    let list = || Reply::Json(json!({"items": [{"id": "w", "name": "waits"}], "next": null}));
    let (checked, stored) =
        (Reply::Json(json!({"problems": []})), Reply::Json(json!({"name": "waits", "version": 1})));
    let (code, sent) =
        calls(&["apply", &file], vec![list(), checked, stored, Reply::Cut, Reply::Json(saved)]);
    let puts: Vec<_> = sent.iter().filter(|request| request.method == "PUT").collect();
    assert!(
        code == 0 && puts.len() == 2 && puts[0].idempotency_key() == puts[1].idempotency_key(),
        "{sent:?}"
    );
    assert!(puts[0].idempotency_key().is_some());
    // What was refused is refused.
    let (code, sent) =
        calls(&["runs", "cancel", "r"], vec![Reply::Refused(409, json!({"code": "run_ended"}))]);
    assert_eq!((code, sent.len()), (1, 1));
}
