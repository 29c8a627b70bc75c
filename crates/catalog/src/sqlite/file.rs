//! The file itself: opened, to write or only to read, brought up to date, copied, looked through.

use super::{MIGRATIONS, PATIENCE, is_busy};
use crate::Error;
use sqlx::{
    ConnectOptions, SqliteConnection, SqlitePool,
    migrate::MigrateError,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{path::Path, time::Duration};

/// How often a file is opened again while another process may be making it.
const OPEN_TRIES: u32 = 5;

const APPLIED: &str = "select coalesce(max(version), 0) from _sqlx_migrations where success";

const COPY: &str = "vacuum into $1";

const CHECK: &str = "pragma integrity_check(20)";

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(
        "its migration {found} is newer than this program, which knows none after {known}: use the release that made it, or a later one"
    )]
    Newer { found: i64, known: i64 },
    #[error("its migration {0} is not the one of this release: it was changed after it was applied")]
    Changed(i64),
    #[error(
        "it is at migration {found}, and this release reads none before {known}: a start brings it up to date"
    )]
    Older { found: i64, known: i64 },
    #[error(transparent)]
    Catalog(#[from] Error),
}

impl From<sqlx::Error> for FileError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Migrate(error) => match *error {
                MigrateError::VersionMissing(found) if found > newest() => {
                    Self::Newer { found, known: newest() }
                }
                MigrateError::VersionMismatch(version) => Self::Changed(version),
                error => Self::Catalog(Error::Unavailable(error.into())),
            },
            error => Self::Catalog(error.into()),
        }
    }
}

/// The last migration of this release.
fn newest() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or_default()
}

pub(super) fn to_write(path: &Path) -> Result<SqliteConnectOptions, Error> {
    let options = options(path)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Checkpoints sync the whole file; fewer and larger ones cost less per entry.
        .pragma("wal_autocheckpoint", "4000")
        .pragma("journal_size_limit", "67108864");
    Ok(options)
}

pub(super) fn to_read(path: &Path) -> Result<SqliteConnectOptions, Error> {
    Ok(options(path)?.read_only(true))
}

fn options(path: &Path) -> Result<SqliteConnectOptions, Error> {
    unlinked(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        .foreign_keys(true)
        .pragma("cache_size", "-16384")
        // Statements carry prompts and outputs.
        .disable_statement_logging();
    Ok(options)
}

/// Opens the file and brings its tables up to date. Of two processes that open a new file at once one may fail, also at
/// once where SQLite sees that waiting would not help, and finds everything done when it looks again.
pub(super) async fn open(options: &SqliteConnectOptions) -> Result<SqliteConnection, FileError> {
    let mut tries = 0;
    loop {
        let error = match open_once(options).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        tries += 1;
        let again = matches!(error, sqlx::Error::Migrate(_)) || is_busy(&error);
        let error = FileError::from(error);
        let lasts = matches!(error, FileError::Newer { .. } | FileError::Changed(_));
        if lasts || !again || tries > OPEN_TRIES {
            return Err(error);
        }
        tokio::time::sleep(tries * Duration::from_millis(100)).await;
    }
}

async fn open_once(options: &SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    MIGRATIONS.run(&mut connection).await?;
    Ok(connection)
}

/// Opens a file that this release can read as it is.
pub(super) async fn open_to_read(options: &SqliteConnectOptions) -> Result<SqliteConnection, FileError> {
    let mut connection = options.connect().await?;
    let found: i64 = sqlx::query_scalar(APPLIED).fetch_one(&mut connection).await?;
    match found.cmp(&newest()) {
        std::cmp::Ordering::Less => Err(FileError::Older { found, known: newest() }),
        std::cmp::Ordering::Greater => Err(FileError::Newer { found, known: newest() }),
        std::cmp::Ordering::Equal => Ok(connection),
    }
}

/// Copies it in one transaction that reads: it ends however much is written meanwhile, and waits for nobody.
pub(super) async fn copy(path: &Path, into: &Path) -> Result<(), FileError> {
    let mut connection = to_read(path)?.connect().await?;
    let into = into.to_string_lossy().into_owned();
    sqlx::query(COPY).bind(into).execute(&mut connection).await?;
    sqlx::Connection::close(connection).await?;
    Ok(())
}

pub(super) async fn check(readers: &SqlitePool) -> Result<Vec<String>, Error> {
    let said: Vec<String> = sqlx::query_scalar(CHECK).fetch_all(readers).await?;
    Ok(said.into_iter().filter(|line| line != "ok").collect())
}

/// Refuses a link in the place of the file or of those SQLite keeps beside it: what it leads to is somebody's, and
/// would be written over.
fn unlinked(path: &Path) -> Result<(), Error> {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(beside);
        let found = std::fs::symlink_metadata(&name);
        if found.is_ok_and(|found| !found.is_file()) {
            let message =
                format!("{} is a link or no file at all: remove it, or name another", name.display());
            return Err(Error::Unavailable(message.into()));
        }
    }
    Ok(())
}
