//! Defaults: what is filled in, what is not, and which ones `check` refuses.

use crate::{
    Problem,
    schema::{Validator, filled, mistakes},
};
use serde_json::{Value, json};

fn fill(schema: Value, value: Value) -> Value {
    Validator::new(&schema).expect("a schema").filled(Some(value)).expect("a filled value")
}

fn found(schema: Value) -> Vec<(String, String)> {
    mistakes(&schema).into_iter().map(|Problem { path, code, .. }| (path, code)).collect()
}

#[test]
fn what_is_left_out_has_its_default_and_what_is_given_stays() {
    let schema =
        json!({"properties": {"lang": {"default": "en"}, "n": {"type": ["null", "integer"], "default": 3}}});
    for (given, gives) in [
        (json!({}), json!({"lang": "en", "n": 3})),
        (json!({"n": null}), json!({"n": null, "lang": "en"})),
        (json!({"lang": "", "n": 0}), json!({"lang": "", "n": 0})),
        (json!({"x": 1}), json!({"x": 1, "lang": "en", "n": 3})),
        (json!([]), json!([])),
        (json!("text"), json!("text")),
        (json!(null), json!(null)),
    ] {
        assert_eq!(fill(schema.clone(), given.clone()), gives, "{given}");
    }
}

#[test]
fn a_default_may_be_any_value_also_null_or_false() {
    for default in
        [json!(null), json!(false), json!(0), json!(""), json!([]), json!({}), json!(1.0), json!(u64::MAX)]
    {
        assert_eq!(
            fill(json!({"properties": {"a": {"default": default}}}), json!({})),
            json!({"a": default})
        );
    }
}

#[test]
fn below_an_absent_parent_a_default_counts_only_if_the_parent_has_one() {
    let with = json!({"properties": {"to": {"default": {}, "properties": {"lang": {"default": "en"}}}}});
    assert_eq!(fill(with.clone(), json!({})), json!({"to": {"lang": "en"}}));
    assert_eq!(fill(with.clone(), json!({"to": {}})), json!({"to": {"lang": "en"}}));
    assert_eq!(fill(with, json!({"to": null})), json!({"to": null}));
    let without = json!({"properties": {"to": {"properties": {"lang": {"default": "en"}}}}});
    assert_eq!(fill(without.clone(), json!({})), json!({}));
    assert_eq!(fill(without, json!({"to": {"x": 1}})), json!({"to": {"x": 1, "lang": "en"}}));
}

#[test]
fn items_fields_and_references_are_followed() {
    for (schema, given, gives) in [
        (
            json!({"properties": {"rows": {"items": {"properties": {"n": {"default": 1}}}}}}),
            json!({"rows": [{}, {"n": 2}, 7]}),
            json!({"rows": [{"n": 1}, {"n": 2}, 7]}),
        ),
        (
            json!({"prefixItems": [{"properties": {"a": {"default": 1}}}], "items": {"properties": {"b": {"default": 2}}}}),
            json!([{}, {}]),
            json!([{"a": 1}, {"b": 2}]),
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"properties": {"a": {"default": 1}}}],
                "additionalItems": {"properties": {"b": {"default": 2}}}}),
            json!([{}, {}]),
            json!([{"a": 1}, {"b": 2}]),
        ),
        (
            json!({"properties": {"x": {}}, "additionalProperties": {"properties": {"n": {"default": 1}}}}),
            json!({"x": {}, "y": {}}),
            json!({"x": {}, "y": {"n": 1}}),
        ),
        (
            json!({"$ref": "#/$defs/in", "$defs": {"in": {"properties": {"lang": {"$ref": "#/$defs/a~1b"}}},
                "a/b": {"type": "string", "default": "en"}}}),
            json!({}),
            json!({"lang": "en"}),
        ),
        (
            json!({"definitions": {"l": {"default": "en"}}, "properties": {"lang": {"$ref": "#/definitions/l"}}}),
            json!({}),
            json!({"lang": "en"}),
        ),
        (
            json!({"$defs": {"l": {"$anchor": "lang", "default": "en"}}, "properties": {"lang": {"$ref": "#lang"}}}),
            json!({}),
            json!({"lang": "en"}),
        ),
        (
            json!({"allOf": [{"properties": {"a": {"default": 1}}}, {"allOf": [{"properties": {"b": {"default": 2}}}]}]}),
            json!({}),
            json!({"a": 1, "b": 2}),
        ),
        // A default of one part opens the way to those of another, in whatever order they stand.
        (
            json!({"allOf": [{"properties": {"to": {"properties": {"n": {"default": 1}}}}},
                {"properties": {"to": {"default": {}}}}]}),
            json!({}),
            json!({"to": {"n": 1}}),
        ),
    ] {
        assert_eq!(fill(schema.clone(), given), gives, "{schema}");
    }
}

#[test]
fn of_several_defaults_the_nearest_counts() {
    let schema = json!({
        "properties": {"a": {"$ref": "#/$defs/d", "default": "own"}},
        "allOf": [{"properties": {"a": {"default": "all"}, "b": {"default": "first"}}}, {"properties": {"b": {"default": "second"}}}],
        "$defs": {"d": {"default": "ref"}},
    });
    assert_eq!(fill(schema, json!({})), json!({"a": "own", "b": "first"}));
}

