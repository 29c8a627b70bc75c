//! Places for heavy requests: those that take memory or time by the size of what is stored or sent, not by their number.
//!
//! Whoever finds no place waits in order for a while and is then told to come back. A place is given back when the work
//! has ended, not when the client has gone: what was begun on another thread can't be called back.

use super::Refusal;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Text of definitions that are read and checked at once, in KiB. Each may take twenty times its text.
const CHECKS: usize = 8 << 10;
/// What a small one counts as, so that four are checked at once, and two of the largest.
const CHECK: usize = CHECKS / 4;
/// Long histories that are folded at once.
const FOLDS: usize = 2;
/// Stored data in answers under way, in KiB.
const DATA: usize = 64 << 10;
/// Answers with less stored data than this, in bytes, take no place.
const LIGHT: u64 = 1 << 20;
/// How long a read waits for a place.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for a definition, which its sender has already sent.
const PATIENCE_OF_CHECKS: Duration = Duration::from_secs(30);
/// KiB of events that all feeds together have read and not yet handed on.
const SHOWN: usize = 64 << 10;

/// The places of one process.
#[derive(Clone)]
pub struct Heavy {
    checks: Arc<Semaphore>,
    folds: Arc<Semaphore>,
    data: Arc<Semaphore>,
    shown: Arc<Semaphore>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

// === impl Heavy ===

impl Heavy {
    /// A place to read and check a definition of so many bytes.
    pub async fn check(&self, bytes: usize) -> Result<Turn, Refusal> {
        let wanted = bytes.div_ceil(1024).clamp(CHECK, CHECKS);
        wait(&self.checks, wanted, PATIENCE_OF_CHECKS, "too many definitions are being checked").await
    }

    /// A place to fold a long history.
    pub async fn fold(&self) -> Result<Turn, Refusal> {
        wait(&self.folds, 1, PATIENCE, "too many long histories are being read").await
    }

    /// Room for so many bytes of stored data; none is needed for little.
    pub async fn data(&self, bytes: u64) -> Result<Option<Turn>, Refusal> {
        if bytes < LIGHT {
            return Ok(None);
        }
        let wanted = usize::try_from(bytes >> 10).unwrap_or(DATA).min(DATA);
        wait(&self.data, wanted, PATIENCE, "too much stored data is being read").await.map(Some)
    }

    /// Waits for room for so many bytes of a feed's events. What is larger than all the room takes all of it.
    pub(super) async fn show(&self, bytes: u64) -> Option<Turn> {
        let all = u32::try_from(SHOWN).unwrap_or(u32::MAX);
        let wanted = u32::try_from(bytes.div_ceil(1024)).unwrap_or(all).min(all);
        // Never closed.
        self.shown.clone().acquire_many_owned(wanted).await.ok().map(Turn)
    }
}

impl Default for Heavy {
    fn default() -> Self {
        let places = |n| Arc::new(Semaphore::new(n));
        Self { checks: places(CHECKS), folds: places(FOLDS), data: places(DATA), shown: places(SHOWN) }
    }
}

/// Does work that takes time where it holds up nobody. A panic goes on here.
pub async fn off_the_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Refusal::unavailable("stopping", "the server is stopping", 1)),
        },
    }
}

async fn wait(
    places: &Arc<Semaphore>,
    wanted: usize,
    patience: Duration,
    detail: &str,
) -> Result<Turn, Refusal> {
    let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
    let place = tokio::time::timeout(patience, places.clone().acquire_many_owned(wanted)).await;
    let place = place.ok().and_then(Result::ok);
    place.map(Turn).ok_or_else(|| Refusal::unavailable("overloaded", detail, 2))
}

#[cfg(test)]
mod tests {
    use super::{super::Kind, *};

    #[tokio::test(start_paused = true)]
    async fn who_finds_no_place_waits_and_is_then_told_to_come_back() {
        let heavy = Heavy::default();
        let held = [heavy.fold().await.expect("a place"), heavy.fold().await.expect("a place")];
        let error = heavy.fold().await.expect_err("two are the most");
        assert_eq!((error.kind, error.code.as_ref()), (Kind::Unavailable, "overloaded"));
        assert!(error.retry_after.is_some());
        let (freed, third) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(held)
            },
            heavy.fold()
        );
        let () = freed;
        third.expect("a place is free again");
    }

    #[tokio::test(start_paused = true)]
    async fn four_small_definitions_or_two_large_ones_are_checked_at_once() {
        for (bytes, at_once) in [(0, 4), (100, 4), (4 << 20, 2), (usize::MAX, 1)] {
            let (heavy, mut held) = (Heavy::default(), Vec::new());
            while let Ok(turn) = heavy.check(bytes).await {
                held.push(turn);
            }
            assert_eq!(held.len(), at_once, "{bytes}");
        }
    }
}
