//! Nodes with a body: `for_each`, `loop`, and bodies inside bodies.

use crate::e2e::{
    history::lines,
    world::{Case, World, cases, example},
};
use crate::harness::Reply;
use serde_json::{Value, json};
use std::time::Duration;

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        each_item_has_its_iteration_and_its_place_in_the_list,
        no_more_iterations_run_at_once_than_allowed,
        no_items_make_an_empty_list,
        what_is_no_list_fails,
        a_failure_in_one_iteration_fails_the_whole,
        a_failure_inside_may_become_a_value,
        a_loop_ends_when_its_condition_holds,
        a_loop_ends_at_its_most,
        bodies_nest_and_iterations_are_paths,
    ]
}

async fn each_item_has_its_iteration_and_its_place_in_the_list(w: World) {
    let run = w.api.run(&example("for_each"), json!({"topics": ["tea", "ships", "moss"]})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    let output = seen["output"].as_array().expect("a list");
    let topics: Vec<_> = output.iter().map(|item| &item["topic"]).collect();
    assert_eq!(topics, ["tea", "ships", "moss"]);
    assert_eq!(output[1]["summary"], "2. Summarise ships in one sentence.");
    assert_eq!(output[1]["review"], "Is this right? 2. Summarise ships in one sentence.");
    assert_eq!(
        lines(&steps),
        [
            "each completed",
            "review[0] completed",
            "review[1] completed",
            "review[2] completed",
            "summary[0] completed",
            "summary[1] completed",
            "summary[2] completed",
        ]
    );
    assert_eq!(seen["usage"]["calls"], 6);
}

async fn no_more_iterations_run_at_once_than_allowed(w: World) {
    const LASTS: Duration = Duration::from_millis(150);
    w.says("at-once-", Reply::Echo.after(LASTS));
    let topics: Vec<String> = (0..12).map(|n| format!("at-once-{n}")).collect();
    let run = w.api.run(&example("for_each"), json!({ "topics": topics })).await;
    w.ended(&run, "completed").await;
    let calls = w.asked("at-once-");
    assert_eq!(calls.len(), 24);
    for window in calls.windows(5) {
        let apart = window[4].at - window[0].at;
        assert!(apart >= LASTS, "five calls of four iterations began within {apart:?}");
    }
}

async fn no_items_make_an_empty_list(w: World) {
    let run = w.api.run(&example("for_each"), json!({"topics": []})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], lines(&steps)), (&json!([]), vec!["each completed".to_owned()]));
}

async fn what_is_no_list_fails(w: World) {
    let body = json!({"nodes": [{"id": "x", "type": "wait", "config": {"for": "1ms"}}]});
    let definition = json!({"name": "no-list", "nodes": [
        {"id": "each", "type": "for_each", "config": {"items": "input.topics", "body": body}}]});
    let run = w.api.run(&definition, json!({"topics": "tea"})).await;
    let (seen, _) = w.ended(&run, "failed").await;
    assert_eq!(seen["error"]["code"], "items_not_a_list");
}

fn calls_each(url: &str, on_error: Value) -> Value {
    let get = json!({"id": "get", "type": "http", "retry": {"max_retries": 0}, "on_error": on_error,
        "config": {"url": format!("{url}/{{{{ item }}}}")}});
    json!({"name": "calls", "nodes": [{"id": "each", "type": "for_each", "config": {"items": "input.paths",
        "parallel": 1, "body": {"nodes": [get], "output": "{{ steps.get.output.status }}"}}}]})
}

async fn a_failure_in_one_iteration_fails_the_whole(w: World) {
    w.serves("/each-bad", Reply::Status(500, None));
    let paths = json!({"paths": ["each-good", "each-bad", "each-late"]});
    let run = w.api.run(&calls_each(&w.http_url, json!("fail")), paths).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!((&seen["error"]["code"], &seen["error"]["node"]), (&json!("http_status"), &json!("each")));
    assert_eq!(lines(&steps), ["each failed", "get[0] completed", "get[1] failed"]);
    assert_eq!(w.served("/each-late").len(), 0);
}

async fn a_failure_inside_may_become_a_value(w: World) {
    w.serves("/each-broken", Reply::Status(500, None));
    let paths = json!({"paths": ["each-fine", "each-broken", "each-fine"]});
    let run = w.api.run(&calls_each(&w.http_url, json!({"default": {"status": 0}})), paths).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!([200, 0, 200]));
    let inside = steps.iter().find(|step| step["iteration"] == "1").expect("the step");
    assert_eq!((&inside["status"], &inside["error"]["code"]), (&json!("completed"), &json!("http_status")));
}

async fn a_loop_ends_when_its_condition_holds(w: World) {
    let run = w.api.run(&example("loop"), json!({"task": "Write.", "rounds": 3})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"]["round"], 3);
    assert_eq!(seen["output"]["text"], "Write. Improve on: Write. Improve on: Write. ");
    assert_eq!(
        lines(&steps),
        ["draft[0] completed", "draft[1] completed", "draft[2] completed", "improve completed"]
    );
}

async fn a_loop_ends_at_its_most(w: World) {
    let run = w.api.run(&example("loop"), json!({"task": "Again.", "rounds": 9})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"]["round"], steps.len()), (&json!(5), 6));
}

async fn bodies_nest_and_iterations_are_paths(w: World) {
    let again = json!({"id": "again", "type": "loop", "config": {"until": "index >= 1", "max": 5, "body": {
        "nodes": [{"id": "say", "type": "agent", "config": {"agent": "quick", "prompt": "{{ item }}, {{ index }}"}}],
        "output": "{{ steps.say.output }}"}}});
    let short = json!({"id": "short", "type": "condition", "config": {"if": "item | length < 2"}});
    let definition = json!({"name": "nested", "nodes": [{"id": "each", "type": "for_each", "config": {
        "items": "input.list", "body": {"nodes": [short, again],
            "edges": [{"source": "short", "target": "again", "config": {"branch": "true"}}],
            "output": "{{ steps.again.output | default('long') }}"}}}]});
    let run = w.api.run(&definition, json!({"list": ["a", "bb"]})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!(["a, 1", "long"]));
    assert_eq!(
        lines(&steps),
        [
            "again[0] completed",
            "again[1] skipped",
            "each completed",
            "say[0.0] completed",
            "say[0.1] completed",
            "short[0] completed",
            "short[1] completed",
        ]
    );
}
