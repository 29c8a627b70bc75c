//! Schemas, and values under them, that would take all time, memory or stack.

use super::*;
use crate::workflow::Definition;
use std::time::{Duration, Instant};

/// `a0` … `an`, each made of the next by `link`.
fn chain(n: usize, link: impl Fn(Value) -> Value) -> Value {
    let mut parts: serde_json::Map<String, Value> =
        (0..n).map(|i| (format!("a{i}"), link(json!({"$ref": format!("#/$defs/a{}", i + 1)})))).collect();
    parts.insert(format!("a{n}"), json!({"type": "integer"}));
    json!({"$defs": parts, "$ref": "#/$defs/a0"})
}

/// Runs `f` on a thread like a server's, and returns what it took.
fn timed<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> (T, Duration) {
    let work = move || {
        let start = Instant::now();
        (f(), start.elapsed())
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).expect("a thread").join().expect("no panic")
}

fn is_costly<T>(found: &Result<T, Vec<Problem>>) -> bool {
    found.as_ref().err().is_some_and(|problems| is_too_costly(problems))
}

#[test]
fn schemas_that_apply_their_parts_too_often_are_refused() {
    let twice = |part: Value| [part.clone(), part];
    let lattices: Vec<(&str, Value)> = vec![
        ("allOf", chain(26, |next| json!({"allOf": twice(next)}))),
        ("anyOf", chain(40, |next| json!({"anyOf": twice(next)}))),
        ("oneOf", chain(60, |next| json!({"oneOf": twice(next)}))),
        ("if", chain(26, |next| json!({"if": next, "then": next, "else": next}))),
        ("not", chain(26, |next| json!({"not": next, "allOf": [next]}))),
        ("dependentSchemas", chain(26, |next| json!({"dependentSchemas": {"a": next, "b": next}}))),
        ("beside $ref", chain(26, |next| json!({"$ref": next["$ref"], "allOf": [next]}))),
        (
            "unevaluated",
            chain(16, |next| json!({"anyOf": [next], "unevaluatedProperties": {"type": "integer"}})),
        ),
        ("unevaluatedItems", chain(16, |next| json!({"anyOf": [next], "unevaluatedItems": false}))),
        ("a long way", chain(400, |next| next)),
        ("a long way down", chain(3000, |next| json!({"allOf": [next]}))),
        ("a circle", json!({"$ref": "#"})),
        (
            "a wider circle",
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}),
        ),
        ("anchors", json!({"$defs": {"a": {"$anchor": "x", "allOf": [{"$ref": "#x"}]}}, "$ref": "#x"})),
        (
            "ids",
            json!({
                "$id": "https://example.com/root",
                "$defs": {"a": {"$id": "inner", "allOf": [{"$ref": "https://example.com/root"}]}},
                "$ref": "inner",
            }),
        ),
        ("dynamic", json!({"$dynamicAnchor": "x", "allOf": [{"$dynamicRef": "#x"}]})),
        (
            "dynamic, to a part of another document",
            json!({
                "$id": "https://example.com/root",
                "$dynamicAnchor": "x",
                "$ref": "inner",
                "$defs": {"inner": {
                    "$id": "inner",
                    "allOf": [{"$dynamicRef": "#x"}],
                    "$defs": {"near": {"$dynamicAnchor": "x", "type": "object"}},
                }},
            }),
        ),
        (
            "recursive, to a part of another document",
            json!({
                "$schema": "https://json-schema.org/draft/2019-09/schema",
                "$id": "https://example.com/root",
                "$recursiveAnchor": true,
                "$ref": "inner",
                "$defs": {"inner": {
                    "$id": "inner",
                    "$recursiveAnchor": true,
                    "properties": {"x": {"$id": "near", "$recursiveAnchor": true, "type": "object"}},
                    "allOf": [{"$recursiveRef": "#"}],
                }},
            }),
        ),
        ("a long way behind one that was measured", {
            let mut long = chain(400, |next| next);
            let parts = long["$defs"].take();
            json!({"$defs": parts, "properties": {"a": {"$ref": "#/$defs/a200"}, "b": {"$ref": "#/$defs/a0"}}})
        }),
        ("more parts than are laid out", json!({"prefixItems": vec![true; 50_001]})),
        (
            "patterns",
            json!({"patternProperties": (0..600).map(|n| (format!("a{n}"), json!(true))).collect::<serde_json::Map<_, _>>()}),
        ),
        (
            "large patterns",
            json!({"allOf": (0..40).map(|n| json!({"pattern": format!("\\p{{L}}{{9}}{n}")})).collect::<Vec<_>>()}),
        ),
    ];
    for (name, schema) in lattices {
        let (found, took) = timed(move || Validator::new(&schema));
        assert!(is_costly(&found), "{name}: {found:?}");
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
    }
}

