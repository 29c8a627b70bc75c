//! The product's words and how they are spelled in Dapr's messages.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dapr::dapr::proto::common::v1::{self as common, state_options::StateConcurrency};
use dapr::dapr::proto::runtime::v1 as runtime;

/// A stored value and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub data: Bytes,
    /// Opaque, except that Redis and the embedded server count up by one from `1`.
    pub etag: String,
}

impl Entry {
    /// Dapr answers a missing key with nothing at all, so an empty value can be told by its etag.
    pub(super) fn found(data: Vec<u8>, etag: String) -> Option<Self> {
        (!etag.is_empty() || !data.is_empty()).then(|| Self { data: data.into(), etag })
    }
}

/// One key to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Save {
    pub key: String,
    pub data: Bytes,
    pub fence: Fence,
    pub ttl: Ttl,
}

/// Under which condition a write may happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fence {
    /// Always.
    None,
    /// Only where the key does not exist yet (`first-write` without etag).
    FirstWrite,
    /// Only over the version that was read.
    Etag(String),
}

/// What a write does to the key's expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ttl {
    /// Says nothing: Redis keeps an old expiry.
    Keep,
    /// Expires after so many seconds.
    Seconds(u32),
    /// Takes an expiry off (`ttlInSeconds: -1`).
    Persist,
}

/// One message for a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    pub pubsub: String,
    pub topic: String,
    pub data: Bytes,
    /// Empty means Dapr's default, `text/plain`.
    pub content_type: String,
    pub metadata: BTreeMap<String, String>,
}

/// A callback to an actor, kept by the sidecar. `due` or `period` must be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reminder {
    pub actor_type: String,
    pub actor_id: String,
    pub name: String,
    /// The first tick; without it one `period` from now.
    pub due: Option<Duration>,
    pub period: Option<Duration>,
    /// Arrives as a base64 JSON string in the callback.
    pub data: Bytes,
}

/// What a sidecar says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub id: String,
    pub runtime_version: String,
    pub components: Vec<Component>,
    /// Hosted actor types with the number of active actors.
    pub actors: BTreeMap<String, i32>,
    /// True once actors of this app can be called.
    pub host_ready: bool,
    pub placement: String,
    pub extended: BTreeMap<String, String>,
}

/// A loaded component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    pub name: String,
    pub kind: String,
    pub version: String,
    pub capabilities: Vec<String>,
}

impl From<Save> for common::StateItem {
    fn from(save: Save) -> Self {
        let (etag, options) = match save.fence {
            Fence::None => (None, None),
            Fence::FirstWrite => (None, Some(first_write())),
            Fence::Etag(value) => (Some(common::Etag { value }), Some(first_write())),
        };
        let ttl = match save.ttl {
            Ttl::Keep => None,
            Ttl::Seconds(seconds) => Some(seconds.to_string()),
            Ttl::Persist => Some("-1".to_owned()),
        };
        Self {
            key: save.key,
            value: save.data.into(),
            etag,
            metadata: ttl.into_iter().map(|ttl| ("ttlInSeconds".to_owned(), ttl)).collect(),
            options,
        }
    }
}

impl From<runtime::GetMetadataResponse> for Metadata {
    fn from(answer: runtime::GetMetadataResponse) -> Self {
        let actors = answer.actor_runtime.unwrap_or_default();
        let components = answer.registered_components.into_iter().map(|component| Component {
            name: component.name,
            kind: component.r#type,
            version: component.version,
            capabilities: component.capabilities,
        });
        Self {
            id: answer.id,
            runtime_version: answer.runtime_version,
            components: components.collect(),
            actors: actors.active_actors.into_iter().map(|actor| (actor.r#type, actor.count)).collect(),
            host_ready: actors.host_ready,
            placement: actors.placement,
            extended: answer.extended_metadata.into_iter().collect(),
        }
    }
}

pub(super) fn first_write() -> common::StateOptions {
    common::StateOptions { concurrency: StateConcurrency::ConcurrencyFirstWrite.into(), consistency: 0 }
}

/// Spells a duration as Go reads it: `30s`, `1500ms`, `0s`.
pub fn go_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    for (unit, size) in [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)] {
        if nanos.is_multiple_of(size) {
            return format!("{}{unit}", nanos / size);
        }
    }
    format!("{nanos}ns")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fences_are_spelled_as_options_and_etags() {
        let save = |fence| {
            common::StateItem::from(Save { key: "k".into(), data: Bytes::new(), fence, ttl: Ttl::Persist })
        };
        assert_eq!(save(Fence::None).options, None);
        let first = save(Fence::FirstWrite);
        assert_eq!((first.etag, first.options.map(|o| o.concurrency)), (None, Some(1)));
        assert_eq!(save(Fence::Etag("7".into())).etag.map(|e| e.value).as_deref(), Some("7"));
        assert_eq!(first.metadata.get("ttlInSeconds").map(String::as_str), Some("-1"));
    }

    #[test]
    fn durations_are_spelled_for_go() {
        assert_eq!(go_duration(Duration::ZERO), "0s");
        assert_eq!(go_duration(Duration::from_secs(90)), "90s");
        assert_eq!(go_duration(Duration::from_millis(1500)), "1500ms");
        assert_eq!(go_duration(Duration::from_micros(1)), "1us");
        assert_eq!(go_duration(Duration::from_nanos(3)), "3ns");
    }
}
