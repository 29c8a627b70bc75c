//! The only thread that writes: takes whatever waits, commits it as one transaction, then tells everybody.
//!
//! Messages are handed to their topics here, in the commit's order, which is what lets a topic's memory be a window
//! on the table; where they fit into it, while the commit is under way.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, params};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::super::bus::{Message, Topic};
use super::super::times;
use super::{Error, Expiry, Fence, Job, Outcome, Task, Write, json, sql};

/// Jobs in one commit.
const BATCH: usize = 256;
/// Bytes after which a commit takes no further job.
const BATCH_BYTES: usize = 8 << 20;
/// How long writes that nobody waits for may stay in memory.
const LINGER: Duration = Duration::from_millis(20);
/// How many of them.
const LINGERING: usize = 512;
const EXPIRE_EVERY: Duration = Duration::from_secs(30);

/// What waits for the next commit.
#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    /// Nobody waits for these.
    lazy: Vec<Job>,
    bytes: usize,
    /// When the lazy ones are due.
    due: Option<Instant>,
}

/// `last` is the newest message's id. Commits block this thread, which does nothing else.
pub(super) async fn run(mut connection: Connection, mut queue: mpsc::Receiver<Task>, mut last: i64) {
    let mut waiting = Waiting::default();
    let mut expire_at = Instant::now() + EXPIRE_EVERY;
    let mut closing: Option<oneshot::Sender<()>> = None;
    let mut open = true;
    while open {
        let until = waiting.due.unwrap_or(expire_at).min(expire_at);
        match tokio::time::timeout_at(until, queue.recv()).await {
            Ok(Some(task)) => {
                let mut next = Some(task);
                while let Some(task) = next.take() {
                    match task {
                        Task::Write(job) => waiting.push(job),
                        Task::Close(done) => {
                            open = false;
                            closing = Some(done);
                            queue.close();
                        }
                    }
                    if !waiting.is_full() {
                        next = queue.try_recv().ok();
                    }
                }
            }
            Ok(None) => open = false,
            Err(_) => {}
        }
        let now = Instant::now();
        if waiting.is_due(now) || !open {
            commit(&mut connection, waiting.take(), &mut last);
        }
        if expire_at <= now {
            let expired =
                connection.prepare_cached(sql::EXPIRE).and_then(|mut s| s.execute(params![times::steady()]));
            if let Err(error) = expired {
                tracing::warn!(%error, "expired state could not be removed");
            }
            expire_at = now + EXPIRE_EVERY;
        }
    }
    // Folded in, so that a copy of the file alone has everything. Readers may still be at it: then the log stays.
    let folded = connection.query_row("pragma wal_checkpoint(truncate)", (), |_| Ok(()));
    if let Err(error) = folded {
        tracing::debug!(%error, "the write-ahead log stays beside the file");
    }
    // Closed first, so that whoever waits may open or remove the file.
    drop(connection);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

// === impl Waiting ===

impl Waiting {
    fn push(&mut self, job: Job) {
        self.bytes += job.bytes();
        if job.reply.is_some() {
            self.jobs.push(job);
            return;
        }
        self.lazy.push(job);
        self.due.get_or_insert_with(|| Instant::now() + LINGER);
    }

    fn is_full(&self) -> bool {
        self.jobs.len() >= BATCH || self.lazy.len() >= LINGERING || self.bytes >= BATCH_BYTES
    }

    fn is_due(&self, now: Instant) -> bool {
        !self.jobs.is_empty() || self.is_full() || self.due.is_some_and(|at| at <= now)
    }

    /// Takes everything; what lingered came first.
    fn take(&mut self) -> Vec<Job> {
        let mut all = std::mem::take(&mut self.lazy);
        all.append(&mut self.jobs);
        *self = Self::default();
        all
    }
}

/// What has to be said once a commit is on disk.
#[derive(Default)]
struct Committed {
    published: Vec<(Arc<Topic>, Message)>,
    outcomes: Vec<Vec<Outcome>>,
}

fn commit(connection: &mut Connection, jobs: Vec<Job>, last: &mut i64) {
    let before = *last;
    let arrived = arrive_early(&jobs, before);
    match attempt(connection, &jobs, last, arrived) {
        Ok(committed) => tell(jobs, committed),
        Err(error) => {
            roll_back(connection);
            if jobs.len() > 1 && !is_of_the_disk(&error) {
                *last = one_by_one(connection, jobs, before, arrived);
            } else {
                refuse(jobs, error);
            }
        }
    }
    // An id that was given away is not given again, whatever became of its row.
    *last = arrived.max(*last);
}

/// Does a group again that the database refused, each job alone: what is wrong with one, as a damaged page, is no reason to
/// refuse the others. Messages get the ids that they had. Returns the last one's.
fn one_by_one(connection: &mut Connection, jobs: Vec<Job>, before: i64, arrived: i64) -> i64 {
    let mut id = before;
    for job in jobs {
        let mut last = id;
        id += job.published();
        let job = vec![job];
        match attempt(connection, &job, &mut last, arrived) {
            Ok(committed) => tell(job, committed),
            Err(error) => {
                roll_back(connection);
                refuse(job, error);
            }
        }
    }
    id
}

fn tell(jobs: Vec<Job>, committed: Committed) {
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

fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("rollback")
    {
        tracing::error!(%error, "a failed commit could not be rolled back");
    }
}

fn refuse(jobs: Vec<Job>, error: rusqlite::Error) {
    tracing::error!(%error, jobs = jobs.len(), "commit failed");
    let error = Error::from(error);
    for job in jobs {
        if let Some(reply) = job.reply {
            let _ = reply.send(Err(error.clone()));
        }
    }
}

/// Whether every other write would fail in the same way: the disk is full or gone, or somebody else holds the file.
fn is_of_the_disk(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, ReadOnly, SystemIoFailure,
    };
    let of_all = [CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory, ReadOnly, SystemIoFailure];
    error.sqlite_error_code().is_some_and(|code| of_all.contains(&code))
}

