//! Everything this process does beside answering runs here, so that a shutdown can wait for it.

use crate::{Pool, trace};
use std::{
    fmt,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns and counts tasks; a clone is the same set.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    under_way: Arc<[AtomicUsize; 3]>,
    /// Threads for what only computes.
    pub pool: Pool,
    #[cfg(feature = "mutants")]
    process: crate::simulated::Process,
}

/// What is called outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Called {
    Model,
    Tool,
    Http,
}

/// A call that has begun: a shutdown waits for it and for what becomes of its answer.
pub struct Call(Arc<[AtomicUsize; 3]>, Called);

/// How many calls are under way, in words.
pub struct UnderWay([usize; 3]);

impl Drop for Call {
    fn drop(&mut self) {
        self.0[self.1 as usize].fetch_sub(1, Ordering::SeqCst);
    }
}

impl UnderWay {
    pub fn is_none(&self) -> bool {
        self.0.iter().all(|n| *n == 0)
    }
}

impl fmt::Display for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["model", "tool", "HTTP"];
        let parts: Vec<String> = self
            .0
            .iter()
            .zip(names)
            .filter(|(n, _)| **n > 0)
            .map(|(n, name)| format!("{n} {name} call{}", if *n == 1 { "" } else { "s" }))
            .collect();
        f.write_str(&parts.join(", "))
    }
}

impl Tasks {
    /// Tasks that are held and killed with a simulated process.
    #[cfg(feature = "mutants")]
    pub fn within(process: crate::simulated::Process) -> Self {
        Self { process, ..Self::default() }
    }

    /// Runs `work` to its end, also when a shutdown has begun.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // A turn's future has tens of kilobytes, which each layer around it would move once more.
        let work = trace::inherit(Box::pin(work));
        #[cfg(feature = "mutants")]
        {
            let task = self.tracker.spawn(self.process.within(work));
            self.process.adopt(task.abort_handle());
            task
        }
        #[cfg(not(feature = "mutants"))]
        self.tracker.spawn(work)
    }

    /// Runs `work` until it ends or a shutdown begins: for work that another process takes up again.
    pub fn spawn_until_stop<F: Future<Output = ()> + Send + 'static>(&self, work: F) {
        let stop = self.stopping.clone();
        self.spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Begins a call to the outside; none once a shutdown has begun.
    pub fn begin(&self, called: Called) -> Option<Call> {
        self.under_way[called as usize].fetch_add(1, Ordering::SeqCst);
        let call = Call(self.under_way.clone(), called);
        (!self.is_stopping()).then_some(call)
    }

    pub fn under_way(&self) -> UnderWay {
        UnderWay(std::array::from_fn(|n| self.under_way[n].load(Ordering::SeqCst)))
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    /// Begins the shutdown: from now on no call begins.
    pub fn stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
    }

    /// Stops, and waits for what runs, at most `patience`. Returns whether all ended.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.stop();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

/// Waits; for nothing not at all, where a sleep would last until the timer's next tick, a millisecond.
pub async fn pause(length: Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stop_begins_no_call_and_waits_for_those_that_have_begun() {
        let tasks = Tasks::default();
        let call = tasks.begin(Called::Model).expect("nothing stops yet");
        let _other = (tasks.begin(Called::Http), tasks.begin(Called::Http));
        let landed = tasks.spawn(async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            drop(call);
        });
        tasks.stop();
        assert!(tasks.begin(Called::Tool).is_none());
        assert_eq!(tasks.under_way().to_string(), "1 model call, 2 HTTP calls");
        assert!(tasks.drain(Duration::from_secs(5)).await);
        assert!(landed.is_finished());
    }
}
