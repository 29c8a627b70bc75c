//! Who asks: what comes with a request is made a principal, once, or refused. No transport is known here.
//!
//! A credential is a key of ours (`keys`) or a token of a configured issuer (`tokens`). As long as there is neither an issuer
//! nor a key, everybody is admin of `default`: then only this machine can ask. Once there was a key, that is over for good.

mod cache;
pub mod key;
mod principal;
mod rates;
mod token;
mod trail;

use cache::Cache;
use callboard_catalog as catalog;
use callboard_core::{
    Timestamp,
    id::{KeyId, ProjectId},
};
use key::{Dummy, Pepper, Presented};
use rates::Rates;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use subtle::ConstantTimeEq;
use token::Issuers;
use tokio::time::Instant;

pub use principal::{Permission, Principal, Via};
pub use rates::{Taken, TooOften};
pub use token::{Issuer, IssuerKeys, KeySet, LEEWAY, SECRET};
pub use trail::Trail;

/// How often what lasts is looked at: whether who asked for it still may.
const AGAIN: Duration = Duration::from_secs(1);

/// What came with a request to say who asks.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    Nothing,
    /// One text: a key or a token.
    One(&'a str),
    /// More than one, or something that is neither.
    Rubbish,
}

/// Why a request has no principal. What was wrong with a credential is told to nobody but the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing was sent, and something is needed.
    Missing,
    Invalid,
    /// It is good, and names no role or no project that there is.
    NoAccess,
    /// The catalog does not answer.
    Catalog,
    /// No keys of the token's issuer can be had.
    Issuer,
    /// The key is good, and asks more often than it may.
    TooOften(TooOften),
}

/// Knows everybody. A clone is the same.
#[derive(Clone)]
pub struct Gatekeeper(Arc<Inner>);

struct Inner {
    store: Arc<dyn catalog::Access>,
    pepper: Pepper,
    issuers: Issuers,
    trail: Trail,
    keys: Cache<KeyId, Option<Arc<catalog::ApiKey>>>,
    projects: Cache<ProjectId, bool>,
    rates: Rates,
    /// Whether there was neither a key nor an issuer a moment ago.
    open: Cache<(), bool>,
    /// There was a key or an issuer: whatever becomes of them, nobody is let in without a credential any more.
    closed: AtomicBool,
    /// The process itself, in its own name.
    own: Option<key::Secret>,
}

// === impl Gatekeeper ===

impl Gatekeeper {
    pub fn new(store: Arc<dyn catalog::Access>, pepper: &[u8], issuers: Vec<Issuer>) -> Self {
        let issuers = Issuers::new(issuers);
        Self(Arc::new(Inner {
            trail: Trail::new(store.clone()),
            store,
            pepper: Pepper::new(pepper),
            closed: AtomicBool::new(!issuers.is_empty()),
            issuers,
            keys: Cache::default(),
            projects: Cache::default(),
            rates: Rates::default(),
            open: Cache::default(),
            own: None,
        }))
    }

    /// The same, for a process that asks itself; and what it has to send.
    pub fn with_own(self) -> (Self, String) {
        let own = key::Secret::fresh();
        let text = own.as_str().to_owned();
        match Arc::try_unwrap(self.0) {
            Ok(inner) => (Self(Arc::new(Inner { own: Some(own), ..inner })), text),
            Err(shared) => (Self(shared), text),
        }
    }

    pub fn store(&self) -> &dyn catalog::Access {
        &*self.0.store
    }

    pub fn pepper(&self) -> &Pepper {
        &self.0.pepper
    }

    /// Where changes and refusals are written down.
    pub fn trail(&self) -> &Trail {
        &self.0.trail
    }

    /// Whether tokens of issuers are taken.
    pub fn takes_tokens(&self) -> bool {
        !self.0.issuers.is_empty()
    }

    /// Whether nobody is asked who they are.
    pub async fn is_open(&self) -> Result<bool, Unknown> {
        if self.0.open.get(&()).unwrap_or_default() {
            return Ok(!self.0.closed.load(Ordering::Acquire));
        }
        self.is_open_now().await
    }

    async fn is_open_now(&self) -> Result<bool, Unknown> {
        if self.0.closed.load(Ordering::Acquire) {
            return Ok(false);
        }
        let has_keys = self.0.store.has_keys().await.map_err(unanswered)?;
        if has_keys {
            self.0.closed.store(true, Ordering::Release);
        } else {
            self.0.open.put((), true);
        }
        Ok(!has_keys)
    }

