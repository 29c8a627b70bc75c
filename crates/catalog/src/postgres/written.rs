//! What goes into columns and comes out of them: texts that Postgres can hold, JSON that comes back as it is, and JSON that other
//! programs look into.

use crate::Error;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A text that Postgres can hold.
pub(super) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// JSON that comes back as it is.
pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|e| Error::Corrupt { what: "workflow", message: e.to_string() })
}

pub(super) fn looked_into(metadata: &Map<String, Value>) -> Result<String, Error> {
    Ok(without_zero(&json(metadata)?).into_owned())
}

/// The same JSON without the character 0, which `jsonb` refuses. Where the text of its escape is none, nothing is lost either.
pub(super) fn without_zero(json: &str) -> Cow<'_, str> {
    if !json.contains("\\u0000") {
        return json.into();
    }
    match serde_json::from_str::<Value>(json) {
        Ok(value) => Value::to_string(&replaced(value)).into(),
        Err(_) => "null".into(),
    }
}

fn replaced(value: Value) -> Value {
    match value {
        Value::String(string) => text(&string).into(),
        Value::Array(items) => items.into_iter().map(replaced).collect(),
        Value::Object(fields) => {
            let field = |(key, value): (String, Value)| (text(&key).into_owned(), replaced(value));
            Value::Object(fields.into_iter().map(field).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_others_look_into_has_no_character_zero() {
        assert_eq!(without_zero(r#"{"a":"b"}"#), r#"{"a":"b"}"#);
        assert_eq!(
            without_zero(r#"{"a\u0000":["\u0000", 1, null]}"#),
            "{\"a\u{fffd}\":[\"\u{fffd}\",1,null]}"
        );
        assert_eq!(without_zero(r#"{"a":"\\u0000"}"#), r#"{"a":"\\u0000"}"#, "a text about it is not it");
    }
}
