//! The way to the one connection that appends, and what both databases put on it: how much may wait there, and what callers
//! are told.

use crate::{Append, AppendError, Error, Used};
use callboard_core::id::RunId;
use parking_lot::Mutex;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use tracing::{error, warn};

/// Commands in one group.
pub(crate) const GROUP: usize = 256;
/// How long what nobody waits for waits for company. The next append takes it along.
pub(crate) const LINGER: Duration = Duration::from_millis(40);
/// Commands that wait; more make their callers wait.
const QUEUE: usize = 1024;
/// Memory that waiting appends may hold, in KiB.
const QUEUE_KIB: u32 = 64 << 10;

/// A handle to a writing task, which takes steps and whatever else its commands are.
pub(crate) struct Writer<C> {
    commands: Mutex<Option<mpsc::Sender<C>>>,
    room: Arc<Semaphore>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// A write that shares its commit with others.
pub(crate) enum Step {
    Append {
        append: Box<Append>,
        reply: oneshot::Sender<Result<(), AppendError>>,
        _room: OwnedSemaphorePermit,
    },
    Cleaned {
        run: RunId,
        seq: u64,
        reply: oneshot::Sender<Result<bool, Error>>,
    },
    Count {
        count: Count,
        reply: oneshot::Sender<Result<bool, Error>>,
    },
}

/// What a run used between two places of its history. It is added unless the first one is not where it was counted up to.
pub(crate) struct Count {
    pub run: RunId,
    pub from: u64,
    pub to: u64,
    pub used: Vec<Used>,
}

/// What a step came to, told to its caller after the commit.
pub(crate) enum Outcome {
    Appended(Result<(), AppendError>),
    Cleaned(bool),
    Counted(bool),
}

/// Tells every caller what its step came to.
pub(crate) fn tell(group: impl IntoIterator<Item = Step>, outcomes: Vec<Outcome>) {
    group.into_iter().zip(outcomes).for_each(|(step, outcome)| step.answer(outcome));
}

/// Tells every caller that the outcome is unknown.
pub(crate) fn fail(group: impl IntoIterator<Item = Step>, error: &sqlx::Error) {
    warn!(error = %error, "the catalog could not commit");
    let error: Arc<str> = error.to_string().into();
    for step in group {
        match step {
            Step::Append { reply, .. } => drop(reply.send(Err(AppendError::Unavailable((&*error).into())))),
            Step::Cleaned { reply, .. } | Step::Count { reply, .. } => {
                drop(reply.send(Err(Error::Unavailable((&*error).into()))));
            }
        }
    }
}

// === impl Writer ===

impl<C: From<Step> + Send + 'static> Writer<C> {
    /// Begins the task, which takes commands until it is closed.
    pub fn spawn<T>(task: impl FnOnce(mpsc::Receiver<C>) -> T) -> Self
    where
        T: Future<Output = ()> + Send + 'static,
    {
        let (commands, queue) = mpsc::channel(QUEUE);
        Self {
            commands: Mutex::new(Some(commands)),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            task: Mutex::new(Some(tokio::spawn(task(queue)))),
        }
    }

    pub async fn append(&self, append: Append) -> Result<(), AppendError> {
        if !append.is_well_formed() {
            error!(run = %append.run, first_seq = append.first_seq, "entries of an append are not numbered in order");
            return Err(AppendError::Conflict);
        }
        let gone = |message: &'static str| AppendError::Unavailable(message.into());
        let kib = u32::try_from(append.size() >> 10).unwrap_or(QUEUE_KIB).clamp(1, QUEUE_KIB);
        let room = self.room.clone().acquire_many_owned(kib).await.map_err(|_| gone("closed"))?;
        let (reply, answer) = oneshot::channel();
        let step = Step::Append { append: Box::new(append), reply, _room: room };
        if !self.send(step.into()).await {
            return Err(gone("closed"));
        }
        answer.await.unwrap_or_else(|_| Err(gone("the writer stopped")))
    }

    pub async fn cleaned(&self, run: RunId, seq: u64) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Step::Cleaned { run, seq, reply }.into()).await;
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("closed".into())))
    }

    pub async fn count(&self, count: Count) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Step::Count { count, reply }.into()).await;
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("closed".into())))
    }

    /// Hands a command in; false if nobody takes one any more, and its caller hears no answer.
    pub async fn send(&self, command: C) -> bool {
        let commands = self.commands.lock().clone();
        match commands {
            Some(commands) => commands.send(command).await.is_ok(),
            None => false,
        }
    }

    /// Waits until what was handed in is done.
    pub async fn close(&self) {
        self.commands.lock().take();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(e) = task.await
        {
            error!(error = %e, "the catalog's writer did not end well");
        }
    }
}

// === impl Step ===

impl Step {
    pub fn run(&self) -> &RunId {
        match self {
            Step::Append { append, .. } => &append.run,
            Step::Cleaned { run, .. } => run,
            Step::Count { count, .. } => &count.run,
        }
    }

    /// Whether nobody waits for it.
    pub fn may_wait(&self) -> bool {
        match self {
            Step::Append { .. } => false,
            Step::Cleaned { .. } | Step::Count { .. } => true,
        }
    }

    /// Whether it is the first of a run's history.
    pub fn begins_a_run(&self) -> bool {
        matches!(self, Step::Append { append, .. } if append.first_seq == 1)
    }

    /// A caller that went away does not need the answer.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Step::Append { reply, .. }, Outcome::Appended(result)) => drop(reply.send(result)),
            (Step::Cleaned { reply, .. }, Outcome::Cleaned(done))
            | (Step::Count { reply, .. }, Outcome::Counted(done)) => drop(reply.send(Ok(done))),
            (Step::Append { .. } | Step::Cleaned { .. } | Step::Count { .. }, _) => {}
        }
    }
}
