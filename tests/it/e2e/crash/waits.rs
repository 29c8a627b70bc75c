//! Killed while a run waits: for time, for somebody, for its next attempt, or in a pause.

use super::{Crash, crashes};
use crate::e2e::{
    history::lines,
    world::{Case, World, example},
};
use crate::harness::{Reply, eventually, when};
use callboard_core::Timestamp;
use serde_json::{Value, json};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub fn all(crash: &Arc<Crash>) -> Vec<(&'static str, Case)> {
    crashes![
        crash;
        in_a_wait,
        in_a_wait_that_ends_in_between,
        before_a_signal,
        with_an_early_signal_kept,
        asked_for_an_approval,
        paused,
        between_two_attempts,
        right_after_many_starts,
        with_every_run_ended,
    ]
}

async fn in_a_wait(w: World, crash: Arc<Crash>) {
    let mut definition = example("wait");
    definition["nodes"][0]["config"]["for"] = json!("20s");
    let run = w.api.run(&definition, json!({})).await;
    w.api.until_step(&run, "moment", "waiting").await;
    let held = crash.strike(&w, "in_a_wait", &run).await;
    held.ended(&w, "completed").await;
    let lasted = lasted(&w, &run, "moment").await;
    assert!((20_000..60_000).contains(&lasted), "20 s took {lasted} ms");
}

/// How long a step was open, in milliseconds.
async fn lasted(w: &World, run: &str, node: &str) -> i64 {
    let step = w.api.step(run, node).await;
    let at = |name: &str| Timestamp::parse(step[name].as_str().expect("an instant")).expect("RFC 3339").0;
    at("ended_at") - at("started_at")
}

async fn in_a_wait_that_ends_in_between(w: World, crash: Arc<Crash>) {
    let gap = json!({"id": "gap", "type": "wait", "config": {"for": "3s"}});
    let ask =
        json!({"id": "ask", "type": "agent", "config": {"agent": "once", "prompt": "crash-after-wait"}});
    let edges = json!([{"source": "gap", "target": "ask"}]);
    // Other cases take their time to get into their states: what counts is that it is over soon after the restart.
    let run = w.api.run(&json!({"name": "gap", "nodes": [gap, ask], "edges": edges}), json!({})).await;
    let held = crash.strike(&w, "in_a_wait_that_ends_in_between", &run).await;
    held.ended(&w, "completed").await;
    held.soon("a wait", Instant::now());
    assert_eq!(w.asked("crash-after-wait").len(), 1);
}

async fn before_a_signal(w: World, crash: Arc<Crash>) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.until_step(&run, "payment", "waiting").await;
    let held = crash.strike(&w, "before_a_signal", &run).await;
    let seen = w.api.get(&format!("/runs/{run}")).await;
    assert_eq!(seen["status"], "waiting");
    w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 5}})).await;
    let (_, steps) = held.ended(&w, "completed").await;
    held.soon("a signal", Instant::now());
    assert_eq!(lines(&steps), ["payment completed", "thanks completed"]);
}

async fn with_an_early_signal_kept(w: World, crash: Arc<Crash>) {
    let definition = json!({"name": "early", "nodes": [
        {"id": "first", "type": "signal", "config": {"name": "first"}},
        {"id": "second", "type": "signal", "config": {"name": "second"}}],
        "edges": [{"source": "first", "target": "second"}]});
    let run = w.api.run(&definition, json!({})).await;
    w.api.operate(&run, "signal", json!({"name": "second", "data": "kept"})).await;
    let held = crash.strike(&w, "with_an_early_signal_kept", &run).await;
    w.api.operate(&run, "signal", json!({"name": "first"})).await;
    let (seen, _) = held.ended(&w, "completed").await;
    assert_eq!(seen["output"], "kept");
}

async fn asked_for_an_approval(w: World, crash: Arc<Crash>) {
    let run = w.api.run(&example("approval"), json!({"text": "crash"})).await;
    w.api.until_step(&run, "publish", "waiting").await;
    let held = crash.strike(&w, "asked_for_an_approval", &run).await;
    w.api.operate(&run, "approve", json!({"node": "publish", "approved": true})).await;
    let (_, steps) = held.ended(&w, "completed").await;
    assert_eq!(
        lines(&steps),
        ["draft completed", "kept skipped", "publish completed", "published completed"]
    );
}

