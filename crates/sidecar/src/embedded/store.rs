//! The one SQLite file behind state, bus and reminders.
//!
//! Decides durability: one writer commits everything that waits in one transaction (group commit, WAL,
//! `synchronous=FULL`), so that whatever was acknowledged survives `kill -9` and power loss. Readers have
//! connections of their own and see every acknowledged write. Nothing waits for company: an idle writer commits a
//! lone write at once.

pub(super) mod sql;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};
use tokio::sync::{mpsc, oneshot};

use super::bus::{Message, Topic};
use super::times;

/// Writes that may wait for the writer; more wait in their callers.
const WAITING: usize = 1024;
const READERS: u32 = 3;
/// The layout this code reads and writes.
const LAYOUT: i64 = 1;

/// A handle on the file; clones share it.
#[derive(Clone)]
pub(super) struct Store {
    jobs: mpsc::Sender<Job>,
    readers: SqlitePool,
    writer: Arc<Mutex<Option<tokio::task::JoinHandle<()>>>>,
}

/// Why a read or write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Error {
    #[error("the database failed: {0}")]
    Database(#[source] Arc<sqlx::Error>),
    #[error("the sidecar is stopping")]
    Closed,
}

/// One change. Several in one job are committed together, in order.
pub(super) enum Write {
    Put {
        store: Arc<str>,
        key: String,
        data: Bytes,
        fence: Fence,
        expiry: Expiry,
    },
    Remove {
        store: Arc<str>,
        key: String,
        etag: Option<i64>,
    },
    /// Keeps a message and hands it to its topic once that is committed.
    Publish {
        topic: Arc<Topic>,
        message: Message,
    },
    /// Forgets a message that needs no delivery any more.
    Forget(i64),
    /// Forgets what a topic nobody reads has kept.
    Purge {
        pubsub: String,
        topic: String,
        upto: i64,
    },
    PutReminder(Box<Reminder>),
    RemoveReminder {
        actor_type: String,
        actor_id: String,
        name: String,
    },
    /// Removes a reminder unless it was registered anew since.
    EndReminder {
        id: String,
        actor_type: String,
        actor_id: String,
        name: String,
    },
    /// Moves a reminder's next tick unless it was registered anew since.
    MoveReminder {
        id: String,
        actor_type: String,
        actor_id: String,
        name: String,
        due: i64,
        left: Option<u32>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fence {
    None,
    FirstWrite,
    Etag(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Keep,
    Never,
    /// Milliseconds since the epoch.
    At(i64),
}

/// What became of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// The fence did not hold; nothing was changed.
    Refused,
}

/// A value as stored.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) data: Bytes,
    pub(super) version: i64,
    pub(super) expires: Option<i64>,
}

/// A reminder as stored. `id` tells one registration from the next under the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reminder {
    pub(super) id: String,
    pub(super) actor_type: String,
    pub(super) actor_id: String,
    pub(super) name: String,
    /// JSON, empty for none.
    pub(super) data: String,
    /// As registered, for whoever asks.
    pub(super) due_time: String,
    pub(super) period: String,
    pub(super) ttl: String,
    pub(super) due: i64,
    pub(super) every: Option<i64>,
    /// Firings left.
    pub(super) left: Option<u32>,
    pub(super) expires: Option<i64>,
    pub(super) retry_every: i64,
    /// `None`: for ever.
    pub(super) retries: Option<u32>,
}

