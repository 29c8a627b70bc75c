//! Checks a document against a schema that `schemars` made of our own types, and says what is wrong as a person
//! would: never "not valid under any of the schemas".
//!
//! Only the keywords that our types produce are known here. Schemas from outside go through `Validator`.

use super::{join, kind_of};
use crate::{Problem, Span, id::is_id};
use serde_json::{Map, Value};

/// After so many problems the rest is left out.
const PROBLEMS: usize = 500;

/// Returns everything in `value` that `schema` does not allow.
pub(crate) fn check(schema: &Value, value: &Value) -> Vec<Problem> {
    let mut shape = Shape { root: schema, problems: vec![] };
    shape.value(schema, value, "");
    shape.problems
}

/// A check under way.
struct Shape<'a> {
    root: &'a Value,
    problems: Vec<Problem>,
}

impl<'a> Shape<'a> {
    fn add(&mut self, path: &str, code: &str, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem::new(path, code, message));
        }
    }

    /// Follows a `$ref` inside our own schema.
    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn value(&mut self, schema: &'a Value, value: &Value, path: &str) {
        let schema = self.resolve(schema);
        if let Some(either) = schema["anyOf"].as_array() {
            // Of our types this is an optional one: the value itself, or null.
            let some = either.iter().find(|s| s["type"] != "null");
            if let (Some(some), false) = (some, value.is_null()) {
                self.value(some, value, path);
            }
            return;
        }
        if let Some(variants) = schema["oneOf"].as_array() {
            // A choice by `type` is told by that type, everything else by words.
            if variants.iter().all(|v| v["properties"]["type"]["const"].is_string()) {
                return self.tagged(schema, variants, value, path);
            }
            return self.one_of(variants, value, path);
        }
        if !self.has_type(schema, value, path) {
            return;
        }
        match value {
            Value::String(text) => self.text(schema, text, path),
            Value::Number(_) => self.number(schema, value, path),
            Value::Array(items) => {
                if let Some(item) = schema.get("items") {
                    for (i, value) in items.iter().enumerate() {
                        self.value(item, value, &format!("{path}[{i}]"));
                    }
                }
            }
            Value::Object(map) => self.object(&[schema], map, path),
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// Whether the value has one of the types that are allowed; reports it if not.
    fn has_type(&mut self, schema: &Value, value: &Value, path: &str) -> bool {
        let expected: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let fits = |name: &str| match name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => true,
        };
        if expected.iter().any(|name| fits(name)) {
            return true;
        }
        let wanted = expected.iter().find(|name| **name != "null").map_or("null", |name| named(name));
        // A text such as `true` or `1.5` needs quotes in YAML.
        let hint = match value {
            Value::Bool(_) | Value::Number(_) if expected.contains(&"string") => {
                format!("; write it in quotes: \"{value}\"")
            }
            _ => String::new(),
        };
        self.add(path, "wrong_type", format!("must be {wanted}, not {}{hint}", kind_of(value)));
        false
    }

    /// Checks a text: its format, its pattern, the words that are allowed.
    fn text(&mut self, schema: &Value, text: &str, path: &str) {
        let template =
            schema["format"] == "span_or_template" && ["{{", "{%"].iter().any(|open| text.contains(open));
        if (schema["format"] == "span" || schema["format"] == "span_or_template")
            && !template
            && Span::parse(text).is_none()
        {
            let message = format!("`{text}` is not a duration such as {}", Span::FORMS);
            self.add(path, "invalid_duration", message);
        }
        // The only pattern our types have.
        if schema["pattern"].is_string() && !is_id(text) {
            self.add(
                path,
                "invalid_id",
                format!("`{text}` is not an id: 1 to 64 letters, digits, `_` or `-`"),
            );
        }
        let names: Vec<&str> = match (&schema["const"], schema["enum"].as_array()) {
            (Value::String(one), _) => vec![one.as_str()],
            (_, Some(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        self.one_of_names(&names, "", text, path);
    }

    /// Reports a text that is none of `names`. `or` says what else would do.
    fn one_of_names(&mut self, names: &[&str], or: &str, text: &str, path: &str) {
        if !names.contains(&text) {
            let hint = closest(text, names.iter().copied()).map_or_else(
                || format!("known are {}{or}", quoted(names)),
                |name| format!("did you mean `{name}`?"),
            );
            self.add(path, "unknown_value", format!("`{text}` is unknown here; {hint}"));
        }
    }

    /// Checks that a number is within its bounds. Those of `u32` are in its format only.
    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(n) = value.as_f64() else { return };
        let min = schema["minimum"].as_f64();
        let max = schema["maximum"].as_f64().or(match schema["format"].as_str() {
            Some("uint32") => Some(f64::from(u32::MAX)),
            _ => None,
        });
        let message = match (min, max) {
            (Some(min), _) if n < min => match max {
                Some(max) if max < f64::from(u32::MAX) => format!("must be {min} to {max}, not {value}"),
                _ => format!("must be at least {min}, not {value}"),
            },
            (min, Some(max)) if n > max => match min {
                Some(min) => format!("must be {min} to {max}, not {value}"),
                None => format!("must be at most {max}, not {value}"),
            },
            _ => return,
        };
        self.add(path, "out_of_range", message);
    }

    /// Checks an object whose fields are those of several schemas together, as a flattened type has them.
    fn object(&mut self, schemas: &[&'a Value], map: &Map<String, Value>, path: &str) {
        let properties: Vec<(&'a String, &'a Value)> =
            schemas.iter().filter_map(|s| s["properties"].as_object()).flatten().collect();
        let closed =
            schemas.iter().any(|s| s["additionalProperties"] == false || s["unevaluatedProperties"] == false);
        let others = schemas.iter().map(|s| &s["additionalProperties"]).find(|s| s.is_object());
        for (key, value) in map {
            let path = join(path, key);
            if let Some((_, schema)) = properties.iter().find(|(name, _)| *name == key) {
                self.value(schema, value, &path);
            } else if let Some(schema) = others {
                self.value(schema, value, &path);
            } else if closed {
                let names: Vec<&str> = properties.iter().map(|(name, _)| name.as_str()).collect();
                let hint = closest(key, names.iter().copied()).map_or_else(
                    || format!("known are {}", quoted(&names)),
                    |name| format!("did you mean `{name}`?"),
                );
                self.add(&path, "unknown_field", format!("the field `{key}` is unknown here; {hint}"));
            }
        }
        for name in
            schemas.iter().filter_map(|s| s["required"].as_array()).flatten().filter_map(Value::as_str)
        {
            if !map.contains_key(name) {
                self.add(&join(path, name), "missing_field", format!("`{name}` is missing"));
            }
        }
    }

    /// Checks an object whose `type` chooses the rest of its fields.
    fn tagged(&mut self, base: &'a Value, variants: &'a [Value], value: &Value, path: &str) {
        let Value::Object(map) = value else {
            self.add(path, "wrong_type", format!("must be an object, not {}", kind_of(value)));
            return;
        };
        let names: Vec<&str> =
            variants.iter().filter_map(|v| v["properties"]["type"]["const"].as_str()).collect();
        let at = join(path, "type");
        let chosen = match map.get("type") {
            Some(Value::String(name)) => match names.iter().position(|n| n == name) {
                Some(n) => variants.get(n),
                None => {
                    let message = format!("there is no type `{name}`; the types are {}", quoted(&names));
                    self.add(&at, "unknown_type", message);
                    None
                }
            },
            Some(other) => {
                self.add(&at, "wrong_type", format!("must be a text, not {}", kind_of(other)));
                None
            }
            None => {
                let message = format!("`type` is missing; the types are {}", quoted(&names));
                self.add(&at, "missing_field", message);
                None
            }
        };
        match chosen {
            Some(variant) => self.object(&[base, variant], map, path),
            None => {
                // The rest can be checked without the type.
                let rest = map.iter().filter(|(k, _)| !matches!(k.as_str(), "type" | "config"));
                self.object(&[base], &rest.map(|(k, v)| (k.clone(), v.clone())).collect(), path);
            }
        }
    }

    /// Checks a choice among words, or an object in place of a word: `fail`, `{default: 1}`.
    fn one_of(&mut self, variants: &'a [Value], value: &Value, path: &str) {
        let words: Vec<&str> = variants
            .iter()
            .flat_map(|v| {
                v["const"]
                    .as_str()
                    .into_iter()
                    .chain(v["enum"].as_array().into_iter().flatten().filter_map(Value::as_str))
            })
            .collect();
        let object = variants.iter().find(|v| v["type"] == "object");
        let or = object.and_then(|o| o["required"][0].as_str());
        let or = or.map(|name| format!(" or an object with `{name}`")).unwrap_or_default();
        // A text of some kind in place of words: a duration.
        let text = variants
            .iter()
            .map(|v| self.resolve(v))
            .find(|v| v["type"] == "string" && v.get("const").is_none() && v.get("enum").is_none());
        match (value, object) {
            (Value::String(_), _) if let Some(text) = text => self.value(text, value, path),
            (Value::String(text), _) => self.one_of_names(&words, &or, text, path),
            (Value::Object(_), Some(object)) => self.value(object, value, path),
            _ => {
                let known = if text.is_some() { "a text or an object".to_owned() } else { quoted(&words) };
                let message = format!("must be {known}{or}, not {}", kind_of(value));
                self.add(path, "wrong_type", message);
            }
        }
    }
}

/// Names a type of JSON for people.
fn named(json_type: &str) -> &'static str {
    match json_type {
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "a text",
        "array" => "a list",
        "object" => "an object",
        _ => "null",
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}

/// Returns the name that `text` is most likely a slip of: one edit away, two for longer ones. Very short texts are
/// near to everything, so nothing is guessed for them.
pub(crate) fn closest<'n>(text: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let allowed = match text.len() {
        ..=2 | 65.. => return None,
        3..=5 => 1,
        _ => 2,
    };
    names.map(|name| (distance(text, name), name)).filter(|(d, _)| *d <= allowed).min().map(|(_, name)| name)
}

/// Returns the number of edits (insert, delete, replace) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // One row of the table is enough, with the corner that the next entry needs.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let edits = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = row[j + 1];
            row[j + 1] = edits;
        }
    }
    row[b.len()]
}
