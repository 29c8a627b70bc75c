//! What a failure leads to: another attempt, another branch, another value, a timeout, an unknown outcome.

use crate::e2e::{
    history::{lines, types},
    world::{Case, World, cases, example},
};
use crate::harness::Reply;
use serde_json::{Value, json};
use std::time::Duration;

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        a_failure_takes_its_branch_after_its_attempts,
        success_takes_the_other_branch,
        attempts_are_spaced_and_counted,
        a_later_attempt_may_succeed,
        an_attempt_that_takes_too_long_is_another_failure,
        a_late_answer_of_an_earlier_attempt_changes_nothing,
        a_failing_transform_fails_the_run,
        a_call_that_must_not_repeat_is_made_once,
        a_refused_call_that_must_not_repeat_is_not_retried,
        a_call_that_must_not_repeat_and_broke_off_is_unknown,
        an_expired_call_that_must_not_repeat_is_unknown_until_someone_says,
    ]
}

async fn a_failure_takes_its_branch_after_its_attempts(w: World) {
    w.serves("/errors-bad", Reply::Status(503, None));
    w.serves("/errors-bad/extra", Reply::Status(400, None));
    let url = format!("{}/errors-bad", w.http_url);
    let run = w.api.run(&example("errors"), json!({ "url": url })).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    let excuse = format!("Explain that {url} can't be reached.");
    assert_eq!(seen["output"], json!({"used": "", "excuse": excuse, "extra": 0}));
    assert_eq!(lines(&steps), ["excuse completed", "extra completed", "fetch failed", "use skipped"]);
    let fetch = steps.iter().find(|step| step["node"] == "fetch").expect("the step");
    assert_eq!((&fetch["attempt"], &fetch["error"]["code"]), (&json!(3), &json!("http_status")));
    assert_eq!((w.served("/errors-bad").len(), w.served("/errors-bad/extra").len()), (3, 1));
}

async fn success_takes_the_other_branch(w: World) {
    w.serves("/errors-good", Reply::text("fine"));
    let url = format!("{}/errors-good", w.http_url);
    let run = w.api.run(&example("errors"), json!({ "url": url })).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!({"used": "Summarise: fine", "excuse": "", "extra": 200}));
    assert_eq!(lines(&steps), ["excuse skipped", "extra completed", "fetch completed", "use completed"]);
}

fn tried(url: &str, retry: Value) -> Value {
    let get = json!({"id": "get", "type": "http", "config": {"url": url}, "retry": retry});
    json!({"name": "tried", "nodes": [get], "output": "{{ steps.get.output.body }}"})
}

async fn attempts_are_spaced_and_counted(w: World) {
    w.serves("/spaced", Reply::Status(500, None));
    let retry = json!({"max_retries": 2, "backoff": "exponential", "initial": "400ms", "jitter": false});
    let run = w.api.run(&tried(&format!("{}/spaced", w.http_url), retry), json!({})).await;
    w.ended(&run, "failed").await;
    let calls = w.served("/spaced");
    assert_eq!(calls.len(), 3);
    let gaps = [calls[1].at - calls[0].at, calls[2].at - calls[1].at];
    assert!(gaps[0] >= Duration::from_millis(400) && gaps[1] >= Duration::from_millis(800), "{gaps:?}");
    let keys: Vec<_> = calls.iter().map(|call| call.idempotency_key().expect("a key").to_owned()).collect();
    assert_eq!(keys, [1, 2, 3].map(|attempt| format!("{run}/1/get//{attempt}")));
    let history = w.recorded(&run).await;
    assert_eq!(
        types(&history),
        [
            "run.created",
            "step.started",
            "step.retrying",
            "step.started",
            "step.retrying",
            "step.started",
            "step.failed",
            "run.failed",
        ]
    );
}

async fn a_later_attempt_may_succeed(w: World) {
    w.serves_in_turn("/later", vec![Reply::Status(503, Some(1)), Reply::Cut, Reply::text("at last")]);
    let retry = json!({"max_retries": 5, "backoff": "constant", "initial": "100ms"});
    let run = w.api.run(&tried(&format!("{}/later", w.http_url), retry), json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &steps[0]["attempt"]), (&json!("at last"), &json!(3)));
    assert_eq!(steps[0]["error"], Value::Null, "what went wrong before is history");
}

