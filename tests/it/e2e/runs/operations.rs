//! Cancel, pause, resume; operations that are repeated, come too late, or concern nobody.

use crate::e2e::{
    history::{lines, types},
    world::{Case, World, cases, example},
};
use crate::harness::{Reply, eventually, when};
use serde_json::{Value, json};
use std::time::Duration;

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        a_waiting_run_is_cancelled,
        a_running_call_is_given_up_and_its_answer_ignored,
        bodies_are_cancelled_with_their_run,
        a_paused_run_finishes_what_runs_and_starts_nothing,
        an_instant_that_passes_in_a_pause_counts_on_resume,
        wall_time_stands_still_in_a_pause,
        a_paused_run_keeps_signals_and_approvals,
        pauses_do_not_nest,
        a_paused_run_is_cancelled,
        an_ended_run_takes_no_operation,
        an_unknown_run_takes_no_operation,
        an_operation_with_a_key_is_done_once,
        a_start_with_a_key_is_one_run,
        starts_with_a_key_at_once_are_one_run,
        a_start_may_wait_for_the_end,
        a_run_keeps_the_version_it_began_with,
        many_signals_are_refused_at_a_limit,
    ]
}

async fn a_waiting_run_is_cancelled(w: World) {
    let run = w.api.run(&example("pause-resume"), json!({})).await;
    w.api.until_step(&run, "gap", "waiting").await;
    let after = w.api.operate(&run, "cancel", json!({})).await;
    assert_eq!(after["status"], "cancelled");
    let (seen, steps) = w.ended(&run, "cancelled").await;
    assert_eq!(lines(&steps), ["first completed", "gap cancelled"]);
    assert_eq!((&seen["output"], &seen["error"]), (&Value::Null, &Value::Null));
    assert!(seen["ended_at"].is_string());
}

async fn a_running_call_is_given_up_and_its_answer_ignored(w: World) {
    w.says("given-up", Reply::text("too late").after(Duration::from_secs(1)));
    let run = w.api.run(&example("agent"), json!({"question": "given-up"})).await;
    w.model.called(1, Duration::from_secs(20)).await;
    eventually(Duration::from_secs(20), || async { when(w.asked("given-up").len(), |n| *n == 1) }).await;
    w.api.operate(&run, "cancel", json!({})).await;
    let (_, steps) = w.ended(&run, "cancelled").await;
    assert_eq!(lines(&steps), ["answer cancelled"]);
    let definition =
        json!({"name": "gap", "nodes": [{"id": "gap", "type": "wait", "config": {"for": "1500ms"}}]});
    let later = w.api.run(&definition, json!({})).await;
    w.ended(&later, "completed").await;
    let history = w.recorded(&run).await;
    assert_eq!(types(&history), ["run.created", "step.started", "run.cancelled"]);
}

async fn bodies_are_cancelled_with_their_run(w: World) {
    let body = json!({"nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "input.list", "parallel": 2, "body": body}});
    let run = w.api.run(&json!({"name": "bodies", "nodes": [each]}), json!({"list": [1, 2, 3]})).await;
    w.api.until_step(&run, "go", "waiting").await;
    w.api.operate(&run, "cancel", json!({})).await;
    let (_, steps) = w.ended(&run, "cancelled").await;
    assert_eq!(lines(&steps), ["each cancelled", "go[0] cancelled", "go[1] cancelled"]);
}

async fn a_paused_run_finishes_what_runs_and_starts_nothing(w: World) {
    w.says("while-paused", Reply::text("done").after(Duration::from_millis(700)));
    let definition = json!({"name": "pausing", "nodes": [
        {"id": "one", "type": "agent", "config": {"agent": "quick", "prompt": "while-paused"}},
        {"id": "two", "type": "agent", "config": {"agent": "quick", "prompt": "after-pause {{ steps.one.output }}"}}],
        "edges": [{"source": "one", "target": "two"}]});
    let run = w.api.run(&definition, json!({})).await;
    let paused = w.api.operate(&run, "pause", json!({})).await;
    assert_eq!(paused["status"], "paused");
    w.api.until_step(&run, "one", "completed").await;
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "paused");
    assert_eq!((w.api.steps(&run).await.len(), w.asked("after-pause").len()), (1, 0));
    let resumed = w.api.operate(&run, "resume", json!({})).await;
    assert_eq!(resumed["status"], "running");
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "after-pause done");
    let history = w.recorded(&run).await;
    let place = |kind: &str| types(&history).iter().position(|seen| *seen == kind).expect("the event");
    let second = history.iter().position(|item| item["type"] == "step.started" && item["node"] == "two");
    assert!(place("run.paused") < place("step.completed"));
    assert!(
        place("step.completed") < place("run.resumed") && place("run.resumed") < second.expect("its start")
    );
}