/// Hands messages to their topics while their commit is still under way, and returns the last one's id.
///
/// Delivery is at least once, so a message may be seen that a crash then takes back: its publisher was told nothing. One
/// that does not fit into its topic's memory waits for the commit, and all that come after it, to stay in order.
fn arrive_early(jobs: &[Job], last: i64) -> i64 {
    let mut arrived = last;
    for job in jobs.iter().take_while(|job| !job.is_guarded()) {
        for write in &job.writes {
            let Write::Publish { topic, message } = write else { continue };
            if !topic.arrive_early(Message { id: arrived + 1, ..message.clone() }) {
                return arrived;
            }
            arrived += 1;
        }
    }
    arrived
}

fn attempt(
    connection: &Connection,
    jobs: &[Job],
    last: &mut i64,
    arrived: i64,
) -> Result<Committed, rusqlite::Error> {
    let mut done = Committed::default();
    let now = times::steady();
    let forgotten: Vec<i64> = jobs.iter().flat_map(|job| &job.writes).filter_map(Write::forgets).collect();
    let writes: usize = jobs.iter().map(|job| job.writes.len()).sum();
    if writes == 0 {
        done.outcomes.resize(jobs.len(), Vec::new());
        return Ok(done);
    }
    // A lone statement is a transaction already.
    let alone = writes == 1;
    if !alone {
        run_cached(connection, "begin immediate")?;
    }
    if !forgotten.is_empty() {
        connection.prepare_cached(sql::FORGET)?.execute(params![json(&forgotten)?])?;
    }
    for job in jobs {
        let guarded = job.is_guarded();
        if guarded {
            run_cached(connection, "savepoint job")?;
        }
        let mut outcomes = Vec::with_capacity(job.writes.len());
        let published = done.published.len();
        for write in &job.writes {
            outcomes.push(apply(connection, write, now, last, arrived, &mut done)?);
        }
        if guarded {
            if outcomes.contains(&Outcome::Refused) {
                run_cached(connection, "rollback to job")?;
                done.published.truncate(published);
            }
            run_cached(connection, "release job")?;
        }
        done.outcomes.push(outcomes);
    }
    if !alone {
        run_cached(connection, "commit")?;
    }
    Ok(done)
}

