//! Brings data back that is stored by reference, up to a size that one answer may have.

use callboard_catalog::{Error, Journal};
use callboard_core::{Datum, ValueRef, id::RunId, workflow::view::content};
use serde_json::Value;
use std::collections::BTreeMap;

/// Stored data of one answer; what is beyond stays a reference.
pub(super) const AT_MOST: u64 = 32 << 20;
/// Values asked for at once.
const AT_ONCE: usize = 64;

/// The stored data that an answer shows, by key.
#[derive(Debug, Default)]
pub struct Data {
    wanted: BTreeMap<String, ValueRef>,
    size: u64,
    found: BTreeMap<String, Value>,
}

// === impl Data ===

impl Data {
    /// Returns how many bytes are asked for.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Asks for the content of `datum` if it is stored; false once the answer is large enough without it.
    pub fn want(&mut self, datum: &Datum) -> bool {
        let Datum::Stored(reference) = datum else { return true };
        if self.wanted.contains_key(&reference.key) {
            return true;
        }
        // The first one always fits: no single value is larger than an answer may be.
        let size = self.size.saturating_add(reference.size);
        if size > AT_MOST && !self.wanted.is_empty() {
            return false;
        }
        self.size = size;
        self.wanted.insert(reference.key.clone(), reference.clone());
        true
    }

    /// Loads what was asked for. A value that can't be read is as if it were not there.
    pub async fn load(&mut self, catalog: &dyn Journal, run: &RunId) -> Result<(), Error> {
        let keys: Vec<String> =
            self.wanted.keys().filter(|key| !self.found.contains_key(*key)).cloned().collect();
        for keys in keys.chunks(AT_ONCE) {
            for (key, bytes) in catalog.values(run, keys).await? {
                match serde_json::from_slice(&bytes) {
                    Ok(value) => {
                        self.found.insert(key, value);
                    }
                    Err(error) => tracing::error!(%run, key, %error, "a stored value can't be read"),
                }
            }
        }
        Ok(())
    }

    /// Returns what was loaded.
    pub fn content(&self, reference: &ValueRef) -> Option<Value> {
        self.found.get(&reference.key).cloned()
    }

    /// Returns the content, or its hash where it was not loaded.
    pub fn show(&self, datum: &Datum) -> Value {
        content(datum, |reference| self.content(reference))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_core::Hash;
    use serde_json::json;

    fn stored(key: &str, size: u64) -> Datum {
        Datum::Stored(ValueRef { key: key.into(), hash: Hash::of(key.as_bytes()), size })
    }

    #[test]
    fn an_answer_stops_asking_when_it_is_large_enough() {
        let mut data = Data::default();
        assert!(data.want(&stored("a", AT_MOST)));
        assert!(data.want(&stored("a", AT_MOST)), "the same value costs nothing twice");
        assert!(!data.want(&stored("b", 1)));
        assert!(data.want(&Datum::inline("small")));
    }

    #[test]
    fn what_is_not_loaded_shows_its_hash() {
        let shown = Data::default().show(&stored("t.1", 2000));
        assert_eq!(shown["unavailable"], json!({"hash": Hash::of(b"t.1"), "size": 2000}));
    }
}
