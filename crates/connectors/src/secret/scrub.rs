//! Takes secret values out of what comes back, in the encodings in which they usually do.

use super::Secret;
use crate::CallError;
use base64::{Engine, prelude::BASE64_STANDARD_NO_PAD};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use zeroize::Zeroizing;

const MASK: &str = "***";
/// Shorter values are not looked for: they would tear every text apart.
const SHORTEST: usize = 4;
/// The same for encoded pieces, which lose characters at their ends.
const SHORTEST_PIECE: usize = 6;

/// The forms of the values that one call used.
#[derive(Clone, Default)]
pub struct Scrub(Vec<Zeroizing<String>>);

// === impl Scrub ===

impl Scrub {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>) -> Self {
        let mut forms = BTreeSet::new();
        for secret in secrets {
            let value = secret.expose();
            if value.len() >= SHORTEST {
                add_forms(value, &mut forms);
            }
        }
        let mut forms: Vec<_> = forms.into_iter().map(Zeroizing::new).collect();
        // A form inside another one must not break the longer one up.
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        Self(forms)
    }

    pub fn text(&self, text: &mut String) {
        for form in &self.0 {
            if text.contains(form.as_str()) {
                *text = text.replace(form.as_str(), MASK);
            }
        }
    }

    /// Scrubs every text in a value, keys included.
    pub fn value(&self, value: &mut Value) {
        if self.0.is_empty() {
            return;
        }
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                *fields = std::mem::take(fields)
                    .into_iter()
                    .map(|(mut key, mut value)| {
                        self.text(&mut key);
                        self.value(&mut value);
                        (key, value)
                    })
                    .collect();
            }
            Value::Number(number) => {
                let mut text = number.to_string();
                let before = text.len();
                self.text(&mut text);
                if text.len() != before || text.contains(MASK) {
                    *value = Value::String(text);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    pub fn error(&self, error: &mut CallError) {
        self.text(&mut error.message);
        self.text(&mut error.code);
    }
}

fn add_forms(value: &str, forms: &mut BTreeSet<String>) {
    forms.insert(value.to_owned());
    for hex in [hex(value.as_bytes()), hex(value.as_bytes()).to_uppercase()] {
        forms.insert(hex);
    }
    for form in percent(value) {
        forms.insert(form);
    }
    let json = Value::from(value).to_string();
    forms.insert(json.trim_matches('"').to_owned());
    for base64 in base64(value.as_bytes()) {
        forms.insert(base64.replace('+', "-").replace('/', "_"));
        forms.insert(base64);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string does not fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// URL encodings: of everything but unreserved characters, in both cases, and as forms write it.
fn percent(value: &str) -> [String; 3] {
    let upper = value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    });
    let lower = value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
        out
    });
    let form = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    [upper, lower, form]
}

/// Base64 as it stands inside a longer encoded text (`user:password`): it depends on where the value begins, and
/// the characters at its ends are shared with its neighbours.
fn base64(bytes: &[u8]) -> Vec<String> {
    let mut forms: Vec<String> = (0..3)
        .filter_map(|offset| {
            let mut padded = vec![0; offset];
            padded.extend_from_slice(bytes);
            let text = BASE64_STANDARD_NO_PAD.encode(&padded);
            let start = [0, 2, 3][offset];
            let end = if padded.len() % 3 == 0 { text.len() } else { text.len() - 1 };
            text.get(start..end).filter(|piece| piece.len() >= SHORTEST_PIECE).map(str::to_owned)
        })
        .collect();
    // The value alone, with its last character.
    forms.push(BASE64_STANDARD_NO_PAD.encode(bytes));
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
    use serde_json::json;

    #[test]
    fn no_encoding_of_the_value_stays() {
        let value = "p/ss+w \"rd?ü~";
        let scrub = Scrub::new([&Secret::new(value)]);
        let mut texts = vec![
            value.to_owned(),
            hex(value.as_bytes()),
            hex(value.as_bytes()).to_uppercase(),
            Value::from(value).to_string(),
            BASE64_STANDARD.encode(value),
            BASE64_URL_SAFE.encode(value),
        ];
        texts.extend(percent(value));
        for user in ["", "u", "us", "user"] {
            texts.push(BASE64_STANDARD.encode(format!("{user}:{value}")));
            texts.push(BASE64_STANDARD.encode(format!("{user}:{value}:more")));
        }
        for text in texts {
            let mut scrubbed = format!("before {text} after");
            scrub.text(&mut scrubbed);
            assert!(scrubbed.contains(MASK), "{text}");
            assert!(!scrubbed.contains(&text), "{text}");
        }
    }

    #[test]
    fn keys_numbers_and_nested_texts_are_scrubbed_and_others_kept() {
        let scrub = Scrub::new([&Secret::new("12345678"), &Secret::new("abc")]);
        let mut value = json!({"k12345678": [1, true, 12345678, {"x": "a12345678b"}], "abc": "abc"});
        scrub.value(&mut value);
        assert_eq!(value, json!({"k***": [1, true, "***", {"x": "a***b"}], "abc": "abc"}));
    }
}