#[test]
fn what_depends_on_a_choice_gives_no_default() {
    let inner = json!({"properties": {"a": {"default": 1}}});
    for schema in [
        json!({"anyOf": [inner]}),
        json!({"oneOf": [inner]}),
        json!({"if": inner, "then": inner, "else": inner}),
        json!({"not": {"not": inner}}),
        json!({"dependentSchemas": {"x": inner}}),
        json!({"patternProperties": {"^x": inner}, "additionalProperties": inner}),
        json!({"unevaluatedProperties": inner}),
        json!({"$defs": {"d": inner}}),
    ] {
        assert_eq!(fill(schema.clone(), json!({"x": {}})), json!({"x": {}}), "{schema}");
    }
    // Beside a choice it does not depend on it.
    let beside =
        json!({"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": null}}});
    assert_eq!(fill(beside, json!({})), json!({"a": null}));
}

#[test]
fn what_nobody_gave_is_the_schemas_own_default() {
    assert_eq!(filled(&json!({"default": {"a": 1}}), None), Ok(json!({"a": 1})));
    assert_eq!(filled(&json!({"$ref": "#/$defs/d", "$defs": {"d": {"default": [1]}}}), None), Ok(json!([1])));
    assert_eq!(filled(&json!({"properties": {"a": {"default": 1}}}), None), Ok(json!({"a": 1})));
    assert_eq!(filled(&json!(true), None), Ok(json!({})));
    assert_eq!(filled(&json!({"default": {"a": 1}}), Some(json!(null))), Ok(json!(null)));
}

#[test]
fn a_required_field_may_have_its_value_from_a_default() {
    let schema = json!({"properties": {"lang": {"type": "string", "default": "en"}}, "required": ["lang"],
        "additionalProperties": false});
    assert_eq!(filled(&schema, Some(json!({}))), Ok(json!({"lang": "en"})));
    let wrong = filled(&schema, Some(json!({"lang": null}))).expect_err("null is not absent");
    assert_eq!((wrong[0].path.as_str(), wrong[0].code.as_str()), ("lang", "wrong_type"));
}

#[test]
fn a_default_that_does_not_fit_is_named_with_its_place() {
    let at = |path: &str| vec![(path.to_owned(), "invalid_default".to_owned())];
    for (schema, places) in [
        (json!({"properties": {"n": {"type": "integer", "default": "3"}}}), at("properties.n.default")),
        (json!({"properties": {"a/b c": {"enum": ["x"], "default": "y"}}}), at("properties.a/b c.default")),
        (
            json!({"items": {"properties": {"n": {"minimum": 1, "default": 0}}}}),
            at("items.properties.n.default"),
        ),
        (json!({"type": "object", "default": []}), at("default")),
        (
            json!({"allOf": [{"properties": {"n": {"$ref": "#/$defs/n", "default": 0}}}], "$defs": {"n": {"minimum": 1}}}),
            at("allOf[0].properties.n.default"),
        ),
        (
            json!({"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"minimum": 1, "default": 0}}}),
            at("$defs.n.default"),
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://x.example/s",
                "properties": {"n": {"type": "string", "default": 0}}}),
            at("properties.n.default"),
        ),
        // It fits with the defaults below it.
        (
            json!({"properties": {"to": {"default": {}, "required": ["n"], "properties": {"n": {"default": 1}}}}}),
            vec![],
        ),
        (
            json!({"properties": {"to": {"default": {}, "required": ["n"], "properties": {"n": {}}}}}),
            at("properties.to.default"),
        ),
        // Nobody takes these.
        (json!({"anyOf": [{"properties": {"n": {"type": "integer", "default": "3"}}}]}), vec![]),
        (json!({"$defs": {"d": {"type": "integer", "default": "3"}}}), vec![]),
        (json!({"properties": {"n": {"default": 1}}, "required": ["n", "m"]}), vec![]),
    ] {
        assert_eq!(found(schema.clone()), places, "{schema}");
    }
    let said = mistakes(
        &json!({"properties": {"to": {"default": {"n": "x"}, "properties": {"n": {"type": "integer"}}}}}),
    );
    assert_eq!(
        said[0].message,
        "the default does not fit its own schema: n: must be of type integer, not a text"
    );
}

#[test]
fn defaults_that_never_end_are_refused() {
    let circle = json!({"properties": {"child": {"$ref": "#", "default": {}}}});
    assert_eq!(
        found(circle.clone()),
        [("properties.child.default".to_owned(), "schema_too_costly".to_owned())]
    );
    let wrong = filled(&circle, None).expect_err("no end");
    assert_eq!(wrong[0].code, "schema_too_costly");
    assert!(wrong[0].message.contains("126 levels"), "{}", wrong[0].message);
    // Two below each: without a bound this would be 2^60 values.
    let mut wide = json!({"$defs": {"n60": {}}, "$ref": "#/$defs/n0"});
    for n in 0..60 {
        let next = json!({"$ref": format!("#/$defs/n{}", n + 1), "default": {}});
        wide["$defs"][format!("n{n}")] = json!({"properties": {"a": next, "b": next}});
    }
    let wrong = filled(&wide, None).expect_err("too many");
    assert!(wrong[0].message.contains("250000 values"), "{}", wrong[0].message);
    let large = json!({"items": {"properties": {"a": {"default": "x".repeat(100_000)}}}});
    let wrong = filled(&large, Some(json!(vec![json!({}); 200]))).expect_err("too large");
    assert!(wrong[0].message.contains("16777216 bytes"), "{}", wrong[0].message);
}
