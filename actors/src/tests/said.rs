//! Who may say what to a run: other apps, forgers of answers, and callers whose words are too long.

use super::*;
use crate::AGENT;
use axum::body::Body;
use callboard_connectors::model::Script;
use http::{Method, Request};

/// A script with an agent that takes its time.
pub(super) fn slow() -> ModelsConfig {
    let script = Script::read("rules: [{when: {contains: slow}, replies: [{text: done, delay: 60s}]}]");
    ModelsConfig { script: script.expect("a script"), ..ModelsConfig::default() }
}

fn waiting() -> Value {
    json!({"name": "waiting", "nodes": [
        agent("one", "slow"),
        {"id": "ok", "type": "approval", "config": {"title": "Sure?"}},
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "pause", "type": "wait", "config": {"for": "1h"}},
        {"id": "out", "type": "agent", "effect": "at_most_once", "timeout": "1h",
            "config": {"agent": "w", "prompt": "p", "worker": "external"}}
    ]})
}

async fn world(folder: &Path) -> World {
    World::with(folder, Settings::default(), json!({"agents": {"a": {"model": "scripted"}}}), slow()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_app_invokes_is_refused_on_every_route() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    let start = json!({"definition": chain(), "input": {"topic": "bees"}}).to_string();
    let routes = [
        (Method::GET, "/dapr/config"),
        (Method::GET, "/dapr/subscribe"),
        (Method::PUT, "/actors/Workflow/r1/method/start"),
        (Method::PUT, "/actors/Workflow/r1/method/answer"),
        (Method::PUT, "/actors/Workflow/r1/method/remind/wake"),
        (Method::PUT, "/actors/Workflow/r1/method/timer/wake"),
        (Method::PUT, "/actors/Agent/r1.one.1._/method/task"),
        (Method::DELETE, "/actors/Workflow/r1"),
        (Method::PUT, "/actors%2FWorkflow%2Fr1%2Fmethod%2Fstart"),
        (Method::PUT, "/actors/Workflow/r1/method%2Fstart"),
        (Method::PUT, "/%61ctors/Workflow/r1/method/start"),
        (Method::PUT, "//actors/Workflow/r1/method/start"),
        (Method::PUT, "/healthz/../actors/Workflow/r1/method/start"),
        (Method::POST, "/events/tasks"),
        (Method::POST, "/events/commands"),
        (Method::POST, "/events/results"),
        (Method::POST, "/events/live"),
        (Method::POST, "/job/x"),
        (Method::POST, "/nothing"),
    ];
    for token in [None, Some("secret".to_owned())] {
        let router = world.host.router(token.clone());
        for caller in ["evil", "", "callboard", "\u{e9}vil"] {
            for (method, path) in &routes {
                let before = world.refused("invocation");
                let mut request = Request::builder().method(method.clone()).uri(*path);
                request =
                    request.header("Dapr-Caller-App-Id", caller).header("content-type", "application/json");
                if let Some(token) = &token {
                    request = request.header("dapr-api-token", token);
                }
                let request = request.body(Body::from(start.clone())).expect("a request");
                let answer = router.clone().oneshot(request).await.expect("an answer");
                assert_eq!(answer.status(), 403, "{method} {path} by {caller:?}");
                assert_eq!(world.refused("invocation"), before + 1);
            }
        }
    }
    // Nor does anybody pass who does not know the token.
    let router = world.host.router(Some("secret".to_owned()));
    for token in [None, Some(""), Some("secre"), Some("secret ")] {
        for (method, path) in &routes {
            let mut request = Request::builder().method(method.clone()).uri(*path);
            if let Some(token) = token {
                request = request.header("dapr-api-token", token);
            }
            let request = request.body(Body::from(start.clone())).expect("a request");
            let answer = router.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.status(), 401, "{method} {path} with {token:?}");
        }
    }
    assert_eq!(world.call("r1", "status", json!({})).await["error"]["code"], "unknown_run");
    // The sidecar's own calls say no such thing, and pass.
    let began = world.call("r1", "start", json!({"definition": chain(), "input": {"topic": "bees"}})).await;
    assert!(began["error"].is_null(), "{began:#}");
    world.until("r1", "completed").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_was_asked_for_is_refused_and_counted_and_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    world.call("r1", "start", json!({"definition": waiting()})).await;
    let before = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history").len();
    let step = |node: &str| json!({"generation": 1, "node": node, "iteration": ""});
    let usage = json!({"calls": 1, "prompt_tokens": 1, "completion_tokens": 1});
    let mut refused = 0;
    for node in ["ok", "go", "pause", "out", "nobody"] {
        for outcome in [json!({"Completed": {"v": "FORGED"}}), json!("Unknown"), json!("Cancelled")] {
            let body = json!({"step": step(node), "attempt": 1, "outcome": outcome, "usage": usage});
            let answer = world.call("r1", "answer", body).await;
            assert_eq!(answer["error"]["code"], "not_asked", "{node}: {answer}");
            refused += 1;
        }
    }
    assert_eq!(world.refused("answer"), refused);
    for node in ["one", "ok", "out", "nobody"] {
        let grant = json!({"step": step(node), "attempt": 1, "activation": "evil"});
        assert_eq!(world.call("r1", "grant", grant).await["error"]["code"], "not_asked", "{node}");
        let reserved = json!({"calls": 1_000_000, "tokens": 0});
        let reserve = json!({"op": "x", "step": step(node), "attempt": 1, "reserved": reserved});
        assert_eq!(world.call("r1", "reserve", reserve).await["error"]["code"], "not_asked", "{node}");
    }
    for (attempt, node, code) in [
        (2, "out", "not_offered"),
        (1, "one", "not_external"),
        (1, "ok", "not_external"),
        (1, "x", "not_external"),
    ] {
        let body = json!({"step": step(node), "attempt": attempt, "output": "FORGED"});
        assert_eq!(world.call("r1", "finished", body).await["error"]["code"], code, "{node}");
    }
    assert_eq!((world.refused("grant"), world.refused("reserve"), world.refused("finished")), (4, 4, 4));
    let body = json!({"attempt": 1, "iteration": 1, "call": "0", "from": "evil", "outcome": {"Completed": {"v": 1}},
        "usage": usage});
    assert_eq!(world.invoke(AGENT, "r1.one.1._", "delegated", body).await["error"]["code"], "not_asked");
    let after = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history").len();
    // The grant of the one offer may be among them.
    assert!(after <= before + 1, "{before} {after}");
    let seen = world.call("r1", "status", json!({})).await;
    assert_eq!((&seen["status"], &seen["usage"]["calls"]), (&json!("running"), &json!(0)));
    world.call("r1", "cancel", json!({})).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_what_is_said_about_use_only_what_can_be_is_believed() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    world.call("r1", "start", json!({"definition": waiting()})).await;
    let step = |node: &str| json!({"generation": 1, "node": node, "iteration": ""});
    let grant = json!({"step": step("one"), "attempt": 1, "activation": "x".repeat(65)});
    assert_eq!(world.call("r1", "grant", grant).await["error"]["code"], "bad_request");
    for reserved in [json!({"calls": u64::MAX, "tokens": 0}), json!({"calls": 1, "tokens": u64::MAX})] {
        let reserve = json!({"op": "x", "step": step("one"), "attempt": 1, "reserved": reserved});
        assert_eq!(world.call("r1", "reserve", reserve).await["error"]["code"], "bad_request");
    }
    let fallback = json!({"model": "m", "code": "c", "message": "said", "next": "n"});
    let answer = json!({"step": step("one"), "attempt": 1, "outcome": {"Completed": {"v": "done"}},
        "usage": {"calls": u64::MAX, "prompt_tokens": u64::MAX, "completion_tokens": 7},
        "fallbacks": vec![fallback; 100]});
    let answer = world.call("r1", "answer", answer).await;
    assert!(answer["error"].is_null(), "{answer}");
    let usage = &world.call("r1", "status", json!({})).await["usage"];
    assert_eq!((&usage["calls"], &usage["prompt_tokens"]), (&json!(0), &json!(0)), "{usage}");
    assert_eq!((&usage["completion_tokens"], &usage["estimated"]), (&json!(7), &json!(true)), "{usage}");
    let told = async || {
        let history = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history");
        history.iter().map(|entry| entry.event.matches("\"said\"").count()).sum::<usize>()
    };
    // What is recorded comes into the catalog a moment later.
    for _ in 0..100 {
        if told().await > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told().await, 32);
    world.call("r1", "cancel", json!({})).await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_works_for_a_run_is_cancelled_by_its_run_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    let id = "r1.one.1._";
    world.call("r1", "start", json!({"definition": waiting()})).await;
    while world.invoke(AGENT, id, "status", json!({})).await["status"] != "running" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for body in
        [json!({}), json!({"attempt": 1}), json!({"attempt": null}), json!({"attempt": 1, "by": "run"})]
    {
        let answer = world.invoke(AGENT, id, "cancel", body).await;
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["status"]),
            (&json!("works_for_run"), &json!(409))
        );
        assert!(answer["error"]["detail"].as_str().is_some_and(|text| text.contains("cancel the run")));
    }
    assert_eq!(world.invoke(AGENT, id, "status", json!({})).await["status"], "running");
    world.call("r1", "cancel", json!({})).await;
    for _ in 0..400 {
        if world.invoke(AGENT, id, "status", json!({})).await["status"] == "cancelled" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(world.invoke(AGENT, id, "status", json!({})).await["status"], "cancelled");

    // Should an agent ever end so, the run does not wait for it.
    world.call("r2", "start", json!({"definition": {"name": "one", "nodes": [agent("one", "slow")]}})).await;
    let step = json!({"generation": 1, "node": "one", "iteration": ""});
    let usage = json!({"calls": 0, "prompt_tokens": 0, "completion_tokens": 0});
    world
        .call("r2", "answer", json!({"step": step, "attempt": 1, "outcome": "Cancelled", "usage": usage}))
        .await;
    assert_eq!(world.until("r2", "failed").await["error"]["code"], "agent_cancelled");

    // Whoever works for nobody's run is cancelled by anybody.
    let (sidecar, body) = (world.sidecar.clone(), json!({"agent": "a", "prompt": "slow"}).to_string());
    let executed =
        tokio::spawn(async move { sidecar.invoke_actor(AGENT, "alone", "execute", Bytes::from(body)).await });
    let cancel = async {
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let request =
                Request::put("/actors/Agent/alone/method/cancel").body(Body::from("{}")).expect("a request");
            world.host.router(None).oneshot(request).await.expect("an answer");
        }
    };
    let executed = tokio::select! { done = executed => done, () = cancel => unreachable!() };
    let executed: Value =
        serde_json::from_slice(&executed.expect("a task").expect("an answer")).expect("JSON");
    assert_eq!(executed["status"], "cancelled", "{executed}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_start_under_an_id_is_not_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    let long = "x".repeat(3000);
    let body = |name: &str, topic: &str, op: Option<&str>| {
        let mut definition = chain();
        definition["name"] = name.into();
        // One that stands in the event, and one that does not.
        definition["description"] = long.clone().into();
        let mut body = json!({"definition": definition, "input": {"topic": topic}});
        if let Some(op) = op {
            body["op"] = op.into();
        }
        body
    };
    let code = |answer: Value| answer["error"]["code"].clone();
    let start = async |body: Value| code(world.call("r1", "start", body).await);
    assert_eq!(start(body("a", "bees", Some("k"))).await, Value::Null);
    world.until("r1", "completed").await;
    assert_eq!(start(body("a", "bees", Some("k"))).await, Value::Null);
    assert_eq!(start(body("a", "bees", None)).await, Value::Null, "the same start is the same run");
    assert_eq!(start(body("b", "bees", None)).await, "run_exists");
    assert_eq!(start(body("b", "bees", Some("other"))).await, "run_exists");
    assert_eq!(start(body("a", "wasps", Some("other"))).await, "run_exists");
    assert_eq!(start(body("b", "bees", Some("k"))).await, "idempotency_key_reused");
    assert_eq!(start(body("a", "wasps", Some("k"))).await, "idempotency_key_reused");
    let answer = world.call("r1", "start", body("a", &long, Some("k"))).await;
    assert_eq!(answer["error"]["status"], 422);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_are_bounded_as_in_the_api() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    world.call("r1", "start", json!({"definition": waiting_for_people()})).await;
    let before = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history").len();
    let (most, more, huge) = ("x".repeat(255), "x".repeat(256), "x".repeat(3 << 20));
    for long in [&more, &huge, &String::new()] {
        for method in ["cancel", "pause", "resume"] {
            let answer = world.call("r1", method, json!({"op": long})).await;
            assert_eq!(answer["error"]["code"], "bad_request", "{method}");
            let detail = answer["error"]["detail"].as_str().unwrap_or_default();
            assert!(detail.contains("`op`") && detail.contains("255") && detail.len() < 200, "{detail}");
        }
        for (method, body) in [
            ("signal", json!({"name": "go", "op": long})),
            ("signal", json!({"name": long})),
            ("approve", json!({"node": "ok", "approved": true, "op": long})),
            ("approve", json!({"node": long, "approved": true})),
            ("rerun", json!({"from": "ok", "op": long})),
            ("rerun", json!({"from": long})),
            ("start", json!({"definition": chain(), "input": {}, "op": long})),
        ] {
            let answer = world.call("r1", method, body).await;
            assert!(
                answer["error"]["status"].as_u64().is_some_and(|s| s == 400 || s == 422),
                "{method}: {answer:.200}"
            );
        }
    }
    for field in ["comment", "iteration", "args_hash"] {
        let mut body = json!({"node": "ok", "approved": true});
        body[field] = huge.clone().into();
        assert_eq!(world.call("r1", "approve", body).await["error"]["code"], "bad_request", "{field}");
    }
    assert_eq!(world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history").len(), before);
    let answer = world.call("r1", "signal", json!({"name": most, "op": most})).await;
    assert!(answer["error"].is_null(), "{answer}");
    world.stop().await;
}

fn waiting_for_people() -> Value {
    json!({"name": "people", "nodes": [
        {"id": "ok", "type": "approval", "config": {"title": "Sure?"}},
        {"id": "go", "type": "signal", "config": {"name": "go"}}
    ]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_setting_says_so_every_approval_names_what_it_approves() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings { require_hash: true, ..Settings::default() }).await;
    world.call("r1", "start", json!({"definition": waiting_for_people()})).await;
    let answer = world.call("r1", "approve", json!({"node": "ok", "approved": true})).await;
    assert_eq!(
        (&answer["error"]["code"], &answer["error"]["status"]),
        (&json!("args_hash_required"), &json!(422))
    );
    let history = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history");
    let events = history.iter().map(|e| serde_json::from_str(&e.event).expect("an event"));
    let hash = events.filter_map(|e: callboard_core::workflow::Event| e.what.args_hash()).next();
    let body = json!({"node": "ok", "approved": true, "args_hash": hash.expect("of the approval")});
    let answer = world.call("r1", "approve", body).await;
    assert!(answer["error"].is_null(), "{answer}");
    world.stop().await;
}
