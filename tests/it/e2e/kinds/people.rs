//! Nodes that wait for somebody: `signal` and `approval`.

use crate::e2e::{
    history::{lines, types},
    world::{Case, World, cases, example},
};
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        a_signal_is_waited_for,
        a_signal_that_comes_early_is_kept,
        signals_are_taken_in_order_each_once,
        a_signal_that_does_not_come_fails_the_step,
        an_approval_goes_one_way,
        a_rejection_goes_the_other,
        an_approval_that_nobody_gives_in_time_is_a_rejection,
        an_approval_is_for_what_was_asked,
        an_approval_that_guards_a_node_is_given_by_the_hash_it_shows,
        an_approval_in_a_body_names_its_iteration,
    ]
}

async fn a_signal_is_waited_for(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.until_step(&run, "payment", "waiting").await;
    let after = w.api.operate(&run, "signal", json!({"name": "payment", "data": {"amount": 12}})).await;
    assert_eq!((&after["id"], &after["status"]), (&json!(run), &json!("running")));
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], "Thank somebody for paying 12.");
    assert_eq!(steps[0]["output"], json!({"amount": 12}));
    assert_eq!(lines(&steps), ["payment completed", "thanks completed"]);
}

fn takes(names: &[&str]) -> Value {
    let gap = json!({"id": "gap", "type": "signal", "config": {"name": "begin"}});
    let take = |(n, name): (usize, &&str)| json!({"id": format!("s{n}"), "type": "signal", "config": {"name": name}});
    let mut nodes = vec![gap];
    nodes.extend(names.iter().enumerate().map(take));
    let ids: Vec<_> = nodes.iter().map(|node| node["id"].clone()).collect();
    let edges: Vec<_> = ids.windows(2).map(|two| json!({"source": two[0], "target": two[1]})).collect();
    let outputs: Vec<_> = (0..names.len()).map(|n| format!("{{{{ steps.s{n}.output }}}}")).collect();
    json!({"name": "takes", "nodes": nodes, "edges": edges, "output": outputs})
}

async fn a_signal_that_comes_early_is_kept(w: World) {
    let run = w.api.run(&takes(&["early"]), json!({})).await;
    w.api.operate(&run, "signal", json!({"name": "early", "data": 1})).await;
    w.api.operate(&run, "signal", json!({"name": "unwanted", "data": 2})).await;
    assert_eq!(w.api.step(&run, "s0").await, Value::Null, "its turn has not come");
    w.api.operate(&run, "signal", json!({"name": "begin"})).await;
    let (seen, steps) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!([1]));
    assert_eq!(steps[0]["output"], Value::Null);
}

async fn signals_are_taken_in_order_each_once(w: World) {
    let run = w.api.run(&takes(&["same", "same"]), json!({})).await;
    w.api.operate(&run, "signal", json!({"name": "same", "data": "first"})).await;
    w.api.operate(&run, "signal", json!({"name": "same", "data": "second"})).await;
    w.api.operate(&run, "signal", json!({"name": "begin"})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!(["first", "second"]));
}

async fn a_signal_that_does_not_come_fails_the_step(w: World) {
    let mut definition = example("signal");
    definition["nodes"][0]["config"]["timeout"] = json!("300ms");
    let run = w.api.run(&definition, json!({})).await;
    let (seen, steps) = w.ended(&run, "failed").await;
    assert_eq!(
        (&seen["error"]["code"], &seen["error"]["node"]),
        (&json!("signal_timeout"), &json!("payment"))
    );
    assert_eq!(lines(&steps), ["payment failed"]);
    let late = json!({"name": "payment", "data": {}});
    w.api.refused(&format!("/runs/{run}/signal"), late, 409, "run_ended").await;
}

