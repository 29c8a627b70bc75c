//! Makes up a value that satisfies a JSON Schema, as far as types, required shapes and bounds go.

use serde_json::{Map, Value, json};

const DEPTH: usize = 16;

/// Returns a value; texts in it are `text`.
pub(super) fn of(schema: &Value, text: &str) -> Value {
    value(schema, schema, text, 0)
}

fn value(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    if depth > DEPTH {
        return Value::Null;
    }
    if let Some(given) = schema.get("const").or_else(|| schema.get("default")) {
        return given.clone();
    }
    for list in ["enum", "examples"] {
        if let Some(first) = schema.get(list).and_then(|list| list.get(0)) {
            return first.clone();
        }
    }
    let reference = schema.get("$ref").and_then(Value::as_str).and_then(|name| name.strip_prefix('#'));
    if let Some(target) = reference.and_then(|pointer| root.pointer(pointer)) {
        return value(root, target, text, depth + 1);
    }
    for list in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(list).and_then(|list| list.get(0)) {
            return value(root, first, text, depth + 1);
        }
    }
    match kind(schema) {
        "object" => object(root, schema, text, depth),
        "array" => {
            let length = bound(schema, "minItems").unwrap_or(1.0).clamp(0.0, 16.0);
            let item = schema.get("items").map_or_else(|| json!(text), |s| value(root, s, text, depth + 1));
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies in 0..=16")]
            Value::Array(vec![item; length as usize])
        }
        "integer" => number(schema).map_or(json!(1), |n| {
            #[allow(clippy::cast_possible_truncation, reason = "a conversion of floats saturates")]
            let whole = n.ceil() as i64;
            json!(whole)
        }),
        "number" => number(schema).map_or(json!(1), |n| json!(n)),
        "boolean" => json!(true),
        "null" => Value::Null,
        _ => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
            let longest = bound(schema, "maxLength").map_or(usize::MAX, |n| n as usize);
            Value::from(text.chars().take(longest).collect::<String>())
        }
    }
}

/// Every property, because a reader of the schema expects all it names.
fn object(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut fields: Map<String, Value> = properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| (name.clone(), value(root, schema, text, depth + 1)))
        .collect();
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if let Some(name) = name.as_str() {
            fields.entry(name).or_insert_with(|| json!(text));
        }
    }
    Value::Object(fields)
}

fn kind(schema: &Value) -> &str {
    let named = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first(),
        other => other,
    };
    named.and_then(Value::as_str).unwrap_or(if schema.get("properties").is_some() {
        "object"
    } else {
        "string"
    })
}

fn number(schema: &Value) -> Option<f64> {
    let above = bound(schema, "exclusiveMinimum").map(|n| n + 1.0);
    let below = bound(schema, "exclusiveMaximum").map(|n| n - 1.0);
    above
        .or(bound(schema, "minimum"))
        .or(bound(schema, "maximum").map(|n| n.min(1.0)))
        .or(below.map(|n| n.min(1.0)))
}

fn bound(schema: &Value, name: &str) -> Option<f64> {
    schema.get(name).and_then(Value::as_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_bounds_are_kept() {
        let schema = json!({
            "type": "object",
            "required": ["extra"],
            "properties": {
                "title": {"type": "string", "maxLength": 3}, "score": {"type": "number", "minimum": 0.5},
                "kind": {"enum": ["a", "b"]}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "minItems": 2},
                "maybe": {"type": ["integer", "null"], "minimum": 3}, "ok": {"type": "boolean"},
                "loop": {"$ref": "#/properties/loop"}
            },
            "$defs": {"tag": {"type": "string"}}
        });
        let expected = json!({
            "title": "tex", "score": 0.5, "kind": "a", "tags": ["text", "text"], "maybe": 3, "ok": true,
            "loop": null, "extra": "text"
        });
        assert_eq!(of(&schema, "text"), expected);
    }
}
