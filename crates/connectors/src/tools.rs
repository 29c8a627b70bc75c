//! Performs an agent's tool: an HTTP call through the guarded client, or an expression. Both see `args`.
//!
//! The arguments are a model's: they are data, checked against the tool's schema before they come here, and a
//! `secret://…` among them stays text.

use crate::{
    CallError, failed,
    http::{
        Guarded,
        node::{self, Call},
    },
    secret::{self, Secrets},
};
use callboard_core::{
    Span,
    agent::spec::{Tool, ToolKind},
    expr,
    workflow::definition::HttpNode,
};
use serde_json::{Map, Value, json};

/// What a tool that only computes makes of `args`; nothing for one that reaches out.
pub fn compute(tool: &Tool, args: &Value) -> Option<Result<Value, CallError>> {
    match &tool.kind {
        ToolKind::Expression { value } => {
            Some(expr::evaluate(value, &json!({ "args": args })).map_err(unusable))
        }
        ToolKind::Http(_) => None,
    }
}

/// Calls the tool with `args`.
pub async fn perform(
    tool: &Tool,
    args: &Value,
    guarded: &Guarded,
    secrets: &dyn Secrets,
    idempotency_key: &str,
    timeout: Option<Span>,
) -> Result<Value, CallError> {
    let context = json!({ "args": args });
    match &tool.kind {
        ToolKind::Expression { value } => expr::evaluate(value, &context).map_err(unusable),
        ToolKind::Http(config) => {
            let rendered = render(config, &context)?;
            let allowed = node::references(config);
            let call = Call { node: &rendered, allowed, idempotency_key, timeout };
            node::perform(guarded, secrets, call).await
        }
    }
}

/// Renders the configuration such that only its own references to secrets are references afterwards.
fn render(config: &HttpNode, context: &Value) -> Result<HttpNode, CallError> {
    // Nobody can guess these, so no argument can be one.
    let mark = format!("{:032x}", rand::random::<u128>());
    let guard =
        |template: &Value| map(template, &|text| secret::replace(text, |name| format!("{mark}{name}")));
    let render = |template: &Value| -> Result<Value, CallError> {
        let rendered = expr::render(&guard(template), context).map_err(unusable)?;
        Ok(map(&rendered, &|text| {
            // An argument's own `secret://` is broken up by a character that no name and no URL scheme has.
            text.replace("secret://", "secret:\u{200b}//").replace(&mark, "secret://")
        }))
    };
    let render_map = |templates: &Map<String, Value>| -> Result<Map<String, Value>, CallError> {
        templates.iter().map(|(key, template)| Ok((key.clone(), render(template)?))).collect()
    };
    let url = match render(&Value::from(config.url.as_str()))? {
        Value::String(url) => url,
        other => other.to_string(),
    };
    Ok(HttpNode {
        url,
        headers: render_map(&config.headers)?,
        query: render_map(&config.query)?,
        body: config.body.as_ref().map(render).transpose()?,
        ..config.clone()
    })
}

fn map(value: &Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::from(change(text)),
        Value::Array(items) => items.iter().map(|item| map(item, change)).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, item)| (key.clone(), map(item, change))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn unusable(error: expr::Error) -> CallError {
    failed("tool_failed", error.to_string(), false)
}

#[cfg(test)]
mod tests;
