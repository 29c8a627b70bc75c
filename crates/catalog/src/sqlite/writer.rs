//! The one writing connection and its task.
//!
//! Whatever waits is taken at once and committed together; while that commit syncs, the next group gathers. Only what
//! nobody waits for, a run's last mark and what it used, waits a little for others. A step that the database refuses is found by
//! doing its group again one by one, so it never fails its neighbours.

use super::{
    BEGIN, COMMIT, ROLLBACK, index, is_busy,
    journal::{Batch, Ends},
};
use crate::{
    Error,
    writer::{GROUP, LINGER, Outcome, Step, Writer, fail, tell},
};
use futures::future::BoxFuture;
use sqlx::{ConnectOptions, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout_at},
};
use tracing::warn;

pub(crate) enum Command {
    Step(Step),
    /// Anything rare: has a transaction of its own.
    Job(Job),
}

/// Says whether the connection can be used on.
type Job = Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, bool> + Send>;

/// Begins the task.
pub(super) fn spawn(connection: SqliteConnection, options: SqliteConnectOptions) -> Writer<Command> {
    let task = Task { connection: Some(connection), options, ends: Ends::default(), begun: 0 };
    Writer::spawn(|queue| task.run(queue))
}

// === impl Writer ===

impl Writer<Command> {
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
}

/// What the writing task owns.
struct Task {
    /// Nothing after a failure that left the connection in doubt.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    ends: Ends,
    /// Runs that have begun since the index of words was written.
    begun: usize,
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
            if self.begun >= index::AT_ONCE {
                self.index().await;
            }
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

    /// Writes the index of words for those that have begun. A search that is asked first writes it, too.
    async fn index(&mut self) {
        self.begun = 0;
        let Ok(connection) = self.connection().await else { return };
        if let Err(e) = index::next(connection).await {
            warn!(error = %e, "the index of words is not written");
            self.connection = None;
        }
    }

    async fn commit(&mut self, group: Vec<Step>) {
        if group.is_empty() {
            return;
        }
        self.begun += group.iter().filter(|step| step.begins_a_run()).count();
        match self.transact(&group, false).await {
            Ok(outcomes) => tell(group, outcomes),
            // Nothing was begun: the database is busy or gone, for all of them.
            Err(Failure::Begin(e)) => fail(group, &e),
            Err(Failure::Later(_)) => {
                for step in group {
                    match self.transact(std::slice::from_ref(&step), true).await {
                        Ok(outcomes) => tell([step], outcomes),
                        Err(Failure::Begin(e) | Failure::Later(e)) => fail([step], &e),
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
            Step::Count { count, .. } => batch.count(count),
        });
    if plain {
        let written = batch.write(connection, true).await?;
        batch.remember(ends);
        let outcome = |step: &Step| match step {
            Step::Append { .. } => Outcome::Appended(Ok(())),
            Step::Cleaned { run, .. } => Outcome::Cleaned(written.marked.contains(run)),
            Step::Count { count, .. } => Outcome::Counted(written.counted.contains(&count.run)),
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
            Step::Count { count, .. } => {
                batch.count(count);
                None
            }
        };
        let written = batch.write(connection, false).await?;
        batch.remember(ends);
        outcomes.push(match step {
            Step::Append { .. } => Outcome::Appended(refused.map_or(Ok(()), Err)),
            Step::Cleaned { run, .. } => Outcome::Cleaned(written.marked.contains(run)),
            Step::Count { count, .. } => Outcome::Counted(written.counted.contains(&count.run)),
        });
    }
    sqlx::query(COMMIT).execute(&mut *connection).await?;
    Ok(outcomes)
}

enum Failure {
    Begin(sqlx::Error),
    Later(sqlx::Error),
}

// === impl Command ===

impl Command {
    fn may_wait(&self) -> bool {
        matches!(self, Command::Step(step) if step.may_wait())
    }
}

impl From<Step> for Command {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}
