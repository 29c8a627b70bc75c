//! A model provider that misbehaves: each misbehaviour has its retries and its code, costs bounded memory, and
//! leaves other runs alone.

use super::{
    history::lines,
    places::Place,
    world::{Case, Stage, Where, World, cases},
};
use crate::harness::{Recorded, Reply};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Of a process, in KiB.
const MEMORY: u64 = 200 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misbehaving_provider_fails_its_own_steps_only_over_the_embedded_sidecar() {
    misbehave(Where::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misbehaving_provider_fails_its_own_steps_only_beside_real_dapr() {
    misbehave(Where::Beside).await;
}

async fn misbehave(place: Where) {
    let stage = Stage::start(place).await;
    stage.play(all()).await;
    let most = peak(&stage.place);
    eprintln!("{place:?}: at most {} MiB", most >> 10);
    assert!(most < MEMORY, "a process had {} MiB", most >> 10);
}

/// Returns the largest resident size of the processes that call models, in KiB.
fn peak(place: &Place) -> u64 {
    let ids: Vec<u32> = match place {
        Place::Embedded(dev) => dev.process.id().into_iter().collect(),
        Place::Beside(beside) => {
            beside.run.apps.iter().filter_map(|app| app.process.as_ref()?.id()).collect()
        }
    };
    let peak = |id: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process that lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak").to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    ids.iter().map(peak).max().expect("a process")
}

fn all() -> Vec<(&'static str, Case)> {
    cases![
        retry_after_is_honoured,
        being_too_many_for_ever_fails,
        a_server_error_is_tried_again,
        a_server_error_for_ever_fails,
        a_cut_answer_is_tried_again,
        an_answer_far_too_large_fails,
        many_answers_far_too_large_cost_bounded_memory,
        what_is_not_json_fails,
        another_content_type_fails,
        an_answer_without_choices_fails,
        a_refusal_is_not_tried_again,
        a_used_up_account_is_not_tried_again,
        a_slow_answer_is_a_timeout,
        a_step_may_try_again_what_the_agent_gave_up,
    ]
}

fn ask(agent: &str, marker: &str) -> Value {
    json!({"name": "ask", "nodes": [{"id": "ask", "type": "agent", "config": {"agent": agent, "prompt": marker}}]})
}

/// Runs until failure; meanwhile another run gets its answer.
async fn fails(w: &World, marker: &str, code: &str, times: usize) -> Vec<Recorded> {
    let run = w.api.run(&ask("quick", marker), json!({})).await;
    let other = w.api.run(&ask("quick", "all is well"), json!({})).await;
    w.ended(&other, "completed").await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!(code), &json!("ask")), "{seen:#}");
    assert!(!seen["error"]["message"].as_str().expect("a message").contains("sk-test"), "{seen:#}");
    assert_eq!((lines(&steps), &steps[0]["error"]["code"]), (vec!["ask failed".to_owned()], &json!(code)));
    let calls = w.asked(marker);
    assert_eq!(calls.len(), times, "calls of {marker}");
    calls
}

async fn retry_after_is_honoured(w: World) {
    w.says_in_turn("told-to-wait", vec![Reply::too_many(3), Reply::text("welcome")]);
    let run = w.api.run(&ask("quick", "told-to-wait"), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &steps[0]["attempt"]), (&json!("welcome"), &json!(1)));
    let calls = w.asked("told-to-wait");
    assert_eq!(calls.len(), 2);
    let apart = calls[1].at - calls[0].at;
    assert!(apart >= Duration::from_secs(3), "asked again after {apart:?}");
}

async fn being_too_many_for_ever_fails(w: World) {
    w.says("too-many", Reply::too_many(1));
    let calls = fails(&w, "too-many", "model_rate_limited", 3).await;
    assert!(calls.windows(2).all(|two| two[1].at - two[0].at >= Duration::from_secs(1)));
}

async fn a_server_error_is_tried_again(w: World) {
    w.says_in_turn(
        "ill-twice",
        vec![Reply::Status(500, None), Reply::Status(503, None), Reply::text("well")],
    );
    let run = w.api.run(&ask("patient", "ill-twice"), json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["usage"]["calls"]), (&json!("well"), &json!(1)));
    let calls = w.asked("ill-twice");
    let gaps: Vec<_> = calls.windows(2).map(|two| two[1].at - two[0].at).collect();
    assert!(gaps[0] >= Duration::from_millis(100) && gaps[1] >= Duration::from_millis(200), "{gaps:?}");
}

