//! What a definition, a datum or a count can't do to the machine.

use super::*;
use crate::schema;

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
    let around = Surroundings { agents: ["a".to_owned()].into() };
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
    let usage = Usage { calls: u64::MAX, prompt_tokens: u64::MAX, completion_tokens: 7, estimated: false };
    let believed = usage.believed();
    assert_eq!(believed, Usage { calls: 0, prompt_tokens: 0, completion_tokens: 7, estimated: true });
    // What an older version took at its word is counted without wrapping: the budget is used up.
    let outcome = Outcome::Done(Datum::inline("done"));
    world.give(Input::Answer { step, attempt: 1, outcome, usage });
    assert_eq!(world.run.usage.tokens(), u64::MAX);
    assert!(matches!(
        world.run.ended.as_ref().map(|e| &e.how),
        Some(Ending::Failed(error)) if error.code == "budget_exceeded"
    ));
}

#[test]
fn reservations_do_not_wrap() {
    let mut world = World::start(
        json!({"name": "w", "nodes": [{"id": "x", "type": "agent", "config": {"agent": "a", "prompt": "p"}}]}),
        json!({}),
    );
    let step = StepKey::new(1, "x", "");
    for op in ["a", "b"] {
        let reserved = Reserved { calls: u64::MAX, tokens: u64::MAX };
        world.give(Input::Reserve { op: op.into(), step: step.clone(), attempt: 1, reserved });
    }
    assert_eq!(world.run.reserved, Reserved { calls: u64::MAX, tokens: u64::MAX });
}
