//! What can be wrong with the configuration of a call before there is data: names and destinations of its secrets, and
//! headers that are not its to set.

use super::{LARGEST_BODY, Template, is_host_fixed, is_reserved, references};
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
    if let Some(body) = &call.body {
        each(body, "body", &mut found);
    }
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
