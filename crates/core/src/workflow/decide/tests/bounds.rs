//! What a definition, a datum or a count can't do to the machine.

use super::*;
use crate::{
    expr::{Brake, Meter},
    schema,
};
use std::time::{Duration, Instant};

fn lattice() -> Value {
    let mut parts: serde_json::Map<String, Value> = (0..28)
        .map(|i| {
            let next = json!({"$ref": format!("#/$defs/a{}", i + 1)});
            (format!("a{i}"), json!({"allOf": [next, next]}))
        })
        .collect();
    parts.insert("a28".into(), json!({"type": "integer"}));
    json!({"$defs": parts, "$ref": "#/$defs/a0"})
}

fn read(definition: &Value) -> Definition {
    serde_json::from_value(definition.clone()).expect("a readable definition")
}

#[test]
fn schemas_that_take_too_much_work_are_mistakes_of_a_definition() {
    let definition = json!({"name": "w", "input": lattice(), "nodes": [
        {"id": "x", "type": "agent", "config": {"agent": "a", "prompt": "p", "output_schema": lattice()}},
    ]});
    let around = Surroundings { agents: ["a".to_owned()].into(), ..Surroundings::default() };
    let problems = Plan::compile(read(&definition), &around).expect_err("problems");
    let found: Vec<(&str, &str, Option<&str>)> =
        problems.iter().map(|p| (p.path.as_str(), p.code.as_str(), p.node.as_deref())).collect();
    let code = schema::TOO_COSTLY;
    assert_eq!(found, [("input", code, None), ("nodes[0].config.output_schema", code, Some("x"))]);
    // A run that an older version began with it can still be loaded, and so be ended.
    assert!(Plan::pinned(read(&definition)).is_ok());
}

#[test]
fn use_that_can_not_be_neither_wraps_nor_counts() {
    let mut world = World::start(
        json!({"name": "w", "settings": {"budget": {"calls": 3, "tokens": 1000}}, "nodes": [
            {"id": "x", "type": "agent", "config": {"agent": "a", "prompt": "p"}},
            {"id": "y", "type": "agent", "config": {"agent": "a", "prompt": "p"}},
        ], "edges": [{"source": "x", "target": "y"}]}),
        json!({}),
    );
    let step = StepKey::new(1, "x", "");
    let usage = Usage {
        calls: u64::MAX,
        prompt_tokens: u64::MAX,
        completion_tokens: 7,
        estimated: false,
        ..Usage::default()
    };
    let believed = usage.believed();
    assert_eq!(
        believed,
        Usage { calls: 0, prompt_tokens: 0, completion_tokens: 7, estimated: true, ..Usage::default() }
    );
    // What an older version took at its word is counted without wrapping: the budget is used up.
    let outcome = Outcome::Done(Datum::inline("done"));
    world.give(Input::Answer { step, attempt: 1, outcome, usage });
    assert_eq!(world.run.usage.tokens(), u64::MAX);
    let mut sum = usage;
    sum += Usage { completion_tokens: u64::MAX, ..usage };
    assert_eq!(sum, Usage { completion_tokens: u64::MAX, ..usage });
    assert!(matches!(
        world.run.ended.as_ref().map(|e| &e.how),
        Some(Ending::Failed(error)) if error.code == "budget_exceeded"
    ));
}

