//! Runs that are tried: outputs are given, and a part of the graph runs.

use super::*;
use crate::workflow::{Fingerprint, Trial};

fn tried(definition: Value, pins: Value, until: Option<&str>, only: Option<&str>) -> World {
    let pinned = pins.as_object().expect("pins").keys().cloned().collect();
    let [until, only] = [until, only].map(|node| node.map(str::to_owned));
    let trial = Trial { until, only, pinned, outputs: Datum::inline(pins), asked: Fingerprint(1) };
    World::try_out(definition, json!({}), Some(trial))
}

fn edge(source: &str, target: &str) -> Value {
    json!({"source": source, "target": target})
}

/// `a`, then a condition, then `yes` or `no`; beside them `z`.
fn forked() -> Value {
    json!({"name": "x", "nodes": [agent("a", "p"),
        {"id": "if", "type": "condition", "config": {"if": "steps.a.output == 'A'"}},
        agent("yes", "{{ steps.a.output }}"), agent("no", "p"), agent("z", "p"), agent("last", "p")],
        "edges": [edge("a", "if"), {"source": "if", "target": "yes", "config": {"branch": "true"}},
            {"source": "if", "target": "no", "config": {"branch": "false"}}, edge("yes", "last"), edge("no", "last")],
        "output": {"all": "{{ steps.z.output }}"}})
}

#[test]
fn a_pinned_node_completes_at_once_and_the_rest_runs_as_always() {
    let mut w = tried(forked(), json!({"a": "A", "z": null}), None, None);
    assert_eq!(w.pending(), ["agent yes#1"]);
    assert!(matches!(w.events[1].what, What::RunTried { .. }));
    let a = &w.run.steps[&StepKey::new(1, "a", "")];
    assert_eq!((&a.input, a.usage), (&None, Usage::default()));
    w.answer("yes", "", json!("Y"));
    w.answer("last", "", json!("L"));
    assert_eq!(w.output(), json!({"all": null}));
}

#[test]
fn what_is_given_for_a_condition_or_an_approval_is_the_branch_that_is_taken() {
    let w = tried(forked(), json!({"a": "A", "if": false}), None, None);
    assert_eq!(w.pending(), ["agent no#1", "agent z#1"]);
    let asks = json!({"name": "x", "nodes": [{"id": "ok", "type": "approval", "config": {"title": "t"}}, agent("b", "p")],
        "edges": [{"source": "ok", "target": "b", "config": {"branch": "approved"}}]});
    for (given, pending) in
        [(json!({"approved": true}), vec!["agent b#1"]), (json!({}), vec![]), (json!(7), vec![])]
    {
        let w = tried(asks.clone(), json!({"ok": given}), None, None);
        assert_eq!(w.pending(), pending, "{given}");
    }
}

#[test]
fn a_pinned_approval_approves_no_guarded_sending() {
    let definition = json!({"name": "x", "nodes": [
        {"id": "ok", "type": "approval", "config": {"title": "Pay?", "guards": "pay"}},
        {"id": "pay", "type": "http", "config": {"method": "POST", "url": "http://bank.example"}}],
        "edges": [{"source": "ok", "target": "pay", "config": {"branch": "approved"}}]});
    let w = tried(definition, json!({"ok": {"approved": true}}), None, None);
    assert_eq!((w.error(), w.pending()), ("approval_void".to_owned(), vec![]));
}

#[test]
fn until_ends_the_run_behind_a_node_and_runs_only_what_leads_to_it() {
    let mut w = tried(forked(), json!({}), Some("yes"), None);
    assert_eq!(w.pending(), ["agent a#1"], "and not z");
    w.answer("a", "", json!("A"));
    assert_eq!(w.pending(), ["agent yes#1"]);
    w.answer("yes", "", json!("Y"));
    assert_eq!((w.output(), w.step("last")), (json!("Y"), &StepState::Skipped));
    // What leads to what is pinned does not run.
    let w = tried(forked(), json!({"if": true}), Some("yes"), None);
    assert_eq!((w.step("a"), w.error()), (&StepState::Skipped, "template_error".to_owned()));
    // What is pinned before another pinned node is there, too.
    let w = tried(forked(), json!({"a": "A", "if": true}), Some("yes"), None);
    assert_eq!(w.pending(), ["agent yes#1"]);
    assert!(matches!(w.step("a"), StepState::Completed { .. }));
    let w = tried(forked(), json!({"a": "B"}), Some("yes"), None);
    assert_eq!((w.step("yes"), w.output()), (&StepState::Skipped, Value::Null));
}

#[test]
fn only_runs_one_node_with_what_is_given() {
    let mut w = tried(forked(), json!({"a": "A"}), None, Some("yes"));
    assert_eq!(w.pending(), ["agent yes#1"]);
    assert_eq!(
        (w.step("if"), w.step("z"), w.step("last")),
        (&StepState::Skipped, &StepState::Skipped, &StepState::Skipped)
    );
    w.answer("yes", "", json!("Y"));
    assert_eq!(w.output(), json!("Y"));
    // A rerun is tried in the same way.
    let op = w.op();
    w.give(Input::Rerun { op, from: "a".into(), input: None });
    assert_eq!(w.pending(), ["agent yes#1"]);
    w.answer("yes", "", json!("again"));
    assert_eq!(w.output(), json!("again"));
}

#[test]
fn a_node_in_a_body_is_pinned_in_each_iteration() {
    let body =
        json!({"nodes": [agent("b", "p"), agent("c", "{{ steps.b.output }}")], "edges": [edge("b", "c")]});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "body": body}});
    let definition = json!({"name": "x", "nodes": [each, agent("z", "p")]});
    let mut w = tried(definition.clone(), json!({"b": "B"}), None, Some("each"));
    assert_eq!(w.pending(), ["agent c[0]#1", "agent c[1]#1"]);
    w.answer("c", "0", json!(1));
    w.answer("c", "1", json!(2));
    assert_eq!(w.output(), json!([1, 2]));
    let w = tried(definition, json!({"each": ["given"]}), None, Some("each"));
    assert_eq!((w.output(), w.events.len()), (json!(["given"]), 5), "its body does not run");
}
