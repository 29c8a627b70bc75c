//! What schemas refuse, and how it is told.

mod bombs;
mod defaults;

use super::*;
use serde_json::json;

fn found(schema: Value, value: Value) -> Vec<(String, String)> {
    let problems = validate(&schema, &value).expect_err("problems");
    problems.into_iter().map(|p| (p.path, p.code)).collect()
}

fn pair(path: &str, code: &str) -> (String, String) {
    (path.to_owned(), code.to_owned())
}

#[test]
fn all_mistakes_of_a_value_come_at_once() {
    let schema = json!({
        "type": "object",
        "properties": {
            "topic": {"type": "string"},
            "n": {"type": "integer", "minimum": 1},
            "list": {"type": "array", "items": {"type": "object", "required": ["id"]}},
        },
        "required": ["topic", "n"],
        "additionalProperties": false,
    });
    assert_eq!(validate(&schema, &json!({"topic": "x", "n": 1})), Ok(()));
    let mut all = found(schema, json!({"n": 0, "list": [{"id": 1}, {}, 3], "more": true}));
    all.sort();
    assert_eq!(
        all,
        [
            pair("list[1].id", "missing_field"),
            pair("list[2]", "wrong_type"),
            pair("more", "unknown_field"),
            pair("n", "out_of_range"),
            pair("topic", "missing_field"),
        ]
    );
}

#[test]
fn of_alternatives_the_closest_is_explained() {
    let schema = json!({"anyOf": [
        {"type": "string"},
        {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    ]});
    assert_eq!(found(schema.clone(), json!({"a": "x"})), [pair("a", "wrong_type")]);
    let both = validate(&schema, &json!(3)).expect_err("a problem");
    assert_eq!(
        both[0].message,
        "must be of type string, not a number, or must be of type object, not a number"
    );
}

#[test]
fn a_schema_is_checked_before_it_is_used() {
    for schema in [
        json!("text"),
        json!({"type": "strin"}),
        json!({"type": "object", "properties": []}),
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "#/$defs/nowhere"}),
        json!({"$schema": "https://example.com/own"}),
        json!({"pattern": "(a+"}),
        json!({"pattern": "((a{1000}){1000}){1000}"}),
        json!({"minimum": "1"}),
    ] {
        let problems = Validator::new(&schema).expect_err("problems");
        assert!(problems.iter().all(|p| p.code == "invalid_schema"), "{schema}: {problems:?}");
    }
}

#[test]
fn a_pattern_takes_linear_time() {
    let validator = Validator::new(&json!({"pattern": "^(a+)+$"})).expect("a schema");
    let value = json!(format!("{}b", "a".repeat(100_000)));
    let start = std::time::Instant::now();
    assert!(validator.validate(&value).is_err());
    assert!(start.elapsed() < std::time::Duration::from_secs(1));
}
