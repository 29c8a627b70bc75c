//! Declarative subscriptions, `dapr.io/v1alpha1` and `v2alpha1`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Which topic goes to which route of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub pubsub: String,
    pub topic: String,
    pub dead_letter: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// The first rule that matches wins; one without `matches` always does.
    pub rules: Vec<Rule>,
    pub origin: Origin,
}

/// One route and the CEL expression that leads to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub matches: Option<String>,
    pub path: String,
}

/// Who asked for a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Declarative,
    Programmatic,
    Streaming,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(default)]
    pubsubname: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    route: Option<String>,
    #[serde(default)]
    routes: Option<Routes>,
    #[serde(default)]
    metadata: BTreeMap<String, Value>,
    #[serde(default)]
    dead_letter_topic: Option<String>,
    #[serde(default)]
    bulk_subscribe: Option<Bulk>,
}

#[derive(Deserialize)]
struct Routes {
    #[serde(default)]
    rules: Vec<Route>,
    #[serde(default)]
    default: Option<String>,
}

#[derive(Deserialize)]
struct Route {
    #[serde(default)]
    r#match: String,
    path: String,
}

#[derive(Deserialize)]
struct Bulk {
    #[serde(default)]
    enabled: bool,
}

/// Reads a file's `spec`.
pub(super) fn declared(version: &str, spec: &Value) -> Result<Subscription, String> {
    if !matches!(version, "dapr.io/v1alpha1" | "dapr.io/v2alpha1") {
        return Err(format!("unknown subscription version {version}"));
    }
    Subscription::read(spec.clone(), Origin::Declarative)
}

impl Subscription {
    /// Reads one subscription: a file's `spec` or an entry of `GET /dapr/subscribe`, which are written alike.
    pub fn read(spec: Value, origin: Origin) -> Result<Self, String> {
        let spec: Spec =
            serde_json::from_value(spec).map_err(|error| format!("bad subscription: {error}"))?;
        if spec.pubsubname.is_empty() || spec.topic.is_empty() {
            return Err("a subscription needs pubsubname and topic".to_owned());
        }
        if spec.bulk_subscribe.is_some_and(|bulk| bulk.enabled) {
            return Err("bulkSubscribe is not offered by the embedded sidecar".to_owned());
        }
        let mut rules = Vec::new();
        if let Some(routes) = spec.routes {
            for rule in routes.rules {
                let matches = Some(rule.r#match).filter(|text| !text.trim().is_empty());
                rules.push(Rule { matches, path: rule.path });
            }
            rules.extend(routes.default.map(|path| Rule { matches: None, path }));
        }
        if rules.is_empty() {
            rules.extend(spec.route.map(|path| Rule { matches: None, path }));
        }
        rules.retain(|rule| !rule.path.is_empty());
        if rules.is_empty() {
            return Err(format!("the subscription to {} has no route", spec.topic));
        }
        let text = |value: Value| match value {
            Value::String(text) => text,
            other => other.to_string(),
        };
        Ok(Self {
            pubsub: spec.pubsubname,
            topic: spec.topic,
            dead_letter: spec.dead_letter_topic.filter(|topic| !topic.is_empty()),
            metadata: spec.metadata.into_iter().map(|(key, value)| (key, text(value))).collect(),
            rules,
            origin,
        })
    }

    /// Tells whether the topic carries bare payloads instead of CloudEvents.
    pub fn raw(&self) -> bool {
        self.metadata.get("rawPayload").is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}
