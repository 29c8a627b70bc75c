//! Reads what is asked as a type of ours, and finds all mistakes at once: by the schema of the type, as in definitions.

use super::Refusal;
use callboard_core::{
    Problem,
    id::{OperationId, TriggerId},
    schema,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The body of an operation. It allows no unknown fields.
pub trait Request: DeserializeOwned + JsonSchema {
    /// Returns what no schema can say is wrong with these fields.
    fn mistakes(_: &Map<String, Value>) -> Vec<Problem> {
        Vec::new()
    }
}

/// The caller's own name of an operation: the same name does the same thing once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

// === impl Key ===

impl Key {
    /// Reads a key: 1 to 255 visible ASCII characters. In quotes, as a string of RFC 9651, it is what stands in them.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_matches([' ', '\t']);
        let text = match text.strip_prefix('"') {
            Some(quoted) => unquoted(quoted)?,
            None => text.to_owned(),
        };
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(Self(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names what a trigger starts for an occasion. A caller's key has no blank, so nobody else names anything so.
    pub fn of_occasion(trigger: &TriggerId, occasion: &str) -> Self {
        Self(format!("trigger {trigger} {occasion}"))
    }

    /// Returns the id of an operation: the caller's key, or a fresh one.
    pub fn or_fresh(key: Option<Self>) -> OperationId {
        key.map_or_else(|| OperationId::unrepeated(Uuid::now_v7()), |key| OperationId::new(key.0))
    }
}

/// Reads a string up to the quote that ends it, which nothing follows. Only quotes and backslashes are escaped.
fn unquoted(text: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), text.chars());
    loop {
        match rest.next()? {
            '"' => return rest.as_str().is_empty().then_some(out),
            '\\' => out.push(rest.next().filter(|c| matches!(c, '"' | '\\'))?),
            c => out.push(c),
        }
    }
}

/// Reads a body, or says everything that is wrong with it. An absent one has no fields.
pub fn read<T: Request>(body: Option<Value>) -> Result<T, Refusal> {
    let refused = |problems| Refusal::invalid("invalid_body", "the body", problems);
    let own = schema::of::<T>();
    let mut body = body.unwrap_or_else(|| Value::Object(Map::new()));
    if let Some(fields) = body.as_object_mut() {
        // What has to be given and is null is not given.
        let required = own["required"].as_array().map_or(&[][..], Vec::as_slice);
        fields.retain(|name, value| !(value.is_null() && required.iter().any(|field| field == name)));
    }
    let mut problems = schema::check(&own, &body);
    problems.extend(body.as_object().into_iter().flat_map(T::mistakes));
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    serde_json::from_value(body)
        .map_err(|error| refused(vec![Problem::new("", "wrong_type", error.to_string())]))
}

/// Tells null from nothing, for fields that any JSON fits.
pub(super) fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::{Approve, Nothing, Rerun, Signal, Start, StartInline};
    use super::*;
    use serde_json::json;

    fn wrong<T: Request>(body: Value) -> Vec<(String, String)> {
        let refusal = read::<T>(Some(body)).err().expect("mistakes");
        assert_eq!(refusal.code, "invalid_body");
        let mut found: Vec<_> =
            refusal.problems.expect("problems").into_iter().map(|p| (p.path, p.code)).collect();
        found.sort();
        found
    }

    fn found(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect()
    }

    #[test]
    fn every_mistake_is_found() {
        assert_eq!(
            wrong::<Approve>(json!({"approved": "yes", "nodes": 1, "x": 2, "generation": 1.5})),
            found(&[
                ("approved", "wrong_type"),
                ("generation", "wrong_type"),
                ("node", "missing_field"),
                ("nodes", "unknown_field"),
                ("x", "unknown_field")
            ])
        );
        read::<Signal>(Some(json!({"name": "n".repeat(255)}))).expect("a name");
        let long = "n".repeat(256);
        assert_eq!(
            wrong::<Signal>(json!({"name": long, "x": 1})),
            found(&[("name", "invalid"), ("x", "unknown_field")])
        );
        assert_eq!(wrong::<Signal>(json!({"name": ""})), found(&[("name", "invalid")]));
        assert_eq!(wrong::<Nothing>(json!({"why": 1})), found(&[("why", "unknown_field")]));
    }

    #[test]
    fn a_list_is_no_body_and_no_body_has_no_fields() {
        for body in [json!([]), json!(null), json!(true), json!("text")] {
            assert_eq!(wrong::<Start>(body), found(&[("", "wrong_type")]));
        }
        assert_eq!(read::<Start>(None).map(|start| start.input).ok(), Some(None));
        read::<Nothing>(None).expect("no body is needed");
    }

    #[test]
    fn null_is_no_value_where_one_is_required_and_a_value_where_any_fits() {
        assert_eq!(
            wrong::<StartInline>(json!({"definition": null})),
            found(&[("definition", "missing_field")])
        );
        assert_eq!(wrong::<Rerun>(json!({"from": null})), found(&[("from", "missing_field")]));
        let start: Start = read(Some(json!({"input": null}))).expect("a start");
        assert_eq!(start.input, Some(Value::Null));
        let signal: Signal = read(Some(json!({"name": "go", "data": null}))).expect("a signal");
        assert_eq!(signal.data, Value::Null);
        let approve: Approve =
            read(Some(json!({"node": "n", "approved": true, "comment": null}))).expect("an answer");
        assert_eq!(approve.comment, None);
    }

    #[test]
    fn a_key_is_visible_ascii_with_or_without_quotes() {
        let key = |text: &str| Key::parse(text).map(|key| key.as_str().to_owned());
        let (most, more) = ("x".repeat(255), "x".repeat(256));
        for (given, read) in [
            ("k", "k"),
            (" k\t", "k"),
            ("\"k\"", "k"),
            ("\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            (r#"a"b\c"#, r#"a"b\c"#),
            ("!~;=,:/", "!~;=,:/"),
            (&most, &most),
        ] {
            assert_eq!(key(given).as_deref(), Some(read), "{given}");
        }
        for wrong in [
            "",
            " ",
            "\t",
            "a b",
            "a\tb",
            "a, b",
            "\"\"",
            "\" \"",
            "\"a b\"",
            "\"",
            "\"k",
            "\"k\"x",
            "\"k\";p=1",
            "\"k\", \"l\"",
            r#""a\b""#,
            r#""k\""#,
            "\u{e9}",
            "k\u{7f}",
            "k\0",
            &more,
        ] {
            assert_eq!(key(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn nobody_can_name_an_operation_as_we_name_one_that_has_no_name() {
        let ours = Key::or_fresh(None);
        assert!(ours.is_unrepeated() && ours != Key::or_fresh(None));
        assert_eq!(Key::parse(ours.as_str()), None);
        assert!(!Key::or_fresh(Key::parse("once")).is_unrepeated());
    }
}
