//! One place per actor: a FIFO mutex around its state, with a bounded queue.
//!
//! daprd's own turn lock can let two turns of an actor overlap, so the lock that counts is here.

use crate::mutant::mutant;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::OwnedMutexGuard;

/// Too many turns wait for this actor already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// The actors of one type that are active in this process, by their ids.
pub struct Mailboxes<K, T> {
    places: Mutex<HashMap<K, Arc<Place<T>>>>,
    limit: usize,
}

/// One actor's state, and who waits for it.
struct Place<T> {
    state: Arc<tokio::sync::Mutex<T>>,
    waiting: AtomicUsize,
}

impl<K: Clone + Eq + Hash, T: Default + Send + 'static> Mailboxes<K, T> {
    /// An empty set. At most `limit` turns wait for one actor, the one that is inside not counted.
    pub fn new(limit: usize) -> Self {
        Self { places: Mutex::default(), limit }
    }

    /// Waits for the actor's turn, in order of arrival.
    pub async fn enter(&self, id: &K) -> Result<OwnedMutexGuard<T>, Full> {
        mutant!(Mailbox, return Ok(Arc::new(tokio::sync::Mutex::new(T::default())).lock_owned().await););
        // The lock on the map is held only to count: waiting for the turn happens outside.
        let place = {
            let mut places = self.places.lock();
            let place = places
                .entry(id.clone())
                .or_insert_with(|| Arc::new(Place { state: Arc::default(), waiting: AtomicUsize::new(0) }));
            // The turn is counted under the map's lock, so that `forget_if` can't take the place away before the
            // wait.
            if place.waiting.fetch_add(1, Ordering::Relaxed) >= self.limit {
                place.waiting.fetch_sub(1, Ordering::Relaxed);
                return Err(Full);
            }
            place.clone()
        };
        // This counts the turn out, also if the caller gives up while it waits.
        let _waiting = Waiting(&place.waiting);
        Ok(place.state.clone().lock_owned().await)
    }

    /// Returns the ids of the actors that are active here.
    pub fn names(&self) -> Vec<K> {
        self.places.lock().keys().cloned().collect()
    }

    /// Whether the actor is active here.
    pub fn knows(&self, id: &K) -> bool {
        self.places.lock().contains_key(id)
    }

    /// Forgets an actor that nobody is in or waits for. Returns whether it is gone.
    pub fn forget(&self, id: &K) -> bool {
        self.forget_if(id, |_| true)
    }

    /// The same, if the actor's state allows it.
    pub fn forget_if(&self, id: &K, allowed: impl FnOnce(&T) -> bool) -> bool {
        let mut places = self.places.lock();
        let idle = places.get(id).is_some_and(|place| {
            place.waiting.load(Ordering::Relaxed) == 0
                // A guard holds a reference to the state, so with one reference nobody is inside.
                && Arc::strong_count(&place.state) == 1
                && place.state.try_lock().is_ok_and(|state| allowed(&state))
        });
        if idle {
            places.remove(id);
        }
        idle
    }

    /// Returns how many actors are active here.
    pub fn len(&self) -> usize {
        self.places.lock().len()
    }
}

/// One turn that waits. Dropping it counts the turn out.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_of_one_actor_do_not_overlap_and_keep_their_order() {
        let boxes = Arc::new(Mailboxes::<&str, Vec<u32>>::new(8));
        let first = boxes.enter(&"a").await.expect("a place");
        let mut waiting = Vec::new();
        for n in 0..4 {
            let boxes2 = boxes.clone();
            waiting.push(tokio::spawn(async move { boxes2.enter(&"a").await.expect("a place").push(n) }));
            tokio::task::yield_now().await;
        }
        assert!(boxes.enter(&"b").await.is_ok(), "another actor is free");
        drop(first);
        for task in waiting {
            task.await.expect("no panic");
        }
        assert_eq!(*boxes.enter(&"a").await.expect("a place"), [0, 1, 2, 3]);
    }

    #[tokio::test]
    async fn a_full_mailbox_refuses_and_a_caller_that_leaves_makes_room() {
        let boxes = Arc::new(Mailboxes::<&str, ()>::new(1));
        let inside = boxes.enter(&"a").await.expect("a place");
        let boxes2 = boxes.clone();
        let waits = tokio::spawn(async move { boxes2.enter(&"a").await.is_ok() });
        tokio::task::yield_now().await;
        assert_eq!(boxes.enter(&"a").await.err(), Some(Full));
        waits.abort();
        let _ = waits.await;
        drop(inside);
        assert!(boxes.enter(&"a").await.is_ok());
        assert!(!boxes.forget_if(&"a", |()| false));
        assert!(boxes.forget(&"a"));
        assert_eq!(boxes.len(), 0);
    }
}
