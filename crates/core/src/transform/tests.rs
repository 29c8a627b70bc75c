//! Map, filter, reduce.

use super::*;
use serde_json::json;

fn run(rules: Value, data: Value) -> Result<Value, String> {
    let rules: Vec<Rule> = serde_json::from_value(rules).expect("rules");
    apply(&rules, &data).map_err(|e| e.to_string())
}

fn rule(source: &str, target: &str, kind: &str, config: Value) -> Value {
    json!({"source": source, "target": target, "type": kind, "config": config})
}

#[test]
fn the_rules_of_the_design_filter_map_and_reduce() {
    let rules = json!([
        rule("lines", "long", "filter", json!({"if": "item | length > 10"})),
        rule("long", "names", "map", json!({"value": "item | upper"})),
        rule("names", "n", "reduce", json!({"initial": 0, "value": "acc + 1"})),
    ]);
    let data = json!({"lines": ["short", "long enough to stay", "another long one"]});
    assert_eq!(
        run(rules, data),
        Ok(json!({
            "long": ["long enough to stay", "another long one"],
            "names": ["LONG ENOUGH TO STAY", "ANOTHER LONG ONE"],
            "n": 2,
        }))
    );
}

#[test]
fn a_source_is_the_data_or_a_path_into_targets_first_and_data_second() {
    let rules = json!([
        rule(".", "twice", "map", json!({"value": "item * 2"})),
        rule("twice", "sum", "reduce", json!({"initial": {"n": 0}, "value": "{'n': acc.n + item}"})),
    ]);
    assert_eq!(run(rules, json!([1, 2])), Ok(json!({"twice": [2, 4], "sum": {"n": 6}})));
    let rules = json!([
        rule("a.0.list", "a", "map", json!({"value": "[item, index, data.k]"})),
        rule("a.1", "b", "map", json!({"value": "item"})),
    ]);
    assert_eq!(
        run(rules, json!({"a": [{"list": ["x", "y"]}], "k": true})),
        Ok(json!({"a": [["x", 0, true], ["y", 1, true]], "b": ["y", 1, true]}))
    );
}

#[test]
fn no_rules_give_an_empty_object_and_an_empty_list_gives_its_start() {
    assert_eq!(run(json!([]), json!(3)), Ok(json!({})));
    let rules = json!([rule(".", "n", "reduce", json!({"initial": 7, "value": "acc + item"}))]);
    assert_eq!(run(rules, json!([])), Ok(json!({"n": 7})));
}

#[test]
fn what_fails_names_the_rule_and_the_path() {
    let map = |source: &str, value: &str| rule(source, "t", "map", json!({"value": value}));
    let data = json!({"list": [1, 2], "text": "x", "deep": {"n": null}});
    for (rules, expected) in [
        (json!([map("list", "item"), map("nope.x", "item")]), "rule 2: there is nothing at `nope.x`"),
        (json!([map("text", "item")]), "rule 1: `text` is a text, not a list"),
        (json!([map("deep.n", "item")]), "rule 1: `deep.n` is null, not a list"),
        (json!([map(".", "item")]), "rule 1: `.` is an object, not a list"),
        (json!([map("list", "item / (2 - item)")]), "rule 1, item 1: unable to calculate 2 / 0"),
        (json!([map("list", "item.a")]), "rule 1, item 0: item.a is undefined"),
        (json!([map("list", "acc")]), "rule 1, item 0: acc is undefined"),
        (json!([map("list", "item +")]), "rule 1: unexpected end of input, expected expression"),
    ] {
        assert_eq!(run(rules, data.clone()), Err(expected.to_owned()));
    }
}

#[test]
fn a_rule_refuses_what_it_does_not_know() {
    for wrong in [
        json!({"source": "a", "target": "b", "type": "flat", "config": {}}),
        json!({"source": "a", "target": "b", "type": "map", "config": {"value": "item", "more": 1}}),
        json!({"source": "a", "target": "b", "type": "map", "config": {"value": "item"}, "more": 1}),
        json!({"source": "a", "target": "b", "type": "reduce", "config": {"value": "item"}}),
        json!({"source": "a", "target": "b"}),
    ] {
        assert!(serde_json::from_value::<Rule>(wrong.clone()).is_err(), "{wrong}");
    }
    let rule = rule("a", "b", "filter", json!({"if": "item"}));
    let read: Rule = serde_json::from_value(rule.clone()).expect("a rule");
    assert_eq!(serde_json::to_value(read).expect("json"), rule);
}

#[test]
fn rules_share_their_fuel() {
    let numbers: Vec<u32> = (0..100_000).collect();
    let costly = run(json!([rule(".", "a", "map", json!({"value": "range(1000) | sum"}))]), json!(numbers));
    assert!(costly.is_err_and(|e| e.contains("too much work")));
    let growing = json!({"initial": [], "value": "acc + [item]"});
    assert!(run(json!([rule(".", "a", "reduce", growing.clone())]), json!(numbers)).is_err());
    assert!(run(json!([rule(".", "a", "reduce", growing)]), json!(numbers[..100].to_vec())).is_ok());
    let deep = json!({"initial": 0, "value": "[acc]"});
    let result = run(json!([rule(".", "a", "reduce", deep)]), json!(numbers));
    assert_eq!(result, Err("rule 1, item 64: a value is nested deeper than 64 levels".to_owned()));
    let double = json!({"initial": "x", "value": "acc ~ acc"});
    assert!(run(json!([rule(".", "a", "reduce", double)]), json!(numbers)).is_err());
}

#[test]
fn a_long_list_is_mapped_soon() {
    let numbers: Vec<u32> = (0..20_000).collect();
    let start = std::time::Instant::now();
    let result =
        run(json!([rule(".", "a", "map", json!({"value": "item + 1"}))]), json!(numbers)).expect("a result");
    assert_eq!(result["a"][19_999], 20_000);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn each_evaluation_pays_for_itself_its_source_and_what_it_carries() {
    let used = |rules: Value, data: Value| {
        let rules: Vec<Rule> = serde_json::from_value(rules).expect("rules");
        let meter = Meter::default();
        apply_under(&meter, &rules, &data).expect("targets");
        meter.used()
    };
    let map = |source: &str, value: &str| json!([rule(source, "a", "map", json!({"value": value}))]);
    assert!(used(map(".", "1"), json!(vec![0; 10_000])) >= 10 * 10_000);
    let (short, long) = ("1".to_owned(), format!("1{}", " ".repeat(4_000)));
    let more = used(map(".", &long), json!(vec![0; 100])) - used(map(".", &short), json!(vec![0; 100]));
    assert!(more >= 100 * (4_000 - 64) / 4, "{more}");
    assert!(used(map("few", "1"), json!({"few": [0], "many": vec![0; 40_000]})) >= 40_000 / 4);
    // What a reduction carries goes in and out for each item.
    let carry = json!([rule(".", "a", "reduce", json!({"initial": "x".repeat(160_000), "value": "acc"}))]);
    let result = run(carry, json!(vec![0; 500]));
    assert!(result.is_err_and(|e| e.contains("too much work")));
}
