//! Killed while a call is under way: it is made again, what was answered before is not; or never again.

use super::{Crash, crashes};
use crate::e2e::{
    history::lines,
    world::{Case, World, example},
};
use crate::harness::{Recorded, Reply, eventually, when};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

pub fn all(crash: &Arc<Crash>) -> Vec<(&'static str, Case)> {
    crashes![
        crash;
        in_an_agents_call,
        in_an_http_call,
        between_two_calls_of_a_looping_agent,
        in_a_call_of_another_agent,
        with_another_agents_answer_at_hand,
        in_a_call_that_must_not_repeat,
        in_an_agents_call_that_must_not_repeat,
        halfway_through_a_loop,
        halfway_through_a_list,
        halfway_through_a_fan_out,
    ]
}

/// An answer that nobody lives to see, then one that comes.
fn lost() -> Vec<Reply> {
    vec![Reply::text("lost").after(Duration::from_secs(300)), Reply::text("found")]
}

async fn asked(w: &World, marker: &'static str, times: usize) -> Vec<Recorded> {
    eventually(Duration::from_secs(90), || async {
        when(w.asked(marker), |calls| calls.len() >= times).map_err(|c| c.len())
    })
    .await
}

async fn served(w: &World, path: &'static str, times: usize) -> Vec<Recorded> {
    eventually(Duration::from_secs(90), || async {
        when(w.served(path), |calls| calls.len() >= times).map_err(|c| c.len())
    })
    .await
}

async fn in_an_agents_call(w: World, crash: Arc<Crash>) {
    w.says_in_turn("crash-agent", lost());
    let run = w.api.run(&example("agent"), json!({"question": "crash-agent"})).await;
    asked(&w, "crash-agent", 1).await;
    let held = crash.strike(&w, "in_an_agents_call", &run).await;
    let calls = asked(&w, "crash-agent", 2).await;
    held.soon("an agent's call", calls[1].at);
    let (seen, steps) = held.ended(&w, "completed").await;
    assert_eq!((&seen["output"], &steps[0]["attempt"]), (&json!("found"), &json!(1)));
    assert_eq!(w.asked("crash-agent").len(), 2);
    assert_eq!(calls[0].idempotency_key(), calls[1].idempotency_key(), "the same call");
    assert_eq!(seen["usage"]["calls"], 1);
}

async fn in_an_http_call(w: World, crash: Arc<Crash>) {
    w.serves_in_turn("/crash-http", lost());
    let run = w.api.run(&example("http"), json!({"url": format!("{}/crash-http", w.http_url)})).await;
    served(&w, "/crash-http", 1).await;
    let held = crash.strike(&w, "in_an_http_call", &run).await;
    let calls = served(&w, "/crash-http", 2).await;
    held.soon("an http call", calls[1].at);
    let (seen, steps) = held.ended(&w, "completed").await;
    assert_eq!((&seen["output"]["body"], &steps[0]["attempt"]), (&json!("found"), &json!(1)));
    assert_eq!(calls[0].idempotency_key(), calls[1].idempotency_key(), "the same call");
    assert_eq!(w.served("/crash-http").len(), 2);
}

async fn between_two_calls_of_a_looping_agent(w: World, crash: Arc<Crash>) {
    let [never, found] = lost().try_into().expect("two");
    w.says_in_turn("crash-tools", vec![Reply::tool("add", json!({"a": 1, "b": 2})), never, found]);
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "tooler", "prompt": "crash-tools"}});
    let run = w.api.run(&json!({"name": "tools", "nodes": [ask]}), json!({})).await;
    asked(&w, "crash-tools", 2).await;
    let held = crash.strike(&w, "between_two_calls_of_a_looping_agent", &run).await;
    let calls = asked(&w, "crash-tools", 3).await;
    held.soon("a looping agent", calls[2].at);
    let (seen, _) = held.ended(&w, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("found"), &json!(2)));
    let messages = calls[2].json()["messages"].clone();
    let last = messages.as_array().and_then(|messages| messages.last()).expect("messages");
    assert_eq!(
        (&last["role"], &last["content"]),
        (&json!("tool"), &json!("3")),
        "what was done is not done again"
    );
    assert_eq!(w.asked("crash-tools").len(), 3);
}