async fn an_instant_that_passes_in_a_pause_counts_on_resume(w: World) {
    let mut definition = example("pause-resume");
    definition["nodes"][1]["config"]["for"] = json!("1s");
    let run = w.api.run(&definition, json!({})).await;
    w.api.until_step(&run, "gap", "waiting").await;
    w.api.operate(&run, "pause", json!({})).await;
    // A clock that the server itself has.
    let gap = json!({"name": "gap", "nodes": [{"id": "gap", "type": "wait", "config": {"for": "1500ms"}}]});
    let clock = w.api.run(&gap, json!({})).await;
    w.ended(&clock, "completed").await;
    assert_eq!(w.api.step(&run, "gap").await["status"], "waiting", "nothing fires in a pause");
    w.api.operate(&run, "resume", json!({})).await;
    w.ended(&run, "completed").await;
}

async fn wall_time_stands_still_in_a_pause(w: World) {
    let definition = json!({"name": "still", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}],
        "settings": {"budget": {"seconds": 2}}});
    let run = w.api.run(&definition, json!({})).await;
    w.api.operate(&run, "pause", json!({})).await;
    let gap = json!({"name": "gap", "nodes": [{"id": "gap", "type": "wait", "config": {"for": "2500ms"}}]});
    let clock = w.api.run(&gap, json!({})).await;
    w.ended(&clock, "completed").await;
    w.api.operate(&run, "signal", json!({"name": "go"})).await;
    w.api.operate(&run, "resume", json!({})).await;
    w.ended(&run, "completed").await;
}

async fn a_paused_run_keeps_signals_and_approvals(w: World) {
    let definition = json!({"name": "both", "nodes": [
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "ok", "type": "approval", "config": {"title": "ok?"}}], "output": ["{{ steps.go.output }}", "{{ steps.ok.output.approved }}"]});
    let run = w.api.run(&definition, json!({})).await;
    w.api.operate(&run, "pause", json!({})).await;
    w.api.operate(&run, "signal", json!({"name": "go", "data": 5})).await;
    w.api.operate(&run, "approve", json!({"node": "ok", "approved": true})).await;
    assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "paused");
    w.api.operate(&run, "resume", json!({})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!([5, true]));
}

async fn pauses_do_not_nest(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.refused(&format!("/runs/{run}/resume"), json!({}), 409, "run_not_paused").await;
    w.api.operate(&run, "pause", json!({})).await;
    w.api.refused(&format!("/runs/{run}/pause"), json!({}), 409, "run_paused").await;
    w.api.operate(&run, "resume", json!({})).await;
    w.api.until(&run, "waiting").await;
    w.api.operate(&run, "cancel", json!({})).await;
    w.ended(&run, "cancelled").await;
}

async fn a_paused_run_is_cancelled(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.operate(&run, "pause", json!({})).await;
    w.api.operate(&run, "cancel", json!({})).await;
    w.ended(&run, "cancelled").await;
}

const OPERATIONS: [(&str, &str); 6] = [
    ("cancel", "{}"),
    ("pause", "{}"),
    ("resume", "{}"),
    ("signal", r#"{"name": "payment"}"#),
    ("approve", r#"{"node": "payment", "approved": true}"#),
    ("rerun", r#"{"from": "payment"}"#),
];

async fn an_ended_run_takes_no_operation(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 1}})).await;
    w.ended(&run, "completed").await;
    let before = w.recorded(&run).await.len();
    for (operation, body) in &OPERATIONS[..5] {
        let body = serde_json::from_str(body).expect("JSON");
        w.api.refused(&format!("/runs/{run}/{operation}"), body, 409, "run_ended").await;
    }
    assert_eq!(w.recorded(&run).await.len(), before);
}

async fn an_unknown_run_takes_no_operation(w: World) {
    for (operation, body) in OPERATIONS {
        let body = serde_json::from_str(body).expect("JSON");
        w.api.refused(&format!("/runs/no-such-run/{operation}"), body, 404, "unknown_run").await;
    }
    for path in
        ["/runs/no-such-run", "/runs/no-such-run/steps", "/runs/no-such-run/history", "/workflows/no-such"]
    {
        let (status, problem) = w.api.request("GET", path, None).await;
        assert_eq!(status, 404, "{path}: {problem:#}");
    }
    w.api.refused("/workflows/no-such/start", json!({}), 404, "unknown_workflow").await;
}

