//! Everything this process does beside answering runs here, so that a shutdown can wait for it.

use crate::trace;
use std::{future::Future, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns and counts tasks; a clone is the same set.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    #[cfg(feature = "mutants")]
    process: crate::process::Process,
}

impl Tasks {
    /// Tasks that are held and killed with a simulated process.
    #[cfg(feature = "mutants")]
    pub fn within(process: crate::process::Process) -> Self {
        Self { process, ..Self::default() }
    }

    /// Runs `work` to its end, also when a shutdown has begun.
    pub fn spawn<F>(&self, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let work = trace::inherit(work);
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

    pub fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }

    pub async fn stopped(&self) {
        self.stopping.cancelled().await;
    }

    /// Begins the shutdown and waits for what runs, at most `patience`. Returns whether all ended.
    pub async fn drain(&self, patience: Duration) -> bool {
        self.stopping.cancel();
        self.tracker.close();
        tokio::time::timeout(patience, self.tracker.wait()).await.is_ok()
    }
}

/// Waits; for nothing not at all, where a sleep would last until the timer's next tick, a millisecond.
pub async fn pause(length: Duration) {
    if !length.is_zero() {
        tokio::time::sleep(length).await;
    }
}
