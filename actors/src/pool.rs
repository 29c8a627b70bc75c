//! Work that only computes, on threads of its own: the reactor's are for what waits.
//!
//! Two kinds, each with a number of places: decisions that evaluate much (one for each core), and checks of
//! definitions, schemas and values under them (a few, for each may take memory). Places are given in order of arrival,
//! and a run has no more than one turn under way, so no run gets more than its share. A decision is told when it takes
//! long; a check is bounded by what the core lets through.

use callboard_core::expr::Brake;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Checks made at once.
const CHECKS: usize = 4;
/// Whoever waits for a place; more are refused.
const WAITING: usize = 1024;
/// After so long a decision begins no further evaluation …
const EASE: Duration = Duration::from_millis(500);
/// … and an evaluation under way fails. Its work is bounded, so only a machine with far too much to do gets here.
const STOP: Duration = Duration::from_secs(5);

/// Threads for computing; a clone is the same.
#[derive(Clone)]
pub struct Pool {
    decisions: Places,
    checks: Places,
}

#[derive(Clone)]
struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
}

/// A place to decide at.
pub(crate) struct Place(OwnedSemaphorePermit);

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too much is being worked on: try again")]
pub struct Busy;

// === impl Pool ===

impl Default for Pool {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { decisions: Places::new(cores), checks: Places::new(CHECKS) }
    }
}

impl Pool {
    /// Waits for a place to decide at.
    pub(crate) async fn place(&self) -> Result<Place, Busy> {
        self.decisions.enter().await.map(Place)
    }

    /// Decides. The brake is pulled when it takes long.
    pub(crate) async fn decide<T: Send + 'static>(
        &self,
        place: Place,
        decide: impl FnOnce(&Brake) -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let brake = Arc::new(Brake::default());
        let held = Arc::clone(&brake);
        // Its time begins here: how long it waited is not its fault.
        let work = perform(place.0, move || decide(&held));
        tokio::pin!(work);
        for (after, pull) in [(EASE, Brake::ease as fn(&Brake)), (STOP - EASE, Brake::stop)] {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(after) => pull(&brake),
            }
        }
        work.await
    }

    /// Checks a definition, a schema or a value.
    pub async fn check<T: Send + 'static>(
        &self,
        check: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Busy> {
        let place = self.checks.enter().await?;
        perform(place, check).await
    }
}

// === impl Places ===

impl Places {
    fn new(places: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(places)), waiting: Arc::default() }
    }

    async fn enter(&self) -> Result<OwnedSemaphorePermit, Busy> {
        let _waiting = Waiting::among(&self.waiting)?;
        // Never closed.
        Arc::clone(&self.free).acquire_owned().await.map_err(|_| Busy)
    }
}

/// In simulated time everything happens on one thread, in one order.
#[cfg(feature = "mutants")]
async fn perform<T: Send + 'static>(
    _place: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Busy> {
    Ok(work())
}

/// Works on a thread for that. Whoever waits may go away; the place is taken until the work is done.
#[cfg(not(feature = "mutants"))]
async fn perform<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Busy> {
    let work = move || {
        let made = work();
        drop(place);
        made
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(made) => Ok(made),
        // As if it had panicked where it was asked for.
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(Busy),
    }
}

/// Counts who waits, until it is dropped.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn among(all: &Arc<AtomicUsize>) -> Result<Self, Busy> {
        if all.fetch_add(1, Ordering::Relaxed) >= WAITING {
            all.fetch_sub(1, Ordering::Relaxed);
            return Err(Busy);
        }
        Ok(Self(Arc::clone(all)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(feature = "mutants")))]
mod tests {
    use super::*;
    use callboard_core::expr::{Meter, evaluate_under};
    use serde_json::json;
    use std::{
        task::{Context, Waker},
        time::Instant,
    };

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn so_many_checks_are_made_at_once() {
        let (pool, running) = (Pool::default(), Arc::new(AtomicUsize::new(0)));
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let gone = Arc::new(std::sync::Mutex::new(gone));
        let checks: Vec<_> = (0..CHECKS + 3)
            .map(|_| {
                let (pool, running, gone) = (pool.clone(), running.clone(), gone.clone());
                tokio::spawn(async move {
                    let work = move || {
                        running.fetch_add(1, Ordering::SeqCst);
                        gone.lock().expect("whole").recv().expect("a word");
                    };
                    pool.check(work).await
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(running.load(Ordering::SeqCst), CHECKS);
        checks.iter().for_each(|_| go.send(()).expect("heard"));
        for check in checks {
            assert_eq!(check.await.expect("no panic"), Ok(()));
        }
    }

    #[tokio::test]
    async fn so_many_wait_and_more_are_refused() {
        let (places, cx) = (Places::new(0), &mut Context::from_waker(Waker::noop()));
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(places.enter())).collect();
        for one in &mut waiting {
            assert!(one.as_mut().poll(cx).is_pending());
        }
        assert!(matches!(places.enter().await, Err(Busy)));
        // Whoever goes away makes room for another.
        waiting.pop();
        let mut one = Box::pin(places.enter());
        assert!(one.as_mut().poll(cx).is_pending());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_decision_that_takes_long_is_eased_and_then_stopped() {
        let pool = Pool::default();
        let place = pool.place().await.expect("a place");
        let decide = |brake: &Brake| {
            let (meter, began) = (Meter::new(Some(brake)), Instant::now());
            let until = |is: &dyn Fn() -> bool| {
                while !is() && began.elapsed() < 3 * STOP {
                    std::thread::park_timeout(Duration::from_millis(20));
                }
                began.elapsed()
            };
            let eased = until(&|| meter.is_eased());
            let is_open = evaluate_under(&meter, "1", &json!({})).is_ok();
            let stopped = until(&|| evaluate_under(&meter, "1", &json!({})).is_err());
            (eased, is_open, stopped)
        };
        let (eased, is_open, stopped) = pool.decide(place, decide).await.expect("no panic");
        assert!(is_open && EASE <= eased && eased < STOP, "{eased:?}");
        assert!(STOP <= stopped && stopped < 2 * STOP, "{stopped:?}");
    }
}
