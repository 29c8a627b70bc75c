//! What was read a moment ago and need not be read again for each request.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So long an answer stands. A key that is revoked is refused everywhere within 5 s; the rest is for the reading.
const FRESH: Duration = Duration::from_secs(4);
/// Entries; more, and all are forgotten. Whoever sends made-up keys takes no memory, only a read each.
const MOST: usize = 4096;

pub(super) struct Cache<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    pub fn get(&self, key: &K) -> Option<V> {
        let entries = self.entries();
        entries.get(key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, value)| value.clone())
    }

    pub fn put(&self, key: K, value: V) {
        self.put_at(key, value, Instant::now());
    }

    /// Keeps what was asked for `at` that time.
    pub fn put_at(&self, key: K, value: V, at: Instant) {
        let mut entries = self.entries();
        if entries.len() >= MOST && !entries.contains_key(&key) {
            entries.clear();
        }
        entries.insert(key, (at, value));
    }

    pub fn remove(&self, key: &K) {
        self.entries().remove(key);
    }

    pub fn clear(&self) {
        self.entries().clear();
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_stands_for_less_than_five_seconds_and_there_are_not_many() {
        let cache = Cache::default();
        cache.put_at(1, "old", Instant::now() - Duration::from_secs(4));
        cache.put(2, "new");
        assert_eq!((cache.get(&1), cache.get(&2)), (None, Some("new")));
        for n in 0..10_000 {
            cache.put(n, "made up");
        }
        assert!(cache.entries().len() <= MOST);
    }
}
