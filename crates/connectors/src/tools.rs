//! Agents' tools: what a model is told of them, and their calls, HTTP through the guarded client, or an expression. Both
//! see `args`.
//!
//! The arguments are a model's: they are data, checked against the tool's schema before they come here, and a
//! `secret://…` among them stays text.

use crate::{
    CallError,
    http::{
        Guarded, Held,
        node::{self, Answer, Call},
    },
    secret::Secrets,
};
use callboard_core::{
    Span,
    agent::{
        message::ToolSpec,
        spec::{Tool, ToolKind},
    },
    expr, request, value,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bytes of a failed call's answer that a model is told.
const TOLD: usize = 2 << 10;

/// The one door to tools. What they are is said with each call: by whoever the agent was when its run began.
#[derive(Clone)]
pub struct Tools {
    guarded: Arc<Guarded>,
    secrets: Arc<dyn Secrets>,
}

/// What a tool's call needs of its surroundings.
pub struct Around<'a> {
    /// Secrets of the run: their values are taken out of the result.
    pub names: &'a BTreeSet<String>,
    pub idempotency_key: &'a str,
    pub timeout: Option<Span>,
}

/// What a tool that only computes makes of `args`; nothing for one that reaches out.
pub fn compute(tool: &Tool, args: &Value) -> Option<Result<Answer, CallError>> {
    match &tool.kind {
        ToolKind::Expression { value } => Some(evaluated(value, args)),
        ToolKind::Http(_) => None,
    }
}

// === impl Tools ===

impl Tools {
    /// Tools that call through `guarded`, with the values of `secrets`.
    pub fn new(guarded: Arc<Guarded>, secrets: Arc<dyn Secrets>) -> Self {
        Self { guarded, secrets }
    }

    /// Returns the tools as a model sees them, by name.
    pub fn specs(&self, tools: &BTreeMap<String, Tool>) -> Vec<ToolSpec> {
        let spec = |(name, tool): (&String, &Tool)| ToolSpec {
            name: name.clone(),
            description: tool.description.clone(),
            parameters: tool.parameters.clone(),
        };
        tools.iter().map(spec).collect()
    }

    /// Calls the tool with `args`, which were checked against its schema. The error says whether another call may help.
    pub async fn call(&self, tool: &Tool, args: &Value, around: Around<'_>) -> Result<Answer, CallError> {
        let Around { names, idempotency_key, timeout } = around;
        match &tool.kind {
            ToolKind::Expression { value } => evaluated(value, args),
            ToolKind::Http(config) => {
                let context = json!({ "args": args });
                let rendered = request::render(config, &context).map_err(|e| unusable(e.to_string()))?;
                let call =
                    Call { node: config, request: &rendered, secrets: names, idempotency_key, timeout };
                node::perform(&self.guarded, &*self.secrets, call).await.map_err(told)
            }
        }
    }
}

fn evaluated(expression: &str, args: &Value) -> Result<Answer, CallError> {
    let output = expr::evaluate(expression, &json!({ "args": args })).map_err(|e| unusable(e.to_string()))?;
    Ok(Answer { output, held: Held::default() })
}

/// Returns a failure as a model is told of it: its tokens are paid for, and of what came only the body may help it.
fn told(mut error: CallError) -> CallError {
    let Some(details) = &mut error.details else { return error };
    let (body, status) = (details["body"].take(), details["status"].take());
    let text = match body {
        Value::String(text) => text,
        // Bytes say nothing to a model.
        Value::Object(mut file) if file.contains_key("base64") => {
            file.remove("base64");
            Value::Object(file).to_string()
        }
        body if value::json_len(&body) <= TOLD => {
            **details = json!({"status": status, "body": body});
            return error;
        }
        body => body.to_string(),
    };
    let end = text.floor_char_boundary(TOLD);
    **details = json!({"status": status, "body": text[..end]});
    if end < text.len() {
        details["cut"] = true.into();
    }
    error
}

fn unusable(message: String) -> CallError {
    CallError::permanent("tool_failed", message)
}

#[cfg(test)]
mod tests;
