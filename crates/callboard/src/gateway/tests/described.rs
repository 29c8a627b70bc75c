//! Every answer that these tests get is as the description of the API says: its status, its type, its fields.

use super::{super::openapi, Answer, header};
use callboard_core::schema::Validator;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi::document);

/// Panics at an answer that the description does not have.
#[track_caller]
pub fn is_as_described(method: &Method, path: &str, answer: &Answer) {
    let paths = DOCUMENT["paths"].as_object().expect("paths");
    // As the router does: a path that is named comes before one with an id in it.
    let mut fitting: Vec<_> = paths.iter().filter(|(template, _)| fits(template, path)).collect();
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    let Some((_, route)) = fitting.first() else {
        assert_eq!(answer.body["code"], "unknown_route", "{path}");
        return;
    };
    let operation = &route[method.as_str().to_ascii_lowercase()];
    if operation.is_null() {
        assert_eq!(answer.body["code"], "method_not_allowed", "{method} {path}");
        return;
    }
    let response = resolve(&operation["responses"][answer.status.to_string()]);
    assert!(response.is_object(), "{method} {path} is answered {}", answer.status);
    let Some(content) = response.get("content") else {
        assert_eq!(answer.body, Value::Null, "{method} {path}");
        return;
    };
    let kind = kind(&answer.headers);
    let schema = &content[&kind]["schema"];
    assert!(schema.is_object() || schema.is_boolean(), "{method} {path} is answered as {kind}");
    if kind.ends_with("json") {
        let whole = json!({"allOf": [schema], "components": DOCUMENT["components"]});
        let validator = Validator::new(&whole).expect("a schema");
        validator.validate(&answer.body).unwrap_or_else(|wrong| panic!("{method} {path}: {wrong:?}"));
        let unknown = undescribed(schema, &answer.body, "");
        assert!(unknown.is_empty(), "{method} {path} is not described: {unknown:?}");
    }
}

fn fits(template: &str, path: &str) -> bool {
    let path = path.split('?').next().unwrap_or_default();
    let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
    let same = |(part, given): (&&str, &&str)| part == given || part.starts_with('{');
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

fn kind(headers: &HeaderMap) -> String {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().to_owned()
}

fn resolve(schema: &Value) -> &Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(schema, |pointer| DOCUMENT.pointer(pointer).expect("a component"))
}

/// Returns the schema of a field; nothing if it has none, null if any value will do.
fn field<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    let schema = resolve(schema);
    let own = schema["properties"].get(name);
    let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|word| schema[word].as_array()).flatten();
    let open = match &schema["additionalProperties"] {
        Value::Null | Value::Bool(false) => None,
        more => Some(more),
    };
    // A schema that says nothing allows everything.
    let silent = schema.as_object().is_none_or(|words| {
        !["properties", "allOf", "anyOf", "oneOf"].iter().any(|word| words.contains_key(*word))
    });
    own.or_else(|| parts.into_iter().find_map(|part| field(part, name)))
        .or(open)
        .or(silent.then_some(&Value::Null))
}

/// Returns the fields of an answer that its schema does not name.
fn undescribed(schema: &Value, value: &Value, path: &str) -> Vec<String> {
    let schema = resolve(schema);
    match value {
        Value::Object(fields) => {
            let each = fields.iter().flat_map(|(name, value)| {
                let path = format!("{path}/{name}");
                match field(schema, name) {
                    Some(schema) => undescribed(schema, value, &path),
                    None => vec![path],
                }
            });
            each.collect()
        }
        Value::Array(items) => {
            items.iter().flat_map(|item| undescribed(&schema["items"], item, path)).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn a_field_that_nobody_described_is_found() {
    let schema = json!({"$ref": "#/components/schemas/StepsPage"});
    let step = json!({"items": [{"node": "a", "mood": "fine"}], "next": null, "extra": 1});
    assert_eq!(undescribed(&schema, &step, ""), ["/items/mood", "/extra"]);
}
