//! Turns that are taken by name: whoever was served last is served again when all others were.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound::{Excluded, Unbounded},
};

/// What hands out those who wait, one by one, each waiting under a path.
pub trait Queue<W>: Default {
    type Path;

    fn push(&mut self, path: Self::Path, waiter: W);

    fn pop(&mut self) -> Option<W>;

    /// Takes out those that are not to wait any more.
    fn retain(&mut self, keep: &impl Fn(&W) -> bool);

    fn len(&self) -> usize;
}

/// Queues by name, served in turn.
///
/// The turn goes by the names' order and not by who came first: a name that came late is at most one round behind, and no
/// list of turns has to be kept.
pub struct Rota<K, Q> {
    queues: BTreeMap<K, Q>,
    served: Option<K>,
    len: usize,
}

impl<K, Q> Default for Rota<K, Q> {
    fn default() -> Self {
        Self { queues: BTreeMap::new(), served: None, len: 0 }
    }
}

impl<W, K: Ord + Clone, Q: Queue<W>> Queue<W> for Rota<K, Q> {
    type Path = (K, Q::Path);

    fn push(&mut self, (name, path): Self::Path, waiter: W) {
        self.queues.entry(name).or_default().push(path, waiter);
        self.len += 1;
    }

    fn pop(&mut self) -> Option<W> {
        let served = self.served.take();
        let behind = served.and_then(|name| {
            let mut behind = self.queues.range((Excluded(name), Unbounded));
            behind.next().map(|(name, _)| name.clone())
        });
        let name = behind.or_else(|| self.queues.keys().next().cloned())?;
        let queue = self.queues.get_mut(&name)?;
        let waiter = queue.pop()?;
        if queue.len() == 0 {
            self.queues.remove(&name);
        }
        self.served = Some(name);
        self.len -= 1;
        Some(waiter)
    }

    fn retain(&mut self, keep: &impl Fn(&W) -> bool) {
        self.queues.retain(|_, queue| {
            queue.retain(keep);
            queue.len() > 0
        });
        self.len = self.queues.values().map(Queue::len).sum();
    }

    fn len(&self) -> usize {
        self.len
    }
}

/// Who came first is served first.
impl<W> Queue<W> for VecDeque<W> {
    type Path = ();

    fn push(&mut self, (): (), waiter: W) {
        self.push_back(waiter);
    }

    fn pop(&mut self) -> Option<W> {
        self.pop_front()
    }

    fn retain(&mut self, keep: &impl Fn(&W) -> bool) {
        self.retain(keep);
    }

    fn len(&self) -> usize {
        VecDeque::len(self)
    }
}
