//! Secrets that definitions name, kept by the sidecar's secret store.

use async_trait::async_trait;
use callboard_connectors::{
    CallError,
    secret::{Hosts, Secret, Secrets},
};
use callboard_sidecar::{Error, Sidecar};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What is only looked for in answers need not be newer than this.
const RECENT: Duration = Duration::from_secs(60);
/// Values of one secret that are looked for: today's, and those before it where it changes.
const VALUES: usize = 4;
/// Secrets whose values are remembered; more are asked for again.
const NAMES: usize = 1024;

/// Reads `secret://name` from a Dapr secret store, anew for each call: stores rotate.
pub struct SidecarSecrets {
    sidecar: Sidecar,
    store: String,
    hosts: Hosts,
    /// What calls were made with a moment ago: their answers may come back now.
    recent: Mutex<BTreeMap<String, Recent>>,
}

struct Recent {
    asked: Instant,
    values: Vec<Secret>,
}

// === impl SidecarSecrets ===

impl SidecarSecrets {
    /// `usual` is the store's name where the settings give none.
    pub fn new(sidecar: Sidecar, store: &str, usual: &str, hosts: Hosts) -> Self {
        let store = if store.is_empty() { usual } else { store };
        Self { sidecar, store: store.to_owned(), hosts, recent: Mutex::default() }
    }

    fn remember(&self, name: &str, value: Option<&Secret>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= NAMES && !recent.contains_key(name) {
            recent.clear();
        }
        let known = recent
            .entry(name.to_owned())
            .or_insert_with(|| Recent { asked: Instant::now(), values: Vec::new() });
        known.asked = Instant::now();
        if let Some(value) = value {
            known.values.retain(|old| old.expose() != value.expose());
            known.values.insert(0, value.clone());
            known.values.truncate(VALUES);
        }
    }
}

#[async_trait]
impl Secrets for SidecarSecrets {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError> {
        let value = match self.sidecar.get_secret(&self.store, name).await {
            // A name with several values can't stand for one.
            Ok(mut values) => values.remove(name).filter(|value| !value.is_empty()).map(Secret::new),
            Err(Error::NotFound(_) | Error::Denied(_)) => None,
            Err(error) => {
                tracing::warn!(%error, store = self.store, "secret store");
                return Err(CallError::transient("secret_unavailable", "the secret store does not answer"));
            }
        };
        self.remember(name, value.as_ref());
        Ok(value)
    }

    async fn known(&self, name: &str) -> Result<Vec<Secret>, CallError> {
        let found = |all: &BTreeMap<String, Recent>| {
            all.get(name).filter(|known| known.asked.elapsed() < RECENT).map(|known| known.values.clone())
        };
        if let Some(values) = found(&self.recent.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(values);
        }
        self.secret(name).await?;
        Ok(found(&self.recent.lock().unwrap_or_else(PoisonError::into_inner)).unwrap_or_default())
    }

    fn hosts(&self) -> &Hosts {
        &self.hosts
    }
}
