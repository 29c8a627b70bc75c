//! Fields of a provider's message that nobody here reads: gathered, put together where they come in pieces, bounded,
//! and put back in their places.

use callboard_core::agent::message::Extras;
use serde_json::{Map, Value};

/// Of one message, as JSON, in bytes.
const LARGEST: usize = 1 << 20;
/// Read here, or of no use to whoever wrote it.
const OF_MESSAGE: [&str; 11] = [
    "role",
    "content",
    "refusal",
    "tool_calls",
    "function_call",
    "annotations",
    "audio",
    "parsed",
    "index",
    "id",
    "name",
];
const OF_CALL: [&str; 4] = ["index", "id", "type", "function"];
const OF_FUNCTION: [&str; 3] = ["name", "arguments", "parsed_arguments"];
/// Said again in each piece, and not a piece of a text.
const SAID_AGAIN: [&str; 7] = ["type", "id", "format", "role", "name", "model", "signature"];

#[derive(Debug, Default)]
pub(super) struct Gathering {
    pub message: Map<String, Value>,
    calls: Vec<Map<String, Value>>,
}

// === impl Gathering ===

impl Gathering {
    /// Adds those of a message, or of one piece of it.
    pub fn add(&mut self, message: &Map<String, Value>) {
        merge(&mut self.message, foreign(message, &OF_MESSAGE));
    }

    /// Adds those of a tool call.
    pub fn add_call(&mut self, at: usize, call: &Map<String, Value>) {
        let mut found: Map<String, Value> = foreign(call, &OF_CALL).collect();
        if let Some(Value::Object(function)) = call.get("function") {
            let inside: Map<String, Value> = foreign(function, &OF_FUNCTION).collect();
            if !inside.is_empty() {
                found.insert("function".to_owned(), Value::Object(inside));
            }
        }
        if found.is_empty() {
            return;
        }
        if self.calls.len() <= at {
            self.calls.resize(at + 1, Map::new());
        }
        merge(&mut self.calls[at], found);
    }

    /// Adds a part of a content that is more than text, which goes back as it is.
    pub fn add_content(&mut self, parts: Value) {
        merge(&mut self.message, [("content".to_owned(), parts)]);
    }

    /// Returns them, for the calls whose places are `kept`. Too much is left out, the largest first.
    pub fn finish(mut self, kept: &[usize]) -> Option<Extras> {
        let mut calls: Vec<_> =
            kept.iter().map(|at| self.calls.get_mut(*at).map(std::mem::take).unwrap_or_default()).collect();
        while calls.last().is_some_and(Map::is_empty) {
            calls.pop();
        }
        let size = |map: &Map<String, Value>| Value::Object(map.clone()).to_string().len();
        let mut left = LARGEST;
        let mut parts: Vec<&mut Map<String, Value>> = calls.iter_mut().chain([&mut self.message]).collect();
        parts.sort_by_key(|part| size(part));
        for part in parts {
            match left.checked_sub(size(part)) {
                Some(rest) => left = rest,
                None => part.clear(),
            }
        }
        let is_empty = self.message.is_empty() && calls.iter().all(Map::is_empty);
        (!is_empty).then(|| Extras { provider: String::new(), message: self.message, calls })
    }
}

/// Puts fields into a message, or a call, where it has none of that name; objects are put together.
pub(super) fn put(into: &mut Value, fields: &Map<String, Value>) {
    let Some(into) = into.as_object_mut() else { return };
    for (name, value) in fields {
        match into.get_mut(name) {
            // It says the same, and more than its text.
            Some(content) if name == "content" => *content = value.clone(),
            Some(inside @ Value::Object(_)) => {
                if let Value::Object(fields) = value {
                    put(inside, fields);
                }
            }
            Some(_) => {}
            None => drop(into.insert(name.clone(), value.clone())),
        }
    }
}