#[test]
fn reservations_that_were_recorded_do_not_wrap() {
    let mut world = World::start(
        json!({"name": "w", "nodes": [
            {"id": "x", "type": "agent", "config": {"agent": "a", "prompt": "p"}},
            {"id": "y", "type": "agent", "config": {"agent": "a", "prompt": "p"}},
            {"id": "z", "type": "agent", "config": {"agent": "a", "prompt": "p"}},
        ]}),
        json!({}),
    );
    let before = world.run.reserved;
    for op in ["a", "b"] {
        let what = What::BudgetReserved {
            step: StepKey::new(1, "x", ""),
            attempt: 1,
            reserved: Reserved { calls: u64::MAX, tokens: u64::MAX, cost: 0 },
            op: op.into(),
        };
        world.run.apply(&Event { at: Timestamp(1), what });
    }
    assert_eq!(world.run.reserved, Reserved { calls: u64::MAX, tokens: u64::MAX, cost: 0 });
    let what = What::BudgetReserved {
        step: StepKey::new(1, "y", ""),
        attempt: 1,
        reserved: Reserved { calls: u64::MAX, tokens: u64::MAX, cost: 0 },
        op: "c".into(),
    };
    world.run.apply(&Event { at: Timestamp(1), what });
    // Nor do they when they are given back one after the other.
    for node in ["x", "y"] {
        let (step, outcome) = (StepKey::new(1, node, ""), Outcome::Done(Datum::inline("done")));
        let input = Input::Answer { step, attempt: 1, outcome, usage: Usage::default() };
        let made = world.run.decide(Timestamp(1), &input, &Values::default()).expect("events");
        made.iter().for_each(|event| world.run.apply(event));
    }
    assert_eq!(world.run.reserved, before);
}

#[test]
fn a_decision_stops_after_so_much_data() {
    let node = |n: usize| {
        json!({"id": format!("n{n}"), "type": "transform", "config": {"input": "input.items", "rules": [
            {"source": ".", "target": "x", "type": "map", "config": {"value": "'y' * 900"}},
        ]}})
    };
    let edges: Vec<Value> =
        (1..20).map(|n| json!({"source": format!("n{}", n - 1), "target": format!("n{n}")})).collect();
    let definition = json!({"name": "w", "nodes": (0..20).map(node).collect::<Vec<_>>(), "edges": edges});
    let (run, input) = (run_of(&definition), start_of(&definition, json!({"items": [0]})));
    let made = run.decide(Timestamp(1), &input, &Values::default()).expect("events");
    let completed = made.iter().filter(|event| matches!(event.what, What::StepCompleted { .. })).count();
    assert!((1..=6).contains(&completed), "{completed}");
    assert!(matches!(made.last().map(|event| &event.what), Some(What::DecisionCut {})));
}

#[test]
fn so_many_signals_are_kept_and_no_more() {
    let definition = json!({"name": "w", "nodes": [{"id": "x", "type": "agent", "config": {"agent": "a", "prompt": "p"}}]});
    let mut world = World::start(definition, json!({}));
    for n in 0..=256 {
        let signal = Input::Signal { op: world.op(), name: format!("s{}", n % 3), data: Datum::inline(n) };
        let taken = world.try_give(&signal).map(|events| events.len());
        assert_eq!(taken, if n < 256 { Ok(1) } else { Err("too_many_signals".into()) }, "{n}");
    }
}

/// Nodes one after the other, each with as much work as one transform may have.
fn heavy(nodes: usize) -> Value {
    let node = |n: usize| {
        json!({"id": format!("n{n}"), "type": "transform", "config": {"input": "input.items", "rules": [
            {"source": ".", "target": "x", "type": "map", "config": {"value": "range(600) | map('string') | join | length"}},
        ]}})
    };
    let edges: Vec<Value> =
        (1..nodes).map(|n| json!({"source": format!("n{}", n - 1), "target": format!("n{n}")})).collect();
    json!({"name": "w", "nodes": (0..nodes).map(node).collect::<Vec<_>>(), "edges": edges})
}

fn run_of(definition: &Value) -> Run {
    let plan = Plan::compile(read(definition), &Surroundings::default()).expect("a valid definition");
    let mut run = Run::new(&run_id());
    run.attach(Arc::new(plan));
    run
}

fn start_of(definition: &Value, input: Value) -> Input {
    Input::Start {
        op: "start".into(),
        workflow_id: None,
        version: 1,
        plan: Datum::inline(definition.clone()),
        input: Datum::inline(input),
        settings: RunSettings {
            dispatch: 64,
            retention: 60_000,
            max_tokens: Default::default(),
            otherwise: None,
            prices: Default::default(),
        },
        trial: None,
    }
}

