//! JSON Schemas: checked, measured, compiled, and asked for every mistake of a value at once.
//!
//! Nothing is fetched: a `$ref` leads inside the schema or is a mistake. Patterns run in linear time. What would take
//! too much work is refused before it is begun (`cost`): this is the one door to the validator.

mod cost;
mod defaults;
mod explain;
mod parts;
mod pattern;
pub(crate) mod shape;

use crate::Problem;
use jsonschema::PatternOptions;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// Bytes of a schema in a document.
const SCHEMA_LIMIT: usize = 256 << 10;
/// Bytes of one compiled pattern, and of what it remembers of texts.
const PATTERN_LIMIT: usize = 1 << 20;
const PATTERN_CACHE: usize = 128 << 10;
/// Mistakes of one value that are told.
const PROBLEMS: usize = 100;
/// Values that the errors of one value may hold together: each error keeps a copy of the value that it is about.
const EXPLAINED: u64 = 500_000;
/// The code of a schema, or of a value under one, that would take too much work.
pub const TOO_COSTLY: &str = "schema_too_costly";

/// A compiled schema.
#[derive(Debug)]
pub struct Validator {
    compiled: jsonschema::Validator,
    graph: parts::Graph,
}

// === impl Validator ===

impl Validator {
    /// Compiles `schema`. Errs with what is wrong with it; paths are inside the schema.
    pub fn new(schema: &Value) -> Result<Self, Vec<Problem>> {
        let refused = |message: String| vec![Problem::new("", "invalid_schema", message)];
        if !schema.is_object() && !schema.is_boolean() {
            return Err(refused(format!("a JSON Schema is an object, not {}", kind_of(schema))));
        }
        if crate::value::json_len(schema) > SCHEMA_LIMIT {
            return Err(refused(format!("the schema is larger than {SCHEMA_LIMIT} bytes")));
        }
        let meta: Vec<Problem> = match jsonschema::meta::validator_for(schema) {
            Ok(meta) if meta.is_valid(schema) => Vec::new(),
            Ok(meta) => meta.iter_errors(schema).flat_map(|e| explain::problems(&e)).take(PROBLEMS).collect(),
            Err(e) => return Err(refused(format!("the schema's `$schema` is unknown: {e}"))),
        };
        // An invalid schema is not laid out: its graph would mean nothing.
        if !meta.is_empty() {
            return Err(meta.into_iter().map(|p| Problem { code: "invalid_schema".into(), ..p }).collect());
        }
        // The graph is measured before the schema is compiled, which takes memory for each part and pattern.
        let graph =
            parts::Graph::new(schema).map_err(|why| vec![Problem::new("", TOO_COSTLY, why.to_string())])?;
        options()
            .build(schema)
            .map(|compiled| Self { compiled, graph })
            .map_err(|e| refused(format!("the schema can't be used: {e}")))
    }

    /// Errs with what the schema does not allow in `value`, up to a hundred mistakes, or with `schema_too_costly` if
    /// the check itself would take too much work.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<Problem>> {
        if !self.graph.weigh(value) {
            let message = "checking this value against the schema takes too much work";
            return Err(vec![Problem::new("", TOO_COSTLY, message)]);
        }
        // Most values fit, and to find that out keeps no errors in memory.
        if self.compiled.is_valid(value) {
            return Ok(());
        }
        if !self.graph.explainable(value, EXPLAINED) {
            let message = "the value does not fit the schema; it is too large to say where";
            return Err(vec![Problem::new("", "invalid", message)]);
        }
        let errors = self.compiled.iter_errors(value);
        Err(errors.flat_map(|e| explain::problems(&e)).take(PROBLEMS).collect())
    }

    /// Returns `value` with the schema's defaults for what is left out of it, unchecked.
    pub fn filled(&self, value: Option<Value>) -> Result<Value, Vec<Problem>> {
        let nothing =
            || self.graph.default_of_all().cloned().unwrap_or_else(|| Value::Object(Default::default()));
        let mut value = value.unwrap_or_else(nothing);
        self.graph.fill(&mut value)?;
        Ok(value)
    }

    /// Whether the schema allows `value`. A value that would take too much work to check counts as wrong.
    pub fn is_valid(&self, value: &Value) -> bool {
        self.graph.weigh(value) && self.compiled.is_valid(value)
    }
}

/// Whether a schema, or a value under one, was refused for the work it would take.
pub fn is_too_costly(problems: &[Problem]) -> bool {
    problems.iter().any(|p| p.code == TOO_COSTLY)
}

/// How every schema is compiled: nothing is fetched, and patterns run in linear time.
fn options<'i>() -> jsonschema::ValidationOptions<'i> {
    let patterns = PatternOptions::regex().size_limit(PATTERN_LIMIT).dfa_size_limit(PATTERN_CACHE);
    jsonschema::options().with_pattern_options(patterns).offline()
}

/// Returns what is wrong with a schema whose defaults are applied: with the schema itself, or with a default that does not fit
/// where it stands. Paths are inside the schema.
pub fn mistakes(schema: &Value) -> Vec<Problem> {
    match Validator::new(schema) {
        Ok(_) => defaults::mistakes(schema),
        Err(problems) => problems,
    }
}

/// Returns `value` with the defaults of `schema` for what is left out of it; what nobody gave is the schema's own default, or
/// else an empty object. Errs with what the schema does not allow in that.
pub fn filled(schema: &Value, value: Option<Value>) -> Result<Value, Vec<Problem>> {
    let validator = Validator::new(schema)?;
    let value = validator.filled(value)?;
    validator.validate(&value).map(|()| value)
}

/// Checks `value` against `schema`. To check many values, keep a `Validator`.
pub fn validate(schema: &Value, value: &Value) -> Result<(), Vec<Problem>> {
    Validator::new(schema)?.validate(value)
}

// === our own schemas ===

/// Returns everything in `value` that one of our types does not allow; `own` is its schema, as `of` makes it.
pub fn check(own: &Value, value: &Value) -> Vec<Problem> {
    shape::check(own, value)
}

/// Returns the JSON Schema of one of our types.
pub fn of<T: JsonSchema>() -> Value {
    let mut schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    // Says to `shape` that the text is read as a duration; others do not know the format and pass over it.
    for (name, format) in [("Duration", "span"), ("Delay", "span_or_template")] {
        if let Some(Value::Object(duration)) = schema.pointer_mut(&format!("/$defs/{name}")) {
            duration.insert("format".to_owned(), format.into());
        }
    }
    schema
}

/// Appends a key or an index (`[2]`) to a path as people write it. An empty key leaves the path as it is.
pub(crate) fn join(path: &str, key: &str) -> String {
    match key.chars().next() {
        None => path.to_owned(),
        Some('[') => format!("{path}{key}"),
        Some(_) if path.is_empty() => key.to_owned(),
        Some(_) => format!("{path}.{key}"),
    }
}

/// Names the type of a value for people.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests;
