//! Reads the fields of a JSON body, and finds all mistakes at once: missing, of the wrong type, unknown.

use callboard_core::Problem;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Error;

/// The fields of a body not yet taken.
pub struct Fields {
    rest: Map<String, Value>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

// === impl Fields ===

impl Fields {
    /// An absent body has no fields.
    pub fn of(body: Option<Value>) -> Result<Self, Error> {
        let (rest, problems) = match body {
            None => (Map::new(), Vec::new()),
            Some(Value::Object(fields)) => (fields, Vec::new()),
            Some(other) => {
                let message = format!("expected an object, found {}", kind(&other));
                let problem = Problem::new("", "wrong_type", message);
                return Err(Error::invalid("invalid_body", "the body", vec![problem]));
            }
        };
        Ok(Self { rest, known: Vec::new(), problems })
    }

    /// Takes a field; null counts as absent.
    pub fn optional<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        let value = self.rest.remove(name).filter(|value| !value.is_null())?;
        let found = kind(&value);
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = format!("this {found} does not fit: {error}");
                self.problems.push(Problem::new(name, "wrong_type", message));
                None
            }
        }
    }

    /// Takes a field that any JSON fits, null too.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.known.push(name);
        self.rest.remove(name)
    }

    /// Takes a field that must be there.
    pub fn required<T: DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        if self.rest.get(name).is_none_or(Value::is_null) {
            self.problems.push(Problem::new(name, "missing", "this field is required"));
        }
        self.optional(name)
    }

    /// Adds a mistake that only the handler can see.
    pub fn wrong(&mut self, name: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(name, "invalid", message));
    }

    /// Reports every mistake, fields nobody asked for included. Afterwards required fields are there.
    pub fn finish(mut self) -> Result<(), Error> {
        let known = self.known.join(", ");
        let mut unknown: Vec<_> = self.rest.keys().collect();
        unknown.sort();
        self.problems.extend(unknown.into_iter().map(|name| {
            Problem::new(
                name.as_str(),
                "unknown_field",
                format!("there is no such field; there are: {known}"),
            )
        }));
        match self.problems.is_empty() {
            true => Ok(()),
            false => Err(Error::invalid("invalid_body", "the body", self.problems)),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_mistake_is_found() {
        let mut fields = Fields::of(Some(json!({"approved": "yes", "nodes": 1, "x": 2}))).expect("fields");
        let node: Option<String> = fields.required("node");
        let approved: Option<bool> = fields.required("approved");
        assert_eq!((node, approved), (None, None));
        let problems = fields.finish().expect_err("mistakes").problems.expect("problems");
        let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.code.as_str())).collect();
        assert_eq!(
            found,
            [
                ("node", "missing"),
                ("approved", "wrong_type"),
                ("nodes", "unknown_field"),
                ("x", "unknown_field")
            ]
        );
    }

    #[test]
    fn a_list_is_no_body_and_no_body_has_no_fields() {
        assert!(Fields::of(Some(json!([]))).is_err());
        assert!(Fields::of(None).expect("fields").finish().is_ok());
    }
}
