//! A simulated process: everything that runs in it can be held, as by SIGSTOP, or killed, between any two polls.
//!
//! Only the simulator's build has it. A real process is held and killed by its operating system.

use parking_lot::Mutex;
use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};
use tokio::task::AbortHandle;

/// One life of a process; a clone is the same.
#[derive(Clone, Default)]
pub struct Process(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    dead: bool,
    held: bool,
    waiting: Vec<Waker>,
    tasks: Vec<AbortHandle>,
    /// Finished tasks are swept out when so many have come together.
    sweep_at: usize,
}

/// Work that runs only while its process does.
pub struct Within<F> {
    process: Process,
    work: Pin<Box<F>>,
}

// === impl Process ===

impl Process {
    pub fn within<F: Future>(&self, work: F) -> Within<F> {
        Within { process: self.clone(), work: Box::pin(work) }
    }

    /// Makes a task one of this process, so that it dies with it.
    pub fn adopt(&self, task: AbortHandle) {
        let mut inner = self.0.lock();
        if inner.dead {
            task.abort();
            return;
        }
        if inner.tasks.len() >= inner.sweep_at {
            inner.tasks.retain(|t| !t.is_finished());
            inner.sweep_at = 64 + 2 * inner.tasks.len();
        }
        inner.tasks.push(task);
    }

    /// Ends everything where it stands; nothing of it is polled again.
    pub fn kill(&self) {
        let tasks = {
            let mut inner = self.0.lock();
            inner.dead = true;
            inner.waiting.clear();
            std::mem::take(&mut inner.tasks)
        };
        tasks.iter().for_each(AbortHandle::abort);
    }

    pub fn hold(&self) {
        self.0.lock().held = true;
    }

    pub fn release(&self) {
        let waiting = {
            let mut inner = self.0.lock();
            inner.held = false;
            std::mem::take(&mut inner.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    pub fn is_dead(&self) -> bool {
        self.0.lock().dead
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        {
            let mut inner = self.process.0.lock();
            if inner.dead {
                return Poll::Pending;
            }
            if inner.held {
                inner.waiting.push(context.waker().clone());
                return Poll::Pending;
            }
        }
        self.work.as_mut().poll(context)
    }
}
