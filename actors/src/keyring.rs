//! The keys that our processes sign their messages to each other with, as this process knows them.
//!
//! They stand in the catalog, which no definition can read. What is signed, and what follows where a signature does not
//! fit, is decided in `protocol::sealed`.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use callboard_catalog::{Error, InternalKey, Keys, Signing};
use callboard_core::Timestamp;
use parking_lot::{Mutex, RwLock};
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

/// A MAC, in bytes: a forger has one try in 2^128 with each message.
const MAC: usize = 16;
/// Bytes that most messages have.
const USUAL: usize = 2 << 10;
/// How often the catalog is asked for new keys, and whether they have to be used.
pub const READ_AGAIN: Duration = Duration::from_secs(10);
/// However many messages name keys that nobody knows, the catalog is not asked more often than this.
const AT_MOST: Duration = Duration::from_secs(1);
/// So many kinds of refused messages are told in the log, each once.
const TOLD: usize = 64;

/// The keys of this process. A clone is the same ring.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    now: RwLock<Signing>,
    read: tokio::sync::Mutex<Instant>,
    told: Mutex<BTreeSet<String>>,
}

/// How a MAC fits what it came with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    Fits,
    Missing,
    Wrong,
}

/// What a MAC is over. It is gathered and hashed at once: it is small, and a hash of many small pieces costs more than of
/// one.
pub struct Content(Vec<u8>);

// === impl Keyring ===

impl Keyring {
    /// Reads the keys; the first process of an installation makes the first one.
    pub async fn open<C: Keys + ?Sized>(catalog: &C, now: Timestamp) -> Result<Self, Error> {
        let mut signing = catalog.signing().await?;
        if signing.keys.is_empty() {
            catalog.first_key(fresh(), now).await?;
            signing = catalog.signing().await?;
        }
        if signing.keys.is_empty() {
            return Err(Error::Corrupt {
                what: "internal key",
                message: "it was saved and is not there".into(),
            });
        }
        Ok(Self::of(signing))
    }

    /// A ring of keys that are known already: at least one.
    pub fn of(signing: Signing) -> Self {
        let read = tokio::sync::Mutex::new(Instant::now());
        Self(Arc::new(Inner { now: RwLock::new(signing), read, told: Mutex::default() }))
    }

    /// A ring of one key, for tests and simulated processes.
    pub fn alone(secret: [u8; 32], required: bool) -> Self {
        Self::of(Signing { keys: vec![InternalKey { id: 1, secret }], required })
    }

    /// Whether what is not signed is refused.
    pub fn is_required(&self) -> bool {
        self.0.now.read().required
    }

    /// Returns the MAC of a content, as messages carry it: the key's number, a dot, 16 bytes in base64.
    pub fn sign(&self, content: impl FnOnce(&mut Content)) -> String {
        let signing = self.0.now.read();
        match signing.keys.first() {
            Some(key) => format!("{}.{}", key.id, BASE64_URL_SAFE_NO_PAD.encode(mac(key, content))),
            None => String::new(),
        }
    }

    /// Looks whether a MAC is that of a content. One by a key that nobody here knows yet has the catalog asked.
    pub async fn check<C: Keys + ?Sized>(
        &self,
        catalog: &C,
        given: Option<&str>,
        content: impl Fn(&mut Content),
    ) -> Fit {
        let Some(given) = given else { return Fit::Missing };
        let Some((id, given)) = read(given) else { return Fit::Wrong };
        for is_last in [false, true] {
            let key = self.0.now.read().keys.iter().find(|key| key.id == id).cloned();
            if let Some(key) = key {
                let fits = bool::from(mac(&key, &content).ct_eq(&given));
                return if fits { Fit::Fits } else { Fit::Wrong };
            }
            if !is_last {
                self.refresh(catalog).await;
            }
        }
        Fit::Wrong
    }

    /// Reads the keys again, unless that was done a moment ago. Where the catalog does not answer they stay what they are.
    pub async fn refresh<C: Keys + ?Sized>(&self, catalog: &C) {
        let mut read = self.0.read.lock().await;
        if read.elapsed() < AT_MOST {
            return;
        }
        *read = Instant::now();
        match catalog.signing().await {
            Ok(signing) if signing.keys.is_empty() => {
                tracing::error!("the catalog has lost the internal keys")
            }
            Ok(signing) => {
                let before = self.is_required();
                if signing.required && !before {
                    tracing::info!("from now on messages between the actors must be signed");
                }
                // Whoever once required signatures goes on to do so, whatever is done to the table.
                *self.0.now.write() = Signing { required: signing.required || before, ..signing };
            }
            Err(error) => tracing::debug!(%error, "the internal keys can't be read again now"),
        }
    }

    /// An installation that has processes of the release before.
    #[cfg(test)]
    pub fn let_unsigned_pass(&self) {
        self.0.now.write().required = false;
    }

    /// Whether this is the first of its kind, to be told in the log.
    pub fn is_news(&self, what: String) -> bool {
        let mut told = self.0.told.lock();
        told.len() < TOLD && told.insert(what)
    }
}

/// Returns a new secret.
pub fn fresh() -> [u8; 32] {
    let mut secret = [0; 32];
    StdRng::from_os_rng().fill_bytes(&mut secret);
    secret
}

