//! What is only passed on stays as it is: kinds, digits, the order of keys.

use super::*;
use crate::transform::{self, Rule};
use proptest::prelude::*;
use serde_json::{Number, json};

/// Any value of JSON that can be held.
fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |f| Number::from_f64(f).map(Value::Number)),
        prop::sample::select(vec![
            json!(0),
            json!(-0.0),
            json!(1.0),
            json!(1e15),
            json!(1e16),
            json!(1e300),
            json!(5e-324),
            json!(0.1),
            json!(i64::MIN),
            json!(i64::MAX),
            json!(1u64 << 63),
            json!(u64::MAX),
            json!(9007199254740993u64),
            json!(f64::MAX),
            json!(18446744073709551616.0),
        ]),
    ];
    let text = prop_oneof![
        any::<String>(),
        prop::sample::select(vec![
            "",
            "null",
            "true",
            "1",
            "{{ input }}",
            "{% if %}",
            "{# #}",
            "\u{0}",
            "\u{fdd0}",
            "\u{1f600}",
            "e\u{301}",
            "a\nb",
        ])
        .prop_map(str::to_owned),
    ];
    let key = prop_oneof![
        any::<String>(),
        prop::sample::select(vec!["z", "a", "items", "get", "length", "0", "", "a.b", "loop", "B"])
            .prop_map(str::to_owned),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        text.prop_map(Value::String)
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Ways of a value through the language that do nothing to it.
fn passed(value: &Value) -> Vec<(&'static str, Value)> {
    let context = json!({"input": {"a": value, "list": [value]}, "value": value});
    let map = |expression: &str| {
        let rule = json!([{"source": ".", "target": "out", "type": "map", "config": {"value": expression}}]);
        let rules: Vec<Rule> = serde_json::from_value(rule).expect("rules");
        transform::apply(&rules, &json!([value])).expect("a result")["out"][0].take()
    };
    let rendered = |template: Value| render(&template, &context).expect("a value");
    vec![
        ("{{ value }}", rendered(json!("{{ value }}"))),
        ("{{ input.a }}", rendered(json!("{{ input.a }}"))),
        ("{{ input }}", rendered(json!("{{ input }}"))["a"].take()),
        ("{{ input.list[0] }}", rendered(json!("{{ input.list[0] }}\n"))),
        ("in an object", rendered(json!({"x": ["{{ input.a }}"]}))["x"][0].take()),
        ("item", map("item")),
        ("input.a", evaluate("input.a", &context).expect("a value")),
        ("input.list.0", evaluate(" input.list.0\n", &context).expect("a value")),
        ("as a text and back", rendered(json!("{{ input.a | tojson | fromjson }}"))),
        ("in a list", rendered(json!("{{ [input.a, 1] | first }}"))),
        ("by choice", rendered(json!("{{ input.a if true else 1 }}"))),
    ]
}

#[test]
fn numbers_of_every_size_keep_their_digits() {
    for (text, expected) in [
        ("1.0", "1.0"),
        ("-0.0", "-0.0"),
        ("100", "100"),
        ("1e2", "100.0"),
        ("9223372036854775808", "9223372036854775808"),
        ("18446744073709551615", "18446744073709551615"),
        ("0.1", "0.1"),
        ("5e-324", "5e-324"),
        // Of more than 64 bits a whole number is a float, as JSON is read here.
        ("18446744073709551616", "1.8446744073709552e+19"),
    ] {
        let value: Value = serde_json::from_str(text).expect("JSON");
        for (way, found) in passed(&value) {
            assert_eq!(found.to_string(), expected, "{text} {way}");
        }
        assert_eq!(render_text("<{{ value }}>", &json!({"value": value})), Ok(format!("<{expected}>")));
    }
    assert!(matches!(evaluate("'1e400' | fromjson", &json!({})), Err(Error::Evaluation(_))));
}

#[test]
fn keys_keep_their_order() {
    let value: Value =
        serde_json::from_str(r#"{"z": 1, "a": {"y": 2, "b": 3}, "10": 4, "9": 5}"#).expect("JSON");
    for (way, found) in passed(&value) {
        assert_eq!(found.to_string(), r#"{"z":1,"a":{"y":2,"b":3},"10":4,"9":5}"#, "{way}");
    }
    for (source, expected) in [
        ("value | list", r#"["z","a","10","9"]"#),
        ("value | items | map('first') | list", r#"["z","a","10","9"]"#),
        ("{'b': 1, 'a': 2}", r#"{"b":1,"a":2}"#),
        ("dict(b=1, a=2)", r#"{"b":1,"a":2}"#),
        ("{'b': 1} | chain({'a': 2})", r#"{"b":1,"a":2}"#),
    ] {
        let found = evaluate(source, &json!({"value": value})).map(|v| v.to_string());
        assert_eq!(found, Ok(expected.to_owned()), "{source}");
    }
    let template = "{% for k in value %}{{ k }} {% endfor %}{{ value }}";
    let text = render_text(template, &json!({"value": value}));
    assert_eq!(text, Ok(r#"z a 10 9 {"z":1,"a":{"y":2,"b":3},"10":4,"9":5}"#.to_owned()));
}

#[test]
fn a_path_alone_passes_on_what_is_larger_than_a_result() {
    let items: Vec<Value> = (0..8_000).map(|n| json!({"n": n, "text": "x".repeat(300)})).collect();
    let context = json!({"steps": {"get": {"output": {"body": items, "word": "tea"}}}});
    let found = evaluate("steps.get.output.body", &context);
    assert!(found.is_ok_and(|found| found == context["steps"]["get"]["output"]["body"]));
    assert!(matches!(evaluate("steps.get.output.body | list", &context), Err(Error::Limit(_))));
    let many = json!({"input": vec![0; 100_001]});
    assert!(matches!(evaluate("input", &many), Err(Error::Limit(_))));
    for (source, expected) in [
        ("steps.get.output.body.7.n", json!(7)),
        ("steps.get.output.word.0", json!("t")),
        ("steps.get.output.word.7 is defined", json!(false)),
    ] {
        let small = json!({"steps": {"get": {"output": {"body": &items[..8], "word": "tea"}}}});
        assert_eq!(evaluate(source, &small), Ok(expected), "{source}");
    }
    for source in ["steps.get.output.nope", "steps.get.output.word.x.y", "steps.x.output"] {
        assert_eq!(evaluate(source, &context), Err(Error::Evaluation(format!("{source} is undefined"))));
    }
}

#[test]
fn what_can_not_be_held_is_an_error() {
    let deep = (0..80).fold(json!(1), |inner, _| json!([inner]));
    assert!(matches!(render(&json!("{{ v }}"), &json!({"v": deep})), Err(Error::Limit(_))));
    let twice = evaluate("{1: 'a', '1': 'b'}", &json!({}));
    assert_eq!(twice, Err(Error::Evaluation("an object has the key `1` twice".into())));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_goes_through_comes_out_as_it_was(value in value()) {
        for (way, found) in passed(&value) {
            prop_assert_eq!(found.to_string(), value.to_string(), "{}", way);
        }
    }
}
