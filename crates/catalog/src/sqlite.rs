//! The embedded catalog: one SQLite file in WAL mode with full syncs.
//!
//! All writes go through one connection in one task (`writer`), which commits in groups; reads have a small pool of
//! their own and never wait for writes.

mod access;
mod audit;
mod definitions;
mod drafts;
mod early;
mod file;
mod index;
mod journal;
mod keys;
mod lists;
mod marks;
mod meter;
mod once;
mod pins;
mod places;
mod probe;
mod runs;
mod survey;
mod sweep;
mod triggers;
mod writer;

use crate::{
    Access, Answering, ApiKey, Append, AppendError, AuditEntry, AuditRow, Catalog, Change, Definitions,
    Deleted, Early, EarlyMessage, Entry, Error, Idempotency, Journal, Keys, Mark, Marks, NewKey, NewVersion,
    NewWorkflow, Once, OpenRun, Pins, ProjectChange, ProjectRow, Request, Rotation, RunFilter, RunRow,
    Signing, Sweep, Tip, Workflow,
    sql::{LIMIT, run_id, signed},
    writer::Writer,
};
use async_trait::async_trait;
use bytes::Bytes;
use callboard_core::{
    Hash, Timestamp,
    id::{KeyId, ProjectId, RunId, WorkflowId},
};
use sqlx::{
    SqlSafeStr, SqliteConnection, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use std::{collections::BTreeMap, path::Path, sync::LazyLock, time::Duration};
use writer::Command;

pub use file::FileError;

/// Connections for reading.
const READERS: u32 = 4;
/// How long a read waits for a connection, and a write for another process.
const PATIENCE: Duration = Duration::from_secs(5);

/// What brings the tables up to date, in order, each in a transaction of its own.
///
/// Listed by hand: sqlx's macro would bring all of sqlx, SQLite too, a second time into each build.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    Migrator::with_migrations(vec![
        migration(1, "catalog", include_str!("../../../migrations/sqlite/0001_catalog.sql")),
        migration(2, "projects", include_str!("../../../migrations/sqlite/0002_projects.sql")),
        migration(3, "internal keys", include_str!("../../../migrations/sqlite/0003_internal_keys.sql")),
        migration(4, "pins", include_str!("../../../migrations/sqlite/0004_pins.sql")),
        migration(5, "repeated", include_str!("../../../migrations/sqlite/0005_repeated.sql")),
        migration(6, "access", include_str!("../../../migrations/sqlite/0006_access.sql")),
        migration(7, "drafts", include_str!("../../../migrations/sqlite/0007_drafts.sql")),
        migration(8, "triggers", include_str!("../../../migrations/sqlite/0008_triggers.sql")),
        migration(9, "lists", include_str!("../../../migrations/sqlite/0009_lists.sql")),
        migration(10, "marks", include_str!("../../../migrations/sqlite/0010_marks.sql")),
        migration(11, "money", include_str!("../../../migrations/sqlite/0011_money.sql")),
        migration(12, "words later", include_str!("../../../migrations/sqlite/0012_words_later.sql")),
    ])
});

fn migration(version: i64, name: &'static str, sql: &'static str) -> Migration {
    Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

/// Every transaction that writes takes the file at once: one that begins as a reader may not become a writer.
const BEGIN: &str = "begin immediate";
const COMMIT: &str = "commit";
const ROLLBACK: &str = "rollback";

/// The catalog in one file. Dropping it finishes what was handed in, as `close` does, without waiting for it.
pub struct SqliteCatalog {
    readers: SqlitePool,
    writer: Writer<Command>,
}

/// Another process writes; nothing was begun.
fn is_busy(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == "5")
}

// === impl SqliteCatalog ===

impl SqliteCatalog {
    /// Opens or creates the file and brings its tables up to date. Follows no link in its place.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let options = file::to_write(path.as_ref())?;
        let connection = file::open(&options).await?;
        Ok(Self::of(connection, options))
    }

    /// Opens a file that is up to date, and writes nothing: every change is refused.
    pub async fn open_to_read(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let options = file::to_read(path.as_ref())?;
        let connection = file::open_to_read(&options).await?;
        Ok(Self::of(connection, options))
    }

    /// Copies a file as it is at this moment, whoever writes meanwhile, into an empty one.
    pub async fn copy(path: impl AsRef<Path>, into: impl AsRef<Path>) -> Result<(), FileError> {
        file::copy(path.as_ref(), into.as_ref()).await
    }

    /// Says what is wrong with the file itself, page by page.
    pub async fn check(&self) -> Result<Vec<String>, Error> {
        file::check(&self.readers).await
    }

    fn of(connection: SqliteConnection, options: SqliteConnectOptions) -> Self {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(PATIENCE)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options.clone().pragma("cache_size", "-2048").pragma("query_only", "on"));
        Self { readers, writer: writer::spawn(connection, options) }
    }
}

