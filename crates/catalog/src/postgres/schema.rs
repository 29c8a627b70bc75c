//! The tables, and which of them a release can work with.
//!
//! Migrations only go forward, all that are missing in one transaction under a lock of that transaction. A release runs on
//! its own schema, and on a later one whose migrations all say that it may: `since` is the oldest schema whose
//! release can work beside them.

use super::link::{self, Link, PATIENCE};
use crate::Error;
use callboard_core::Hash;
use sqlx::{Executor, PgConnection, SqlSafeStr};
use std::{fmt, time::Duration};

struct Migration {
    version: i32,
    name: &'static str,
    /// Releases that know at least this version work on the schema after it.
    since: i32,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 6] = [
    Migration {
        version: 1,
        name: "catalog",
        since: 1,
        sql: include_str!("../../../../migrations/postgres/0001_catalog.sql"),
    },
    // The release before knows nothing of drafts: it shows no workflow that has nothing else, and overwrites none.
    Migration {
        version: 2,
        name: "drafts",
        since: 1,
        sql: include_str!("../../../../migrations/postgres/0002_drafts.sql"),
    },
    // A release that does not know triggers leaves them alone: none of its own fires meanwhile.
    Migration {
        version: 3,
        name: "triggers",
        since: 1,
        sql: include_str!("../../../../migrations/postgres/0003_triggers.sql"),
    },
    Migration {
        version: 4,
        name: "lists",
        since: 1,
        sql: include_str!("../../../../migrations/postgres/0004_lists.sql"),
    },
    Migration {
        version: 5,
        name: "marks",
        since: 1,
        sql: include_str!("../../../../migrations/postgres/0005_marks.sql"),
    },
    // What the release before counts meanwhile has no cost, as what it counted before.
    Migration {
        version: 6,
        name: "money",
        since: 4,
        sql: include_str!("../../../../migrations/postgres/0006_money.sql"),
    },
];

/// The oldest schema that this release can work with.
const OLDEST: i32 = 6;
/// How long a start waits for a database that is not there yet.
const ARRIVAL: Duration = Duration::from_secs(30);

const LOCK: &str = "select pg_advisory_xact_lock(7203, 0)";

const TABLE: &str = "
    create table if not exists public.schema_versions (
        version    integer primary key,
        name       text not null,
        since      integer not null,
        content    bytea not null,
        applied_at timestamptz not null default now()
    )";

const APPLIED: &str = "select version, name, since, content from public.schema_versions order by version";

const RECORD: &str =
    "insert into public.schema_versions (version, name, since, content) values ($1, $2, $3, $4)";

const IS_THERE: &str = "select to_regclass('public.schema_versions') is not null";

/// What a migration came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The schema's version now.
    pub version: i32,
    /// How many migrations were missing.
    pub applied: usize,
}

/// Why this release can't work with the database.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    #[error("the database has no tables of callboard: run `callboard migrate` as their owner")]
    Missing,
    #[error(
        "the schema of the database is too old: it is at {found}, and this release needs {needed}: run `callboard migrate` as its owner"
    )]
    TooOld { found: Version, needed: Version },
    #[error(
        "the schema of the database is too new: it is at {found}, and this release knows none after {known}: use the release \
         that made it, or a later one"
    )]
    TooNew { found: Version, known: Version },
    #[error(
        "migration {0} of the database is not the one of this release: it was changed after it was applied"
    )]
    Changed(Version),
    #[error(transparent)]
    Catalog(#[from] Error),
}

/// A schema by number and name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(i32, String);

struct Applied {
    version: i32,
    name: String,
    since: i32,
    content: Vec<u8>,
}

/// Brings the tables up to date.
pub(super) async fn migrate(link: &Link) -> Result<Migrated, SchemaError> {
    let mut connection = arrive(link).await?;
    let work = async {
        connection.execute("begin").await?;
        // Whoever comes second waits here, and finds everything done.
        connection.execute(LOCK).await?;
        connection.execute(TABLE).await?;
        let applied = applied(&mut connection).await?;
        let missing = missing(&applied)?;
        for migration in &missing {
            connection.execute(migration.sql.into_sql_str()).await?;
            sqlx::query(RECORD)
                .bind(migration.version)
                .bind(migration.name)
                .bind(migration.since)
                .bind(&content(migration).0[..])
                .persistent(false)
                .execute(&mut connection)
                .await?;
        }
        connection.execute("commit").await?;
        let version = applied.last().map_or(0, |applied| applied.version);
        let version = missing.last().map_or(version, |migration| migration.version);
        Ok(Migrated { version, applied: missing.len() })
    };
    work.await
}

/// Fails unless this release can work with the tables.
pub(super) async fn check(link: &Link) -> Result<(), SchemaError> {
    let mut connection = arrive(link).await?;
    let work = async {
        connection.execute("begin").await?;
        let is_there: bool =
            sqlx::query_scalar(IS_THERE).persistent(false).fetch_one(&mut connection).await?;
        let applied = if is_there { applied(&mut connection).await? } else { Vec::new() };
        connection.execute("commit").await?;
        fits(&applied)
    };
    tokio::time::timeout(PATIENCE, work).await.map_err(|_| late())?
}

