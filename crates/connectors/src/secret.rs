//! Secrets: references in definitions, values only for the moment of a call, and nothing of them afterwards.
//!
//! `secret://name` stands in a definition; it is resolved right before the call (S-07) at the places that the core says
//! are the definition's own, it goes to its hosts only (S-10), and whatever comes back is scrubbed of the values of all
//! secrets that the run may use (S-08), since an echo server returns your own headers.

mod hosts;
mod scrub;

use crate::CallError;
use async_trait::async_trait;
use callboard_core::secret::{Place, SCHEME};
use serde::{Deserialize, Deserializer};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};
use zeroize::Zeroizing;

pub use hosts::Hosts;
pub use scrub::{Pieces, Scrub};

static NO_HOSTS: Hosts = Hosts::none();

/// A secret's value. It is shown as `***`, has no `Serialize`, and its memory is overwritten when it goes.
#[derive(Clone, Default)]
pub struct Secret(Zeroizing<String>);

/// Where values come from.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// Returns a value, or nothing if there is no secret of that name.
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError>;

    /// Returns the values to look for in answers: those of today, and of a moment ago where they change.
    async fn known(&self, name: &str) -> Result<Vec<Secret>, CallError> {
        Ok(self.secret(name).await?.into_iter().collect())
    }

    /// Returns where secrets may go.
    fn hosts(&self) -> &Hosts {
        &NO_HOSTS
    }
}

/// Values that are there from the start: of the environment, or of a test.
#[async_trait]
impl Secrets for BTreeMap<String, Secret> {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError> {
        Ok(self.get(name).cloned())
    }
}

/// Some of the secrets that there are. The others do not exist.
pub struct Only {
    all: Arc<dyn Secrets>,
    names: BTreeSet<String>,
}

impl Only {
    pub fn new(all: Arc<dyn Secrets>, names: BTreeSet<String>) -> Self {
        Self { all, names }
    }
}

#[async_trait]
impl Secrets for Only {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError> {
        if self.names.contains(name) { self.all.secret(name).await } else { Ok(None) }
    }

    async fn known(&self, name: &str) -> Result<Vec<Secret>, CallError> {
        if self.names.contains(name) { self.all.known(name).await } else { Ok(Vec::new()) }
    }

    fn hosts(&self) -> &Hosts {
        self.all.hosts()
    }
}

/// The values one call uses.
#[derive(Default)]
pub struct Used(BTreeMap<String, Secret>);

// === impl Secret ===

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Shows the value; what it goes into must not be logged or kept.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "(none)" } else { "***" })
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

/// Returns what takes the values of the named secrets out of answers. What is not there can't come back.
pub async fn scrub(names: &BTreeSet<String>, secrets: &dyn Secrets) -> Result<Scrub, CallError> {
    let values = futures::future::try_join_all(names.iter().map(|name| secrets.known(name))).await?;
    Ok(Scrub::new(values.iter().flatten()))
}

// === impl Used ===

impl Used {
    /// Fetches all the named secrets; a missing one fails the call.
    pub async fn fetch(names: &BTreeSet<&str>, secrets: &dyn Secrets) -> Result<Self, CallError> {
        let mut used = BTreeMap::new();
        for name in names {
            let Some(secret) = secrets.secret(name).await? else {
                return Err(CallError::permanent("secret_unknown", format!("there is no secret {name}")));
            };
            used.insert((*name).to_owned(), secret);
        }
        Ok(Self(used))
    }

    /// Puts the values in at `places`, which stand in order, and nowhere else.
    pub fn reveal(&self, text: &str, places: &[&Place]) -> Result<Zeroizing<String>, CallError> {
        let more: usize = places.iter().filter_map(|p| self.0.get(&p.name)).map(|s| s.expose().len()).sum();
        // Large enough from the start, so that no copy is left where it grew.
        let mut out = Zeroizing::new(String::with_capacity(text.len() + more));
        let mut from = 0;
        for place in places {
            let end = place.from + SCHEME.len() + place.name.len();
            let stands = text.get(place.from..end).and_then(|t| t.strip_prefix(SCHEME)) == Some(&*place.name);
            let (Some(plain), Some(secret), true) =
                (text.get(from..place.from), self.0.get(&place.name), stands)
            else {
                let message = format!("the recorded request has no secret at {}", place.at);
                return Err(CallError::permanent("http_invalid_request", message));
            };
            out.push_str(plain);
            out.push_str(secret.expose());
            from = end;
        }
        out.push_str(&text[from..]);
        Ok(out)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_granted_does_not_exist() {
        let all = ["a", "b"].map(|name| (name.to_owned(), Secret::new(format!("value of {name}"))));
        let only = Only::new(Arc::new(BTreeMap::from(all)), BTreeSet::from(["a".to_owned()]));
        let value = async |name: &str| only.secret(name).await.unwrap().map(|s| s.expose().to_owned());
        assert_eq!((value("a").await.as_deref(), value("b").await), (Some("value of a"), None));
        assert_eq!(only.known("a").await.unwrap().len(), 1);
        assert!(only.known("b").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn values_stand_at_their_places_only() {
        let secrets = BTreeMap::from([("key".to_owned(), Secret::new("s3cr3t"))]);
        let used = Used::fetch(&BTreeSet::from(["key"]), &secrets).await.unwrap();
        let place = |from| Place { at: "/url".into(), from, name: "key".into() };
        let text = "é secret://key secret://key!";
        assert_eq!(*used.reveal(text, &[&place(3)]).unwrap(), "é s3cr3t secret://key!");
        assert_eq!(*used.reveal(text, &[&place(3), &place(16)]).unwrap(), "é s3cr3t s3cr3t!");
        assert_eq!(*used.reveal(text, &[]).unwrap(), text);
        for wrong in [vec![place(1)], vec![place(4)], vec![place(99)], vec![place(16), place(3)]] {
            assert_eq!(
                used.reveal(text, &wrong.iter().collect::<Vec<_>>()).err().unwrap().code,
                "http_invalid_request"
            );
        }
        let missing = Used::fetch(&BTreeSet::from(["nope"]), &secrets).await.err().unwrap();
        assert_eq!(missing.code, "secret_unknown");
    }
}
