//! What can be wrong with the configuration of a call before there is data: names and destinations of its secrets, headers
//! that can't be sent or are not its to set, and bodies.

use super::{Content, Form, LARGEST_BODY, Template, file, is_host_fixed, is_reserved, references};
use crate::expr::{self, Misplaced};
use serde_json::Value;
use std::collections::BTreeSet;

/// The code of a secret that goes wherever data says.
pub(crate) const WITHOUT_HOSTS: &str = "secret_without_hosts";

/// A mistake in a configuration.
pub(crate) struct Mistake {
    /// Where, from the configuration: `headers.authorization`.
    pub field: String,
    pub code: &'static str,
    pub message: String,
}

/// Finds the mistakes of a configuration. `bound` are the secrets that say to which hosts they may go.
pub(crate) fn mistakes(call: &Template, bound: &BTreeSet<String>) -> Vec<Mistake> {
    let mut found = Vec::new();
    text(&call.url, "url", &mut found);
    for (part, map) in [("headers", &call.headers), ("query", &call.query)] {
        for (name, value) in map {
            each(value, &format!("{part}.{name}"), &mut found);
            key(name, &format!("{part}.{name}"), &mut found);
        }
    }
    for (field, _, body) in call.bodies() {
        each(body, field, &mut found);
    }
    headers(call, &mut found);
    bodies(call, &mut found);
    for name in call.headers.keys().filter(|name| is_reserved(name)) {
        let message = format!(
            "`{name}` can't be set: it frames the message or speaks to proxies, and is made for each call; leave it out"
        );
        found.push(Mistake { field: format!("headers.{name}"), code: "reserved_header", message });
    }
    // A secret with hosts of its own can't go anywhere else, whoever chooses the host.
    if !is_host_fixed(&call.url) {
        for name in references(call).difference(bound) {
            let message = format!(
                "data chooses the host, and so who gets the secret `{name}`; write the host out (`https://host/…`), or \
                 say in the settings where the secret may go: secrets.hosts.{name} = [\"api.example.com\"]"
            );
            found.push(Mistake { field: "url".into(), code: WITHOUT_HOSTS, message });
        }
    }
    if let Some(max) = call.max_body
        && !(1..=LARGEST_BODY).contains(&max)
    {
        let message = format!("max_body must be 1 to {LARGEST_BODY} bytes, not {max}");
        found.push(Mistake { field: "max_body".into(), code: "out_of_range", message });
    }
    found
}

/// Reports headers that can't be sent as they are written. What data makes of them is seen when it is there.
fn headers(call: &Template, found: &mut Vec<Mistake>) {
    let mut add = |field: String, message: String| {
        found.push(Mistake { field, code: "invalid_header", message });
    };
    // The characters of a `token` in RFC 9110.
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    for (name, value) in &call.headers {
        let field = format!("headers.{name}");
        if name.is_empty() || !name.bytes().all(token) {
            add(field.clone(), format!("`{name}` is not the name of a header"));
        }
        let several = value.as_array().map(Vec::as_slice);
        for (i, value) in several.unwrap_or(std::slice::from_ref(value)).iter().enumerate() {
            let field = if several.is_some() { format!("{field}[{i}]") } else { field.clone() };
            match value {
                Value::String(text) => {
                    if let Some(sign) = unsendable(text) {
                        let message = format!("the value of `{name}` has {sign}, which can't be sent");
                        add(field, message);
                    }
                }
                Value::Number(_) | Value::Bool(_) => {}
                Value::Null | Value::Array(_) | Value::Object(_) => {
                    add(field, format!("the value of `{name}` must be a text, or a list of texts"));
                }
            }
        }
    }
}

/// Returns what a header's value can't have: a line break would begin another header.
fn unsendable(template: &str) -> Option<String> {
    // Only a template that is one `{{ … }}` may end with a line break, as YAML writes it; it is no part of the result.
    let template = if expr::whole(template).is_some() { "" } else { template };
    let literal = template.chars().find(|c| c.is_ascii_control() && *c != '\t')?;
    Some(match literal {
        '\r' | '\n' => "a line break".to_owned(),
        other => format!("the control character U+{:04X}", u32::from(other)),
    })
}

