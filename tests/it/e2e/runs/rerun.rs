//! Rerun: the next generation, from a chosen step on, with kept results and perhaps another input.

use crate::e2e::{
    history::{lines, types},
    world::{Case, World, cases, example},
};
use crate::harness::Reply;
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        results_before_the_step_are_kept_and_the_rest_is_done_anew,
        a_failed_run_goes_on_from_its_failed_step,
        a_rerun_takes_the_other_way,
        a_cancelled_run_is_run_again,
        a_rerun_names_a_step_of_an_ended_run,
    ]
}

fn of_generation(steps: &[Value], generation: u32) -> Vec<Value> {
    steps.iter().filter(|step| step["generation"] == generation).cloned().collect()
}

async fn results_before_the_step_are_kept_and_the_rest_is_done_anew(w: World) {
    let run = w.api.run(&example("rerun"), json!({"tone": "dry-run"})).await;
    let (first, _) = w.ended(&run, "completed").await;
    assert!(first["output"].as_str().is_some_and(|text| text.contains("dry-run")));
    let again = json!({"from": "rewrite", "input": {"tone": "warm-run"}});
    let (status, after) = w.api.keyed(&format!("/runs/{run}/rerun"), "rerun-key", again.clone()).await;
    assert_eq!((status, &after["status"]), (200, &json!("running")), "{after:#}");
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["generation"], &seen["input"]), (&json!(2), &json!({"tone": "warm-run"})));
    assert!(seen["output"].as_str().is_some_and(|text| text.contains("warm-run")), "{seen:#}");
    assert_eq!(lines(&of_generation(&steps, 1)), ["check completed", "facts completed", "rewrite completed"]);
    assert_eq!(lines(&of_generation(&steps, 2)), ["check completed", "rewrite completed"]);
    assert_eq!(seen["usage"]["calls"], 5);
    let history = w.recorded(&run).await;
    let ends = types(&history).iter().filter(|kind| **kind == "run.completed").count();
    assert_eq!(ends, 2, "one for each generation");
    let (status, _) = w.api.keyed(&format!("/runs/{run}/rerun"), "rerun-key", again).await;
    assert_eq!((status, w.recorded(&run).await.len()), (200, history.len()), "the key names it once");
}

async fn a_failed_run_goes_on_from_its_failed_step(w: World) {
    w.says_in_turn("fails-once", vec![Reply::Status(400, None), Reply::text("now it works")]);
    let definition = json!({"name": "fails", "nodes": [
        {"id": "before", "type": "agent", "config": {"agent": "once", "prompt": "before-the-failure"}},
        {"id": "ask", "type": "agent", "config": {"agent": "once", "prompt": "fails-once {{ steps.before.output }}"}}],
        "edges": [{"source": "before", "target": "ask"}]});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("model_rejected"), &json!("ask")));
    w.api.operate(&run, "rerun", json!({"from": "ask"})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["error"]), (&json!("now it works"), &Value::Null));
    assert_eq!(lines(&of_generation(&steps, 2)), ["ask completed"]);
    let calls = w.asked("fails-once");
    assert_ne!(calls[0].idempotency_key(), calls[1].idempotency_key());
}

async fn a_rerun_takes_the_other_way(w: World) {
    let run = w.api.run(&example("condition"), json!({"amount": 1200})).await;
    w.ended(&run, "completed").await;
    w.api.operate(&run, "rerun", json!({"from": "large", "input": {"amount": 5}})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!({"amounts": [5]}));
    assert_eq!(
        lines(&of_generation(&steps, 2)),
        ["careful skipped", "done completed", "large completed", "quick completed"]
    );
}

async fn a_cancelled_run_is_run_again(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.operate(&run, "cancel", json!({})).await;
    w.ended(&run, "cancelled").await;
    w.api.operate(&run, "rerun", json!({"from": "payment"})).await;
    w.api.until(&run, "waiting").await;
    w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 8}})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&of_generation(&steps, 1)), ["payment cancelled"]);
    assert_eq!(lines(&of_generation(&steps, 2)), ["payment completed", "thanks completed"]);
}

async fn a_rerun_names_a_step_of_an_ended_run(w: World) {
    let run = w.api.run(&example("for_each"), json!({"topics": ["rerun-each"]})).await;
    w.ended(&run, "completed").await;
    let path = format!("/runs/{run}/rerun");
    w.api.refused(&path, json!({"from": "nobody"}), 422, "unknown_node").await;
    w.api.refused(&path, json!({"from": "summary"}), 422, "node_in_body").await;
    let waiting = w.api.run(&example("signal"), json!({})).await;
    let path = format!("/runs/{waiting}/rerun");
    w.api.refused(&path, json!({"from": "payment"}), 409, "run_not_ended").await;
    w.api.operate(&waiting, "cancel", json!({})).await;
    w.api.operate(&run, "rerun", json!({"from": "each"})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["generation"], of_generation(&steps, 2).len()), (&json!(2), 3));
}