#[async_trait]
impl Definitions for SqliteCatalog {
    async fn create_workflow(&self, new: NewWorkflow) -> Result<Workflow, Error> {
        self.writer.job(move |c| Box::pin(definitions::create(c, new))).await
    }

    async fn update_workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        change: NewVersion,
    ) -> Result<Workflow, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(definitions::update(c, project, id, change))).await
    }

    async fn workflow(
        &self,
        project: &ProjectId,
        id: &WorkflowId,
        version: Option<u32>,
    ) -> Result<Option<Workflow>, Error> {
        definitions::read(&self.readers, project, id, version).await
    }

    async fn hide_workflow(&self, project: &ProjectId, id: &WorkflowId) -> Result<bool, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(definitions::hide(c, project, id))).await
    }

    async fn workflows(
        &self,
        project: &ProjectId,
        after: Option<&WorkflowId>,
        limit: u32,
    ) -> Result<Vec<Workflow>, Error> {
        definitions::list(&self.readers, project, after, limit.min(LIMIT)).await
    }
}

#[async_trait]
impl Journal for SqliteCatalog {
    async fn append(&self, batch: Append) -> Result<(), AppendError> {
        self.writer.append(batch).await
    }

    async fn tip(&self, run: &RunId, at: Option<u64>) -> Result<Option<Tip>, Error> {
        runs::tip(&self.readers, run, at).await
    }

    async fn history(&self, run: &RunId, after: u64, limit: u32) -> Result<Vec<Entry>, Error> {
        runs::history(&self.readers, run, after, limit.min(LIMIT)).await
    }

    async fn values(&self, run: &RunId, keys: &[String]) -> Result<BTreeMap<String, Bytes>, Error> {
        runs::values(&self.readers, run, keys).await
    }

    async fn run(&self, id: &RunId) -> Result<Option<RunRow>, Error> {
        runs::read(&self.readers, id).await
    }

    async fn runs(
        &self,
        project: &ProjectId,
        filter: RunFilter,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, Error> {
        runs::list(&self.readers, project, &filter, after, limit.min(LIMIT)).await
    }
}

#[async_trait]
impl Pins for SqliteCatalog {
    async fn keep_pin(
        &self,
        project: &ProjectId,
        hash: Hash,
        document: Bytes,
        at: Timestamp,
    ) -> Result<(), Error> {
        let project = project.clone();
        self.writer
            .job(move |c| Box::pin(async move { pins::keep(c, &project, hash, document, at).await }))
            .await
    }

    async fn pin(&self, project: &ProjectId, hash: Hash) -> Result<Option<Bytes>, Error> {
        pins::read(&self.readers, project, hash).await
    }

    async fn forget_pins(&self, project: &ProjectId, now: Timestamp) -> Result<u64, Error> {
        let project = project.clone();
        match pins::unneeded(&self.readers, &project, now).await? {
            Some(before) => {
                self.writer
                    .job(move |c| Box::pin(async move { pins::forget(c, &project, before).await }))
                    .await
            }
            None => Ok(0),
        }
    }
}

#[async_trait]
impl Sweep for SqliteCatalog {
    async fn projects(&self) -> Result<Vec<ProjectId>, Error> {
        sweep::projects(&self.readers).await
    }

