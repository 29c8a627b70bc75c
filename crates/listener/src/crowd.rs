//! How full a port is. When it is, connections on which nothing runs are kept small, and beyond a number given up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::task::AtomicWaker;
use parking_lot::Mutex;

use crate::Limits;

/// The connections of one port.
pub(crate) struct Crowd {
    open: AtomicUsize,
    /// Above this many, it is one.
    many: usize,
    /// HTTP/2 on which nothing runs. The server behind them can't be made smaller, only fewer.
    idle: Mutex<Idle>,
}

struct Idle {
    most: usize,
    /// The key of the next; the first is who waits longest.
    next: u64,
    waiting: BTreeMap<u64, Arc<Sign>>,
}

/// Here, as long as this lives.
pub(crate) struct Present(Arc<Crowd>);

/// By which a connection is told to go.
#[derive(Default)]
struct Sign {
    shown: AtomicBool,
    waker: AtomicWaker,
}

/// A connection of HTTP/2 among others.
pub(crate) struct Guest {
    crowd: Arc<Crowd>,
    sign: Arc<Sign>,
    key: Option<u64>,
}

// === impl Crowd ===

impl Crowd {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        let idle = Idle { most: limits.idle_http2, next: 0, waiting: BTreeMap::new() };
        Arc::new(Self { open: AtomicUsize::new(0), many: limits.crowd, idle: Mutex::new(idle) })
    }

    pub(crate) fn enter(self: &Arc<Self>) -> Present {
        self.open.fetch_add(1, Ordering::Relaxed);
        Present(self.clone())
    }

    pub(crate) fn is_there(&self) -> bool {
        self.open.load(Ordering::Relaxed) > self.many
    }

    /// A connection of HTTP/2 on which nothing runs yet.
    pub(crate) fn guest(self: &Arc<Self>) -> Guest {
        let mut guest = Guest { crowd: self.clone(), sign: Arc::default(), key: None };
        guest.idles();
        guest
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Guest ===

impl Guest {
    /// Nothing runs any more. Whoever waits longest has to go if they are too many.
    pub(crate) fn idles(&mut self) {
        self.sign.shown.store(false, Ordering::Relaxed);
        let gone = {
            let mut idle = self.crowd.idle.lock();
            let key = idle.next;
            idle.next += 1;
            idle.waiting.insert(key, self.sign.clone());
            self.key = Some(key);
            if idle.waiting.len() > idle.most { idle.waiting.pop_first() } else { None }
        };
        if let Some((_, sign)) = gone {
            sign.shown.store(true, Ordering::Release);
            sign.waker.wake();
        }
    }

    pub(crate) fn works(&mut self) {
        if let Some(key) = self.key.take() {
            self.crowd.idle.lock().waiting.remove(&key);
        }
        self.sign.shown.store(false, Ordering::Relaxed);
    }

    /// Whether it is to go; if not, the task is woken when it is.
    pub(crate) fn is_to_go(&self, cx: &mut std::task::Context<'_>) -> bool {
        self.sign.waker.register(cx.waker());
        self.sign.shown.load(Ordering::Acquire)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.works();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Waker};

    #[test]
    fn who_waits_longest_goes_and_who_works_stays() {
        let crowd = Crowd::new(&Limits { idle_http2: 2, ..Limits::default() });
        let mut guests = [crowd.guest(), crowd.guest()];
        guests[0].works();
        let more = [crowd.guest(), crowd.guest()];
        let cx = &mut Context::from_waker(Waker::noop());
        let told: Vec<_> = guests.iter().chain(&more).map(|guest| guest.is_to_go(cx)).collect();
        assert_eq!(told, [false, true, false, false]);
        // Whoever was told and has something to do after all stays, and waits anew afterwards.
        guests[1].works();
        assert!(!guests[1].is_to_go(cx));
        guests[1].idles();
        assert!(more[0].is_to_go(cx) && !guests[1].is_to_go(cx));
        drop((guests, more));
        assert!(crowd.idle.lock().waiting.is_empty());
    }

    #[test]
    fn whoever_leaves_makes_it_smaller() {
        let crowd = Crowd::new(&Limits { crowd: 1, ..Limits::default() });
        let (one, two) = (crowd.enter(), crowd.enter());
        assert!(crowd.is_there());
        drop(one);
        assert!(!crowd.is_there());
        drop(two);
    }
}
