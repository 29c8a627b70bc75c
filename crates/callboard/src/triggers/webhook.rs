//! What is said of a webhook, and what its template sees of a delivery.

use super::settings::{read, template};
use callboard_core::{
    Problem, Span,
    expr::{self, Brake, Meter},
    secret::SCHEME,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The longest that a sender waits for an end.
const WAIT: Span = Span::secs(30);
/// Deliveries a minute, unless it is said.
pub const RATE: u32 = 600;
const MOST: u32 = 60_000;
/// What a template does not see: it says who the sender is.
const HIDDEN: [&str; 9] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "apikey",
    "x-hub-signature",
    "x-hub-signature-256",
    "webhook-signature",
    "svix-signature",
];

/// A webhook.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// How its sender says who it is.
    pub scheme: Scheme,
    /// A reference, `secret://NAME`; unless it is given we make one, and show it once.
    #[serde(default)]
    pub secret: Option<String>,
    /// An expression over `body` and `headers`. Where it is false nothing is started.
    #[serde(default, rename = "if")]
    pub condition: Option<String>,
    /// The run's input, a template over `body` and `headers`; `{{ body }}` unless it is given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// How long the sender waits for the run's end, at most `30s`; not at all unless it is given.
    #[serde(default)]
    pub wait: Option<Span>,
    /// Deliveries a minute, up to 60000; 600 unless it is given.
    #[serde(default)]
    pub rate: Option<u32>,
    /// The version that runs; the latest unless it is given.
    #[serde(default)]
    pub version: Option<u32>,
}

/// How a sender says who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// `X-Hub-Signature-256`, as GitHub signs.
    Github,
    /// `webhook-id`, `webhook-timestamp`, `webhook-signature`: Standard Webhooks.
    Standard,
    /// `Authorization: Bearer`, and the secret.
    Bearer,
}

/// What a delivery brought. It is not printed: there are secrets in it.
pub struct Delivery {
    /// By name, in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: bytes::Bytes,
}

/// Tells null from nothing, for fields that any JSON fits.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

// === impl WebhookSettings ===

impl WebhookSettings {
    /// Reads what is said of a webhook, or everything that is wrong with it.
    pub fn read(settings: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let read: Self = read(settings)?;
        let mut problems: Vec<Problem> = template("input", read.input.as_ref()).into_iter().collect();
        let mut wrong =
            |path: &str, code: &str, message: String| problems.push(Problem::new(path, code, message));
        if let Some(Err(error)) = read.condition.as_deref().map(expr::check_expression) {
            wrong("if", "invalid_expression", error.to_string());
        }
        if read.secret.as_deref().is_some_and(|secret| reference(secret).is_none()) {
            wrong("secret", "invalid_secret", format!("a secret is named as {SCHEME}NAME"));
        }
        if read.wait.is_some_and(|wait| wait > WAIT) {
            wrong("wait", "out_of_range", format!("a sender waits for at most {WAIT}"));
        }
        if read.rate.is_some_and(|rate| rate == 0 || rate > MOST) {
            wrong("rate", "out_of_range", format!("a rate is from 1 to {MOST} a minute"));
        }
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    /// Returns the name of its secret, where that is not ours.
    pub fn secret_name(&self) -> Option<&str> {
        self.secret.as_deref().and_then(reference)
    }

    /// Returns the input of the run that a delivery starts; nothing if it starts none.
    pub fn input_of(
        &self,
        delivery: &Delivery,
        body: Value,
        brake: &Brake,
    ) -> Result<Option<Value>, expr::Error> {
        let headers: Map<String, Value> = delivery
            .headers
            .iter()
            .filter(|(name, _)| !HIDDEN.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let seen = json!({"body": body, "headers": headers});
        let meter = Meter::new(Some(brake));
        if let Some(condition) = &self.condition
            && !expr::holds_under(&meter, condition, &seen)?
        {
            return Ok(None);
        }
        let Value::Object(mut seen) = seen else { return Ok(None) };
        match &self.input {
            None => Ok(seen.remove("body")),
            Some(template) => expr::render_under(&meter, template, &Value::Object(seen)).map(Some),
        }
    }
}

/// Returns the name in `secret://NAME`.
fn reference(text: &str) -> Option<&str> {
    let name = text.strip_prefix(SCHEME)?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (!name.is_empty() && name.len() <= 128 && name.chars().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: Value) -> Result<WebhookSettings, Vec<Problem>> {
        WebhookSettings::read(settings.as_object().expect("an object"))
    }

    #[test]
    fn every_mistake_of_a_webhook_is_told() {
        let mistaken = read(
            json!({"scheme": "github", "secret": "hush", "if": "a ==", "input": "{{ a", "wait": "31s", "rate": 0}),
        );
        let mut codes: Vec<_> =
            mistaken.expect_err("mistakes").into_iter().map(|problem| (problem.path, problem.code)).collect();
        codes.sort();
        let expected = [
            ("if", "invalid_expression"),
            ("input", "invalid_template"),
            ("rate", "out_of_range"),
            ("secret", "invalid_secret"),
            ("wait", "out_of_range"),
        ];
        assert_eq!(codes, expected.map(|(path, code)| (path.to_owned(), code.to_owned())));
        let mistaken = read(json!({"scheme": "hmac", "x": 1})).expect_err("mistakes");
        assert_eq!(mistaken.len(), 2, "{mistaken:?}");
        assert_eq!(read(json!({})).expect_err("mistakes")[0].path, "scheme");
    }

    #[test]
    fn a_template_sees_body_and_headers_and_not_who_sent_them() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let delivery = Delivery {
            headers: BTreeMap::from([
                header("x-github-event", "push"),
                header("authorization", "Bearer hush"),
                header("x-hub-signature-256", "sha256=00"),
            ]),
            body: bytes::Bytes::new(),
        };
        let of = |settings: Value, body: Value| {
            read(settings).expect("fine").input_of(&delivery, body, &Brake::default()).expect("it renders")
        };
        let body = json!({"ref": "main", "n": 1});
        assert_eq!(of(json!({"scheme": "github"}), body.clone()), Some(body.clone()));
        let mapped =
            json!({"scheme": "github", "input": {"branch": "{{ body.ref }}", "all": "{{ headers }}"}});
        assert_eq!(
            of(mapped, body.clone()),
            Some(json!({"branch": "main", "all": {"x-github-event": "push"}}))
        );
        let only = json!({"scheme": "github", "if": "headers['x-github-event'] == 'push' and body.n > 1"});
        assert_eq!(of(only.clone(), body), None, "it is skipped");
        assert_eq!(of(only, json!({"n": 2})), Some(json!({"n": 2})));
    }
}
