//! What the app said in `GET /dapr/config` (`dapr-contract` 1.1).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::super::times;

const DEFAULT_IDLE: Duration = Duration::from_secs(3600);

/// The hosted actor types, each with how long it may be idle.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::embedded) struct Hosted {
    idle: BTreeMap<String, Duration>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Document {
    entities: Vec<String>,
    actor_idle_timeout: String,
    reentrancy: Reentrancy,
    entities_config: Vec<Override>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reentrancy {
    enabled: bool,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Override {
    entities: Vec<String>,
    actor_idle_timeout: String,
}

// === impl Hosted ===

impl Hosted {
    /// Reads the app's answer; a wrong duration at top level means that nothing is hosted.
    pub(in crate::embedded) fn read(body: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let idle = duration(&document.actor_idle_timeout)?;
        if document.reentrancy.enabled {
            tracing::warn!(
                "the embedded sidecar offers no reentrancy: calls of an actor to itself will wait"
            );
        }
        let mut hosted = Self::default();
        for actor_type in document.entities {
            if super::names::check("actor type", &actor_type).is_err() {
                tracing::error!(actor_type, "actor type has a name that is not allowed, ignored");
                continue;
            }
            hosted.idle.insert(actor_type, idle);
        }
        for config in document.entities_config {
            let idle = duration(&config.actor_idle_timeout).unwrap_or_else(|reason| {
                tracing::warn!(reason, "the default idle timeout is used");
                DEFAULT_IDLE
            });
            for actor_type in config.entities {
                match hosted.idle.get_mut(&actor_type) {
                    Some(known) => *known = idle,
                    None => tracing::warn!(actor_type, "entitiesConfig names a type that is not in entities"),
                }
            }
        }
        Ok(hosted)
    }

    pub(super) fn hosts(&self, actor_type: &str) -> bool {
        self.idle.contains_key(actor_type)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    pub(super) fn types(&self) -> impl Iterator<Item = &str> {
        self.idle.keys().map(String::as_str)
    }

    pub(super) fn idle(&self, actor_type: &str) -> Duration {
        self.idle.get(actor_type).copied().unwrap_or(DEFAULT_IDLE)
    }

    pub(super) fn shortest_idle(&self) -> Duration {
        self.idle.values().min().copied().unwrap_or(DEFAULT_IDLE)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Ok(DEFAULT_IDLE);
    }
    times::go_duration(text).ok_or_else(|| format!("actorIdleTimeout {text:?} is not a duration"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overrides_replace_the_idle_timeout_of_listed_types() {
        let body = br#"{"entities":["A","B"],"actorIdleTimeout":"5m","drainRebalancedActors":true,
            "entitiesConfig":[{"entities":["B","C"],"actorIdleTimeout":"1s"}]}"#;
        let hosted = Hosted::read(body).unwrap();
        assert_eq!(hosted.idle("A"), Duration::from_secs(300));
        assert_eq!(hosted.idle("B"), Duration::from_secs(1));
        assert!(!hosted.hosts("C"));
    }

    #[test]
    fn a_wrong_duration_hosts_nothing() {
        assert!(Hosted::read(br#"{"entities":["A"],"actorIdleTimeout":"soon"}"#).is_err());
        assert!(Hosted::read(b"{}").unwrap().is_empty());
    }
}