fn mac(key: &InternalKey, content: impl FnOnce(&mut Content)) -> [u8; MAC] {
    let mut over = Content(Vec::with_capacity(USUAL));
    content(&mut over);
    let mut short = [0; MAC];
    short.copy_from_slice(&blake3::keyed_hash(&key.secret, &over.0).as_bytes()[..MAC]);
    short
}

fn read(text: &str) -> Option<(u32, [u8; MAC])> {
    let (id, mac) = text.split_once('.')?;
    let mac = BASE64_URL_SAFE_NO_PAD.decode(mac).ok()?;
    Some((id.parse().ok()?, mac.try_into().ok()?))
}

// === impl Content ===

impl Content {
    /// Adds a part. Its length goes first, so that no other parts read the same.
    pub fn part(&mut self, part: &[u8]) -> &mut Self {
        self.number(part.len() as u64);
        self.0.extend_from_slice(part);
        self
    }

    pub fn number(&mut self, number: u64) -> &mut Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_catalog::SqliteCatalog;

    fn content(text: &'static str) -> impl Fn(&mut Content) {
        move |content| {
            content.part(text.as_bytes());
        }
    }

    async fn catalog() -> (tempfile::TempDir, SqliteCatalog) {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = SqliteCatalog::open(folder.path().join("catalog.db")).await.expect("a catalog");
        (folder, catalog)
    }

    #[tokio::test]
    async fn all_processes_of_an_installation_have_the_key_that_the_first_has_made() {
        let (_folder, catalog) = catalog().await;
        let first = Keyring::open(&catalog, Timestamp(1)).await.expect("keys");
        let second = Keyring::open(&catalog, Timestamp(2)).await.expect("keys");
        let mac = first.sign(content("hello"));
        assert_eq!(second.check(&catalog, Some(&mac), content("hello")).await, Fit::Fits);
        assert_eq!(second.check(&catalog, Some(&mac), content("hellp")).await, Fit::Wrong);
        let stranger = Keyring::alone(fresh(), true);
        assert_eq!(stranger.check(&catalog, Some(&mac), content("hello")).await, Fit::Wrong);
    }

    #[tokio::test]
    async fn no_mac_is_missing_and_what_is_none_is_wrong() {
        let (_folder, catalog) = catalog().await;
        let ring = Keyring::open(&catalog, Timestamp(1)).await.expect("keys");
        assert_eq!(ring.check(&catalog, None, content("")).await, Fit::Missing);
        let good = ring.sign(content(""));
        let cut = &good[..good.len() - 4];
        let other = good.replacen("1.", "7.", 1);
        for bad in ["", ".", "1", "1.", "x.AAAA", cut, &other, "-1.AAAAAAAAAAAAAAAAAAAAAA"] {
            assert_eq!(ring.check(&catalog, Some(bad), content("")).await, Fit::Wrong, "{bad}");
        }
    }

    /// The keys of a catalog that answers at once.
    struct Kept(Mutex<Vec<InternalKey>>);

    #[async_trait::async_trait]
    impl Keys for Kept {
        async fn signing(&self) -> Result<Signing, Error> {
            Ok(Signing { keys: self.0.lock().clone(), required: true })
        }
        async fn first_key(&self, _: [u8; 32], _: Timestamp) -> Result<(), Error> {
            Ok(())
        }
        async fn rotate_key(&self, secret: [u8; 32], _: Timestamp) -> Result<u32, Error> {
            let mut keys = self.0.lock();
            let id = keys[0].id + 1;
            keys.insert(0, InternalKey { id, secret });
            keys.truncate(2);
            Ok(id)
        }
        async fn require_signatures(&self) -> Result<bool, Error> {
            Ok(false)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rotation_the_new_key_signs_and_the_old_one_is_understood_once() {
        let catalog = Kept(Mutex::new(vec![InternalKey { id: 1, secret: [1; 32] }]));
        let ring = Keyring::open(&catalog, Timestamp(1)).await.expect("keys");
        let old = ring.sign(content("m"));
        catalog.rotate_key([2; 32], Timestamp(2)).await.expect("saved");
        let there = Keyring::open(&catalog, Timestamp(2)).await.expect("keys");
        let new = there.sign(content("m"));
        assert!(old.starts_with("1.") && new.starts_with("2."), "{old} {new}");
        assert_eq!(there.check(&catalog, Some(&old), content("m")).await, Fit::Fits);
        // The catalog was asked a moment ago, and is not asked for each message.
        assert_eq!(ring.check(&catalog, Some(&new), content("m")).await, Fit::Wrong);
        tokio::time::advance(AT_MOST).await;
        assert_eq!(ring.check(&catalog, Some(&new), content("m")).await, Fit::Fits);
        assert_eq!(ring.sign(content("m")), new);
        catalog.rotate_key([3; 32], Timestamp(3)).await.expect("saved");
        tokio::time::advance(AT_MOST).await;
        ring.refresh(&catalog).await;
        assert_eq!(ring.check(&catalog, Some(&old), content("m")).await, Fit::Wrong);
        assert_eq!(ring.check(&catalog, Some(&new), content("m")).await, Fit::Fits);
    }

    #[test]
    fn parts_are_told_from_each_other() {
        let ring = Keyring::alone([1; 32], true);
        let two = |a: &'static str, b: &'static str| {
            ring.sign(|content| {
                content.part(a.as_bytes()).part(b.as_bytes());
            })
        };
        assert_ne!(two("ab", "c"), two("a", "bc"));
        assert_ne!(two("", "ab"), two("ab", ""));
    }
}
