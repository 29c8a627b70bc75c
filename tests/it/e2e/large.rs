//! Large runs: a thousand nodes between one and one, a thousand items.

use super::{
    history::types,
    world::{Stage, Where, World},
};
use serde_json::{Value, json};
use std::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_branches_and_a_thousand_items_complete_over_the_embedded_sidecar() {
    let stage = Stage::start(Where::Embedded).await;
    large(&stage, "embedded").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_branches_and_a_thousand_items_complete_beside_real_dapr() {
    let stage = Stage::start(Where::Beside).await;
    large(&stage, "beside daprd").await;
}

async fn large(stage: &Stage, place: &str) {
    let w = &stage.world;
    let began = Instant::now();
    fan_out(w).await;
    let out = began.elapsed();
    let began = Instant::now();
    items(w).await;
    eprintln!("{place}: 1,000 nodes in {out:.1?}, 1,000 items in {:.1?}", began.elapsed());
    assert_eq!(stage.place.panics(), Vec::<String>::new());
}

/// One node, 998 agents beside each other, one that reads all their answers.
async fn fan_out(w: &World) {
    let ids: Vec<String> = (0..998).map(|n| format!("n{n}")).collect();
    let start = json!({"id": "start", "type": "wait", "config": {"for": "1ms"}});
    // The steps it can see are those that have ended.
    let end = json!({"id": "end", "type": "transform", "config": {"input": "steps | list", "rules": [
        {"source": ".", "target": "n", "type": "reduce", "config": {"initial": 0, "value": "acc + 1"}}]}});
    let mut nodes = vec![start];
    nodes.extend(
        ids.iter().map(|id| json!({"id": id, "type": "agent", "config": {"agent": "quick", "prompt": id}})),
    );
    nodes.push(end);
    let edges: Vec<_> = ids
        .iter()
        .flat_map(|id| [json!({"source": "start", "target": id}), json!({"source": id, "target": "end"})])
        .collect();
    let run = w.api.run(&json!({"name": "wide", "nodes": nodes, "edges": edges}), json!({})).await;
    let seen = w.ends(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!({"n": 999}), &json!(998)));
    let steps = w.api.steps(&run).await;
    assert_eq!((steps.len(), completed(&steps)), (1000, 1000));
    let history = w.recorded(&run).await;
    assert_eq!(types(&history).iter().filter(|kind| **kind == "step.started").count(), 999);
    assert_eq!(w.model.calls(), 998, "each agent was asked once");
}

async fn items(w: &World) {
    let body = json!({"nodes": [{"id": "say", "type": "agent", "config": {"agent": "quick", "prompt": "item {{ item }}"}}],
        "output": "{{ steps.say.output }}"});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "input.list", "parallel": 32, "body": body}});
    let before = w.model.calls();
    let list: Vec<_> = (0..1000).collect();
    let run = w.api.run(&json!({"name": "long", "nodes": [each]}), json!({ "list": list })).await;
    let seen = w.ends(&run, "completed").await;
    let expected: Vec<_> = (0..1000).map(|n| Value::from(format!("item {n}"))).collect();
    assert_eq!(seen["output"], Value::Array(expected));
    let steps = w.api.steps(&run).await;
    assert_eq!((steps.len(), completed(&steps)), (1001, 1001));
    w.recorded(&run).await;
    assert_eq!(w.model.calls() - before, 1000, "each item was asked about once");
}

fn completed(steps: &[Value]) -> usize {
    steps.iter().filter(|step| step["status"] == "completed").count()
}
