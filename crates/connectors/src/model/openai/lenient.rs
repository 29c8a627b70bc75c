//! JSON as providers write it: with a mark of byte order, half a character, a line break inside of a text.

use callboard_core::json::{self, Error, Limits};
use serde_json::Value;

/// Reads a document, and where it is not quite JSON, what it can only mean.
pub(super) fn value(bytes: &[u8]) -> Result<Value, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    match json::read(bytes, &Limits::default()) {
        Err(Error::Syntax { .. }) => json::read(mended(bytes).as_bytes(), &Limits::default()),
        read => read,
    }
}

/// Where JSON is wrong, without quoting it.
pub(super) fn place(error: &Error) -> String {
    match error {
        Error::Syntax { line, column, .. } => format!("it is not JSON (line {line}, column {column})"),
        Error::TooMany(_) | Error::TooDeep(_) => error.to_string(),
    }
}

/// Puts U+FFFD where a character is none, and escapes control characters inside of texts.
fn mended(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    let mut quoted = false;
    while let Some(c) = rest.chars().next() {
        if quoted && c == '\\' {
            let (escape, length) = escape(rest);
            out.push_str(escape);
            rest = &rest[length..];
            continue;
        }
        match c {
            '"' => {
                quoted = !quoted;
                out.push(c);
            }
            c if quoted && c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Returns what stands for the escape that a text begins with, and how much of the text that is.
fn escape(text: &str) -> (&str, usize) {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(0) {
        Some(0xd800..=0xdbff) => match unit(6) {
            Some(0xdc00..=0xdfff) => (&text[..12], 12),
            Some(_) | None => ("\u{fffd}", 6),
        },
        Some(0xdc00..=0xdfff) => ("\u{fffd}", 6),
        Some(_) => (&text[..6], 6),
        None => {
            let length = text.chars().take(2).map(char::len_utf8).sum();
            (&text[..length], length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn half_a_character_is_one_replacement_and_all_else_stays() {
        for (text, expected) in [
            (r#"{"a":"x\ud83d"}"#, "x\u{fffd}"),
            (r#"{"a":"\ude00x"}"#, "\u{fffd}x"),
            (r#"{"a":"\ud83d\ud83d\ude00"}"#, "\u{fffd}\u{1f600}"),
            (r#"{"a":"\ud83d\n\\\"\u00e9"}"#, "\u{fffd}\n\\\"\u{e9}"),
            (r#"{"a":"\ud83d\\ud83d"}"#, "\u{fffd}\\ud83d"),
            ("{\"a\":\"x\ny\"}", "x\ny"),
            ("\u{feff} {\"a\":\"x\"}", "x"),
        ] {
            assert_eq!(value(text.as_bytes()), Ok(json!({"a": expected})), "{text}");
        }
        assert_eq!(value(b"{\"a\":\"\xff\"}"), Ok(json!({"a": "\u{fffd}"})));
        for wrong in ["", "{", "{\"a\": oops}", "{\"a\":\"x\\", "{\"a\":\"x\\u12"] {
            assert!(value(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
