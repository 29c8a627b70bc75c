//! Through the sidecar: actor methods answer 200 with an error in the body, bad events are dropped once.

use super::well;
use crate::e2e::world::{Case, World, cases, example};
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        bad_bodies_of_actor_methods_are_explained,
        odd_actor_ids_reach_nobody,
        bad_events_are_dropped_and_good_ones_handled,
        bad_tasks_are_dropped,
    ]
}

/// Calls an actor's method with any bytes; returns the status and the body.
async fn call(w: &World, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = w.api.client.put(format!("{}/v1.0/actors/{path}", w.api.dapr)).body(body);
    let response = request.header("content-type", "application/json").send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.unwrap_or_default();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn bad_bodies_of_actor_methods_are_explained(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let deep = format!("{{\"input\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let bodies: [(&str, &[u8]); 9] = [
        ("malformed", b"{\"a\":"),
        ("a list", b"[]"),
        ("a number", b"7"),
        ("a text", b"\"x\""),
        ("null", b"null"),
        ("no UTF-8", b"\xff\xfe{}"),
        ("an unknown field", b"{\"no_such_field\": true}"),
        (
            "wrong types",
            b"{\"op\": 7, \"name\": {}, \"node\": 1, \"from\": [], \"agent\": 0, \"definition\": 3}",
        ),
        ("too deep", deep.as_bytes()),
    ];
    let methods =
        ["start", "signal", "approve", "rerun", "cancel", "pause", "resume", "answer", "grant", "reserve"];
    for method in methods {
        for (what, body) in &bodies {
            let (status, answer) = call(&w, &format!("Workflow/{run}/method/{method}"), body.to_vec()).await;
            let code = answer["error"]["status"].as_u64().unwrap_or(0);
            assert!(status == 200 && (400..500).contains(&code), "{what} to {method}: {status} {answer:#}");
        }
    }
    for method in ["execute", "task"] {
        for (what, body) in &bodies {
            let (status, answer) =
                call(&w, &format!("Agent/bad-bodies/method/{method}"), body.to_vec()).await;
            let code = answer["error"]["status"].as_u64().unwrap_or(0);
            assert!(status == 200 && (400..500).contains(&code), "{what} to {method}: {status} {answer:#}");
        }
    }
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "waiting", "nothing of it was done");
    let large = format!("{{\"name\": \"payment\", \"data\": \"{}\"}}", "x".repeat(5 << 20));
    let url = format!("{}/v1.0/actors/Workflow/{run}/method/signal", w.api.dapr);
    // A sidecar may end the connection of a caller that still writes.
    if let Ok(answer) = w.api.client.put(url).body(large).send().await {
        assert!(answer.status().is_client_error(), "{answer:?}");
    }
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "waiting");
    well(&w).await;
}

async fn odd_actor_ids_reach_nobody(w: World) {
    let long = "a".repeat(300);
    for id in ["a.b", "%7C%7C", "a%20b", "%E2%80%AE", &long, "a%2Fb"] {
        for kind in ["Workflow", "Agent"] {
            if kind == "Agent" && id == "a.b" {
                continue;
            }
            let (status, answer) = call(&w, &format!("{kind}/{id}/method/status"), "{}").await;
            let refused = (400..500).contains(&status)
                || answer["error"]["status"].as_u64().is_some_and(|s| (400..500).contains(&s));
            assert!(refused || answer["errorCode"].is_string(), "{kind}/{id}: {status} {answer:#}");
        }
    }
    let body = json!({"agent": "quick", "prompt": "an id of ours"}).to_string();
    let (_, answer) = call(&w, "Agent/some-run.node.1./method/execute", body).await;
    assert!(answer["error"].is_object(), "ids with a dot are ours: {answer:#}");
    well(&w).await;
}

async fn publish(w: &World, topic: &str, kind: &str, body: impl Into<reqwest::Body>) -> u16 {
    let url = format!("{}/v1.0/publish/pubsub/{topic}", w.api.dapr);
    let request = w.api.client.post(url).header("content-type", kind).body(body);
    request.send().await.expect("an answer").status().as_u16()
}

async fn bad_events_are_dropped_and_good_ones_handled(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let event = |kind: &str, data: Value| {
        json!({"specversion": "1.0", "id": format!("bad-{kind}-{data}"), "source": "test", "type": kind,
            "datacontenttype": "application/json", "data": data})
    };
    let bad = [
        event("callboard.run.signal", json!(null)),
        event("callboard.run.signal", json!([run])),
        event("callboard.run.signal", json!("text")),
        event("callboard.run.signal", json!({"name": "payment"})),
        event("callboard.run.signal", json!({"run_id": 7, "name": "payment"})),
        event("callboard.run.signal", json!({"run_id": "../x", "name": "payment"})),
        event("callboard.run.signal", json!({"run_id": "a||b", "name": "payment"})),
        event("callboard.run.signal", json!({"run_id": "no-such-run", "name": "payment"})),
        event("callboard.run.signal", json!({"run_id": run})),
        event("callboard.run.signal", json!({"run_id": run, "name": "payment", "more": 1})),
        event("callboard.run.explode", json!({"run_id": run})),
        event("callboard.workflow.start", json!({})),
        event("callboard.workflow.start", json!({"workflow_id": "no-such"})),
        event("callboard.workflow.start", json!({"definition": {"name": 3}})),
        event("callboard.workflow.start", json!({"run_id": run, "definition": {"name": "x", "nodes": []}})),
        event("callboard.run.rerun", json!({"run_id": run, "from": "payment"})),
    ];
    for event in &bad {
        let status =
            publish(&w, "callboard.commands", "application/cloudevents+json", event.to_string()).await;
        assert_eq!(status, 204, "{event:#}");
    }
    for (kind, body) in
        [("application/json", "7"), ("text/plain", "hello"), ("application/octet-stream", "\u{1}\u{2}")]
    {
        assert_eq!(publish(&w, "callboard.commands", kind, body).await, 204, "{kind}");
    }
    w.api
        .command("callboard.run.signal", json!({"run_id": run, "name": "payment", "data": {"amount": 1}}))
        .await;
    w.ended(&run, "completed").await;
    let received = w.recorded(&run).await;
    assert_eq!(received.iter().filter(|item| item["type"] == "run.signal_received").count(), 1);
}

async fn bad_tasks_are_dropped(w: World) {
    let bodies = [
        json!(null),
        json!({}),
        json!({"run": "x"}),
        json!({"run": "../x", "step": 7}),
        json!({"run": "x||y", "step": {"generation": 1, "node": "a", "iteration": ""}, "task": {}}),
    ];
    for data in bodies {
        let event = json!({"specversion": "1.0", "id": format!("bad-{data}"), "source": "test", "type": "callboard.task.ready",
            "datacontenttype": "application/json", "data": data});
        publish(&w, "callboard.tasks", "application/cloudevents+json", event.to_string()).await;
    }
    publish(&w, "callboard.tasks", "text/plain", "hello").await;
    let run = w.api.run(&example("agent"), json!({"question": "after bad tasks"})).await;
    w.ended(&run, "completed").await;
}