fn lead(prompt: &str) -> Value {
    json!({"name": "lead", "nodes": [{"id": "ask", "type": "agent", "config": {"agent": "lead", "prompt": prompt}}]})
}

async fn in_a_call_of_another_agent(w: World, crash: Arc<Crash>) {
    let delegate = Reply::tool("delegate", json!({"agent": "once", "task": "crash-part"}));
    w.says_in_turn("crash-lead", vec![delegate, Reply::text("together")]);
    w.says_in_turn("crash-part", lost());
    let run = w.api.run(&lead("crash-lead"), json!({})).await;
    asked(&w, "crash-part", 1).await;
    let held = crash.strike(&w, "in_a_call_of_another_agent", &run).await;
    let calls = asked(&w, "crash-part", 2).await;
    held.soon("a delegate's call", calls[1].at);
    let (seen, _) = held.ended(&w, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("together"), &json!(3)));
    assert_eq!(calls[0].idempotency_key(), calls[1].idempotency_key(), "the same call");
    assert_eq!((w.asked("crash-lead").len(), w.asked("crash-part").len()), (2, 2));
}

/// One of two has answered: it is not asked again.
async fn with_another_agents_answer_at_hand(w: World, crash: Arc<Crash>) {
    let to = |task: &str| ("delegate".to_owned(), json!({"agent": "once", "task": task}));
    let both = Reply::Tools(vec![to("crash-first-part"), to("crash-second-part")]);
    w.says_in_turn("crash-both", vec![both, Reply::text("both")]);
    w.says("crash-first-part", Reply::text("first"));
    w.says_in_turn("crash-second-part", lost());
    let run = w.api.run(&lead("crash-both"), json!({})).await;
    asked(&w, "crash-first-part", 1).await;
    asked(&w, "crash-second-part", 1).await;
    let lead = format!("{run}.ask.1._");
    eventually(Duration::from_secs(30), || async {
        when(w.signed("Agent", &lead, "status", json!({})).await, |seen| seen["usage"]["calls"] == 2)
    })
    .await;
    let held = crash.strike(&w, "with_another_agents_answer_at_hand", &run).await;
    let (seen, _) = held.ended(&w, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("both"), &json!(4)));
    assert_eq!((w.asked("crash-first-part").len(), w.asked("crash-second-part").len()), (1, 2));
}

async fn in_a_call_that_must_not_repeat(w: World, crash: Arc<Crash>) {
    w.serves_in_turn("/crash-charge", lost());
    let input = json!({"url": format!("{}/crash-charge", w.http_url), "amount": 1});
    let run = w.api.run(&example("at_most_once"), input).await;
    served(&w, "/crash-charge", 1).await;
    let held = crash.strike(&w, "in_a_call_that_must_not_repeat", &run).await;
    w.api.until_step(&held.run, "charge", "unknown").await;
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "waiting");
    w.api.operate(&run, "approve", json!({"node": "charge", "approved": true})).await;
    let (_, steps) = held.ended(&w, "completed").await;
    assert_eq!(lines(&steps), ["charge completed", "receipt completed"]);
    assert_eq!(w.served("/crash-charge").len(), 1, "at most once");
}

async fn in_an_agents_call_that_must_not_repeat(w: World, crash: Arc<Crash>) {
    w.says_in_turn("crash-once", lost());
    let ask = json!({"id": "ask", "type": "agent", "effect": "at_most_once", "config": {"agent": "once", "prompt": "crash-once"}});
    let run = w.api.run(&json!({"name": "once", "nodes": [ask]}), json!({})).await;
    asked(&w, "crash-once", 1).await;
    let held = crash.strike(&w, "in_an_agents_call_that_must_not_repeat", &run).await;
    eventually(Duration::from_secs(90), || async {
        when(w.api.step(&run, "ask").await, |step| step["status"] == "unknown")
    })
    .await;
    w.api.operate(&run, "approve", json!({"node": "ask", "approved": false})).await;
    let (seen, _) = held.ended(&w, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("crash-once").len()), (&json!("unknown_outcome"), 1));
}