#[test]
fn a_schema_is_bounded_before_it_is_looked_at() {
    let found = |schema: Value| Validator::new(&schema).expect_err("refused");
    assert_eq!(found(json!({"description": "x".repeat(256 << 10)}))[0].code, "invalid_schema");
    // Few places, and each of them a large one.
    assert_eq!(found(json!({"pattern": "\\p{L}{100}"}))[0].code, "invalid_schema");
    let wrong: serde_json::Map<String, Value> =
        (0..200).map(|n| (format!("p{n}"), json!({"type": 1}))).collect();
    assert_eq!(found(json!({"properties": wrong})).len(), PROBLEMS);
    let circle = json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"allOf": [{"$ref": "#/$defs/a"}]}}});
    assert!(found(circle)[0].message.contains("leads back to where it began"));
}

#[test]
fn a_schema_of_draft_7_is_measured_as_well() {
    let mut schema = chain(26, |next| json!({"allOf": [next, next]}));
    let parts = schema["$defs"].take();
    let text = json!({"$schema": "http://json-schema.org/draft-07/schema#", "definitions": parts, "allOf": [{"$ref": "#/definitions/a0"}]});
    let text = text.to_string().replace("$defs", "definitions");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    assert!(is_costly(&Validator::new(&schema)));
}

#[test]
fn what_people_write_is_not_refused() {
    let node = json!({"$ref": "#/$defs/node"});
    let schema = json!({
        "$defs": {"node": {"oneOf": [
            {"type": "number"},
            {"type": "object", "properties": {"op": {"const": "neg"}, "of": node}, "required": ["op", "of"]},
            {"type": "object", "properties": {"op": {"enum": ["add", "mul"]}, "left": node, "right": node},
             "required": ["op", "left", "right"], "additionalProperties": false},
        ]}},
        "$ref": "#/$defs/node",
    });
    let validator = Validator::new(&schema).expect("a schema");
    let value =
        json!({"op": "add", "left": {"op": "neg", "of": 3}, "right": {"op": "mul", "left": 1, "right": 2}});
    assert_eq!(validator.validate(&value), Ok(()));
    assert!(validator.validate(&json!({"op": "add", "left": {"op": "neg"}, "right": 1})).is_err());

    let row = json!({"type": "object", "properties": {"id": {"type": "integer"}, "mail": {"pattern": "^[^@]+@[a-z.]+$"}}});
    let table =
        Validator::new(&json!({"type": "array", "items": row, "uniqueItems": true})).expect("a schema");
    let mut rows: Vec<Value> =
        (0..20_000).map(|n| json!({"id": n, "mail": format!("u{n}@example.com")})).collect();
    assert_eq!(table.validate(&json!(rows)), Ok(()));
    rows[12_345]["id"] = json!("x");
    let problems = table.validate(&json!(rows)).expect_err("a problem");
    assert_eq!(problems[0].path, "[12345].id");

    for schema in [json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}), Definition::schema()] {
        let validator = Validator::new(&schema).expect("a schema");
        validator.validate(&json!({"name": "x", "nodes": []})).expect("fits");
    }
}

