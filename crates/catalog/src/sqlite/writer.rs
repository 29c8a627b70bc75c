//! The one writing connection and its task.
//!
//! Whatever waits is taken at once and committed together; while that commit syncs, the next group gathers. Only a
//! run's last mark waits a little for others, as nobody waits for it. A step that the database refuses is found by
//! doing its group again one by one, so it never fails its neighbours.

use super::{
    BEGIN, COMMIT, ROLLBACK, is_busy,
    journal::{Batch, Ends},
};
use crate::{Append, AppendError, Error};
use callboard_core::id::RunId;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tracing::{error, warn};

/// Commands that wait; more make their callers wait.
const QUEUE: usize = 1024;
/// Memory that waiting appends may hold, in KiB.
const QUEUE_KIB: u32 = 64 << 10;
/// Commands in one group.
const GROUP: usize = 256;
/// How long runs that are marked as cleaned up wait for company.
const LINGER: Duration = Duration::from_millis(5);

/// A handle to the writing task.
pub(super) struct Writer {
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    room: Arc<Semaphore>,
    task: Mutex<Option<JoinHandle<()>>>,
}

enum Command {
    Step(Step),
    /// Anything rare: has a transaction of its own.
    Job(Job),
}

/// Says whether the connection can be used on.
type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send>;

/// A write that shares its commit with others.
enum Step {
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
}

/// What a step came to, told to its caller after the commit.
enum Outcome {
    Appended(Result<(), AppendError>),
    Cleaned(bool),
}

// === impl Writer ===

impl Writer {
    pub fn spawn(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let (commands, queue) = mpsc::channel(QUEUE);
        let task = Task { connection: Some(connection), options, ends: Ends::default() };
        Self {
            commands: Mutex::new(Some(commands)),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            task: Mutex::new(Some(tokio::spawn(task.run(queue)))),
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
        if !self.send(Command::Step(step)).await {
            return Err(gone("closed"));
        }
        answer.await.unwrap_or_else(|_| Err(gone("the writer stopped")))
    }

    pub async fn cleaned(&self, run: RunId, seq: u64) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Step(Step::Cleaned { run, seq, reply })).await;
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("closed".into())))
    }

    pub async fn job<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, Error>> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let work = work(connection);
            Box::pin(async move {
                let done = work.await;
                let usable = !matches!(done, Err(Error::Unavailable(_)));
                // A caller that went away does not need the answer.
                let _ = reply.send(done);
                usable
            })
        });
        self.send(Command::Job(job)).await;
        answer.await.unwrap_or_else(|_| Err(Error::Unavailable("closed".into())))
    }

    pub async fn close(&self) {
        self.commands.lock().take();
        let task = self.task.lock().take();
        if let Some(task) = task
            && let Err(e) = task.await
        {
            error!(error = %e, "the catalog's writer did not end well");
        }
    }

    async fn send(&self, command: Command) -> bool {
        let commands = self.commands.lock().clone();
        match commands {
            Some(commands) => commands.send(command).await.is_ok(),
            None => false,
        }
    }
}

/// What the writing task owns.
struct Task {
    /// Nothing after a failure that left the connection in doubt.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    ends: Ends,
}

