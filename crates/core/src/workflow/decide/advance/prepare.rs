//! What a node's configuration comes to, with the data there is: an output at once, or the input of a step.

use super::Decision;
use crate::{
    Span, Timestamp,
    call::CallError,
    expr, request,
    workflow::{
        definition::{Delay, NodeKind},
        kinds::Branch,
    },
};
use serde_json::{Value, json};

/// Nobody means to wait for more than a thousand years.
const MOST_SECONDS: f64 = 31_557_600_000.0;

/// What starting a node comes to.
pub(super) enum Prepared {
    /// The node ends at once, with this output and by this branch.
    Ended { output: Value, branch: Option<Branch> },
    /// The step is open from now on. The kind's own deadline goes before the node's timeout.
    Open { input: Value, deadline: Option<Timestamp> },
}

impl Decision<'_> {
    /// Evaluates a node's configuration: some kinds have ended then, the others have their input.
    pub(super) fn prepare(&self, kind: &NodeKind, context: &Value) -> Result<Prepared, CallError> {
        let render = |what: &str, template: &Value| {
            expr::render_under(self.meter, template, context)
                .map_err(|e| CallError::permanent("template_error", format!("{what}: {e}")))
        };
        let eval = |what: &str, source: &str| {
            expr::evaluate_under(self.meter, source, context)
                .map_err(|e| CallError::permanent("expression_error", format!("{what}: {e}")))
        };
        let open = |input, deadline| Ok(Prepared::Open { input, deadline });
        match kind {
            NodeKind::Agent(n) => {
                let prompt = expr::render_text_under(self.meter, &n.prompt, context)
                    .map_err(|e| CallError::permanent("template_error", format!("prompt: {e}")))?;
                open(json!({"agent": n.agent, "prompt": prompt}), None)
            }
            NodeKind::Transform(n) => {
                let data = match &n.input {
                    Some(source) => eval("input", source)?,
                    None => context.get("input").cloned().unwrap_or(Value::Null),
                };
                let output = crate::transform::apply_under(self.meter, &n.rules, &data)
                    .map_err(|e| CallError::permanent("transform_error", e.to_string()))?;
                Ok(Prepared::Ended { output, branch: None })
            }
            NodeKind::Condition(n) => {
                let yes = expr::holds_under(self.meter, &n.r#if, context)
                    .map_err(|e| CallError::permanent("expression_error", format!("if: {e}")))?;
                Ok(Prepared::Ended {
                    output: yes.into(),
                    branch: Some(if yes { Branch::True } else { Branch::False }),
                })
            }
            NodeKind::ForEach(n) => {
                let items = eval("items", &n.items)?;
                if !items.is_array() {
                    return Err(CallError::permanent(
                        "items_not_a_list",
                        format!("items: `{}` is not a list", n.items),
                    ));
                }
                open(items, None)
            }
            NodeKind::Loop(_) => open(Value::Null, None),
            NodeKind::Wait(n) => {
                let until = match (&n.r#for, &n.until) {
                    // A span is measured in the run's own time, so a wall clock that steps back does not make it
                    // longer.
                    (Some(Delay::Known(span)), _) => self.at + *span,
                    (Some(Delay::Rendered(template)), _) => {
                        self.at + length(&render("for", &Value::String(template.clone()))?)?
                    }
                    (None, Some(template)) => {
                        let text = expr::render_text_under(self.meter, template, context)
                            .map_err(|e| CallError::permanent("template_error", format!("until: {e}")))?;
                        Timestamp::parse(text.trim()).ok_or_else(|| {
                            CallError::permanent(
                                "invalid_instant",
                                format!("until: `{text}` is not an RFC 3339 instant"),
                            )
                        })?
                    }
                    // `Plan::compile` refuses a wait with neither.
                    (None, None) => self.at,
                };
                open(json!({"until": until.to_string()}), Some(until))
            }
            NodeKind::Signal(n) => open(json!({"name": n.name}), n.timeout.map(|t| self.at + t)),
            NodeKind::Approval(n) => {
                let title = render("title", &Value::String(n.title.clone()))?;
                let detail = n.detail.as_ref().map(|d| render("detail", d)).transpose()?;
                open(json!({"title": title, "detail": detail}), n.timeout.map(|t| self.at + t))
            }
            NodeKind::Http(n) => {
                let request = request::render_under(self.meter, n, context)
                    .map_err(|e| CallError::permanent("template_error", e.to_string()))?;
                let request = serde_json::to_value(&request)
                    .map_err(|e| CallError::permanent("template_error", e.to_string()))?;
                open(request, None)
            }
        }
    }
}

/// Reads how long to wait: a duration as in definitions, or a number of seconds.
fn length(value: &Value) -> Result<Span, CallError> {
    let found = match value {
        Value::String(text) => Span::parse(text),
        Value::Number(number) => {
            let seconds = number.as_f64().filter(|seconds| (0.0..=MOST_SECONDS).contains(seconds));
            seconds.map(|seconds| Span((seconds * 1000.0).round() as u64))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    found.filter(|span| *span <= Span::secs(MOST_SECONDS as u64)).ok_or_else(|| {
        let message =
            format!("for: `{value}` is not a duration such as {}, or a number of seconds", Span::FORMS);
        CallError::permanent("invalid_duration", message)
    })
}
