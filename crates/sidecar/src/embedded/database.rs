//! A server's file without its server: read, copied, looked through. Nothing is written to it.
//!
//! Whoever has a second file of the same installation can give both a mark, and see later whether they are of one time.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::store::{LAYOUT, PATIENCE, sql};
use super::times;

/// Problems of the pages that are told.
const PROBLEMS: &str = "pragma integrity_check(20)";

/// Which installation a file is of, and how far that had come when it was last marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub installation: String,
    pub generation: u64,
}

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct DatabaseError {
    file: PathBuf,
    reason: String,
}

/// A key of a state store, in whichever of them it stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub store: String,
    /// As it is stored: with the prefix that its component gives it.
    pub name: String,
}

/// A file that is only read. Each answer is of the moment when it is asked.
pub struct Database {
    file: PathBuf,
    connection: Connection,
    /// Nothing was ever written to it.
    is_empty: bool,
}

// === impl Database ===

impl Database {
    /// Opens a file that is there and that this program can read. No link in its place is followed.
    pub fn open(file: &Path) -> Result<Self, DatabaseError> {
        let named = |reason: String| DatabaseError { file: file.to_owned(), reason };
        let found = std::fs::symlink_metadata(file).map_err(|error| named(error.to_string()))?;
        if !found.is_file() {
            return Err(named("it is a link or no file at all".to_owned()));
        }
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(file, flags)?;
            connection.busy_timeout(PATIENCE)?;
            let layout: i64 = connection.query_row("pragma user_version", (), |row| row.get(0))?;
            Ok::<_, rusqlite::Error>((connection, layout))
        };
        let (connection, layout) = open().map_err(|error| named(error.to_string()))?;
        if layout > LAYOUT {
            return Err(named(format!("its layout {layout} is newer than this program's {LAYOUT}")));
        }
        Ok(Self { file: file.to_owned(), connection, is_empty: layout == 0 })
    }

    /// Copies it as it is at this moment into an empty file, in one transaction that reads: the copy ends however much is
    /// written meanwhile.
    pub fn copy(&self, into: &Path) -> Result<(), DatabaseError> {
        let into = into.to_string_lossy();
        self.told(self.connection.execute("vacuum into ?1", params![into]).map(drop))
    }

    /// Says what is wrong with the file itself, page by page.
    pub fn check(&self) -> Result<Vec<String>, DatabaseError> {
        let check = || self.connection.prepare(PROBLEMS)?.query_map((), |row| row.get(0))?.collect();
        let said: Vec<String> = self.told(check())?;
        Ok(said.into_iter().filter(|line| line != "ok").collect())
    }

    /// Returns its mark; nothing where no server has set one.
    pub fn mark(&self) -> Result<Option<Mark>, DatabaseError> {
        let read = || {
            let is_there: bool = self.connection.query_row(sql::HAS_MARK, (), |row| row.get(0))?;
            if !is_there {
                return Ok(None);
            }
            let mark = |row: &rusqlite::Row<'_>| {
                Ok(Mark { installation: row.get(0)?, generation: row.get::<_, i64>(1)?.unsigned_abs() })
            };
            self.connection.query_row(sql::MARK, (), mark).optional()
        };
        self.told(read())
    }

    /// Returns keys with this end, so many at most.
    pub fn keys(&self, ending: &str, most: usize) -> Result<Vec<Key>, DatabaseError> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = || {
            let mut statement = self.connection.prepare(sql::KEYS)?;
            let key = |row: &rusqlite::Row<'_>| Ok(Key { store: row.get(0)?, name: row.get(1)? });
            statement.query_map(params![ending, most, times::steady()], key)?.collect()
        };
        if self.is_empty { Ok(Vec::new()) } else { self.told(read()) }
    }

    /// Returns what stands under a key, unless it has expired.
    pub fn get(&self, key: &Key) -> Result<Option<Bytes>, DatabaseError> {
        let read = || {
            let mut statement = self.connection.prepare_cached(sql::GET)?;
            let data = |row: &rusqlite::Row<'_>| row.get::<_, Vec<u8>>("data");
            statement.query_row(params![key.store, key.name, times::steady()], data).optional()
        };
        if self.is_empty { Ok(None) } else { self.told(read()).map(|data| data.map(Bytes::from)) }
    }

    fn told<T>(&self, done: Result<T, rusqlite::Error>) -> Result<T, DatabaseError> {
        done.map_err(|error| DatabaseError { file: self.file.clone(), reason: error.to_string() })
    }
}

impl DatabaseError {
    pub(super) fn of(reason: impl ToString) -> Self {
        Self { file: PathBuf::from("the sidecar's file"), reason: reason.to_string() }
    }
}
