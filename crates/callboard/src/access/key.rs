//! Keys: `cb_ID_SECRET`. The id finds the key, the secret is 32 random bytes. What is kept of it is an HMAC under the pepper,
//! which stands in the settings and not in the catalog: who can write to the catalog makes no key of it.
//!
//! Secrets of this size need no slow hash: there is nothing to guess.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use callboard_actors::fresh_key;
use callboard_catalog::{SECRET_HASH, SecretHash};
use callboard_core::id::KeyId;
use ring::hmac;
use std::fmt;

const PREFIX: &str = "cb_";
/// Characters of an id, of 32 each: 60 bits are never the same twice.
const ID: usize = 12;
const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// Characters of a secret: 32 bytes in base64.
const SECRET: usize = 43;

/// A secret while it is made and shown.
pub struct Secret(String);

/// A key as somebody presents it.
pub struct Presented<'a> {
    pub id: KeyId,
    pub secret: &'a str,
}

/// What goes into the hash of each secret.
pub struct Pepper(hmac::Key);

/// What a secret is compared with where there is no such key, so that it takes as long.
pub(super) struct Dummy;

// === impl Secret ===

impl Secret {
    pub fn fresh() -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(fresh_key()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the whole key, as its owner sends it.
    pub fn with(&self, id: &KeyId) -> String {
        format!("{PREFIX}{id}_{}", self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Returns an id that no key has.
pub fn fresh_id() -> KeyId {
    let random = fresh_key();
    let digits = random[..ID].iter().map(|byte| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]));
    KeyId::new(digits.collect::<String>())
}

// === impl Presented ===

impl<'a> Presented<'a> {
    /// Reads a key; nothing if the text is none.
    pub fn read(text: &'a str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
        Some(Self { id: id.parse().ok()?, secret }).filter(|key| key.secret.len() == SECRET)
    }
}

// === impl Pepper ===

impl Pepper {
    pub fn new(pepper: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, pepper))
    }

    /// Returns the hash of a whole key's secret.
    pub fn hash_of(&self, text: &str) -> SecretHash {
        self.hash(Presented::read(text).map_or(text, |key| key.secret))
    }

    pub fn hash(&self, secret: &str) -> SecretHash {
        let tag = hmac::sign(&self.0, secret.as_bytes());
        let mut hash = [0; SECRET_HASH];
        hash.copy_from_slice(tag.as_ref());
        SecretHash(hash)
    }
}

// === impl Dummy ===

impl Dummy {
    pub const KEY: SecretHash = SecretHash([0; SECRET_HASH]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_was_made() {
        let (id, secret) = (fresh_id(), Secret::fresh());
        let text = secret.with(&id);
        let read = Presented::read(&text).expect("a key");
        assert_eq!((&read.id, read.secret), (&id, secret.as_str()));
        assert!(!format!("{secret:?}").contains(read.secret), "no log shows it");
        assert_ne!(fresh_id(), id);
        for wrong in ["", "cb_", "cb_abc_x", "cb_abcdefghijkl", "cb__x", &text[1..], &format!("{text}x")] {
            assert!(Presented::read(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_hash_is_of_its_pepper() {
        let secret = Secret::fresh();
        let hash = |pepper: &[u8]| Pepper::new(pepper).hash(secret.as_str());
        assert!(hash(b"a") == hash(b"a") && hash(b"a") != hash(b"b") && hash(b"") != hash(b"a"));
    }
}