#[test]
fn a_decision_stops_after_its_share_of_work_and_the_next_goes_on() {
    let definition = heavy(8);
    let (mut run, mut input) = (run_of(&definition), start_of(&definition, json!({"items": vec![0; 600]})));
    let (mut decisions, mut done) = (0, 0);
    while run.ended.is_none() {
        let meter = Meter::default();
        let events = run.decide_under(&meter, Timestamp(1), &input, &Values::default()).expect("events");
        let ended = events.iter().filter(|e| matches!(e.what, What::StepCompleted { .. })).count();
        // The one that filled it, and the one that only shows that more would follow.
        assert!(meter.used() < 6_000_000 && ended < 4, "{} units, {ended} steps", meter.used());
        assert!(!events.is_empty(), "each goes on");
        done += ended;
        events.iter().for_each(|event| run.apply(event));
        (input, decisions) = (Input::Tick, decisions + 1);
    }
    assert_eq!((run.status(), done), (Status::Completed, 8));
    assert!(decisions > 3, "{decisions} decisions");
}

#[test]
fn turning_items_into_values_of_the_language_is_paid() {
    let rules: Vec<Value> = (0..5_000)
        .map(|n| json!({"source": ".", "target": format!("t{n}"), "type": "map", "config": {"value": "1"}}))
        .collect();
    let definition = json!({"name": "w", "nodes": [
        {"id": "x", "type": "transform", "config": {"input": "input.rows", "rules": rules}},
    ]});
    let (run, rows) = (run_of(&definition), vec![vec![0; 95_000]; 2]);
    let start = Instant::now();
    let made = run.decide(Timestamp(1), &start_of(&definition, json!({ "rows": rows })), &Values::default());
    let made = made.expect("events");
    assert!(
        made.iter()
            .any(|e| matches!(&e.what, What::StepFailed { error, .. } if error.code == "transform_error")),
        "{:?}",
        made.last()
    );
    assert!(start.elapsed() < Duration::from_secs(20), "took {:?}", start.elapsed());
}

#[test]
fn results_of_rules_are_bounded_together() {
    let rules: Vec<Value> = (0..200)
        .map(|n| json!({"source": "rows", "target": format!("t{n}"), "type": "map", "config": {"value": "data.text"}}))
        .collect();
    let definition =
        json!({"name": "w", "nodes": [{"id": "x", "type": "transform", "config": {"rules": rules}}]});
    let data = json!({"rows": [1, 2], "text": "x".repeat(1 << 19)});
    let made = run_of(&definition).decide(Timestamp(1), &start_of(&definition, data), &Values::default());
    let made = made.expect("events");
    let failed = made.iter().find_map(|e| match &e.what {
        What::StepFailed { error, .. } => Some(error.message.as_str()),
        _ => None,
    });
    assert!(failed.is_some_and(|m| m.contains("too large together")), "{failed:?}");
}

#[test]
fn what_an_allowance_does_not_cover_says_so_and_is_not_worked_through() {
    let definition = heavy(1);
    let (run, input) = (run_of(&definition), start_of(&definition, json!({"items": vec![0; 200]})));
    let meter = Meter::up_to(50_000);
    let _ = run.decide_under(&meter, Timestamp(1), &input, &Values::default());
    assert!(meter.is_over() && meter.used() < 250_000, "{} units", meter.used());
    let light =
        json!({"name": "w", "nodes": [{"id": "x", "type": "condition", "config": {"if": "input.n > 1"}}]});
    let (run, input) = (run_of(&light), start_of(&light, json!({"n": 2})));
    let (small, large) = (Meter::up_to(50_000), Meter::default());
    let made = run.decide_under(&small, Timestamp(1), &input, &Values::default());
    assert!(!small.is_over() && small.used() > 0);
    assert_eq!(made, run.decide_under(&large, Timestamp(1), &input, &Values::default()));
}