async fn an_operation_with_a_key_is_done_once(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.until_step(&run, "payment", "waiting").await;
    let other = json!({"name": "other", "data": 1});
    for _ in 0..3 {
        let (status, seen) = w.api.keyed(&format!("/runs/{run}/signal"), "the-key", other.clone()).await;
        assert_eq!((status, &seen["id"]), (200, &json!(run)), "{seen:#}");
    }
    let (status, _) = w.api.keyed(&format!("/runs/{run}/signal"), "another-key", other).await;
    assert_eq!(status, 200);
    let payment = json!({"name": "payment", "data": {"amount": 2}});
    let (status, _) = w.api.keyed(&format!("/runs/{run}/signal"), "pay", payment.clone()).await;
    assert_eq!(status, 200);
    w.ended(&run, "completed").await;
    let history = w.recorded(&run).await;
    assert_eq!(types(&history).iter().filter(|kind| **kind == "run.signal_received").count(), 3);
    let (status, seen) = w.api.keyed(&format!("/runs/{run}/signal"), "pay", payment).await;
    assert_eq!((status, &seen["status"]), (200, &json!("completed")), "a repetition is not a conflict");
}

async fn a_start_with_a_key_is_one_run(w: World) {
    let workflow = w.api.create(&example("signal")).await;
    let path = format!("/workflows/{workflow}/start");
    let (_, first) = w.api.keyed(&path, "start-key", json!({})).await;
    let (_, again) = w.api.keyed(&path, "start-key", json!({})).await;
    let (_, other) = w.api.keyed(&path, "other-key", json!({})).await;
    assert_eq!(first["run_id"], again["run_id"]);
    assert_ne!(first["run_id"], other["run_id"]);
    let run = first["run_id"].as_str().expect("a run id");
    w.api.operate(run, "cancel", json!({})).await;
    w.ended(run, "cancelled").await;
    let (status, ended) = w.api.keyed(&path, "start-key", json!({})).await;
    assert_eq!((status, &ended["run_id"], &ended["status"]), (200, &first["run_id"], &json!("cancelled")));
}

async fn starts_with_a_key_at_once_are_one_run(w: World) {
    let workflow = w.api.create(&example("agent")).await;
    let path = format!("/workflows/{workflow}/start");
    let body = json!({"input": {"question": "at-once-key"}});
    let starts = (0..8).map(|_| w.api.keyed(&path, "at-once", body.clone()));
    let answers = futures::future::join_all(starts).await;
    for (status, answer) in &answers {
        assert_eq!((*status, &answer["run_id"]), (200, &answers[0].1["run_id"]), "{answer:#}");
    }
    w.ended(answers[0].1["run_id"].as_str().expect("a run id"), "completed").await;
    assert_eq!(w.asked("at-once-key").len(), 1);
}

async fn a_start_may_wait_for_the_end(w: World) {
    w.says("wait-for-it", Reply::text("here").after(Duration::from_millis(300)));
    let workflow = w.api.create(&example("agent")).await;
    let path = format!("/workflows/{workflow}/start");
    let body = json!({"input": {"question": "wait-for-it"}});
    let whole = w.api.post(&format!("{path}?wait=20s"), body).await;
    assert_eq!((&whole["status"], &whole["output"]), (&json!("completed"), &json!("here")));
    assert_eq!((&whole["workflow_id"], &whole["id"]), (&json!(workflow), &whole["run_id"]));
    w.says("never-here", Reply::text("late").after(Duration::from_secs(15)));
    let began = std::time::Instant::now();
    let short = w.api.post(&format!("{path}?wait=500ms"), json!({"input": {"question": "never-here"}})).await;
    assert_eq!(short["status"], "running");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

async fn a_run_keeps_the_version_it_began_with(w: World) {
    let mut definition = example("signal");
    let workflow = w.api.create(&definition).await;
    let old = w.api.start(&workflow, json!({})).await;
    definition["nodes"][1]["config"]["prompt"] = json!("The second version.");
    let (status, saved) = w.api.request("PUT", &format!("/workflows/{workflow}"), Some(definition)).await;
    assert_eq!((status, &saved["version"]), (200, &json!(2)), "{saved:#}");
    let new = w.api.start(&workflow, json!({})).await;
    let (status, _) = w.api.request("DELETE", &format!("/workflows/{workflow}"), None).await;
    assert_eq!(status, 204);
    for (run, version, output) in
        [(&old, 1, "Thank somebody for paying 3."), (&new, 2, "The second version.")]
    {
        w.api.operate(run, "signal", json!({"name": "payment", "data": {"amount": 3}})).await;
        let (seen, _) = w.ended(run, "completed").await;
        assert_eq!((&seen["version"], &seen["output"]), (&json!(version), &json!(output)));
    }
    w.api.refused(&format!("/workflows/{workflow}/start"), json!({}), 404, "unknown_workflow").await;
}

async fn many_signals_are_refused_at_a_limit(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let path = format!("/runs/{run}/signal");
    for _ in 0..256 {
        w.api.post(&path, json!({"name": "unwanted"})).await;
    }
    w.api.refused(&path, json!({"name": "unwanted"}), 429, "too_many_signals").await;
    w.api.operate(&run, "cancel", json!({})).await;
    w.ended(&run, "cancelled").await;
}
