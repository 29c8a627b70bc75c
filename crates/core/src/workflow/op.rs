//! How an operation on a run is told from its repetition: by its caller's own name of it, and by what it asks.

use crate::{Hash, id::OperationId};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write;

/// An operation as its caller names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    pub id: OperationId,
    /// What it asks. Nothing where we named it ourselves: it is never repeated.
    pub body: Option<Fingerprint>,
}

/// 32 bits of the hash of what an operation asks. They tell two bodies under one name apart; nobody relies on them
/// against somebody who tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint(pub u32);

// === impl Op ===

impl Op {
    /// An operation that its caller named, and what it asks.
    pub fn named(id: OperationId, body: Fingerprint) -> Self {
        Self { id, body: Some(body) }
    }

    /// An operation under a name that nobody else uses.
    pub fn unnamed(id: OperationId) -> Self {
        Self { id, body: None }
    }
}

impl From<OperationId> for Op {
    fn from(id: OperationId) -> Self {
        Self::unnamed(id)
    }
}

impl From<&str> for Op {
    fn from(id: &str) -> Self {
        Self::unnamed(id.into())
    }
}

// === impl Fingerprint ===

impl Fingerprint {
    /// Takes it of an operation, by its name, and its body. The order of an object's fields says nothing.
    pub fn of(name: &str, body: &Value) -> Self {
        let mut text = String::new();
        write(body, &mut text);
        let [a, b, c, d, ..] = Hash::chain(&[name.as_bytes(), text.as_bytes()]).0;
        Self(u32::from_le_bytes([a, b, c, d]))
    }

    /// Whether two may be of one request. What was recorded without one matches any.
    pub fn fits(known: Option<Self>, given: Option<Self>) -> bool {
        known.zip(given).is_none_or(|(known, given)| known == given)
    }
}

/// Writes JSON with the fields of each object in the order of their names.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in fields {
                // A name is written with its length, so no text of one looks like the end of it.
                let _ = write!(out, "{}:{name}", name.len());
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let _ = write!(out, "{value}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_fingerprint_is_of_what_is_asked_and_not_of_how_it_is_written() {
        let of = |name: &str, text: &str| Fingerprint::of(name, &serde_json::from_str(text).expect("JSON"));
        let known = of("signal", r#"{"name": "go", "data": {"a": 1, "b": [1, 2]}}"#);
        assert_eq!(known, of("signal", r#"{"data":{"b":[1,2],"a":1},"name":"go"}"#));
        for (operation, other) in [
            ("approve", r#"{"name": "go", "data": {"a": 1, "b": [1, 2]}}"#),
            ("signal", r#"{"name": "go", "data": {"a": 1, "b": [2, 1]}}"#),
            ("signal", r#"{"name": "go", "data": {"a": "1", "b": [1, 2]}}"#),
            ("signal", r#"{"name": "go", "data": {"a": 1, "b": [12]}}"#),
            ("signal", r#"{"name": "go", "data": {"a": 1, "b": [[1, 2]]}}"#),
            ("signal", r#"{"name": "go", "data": {"ab": 1, "": [1, 2]}}"#),
            ("signal", r#"{"name": "go", "data": null}"#),
            ("signal", r#"{}"#),
        ] {
            assert_ne!(known, of(operation, other), "{operation} {other}");
        }
        // What is recorded is for ever.
        assert_eq!(Fingerprint::of("cancel", &json!({})), Fingerprint(994_744_556));
    }

    #[test]
    fn what_was_recorded_without_one_matches_any() {
        let (one, other) = (Some(Fingerprint(1)), Some(Fingerprint(2)));
        assert!(Fingerprint::fits(one, one) && !Fingerprint::fits(one, other));
        assert!(Fingerprint::fits(None, one) && Fingerprint::fits(one, None));
    }
}
