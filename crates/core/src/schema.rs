//! JSON Schemas: checked, compiled, and asked for every mistake of a value at once.
//!
//! Nothing is fetched: a `$ref` leads inside the schema or is a mistake. Patterns run in linear time.

use crate::Problem;
use jsonschema::PatternOptions;
use serde_json::Value;

/// A compiled schema.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator);

impl Validator {
    /// Compiles `schema`, or says what is wrong with it (paths are inside the schema).
    pub fn new(schema: &Value) -> Result<Self, Vec<Problem>> {
        if !schema.is_object() && !schema.is_boolean() {
            return Err(vec![Problem::new("", "invalid_schema", "a JSON Schema is an object")]);
        }
        jsonschema::options()
            .with_pattern_options(PatternOptions::regex())
            .offline()
            .build(schema)
            .map(Self)
            .map_err(|e| vec![Problem::new("", "invalid_schema", e.to_string())])
    }

    /// Returns everything in `value` that the schema does not allow.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<Problem>> {
        let problems: Vec<Problem> = self
            .0
            .iter_errors(value)
            .map(|e| Problem::new(e.instance_path().to_string(), "invalid", e.to_string()))
            .collect();
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }
}

/// Checks `value` against `schema`. To check many values, keep a `Validator`.
pub fn validate(schema: &Value, value: &Value) -> Result<(), Vec<Problem>> {
    Validator::new(schema)?.validate(value)
}
