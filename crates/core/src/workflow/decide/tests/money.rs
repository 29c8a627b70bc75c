//! Budgets of money: what is set aside at the highest price, and what is paid.

use super::*;

fn fan(n: usize, budget: Value) -> Value {
    let nodes: Vec<Value> = (0..n).map(|n| agent(&format!("n{n}"), "x")).collect();
    json!({"name": "fan", "nodes": nodes, "settings": {"budget": budget}})
}

/// One unit a token of an answer, and nothing for the prompt: an answer of the agent `a` has at most 100.
fn prices() -> BTreeMap<String, Price> {
    [("a".to_owned(), Price { input: 0, output: 1_000_000, cached: 0 })].into()
}

fn priced(definition: Value) -> World {
    World::begun(definition, json!({"topic": "x"}), None, prices())
}

fn paid(w: &mut World, node: &str, cost: u64) {
    let step = StepKey::new(w.run.generation(), node, "");
    let attempt = w.run.steps[&step].attempt;
    let usage = Usage { calls: 1, completion_tokens: cost, priced: 1, cost, ..Usage::default() };
    w.give(Input::Answer { step, attempt, outcome: Outcome::Done(Datum::null()), usage });
}

#[test]
fn what_is_set_aside_never_passes_a_budget_of_money_under_fan_out() {
    let mut w = priced(fan(10, json!({"cost": 350, "on_breach": "wrap_up"})));
    assert_eq!(w.run.reserved, Reserved { calls: 3, tokens: 0, cost: 300 });
    assert_eq!(w.pending().len(), 3);
    for n in 0..3 {
        paid(&mut w, &format!("n{n}"), 60);
    }
    assert_eq!((w.run.status(), w.run.usage.cost), (Status::Completed, 180));
    assert_eq!(w.run.reserved, Reserved::default());
}

#[test]
fn a_run_that_has_spent_its_money_fails_and_has_all_of_it_again_when_it_is_rerun() {
    let mut chain = chain();
    chain["settings"] = json!({"budget": {"cost": 199}});
    let mut w = priced(chain);
    paid(&mut w, "one", 100);
    assert_eq!(w.error(), "budget_exceeded");
    let Some(Ending::Failed(error)) = w.run.ended.as_ref().map(|ended| &ended.how) else { panic!("failed") };
    assert_eq!(error.message, "the run's budget of cost does not allow more");
    w.give(Input::Rerun { op: "again".into(), from: "one".into(), input: None });
    assert_eq!((w.run.status(), w.run.reserved.cost), (Status::Running, 100));
}

#[test]
fn without_a_budget_of_money_none_is_set_aside() {
    let mut w = priced(fan(1, json!({"calls": 5})));
    assert_eq!(w.run.reserved, Reserved { calls: 1, tokens: 0, cost: 0 });
    let reserve = Input::Reserve {
        op: "r1/1/n0//1/2".into(),
        step: StepKey::new(1, "n0", ""),
        attempt: 1,
        reserved: Reserved { calls: 1, tokens: 0, cost: 70 },
    };
    assert_eq!(w.give(reserve).len(), 1);
    assert_eq!(w.run.reserved, Reserved { calls: 2, tokens: 0, cost: 0 });
}

#[test]
fn a_looping_agent_is_granted_what_is_left_and_no_more() {
    let mut w = priced(fan(1, json!({"cost": 250})));
    let reserve = |round: u32, cost: u64| Input::Reserve {
        op: OperationId::new(format!("r1/1/n0//1/{round}")),
        step: StepKey::new(1, "n0", ""),
        attempt: 1,
        reserved: Reserved { calls: 1, tokens: 0, cost },
    };
    assert_eq!(w.give(reserve(2, 150)).len(), 1);
    assert_eq!(w.run.reserved.cost, 250);
    assert_eq!(w.give(reserve(3, 1)), [], "more than is left");
    assert_eq!(w.try_give(&reserve(4, Usage::LIMIT + 1)), Err("not_asked".into()), "more than anybody pays");
}

#[test]
fn a_budget_of_nothing_is_a_mistake() {
    let definition: Definition = serde_json::from_value(fan(1, json!({"cost": 0}))).expect("readable");
    let problems = Plan::compile(definition, &Surroundings::default()).expect_err("a mistake");
    assert!(
        problems.iter().any(|p| p.path == "settings.budget.cost" && p.code == "out_of_range"),
        "{problems:?}"
    );
}
