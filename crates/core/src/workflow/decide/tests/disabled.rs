//! Nodes that a definition leaves out.

use super::*;

fn off(mut node: Value) -> Value {
    node["disabled"] = true.into();
    node
}

fn edge(source: &str, target: &str) -> Value {
    json!({"source": source, "target": target})
}

#[test]
fn a_disabled_node_is_skipped_and_what_follows_it_goes_on() {
    let definition = json!({"name": "x", "nodes": [agent("a", "p"), off(agent("b", "{{ steps.a.output }}")),
        agent("c", "{{ steps.b.status }} {{ steps.b.output }} {{ steps.a.output }}")],
        "edges": [edge("a", "b"), edge("b", "c")]});
    let mut w = World::start(definition, json!({}));
    w.answer("a", "", json!("A"));
    assert_eq!((w.step("b"), w.pending()), (&StepState::Skipped, vec!["agent c#1".to_owned()]));
    let asked = w.run.steps[&StepKey::new(1, "c", "")].input.clone();
    assert_eq!(asked, Some(Datum::inline(json!({"agent": "a", "prompt": "skipped null A"}))));
    w.answer("c", "", json!("C"));
    assert_eq!(w.output(), json!("C"));
}

#[test]
fn one_at_the_end_does_not_hide_the_output_before_it() {
    let definition =
        json!({"name": "x", "nodes": [agent("a", "p"), off(agent("b", "p"))], "edges": [edge("a", "b")]});
    let mut w = World::start(definition, json!({}));
    w.answer("a", "", json!("A"));
    assert_eq!(w.output(), json!("A"));
}

#[test]
fn one_that_no_edge_leads_to_lets_nothing_go_on() {
    let definition = json!({"name": "x", "nodes": [
        {"id": "if", "type": "condition", "config": {"if": "false"}}, off(agent("b", "p")), off(agent("c", "p")),
        agent("d", "p"), agent("e", "p")],
        "edges": [{"source": "if", "target": "b", "config": {"branch": "true"}}, edge("b", "c"), edge("c", "d"),
            {"source": "if", "target": "e", "config": {"branch": "false"}}]});
    let w = World::start(definition, json!({}));
    assert_eq!(["b", "c", "d"].map(|id| w.step(id).clone()), [const { StepState::Skipped }; 3]);
    assert_eq!(w.pending(), ["agent e#1"]);
}

#[test]
fn a_disabled_node_decides_nothing() {
    let definition = json!({"name": "x", "nodes": [
        off(json!({"id": "if", "type": "condition", "config": {"if": "true"}})), agent("yes", "p"), agent("no", "p"),
        agent("then", "p")],
        "edges": [{"source": "if", "target": "yes", "config": {"branch": "true"}},
            {"source": "if", "target": "no", "config": {"branch": "false"}}, edge("if", "then")]});
    let w = World::start(definition, json!({}));
    assert_eq!((w.step("yes"), w.step("no")), (&StepState::Skipped, &StepState::Skipped));
    assert_eq!(w.pending(), ["agent then#1"]);
}

#[test]
fn a_disabled_approval_lets_nobody_send() {
    let definition = json!({"name": "x", "nodes": [
        off(json!({"id": "ok", "type": "approval", "config": {"title": "Pay?", "guards": "pay"}})),
        {"id": "pay", "type": "http", "config": {"method": "POST", "url": "http://bank.example"}}],
        "edges": [{"source": "ok", "target": "pay", "config": {"branch": "approved"}}]});
    let w = World::start(definition, json!({}));
    assert_eq!((w.step("pay"), w.output()), (&StepState::Skipped, Value::Null));
}

#[test]
fn joins_count_a_disabled_node_as_one_that_completed() {
    for (join, starts) in
        [(json!("all"), true), (json!("any"), true), (json!({"n": 2}), true), (json!("settle"), true)]
    {
        let mut last = agent("d", "p");
        last["join"] = join.clone();
        let definition = json!({"name": "x", "nodes": [off(agent("a", "p")), off(agent("b", "p")), last],
            "edges": [edge("a", "d"), edge("b", "d")]});
        let w = World::start(definition, json!({}));
        assert_eq!(w.pending() == ["agent d#1"], starts, "{join}");
    }
    // Its own join is that of any node: with too few edges it is skipped, and does not fail.
    let mut few = off(agent("c", "p"));
    few["join"] = json!({"n": 2});
    let definition = json!({"name": "x", "nodes": [
        {"id": "if", "type": "condition", "config": {"if": "true"}}, few, agent("d", "p")],
        "edges": [{"source": "if", "target": "c", "config": {"branch": "true"}},
            {"source": "if", "target": "c", "config": {"branch": "false"}}, edge("c", "d")]});
    let w = World::start(definition, json!({}));
    assert_eq!((w.step("c"), w.step("d")), (&StepState::Skipped, &StepState::Skipped));
    assert_eq!(w.run.status(), Status::Completed);
}

#[test]
fn bodies_are_left_out_with_their_node_and_have_disabled_nodes_of_their_own() {
    let each =
        |body: Value| json!({"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "body": body}});
    let body = json!({"nodes": [off(agent("a", "p")), agent("b", "{{ item }}")], "edges": [edge("a", "b")]});
    let w = World::start(json!({"name": "x", "nodes": [off(each(body.clone()))]}), json!({}));
    assert_eq!((w.run.status(), w.events.len()), (Status::Completed, 3), "{:?}", w.events);
    let mut w = World::start(json!({"name": "x", "nodes": [each(body)]}), json!({}));
    assert_eq!(w.pending(), ["agent b[0]#1", "agent b[1]#1"]);
    w.answer("b", "0", json!("one"));
    w.answer("b", "1", json!("two"));
    assert_eq!(w.output(), json!(["one", "two"]));
}

#[test]
fn a_rerun_behind_a_disabled_node_goes_on_as_before() {
    let definition =
        json!({"name": "x", "nodes": [off(agent("a", "p")), agent("b", "p")], "edges": [edge("a", "b")]});
    let mut w = World::start(definition, json!({}));
    w.answer("b", "", json!(1));
    for from in ["b", "a"] {
        let op = w.op();
        w.give(Input::Rerun { op, from: from.into(), input: None });
        assert_eq!(w.pending(), ["agent b#1"], "{from}");
        w.answer("b", "", json!(2));
        assert_eq!(w.output(), json!(2));
    }
}