#[test]
fn values_that_take_too_much_work_are_refused() {
    let deep = |n: usize| (0..n).fold(json!(1), |inner, _| json!({"x": inner}));
    let nested = |n: usize| (0..n).fold(json!(1), |inner, _| json!([inner]));
    let whole = json!({"$ref": "#"});
    let names: Vec<String> = (0..5_000).map(|n| format!("n{n}")).collect();
    let large = "[ab]*a[ab]{1000}c";
    let either = json!({"properties": {"x": {"$ref": "#"}}});
    let mut bits = 1u32;
    let noise: String = std::iter::repeat_with(|| {
        bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if bits >> 31 == 1 { 'a' } else { 'b' }
    })
    .take(200_000)
    .collect();
    // Lists of nothing but lists, each another one; the validator's hash does not tell them apart.
    let shapes = |n: usize| -> Vec<Value> {
        let bits = |n: usize| {
            (0..14).fold(
                json!([]),
                |list, bit| if n >> bit & 1 == 1 { json!([list]) } else { json!([list, []]) },
            )
        };
        (0..n).map(bits).collect()
    };
    let cases: Vec<(&str, Value, Value)> = vec![
        ("two ways down at each level", json!({"anyOf": [either, either]}), deep(40)),
        (
            "a lattice over levels",
            chain(30, |next| json!({"anyOf": [{"properties": {"x": next}}, {"properties": {"x": next}}]})),
            deep(30),
        ),
        (
            "a large enum, often",
            json!({"items": {"enum": (0..5_000).collect::<Vec<_>>()}}),
            json!(vec![-1; 100_000]),
        ),
        (
            "patterns over keys",
            json!({"patternProperties": (0..400).map(|n| (format!("a{n}"), json!(true))).collect::<serde_json::Map<_, _>>()}),
            Value::Object((0..20_000).map(|n| (format!("b{n}"), json!(1))).collect()),
        ),
        ("a pattern of many places", json!({"pattern": large}), json!(noise)),
        (
            "a pattern of many places, over a name",
            json!({"patternProperties": {large: true}}),
            json!({noise.as_str(): 1}),
        ),
        ("the same of the names", json!({"propertyNames": {"pattern": large}}), json!({noise.as_str(): 1})),
        (
            "two ways down by all other names",
            json!({"anyOf": vec![json!({"additionalProperties": whole}); 2]}),
            deep(40),
        ),
        (
            "two ways down by a pattern",
            json!({"anyOf": vec![json!({"patternProperties": {"x": whole}}); 2]}),
            deep(40),
        ),
        (
            "two ways down by the first item",
            json!({"anyOf": vec![json!({"prefixItems": [whole]}); 2]}),
            nested(40),
        ),
        ("what the others left over, at each level", json!({"unevaluatedProperties": whole}), deep(30)),
        ("many required names, often", json!({"items": {"required": names}}), json!(vec![json!({}); 5_000])),
        ("a text read as a pattern", json!({"format": "regex"}), json!("a".repeat(50_000))),
        ("lists that hash alike", json!({"uniqueItems": true}), json!(shapes(8_000))),
        (
            "items looked at twice over",
            json!({"contains": {"items": {"items": true}}, "unevaluatedItems": {"items": {"items": true}}}),
            json!(vec![vec![vec![0; 1000]; 100]; 10]),
        ),
        (
            "JSON in a text",
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "contentMediaType": "application/json"}),
            json!(format!("[{}[]]", "[],".repeat(1_000_000))),
        ),
    ];
    for (name, schema, value) in cases {
        let (found, took) = timed(move || Validator::new(&schema).expect("a schema").validate(&value));
        assert!(is_costly(&found), "{name}: {found:?}");
        assert!(took < Duration::from_secs(10), "{name} took {took:?}");
    }
}

#[test]
fn a_value_that_takes_too_much_work_counts_as_wrong() {
    let either = json!({"properties": {"x": {"$ref": "#"}}});
    let validator = Validator::new(&json!({"anyOf": [either, either]})).expect("a schema");
    let deep = |n: usize| (0..n).fold(json!(1), |inner, _| json!({"x": inner}));
    // Both fit; the validator's short cuts would find that out soon.
    assert_eq!([5, 40].map(|n| validator.is_valid(&deep(n))), [true, false]);
}

#[test]
fn at_most_a_hundred_mistakes_are_told_and_none_at_length() {
    let schema = json!({"items": {"type": "string"}, "maxItems": 1});
    let problems = validate(&schema, &json!(vec![1; 5_000])).expect_err("problems");
    assert_eq!(problems.len(), 100);
    let schema = json!({"items": {"enum": (0..3_000).collect::<Vec<_>>()}});
    let problems = validate(&schema, &json!([-1])).expect_err("a problem");
    assert!(
        problems[0].message.len() < 1_100 && problems[0].message.ends_with('…'),
        "{}",
        problems[0].message
    );
}

#[test]
fn errors_that_would_hold_the_value_many_times_are_not_made() {
    // Each of them keeps what it is about: a thousand times a hundred thousand numbers.
    let schema = json!({"anyOf": vec![json!({"maxItems": 1}); 1_000]});
    let value = json!(vec![1; 100_000]);
    let (found, took) = timed(move || validate(&schema, &value));
    assert_eq!(
        found.expect_err("a problem")[0].message,
        "the value does not fit the schema; it is too large to say where"
    );
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn deep_values_do_not_overflow_the_stack() {
    let inner = json!({"allOf": [{"allOf": [{"allOf": [{"properties": {"x": {"$ref": "#"}}}]}]}]});
    let (found, _) = timed(move || {
        let validator = Validator::new(&inner).expect("a schema");
        [100, 180, 900].map(|n| {
            let mut value = json!(1);
            for _ in 0..n {
                value = json!({"x": value});
            }
            let found = is_costly(&validator.validate(&value));
            // What is dropped recurses as well.
            while let Some(next) = value.get_mut("x") {
                value = next.take();
            }
            found
        })
    });
    assert_eq!(found, [false, false, true]);
}
