//! The one connection that appends, and its task.
//!
//! Whatever waits is taken at once and committed together; while that commit is under way, the next group gathers. In one
//! group no run is twice. Only a run's last mark waits a little for others, as nobody waits for it. What the database refuses
//! (a deadlock with another host's group, a text it can't hold) is found by doing its group again one by one, so it never
//! fails its neighbours.

use super::{
    append::{self, Batch},
    link::{self, Link, PATIENCE, Role, Tx},
    meter,
};
use crate::writer::{GROUP, LINGER, Outcome, Step, Writer, fail, tell};
use sqlx::PgConnection;
use std::collections::{HashSet, VecDeque};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use tracing::warn;

/// How often a step is done again that met another host's.
const TRIES: u32 = 5;

/// Begins the task.
pub(super) fn spawn(link: Link) -> Writer<Step> {
    let task = Task { connection: None, link };
    Writer::spawn(|queue| task.run(queue))
}

/// What the writing task owns.
struct Task {
    /// Nothing before the first write, and after a failure that left the connection in doubt.
    connection: Option<PgConnection>,
    link: Link,
}

// === impl Task ===

impl Task {
    async fn run(mut self, mut queue: mpsc::Receiver<Step>) {
        let mut waiting = VecDeque::new();
        loop {
            if waiting.is_empty() {
                let Some(step) = queue.recv().await else { break };
                waiting.push_back(step);
            }
            while waiting.len() < GROUP
                && let Ok(step) = queue.try_recv()
            {
                waiting.push_back(step);
            }
            let until = Instant::now() + LINGER;
            while waiting.iter().all(Step::may_wait) && waiting.len() < GROUP {
                match timeout_at(until, queue.recv()).await {
                    Ok(Some(step)) => waiting.push_back(step),
                    Ok(None) | Err(_) => break,
                }
            }
            let group = group(&mut waiting);
            self.commit(group).await;
        }
        if let Some(connection) = self.connection.take()
            && let Err(e) = sqlx::Connection::close(connection).await
        {
            warn!(error = %e, "closing the catalog failed");
        }
    }

    async fn commit(&mut self, group: Vec<Step>) {
        match self.bounded(&group).await {
            Ok(outcomes) => tell(group, outcomes),
            // What was sent may be in or not, or nothing was sent: the same for all of them.
            Err(error) if !is_refused(&error) => fail(group, &error),
            Err(_) => {
                for step in group {
                    self.alone(step).await;
                }
            }
        }
    }

    /// Performs a step that was refused with its group.
    async fn alone(&mut self, step: Step) {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.bounded(std::slice::from_ref(&step)).await {
                Ok(outcomes) => return tell([step], outcomes),
                Err(error) if tries < TRIES && has_met_another(&error) => {}
                Err(error) => return fail([step], &error),
            }
        }
    }

    async fn bounded(&mut self, group: &[Step]) -> Result<Vec<Outcome>, sqlx::Error> {
        // The connection is let go with the future.
        let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
        timeout(PATIENCE, self.transact(group)).await.unwrap_or_else(|elapsed| Err(late(elapsed)))
    }

    /// Performs all steps in one transaction, or none.
    async fn transact(&mut self, group: &[Step]) -> Result<Vec<Outcome>, sqlx::Error> {
        let mut tx = self.begin().await?;
        match perform(&mut tx, group).await {
            Ok(outcomes) => {
                self.connection = Some(tx.commit().await?);
                Ok(outcomes)
            }
            Err(error) => {
                if is_refused(&error) {
                    self.connection = tx.rollback().await.ok();
                }
                Err(error)
            }
        }
    }

    /// Opens a transaction. A connection that broke while nobody used it is passed over: nothing was asked of it.
    async fn begin(&mut self) -> Result<Tx<PgConnection>, sqlx::Error> {
        if let Some(connection) = self.connection.take() {
            match link::open(connection, Role::Engine, self.link.is_direct()).await {
                Err(error) if link::is_broken(&error) => {}
                opened => return opened,
            }
        }
        link::open(self.link.connect().await?, Role::Engine, self.link.is_direct()).await
    }
}

/// Takes as many steps as may share a commit: no run twice, in the order in which they came.
fn group(waiting: &mut VecDeque<Step>) -> Vec<Step> {
    let mut runs = HashSet::new();
    let (now, later) = waiting.drain(..).partition::<Vec<_>, _>(|step| runs.insert(step.run().clone()));
    waiting.extend(later);
    now
}

/// Writes what continues its history in one statement, and asks about the rest one by one.
async fn perform(tx: &mut Tx<PgConnection>, group: &[Step]) -> Result<Vec<Outcome>, sqlx::Error> {
    let mut batch = Batch::default();
    let (mut marks, mut counts) = (Vec::new(), Vec::new());
    for step in group {
        match step {
            Step::Append { append, .. } if append::is_plain(append) => batch.add(append),
            Step::Append { .. } => {}
            Step::Cleaned { run, seq, .. } => marks.push((run, *seq)),
            Step::Count { count, .. } => counts.push(count),
        }
    }
    let written = batch.write(tx).await?;
    let marked = append::cleaned(tx, &marks).await?;
    let counted = meter::count(tx, &counts).await?;
    let mut outcomes = Vec::with_capacity(group.len());
    let mut n = 0;
    for step in group {
        outcomes.push(match step {
            Step::Append { append, .. } => {
                let is_plain = append::is_plain(append);
                n += i64::from(is_plain);
                let is_in = is_plain && written.contains(&n);
                Outcome::Appended(if is_in { Ok(()) } else { append::ask(tx, append).await? })
            }
            Step::Cleaned { run, .. } => Outcome::Cleaned(marked.contains(run)),
            Step::Count { count, .. } => Outcome::Counted(counted.contains(&count.run)),
        });
    }
    Ok(outcomes)
}

/// Whether the database said no to what was asked, and so has nothing of it. Alone each step may fare otherwise; not so where
/// the server has no room, knows no such user or database, or only reads by now.
fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    let of_all =
        code.is_some_and(|code| ["25", "28", "3D", "53"].iter().any(|class| code.starts_with(class)));
    !link::is_broken(error) && !of_all && matches!(error, sqlx::Error::Database(_) | sqlx::Error::Encode(_))
}

/// Whether another transaction was in the way: a deadlock, a lock that was waited for too long.
fn has_met_another(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| ["40P01", "40001", "55P03"].contains(&&*code))
}