    /// Returns who sent this.
    pub async fn who(&self, given: Given<'_>, now: Timestamp) -> Result<Principal, Unknown> {
        // Whoever says who they are is not everybody, from the first key on.
        let is_open = match given {
            Given::Nothing => self.is_open().await?,
            Given::Rubbish | Given::One(_) => self.is_open_now().await?,
        };
        if is_open {
            return Ok(Principal::anybody());
        }
        let text = match given {
            Given::Nothing => return Err(Unknown::Missing),
            Given::Rubbish => return Err(Unknown::Invalid),
            Given::One(text) => text,
        };
        match Presented::read(text) {
            Some(presented) => self.by_key(&presented, now).await,
            None if self.is_own(text) => Ok(Principal::own()),
            None => {
                let principal = self.0.issuers.by_token(text, now).await?;
                match self.has_project(&principal.project).await? {
                    true => Ok(principal),
                    false => Err(Unknown::NoAccess),
                }
            }
        }
    }

    async fn by_key(&self, presented: &Presented<'_>, now: Timestamp) -> Result<Principal, Unknown> {
        let given = self.0.pepper.hash(presented.secret);
        let known = self.key(&presented.id).await?;
        let dummy = Dummy::KEY;
        let hash = known.as_ref().map_or(&dummy, |key| &key.hash);
        let mut fits = hash.0.ct_eq(&given.0);
        if let Some((previous, until)) = known.as_ref().and_then(|key| key.previous.as_ref())
            && now < *until
        {
            fits |= previous.0.ct_eq(&given.0);
        }
        let Some(key) = known.filter(|_| fits.into()) else { return Err(Unknown::Invalid) };
        if !is_good(&key, now) {
            return Err(Unknown::Invalid);
        }
        self.0.trail.used(&key, now);
        let rate = self.0.rates.take(&key.id, key.limits).map_err(Unknown::TooOften)?;
        Ok(Principal { rate, ..Principal::of_key(&key) })
    }

    /// Returns a key as it was a moment ago.
    async fn key(&self, id: &KeyId) -> Result<Option<Arc<catalog::ApiKey>>, Unknown> {
        if let Some(known) = self.0.keys.get(id) {
            return Ok(known);
        }
        // Counted from before it is read: what changes meanwhile is seen in time.
        let asked = Instant::now();
        let read = self.0.store.key(id).await.map_err(unanswered)?.map(Arc::new);
        self.0.keys.put_at(id.clone(), read.clone(), asked);
        Ok(read)
    }

    /// Returns when a credential is good no longer: for what lasts longer than a request.
    pub async fn ended(&self, principal: &Principal) {
        loop {
            tokio::time::sleep(AGAIN).await;
            let now = crate::operations::now();
            let is_good = match &principal.via {
                Via::Own => true,
                Via::Nothing => self.is_open().await.unwrap_or(true),
                Via::Token => principal.expires_at.is_none_or(|at| now < at),
                Via::Key(id) => match self.key(id).await {
                    Ok(key) => key.is_some_and(|key| is_good(&key, now)),
                    // What can't be looked up now was good a moment ago.
                    Err(_) => true,
                },
            };
            if !is_good {
                return;
            }
        }
    }

    /// Forgets what this process knows of a key that it has changed itself.
    pub fn forget(&self, id: &KeyId) {
        self.0.keys.remove(id);
    }

    /// The same of a project.
    pub fn forget_project(&self, id: &ProjectId) {
        self.0.projects.remove(id);
        self.0.keys.clear();
    }

    async fn has_project(&self, id: &ProjectId) -> Result<bool, Unknown> {
        if id.is_default() {
            return Ok(true);
        }
        if let Some(known) = self.0.projects.get(id) {
            return Ok(known);
        }
        let asked = Instant::now();
        let known = self.0.store.project(id).await.map_err(unanswered)?.is_some();
        self.0.projects.put_at(id.clone(), known, asked);
        Ok(known)
    }

    fn is_own(&self, text: &str) -> bool {
        self.0.own.as_ref().is_some_and(|own| own.as_str().as_bytes().ct_eq(text.as_bytes()).into())
    }
}

/// Whether a key is neither revoked nor at its end.
fn is_good(key: &catalog::ApiKey, now: Timestamp) -> bool {
    key.revoked_at.is_none() && key.expires_at.is_none_or(|at| now < at)
}

fn unanswered(error: catalog::Error) -> Unknown {
    tracing::warn!(%error, "who asks can't be looked up");
    Unknown::Catalog
}

#[cfg(test)]
mod tests;
