//! Operations that come again: the same one does nothing, another one under the same id is refused, whatever the two are.

use super::*;
use crate::{
    Code,
    workflow::{Fingerprint, Refusal, input::RefusalKind},
};

/// An approval `ok`, open from the start.
fn waiting() -> World {
    World::start(
        json!({"name": "w", "nodes": [{"id": "ok", "type": "approval", "config": {"title": "ok?"}}]}),
        json!({}),
    )
}

fn named(id: &str, body: u32) -> Op {
    Op::named(id.into(), Fingerprint(body))
}

fn approve(op: Op) -> Input {
    Input::Approve {
        op,
        node: "ok".into(),
        generation: None,
        iteration: None,
        approved: true,
        comment: None,
        args_hash: None,
    }
}

fn refusal(w: &World, input: &Input) -> Refusal {
    match w.run.decide(w.at, input, &Values::default()) {
        Err(Stop::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// Each operation with how the run gets to where it may be done.
type Case = (&'static str, fn(Op) -> Input, fn(&mut World));

const CASES: [Case; 6] = [
    ("signal", |op| Input::Signal { op, name: "go".into(), data: Datum::null() }, |_| {}),
    ("approve", approve, |_| {}),
    ("cancel", |op| Input::Cancel { op }, |_| {}),
    ("pause", |op| Input::Pause { op }, |_| {}),
    ("resume", |op| Input::Resume { op }, |w| drop(w.give(Input::Pause { op: "before".into() }))),
    (
        "rerun",
        |op| Input::Rerun { op, from: "ok".into(), input: None },
        |w| drop(w.give(Input::Cancel { op: "before".into() })),
    ),
];

#[test]
fn each_operation_is_told_from_its_repetition_and_from_another_one() {
    for (name, input, before) in CASES {
        let mut w = waiting();
        before(&mut w);
        assert!(!w.give(input(named("op", 7))).is_empty(), "{name}");
        assert!(w.give(input(named("op", 7))).is_empty(), "{name} again");
        for other in [input(named("op", 8)), Input::Pause { op: named("op", 9) }] {
            let refusal = refusal(&w, &other);
            assert_eq!(
                (refusal.kind, refusal.code, refusal.early),
                (RefusalKind::Invalid, Code::IdempotencyKeyReused, false),
                "{name}"
            );
        }
        // One that we named ourselves, or an earlier release, says nothing about its body.
        assert!(w.give(input("op".into())).is_empty(), "{name} without a body");
    }
}

#[test]
fn what_was_recorded_without_its_body_matches_any() {
    for (name, input, before) in CASES {
        let mut w = waiting();
        before(&mut w);
        assert!(!w.give(input("op".into())).is_empty(), "{name}");
        assert!(w.give(input(named("op", 7))).is_empty(), "{name}");
    }
}

#[test]
fn the_start_is_an_operation_too() {
    let mut w = waiting();
    let created = w.events[0].clone();
    let What::RunCreated { op, workflow_id, version, plan, input, settings, .. } = created.what else {
        panic!("{created:?}")
    };
    let what =
        What::RunCreated { op, workflow_id, version, plan, input, settings, body: Some(Fingerprint(1)) };
    let mut run = Run::new(&run_id());
    run.attach(w.run.plan.clone().expect("a plan"));
    run.apply(&Event { at: created.at, what });
    w.run = run;
    // Its own repetition is compared by the shell, which knows workflow and input.
    let refusal = refusal(&w, &Input::Pause { op: named("start", 2) });
    assert_eq!(refusal.code, Code::IdempotencyKeyReused);
}

#[test]
fn the_last_256_operations_are_remembered_with_their_bodies() {
    let mut w = waiting();
    for n in 0..300_u32 {
        let op = named(&format!("op{n}"), n);
        let input = if n % 2 == 0 { Input::Pause { op } } else { Input::Resume { op } };
        w.give(input);
    }
    assert_eq!(w.run.ops.len(), 256);
    for n in 44..300_u32 {
        let known = w.run.remembered(&format!("op{n}")[..].into()).expect("remembered");
        assert_eq!(known.body, Some(Fingerprint(n)));
    }
    assert_eq!(w.run.remembered(&"op43".into()), None);
}

#[test]
fn only_who_comes_too_early_is_told_that_it_may_be_right_later() {
    let nodes = json!([
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "ok", "type": "approval", "config": {"title": "ok?"}},
        {"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "parallel": 1, "body": {"nodes": [
            {"id": "inner", "type": "approval", "config": {"title": "inner?"}}]}}}]);
    let edges = json!([{"source": "go", "target": "ok"}, {"source": "ok", "target": "each", "config": {"branch": "approved"}}]);
    let mut w = World::start(json!({"name": "w", "nodes": nodes, "edges": edges}), json!({}));
    let of = |node: &str| {
        let mut input = approve(named("early", 1));
        if let Input::Approve { node: named, .. } = &mut input {
            *named = node.into();
        }
        input
    };
    let early = |w: &World, node: &str| {
        let refusal = refusal(w, &of(node));
        (refusal.code, refusal.early)
    };
    assert_eq!(early(&w, "ok"), (Code::NotWaiting, true), "it was never asked");
    assert_eq!(early(&w, "inner"), (Code::NotWaiting, false), "in a body it is asked again and again");
    assert_eq!(early(&w, "go"), (Code::NotWaiting, false), "it is no approval");
    assert_eq!(early(&w, "ghost"), (Code::UnknownNode, false));
    w.give(Input::Signal { op: "s".into(), name: "go".into(), data: Datum::null() });
    w.give(approve("first".into()));
    assert_eq!(early(&w, "ok"), (Code::NotWaiting, false), "it was asked and answered");
    w.give(Input::Cancel { op: "c".into() });
    assert_eq!(early(&w, "ok"), (Code::RunEnded, false));
    let nobody = Run::new(&run_id());
    let Err(Stop::Refused(refusal)) = nobody.decide(w.at, &Input::Tick, &Values::default()) else {
        panic!("refused")
    };
    assert_eq!((refusal.code, refusal.early), (Code::UnknownRun, true));
}
