//! What models write, checked: tool calls against what the agent may do, answers against their schema.

use super::answer;
use crate::{
    Hash, Problem,
    agent::{message::ToolCall, spec::Tool, task::Profile},
    call::CallError,
    json,
    schema::{self, Validator},
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Hashes a tool's name and its arguments in canonical form, so that a call with its keys in another order is the
/// same call.
pub(super) fn call_hash(call: &ToolCall) -> Hash {
    let arguments = json::read(call.arguments.as_bytes(), &json::Limits::default())
        // Arguments that are no JSON are compared as text.
        .unwrap_or_else(|_| Value::String(call.arguments.clone()));
    Hash::chain(&[call.name.as_bytes(), canonical(&arguments).as_bytes()])
}

/// Prints JSON with its keys sorted: the order of a value's own map depends on a feature of `serde_json`.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, String> = map.iter().map(|(k, v)| (k, canonical(v))).collect();
            let fields: Vec<String> =
                sorted.into_iter().map(|(k, v)| format!("{}:{v}", Value::String(k.clone()))).collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Why an answer was not taken.
pub(super) enum Unfit {
    /// What the model is told, so that it answers otherwise.
    Answer(String),
    /// No answer could be checked against it.
    Schema(CallError),
}

/// Finds the one value in an answer that fits its schema, whatever it is wrapped in.
pub(super) fn check_answer(schema: &Value, text: &str) -> Result<Value, Unfit> {
    let wants = Validator::new(schema).map_err(|problems| {
        let code = problems.first().map_or("invalid_schema", |p| &p.code);
        Unfit::Schema(CallError::permanent(
            code,
            format!("the output schema can't be used: {}", listed(&problems)),
        ))
    })?;
    answer::find(text, |value| wants.validate(value).map_err(|problems| listed(&problems)))
        .map_err(Unfit::Answer)
}

/// Puts problems into one sentence, which a model may read.
fn listed(problems: &[Problem]) -> String {
    let one = |p: &Problem| match p.path.as_str() {
        "" => p.message.clone(),
        path => format!("{path}: {}", p.message),
    };
    problems.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Checks a tool call against what the agent may do. Returns the tool and the arguments. Errs with
/// `invalid_arguments` and a sentence for the model.
pub fn check_call<'p>(profile: &'p Profile, call: &ToolCall) -> Result<(&'p Tool, Value), CallError> {
    let Some(tool) = profile.tools.get(&call.name) else {
        let known: Vec<&str> = profile.tools.keys().map(String::as_str).collect();
        let message = format!("there is no tool {}; there is {}", call.name, known.join(", "));
        return Err(CallError::permanent("invalid_arguments", message));
    };
    let arguments = json::read(call.arguments.as_bytes(), &json::Limits::default())
        .map_err(|e| CallError::permanent("invalid_arguments", format!("the arguments are not JSON: {e}")))?;
    // What the model left out is what the tool's schema says.
    let arguments = schema::filled(&tool.parameters, Some(arguments))
        .map_err(|problems| CallError::permanent("invalid_arguments", listed(&problems)))?;
    Ok((tool, arguments))
}
