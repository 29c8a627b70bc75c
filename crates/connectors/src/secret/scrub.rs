//! Takes secret values out of what comes back, however a server has encoded them.
//!
//! `scrub/spelled` says how a character may be spelled, `scrub/pattern` finds the values. Not found are values that are
//! turned around, shifted, cut into pieces, or encrypted.

mod pattern;
mod spelled;

use super::Secret;
use crate::CallError;
use pattern::{Patterns, Scan};
use serde_json::Value;
use std::{borrow::Cow, sync::Arc};

const MASK: &str = "***";
/// Shorter values are not looked for: they would tear every text apart.
const SHORTEST: usize = 4;

/// The values of one run, or of one provider.
#[derive(Clone, Default)]
pub struct Scrub(Option<Arc<Patterns>>);

/// Scrubs a text that comes in pieces: what may be the beginning of a value is held back.
pub struct Pieces {
    scrub: Scrub,
    held: String,
}

// === impl Scrub ===

impl Scrub {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let values = secrets.into_iter().map(Secret::expose).filter(|value| value.len() >= SHORTEST);
        let values: Vec<&str> = values.collect();
        // Most runs have no secrets, and the tables are large.
        Self((!values.is_empty()).then(|| Arc::new(Patterns::new(values))))
    }

    /// Scrubs bytes before anybody decodes them.
    pub fn bytes<'t>(&self, bytes: &'t [u8]) -> Cow<'t, [u8]> {
        match &self.0 {
            Some(patterns) => masked(&mut patterns.scan(), bytes).map_or(Cow::Borrowed(bytes), Cow::Owned),
            None => Cow::Borrowed(bytes),
        }
    }

    pub fn text(&self, text: &mut String) {
        if let Some(patterns) = &self.0 {
            in_text(&mut patterns.scan(), text);
        }
    }

    /// Scrubs every text in a value, keys included.
    pub fn value(&self, value: &mut Value) {
        if let Some(patterns) = &self.0 {
            in_value(patterns, &mut patterns.scan(), value);
        }
    }

    pub fn error(&self, error: &mut CallError) {
        self.text(&mut error.message);
        self.text(&mut error.code);
    }

    pub fn pieces(&self) -> Pieces {
        Pieces { scrub: self.clone(), held: String::new() }
    }
}

fn in_value(patterns: &Patterns, scan: &mut Scan<'_>, value: &mut Value) {
    match value {
        Value::String(text) => in_text(scan, text),
        Value::Array(items) => items.iter_mut().for_each(|item| in_value(patterns, scan, item)),
        Value::Object(fields) => {
            let mut renamed = Vec::new();
            for (key, item) in fields.iter_mut() {
                in_value(patterns, scan, item);
                if let Some(bytes) = masked(scan, key.as_bytes()) {
                    renamed.push((key.clone(), bytes));
                }
            }
            for (key, bytes) in renamed {
                if let Some(item) = fields.remove(&key) {
                    fields.insert(String::from_utf8_lossy(&bytes).into_owned(), item);
                }
            }
        }
        Value::Number(number) if patterns.numeric => {
            if let Some(bytes) = masked(scan, number.to_string().as_bytes()) {
                *value = Value::String(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn in_text(scan: &mut Scan<'_>, text: &mut String) {
    if let Some(bytes) = masked(scan, text.as_bytes()) {
        *text = String::from_utf8_lossy(&bytes).into_owned();
    }
}

/// Returns the text without what was found, if anything was.
fn masked(scan: &mut Scan<'_>, bytes: &[u8]) -> Option<Vec<u8>> {
    let found = scan.find(bytes);
    if found.is_empty() {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for range in found {
        out.extend_from_slice(&bytes[from..range.start]);
        out.extend_from_slice(MASK.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(&bytes[from..]);
    Some(out)
}

// === impl Pieces ===

impl Pieces {
    /// Takes the next piece and returns what can be shown of all so far.
    pub fn push(&mut self, piece: &str) -> String {
        let Some(patterns) = &self.scrub.0 else { return piece.to_owned() };
        self.held.push_str(piece);
        in_text(&mut patterns.scan(), &mut self.held);
        let mut open = patterns.open_end(self.held.as_bytes());
        while !self.held.is_char_boundary(open) {
            open -= 1;
        }
        let rest = self.held.split_off(open);
        std::mem::replace(&mut self.held, rest)
    }

    /// Returns what was held back, after the last piece.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
