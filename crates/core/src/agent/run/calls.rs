//! What models write, checked: tool calls against what the agent may do, answers against their schema.

use super::Profile;
use crate::{
    Hash,
    agent::{
        message::{CallError, ToolCall},
        spec::Tool,
    },
    schema,
};
use serde_json::Value;
use std::collections::BTreeMap;

pub(in crate::agent) fn failed(code: &str, message: impl Into<String>) -> CallError {
    CallError { code: code.into(), message: message.into(), retryable: false, retry_after: None }
}

/// Hashes a tool's name and its arguments in canonical form.
pub(super) fn call_hash(call: &ToolCall) -> Hash {
    let arguments: Value =
        serde_json::from_str(&call.arguments).unwrap_or(Value::String(call.arguments.clone()));
    Hash::chain(&[call.name.as_bytes(), canonical(&arguments).as_bytes()])
}

/// Prints JSON with its keys sorted, whatever map the value uses.
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

/// Parses an answer that must be JSON; models like to wrap it in a fence.
pub(super) fn check_answer(schema: &Value, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    let inner = trimmed
        .strip_prefix("```json")
        .or_else(|| trimmed.strip_prefix("```"))
        .and_then(|t| t.strip_suffix("```"))
        .unwrap_or(trimmed);
    let value: Value = serde_json::from_str(inner.trim()).map_err(|e| format!("it is not JSON ({e})"))?;
    schema::validate(schema, &value).map_err(|problems| {
        problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect::<Vec<_>>().join("; ")
    })?;
    Ok(value)
}

/// Checks a tool call against what the agent may do.
pub fn check_call<'p>(profile: &'p Profile, call: &ToolCall) -> Result<(&'p Tool, Value), CallError> {
    let Some(tool) = profile.tools.get(&call.name) else {
        let known: Vec<&str> = profile.tools.keys().map(String::as_str).collect();
        let message = format!("there is no tool {}; there is {}", call.name, known.join(", "));
        return Err(failed("invalid_arguments", message));
    };
    let arguments: Value = serde_json::from_str(&call.arguments)
        .map_err(|e| failed("invalid_arguments", format!("the arguments are not JSON: {e}")))?;
    schema::validate(&tool.parameters, &arguments).map_err(|problems| {
        let all: Vec<String> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
        failed("invalid_arguments", all.join("; "))
    })?;
    Ok((tool, arguments))
}
