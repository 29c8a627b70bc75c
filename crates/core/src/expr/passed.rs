//! Paths that stand alone: what they lead to is passed on as it is.
//!
//! Nothing is evaluated, so a result may be of any size that can be stored; the number of its entries stays bounded.

use super::{COLLECTION_LIMIT, Error};
use serde_json::Value;

/// Words that are no names.
const WORDS: [&str; 15] = [
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "loop",
    "recursive",
];

/// Returns what `source` leads to if it is a path of the context and nothing else.
pub(super) fn along(source: &str, context: &Value) -> Option<Result<Value, Error>> {
    let path = source.trim();
    let mut parts = path.split('.');
    let root = parts.next().filter(|root| is_name(root) && !WORDS.contains(root))?;
    // A name that is not there may be a function.
    let root = context.get(root)?;
    if !parts.clone().all(|part| is_name(part) || is_index(part)) {
        return None;
    }
    let found = parts.try_fold(root, |at, part| match at {
        Value::Object(map) => map.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    });
    // A letter of a text is asked for by its place, too.
    match found {
        Some(Value::Array(items)) if items.len() > COLLECTION_LIMIT => None,
        Some(Value::Object(map)) if map.len() > COLLECTION_LIMIT => None,
        Some(value) => Some(Ok(value.clone())),
        None if path.ends_with(|c: char| c.is_ascii_digit()) => None,
        None => Some(Err(Error::Evaluation(format!("{path} is undefined")))),
    }
}

fn is_name(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_index(part: &str) -> bool {
    !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit())
}