async fn halfway_through_a_loop(w: World, crash: Arc<Crash>) {
    w.says_in_turn("crash-loop 2", lost());
    let body = json!({"nodes": [{"id": "say", "type": "agent", "config": {"agent": "once", "prompt": "crash-loop {{ index }}"}}],
        "output": "{{ steps.say.output }}"});
    let node =
        json!({"id": "again", "type": "loop", "config": {"until": "index >= 3", "max": 9, "body": body}});
    let run = w.api.run(&json!({"name": "loops", "nodes": [node]}), json!({})).await;
    asked(&w, "crash-loop 2", 1).await;
    let held = crash.strike(&w, "halfway_through_a_loop", &run).await;
    held.soon("a loop", asked(&w, "crash-loop 2", 2).await[1].at);
    let (seen, steps) = held.ended(&w, "completed").await;
    assert_eq!((&seen["output"], steps.len()), (&json!("crash-loop 3"), 5));
    let times =
        ["crash-loop 0", "crash-loop 1", "crash-loop 2", "crash-loop 3"].map(|round| w.asked(round).len());
    assert_eq!(times, [1, 1, 2, 1]);
}

async fn halfway_through_a_list(w: World, crash: Arc<Crash>) {
    w.says_in_turn("crash-item 2", lost());
    w.says_in_turn("crash-item 3", lost());
    let body = json!({"nodes": [{"id": "say", "type": "agent", "config": {"agent": "once", "prompt": "crash-item {{ item }}"}}],
        "output": "{{ steps.say.output }}"});
    let node = json!({"id": "each", "type": "for_each", "config": {"items": "[0, 1, 2, 3, 4, 5]", "parallel": 2, "body": body}});
    let run = w.api.run(&json!({"name": "lists", "nodes": [node]}), json!({})).await;
    asked(&w, "crash-item 2", 1).await;
    asked(&w, "crash-item 3", 1).await;
    let held = crash.strike(&w, "halfway_through_a_list", &run).await;
    held.soon("a list", asked(&w, "crash-item 3", 2).await[1].at);
    let (seen, _) = held.ended(&w, "completed").await;
    let said = |n: u32| json!(format!("crash-item {n}"));
    let expected = json!([said(0), said(1), "found", "found", said(4), said(5)]);
    assert_eq!(seen["output"], expected);
    let markers =
        ["crash-item 0", "crash-item 1", "crash-item 2", "crash-item 3", "crash-item 4", "crash-item 5"];
    assert_eq!(markers.map(|item| w.asked(item).len()), [1, 1, 2, 2, 1, 1]);
}

async fn halfway_through_a_fan_out(w: World, crash: Arc<Crash>) {
    w.says_in_turn("crash-branch 5", lost());
    w.says_in_turn("crash-branch 6", lost());
    w.says_in_turn("crash-branch 7", lost());
    let ask = |n: u32| json!({"id": format!("n{n}"), "type": "agent", "config": {"agent": "once", "prompt": format!("crash-branch {n}")}});
    let mut nodes: Vec<Value> = (0..8).map(ask).collect();
    nodes.push(json!({"id": "end", "type": "transform", "config": {"input": "steps | list", "rules": [
        {"source": ".", "target": "n", "type": "reduce", "config": {"initial": 0, "value": "acc + 1"}}]}}));
    let edges: Vec<_> = (0..8).map(|n| json!({"source": format!("n{n}"), "target": "end"})).collect();
    let run = w.api.run(&json!({"name": "fans", "nodes": nodes, "edges": edges}), json!({})).await;
    for marker in ["crash-branch 5", "crash-branch 6", "crash-branch 7"] {
        asked(&w, marker, 1).await;
    }
    for node in ["n0", "n1", "n2", "n3", "n4"] {
        w.api.until_step(&run, node, "completed").await;
    }
    let held = crash.strike(&w, "halfway_through_a_fan_out", &run).await;
    held.soon("a fan-out", asked(&w, "crash-branch 7", 2).await[1].at);
    let (seen, _) = held.ended(&w, "completed").await;
    assert_eq!(seen["output"], json!({"n": 8}));
    assert_eq!(w.asked("crash-branch").len(), 11, "only what was not answered is asked again");
}
