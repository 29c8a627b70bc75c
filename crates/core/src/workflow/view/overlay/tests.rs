//! Overlays as folded from events, and from runs of the machine.

use super::*;
use crate::{
    Datum, Machine, Values,
    id::{OperationId, RunId},
    workflow::{Definition, Input, Outcome, Plan, Run, event::RunSettings, plan::Surroundings},
};
use serde_json::json;

/// A run of the machine whose agents answer at once.
struct World {
    run: Run,
    definition: Value,
    events: Vec<Event>,
    now: i64,
}

impl World {
    fn start(definition: Value) -> Self {
        let parsed: Definition = serde_json::from_value(definition.clone()).expect("a readable definition");
        let around = Surroundings { agents: ["a".to_owned()].into(), ..Surroundings::default() };
        let mut run = Run::new(&"r".parse::<RunId>().expect("an id"));
        run.attach(Arc::new(Plan::compile(parsed, &around).expect("a valid definition")));
        let mut world = Self { run, definition: definition.clone(), events: Vec::new(), now: 1000 };
        let settings = RunSettings {
            dispatch: 64,
            retention: 60_000,
            max_tokens: BTreeMap::new(),
            otherwise: None,
            prices: BTreeMap::new(),
        };
        world.give(Input::Start {
            op: OperationId::new("start").into(),
            workflow_id: None,
            version: 1,
            plan: Datum::inline(definition),
            input: Datum::inline(json!({})),
            settings,
            trial: None,
        });
        world
    }

    fn give(&mut self, input: Input) {
        self.now += 10;
        let made = self.run.decide(Timestamp(self.now), &input, &Values::default()).expect("events");
        for event in &made {
            self.run.apply(event);
        }
        self.events.extend(made);
    }

    fn answer(&mut self, node: &str, iteration: &str) {
        let step = StepKey::new(self.run.generation(), node, iteration);
        let usage =
            Usage { calls: 1, prompt_tokens: 3, completion_tokens: 4, estimated: false, ..Usage::default() };
        self.give(Input::Answer { step, attempt: 1, outcome: Outcome::Done(Datum::inline("x")), usage });
    }

    fn rerun(&mut self, from: &str) {
        let op = OperationId::new(format!("rerun {}", self.now)).into();
        self.give(Input::Rerun { op, from: from.into(), input: None });
    }

    fn overlay(&self, generation: Option<u32>) -> Value {
        let mut overlay = Overlay::new(generation);
        overlay.of(&self.definition);
        for event in self.events.iter() {
            if !overlay.is_settled() {
                overlay.apply(event);
            }
        }
        serde_json::to_value(overlay.view(self.events.len() as u64)).expect("JSON")
    }
}

fn agent(id: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "a", "prompt": "p"}})
}

/// The fields of each node of an overlay.
fn nodes(overlay: &Value, fields: &[&str]) -> Value {
    let node = |node: &Value| fields.iter().map(|field| node[*field].clone()).collect::<Value>();
    overlay["nodes"].as_array().expect("nodes").iter().map(node).collect()
}

fn edges(overlay: &Value) -> Vec<String> {
    let text = |edge: &Value| {
        let branch = edge["branch"].as_str().map(|name| format!(" by {name}")).unwrap_or_default();
        let [source, target] = ["source", "target"].map(|end| edge[end].as_str().expect("a node").to_owned());
        format!("{source} to {target}{branch}: {}", edge["taken"])
    };
    overlay["edges"].as_array().expect("edges").iter().map(text).collect()
}

#[test]
fn a_node_has_its_times_its_usage_and_the_edges_it_took() {
    let mut w = World::start(json!({"name": "x", "nodes": [
        agent("a"), {"id": "if", "type": "condition", "config": {"if": "true"}}, agent("yes"), agent("no")],
        "edges": [{"source": "a", "target": "if"}, {"source": "if", "target": "yes", "config": {"branch": "true"}},
            {"source": "if", "target": "no", "config": {"branch": "false"}}]}));
    w.answer("a", "");
    let seen = w.overlay(None);
    assert_eq!(
        nodes(&seen, &["node", "status", "attempt", "ms"]),
        json!([
            ["a", "completed", 1, 10],
            ["if", "completed", 1, 0],
            ["no", "skipped", 1, 0],
            ["yes", "running", 1, 0]
        ])
    );
    let usage =
        json!({"calls": 1, "prompt_tokens": 3, "completion_tokens": 4, "cost": null, "unpriced_calls": 1});
    assert_eq!(seen["nodes"][0]["usage"], usage);
    assert_eq!(
        (&seen["nodes"][0]["started_at"], &seen["nodes"][0]["ended_at"]),
        (&json!("1970-01-01T00:00:01.010Z"), &json!("1970-01-01T00:00:01.020Z"))
    );
    assert_eq!((&seen["nodes"][3]["ended_at"], &seen["nodes"][0].get("counts")), (&Value::Null, &None));
    assert_eq!(edges(&seen), ["a to if: 1", "if to yes by true: 1"]);
    assert_eq!((&seen["seq"], &seen["generation"]), (&json!(w.events.len()), &json!(1)));
}

