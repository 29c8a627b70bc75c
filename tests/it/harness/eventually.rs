//! Waiting without sleeping: asks again until the answer is good or the time is over.

use std::fmt::Debug;
use std::panic::Location;
use std::time::{Duration, Instant};

/// Asks `probe` until it returns `Ok` and gives that back.
///
/// When `timeout` is over it panics with the last `Err`, naming the caller's line. A probe
/// that hangs counts as not answered, it does not outlive the timeout.
///
/// ```ignore
/// let run = eventually(secs(10), || async { when(get(&run).await, |r| r["status"] == "completed") }).await;
/// ```
#[track_caller]
pub fn eventually<T, E, F, P>(timeout: Duration, mut probe: P) -> impl Future<Output = T>
where
    E: Debug,
    F: Future<Output = Result<T, E>>,
    P: FnMut() -> F,
{
    let caller = Location::caller();
    async move {
        let started = Instant::now();
        let mut last: Option<E> = None;
        let mut pause = Duration::from_millis(5);
        loop {
            let left = timeout.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, probe()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(error)) => last = Some(error),
                Err(_) => panic!(
                    "not within {timeout:?} ({caller}); the last probe did not return; before it: {}",
                    last.map_or("nothing was seen".to_owned(), |error| format!("{error:#?}"))
                ),
            }
            if started.elapsed() + pause >= timeout {
                panic!(
                    "not within {timeout:?} ({caller}); last seen: {:#?}",
                    last.expect("a probe returned")
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

/// Turns a value into an answer for [`eventually`]: good if `is_good`, else what was seen last.
pub fn when<T>(value: T, is_good: impl FnOnce(&T) -> bool) -> Result<T, T> {
    if is_good(&value) { Ok(value) } else { Err(value) }
}
