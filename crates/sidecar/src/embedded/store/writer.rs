//! The only task that writes: takes whatever waits, commits it as one transaction, then tells everybody.
//!
//! Messages are handed to their topics here, after the commit and in its order, which is what lets a topic's
//! memory be a window on the table.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::bus::{Message, Topic};
use super::super::times;
use super::{Error, Expiry, Fence, Job, Outcome, Write, sql};

/// Jobs in one commit.
const BATCH: usize = 256;
/// Bytes after which a commit takes no further job.
const BATCH_BYTES: usize = 8 << 20;
/// How long writes that nobody waits for may stay in memory.
const LINGER: Duration = Duration::from_millis(20);
/// How many of them.
const LINGERING: usize = 512;
const EXPIRE_EVERY: Duration = Duration::from_secs(30);

/// `last` is the newest message's id.
pub(super) async fn run(mut connection: SqliteConnection, mut queue: mpsc::Receiver<Job>, mut last: i64) {
    let mut jobs = Vec::with_capacity(BATCH);
    let mut lazy: Vec<Job> = Vec::new();
    let mut flush_at: Option<Instant> = None;
    let mut expire_at = Instant::now() + EXPIRE_EVERY;
    loop {
        let until = flush_at.unwrap_or(expire_at).min(expire_at);
        let open = match tokio::time::timeout_at(until, queue.recv()).await {
            Ok(Some(job)) => {
                let mut bytes = 0;
                let mut next = Some(job);
                while let Some(job) = next.take() {
                    bytes += job.bytes();
                    if job.reply.is_none() {
                        lazy.push(job)
                    } else {
                        jobs.push(job)
                    }
                    if jobs.len() < BATCH && lazy.len() < LINGERING && bytes < BATCH_BYTES {
                        next = queue.try_recv().ok();
                    }
                }
                true
            }
            Ok(None) => false,
            Err(_) => true,
        };
        let now = Instant::now();
        let flush = flush_at.is_some_and(|at| at <= now);
        if !jobs.is_empty() || flush || lazy.len() >= LINGERING || (!open && !lazy.is_empty()) {
            lazy.append(&mut jobs);
            commit(&mut connection, std::mem::take(&mut lazy), &mut last).await;
            flush_at = None;
        } else if !lazy.is_empty() && flush_at.is_none() {
            flush_at = Some(now + LINGER);
        }
        if !open {
            return;
        }
        if expire_at <= now {
            if let Err(error) = sqlx::query(sql::EXPIRE).bind(times::now()).execute(&mut connection).await {
                tracing::warn!(%error, "expired state could not be removed");
            }
            expire_at = now + EXPIRE_EVERY;
        }
    }
}

/// What has to be said once a commit is on disk.
#[derive(Default)]
struct Committed {
    published: Vec<(Arc<Topic>, Message)>,
    outcomes: Vec<Vec<Outcome>>,
}

async fn commit(connection: &mut SqliteConnection, jobs: Vec<Job>, last: &mut i64) {
    match attempt(connection, &jobs, last).await {
        Ok(committed) => {
            for (topic, message) in committed.published {
                topic.arrive(message);
            }
            for (job, outcomes) in jobs.into_iter().zip(committed.outcomes) {
                if let Some(reply) = job.reply {
                    // A caller that went away needs no answer.
                    let _ = reply.send(Ok(outcomes));
                }
            }
        }
        Err(error) => {
            if let Err(error) = sqlx::query("rollback").execute(&mut *connection).await {
                tracing::debug!(%error, "nothing to roll back");
            }
            tracing::error!(%error, jobs = jobs.len(), "commit failed");
            let error = Error::from(error);
            for job in jobs {
                if let Some(reply) = job.reply {
                    let _ = reply.send(Err(error.clone()));
                }
            }
        }
    }
}

async fn attempt(
    connection: &mut SqliteConnection,
    jobs: &[Job],
    last: &mut i64,
) -> Result<Committed, sqlx::Error> {
    let mut done = Committed::default();
    let now = times::now();
    let forgotten: Vec<i64> = jobs.iter().flat_map(|job| &job.writes).filter_map(Write::forgets).collect();
    let writes: usize = jobs.iter().map(|job| job.writes.len()).sum();
    if writes == 0 {
        done.outcomes.resize(jobs.len(), Vec::new());
        return Ok(done);
    }
    // A lone statement is a transaction already.
    let alone = writes == 1;
    if !alone {
        sqlx::query("begin immediate").execute(&mut *connection).await?;
    }
    if !forgotten.is_empty() {
        let ids = serde_json::to_string(&forgotten).map_err(|error| sqlx::Error::Encode(error.into()))?;
        sqlx::query(sql::FORGET).bind(ids).execute(&mut *connection).await?;
    }
    for job in jobs {
        let guarded = job.atomic && job.writes.len() > 1;
        if guarded {
            sqlx::query("savepoint job").execute(&mut *connection).await?;
        }
        let mut outcomes = Vec::with_capacity(job.writes.len());
        let published = done.published.len();
        for write in &job.writes {
            outcomes.push(apply(connection, write, now, last, &mut done).await?);
        }
        if guarded {
            if outcomes.contains(&Outcome::Refused) {
                sqlx::query("rollback to job").execute(&mut *connection).await?;
                done.published.truncate(published);
            }
            sqlx::query("release job").execute(&mut *connection).await?;
        }
        done.outcomes.push(outcomes);
    }
    if !alone {
        sqlx::query("commit").execute(&mut *connection).await?;
    }
    Ok(done)
}

