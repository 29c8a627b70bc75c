//! The same operations as events on `callboard.commands`, and through the actor API of the sidecar.

use crate::e2e::{
    history::types,
    world::{Case, World, cases, example},
};
use crate::harness::{eventually, when};
use serde_json::{Value, json};
use std::time::Duration;

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        every_command_is_an_event_too,
        a_redelivered_event_does_nothing_twice,
        every_operation_is_an_actor_method_too,
        an_actors_refusal_travels_in_the_body,
    ]
}

async fn every_command_is_an_event_too(w: World) {
    let nodes = json!([
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "ok", "type": "approval", "config": {"title": "ok?"}},
        {"id": "end", "type": "signal", "config": {"name": "end"}}]);
    let edges = json!([{"source": "go", "target": "ok"}, {"source": "ok", "target": "end"}]);
    let definition = json!({"name": "commanded", "nodes": nodes, "edges": edges});
    let run = "commanded";
    let start = json!({"run_id": run, "definition": definition, "input": {}});
    w.api.command("callboard.workflow.start", start).await;
    w.api.until(run, "waiting").await;
    w.api.command("callboard.run.pause", json!({"run_id": run})).await;
    w.api.until(run, "paused").await;
    w.api.command("callboard.run.resume", json!({"run_id": run})).await;
    w.api.until(run, "waiting").await;
    w.api.command("callboard.run.signal", json!({"run_id": run, "name": "go", "data": 3})).await;
    w.api.until_step(run, "ok", "waiting").await;
    w.api.command("callboard.run.approve", json!({"run_id": run, "node": "ok", "approved": true})).await;
    w.api.until_step(run, "end", "waiting").await;
    w.api.command("callboard.run.cancel", json!({"run_id": run})).await;
    let (_, steps) = w.ended(run, "cancelled").await;
    assert_eq!(steps[0]["output"], 3);
}

/// A whole CloudEvent: its id is kept by the sidecar.
async fn publish(w: &World, event: &Value) {
    let url = format!("{}/v1.0/publish/pubsub/callboard.commands", w.api.dapr);
    let request = w.api.client.post(url).header("content-type", "application/cloudevents+json");
    let answer = request.body(event.to_string()).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
}

async fn a_redelivered_event_does_nothing_twice(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let event = |id: &str, name: &str| {
        json!({"specversion": "1.0", "id": id, "source": "a-test", "type": "callboard.run.signal",
            "datacontenttype": "application/json",
            "data": {"run_id": run, "name": name, "data": {"amount": 1}}})
    };
    for _ in 0..3 {
        publish(&w, &event("the-same", "other")).await;
    }
    publish(&w, &event("another", "other")).await;
    let count = || async {
        let history = w.api.history(&run).await;
        types(&history).iter().filter(|kind| **kind == "run.signal_received").count()
    };
    eventually(Duration::from_secs(20), || async { when(count().await, |n| *n >= 2) }).await;
    publish(&w, &event("the-last", "payment")).await;
    w.ended(&run, "completed").await;
    assert_eq!(count().await, 3, "two that nobody wanted, and the payment");

    let workflow = w.api.create(&example("agent")).await;
    let start = json!({"specversion": "1.0", "id": "start-once", "source": "a-test", "type": "callboard.workflow.start",
        "datacontenttype": "application/json",
        "data": {"workflow_id": workflow, "input": {"question": "started-by-redelivery"}}});
    for _ in 0..3 {
        publish(&w, &start).await;
    }
    let runs = || async {
        let runs = w.api.get(&format!("/runs?workflow_id={workflow}")).await;
        runs["items"].as_array().expect("items").clone()
    };
    let found = eventually(Duration::from_secs(20), || async {
        when(runs().await, |runs| runs.first().is_some_and(|run| run["status"] == "completed"))
    })
    .await;
    assert_eq!((found.len(), w.asked("started-by-redelivery").len()), (1, 1));
}

async fn every_operation_is_an_actor_method_too(w: World) {
    let definition = json!({"name": "by-actor", "nodes": [
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "ok", "type": "approval", "config": {"title": "ok?"}}], "edges": [{"source": "go", "target": "ok"}]});
    let call = |method: &'static str, body: Value| {
        let api = w.api.clone();
        async move { api.actor("Workflow", "by-methods", method, body).await }
    };
    let began = call("start", json!({"definition": definition, "input": {"a": 1}})).await;
    assert_eq!((&began["id"], &began["input"]), (&json!("by-methods"), &json!({"a": 1})));
    assert_eq!(call("status", json!({})).await["status"], "waiting");
    assert_eq!(call("pause", json!({})).await["status"], "paused");
    assert_eq!(call("resume", json!({})).await["status"], "waiting");
    call("signal", json!({"name": "go", "data": {"x": 1}})).await;
    let done = call("approve", json!({"node": "ok", "approved": false, "comment": "no"})).await;
    assert_eq!(done["status"], "completed");
    assert_eq!(done["output"], json!({"approved": false, "comment": "no"}));
    let again = call("rerun", json!({"from": "ok"})).await;
    assert_eq!((&again["generation"], &again["status"]), (&json!(2), &json!("waiting")));
    assert_eq!(call("cancel", json!({})).await["status"], "cancelled");
    w.ended("by-methods", "cancelled").await;
}

async fn an_actors_refusal_travels_in_the_body(w: World) {
    let run = w.api.run(&json!({"name": "over", "nodes": []}), json!({})).await;
    w.ended(&run, "completed").await;
    let refused = w.api.actor("Workflow", &run, "cancel", json!({})).await;
    let error = &refused["error"];
    assert_eq!((&error["status"], &error["code"]), (&json!(409), &json!("run_ended")));
    let other =
        w.api.actor("Workflow", &run, "start", json!({"definition": {"name": "x", "nodes": []}})).await;
    assert_eq!(other["error"]["code"], "run_exists", "{other:#}");
    let wrong = json!({"definition": {"name": "x", "nodes": [{"id": "a", "type": "agent", "config": {"agent": "nobody", "prompt": "{{"}}]}});
    let wrong = w.api.actor("Workflow", "never-started", "start", wrong).await;
    assert_eq!(wrong["error"]["status"], 422, "{wrong:#}");
    assert!(wrong["error"]["problems"].as_array().is_some_and(|problems| problems.len() >= 2), "{wrong:#}");
    let missing = w.api.actor("Workflow", "never-started", "status", json!({})).await;
    assert_eq!(missing["error"]["code"], "unknown_run");
    let method = w.api.actor("Workflow", "never-started", "explode", json!({})).await;
    assert_eq!(method["error"]["code"], "unknown_method");
}
