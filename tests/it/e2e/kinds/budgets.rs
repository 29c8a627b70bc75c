//! Budgets of runs: calls, tokens, wall time; stop, or wrap up with what is there.

use crate::e2e::{
    history::{lines, types},
    world::{Case, World, cases, example},
};
use crate::harness::Reply;
use serde_json::{Value, json};
use std::time::Duration;

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        the_call_that_passes_the_budget_is_never_made,
        wrapping_up_completes_with_what_is_there,
        tokens_are_set_aside_before_a_call,
        tokens_used_count_against_the_budget,
        a_looping_agent_asks_for_each_call,
        wall_time_stops_a_run,
        wall_time_wraps_up_a_run,
        a_fan_out_stays_within_its_calls,
    ]
}

async fn the_call_that_passes_the_budget_is_never_made(w: World) {
    let run = w.api.run(&example("budget_stop"), json!({})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!(
        (&seen["error"]["code"], &seen["error"]["node"]),
        (&json!("budget_exceeded"), &json!("three"))
    );
    assert_eq!(seen["usage"]["calls"], 2);
    assert_eq!(lines(&steps), ["one completed", "two completed"]);
    assert!(
        w.model
            .requests()
            .iter()
            .all(|r| r.idempotency_key().is_none_or(|k| !k.contains(&format!("{run}/1/three"))))
    );
}

async fn wrapping_up_completes_with_what_is_there(w: World) {
    let run = w.api.run(&example("budget_wrap_up"), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("two"), &json!(2)));
    assert_eq!(lines(&steps), ["one completed", "three skipped", "two completed"]);
    let history = w.recorded(&run).await;
    let breach = history.iter().find(|item| item["type"] == "run.budget_breached").expect("the breach");
    assert_eq!(breach["data"]["limit"], "calls");
}

fn chain(budget: Value, prompts: &[&str]) -> Value {
    let ids: Vec<String> = (0..prompts.len()).map(|n| format!("n{n}")).collect();
    let node = |(id, prompt): (&String, &&str)| json!({"id": id, "type": "agent", "config": {"agent": "quick", "prompt": prompt}});
    let nodes: Vec<_> = ids.iter().zip(prompts).map(node).collect();
    let edges: Vec<_> = ids.windows(2).map(|two| json!({"source": two[0], "target": two[1]})).collect();
    json!({"name": "chain", "nodes": nodes, "edges": edges, "settings": {"budget": budget}})
}

async fn tokens_are_set_aside_before_a_call(w: World) {
    let run = w.api.run(&chain(json!({"tokens": 90}), &["tokens-aside"]), json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("tokens-aside").len()), (&json!("budget_exceeded"), 0));
    let history = w.recorded(&run).await;
    assert_eq!(types(&history), ["run.created", "run.failed"]);
}

async fn tokens_used_count_against_the_budget(w: World) {
    w.says("tokens-used", Reply::text("word ".repeat(200)));
    let budget = json!({"tokens": 400});
    let run =
        w.api.run(&chain(budget, &["tokens-used 1", "tokens-used 2", "tokens-used 3"]), json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    let used = &seen["usage"];
    let tokens =
        used["prompt_tokens"].as_u64().unwrap_or(0) + used["completion_tokens"].as_u64().unwrap_or(0);
    assert_eq!((&seen["error"]["code"], &used["calls"]), (&json!("budget_exceeded"), &json!(2)));
    assert!((400..800).contains(&tokens), "{seen:#}");
    assert_eq!(w.asked("tokens-used").len(), 2);
}

async fn a_looping_agent_asks_for_each_call(w: World) {
    let add = |n: u32| Reply::tool("add", json!({"a": n, "b": 1}));
    w.says_in_turn("budget-loop", vec![add(1), add(2), add(3), add(4), Reply::text("done")]);
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "tooler", "prompt": "budget-loop"}});
    let definition = json!({"name": "loops", "nodes": [ask], "settings": {"budget": {"calls": 3}}});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["usage"]["calls"]), (&json!("budget_exceeded"), &json!(3)));
    assert_eq!(w.asked("budget-loop").len(), 3);
    let history = w.recorded(&run).await;
    assert_eq!(types(&history).iter().filter(|kind| **kind == "step.budget_reserved").count(), 2);
}

async fn wall_time_stops_a_run(w: World) {
    w.says("wall-time", Reply::text("late").after(Duration::from_secs(15)));
    let run = w.api.run(&chain(json!({"seconds": 1}), &["wall-time"]), json!({})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!(seen["error"]["code"], "budget_exceeded");
    assert_eq!(lines(&steps), ["n0 cancelled"]);
}

async fn wall_time_wraps_up_a_run(w: World) {
    let definition = json!({"name": "wraps", "nodes": [
        {"id": "first", "type": "agent", "config": {"agent": "quick", "prompt": "in time"}},
        {"id": "gap", "type": "wait", "config": {"for": "1h"}},
        {"id": "never", "type": "agent", "config": {"agent": "quick", "prompt": "never"}}],
        "edges": [{"source": "first", "target": "gap"}, {"source": "gap", "target": "never"}],
        "settings": {"budget": {"seconds": 2, "on_breach": "wrap_up"}}});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "in time");
    assert_eq!(lines(&steps), ["first completed", "gap cancelled", "never skipped"]);
}

async fn a_fan_out_stays_within_its_calls(w: World) {
    w.says("fan-budget", Reply::Echo.after(Duration::from_millis(200)));
    let ask = |n: u32| json!({"id": format!("n{n}"), "type": "agent", "config": {"agent": "quick", "prompt": "fan-budget"}});
    let nodes: Vec<_> = (0..10).map(ask).collect();
    let definition =
        json!({"name": "fan", "nodes": nodes, "settings": {"budget": {"calls": 4, "on_breach": "wrap_up"}}});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["usage"]["calls"], w.asked("fan-budget").len()), (&json!(4), 4));
    assert_eq!(steps.iter().filter(|step| step["status"] == "completed").count(), 4);
    assert_eq!(steps.iter().filter(|step| step["status"] == "skipped").count(), 6);
}
