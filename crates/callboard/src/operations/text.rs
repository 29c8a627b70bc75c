//! JSON as it comes in: of bounded depth, and with the place of what is malformed.

use super::{Kind, Refusal};
use callboard_core::json;
use serde_json::Value;

/// Lists and objects inside each other.
pub const DEPTH: usize = 64;

/// Parses JSON of bounded depth; says where it is malformed.
pub fn parse(bytes: &[u8]) -> Result<Value, Refusal> {
    shallow(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| Refusal::malformed("malformed_json", error.to_string()))
}

/// Refuses JSON that nests too deep, before anything recurses into it.
pub fn shallow(bytes: &[u8]) -> Result<(), Refusal> {
    too_deep(bytes).map_or(Ok(()), |(line, column)| {
        let detail = format!("deeper than {DEPTH} levels at line {line} column {column}");
        Err(Refusal::malformed("too_deep", detail))
    })
}

/// Refuses the text of a definition that stands for too much, before anything is built: `[[],[],…]` takes fifty times its text.
pub fn counted(bytes: &[u8]) -> Result<(), Refusal> {
    shallow(bytes)?;
    json::check(bytes, &json::Limits::default()).map_err(|error| match error {
        json::Error::TooMany(_) => {
            Refusal::new(Kind::TooLarge, "too_many_values", format!("the definition is too large: {error}"))
        }
        json::Error::TooDeep(_) => Refusal::malformed("too_deep", error.to_string()),
        json::Error::Syntax { .. } => Refusal::malformed("malformed_json", error.to_string()),
    })
}

/// Returns where brackets outside of strings first nest too deep.
fn too_deep(bytes: &[u8]) -> Option<(usize, usize)> {
    let (mut depth, mut line, mut column) = (0_usize, 1, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in bytes {
        column += 1;
        match byte {
            b'\n' => (line, column) = (line + 1, 0),
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                if depth > DEPTH {
                    return Some((line, column));
                }
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_counted_outside_of_strings() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(DEPTH).as_bytes()).is_ok());
        assert_eq!(parse(nested(DEPTH + 1).as_bytes()).expect_err("too deep").code, "too_deep");
        let text = format!("\"\\\"{}\"", "[".repeat(100));
        assert!(parse(text.as_bytes()).is_ok());
    }

    #[test]
    fn malformed_json_is_located() {
        let error = parse(b"{\n \"a\": }").expect_err("malformed");
        assert_eq!((error.kind, error.code.as_ref()), (Kind::Malformed, "malformed_json"));
        assert!(error.detail.contains("line 2 column 7"), "{}", error.detail);
    }
}
