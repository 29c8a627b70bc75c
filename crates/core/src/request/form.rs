//! The forms in which a body is sent, and what becomes of lists and files in them.

use super::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How a rendered body goes out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// A text as it is, anything else as JSON.
    #[default]
    Usual,
    Json,
    Text,
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// Bytes, of base64.
    Bytes,
}

/// How an answer is read where its own type does not do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HttpAnswer")]
pub struct Answer {
    #[serde(default, skip_serializing_if = "As::is_default")]
    pub r#as: As,
    /// The charset of its bytes, in place of the one that it declares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charset: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "HttpAnswerAs")]
pub enum As {
    /// As its content type says.
    #[default]
    Auto,
    Json,
    Text,
    /// An object with `base64`, `type` and `size`.
    Bytes,
}

/// A file in a request: `{base64, type, name, size}`, as an answer of bytes comes, or `{text, name, type}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File<'a> {
    pub content: Content<'a>,
    pub kind: Option<&'a str>,
    pub name: Option<&'a str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    Base64(&'a str),
    Text(&'a str),
}

/// Returns the file that a value is, if it is one and nothing else.
pub fn file(value: &Value) -> Option<File<'_>> {
    let fields = value.as_object()?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let only = |names: &[&str]| fields.keys().all(|key| names.contains(&key.as_str()));
    let content = match (text("base64"), text("text")) {
        (Some(base64), None) if only(&["base64", "type", "name", "size"]) => Content::Base64(base64),
        // Without a name it may as well be any object.
        (None, Some(content)) if only(&["text", "type", "name"]) && text("name").is_some() => {
            Content::Text(content)
        }
        _ => return None,
    };
    Some(File { content, kind: text("type"), name: text("name") })
}

/// Calls `f` with each value that stands under one name, and the JSON pointer to it: the items of a list one by one, and
/// nothing for null.
pub fn each_value<E>(
    value: &Value,
    at: &str,
    f: &mut impl FnMut(&Value, &str) -> Result<(), E>,
) -> Result<(), E> {
    match value {
        Value::Null => Ok(()),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .filter(|(_, item)| !item.is_null())
            .try_for_each(|(i, item)| f(item, &format!("{at}/{i}"))),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => f(value, at),
    }
}

// === impl As ===

impl As {
    fn is_default(&self) -> bool {
        *self == As::default()
    }
}

// === impl Answer ===

impl Answer {
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

// === impl Form ===

impl Form {
    pub(super) fn is_usual(&self) -> bool {
        *self == Form::Usual
    }
}

// === impl Template ===

impl Template {
    /// Returns every body that is given, with its field. A checked configuration has one at most.
    pub fn bodies(&self) -> impl Iterator<Item = (&'static str, Form, &Value)> {
        [
            ("body", Form::Usual, &self.body),
            ("json", Form::Json, &self.json),
            ("text", Form::Text, &self.text),
            ("form", Form::Form, &self.form),
            ("multipart", Form::Multipart, &self.multipart),
            ("bytes", Form::Bytes, &self.bytes),
        ]
        .into_iter()
        .filter_map(|(field, form, body)| Some((field, form, body.as_ref()?)))
    }
}
