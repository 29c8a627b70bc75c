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
    expr,
    request::{self, Request, Template},
    value,
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

/// A tool's call, as far as it only computes.
pub enum Prepared {
    Answered(Answer),
    /// It reaches out: this is what is to be sent.
    Request(Box<Outbound>),
}

/// A request with the arguments in it, and what it was rendered from.
pub struct Outbound {
    template: Template,
    request: Request,
}

/// Computes what can be computed of a call with `args`, which were checked against the tool's schema.
pub fn prepare(tool: &Tool, args: &Value) -> Result<Prepared, CallError> {
    let context = json!({ "args": args });
    match &tool.kind {
        ToolKind::Expression { value } => {
            let output = expr::evaluate(value, &context).map_err(|e| unusable(e.to_string()))?;
            Ok(Prepared::Answered(Answer { output, held: Held::default() }))
        }
        ToolKind::Http(template) => {
            let request = request::render(template, &context).map_err(|e| unusable(e.to_string()))?;
            Ok(Prepared::Request(Box::new(Outbound { template: template.clone(), request })))
        }
    }
}

// === impl Outbound ===

impl Outbound {
    /// Returns whom it calls.
    pub fn host(&self) -> String {
        node::host_of(&self.request.url)
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

    /// Sends a tool's request. The error says whether another call may help.
    pub async fn send(&self, outbound: &Outbound, around: Around<'_>) -> Result<Answer, CallError> {
        let Around { names, idempotency_key, timeout } = around;
        let Outbound { template, request } = outbound;
        let call = Call { node: template, request, secrets: names, idempotency_key, timeout };
        node::perform(&self.guarded, &*self.secrets, call).await.map_err(told)
    }
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
