//! The JSON shapes of requests. Unknown fields are read past, as daprd does.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::state::{Concurrency, Item};

/// A key to write or delete.
#[derive(Deserialize)]
pub(super) struct StateItem {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: Option<Box<RawValue>>,
    #[serde(default)]
    etag: Option<String>,
    #[serde(default, deserialize_with = "texts")]
    metadata: BTreeMap<String, String>,
    #[serde(default)]
    options: Options,
}

#[derive(Deserialize, Default)]
struct Options {
    #[serde(default)]
    concurrency: String,
}

#[derive(Deserialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Transaction {
    #[serde(default)]
    pub(super) operations: Vec<Operation>,
}

/// One operation of a transaction, on state or on an actor's state.
#[derive(Deserialize)]
pub(super) struct Operation {
    #[serde(default)]
    pub(super) operation: String,
    pub(super) request: StateItem,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BulkEntry {
    #[serde(default)]
    pub(super) entry_id: String,
    #[serde(default)]
    pub(super) event: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) content_type: String,
    #[serde(default, deserialize_with = "texts")]
    pub(super) metadata: BTreeMap<String, String>,
}

/// A reminder or a timer.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Callback {
    pub(super) data: Option<Box<RawValue>>,
    pub(super) due_time: String,
    pub(super) period: String,
    pub(super) ttl: String,
    pub(super) callback: String,
    pub(super) overwrite: Option<bool>,
    #[serde(alias = "failure_policy")]
    pub(super) failure_policy: Option<FailurePolicy>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct FailurePolicy {
    pub(super) drop: Option<Value>,
    pub(super) constant: Option<Constant>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Constant {
    pub(super) interval: String,
    pub(super) max_retries: Option<u32>,
}

impl StateItem {
    /// Adds what the query says for all items.
    pub(super) fn with(mut self, shared: &BTreeMap<String, String>) -> Self {
        self.metadata.extend(shared.clone());
        self
    }

    /// JSON `null` and no value at all are the same to Dapr.
    pub(super) fn value(&self) -> String {
        self.value.as_ref().map_or_else(|| "null".to_owned(), |value| value.get().to_owned())
    }
}

impl From<StateItem> for Item {
    fn from(mut item: StateItem) -> Self {
        Self {
            data: item.value().into(),
            key: item.key,
            etag: item.etag,
            ttl: item.metadata.remove("ttlInSeconds"),
            concurrency: concurrency(&item.options.concurrency),
        }
    }
}

pub(super) fn concurrency(text: &str) -> Concurrency {
    match text {
        "first-write" => Concurrency::FirstWrite,
        "last-write" => Concurrency::LastWrite,
        _ => Concurrency::Unspecified,
    }
}

/// Metadata is text; numbers and truth values are taken as their text.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values = Option::<BTreeMap<String, Value>>::deserialize(deserializer)?.unwrap_or_default();
    let text = |value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(values.into_iter().map(|(key, value)| (key, text(value))).collect())
}