async fn an_approval_goes_one_way(w: World) {
    let run = w.api.run(&example("approval"), json!({"text": "Hello"})).await;
    let asked = w.api.until_step(&run, "publish", "waiting").await;
    assert_eq!(
        asked["input"],
        json!({"title": "Publish this note?", "detail": "Write a note that says: Hello"})
    );
    w.api.operate(&run, "approve", json!({"node": "publish", "approved": true, "comment": "fine"})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(
        lines(&steps),
        ["draft completed", "kept skipped", "publish completed", "published completed"]
    );
    let publish = steps.iter().find(|step| step["node"] == "publish").expect("the step");
    assert_eq!(publish["output"], json!({"approved": true, "comment": "fine"}));
    let again = json!({"node": "publish", "approved": false});
    w.api.refused(&format!("/runs/{run}/approve"), again, 409, "run_ended").await;
}

async fn a_rejection_goes_the_other(w: World) {
    let run = w.api.run(&example("approval"), json!({"text": "No"})).await;
    w.api.until_step(&run, "publish", "waiting").await;
    w.api.operate(&run, "approve", json!({"node": "publish", "approved": false})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(
        lines(&steps),
        ["draft completed", "kept completed", "publish completed", "published skipped"]
    );
}

async fn an_approval_that_nobody_gives_in_time_is_a_rejection(w: World) {
    let mut definition = example("approval");
    definition["nodes"][1]["config"]["timeout"] = json!("400ms");
    let run = w.api.run(&definition, json!({"text": "Late"})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(
        lines(&steps),
        ["draft completed", "kept completed", "publish completed", "published skipped"]
    );
    let publish = steps.iter().find(|step| step["node"] == "publish").expect("the step");
    assert_eq!(publish["output"], json!({"approved": false, "comment": null, "expired": true}));
}

async fn an_approval_is_for_what_was_asked(w: World) {
    let run = w.api.run(&example("approval"), json!({"text": "Bound"})).await;
    let path = format!("/runs/{run}/approve");
    let unknown = json!({"node": "nobody", "approved": true});
    w.api.until_step(&run, "publish", "waiting").await;
    w.api.refused(&path, unknown, 404, "unknown_node").await;
    let other = json!({"node": "draft", "approved": true});
    w.api.refused(&path, other, 409, "not_waiting").await;
    let wrong = json!({"node": "publish", "approved": true, "args_hash": "00"});
    let problem = w.api.refused(&path, wrong, 409, "arguments_changed").await;
    let later = json!({"node": "publish", "approved": true, "generation": 2});
    w.api.refused(&path, later, 409, "not_waiting").await;
    let history = w.recorded(&run).await.len();
    let hash = problem["detail"].as_str().and_then(|text| text.rsplit(' ').next()).expect("the hash");
    w.api.operate(&run, "approve", json!({"node": "publish", "approved": true, "args_hash": hash})).await;
    w.ended(&run, "completed").await;
    let after = w.recorded(&run).await;
    assert_eq!(types(&after)[history], "step.completed", "a refusal leaves no trace");
}

async fn an_approval_that_guards_a_node_is_given_by_the_hash_it_shows(w: World) {
    let run = w.api.run(&example("guarded-approval"), json!({"text": "Hi"})).await;
    let asked = w.api.until_step(&run, "sure", "waiting").await;
    let sends = json!({"agent": "qa", "prompt": "Publish this note as it is: Write a note that says: Hi"});
    assert_eq!(asked["input"]["guards"], json!({"node": "publish", "sends": sends}));
    let hash = asked["args_hash"].as_str().expect("the hash");
    let events = w.recorded(&run).await;
    let told: Vec<_> = events.iter().filter_map(|event| event["data"]["args_hash"].as_str()).collect();
    assert_eq!(told, [hash], "the event says it, too");
    let path = format!("/runs/{run}/approve");
    let bare = json!({"node": "sure", "approved": true});
    w.api.refused(&path, bare, 422, "args_hash_required").await;
    w.api.operate(&run, "approve", json!({"node": "sure", "approved": true, "args_hash": hash})).await;
    let (_, steps) = w.ended(&run, "completed").await;
    assert_eq!(lines(&steps), ["draft completed", "publish completed", "sure completed"]);
    let publish = steps.iter().find(|step| step["node"] == "publish").expect("the step");
    assert_eq!(publish["input"], sends, "what was sent is what was approved");
    assert!(publish.get("args_hash").is_none());
}

async fn an_approval_in_a_body_names_its_iteration(w: World) {
    let ask = json!({"id": "ok", "type": "approval", "config": {"title": "{{ item }}?"}});
    let definition = json!({"name": "each-ok", "nodes": [{"id": "each", "type": "for_each", "config": {
        "items": "input.list", "body": {"nodes": [ask], "output": "{{ steps.ok.output.approved }}"}}}]});
    let run = w.api.run(&definition, json!({"list": ["a", "b"]})).await;
    w.api.until_step(&run, "ok", "waiting").await;
    let path = format!("/runs/{run}/approve");
    w.api.refused(&path, json!({"node": "ok", "approved": true}), 409, "ambiguous_iteration").await;
    w.api.operate(&run, "approve", json!({"node": "ok", "approved": false, "iteration": "1"})).await;
    let again = json!({"node": "ok", "approved": true, "iteration": "1"});
    w.api.refused(&path, again, 409, "not_waiting").await;
    w.api.operate(&run, "approve", json!({"node": "ok", "approved": true})).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!(seen["output"], json!([true, false]));
}
