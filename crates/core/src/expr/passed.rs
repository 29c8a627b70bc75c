//! Paths that stand alone: what they lead to is passed on as it is.
//!
//! Nothing is evaluated, so what is passed on may be of any size that can be stored. What goes on to be looked through keeps
//! the bound on its entries.

use super::{
    COLLECTION_LIMIT, DEPTH_LIMIT, Error,
    scan::{Piece, pieces},
};
use crate::value::{VALUE_LIMIT, json_len};
use serde_json::Value;
use std::borrow::Cow;

/// Words that are no names.
pub(super) const WORDS: [&str; 15] = [
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

/// Bytes that may still be passed on.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
}

impl Room {
    pub fn new() -> Self {
        Self { left: VALUE_LIMIT }
    }

    fn take(&mut self, bytes: usize) -> Result<(), Error> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => {
                Err(Error::Limit(format!("what is passed on is larger than {VALUE_LIMIT} bytes together")))
            }
        }
    }
}

/// Returns what `source` leads to if it is a path of the context and nothing else, and may be looked through.
pub(super) fn along(source: &str, context: &Value) -> Option<Result<Value, Error>> {
    match reached(source, context)? {
        Ok(Value::Array(items)) if items.len() > COLLECTION_LIMIT => None,
        Ok(Value::Object(map)) if map.len() > COLLECTION_LIMIT => None,
        found => Some(found.cloned()),
    }
}

/// The same of a value that is only passed on, whatever number of entries it has.
pub(super) fn whole(source: &str, context: &Value, room: &mut Room) -> Option<Result<Value, Error>> {
    let found = reached(source, context)?;
    Some(found.and_then(|value| {
        shallow(value)?;
        room.take(json_len(value))?;
        Ok(value.clone())
    }))
}

/// Returns what a template comes to that has nothing but paths in its tags; `print` writes what they lead to.
pub(super) fn text(
    template: &str,
    context: &Value,
    room: &mut Room,
    print: impl Fn(&str, &mut String),
) -> Option<Result<String, Error>> {
    let pieces = pieces(template);
    let is_plain = pieces.iter().all(|piece| match piece {
        // A comment, or a block whose content is not read.
        Piece::Inert(text) => !text.contains("{#") && !text.contains("{%"),
        Piece::Tag { block, body, close, .. } => {
            !block && *close == "}}" && !body.starts_with(['-', '+']) && !body.ends_with(['-', '+'])
        }
    });
    if !is_plain {
        return None;
    }
    let mut out = String::new();
    for piece in &pieces {
        let body = match piece {
            Piece::Inert(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Tag { body, .. } => body,
        };
        let value = match reached(body, context)? {
            Ok(value) => value,
            Err(error) => return Some(Err(error)),
        };
        let bytes = value.as_str().map_or_else(|| json_len(value), str::len);
        if let Err(error) = shallow(value).and_then(|()| room.take(bytes)) {
            return Some(Err(error));
        }
        let printed = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
        print(&printed, &mut out);
    }
    Some(Ok(out))
}

/// Errs if a value is nested too deep to be passed on.
fn shallow(value: &Value) -> Result<(), Error> {
    fn within(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(items) => left > 0 && items.iter().all(|item| within(item, left - 1)),
            Value::Object(map) => left > 0 && map.values().all(|item| within(item, left - 1)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        }
    }
    if within(value, DEPTH_LIMIT) {
        return Ok(());
    }
    Err(Error::Limit(format!("a value is nested deeper than {DEPTH_LIMIT} levels")))
}

/// Follows `source` through the context if it is a path and nothing else.
fn reached<'v>(source: &str, context: &'v Value) -> Option<Result<&'v Value, Error>> {
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
        Some(value) => Some(Ok(value)),
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