fn foreign<'a>(map: &'a Map<String, Value>, known: &'a [&str]) -> impl Iterator<Item = (String, Value)> + 'a {
    map.iter()
        .filter(|(name, value)| !known.contains(&name.as_str()) && !is_nothing(value))
        .map(|(n, v)| (n.clone(), v.clone()))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn merge(into: &mut Map<String, Value>, from: impl IntoIterator<Item = (String, Value)>) {
    for (name, value) in from {
        if is_nothing(&value) {
            continue;
        }
        match into.get_mut(&name) {
            None | Some(Value::Null) => drop(into.insert(name, value)),
            Some(there) => match (there, value) {
                (Value::String(text), Value::String(more)) if !SAID_AGAIN.contains(&name.as_str()) => {
                    text.push_str(&more)
                }
                (Value::Object(there), Value::Object(more)) => merge(there, more),
                (Value::Array(there), Value::Array(more)) => {
                    more.into_iter().for_each(|item| join(there, item))
                }
                (there, value) => *there = value,
            },
        }
    }
}

/// Adds an item to a list: to the one it goes on with, by its `index`, or of its `type`, until that one is signed.
fn join(list: &mut Vec<Value>, item: Value) {
    let at = match item.get("index") {
        Some(index) => list.iter().position(|there| there.get("index") == Some(index)),
        None => list.len().checked_sub(1).filter(|last| {
            let there = &list[*last];
            there["type"].is_string() && there["type"] == item["type"] && is_nothing(&there["signature"])
        }),
    };
    match (at.and_then(|at| list.get_mut(at)), item) {
        (Some(Value::Object(there)), Value::Object(item)) => merge(there, item),
        (_, item) => list.push(item),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gathered(pieces: &[Value]) -> Map<String, Value> {
        let mut all = Gathering::default();
        pieces.iter().filter_map(Value::as_object).for_each(|piece| all.add(piece));
        all.message
    }

    #[test]
    fn pieces_give_what_the_whole_would_have() {
        let whole = json!({
            "reasoning_content": "first, then", "x_state": {"a": 1, "b": "2"},
            "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "first, then", "signature": "s=="}],
            "thinking_blocks": [{"type": "thinking", "thinking": "first", "signature": "a"}, {"type": "thinking", "thinking": "then"}]
        });
        let pieces = [
            json!({"role": "assistant", "content": "", "refusal": null, "reasoning_content": "first,"}),
            json!({"reasoning_content": " then", "x_state": {"a": 1}, "tool_calls": []}),
            json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "first,"}]}),
            json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": " then", "signature": null}]}),
            json!({"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "s=="}], "x_state": {"b": "2"}}),
            json!({"thinking_blocks": [{"type": "thinking", "thinking": "fir"}]}),
            json!({"thinking_blocks": [{"type": "thinking", "thinking": "st", "signature": "a"}]}),
            json!({"thinking_blocks": [{"type": "thinking", "thinking": "then"}]}),
        ];
        assert_eq!(gathered(std::slice::from_ref(&whole)), *whole.as_object().unwrap());
        assert_eq!(Value::Object(gathered(&pieces)), whole);
    }

    #[test]
    fn too_much_is_left_out_and_the_rest_goes_back() {
        let mut all = Gathering::default();
        all.add(json!({"huge": "x".repeat(LARGEST)}).as_object().unwrap());
        all.add_call(
            1,
            json!({"id": "c", "extra_content": {"google": {"thought_signature": "s"}}}).as_object().unwrap(),
        );
        let extras = all.finish(&[0, 1]).unwrap();
        assert!(extras.message.is_empty());
        assert_eq!(
            Value::from(extras.calls[1].clone()),
            json!({"extra_content": {"google": {"thought_signature": "s"}}})
        );
        let mut none = Gathering::default();
        none.add(json!({"content": "x", "annotations": [], "reasoning": null}).as_object().unwrap());
        assert_eq!(none.finish(&[]), None);
    }
}
