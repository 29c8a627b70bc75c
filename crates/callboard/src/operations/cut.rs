//! Values in lists: a large one shows its beginning and how large it is, and is asked for by its hash.

use callboard_core::ValueRef;
use serde_json::{Value, json};

/// A value of more bytes than this as JSON is cut in lists.
pub const WHOLE: u64 = 64 << 10;
/// Bytes of a value that is cut that are shown, at most.
const PREVIEW: usize = 1 << 10;

/// Shows a value, or the beginning of a large one. Of a text the beginning is text, of anything else that of its JSON.
pub fn shown(reference: &ValueRef, value: Value) -> Value {
    if reference.size <= WHOLE {
        return value;
    }
    let mut preview = match value {
        Value::String(text) => text,
        value => value.to_string(),
    };
    let end = (0..=PREVIEW.min(preview.len())).rev().find(|end| preview.is_char_boundary(*end));
    preview.truncate(end.unwrap_or_default());
    json!({"cut": true, "bytes": reference.size, "hash": reference.hash, "preview": preview})
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::Hash;

    #[test]
    fn a_large_value_shows_its_beginning_and_where_the_rest_is() {
        let reference = |size| ValueRef { key: "t.1".into(), hash: Hash::of(b"v"), size };
        assert_eq!(shown(&reference(WHOLE), json!(["x"])), json!(["x"]));
        // A character of four bytes stands across the bound.
        let text = format!("{}\u{1f600}{}", "x".repeat(PREVIEW - 2), "y".repeat(100_000));
        let cut = shown(&reference(WHOLE + 1), json!(text));
        assert_eq!((&cut["cut"], &cut["bytes"]), (&json!(true), &json!(WHOLE + 1)));
        assert_eq!(
            (&cut["hash"], &cut["preview"]),
            (&json!(Hash::of(b"v")), &json!("x".repeat(PREVIEW - 2)))
        );
        let cut = shown(&reference(WHOLE + 1), json!([1, {"a": "é"}]));
        assert_eq!(cut["preview"], r#"[1,{"a":"é"}]"#);
    }
}
