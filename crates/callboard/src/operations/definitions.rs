//! Definitions as they come in: read in their language, checked against the agents there are.

use super::{Refusal, text};
use crate::document;
use callboard_core::{
    Problem,
    agent::spec::Agents,
    document::{Format, parse},
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

pub use crate::document::Checked;

/// Reads a document and everything that is wrong with it. What can't be read at all is an error.
///
/// `trim` takes out of it what is the server's.
pub fn read(
    text: &[u8],
    format: Format,
    agents: &Agents,
    bound: &BTreeSet<String>,
    trim: impl FnOnce(&mut Map<String, Value>),
) -> Result<Checked, Refusal> {
    let code = match format {
        Format::Json => "malformed_json",
        Format::Yaml => "malformed_yaml",
    };
    let text = std::str::from_utf8(text)
        .map_err(|error| Refusal::malformed(code, format!("the body is not UTF-8: {error}")))?;
    if format == Format::Json {
        text::counted(text.as_bytes())?;
    }
    let value = parse(text, format).map_err(|problem| Refusal::malformed(code, problem.message))?;
    let Value::Object(mut document) = value else {
        let problem = Problem::new("", "wrong_type", "a definition is an object");
        return Err(Refusal::invalid("invalid_definition", "the definition", vec![problem]));
    };
    trim(&mut document);
    Ok(document::check(Value::Object(document), agents, bound))
}
