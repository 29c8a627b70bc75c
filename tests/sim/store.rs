//! The state store: keys with etags that count up, and expiries. What it does with a missing key depends on the mode.

use bytes::Bytes;
use std::collections::BTreeMap;

/// All keys of one instant; a clone is a snapshot to roll back to.
#[derive(Clone, Default)]
pub struct Store(pub BTreeMap<String, Item>);

#[derive(Clone)]
pub struct Item {
    pub data: Bytes,
    pub etag: u64,
    /// Milliseconds since the seed began.
    pub expires: Option<u64>,
}

/// What a save is conditional on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fence {
    None,
    First,
    Etag(u64),
}

/// One item of a save. `ttl`: nothing keeps what is there (Redis), -1 takes it off.
#[derive(Clone)]
pub struct Write {
    pub key: String,
    pub data: Bytes,
    pub fence: Fence,
    pub ttl: Option<i64>,
}

// === impl Store ===

impl Store {
    pub fn get(&mut self, now: u64, key: &str) -> Option<&Item> {
        self.expire(now, key);
        self.0.get(key)
    }

    pub fn put(&mut self, now: u64, strict: bool, write: &Write) -> bool {
        self.expire(now, &write.key);
        let old = self.0.get(&write.key);
        let fits = match (write.fence, old.map(|item| item.etag)) {
            (Fence::None, _) | (Fence::First, None) => true,
            (Fence::First, Some(_)) => false,
            (Fence::Etag(_), None) => strict,
            (Fence::Etag(given), Some(etag)) => given == etag,
        };
        if !fits {
            return false;
        }
        let expires = match write.ttl {
            None => old.and_then(|item| item.expires),
            Some(seconds) => u64::try_from(seconds).ok().map(|s| now + 1000 * s),
        };
        let etag = old.map_or(0, |item| item.etag) + 1;
        self.0.insert(write.key.clone(), Item { data: write.data.clone(), etag, expires });
        true
    }

    pub fn remove(&mut self, now: u64, key: &str, etag: Option<u64>) -> bool {
        self.expire(now, key);
        let fits = match (etag, self.0.get(key)) {
            (Some(given), Some(item)) => given == item.etag,
            _ => true,
        };
        if fits {
            self.0.remove(key);
        }
        fits
    }

    fn expire(&mut self, now: u64, key: &str) {
        if self.0.get(key).is_some_and(|item| item.expires.is_some_and(|at| at <= now)) {
            self.0.remove(key);
        }
    }

    pub fn sweep(&mut self, now: u64) {
        self.0.retain(|_, item| item.expires.is_none_or(|at| at > now));
    }
}