fn run_cached(connection: &Connection, statement: &str) -> Result<(), rusqlite::Error> {
    connection.prepare_cached(statement)?.execute(()).map(drop)
}

fn apply(
    connection: &Connection,
    write: &Write,
    now: i64,
    last: &mut i64,
    arrived: i64,
    done: &mut Committed,
) -> Result<Outcome, rusqlite::Error> {
    let cached = |statement| connection.prepare_cached(statement);
    let changed = match write {
        Write::Put { store, key, data, fence, expiry } => {
            let (expires, keep) = match expiry {
                Expiry::Keep => (None, true),
                Expiry::Never => (None, false),
                Expiry::At(at) => (Some(*at), false),
            };
            let data = data.as_ref();
            match fence {
                Fence::None => cached(sql::PUT)?.execute(params![store, key, data, expires, keep, now])?,
                Fence::FirstWrite => {
                    cached(sql::PUT_FIRST)?.execute(params![store, key, data, expires, now])?
                }
                Fence::Etag(version) => cached(sql::PUT_FENCED)?
                    .execute(params![store, key, data, expires, keep, now, version])?,
            }
        }
        Write::Remove { store, key, etag: None } => {
            cached(sql::REMOVE)?.execute(params![store, key])?;
            return Ok(Outcome::Done);
        }
        Write::Remove { store, key, etag: Some(version) } => {
            cached(sql::REMOVE_FENCED)?.execute(params![store, key, version, now])?
        }
        Write::Publish { topic, message } => {
            let metadata = json(&message.metadata)?;
            *last += 1;
            let event = message.event.as_ref();
            cached(sql::PUBLISH)?.execute(params![
                *last,
                topic.pubsub(),
                topic.name(),
                event,
                metadata,
                message.expires
            ])?;
            if *last > arrived {
                done.published.push((topic.clone(), Message { id: *last, ..message.clone() }));
            }
            return Ok(Outcome::Done);
        }
        // Done for the whole batch in one statement.
        Write::Forget(_) => return Ok(Outcome::Done),
        Write::Limit { pubsub, topic, expires } => {
            cached(sql::LIMIT_MESSAGES)?.execute(params![pubsub, topic, expires])?;
            return Ok(Outcome::Done);
        }
        Write::Purge { pubsub, topic, upto } => {
            cached(sql::PURGE)?.execute(params![pubsub, topic, upto])?;
            return Ok(Outcome::Done);
        }
        Write::PutReminder(reminder) => cached(sql::PUT_REMINDER)?.execute(params![
            reminder.actor_type,
            reminder.actor_id,
            reminder.name,
            reminder.id,
            reminder.data,
            reminder.due_time,
            reminder.period,
            reminder.ttl,
            reminder.due,
            reminder.every,
            reminder.left,
            reminder.expires,
            reminder.retry_every,
            reminder.retries
        ])?,
        Write::RemoveReminder { actor_type, actor_id, name } => {
            cached(sql::REMOVE_REMINDER)?.execute(params![actor_type, actor_id, name])?
        }
        Write::EndReminder { id, actor_type, actor_id, name } => {
            cached(sql::END_REMINDER)?.execute(params![actor_type, actor_id, name, id])?
        }
        Write::MoveReminder { id, actor_type, actor_id, name, due, left } => {
            cached(sql::MOVE_REMINDER)?.execute(params![actor_type, actor_id, name, id, due, left])?
        }
        Write::Mark { installation, generation } => {
            cached(sql::PUT_MARK)?.execute(params![installation, generation])?
        }
    };
    Ok(if changed > 0 { Outcome::Done } else { Outcome::Refused })
}

impl Job {
    /// How many messages it keeps.
    fn published(&self) -> i64 {
        self.writes.iter().map(|write| i64::from(matches!(write, Write::Publish { .. }))).sum()
    }

    /// Takes its writes back if one is refused.
    fn is_guarded(&self) -> bool {
        self.atomic && self.writes.len() > 1
    }

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