struct Job {
    writes: Vec<Write>,
    /// All or nothing, if one write is refused.
    atomic: bool,
    /// `None`: nobody waits, so it may wait for the next commit.
    reply: Option<oneshot::Sender<Result<Vec<Outcome>, Error>>>,
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

// === impl Store ===

impl Store {
    /// Opens the file, or makes it.
    pub(super) async fn open(file: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            .pragma("temp_store", "memory")
            .pragma("cache_size", "-8192")
            .disable_statement_logging();
        let mut writer = options.connect().await?;
        let layout: i64 = sqlx::query_scalar("pragma user_version").fetch_one(&mut writer).await?;
        if layout > LAYOUT {
            return Err(sqlx::Error::Configuration(
                format!("layout {layout} of {} is newer than this program's {LAYOUT}", file.display()).into(),
            )
            .into());
        }
        sqlx::raw_sql(sql::LAYOUT).execute(&mut writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(1)
            // A local file needs no ping before each query.
            .test_before_acquire(false)
            .acquire_timeout(Duration::from_secs(30))
            .connect_with(options.pragma("query_only", "true"))
            .await?;
        let last: i64 = sqlx::query_scalar(sql::LAST_MESSAGE).fetch_one(&mut writer).await?;
        let (jobs, queue) = mpsc::channel(WAITING);
        let task = tokio::spawn(writer::run(writer, queue, last));
        Ok(Self { jobs, readers, writer: Arc::new(Mutex::new(Some(task))) })
    }

    /// Commits the writes together and returns each one's outcome once they are on disk.
    pub(super) async fn write(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, Error> {
        self.submit(writes, false).await
    }

    /// The same, but a refused write takes the others back.
    pub(super) async fn write_atomic(&self, writes: Vec<Write>) -> Result<Vec<Outcome>, Error> {
        self.submit(writes, true).await
    }

    async fn submit(&self, writes: Vec<Write>, atomic: bool) -> Result<Vec<Outcome>, Error> {
        let (reply, answer) = oneshot::channel();
        let job = Job { writes, atomic, reply: Some(reply) };
        self.jobs.send(job).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Leaves a write to the next commit; a crash before it only means that work is repeated.
    pub(super) async fn later(&self, write: Write) {
        // A closed writer has ended for good: the work is repeated after the next start.
        let _ = self.jobs.send(Job { writes: vec![write], atomic: false, reply: None }).await;
    }

    pub(super) async fn get(&self, store: &str, key: &str) -> Result<Option<Value>, Error> {
        let row = sqlx::query(sql::GET)
            .bind(store)
            .bind(key)
            .bind(times::now())
            .fetch_optional(&self.readers)
            .await?;
        Ok(row.as_ref().map(value).transpose()?)
    }

    /// Reads many keys of one store; missing ones are absent.
    pub(super) async fn get_many(&self, store: &str, keys: &[String]) -> Result<Vec<(String, Value)>, Error> {
        let keys = serde_json::to_string(keys).map_err(|error| sqlx::Error::Encode(error.into()))?;
        let rows = sqlx::query(sql::GET_MANY)
            .bind(store)
            .bind(keys)
            .bind(times::now())
            .fetch_all(&self.readers)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            found.push((row.try_get("key")?, value(row)?));
        }
        Ok(found)
    }

    /// Reads a topic's messages after the given one, oldest first.
    pub(super) async fn messages(
        &self,
        pubsub: &str,
        topic: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let rows = sqlx::query(sql::MESSAGES)
            .bind(pubsub)
            .bind(topic)
            .bind(after)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let event: Vec<u8> = row.try_get("event")?;
            let metadata: String = row.try_get("metadata")?;
            found.push(Message {
                id: row.try_get("id")?,
                event: event.into(),
                metadata: serde_json::from_str(&metadata).unwrap_or_default(),
                expires: row.try_get("expires")?,
            });
        }
        Ok(found)
    }

    /// Returns the topics that have messages, with how many and the last one's row.
    pub(super) async fn backlog(&self) -> Result<Vec<(String, String, u64, i64)>, Error> {
        let rows = sqlx::query(sql::BACKLOG).fetch_all(&self.readers).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let count: i64 = row.try_get("count")?;
            let topic =
                (row.try_get("pubsub")?, row.try_get("topic")?, count.unsigned_abs(), row.try_get("newest")?);
            found.push(topic);
        }
        Ok(found)
    }

    pub(super) async fn reminders(&self) -> Result<Vec<Reminder>, Error> {
        let rows = sqlx::query(sql::REMINDERS).fetch_all(&self.readers).await?;
        rows.iter().map(|row| reminder(row).map_err(Error::from)).collect()
    }

    /// Ends the writer once everything handed to it is committed.
    pub(super) async fn close(&self) {
        let (reply, answer) = oneshot::channel();
        let last = Job { writes: Vec::new(), atomic: false, reply: Some(reply) };
        let task = self.writer.lock().take();
        if self.jobs.send(last).await.is_ok() {
            let _ = answer.await;
        }
        self.readers.close().await;
        if let Some(task) = task {
            // The writer keeps the connection until its last handle is gone; what was acknowledged is on disk.
            task.abort();
            let _ = task.await;
        }
    }
}

fn value(row: &SqliteRow) -> Result<Value, sqlx::Error> {
    let data: Vec<u8> = row.try_get("data")?;
    Ok(Value { data: data.into(), version: row.try_get("version")?, expires: row.try_get("expires")? })
}

fn reminder(row: &SqliteRow) -> Result<Reminder, sqlx::Error> {
    let small = |value: Option<i64>| value.map(|v| u32::try_from(v).unwrap_or(u32::MAX));
    Ok(Reminder {
        id: row.try_get("id")?,
        actor_type: row.try_get("actor_type")?,
        actor_id: row.try_get("actor_id")?,
        name: row.try_get("name")?,
        data: row.try_get("data")?,
        due_time: row.try_get("due_time")?,
        period: row.try_get("period")?,
        ttl: row.try_get("ttl")?,
        due: row.try_get("due")?,
        every: row.try_get("every")?,
        left: small(row.try_get("left_over")?),
        expires: row.try_get("expires")?,
        retry_every: row.try_get("retry_every")?,
        retries: small(row.try_get("retries")?),
    })
}