async fn apply(
    connection: &mut SqliteConnection,
    write: &Write,
    now: i64,
    last: &mut i64,
    done: &mut Committed,
) -> Result<Outcome, sqlx::Error> {
    let query = match write {
        Write::Put { store, key, data, fence, expiry } => {
            let (expires, keep) = match expiry {
                Expiry::Keep => (None, true),
                Expiry::Never => (None, false),
                Expiry::At(at) => (Some(*at), false),
            };
            let statement = match fence {
                Fence::None => sql::PUT,
                Fence::FirstWrite => sql::PUT_FIRST,
                Fence::Etag(_) => sql::PUT_FENCED,
            };
            let query =
                sqlx::query(statement).bind(&**store).bind(key.as_str()).bind(data.as_ref()).bind(expires);
            match fence {
                Fence::None => query.bind(keep).bind(now),
                Fence::FirstWrite => query.bind(now),
                Fence::Etag(version) => query.bind(keep).bind(now).bind(*version),
            }
        }
        Write::Remove { store, key, etag: None } => {
            sqlx::query(sql::REMOVE).bind(&**store).bind(key.as_str()).execute(connection).await?;
            return Ok(Outcome::Done);
        }
        Write::Remove { store, key, etag: Some(version) } => {
            sqlx::query(sql::REMOVE_FENCED).bind(&**store).bind(key.as_str()).bind(*version).bind(now)
        }
        Write::Publish { topic, message } => {
            let metadata = serde_json::to_string(&message.metadata).unwrap_or_default();
            *last += 1;
            sqlx::query(sql::PUBLISH)
                .bind(*last)
                .bind(topic.pubsub())
                .bind(topic.name())
                .bind(message.event.as_ref())
                .bind(metadata)
                .bind(message.expires)
                .execute(connection)
                .await?;
            let message = Message { id: *last, ..message.clone() };
            done.published.push((topic.clone(), message));
            return Ok(Outcome::Done);
        }
        // Done for the whole batch in one statement.
        Write::Forget(_) => return Ok(Outcome::Done),
        Write::Purge { pubsub, topic, upto } => {
            let query = sqlx::query(sql::PURGE).bind(pubsub.as_str()).bind(topic.as_str()).bind(*upto);
            query.execute(connection).await?;
            return Ok(Outcome::Done);
        }
        Write::PutReminder(reminder) => sqlx::query(sql::PUT_REMINDER)
            .bind(reminder.actor_type.as_str())
            .bind(reminder.actor_id.as_str())
            .bind(reminder.name.as_str())
            .bind(reminder.id.as_str())
            .bind(reminder.data.as_str())
            .bind(reminder.due_time.as_str())
            .bind(reminder.period.as_str())
            .bind(reminder.ttl.as_str())
            .bind(reminder.due)
            .bind(reminder.every)
            .bind(reminder.left)
            .bind(reminder.expires)
            .bind(reminder.retry_every)
            .bind(reminder.retries),
        Write::RemoveReminder { actor_type, actor_id, name } => sqlx::query(sql::REMOVE_REMINDER)
            .bind(actor_type.as_str())
            .bind(actor_id.as_str())
            .bind(name.as_str()),
        Write::EndReminder { id, actor_type, actor_id, name } => sqlx::query(sql::END_REMINDER)
            .bind(actor_type.as_str())
            .bind(actor_id.as_str())
            .bind(name.as_str())
            .bind(id.as_str()),
        Write::MoveReminder { id, actor_type, actor_id, name, due, left } => sqlx::query(sql::MOVE_REMINDER)
            .bind(actor_type.as_str())
            .bind(actor_id.as_str())
            .bind(name.as_str())
            .bind(id.as_str())
            .bind(*due)
            .bind(*left),
    };
    let changed = query.execute(connection).await?.rows_affected();
    Ok(if changed > 0 { Outcome::Done } else { Outcome::Refused })
}

impl Job {
    fn bytes(&self) -> usize {
        let size = |write: &Write| match write {
            Write::Put { key, data, .. } => key.len() + data.len(),
            Write::Publish { message, .. } => message.event.len(),
            _ => 64,
        };
        self.writes.iter().map(size).sum()
    }
}

impl Write {
    fn forgets(&self) -> Option<i64> {
        match self {
            Self::Forget(id) => Some(*id),
            _ => None,
        }
    }
}