/// Reports bodies that exclude each other, and those that are nothing of their form.
fn bodies(call: &Template, found: &mut Vec<Mistake>) {
    let given: Vec<&str> = call.bodies().map(|(field, _, _)| field).collect();
    if let [first, others @ ..] = given.as_slice() {
        for other in others {
            let message = format!("a request has one body, and `{first}` is given as well");
            found.push(Mistake { field: (*other).to_owned(), code: "conflicting_body", message });
        }
    }
    let mut add = |field: String, message: String| {
        found.push(Mistake { field, code: "invalid_body", message });
    };
    for (field, form, body) in call.bodies() {
        match (form, body) {
            (Form::Usual | Form::Json, _) => {}
            (Form::Text, Value::Array(_) | Value::Object(_)) => {
                add(field.to_owned(), "this is no text; `json` sends any value".to_owned());
            }
            (Form::Text, _) => {}
            (Form::Form | Form::Multipart, Value::Object(fields)) => {
                for (name, value) in fields {
                    files(value, &format!("{field}.{name}"), form, &mut add);
                }
            }
            // Data may have the fields.
            (Form::Form | Form::Multipart, Value::String(text)) if expr::whole(text).is_some() => {}
            (Form::Form | Form::Multipart, _) => {
                add(
                    field.to_owned(),
                    format!("`{field}` is an object of fields, or a template of one: `{{{{ … }}}}`"),
                );
            }
            (Form::Bytes, Value::String(text)) => base64(text, field.to_owned(), &mut add),
            (Form::Bytes, value) => match file(value).map(|file| file.content) {
                Some(Content::Base64(text)) => base64(text, format!("{field}.base64"), &mut add),
                Some(Content::Text(_)) | None => {
                    add(field.to_owned(), "`bytes` is base64, or an object `{base64, type}`".to_owned());
                }
            },
        }
    }
    let own = call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if let (Some((name, Value::String(own))), Some(_)) = (own, &call.multipart)
        && !is_template(own)
        && (!own.to_ascii_lowercase().starts_with("multipart/") || own.contains("boundary"))
    {
        let message = format!(
            "`{own}` would hide where the parts begin; leave it out, or write `multipart/…` without a boundary, which is \
             made for each call"
        );
        found.push(Mistake { field: format!("headers.{name}"), code: "invalid_header", message });
    }
}

/// Reports files that are no base64, and files in a form that has none.
fn files(value: &Value, field: &str, form: Form, add: &mut impl FnMut(String, String)) {
    if let Value::Array(items) = value {
        items.iter().enumerate().for_each(|(i, item)| files(item, &format!("{field}[{i}]"), form, add));
        return;
    }
    match file(value).map(|file| file.content) {
        Some(Content::Base64(text)) if form == Form::Multipart => {
            base64(text, format!("{field}.base64"), add);
        }
        Some(_) if form == Form::Form => {
            add(field.to_owned(), "a form has no files; `multipart` does".to_owned());
        }
        Some(_) | None => {}
    }
}

/// Reports a text that is written out and is no base64.
fn base64(text: &str, field: String, add: &mut impl FnMut(String, String)) {
    let sign = |c: char| c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "+/-_".contains(c);
    let digits = text.trim_end().trim_end_matches('=');
    let count = digits.chars().filter(|c| !c.is_ascii_whitespace()).count();
    // A reference to a secret is no base64 either, but its value may be.
    let known = !is_template(text) && crate::secret::references(text).is_empty();
    if known && (!digits.chars().all(sign) || count % 4 == 1) {
        add(field, "this is not base64".to_owned());
    }
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Checks every text inside a value, and every key.
fn each(template: &Value, field: &str, found: &mut Vec<Mistake>) {
    match template {
        Value::String(template) => text(template, field, found),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| each(item, &format!("{field}[{i}]"), found));
        }
        Value::Object(map) => {
            for (name, item) in map {
                let field = format!("{field}.{name}");
                key(name, &field, found);
                each(item, &field, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reports a reference in a name: names are not rendered.
fn key(name: &str, field: &str, found: &mut Vec<Mistake>) {
    if name.to_ascii_lowercase().contains(crate::secret::SCHEME) {
        let message = "names are sent as they are; a reference to a secret stands in a value".to_owned();
        found.push(Mistake { field: field.to_owned(), code: "invalid_secret", message });
    }
}

/// Reports what is wrong with the references in one text.
fn text(template: &str, field: &str, found: &mut Vec<Mistake>) {
    for misplaced in expr::misplaced(template) {
        let message = match misplaced {
            Misplaced::Malformed(text) => format!(
                "`{text}` is not a reference to a secret: it is `secret://` and a name of 1 to 128 letters, digits, `_`, \
                 `-` or `.`"
            ),
            Misplaced::Open(name) => format!(
                "data follows the name in `secret://{name}{{{{ … }}}}`, and data can't name a secret; put a character \
                 that no name has between them"
            ),
            Misplaced::Computed => {
                "a reference to a secret can't be computed; write `secret://name` outside of the braces"
                    .to_owned()
            }
            Misplaced::Captured(name) => format!(
                "`secret://{name}` stands in a block `{{% set %}}`, where it would become data; write it where it is \
                 used"
            ),
        };
        found.push(Mistake { field: field.to_owned(), code: "invalid_secret", message });
    }
}
