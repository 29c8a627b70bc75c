//! Parallel branches and the four ways to wait for them.

use crate::e2e::{
    history::lines,
    world::{Case, World, cases, example},
};
use crate::harness::Reply;
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        every_policy_waits_for_what_it_says,
        nobody_waits_for_more_than_its_join_says,
        any_goes_on_with_the_first,
        too_few_taken_edges_fail_a_join_of_n,
        all_goes_on_when_one_branch_was_taken,
        settle_goes_on_after_a_failure,
    ]
}

async fn every_policy_waits_for_what_it_says(w: World) {
    let run = w.api.run(&example("joins"), json!({"topic": "bridges"})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(
        lines(&steps),
        [
            "all completed",
            "any completed",
            "broken failed",
            "later completed",
            "now completed",
            "settled completed",
            "soon completed",
            "two completed",
        ]
    );
    let history = w.recorded(&run).await;
    let place = |kind: &str, node: &str| {
        let found = history.iter().position(|item| item["type"] == kind && item["node"] == node);
        found.expect("the event")
    };
    let (started, ended) = (|node| place("step.started", node), |node| place("step.completed", node));
    let mut ends = ["now", "soon", "later"].map(ended);
    ends.sort_unstable();
    assert!(started("any") > ended("now").min(ended("soon")));
    assert!(started("two") > ends[1]);
    assert!(started("all") > ends[2]);
    assert!(started("settled") > ended("all") && started("settled") > place("step.failed", "broken"));
}

async fn nobody_waits_for_more_than_its_join_says(w: World) {
    let signal = |id: &str| json!({"id": id, "type": "signal", "config": {"name": id}});
    let wait =
        |id: &str, join: Value| json!({"id": id, "type": "wait", "join": join, "config": {"for": "1ms"}});
    let nodes = [
        signal("a"),
        signal("b"),
        signal("c"),
        wait("any", json!("any")),
        wait("two", json!({"n": 2})),
        wait("all", json!("all")),
    ];
    let to = |target: &'static str| ["a", "b", "c"].map(|source| json!({"source": source, "target": target}));
    let edges: Vec<_> = ["any", "two", "all"].into_iter().flat_map(to).collect();
    let run = w.api.run(&json!({"name": "signals", "nodes": nodes, "edges": edges}), json!({})).await;
    let status = |node: &'static str| {
        let (w, run) = (w.clone(), run.clone());
        async move { w.api.step(&run, node).await["status"].clone() }
    };
    for (signal, fires, waits) in [("b", "any", "two"), ("a", "two", "all")] {
        w.api.operate(&run, "signal", json!({ "name": signal })).await;
        w.api.until_step(&run, fires, "completed").await;
        assert_eq!(status(waits).await, Value::Null, "{waits} after {signal}");
    }
    w.api.operate(&run, "signal", json!({"name": "c"})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps).len(), 6);
}

/// Two conditions, `a` and `b`, whose `true` edges lead to a node with the join.
fn joined(join: Value) -> Value {
    let condition =
        |id: &str| json!({"id": id, "type": "condition", "config": {"if": format!("input.{id}")}});
    let edge = |id: &str| json!({"source": id, "target": "end", "config": {"branch": "true"}});
    let end = json!({"id": "end", "type": "wait", "join": join, "config": {"for": "1ms"}});
    json!({"name": "joined", "nodes": [condition("a"), condition("b"), end], "edges": [edge("a"), edge("b")]})
}

async fn any_goes_on_with_the_first(w: World) {
    let run = w.api.run(&joined(json!("any")), json!({"a": false, "b": true})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps), ["a completed", "b completed", "end completed"]);
    let run = w.api.run(&joined(json!("any")), json!({"a": false, "b": false})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps), ["a completed", "b completed", "end skipped"]);
}

async fn too_few_taken_edges_fail_a_join_of_n(w: World) {
    let run = w.api.run(&joined(json!({"n": 2})), json!({"a": true, "b": true})).await;
    w.ended(&run, "completed").await;
    let run = w.api.run(&joined(json!({"n": 2})), json!({"a": true, "b": false})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("join_unsatisfied"), &json!("end")));
    assert_eq!(lines(&steps), ["a completed", "b completed", "end failed"]);
}

async fn all_goes_on_when_one_branch_was_taken(w: World) {
    let run = w.api.run(&joined(json!("all")), json!({"a": true, "b": false})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps), ["a completed", "b completed", "end completed"]);
}

async fn settle_goes_on_after_a_failure(w: World) {
    w.serves("/settle", Reply::Status(400, None));
    let definition = json!({"name": "settles", "nodes": [
        {"id": "bad", "type": "http", "config": {"url": format!("{}/settle", w.http_url)}},
        {"id": "good", "type": "wait", "config": {"for": "1ms"}},
        {"id": "end", "type": "transform", "join": "settle", "config": {"input": "[steps.bad.status, steps.bad.error.code]",
            "rules": [{"source": ".", "target": "seen", "type": "map", "config": {"value": "item"}}]}}],
        "edges": [{"source": "bad", "target": "end"}, {"source": "good", "target": "end"}]});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!({"seen": ["failed", "http_status"]}));
    assert_eq!(lines(&steps), ["bad failed", "end completed", "good completed"]);
}
