//! Answers, grants and reservations that nobody was asked for.

use super::*;

/// One step of every kind that waits, and an agent with a schema.
fn kinds() -> Value {
    json!({"name": "kinds", "settings": {"budget": {"calls": 50}}, "nodes": [
        {"id": "ask", "type": "agent", "config": {"agent": "a", "prompt": "p"}},
        {"id": "form", "type": "agent", "config": {"agent": "a", "prompt": "p", "output_schema": {
            "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}},
        {"id": "once", "type": "agent", "effect": "at_most_once", "config": {"agent": "a", "prompt": "p"}},
        {"id": "outside", "type": "agent", "config": {"agent": "w", "prompt": "p", "worker": "external"}},
        {"id": "call", "type": "http", "config": {"url": "http://x.example/"}},
        {"id": "charge", "type": "http", "effect": "at_most_once", "config": {"url": "http://x.example/"}},
        {"id": "ok", "type": "approval", "config": {"title": "Sure?"}},
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "pause", "type": "wait", "config": {"for": "1h"}},
        {"id": "each", "type": "for_each", "config": {"items": "[1]", "body": {"nodes": [
            {"id": "in", "type": "approval", "config": {"title": "Sure?"}}]}}}
    ]})
}

fn said(node: &str, iteration: &str, outcome: Outcome) -> Input {
    let step = StepKey::new(1, node, iteration);
    Input::AgentAnswer {
        step,
        attempt: 1,
        outcome,
        usage: Usage { calls: 1, ..Usage::default() },
        fallbacks: vec![],
    }
}

fn done(output: Value) -> Outcome {
    Outcome::Done(Datum::inline(output))
}

fn failed(code: &str) -> Outcome {
    Outcome::Failed(CallError::permanent(code, "m"))
}

#[test]
fn only_a_step_that_is_asked_of_an_agent_is_answered_by_one() {
    let mut w = World::start(kinds(), json!({}));
    let before = format!("{:?}", w.run);
    for (node, iteration) in [
        ("outside", ""),
        ("call", ""),
        ("charge", ""),
        ("ok", ""),
        ("go", ""),
        ("pause", ""),
        ("each", ""),
        ("in", "0"),
        ("nobody", ""),
        ("", ""),
    ] {
        for outcome in [done(json!("FORGED")), failed("boom"), Outcome::Unknown] {
            assert_eq!(w.try_give(&said(node, iteration, outcome)), Err("not_asked".into()), "{node}");
        }
    }
    // Nor one with an outcome or a form that its step does not have.
    assert_eq!(w.try_give(&said("ask", "", Outcome::Unknown)), Err("not_asked".into()));
    for output in [json!("FORGED"), json!({}), json!({"n": "1"}), Value::Null] {
        assert_eq!(w.try_give(&said("form", "", done(output))), Err("output_invalid".into()));
    }
    assert_eq!(format!("{:?}", w.run), before, "nothing is changed by any of them");
    for input in [said("ask", "", done(json!("yes"))), said("form", "", done(json!({"n": 1})))] {
        assert_eq!(w.give(input).len(), 1);
    }
    assert_eq!(w.give(said("once", "", Outcome::Unknown)).len(), 1);
    // Late is not forged.
    assert_eq!(w.give(said("ask", "", done(json!("again")))), []);
    assert_eq!(w.give(said("form", "", done(json!("again")))), []);
    assert_eq!(w.give(said("ask", "7", done(json!("x")))), []);
}

#[test]
fn an_agent_that_was_cancelled_ends_its_step() {
    let mut w = World::start(kinds(), json!({}));
    w.give(said("ask", "", failed("agent_cancelled")));
    assert_eq!((w.run.status(), w.error()), (Status::Failed, "agent_cancelled".into()));
    // What is performed at most once may have been.
    let mut w = World::start(kinds(), json!({}));
    w.give(said("once", "", failed("agent_cancelled")));
    assert_eq!(*w.step("once"), StepState::Unknown);
}

#[test]
fn calls_are_set_aside_only_for_agents_of_a_run_with_a_budget_and_one_by_one() {
    let mut budget = kinds();
    budget["settings"]["budget"]["tokens"] = json!(1_000_000);
    let mut w = World::start(budget, json!({}));
    let reserve = |node: &str, op: &str, calls, tokens| Input::Reserve {
        op: op.into(),
        step: StepKey::new(1, node, ""),
        attempt: 1,
        reserved: Reserved { calls, tokens, cost: 0 },
    };
    let before = format!("{:?}", w.run);
    for input in [
        reserve("call", "r1/1/call//1/2", 1, 0),
        reserve("outside", "r1/1/outside//1/2", 1, 0),
        reserve("ok", "r1/1/ok//1/2", 1, 0),
        reserve("nobody", "r1/1/nobody//1/2", 1, 0),
        reserve("ask", "other", 1, 0),
        reserve("ask", "r1/1/form//1/2", 1, 0),
        reserve("ask", "r2/1/ask//1/2", 1, 0),
        reserve("ask", "r1/1/ask//1/2", 2, 0),
        reserve("ask", "r1/1/ask//1/2", 0, 0),
        reserve("ask", "r1/1/ask//1/2", u64::MAX, 0),
        reserve("ask", "r1/1/ask//1/2", 1, u64::MAX),
        reserve("ask", &format!("r1/1/ask//1/{}", "x".repeat(5000)), 1, 0),
    ] {
        assert_eq!(w.try_give(&input), Err("not_asked".into()), "{input:?}");
    }
    assert_eq!(format!("{:?}", w.run), before);
    assert_eq!(w.give(reserve("ask", "r1/1/ask//1/2", 1, 50)).len(), 1);
    let delegates = reserve("ask", "r1/1/ask//1/2/0/1", 1, 50);
    assert_eq!(w.give(delegates).len(), 1, "of a part that was passed on");
    assert_eq!(w.give(reserve("ask", "r1/1/ask//1/3", 1, u64::from(u32::MAX))), [], "more than is left");
    w.fail("ask", true);
    assert_eq!(w.give(reserve("ask", "r1/1/ask//1/4", 1, 0)), [], "nobody works on it now");
    let mut without = kinds();
    without["settings"] = json!({});
    let mut w = World::start(without, json!({}));
    assert_eq!(w.try_give(&reserve("ask", "r1/1/ask//1/2", 1, 0)), Err("not_asked".into()));
}

#[test]
fn what_may_be_repeated_is_not_granted() {
    let mut w = World::start(kinds(), json!({}));
    for node in ["ask", "call", "ok", "go", "outside"] {
        let step = StepKey::new(1, node, "");
        assert_eq!(w.give(Input::Grant { step, attempt: 1, activation: "x".into() }), [], "{node}");
    }
}