#[test]
fn an_eased_decision_still_goes_on_by_one_event_and_a_stopped_evaluation_fails() {
    let definition = heavy(3);
    let (run, input) = (run_of(&definition), start_of(&definition, json!({"items": [0]})));
    let brake = Brake::default();
    brake.ease();
    let made = run.decide_under(&Meter::new(Some(&brake)), Timestamp(1), &input, &Values::default());
    let made = made.expect("events");
    assert!(matches!(made.last().map(|e| &e.what), Some(What::DecisionCut {})), "{made:?}");
    brake.stop();
    let mut run = run;
    made.iter().for_each(|event| run.apply(event));
    let made = run.decide_under(&Meter::new(Some(&brake)), Timestamp(1), &Input::Tick, &Values::default());
    let made = made.expect("events");
    assert!(matches!(made.last().map(|e| &e.what), Some(What::DecisionCut {})), "cut before it: {made:?}");
}

#[test]
fn work_is_not_done_again_for_each_value_that_is_missing() {
    let definition = heavy(8);
    let stored = |n: usize| crate::ValueRef { key: format!("1.{n}"), hash: Default::default(), size: 1 };
    let (mut run, mut input) = (run_of(&definition), start_of(&definition, json!({})));
    if let Input::Start { input, .. } = &mut input {
        *input = Datum::Stored(stored(0));
    }
    let mut values = Values::default();
    let (mut rounds, mut work) = (0, 0);
    while run.ended.is_none() {
        let meter = Meter::default();
        let made = run.decide_under(&meter, Timestamp(1), &input, &values);
        (rounds, work) = (rounds + 1, work + meter.used());
        match made {
            Ok(events) => {
                for (n, mut event) in events.into_iter().enumerate() {
                    // As the shell does it, every output goes out under a key of its own.
                    if let What::StepCompleted { output, .. } = &mut event.what
                        && let Datum::Inline(_) = output
                    {
                        *output = Datum::Stored(stored(rounds * 100 + n));
                    }
                    run.apply(&event);
                }
                input = Input::Tick;
            }
            Err(Stop::Missing(missing)) => {
                for r in missing.0 {
                    values.insert(r.key, Arc::new(json!({"items": vec![0; 200]})));
                }
            }
            Err(Stop::Refused(refusal)) => panic!("{refusal:?}"),
        }
    }
    assert!(work < 40_000_000, "{work} units in {rounds} rounds");
}

#[test]
fn an_output_or_input_that_no_value_can_hold_fails_with_its_size() {
    let limit = crate::value::VALUE_LIMIT;
    let worker = json!({"id": "w", "type": "agent", "config": {"agent": "a", "prompt": "p"}});
    let ask = json!({"name": "w", "nodes": [worker]});
    for (bytes, fits) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let mut w = World::start(ask.clone(), json!({}));
        w.answer("w", "", json!("x".repeat(bytes - 2)));
        let failed = w.events.iter().find_map(|event| match &event.what {
            What::StepFailed { error, .. } => Some((error.code.as_str(), error.message.as_str())),
            _ => None,
        });
        let expected =
            ("value_too_large", "output: it has 16777217 bytes as JSON, more than 16777216 (16 MiB)");
        assert_eq!(failed, (!fits).then_some(expected));
        assert_eq!(w.run.usage.calls, 1, "it is paid for either way");

        // The input of an agent has its name beside the prompt: `{"agent":"a","prompt":""}` are 25 bytes.
        let ask = json!({"name": "w", "nodes": [{"id": "w", "type": "agent", "config": {"agent": "a", "prompt": "{{ input.t }}"}}]});
        let w = World::start(ask, json!({"t": "x".repeat(bytes - 25)}));
        assert_eq!(w.run.open.len(), usize::from(fits), "{bytes}");
        // The output of the run itself.
        let out = json!({"name": "w", "nodes": [{"id": "go", "type": "condition", "config": {"if": "true"}}], "output": ["{{ input.t }}"]});
        let w = World::start(out, json!({"t": "x".repeat(bytes - 4)}));
        let ended = w.events.iter().find_map(|event| match &event.what {
            What::RunCompleted { .. } => Some("completed".to_owned()),
            What::RunFailed { error } => Some(error.message.clone()),
            _ => None,
        });
        let expected =
            if fits { "completed" } else { "output: the result has 16777217 bytes, more than 16777216" };
        assert_eq!(ended.as_deref(), Some(expected));
    }
}
