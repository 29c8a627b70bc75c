//! What a person is asked to approve, named by a hash, so that the answer can be bound to it.

use crate::{Datum, Hash};

/// Returns the hash, in hex, of what a person is asked: of the step's input as it is recorded.
pub fn args_hash(input: &Datum) -> String {
    match input {
        Datum::Inline(value) => Hash::of(value.to_string().as_bytes()).to_string(),
        Datum::Stored(reference) => reference.hash.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_example_of_the_page_is_right_and_made_as_the_page_says() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md");
        let page = std::fs::read_to_string(page).expect("the page");
        let (_, example) = page.split_once("\ntext='").expect("the example");
        let (text, rest) = example.split_once("'\n").expect("its end");
        let (_, hash) = rest.split_once("# ").expect("the hash");
        let hash = hash.split(';').next().expect("the hash");
        let value: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(args_hash(&Datum::inline(value)), hash);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&32_u64.to_le_bytes()).update(text.as_bytes());
        assert_eq!(&hasher.finalize().to_hex()[..32], hash);
    }

    #[test]
    fn what_is_stored_has_the_hash_that_it_has_where_it_stands() {
        let value = json!({"b": [1, "x"], "a": null});
        let text = value.to_string();
        let (hash, size) = (Hash::of(text.as_bytes()), text.len() as u64);
        let stored = Datum::Stored(crate::ValueRef { key: "1.0".into(), hash, size });
        assert_eq!(args_hash(&stored), args_hash(&Datum::inline(value)));
    }

    #[test]
    fn what_is_hashed_is_written_as_the_page_says() {
        let text = "é\u{1f600}\u{7f}\u{0}\u{1f}\"\\/\t\n\r\u{8}\u{c}\u{2028}";
        let value = json!({"b": text, "a": [u64::MAX, i64::MIN, 1.0, -0.0, 0.1, 0.00001, 0.000001, 1e15, 1e16, 1e300, 5e-324]});
        let written = concat!(
            "{\"b\":\"é\u{1f600}\u{7f}\\u0000\\u001f\\\"\\\\/\\t\\n\\r\\b\\f\u{2028}\",\"a\":[18446744073709551615,",
            "-9223372036854775808,1.0,-0.0,0.1,0.00001,1e-6,1000000000000000.0,1e+16,1e+300,5e-324]}",
        );
        assert_eq!(value.to_string(), written);
    }
}
