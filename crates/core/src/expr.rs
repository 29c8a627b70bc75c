//! The one language of templates and expressions (minijinja's), with bounds on fuel, size and depth.
//!
//! A text that is exactly one `{{ … }}` keeps the value's type; any other template renders to text. One pass only:
//! a value that contains `{{ … }}` stays text.

use crate::workflow::plan::Reads;
use serde_json::Value;

/// Why an evaluation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Syntax(String),
    #[error("{0}")]
    Evaluation(String),
    /// Fuel, size or depth.
    #[error("{0}")]
    Limit(String),
}

/// Checks an expression and returns what it reads.
pub fn check_expression(_source: &str) -> Result<Reads, Error> {
    Ok(Reads::default())
}

/// Checks every text inside `template` and returns what they read.
pub fn check_template(_template: &Value) -> Result<Reads, Error> {
    Ok(Reads::default())
}

/// Evaluates an expression over `context` (an object). An undefined result is an error.
pub fn evaluate(_source: &str, _context: &Value) -> Result<Value, Error> {
    Ok(Value::Null)
}

/// Evaluates an expression to its truth.
pub fn holds(_source: &str, _context: &Value) -> Result<bool, Error> {
    Ok(false)
}

/// Renders every text inside `template` over `context`.
pub fn render(template: &Value, _context: &Value) -> Result<Value, Error> {
    Ok(template.clone())
}

/// Renders one template to text, whatever its type.
pub fn render_text(template: &str, _context: &Value) -> Result<String, Error> {
    Ok(template.to_owned())
}