    async fn open_runs(
        &self,
        project: &ProjectId,
        status: &str,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<OpenRun>, Error> {
        sweep::open(&self.readers, project, status, after, limit.min(LIMIT)).await
    }

    async fn due(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<RunId>, Error> {
        self.writer.job(move |c| Box::pin(sweep::due(c, now, then, limit.min(LIMIT)))).await
    }

    async fn mark_cleaned(&self, run: &RunId, seq: u64) -> Result<bool, Error> {
        self.writer.cleaned(run.clone(), seq).await
    }

    async fn mark_purged(&self, run: &RunId, next_check_at: Option<Timestamp>) -> Result<(), Error> {
        let run = run.clone();
        self.writer.job(move |c| Box::pin(sweep::mark_purged(c, run, next_check_at))).await
    }
}

#[async_trait]
impl Keys for SqliteCatalog {
    async fn signing(&self) -> Result<Signing, Error> {
        keys::signing(&self.readers).await
    }

    async fn first_key(&self, secret: [u8; 32], at: Timestamp) -> Result<(), Error> {
        self.writer.job(move |c| Box::pin(keys::first(c, secret, at))).await
    }

    async fn rotate_key(&self, secret: [u8; 32], at: Timestamp) -> Result<u32, Error> {
        self.writer.job(move |c| Box::pin(keys::rotate(c, secret, at))).await
    }

    async fn require_signatures(&self) -> Result<bool, Error> {
        self.writer.job(|c: &mut SqliteConnection| Box::pin(keys::require(c))).await
    }
}

#[async_trait]
impl Marks for SqliteCatalog {
    async fn mark(&self) -> Result<Option<Mark>, Error> {
        marks::read(&self.readers).await
    }

    async fn count_on(&self, installation: &str, beyond: u64) -> Result<Mark, Error> {
        let installation = installation.to_owned();
        self.writer.job(move |c| Box::pin(marks::count(c, installation, beyond))).await
    }
}

#[async_trait]
impl Idempotency for SqliteCatalog {
    async fn answered(&self, request: &Request) -> Result<Option<Once>, Error> {
        once::answered(&self.readers, request).await
    }

    async fn once(&self, request: Request, change: Change, answer: Answering) -> Result<Once, Error> {
        self.writer.job(move |c| Box::pin(once::once(c, request, change, answer))).await
    }

    async fn forget_answers(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.writer.job(move |c| Box::pin(once::forget(c, before, limit))).await
    }
}

#[async_trait]
impl Early for SqliteCatalog {
    async fn keep_early(&self, message: EarlyMessage, due: Timestamp, most: u32) -> Result<bool, Error> {
        self.writer.job(move |c| Box::pin(early::keep(c, message, due, most))).await
    }

    async fn early(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<EarlyMessage>, Error> {
        // Most of the time there is none, and nothing is written.
        if !early::any(&self.readers, now).await? {
            return Ok(Vec::new());
        }
        self.writer.job(move |c| Box::pin(early::due(c, now, then, limit.min(LIMIT)))).await
    }

    async fn early_again(&self, id: &str, due: Timestamp) -> Result<(), Error> {
        let id = id.to_owned();
        self.writer.job(move |c| Box::pin(early::again(c, id, due))).await
    }

    async fn forget_early(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.writer.job(move |c| Box::pin(early::forget(c, id))).await
    }
}

#[async_trait]
impl Access for SqliteCatalog {
    async fn has_keys(&self) -> Result<bool, Error> {
        access::any(&self.readers).await
    }

    async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, Error> {
        access::key(&self.readers, id).await
    }

    async fn keys(
        &self,
        project: &ProjectId,
        after: Option<&KeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, Error> {
        access::list(&self.readers, project, after, limit.min(LIMIT)).await
    }

    async fn make_key(&self, new: NewKey) -> Result<ApiKey, Error> {
        self.writer.job(move |c| Box::pin(access::make(c, new))).await
    }

    async fn renew_key(
        &self,
        project: &ProjectId,
        id: &KeyId,
        rotation: Rotation,
    ) -> Result<Option<ApiKey>, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(access::renew(c, project, id, rotation))).await
    }

    async fn revoke_key(&self, project: &ProjectId, id: &KeyId, at: Timestamp) -> Result<bool, Error> {
        let (project, id) = (project.clone(), id.clone());
        self.writer.job(move |c| Box::pin(access::revoke(c, project, id, at))).await
    }

    async fn key_used(&self, id: &KeyId, at: Timestamp) -> Result<(), Error> {
        let id = id.clone();
        self.writer.job(move |c| Box::pin(access::used(c, id, at))).await
    }

    async fn project(&self, id: &ProjectId) -> Result<Option<ProjectRow>, Error> {
        access::project(&self.readers, id).await
    }

    async fn all_projects(&self, after: Option<&ProjectId>, limit: u32) -> Result<Vec<ProjectRow>, Error> {
        access::projects(&self.readers, after, limit.min(LIMIT)).await
    }

    async fn make_project(&self, row: ProjectRow) -> Result<(), Error> {
        self.writer.job(move |c| Box::pin(access::make_project(c, row))).await
    }

    async fn change_project(
        &self,
        id: &ProjectId,
        change: ProjectChange,
    ) -> Result<Option<ProjectRow>, Error> {
        let id = id.clone();
        self.writer.job(move |c| Box::pin(access::change_project(c, id, change))).await
    }

    async fn delete_project(&self, id: &ProjectId, at: Timestamp) -> Result<Deleted, Error> {
        let id = id.clone();
        self.writer.job(move |c| Box::pin(access::delete_project(c, id, at))).await
    }

    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), Error> {
        self.writer.job(move |c| Box::pin(audit::record(c, entries))).await
    }

    async fn audit(
        &self,
        project: &ProjectId,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Vec<AuditRow>, Error> {
        audit::list(&self.readers, project, before, limit.min(LIMIT)).await
    }

    async fn forget_audit(&self, now: Timestamp) -> Result<u64, Error> {
        self.writer.job(move |c| Box::pin(audit::forget(c, now))).await
    }
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn health(&self) -> Result<(), Error> {
        self.writer.job(|c: &mut SqliteConnection| Box::pin(probe::write(c))).await
    }

    async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
    }
}

#[cfg(test)]
mod tests;