async fn an_attempt_that_takes_too_long_is_another_failure(w: World) {
    w.says("too-long-agent", Reply::text("late").after(Duration::from_secs(20)));
    w.serves("/too-long", Reply::text("late").after(Duration::from_secs(20)));
    let retry = json!({"max_retries": 1, "backoff": "constant", "initial": "100ms"});
    let agent = json!({"id": "ask", "type": "agent", "timeout": "500ms", "retry": retry,
        "config": {"agent": "once", "prompt": "too-long-agent"}});
    let http = json!({"id": "get", "type": "http", "timeout": "500ms", "retry": retry,
        "config": {"url": format!("{}/too-long", w.http_url)}});
    for (node, id) in [(agent, "ask"), (http, "get")] {
        let run = w.api.run(&json!({"name": "too-long", "nodes": [node]}), json!({})).await;
        let (seen, steps) = w.ended(&run, "failed").await;
        let code = seen["error"]["code"].as_str().expect("a code");
        assert_eq!(code, "timeout", "{id}: {seen:#}");
        assert_eq!((lines(&steps), &steps[0]["attempt"]), (vec![format!("{id} failed")], &json!(2)));
    }
    assert_eq!((w.asked("too-long-agent").len(), w.served("/too-long").len()), (2, 2));
}

async fn a_late_answer_of_an_earlier_attempt_changes_nothing(w: World) {
    w.says_in_turn(
        "late-answer",
        vec![Reply::text("the first").after(Duration::from_secs(4)), Reply::text("the second")],
    );
    let definition = json!({"name": "late", "nodes": [
        {"id": "ask", "type": "agent", "timeout": "3s", "config": {"agent": "once", "prompt": "late-answer"},
         "retry": {"max_retries": 1, "backoff": "constant", "initial": "50ms"}},
        {"id": "gap", "type": "wait", "config": {"for": "2s"}}],
        "edges": [{"source": "ask", "target": "gap"}], "output": "{{ steps.ask.output }}"});
    let run = w.api.run(&definition, json!({})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &steps[0]["attempt"]), (&json!("the second"), &json!(2)));
}

async fn a_failing_transform_fails_the_run(w: World) {
    let rule = json!({"source": "a", "target": "b", "type": "map", "config": {"value": "item.x.y | upper"}});
    let definition =
        json!({"name": "bad-rule", "nodes": [{"id": "t", "type": "transform", "config": {"rules": [rule]}}]});
    let run = w.api.run(&definition, json!({"a": 3})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("transform_error"), &json!("t")));
}

async fn a_call_that_must_not_repeat_is_made_once(w: World) {
    let input = json!({"url": format!("{}/charge", w.http_url), "amount": 12});
    let run = w.api.run(&example("at_most_once"), input).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps), ["charge completed", "receipt completed"]);
    let calls = w.served("/charge");
    assert_eq!((calls.len(), calls[0].json()), (1, json!({"amount": 12, "reference": run})));
    let history = w.recorded(&run).await;
    let types = types(&history);
    let granted = types.iter().position(|kind| *kind == "step.granted").expect("a grant");
    assert_eq!((types[granted - 1], types[granted + 1]), ("step.started", "step.completed"));
}

async fn a_refused_call_that_must_not_repeat_is_not_retried(w: World) {
    w.serves("/charge-refused", Reply::Status(503, Some(1)));
    let input = json!({"url": format!("{}/charge-refused", w.http_url), "amount": 12});
    let run = w.api.run(&example("at_most_once"), input).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], w.served("/charge-refused").len()), (&json!("http_status"), 1));
}

async fn a_call_that_must_not_repeat_and_broke_off_is_unknown(w: World) {
    w.serves("/charge-cut", Reply::Cut);
    let input = json!({"url": format!("{}/charge-cut", w.http_url), "amount": 12});
    let run = w.api.run(&example("at_most_once"), input).await;
    w.api.until_step(&run, "charge", "unknown").await;
    w.api.operate(&run, "approve", json!({"node": "charge", "approved": true})).await;
    w.ended(&run, "completed").await;
    assert_eq!(w.served("/charge-cut").len(), 1);
}

async fn an_expired_call_that_must_not_repeat_is_unknown_until_someone_says(w: World) {
    w.serves("/charge-slow", Reply::text("done").after(Duration::from_secs(20)));
    let mut definition = example("at_most_once");
    definition["nodes"][0]["timeout"] = json!("2s");
    let input = json!({"url": format!("{}/charge-slow", w.http_url), "amount": 12});
    let workflow = w.api.create(&definition).await;
    let [yes, no] = [w.api.start(&workflow, input.clone()).await, w.api.start(&workflow, input).await];
    for run in [&yes, &no] {
        w.api.until_step(run, "charge", "unknown").await;
        assert_eq!(w.api.get(&format!("/runs/{run}")).await["status"], "waiting");
    }
    w.api.operate(&yes, "approve", json!({"node": "charge", "approved": true})).await;
    let (_, steps) = w.ended(&yes, "completed").await;
    assert_eq!(lines(&steps), ["charge completed", "receipt completed"]);
    w.api.operate(&no, "approve", json!({"node": "charge", "approved": false})).await;
    let (seen, _) = w.ended(&no, "failed").await;
    assert_eq!(seen["error"]["code"], "unknown_outcome");
    assert!(w.served("/charge-slow").len() <= 2, "at most once each");
}
