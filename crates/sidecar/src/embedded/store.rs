//! The one SQLite file behind state, bus and reminders.
//!
//! Decides durability: one writer commits everything that waits in one transaction (group commit, WAL,
//! `synchronous=FULL`), so that whatever was acknowledged survives `kill -9` and power loss. Readers have
//! connections of their own and see every acknowledged write. Nothing waits for company: an idle writer commits a
//! lone write at once.
//!
//! The writer is a thread that calls SQLite itself: a commit costs one hop there and one back, however many
//! statements it has (`docs/adr/0014`).

pub(super) mod sql;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};
use tokio::sync::{mpsc, oneshot};

use super::bus::{Message, Topic};
use super::times;

/// Writes that may wait for the writer; more wait in their callers.
const WAITING: usize = 1024;
const READERS: usize = 3;
/// Statements kept prepared by each connection: more than there are.
const STATEMENTS: usize = 32;
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The layout this code reads and writes.
pub(super) const LAYOUT: i64 = 1;

/// A handle on the file; clones share it.
#[derive(Clone)]
pub(super) struct Store {
    queue: mpsc::Sender<Task>,
    readers: Arc<[Mutex<Connection>; READERS]>,
}

/// Why a read or write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Error {
    #[error("the database failed: {0}")]
    Database(#[source] Arc<rusqlite::Error>),
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
    /// Gives an end to what a topic keeps without one.
    Limit {
        pubsub: String,
        topic: String,
        expires: i64,
    },
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
    /// Says which installation the file is of, and how far that has come.
    Mark {
        installation: String,
        generation: i64,
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

/// What the writer is asked for.
enum Task {
    Write(Job),
    /// Commit what came before, and end.
    Close(oneshot::Sender<()>),
}

struct Job {
    writes: Vec<Write>,
    /// All or nothing, if one write is refused.
    atomic: bool,
    /// `None`: nobody waits, so it may wait for the next commit.
    reply: Option<oneshot::Sender<Result<Vec<Outcome>, Error>>>,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

// === impl Store ===

impl Store {
    /// Opens the file, or makes it.
    pub(super) async fn open(file: &Path) -> Result<Self, Error> {
        let file = file.to_owned();
        let opened = tokio::task::spawn_blocking(move || {
            let writer = connect(&file)?;
            let layout: i64 = writer.query_row("pragma user_version", (), |row| row.get(0))?;
            if layout > LAYOUT {
                let known =
                    format!("layout {layout} of {} is newer than this program's {LAYOUT}", file.display());
                return Err(rusqlite::Error::SqliteFailure(
                    rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_MISMATCH),
                    Some(known),
                ));
            }
            writer.execute_batch(sql::LAYOUT)?;
            let last: i64 = writer.query_row(sql::LAST_MESSAGE, (), |row| row.get(0))?;
            let reader = || {
                let reader = connect(&file)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok::<_, rusqlite::Error>(Mutex::new(reader))
            };
            Ok((writer, last, [reader()?, reader()?, reader()?]))
        });
        let (connection, last, readers) = opened.await.map_err(|_| Error::Closed)??;
        let (sender, queue) = mpsc::channel(WAITING);
        let runtime = tokio::runtime::Handle::current();
        let thread = std::thread::Builder::new().name("sidecar-writer".to_owned());
        let spawned = thread.spawn(move || runtime.block_on(writer::run(connection, queue, last)));
        spawned.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        Ok(Self { queue: sender, readers: Arc::new(readers) })
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
        self.queue.send(Task::Write(job)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Leaves a write to the next commit; a crash before it only means that work is repeated.
    pub(super) async fn later(&self, write: Write) {
        let job = Job { writes: vec![write], atomic: false, reply: None };
        // A closed writer has ended for good: the work is repeated after the next start.
        let _ = self.queue.send(Task::Write(job)).await;
    }

    /// Reads one key, in the caller's thread: a row of a local file costs less than a hop to another thread.
    pub(super) fn get(&self, store: &str, key: &str) -> Result<Option<Value>, Error> {
        let reader = self.reader();
        let mut statement = reader.prepare_cached(sql::GET)?;
        let found = statement.query_row(params![store, key, times::steady()], value).optional()?;
        Ok(found)
    }

    /// Reads many keys of one store; missing ones are absent.
    pub(super) async fn get_many(&self, store: &str, keys: &[String]) -> Result<Vec<(String, Value)>, Error> {
        let keys = json(keys)?;
        let store = store.to_owned();
        self.read(move |reader| {
            let mut statement = reader.prepare_cached(sql::GET_MANY)?;
            let rows = statement
                .query_map(params![store, keys, times::steady()], |row| Ok((row.get("key")?, value(row)?)))?;
            rows.collect()
        })
        .await
    }

    /// Reads a topic's messages after the given one, oldest first.
    pub(super) async fn messages(
        &self,
        pubsub: &str,
        topic: &str,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Message>, Error> {
        let (pubsub, topic) = (pubsub.to_owned(), topic.to_owned());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |reader| {
            let mut statement = reader.prepare_cached(sql::MESSAGES)?;
            let rows = statement.query_map(params![pubsub, topic, after, limit], message)?;
            rows.collect()
        })
        .await
    }

    /// Returns the topics that have messages, with how many and the last one's row.
    pub(super) async fn backlog(&self) -> Result<Vec<(String, String, u64, i64)>, Error> {
        self.read(|reader| {
            let mut statement = reader.prepare(sql::BACKLOG)?;
            let rows = statement.query_map((), |row| {
                let count: i64 = row.get("count")?;
                Ok((row.get("pubsub")?, row.get("topic")?, count.unsigned_abs(), row.get("newest")?))
            })?;
            rows.collect()
        })
        .await
    }

    /// Returns up to so many of a topic's messages that are past their end.
    pub(super) async fn expired(&self, pubsub: &str, topic: &str, limit: usize) -> Result<Vec<i64>, Error> {
        let (pubsub, topic) = (pubsub.to_owned(), topic.to_owned());
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(move |reader| {
            let mut statement = reader.prepare_cached(sql::EXPIRED_MESSAGES)?;
            let rows =
                statement.query_map(params![pubsub, topic, times::steady(), limit], |row| row.get("id"))?;
            rows.collect()
        })
        .await
    }

    pub(super) async fn reminders(&self) -> Result<Vec<Reminder>, Error> {
        self.read(|reader| reader.prepare(sql::REMINDERS)?.query_map((), reminder)?.collect()).await
    }

    /// Ends the writer once everything handed to it is committed.
    pub(super) async fn close(&self) {
        let (done, ended) = oneshot::channel();
        if self.queue.send(Task::Close(done)).await.is_ok() {
            let _ = ended.await;
        }
    }

    /// Reads what may be much, where it holds up nobody.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || work(&this.reader()));
        Ok(done.await.map_err(|_| Error::Closed)??)
    }

    fn reader(&self) -> MutexGuard<'_, Connection> {
        let idle = self.readers.iter().find_map(Mutex::try_lock);
        idle.unwrap_or_else(|| self.readers[0].lock())
    }
}

fn connect(file: &Path) -> Result<Connection, rusqlite::Error> {
    let file = private(file).map_err(|error| {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN);
        rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
    })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    let pragmas: [(&str, &dyn rusqlite::ToSql); 6] = [
        ("journal_mode", &"wal"),
        ("synchronous", &"full"),
        ("wal_autocheckpoint", &4000),
        ("journal_size_limit", &(64 << 20)),
        ("temp_store", &"memory"),
        ("cache_size", &-8192),
    ];
    for (name, setting) in pragmas {
        // Some answer with what they set.
        connection.pragma_update_and_check(None, name, setting, |_| Ok(())).optional()?;
    }
    Ok(connection)
}

/// Makes sure that the file is there and is its owner's alone, as SQLite's files beside it then are, too; returns its
/// path without links on the way. A link in its own place is refused: it could lead to anything.
fn private(file: &Path) -> io::Result<PathBuf> {
    let name = file.file_name().ok_or_else(|| io::Error::other("the path names no file"))?;
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = folder.canonicalize()?.join(name);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&file) {
        Ok(_) => return Ok(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    for beside in ["", "-wal", "-shm"] {
        let mut path = file.clone().into_os_string();
        path.push(beside);
        let path = Path::new(&path);
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => {
                return Err(io::Error::other(format!("{} is not a file of its own", path.display())));
            }
            Ok(found) => tighten(path, &found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(file)
}

#[cfg(unix)]
fn tighten(file: &Path, found: &std::fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn tighten(_: &Path, _: &std::fs::Metadata) -> io::Result<()> {
    Ok(())
}

fn json<T: serde::Serialize + ?Sized>(value: &T) -> Result<String, rusqlite::Error> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn value(row: &Row<'_>) -> Result<Value, rusqlite::Error> {
    let data: Vec<u8> = row.get("data")?;
    Ok(Value { data: data.into(), version: row.get("version")?, expires: row.get("expires")? })
}

fn message(row: &Row<'_>) -> Result<Message, rusqlite::Error> {
    let event: Vec<u8> = row.get("event")?;
    let metadata: String = row.get("metadata")?;
    Ok(Message {
        id: row.get("id")?,
        event: event.into(),
        metadata: serde_json::from_str(&metadata).unwrap_or_default(),
        expires: row.get("expires")?,
    })
}

fn reminder(row: &Row<'_>) -> Result<Reminder, rusqlite::Error> {
    let small = |value: Option<i64>| value.map(|v| u32::try_from(v).unwrap_or(u32::MAX));
    Ok(Reminder {
        id: row.get("id")?,
        actor_type: row.get("actor_type")?,
        actor_id: row.get("actor_id")?,
        name: row.get("name")?,
        data: row.get("data")?,
        due_time: row.get("due_time")?,
        period: row.get("period")?,
        ttl: row.get("ttl")?,
        due: row.get("due")?,
        every: row.get::<_, Option<i64>>("every")?.map(|every| every.max(times::shortest())),
        left: small(row.get("left_over")?),
        expires: row.get("expires")?,
        retry_every: row.get("retry_every")?,
        retries: small(row.get("retries")?),
    })
}