async fn a_server_error_for_ever_fails(w: World) {
    w.says("ill-for-ever", Reply::Status(500, None));
    fails(&w, "ill-for-ever", "model_unavailable", 3).await;
}

async fn a_cut_answer_is_tried_again(w: World) {
    w.says("cut-for-ever", Reply::Cut);
    fails(&w, "cut-for-ever", "model_unavailable", 3).await;
    w.says_in_turn("cut-once", vec![Reply::Cut, Reply::text("whole")]);
    let run = w.api.run(&ask("quick", "cut-once"), json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "whole");
}

async fn an_answer_far_too_large_fails(w: World) {
    w.says("far-too-large", Reply::Huge(50 << 20));
    fails(&w, "far-too-large", "model_invalid_response", 1).await;
}

async fn many_answers_far_too_large_cost_bounded_memory(w: World) {
    w.says("large-together", Reply::Huge(50 << 20));
    let node = |n: u32| {
        json!({"id": format!("n{n}"), "type": "agent", "on_error": {"default": null},
        "config": {"agent": "once", "prompt": "large-together"}})
    };
    let nodes: Vec<_> = (0..6).map(node).collect();
    let run = w.api.run(&json!({"name": "together", "nodes": nodes}), json!({})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert!(steps.iter().all(|step| step["error"]["code"] == "model_invalid_response"), "{steps:#?}");
}

async fn what_is_not_json_fails(w: World) {
    w.says("garbage", Reply::Garbage);
    fails(&w, "garbage", "model_invalid_response", 3).await;
}

async fn another_content_type_fails(w: World) {
    let good = json!({"choices": [{"message": {"content": "hidden in a page"}, "finish_reason": "stop"}]});
    w.says("as-a-page", Reply::Raw("text/html", good.to_string()));
    fails(&w, "as-a-page", "model_invalid_response", 3).await;
}

async fn an_answer_without_choices_fails(w: World) {
    w.says("no-choices", Reply::Raw("application/json", "{\"choices\": []}".into()));
    fails(&w, "no-choices", "model_invalid_response", 3).await;
    w.says("wrong-shape", Reply::Raw("application/json", "{\"choices\": {\"a\": 1}}".into()));
    fails(&w, "wrong-shape", "model_invalid_response", 3).await;
}

async fn a_refusal_is_not_tried_again(w: World) {
    for (marker, status, code) in [
        ("refused-400", 400, "model_rejected"),
        ("refused-401", 401, "model_unauthorized"),
        ("refused-402", 402, "model_quota"),
        ("refused-404", 404, "model_unknown"),
    ] {
        w.says(marker, Reply::Status(status, Some(30)));
        fails(&w, marker, code, 1).await;
    }
}

async fn a_used_up_account_is_not_tried_again(w: World) {
    let error = json!({"error": {"message": "pay first, sk-test", "code": "insufficient_quota"}});
    w.says("used-up", Reply::Raw("application/json", error.to_string()));
    // With a status of 200 it is an answer that says it failed: it may heal.
    fails(&w, "used-up", "model_unavailable", 3).await;
}

async fn a_slow_answer_is_a_timeout(w: World) {
    w.says("so-slow", Reply::text("late").after(Duration::from_secs(60)));
    let mut definition = ask("quick", "so-slow");
    definition["nodes"][0]["timeout"] = json!("1s");
    let began = Instant::now();
    let run = w.api.run(&definition, json!({})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.asked("so-slow").len()), (&json!("timeout"), 1));
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

async fn a_step_may_try_again_what_the_agent_gave_up(w: World) {
    let ill = Reply::Status(500, None);
    w.says_in_turn("steps-retry", vec![ill.clone(), ill.clone(), ill, Reply::text("fine")]);
    let mut definition = ask("quick", "steps-retry");
    definition["nodes"][0]["retry"] = json!({"max_retries": 1, "backoff": "constant", "initial": "100ms"});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &steps[0]["attempt"]), (&json!("fine"), &json!(2)));
}