async fn paused(w: World, crash: Arc<Crash>) {
    let mut definition = example("pause-resume");
    // Long enough for the pause to come first on a busy machine, and over before the clock below is.
    definition["nodes"][1]["config"]["for"] = json!("5s");
    definition["nodes"][2]["config"]["prompt"] = json!("crash-paused");
    let run = w.api.run(&definition, json!({})).await;
    w.api.operate(&run, "pause", json!({})).await;
    let before = w.api.get(&format!("/runs/{run}/steps")).await;
    assert_eq!(w.asked("crash-paused").len(), 0, "the pause came too late to show anything: {before}");
    let held = crash.strike(&w, "paused", &run).await;
    // Longer than the paused run's wait: a clock of the server's.
    let clock = json!({"name": "clock", "nodes": [{"id": "gap", "type": "wait", "config": {"for": "6s"}}]});
    let clock = w.api.run(&clock, json!({})).await;
    w.ends(&clock, "completed").await;
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "paused");
    assert_eq!(w.asked("crash-paused").len(), 0);
    w.api.operate(&run, "resume", json!({})).await;
    let (_, steps) = held.ended(&w, "completed").await;
    assert_eq!((steps.len(), w.asked("crash-paused").len()), (3, 1));
}

async fn between_two_attempts(w: World, crash: Arc<Crash>) {
    w.serves_in_turn("/crash-retry", vec![Reply::Status(503, None), Reply::text("fine")]);
    let retry = json!({"max_retries": 1, "backoff": "constant", "initial": "15s", "jitter": false});
    let get = json!({"id": "get", "type": "http", "retry": retry, "config": {"url": format!("{}/crash-retry", w.http_url)}});
    let run = w.api.run(&json!({"name": "retry", "nodes": [get]}), json!({})).await;
    let step = w.api.until_step(&run, "get", "pending").await;
    assert_eq!(step["error"]["code"], "http_status");
    let held = crash.strike(&w, "between_two_attempts", &run).await;
    let (_, steps) = held.ended(&w, "completed").await;
    assert_eq!(steps[0]["attempt"], 2);
    let calls = w.served("/crash-retry");
    assert_eq!(calls.len(), 2);
    let apart = calls[1].at - calls[0].at;
    assert!(apart >= Duration::from_secs(15), "the delay is kept over a restart: {apart:?}");
}

/// Every start that was answered is a run, also when everything dies the moment after.
async fn right_after_many_starts(w: World, crash: Arc<Crash>) {
    let workflow = w.api.create(&example("agent")).await;
    let first = w.api.start(&workflow, json!({"question": "crash-start"})).await;
    let starting = {
        let (w, workflow) = (w.clone(), workflow.clone());
        tokio::spawn(async move {
            let mut accepted = Vec::new();
            let path = format!("{}/api/v1/workflows/{workflow}/start", w.api.url);
            for _ in 0..5000 {
                let body = json!({"input": {"question": "crash-start"}});
                let Ok(answer) = w.api.client.post(&path).json(&body).send().await else { break };
                let Ok(began) = answer.json::<Value>().await else { break };
                let Some(run) = began["run_id"].as_str() else { break };
                accepted.push(run.to_owned());
            }
            accepted
        })
    };
    let held = crash.strike(&w, "right_after_many_starts", &first).await;
    let accepted = starting.await.expect("the starts");
    eprintln!("{} starts were answered before the crash", accepted.len());
    for run in &accepted {
        w.ends(run, "completed").await;
        w.recorded(run).await;
    }
    held.ended(&w, "completed").await;
}

async fn with_every_run_ended(w: World, crash: Arc<Crash>) {
    let run = w.api.run(&example("transform"), json!({"orders": []})).await;
    w.ended(&run, "completed").await;
    let held = crash.strike(&w, "with_every_run_ended", &run).await;
    let seen = eventually(Duration::from_secs(20), || async {
        when(w.api.request("GET", &format!("/runs/{run}"), None).await, |(status, _)| *status == 200)
    })
    .await;
    assert_eq!(seen.1["status"], "completed");
    w.api
        .operate(&run, "rerun", json!({"from": "totals", "input": {"orders": [{"name": "a", "price": 7}]}}))
        .await;
    let (seen, _) = held.ended(&w, "completed").await;
    assert_eq!(seen["output"]["sum"], 7);
}