#[test]
fn nodes_of_a_body_are_counted_by_status() {
    let body = json!({"nodes": [agent("b"), agent("c")], "edges": [{"source": "b", "target": "c"}]});
    let mut w = World::start(json!({"name": "x", "nodes": [
        {"id": "each", "type": "for_each", "config": {"items": "[1, 2, 3]", "parallel": 2, "body": body}}]}));
    w.answer("b", "0");
    w.answer("c", "0");
    w.answer("b", "1");
    let seen = w.overlay(None);
    assert_eq!(
        nodes(&seen, &["node", "status", "counts", "iterations", "ms"]),
        json!([["b", "running", {"completed": 2, "running": 1}, null, 40],
            ["c", "running", {"completed": 1, "running": 1}, null, 10],
            ["each", "running", null, {"begun": 3, "ended": 1}, 0]])
    );
    assert_eq!(edges(&seen), ["b to c: 2"]);
    let op = OperationId::new("cancel").into();
    w.give(Input::Cancel { op });
    assert_eq!(
        nodes(&w.overlay(None), &["node", "status", "counts"]),
        json!([["b", "completed", {"completed": 2, "cancelled": 1}], ["c", "completed", {"completed": 1, "cancelled": 1}],
            ["each", "cancelled", null]])
    );
}

#[test]
fn each_generation_is_shown_with_what_it_kept() {
    let body = json!({"nodes": [agent("in")]});
    let mut w = World::start(json!({"name": "x", "nodes": [
        {"id": "each", "type": "for_each", "config": {"items": "[1]", "body": body}}, agent("b"), agent("c")],
        "edges": [{"source": "each", "target": "b"}, {"source": "b", "target": "c"}]}));
    w.answer("in", "0");
    w.answer("b", "");
    w.answer("c", "");
    w.rerun("b");
    let fields = ["node", "generation", "status"];
    assert_eq!(
        nodes(&w.overlay(None), &fields),
        json!([["b", 2, "running"], ["each", 1, "completed"], ["in", 1, "completed"]])
    );
    assert_eq!(edges(&w.overlay(None)), ["each to b: 1"]);
    let first = w.overlay(Some(1));
    assert_eq!(
        nodes(&first, &fields),
        json!([
            ["b", 1, "completed"],
            ["c", 1, "completed"],
            ["each", 1, "completed"],
            ["in", 1, "completed"]
        ])
    );
    assert_eq!(
        (edges(&first), &first["generation"]),
        (vec!["each to b: 1".into(), "b to c: 1".into()], &json!(1))
    );
    w.answer("b", "");
    w.answer("c", "");
    w.rerun("each");
    assert_eq!(nodes(&w.overlay(None), &fields), json!([["each", 3, "running"], ["in", 3, "running"]]));
}

#[test]
fn the_edges_of_a_disabled_node_are_taken_where_it_was_reached() {
    let off = |id: &str, join: &str| {
        let mut node = agent(id);
        (node["disabled"], node["join"]) = (true.into(), join.into());
        node
    };
    for join in ["all", "any", "settle"] {
        let mut w = World::start(json!({"name": "x", "nodes": [
            {"id": "if", "type": "condition", "config": {"if": "true"}}, off("b", join), off("c", join), agent("d")],
            "edges": [{"source": "if", "target": "b", "config": {"branch": "true"}},
                {"source": "if", "target": "c", "config": {"branch": "false"}},
                {"source": "b", "target": "d"}, {"source": "c", "target": "d"}]}));
        let taken = match join {
            // It also starts where its parent ended by another branch.
            "settle" => vec!["if to b by true: 1", "b to d: 1", "c to d: 1"],
            _ => vec!["if to b by true: 1", "b to d: 1"],
        };
        assert_eq!(edges(&w.overlay(None)), taken, "{join}");
        let seen = w.overlay(None);
        assert_eq!(
            (&seen["nodes"][0]["disabled"], &seen["nodes"][0]["status"]),
            (&json!(true), &json!("skipped"))
        );
        w.answer("d", "");
        w.rerun("d");
        assert_eq!(edges(&w.overlay(None)), taken, "{join}, kept");
    }
}