// === impl Task ===

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Command>) {
        let mut commands = Vec::with_capacity(GROUP);
        while queue.recv_many(&mut commands, GROUP).await > 0 {
            let until = Instant::now() + LINGER;
            while commands.iter().all(Command::may_wait) && commands.len() < GROUP {
                let more = timeout_at(until, queue.recv_many(&mut commands, GROUP)).await;
                if more.is_err() || more == Ok(0) {
                    break;
                }
            }
            let mut group = Vec::with_capacity(commands.len());
            for command in commands.drain(..) {
                match command {
                    Command::Step(step) => group.push(step),
                    // A job sees what was handed in before it.
                    Command::Job(job) => {
                        self.commit(std::mem::take(&mut group)).await;
                        self.perform(job).await;
                    }
                }
            }
            self.commit(group).await;
        }
        if let Some(connection) = self.connection.take()
            && let Err(e) = sqlx::Connection::close(connection).await
        {
            warn!(error = %e, "closing the catalog failed");
        }
    }

    /// Runs a job; without a connection the job is dropped, which its caller sees as "unavailable".
    async fn perform(&mut self, job: Job) {
        let Ok(connection) = self.connection().await else { return };
        // A transaction that the database could not end, on a full disk for example, stays open: every later one would fail.
        if !job(connection).await {
            self.connection = None;
        }
    }

    async fn commit(&mut self, group: Vec<Step>) {
        if group.is_empty() {
            return;
        }
        match self.transact(&group, false).await {
            Ok(outcomes) => group.into_iter().zip(outcomes).for_each(|(step, outcome)| step.answer(outcome)),
            // Nothing was begun: the database is busy or gone, for all of them.
            Err(Failure::Begin(e)) => fail(group, e),
            Err(Failure::Later(_)) => {
                for step in group {
                    match self.transact(std::slice::from_ref(&step), true).await {
                        Ok(outcomes) => {
                            [step].into_iter().zip(outcomes).for_each(|(step, outcome)| step.answer(outcome));
                        }
                        Err(Failure::Begin(e) | Failure::Later(e)) => fail([step], e),
                    }
                }
            }
        }
    }

    /// Performs all steps in one transaction, or none. `ask` takes nothing at its word.
    async fn transact(&mut self, group: &[Step], ask: bool) -> Result<Vec<Outcome>, Failure> {
        let mut ends = std::mem::take(&mut self.ends);
        let connection = self.connection().await.map_err(Failure::Begin)?;
        match perform(connection, group, &mut ends, ask).await {
            Ok(outcomes) => {
                self.ends = ends;
                Ok(outcomes)
            }
            // What we believed about the histories' ends may be why it failed, so that is forgotten, too.
            Err(e) => {
                if sqlx::query(ROLLBACK).execute(&mut *connection).await.is_err() {
                    // Nothing was begun, SQLite has rolled back by itself, or the connection is broken: a new one is
                    // right for all.
                    self.connection = None;
                }
                Err(if is_busy(&e) { Failure::Begin(e) } else { Failure::Later(e) })
            }
        }
    }

    async fn connection(&mut self) -> Result<&mut SqliteConnection, sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        Ok(self.connection.insert(connection))
    }
}

/// Writes a group: in one round trip where every append plainly continues what is known, else one by one, asking.
async fn perform(
    connection: &mut SqliteConnection,
    group: &[Step],
    ends: &mut Ends,
    ask: bool,
) -> Result<Vec<Outcome>, sqlx::Error> {
    let mut batch = Batch::default();
    let plain = !ask
        && group.iter().all(|step| match step {
            Step::Append { append, .. } => batch.add(ends, append),
            Step::Cleaned { run, seq, .. } => {
                batch.mark(run, *seq);
                true
            }
        });
    if plain {
        let marked = batch.write(connection, true).await?;
        batch.remember(ends);
        let outcome = |step: &Step| match step {
            Step::Append { .. } => Outcome::Appended(Ok(())),
            Step::Cleaned { run, .. } => Outcome::Cleaned(marked.contains(run)),
        };
        return Ok(group.iter().map(outcome).collect());
    }
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    let mut outcomes = Vec::with_capacity(group.len());
    for step in group {
        let mut batch = Batch::default();
        let refused = match step {
            Step::Append { append, .. } => batch.add_asking(connection, ends, append).await?.err(),
            Step::Cleaned { run, seq, .. } => {
                batch.mark(run, *seq);
                None
            }
        };
        let marked = batch.write(connection, false).await?;
        batch.remember(ends);
        outcomes.push(match step {
            Step::Append { .. } => Outcome::Appended(refused.map_or(Ok(()), Err)),
            Step::Cleaned { run, .. } => Outcome::Cleaned(marked.contains(run)),
        });
    }
    sqlx::query(COMMIT).execute(&mut *connection).await?;
    Ok(outcomes)
}

enum Failure {
    Begin(sqlx::Error),
    Later(sqlx::Error),
}

/// Tells every caller that the outcome is unknown.
fn fail(group: impl IntoIterator<Item = Step>, error: sqlx::Error) {
    warn!(error = %error, "the catalog could not commit");
    let error: Arc<str> = error.to_string().into();
    for step in group {
        match step {
            Step::Append { reply, .. } => drop(reply.send(Err(AppendError::Unavailable((&*error).into())))),
            Step::Cleaned { reply, .. } => drop(reply.send(Err(Error::Unavailable((&*error).into())))),
        }
    }
}

// === impl Command ===

impl Command {
    fn may_wait(&self) -> bool {
        matches!(self, Command::Step(Step::Cleaned { .. }))
    }
}

// === impl Step ===

impl Step {
    /// A caller that went away does not need the answer.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Step::Append { reply, .. }, Outcome::Appended(result)) => drop(reply.send(result)),
            (Step::Cleaned { reply, .. }, Outcome::Cleaned(marked)) => drop(reply.send(Ok(marked))),
            (Step::Append { .. } | Step::Cleaned { .. }, _) => {}
        }
    }
}
