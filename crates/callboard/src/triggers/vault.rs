//! Secrets that we make and have to know again, to check what was signed with them: sealed under a key that stands in the settings,
//! and not in the catalog. Who reads the catalog has none of them.

use base64::prelude::{BASE64_STANDARD, Engine};
use callboard_actors::fresh_key;
use callboard_catalog::Sealed;
use callboard_core::{
    Hash,
    id::{ProjectId, TriggerId},
};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::{fmt, sync::Arc};

/// How a sealed secret is written: this, the key's name, a nonce, what is sealed.
const FORM: u8 = 1;
/// Bytes of a key's name.
const NAME: usize = 8;
const KEY: usize = 32;

/// The key, where there is one. A clone is the same.
#[derive(Clone, Default)]
pub struct Vault(Option<Arc<Inner>>);

struct Inner {
    key: LessSafeKey,
    /// Tells one key from another, and nothing about it.
    name: [u8; NAME],
}

/// Whose a secret is. One that is moved to another trigger can't be opened there.
pub fn owner(project: &ProjectId, id: &TriggerId) -> String {
    format!("{project} {id}")
}

/// Reads a key as settings write it: 32 bytes in base64.
pub fn read(text: &str) -> Result<[u8; KEY], String> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or_else(|| "it is not 32 bytes in base64, as `openssl rand -base64 32` makes them".to_owned())
}

/// Returns a key that nobody has, as settings write it.
pub fn fresh() -> String {
    BASE64_STANDARD.encode(fresh_key())
}

// === impl Vault ===

impl Vault {
    pub fn new(key: &[u8; KEY]) -> Self {
        let mut name = [0; NAME];
        name.copy_from_slice(&Hash::chain(&[b"the name of a key", key]).0[..NAME]);
        let key = UnboundKey::new(&AES_256_GCM, key).expect("a key of its length");
        Self(Some(Arc::new(Inner { key: LessSafeKey::new(key), name })))
    }

    /// Seals a secret; nothing where there is no key.
    pub fn seal(&self, owner: &str, secret: &str) -> Option<Sealed> {
        let inner = self.0.as_ref()?;
        let nonce: [u8; NONCE_LEN] = fresh_key()[..NONCE_LEN].try_into().expect("a key is longer");
        let mut sealed = secret.as_bytes().to_vec();
        let nonce_used = Nonce::assume_unique_for_key(nonce);
        inner.key.seal_in_place_append_tag(nonce_used, Aad::from(owner), &mut sealed).ok()?;
        Some(Sealed([&[FORM][..], &inner.name, &nonce, &sealed].concat().into()))
    }

    /// Opens what was sealed for the same owner under this key; nothing if that can't be done.
    pub fn open(&self, owner: &str, sealed: &Sealed) -> Option<String> {
        let inner = self.0.as_ref()?;
        let rest = sealed.0.strip_prefix(&[FORM])?.strip_prefix(&inner.name)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let secret = inner.key.open_in_place(nonce, Aad::from(owner), &mut opened).ok()?;
        String::from_utf8(secret.to_vec()).ok()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_opened_by_its_key_for_its_owner_as_it_was_sealed() {
        let vault = Vault::new(&[7; 32]);
        let sealed = vault.seal("default t", "hush").expect("sealed");
        assert_eq!(vault.open("default t", &sealed).as_deref(), Some("hush"));
        assert_eq!(vault.open("default u", &sealed), None, "of another trigger");
        assert_eq!(Vault::new(&[8; 32]).open("default t", &sealed), None, "under another key");
        assert_eq!(Vault::default().open("default t", &sealed), None);
        assert_eq!(Vault::default().seal("default t", "hush"), None);
        for n in 0..sealed.0.len() {
            let mut bent = sealed.0.to_vec();
            bent[n] ^= 1;
            assert_eq!(vault.open("default t", &Sealed(bent.into())), None, "byte {n}");
            assert_eq!(vault.open("default t", &Sealed(sealed.0.slice(..n))), None, "cut at {n}");
        }
        assert!(vault.seal("default t", "hush").expect("sealed") != sealed, "no two are alike");
        assert!(!sealed.0.windows(4).any(|bytes| bytes == b"hush"));
    }

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        assert_eq!(read(&fresh()).map(|key| key.len()), Ok(32));
        assert_ne!(fresh(), fresh());
        for wrong in ["", "short", &BASE64_STANDARD.encode([0; 31]), &BASE64_STANDARD.encode([0; 33]), "!"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