/// Connects; waits for a server that is just starting.
async fn arrive(link: &Link) -> Result<PgConnection, Error> {
    let began = tokio::time::Instant::now();
    let mut told = false;
    loop {
        match link.connect().await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_away(&error) && began.elapsed() < ARRIVAL => {
                if !std::mem::replace(&mut told, true) {
                    tracing::warn!(%error, "the catalog does not answer yet, waiting for it");
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_away(error: &sqlx::Error) -> bool {
    link::is_broken(error) || matches!(error, sqlx::Error::PoolTimedOut)
}

fn late() -> Error {
    Error::Unavailable(format!("there was no answer within {PATIENCE:?}").into())
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, Error> {
    let rows: Vec<(i32, String, i32, Vec<u8>)> =
        sqlx::query_as(APPLIED).persistent(false).fetch_all(connection).await?;
    let applied = |(version, name, since, content)| Applied { version, name, since, content };
    Ok(rows.into_iter().map(applied).collect())
}

/// Returns the migrations that are to be applied.
fn missing(applied: &[Applied]) -> Result<Vec<&'static Migration>, SchemaError> {
    for found in applied {
        let known = MIGRATIONS.iter().find(|known| known.version == found.version);
        let Some(known) = known else { return Err(too_new(found)) };
        if found.content != content(known).0 {
            return Err(SchemaError::Changed(found.into()));
        }
    }
    let is_missing = |known: &&Migration| applied.iter().all(|found| found.version != known.version);
    Ok(MIGRATIONS.iter().filter(is_missing).collect())
}

/// Whether this release can work with a schema.
fn fits(applied: &[Applied]) -> Result<(), SchemaError> {
    let newest = &MIGRATIONS[MIGRATIONS.len() - 1];
    let Some(last) = applied.last() else { return Err(SchemaError::Missing) };
    if last.version < OLDEST {
        let needed = MIGRATIONS.iter().find(|known| known.version == OLDEST).unwrap_or(newest);
        return Err(SchemaError::TooOld { found: last.into(), needed: needed.into() });
    }
    match applied.iter().find(|found| found.version > newest.version && found.since > newest.version) {
        Some(found) => Err(too_new(found)),
        None => Ok(()),
    }
}

fn too_new(found: &Applied) -> SchemaError {
    SchemaError::TooNew { found: found.into(), known: (&MIGRATIONS[MIGRATIONS.len() - 1]).into() }
}

fn content(migration: &Migration) -> Hash {
    Hash::of(migration.sql.as_bytes())
}

impl From<sqlx::Error> for SchemaError {
    fn from(error: sqlx::Error) -> Self {
        Self::Catalog(error.into())
    }
}

impl From<&Migration> for Version {
    fn from(migration: &Migration) -> Self {
        Self(migration.version, migration.name.to_owned())
    }
}

impl From<&Applied> for Version {
    fn from(applied: &Applied) -> Self {
        Self(applied.version, applied.name.clone())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(version: i32, since: i32) -> Applied {
        let known = MIGRATIONS.iter().find(|known| known.version == version);
        let content = known.map_or_else(Vec::new, |known| content(known).0.to_vec());
        Applied { version, name: "some".to_owned(), since, content }
    }

    #[test]
    fn a_release_works_on_its_schema_and_on_a_later_one_that_says_so() {
        let newest = MIGRATIONS[MIGRATIONS.len() - 1].version;
        let own = || applied(newest, 1);
        assert!(fits(&[applied(1, 1), own()]).is_ok());
        assert!(fits(&[own(), applied(newest + 1, 1)]).is_ok(), "made for the release before, too");
        let refused = fits(&[own(), applied(newest + 1, 1), applied(newest + 2, newest + 1)]);
        assert!(matches!(refused, Err(SchemaError::TooNew { .. })), "{refused:?}");
        assert!(matches!(fits(&[]), Err(SchemaError::Missing)));
        let refused = fits(&[applied(OLDEST - 1, 1)]);
        assert!(matches!(refused, Err(SchemaError::TooOld { .. })), "{refused:?}");
    }

    #[test]
    fn only_what_is_missing_is_applied_and_nothing_over_what_is_newer() {
        assert_eq!(missing(&[]).map(|missing| missing.len()).ok(), Some(MIGRATIONS.len()));
        assert_eq!(missing(&[applied(1, 1)]).map(|missing| missing.len()).ok(), Some(MIGRATIONS.len() - 1));
        assert!(matches!(missing(&[applied(1, 1), applied(99, 1)]), Err(SchemaError::TooNew { .. })));
        let changed = Applied { content: vec![1], ..applied(1, 1) };
        assert!(matches!(missing(&[changed]), Err(SchemaError::Changed(_))));
    }

    #[test]
    fn migrations_are_numbered_in_order() {
        assert!(MIGRATIONS.is_sorted_by(|one, next| one.version < next.version));
    }
}
