//! The index of words, which is written for many runs at once: when so many have begun, and before it is asked.

use super::BEGIN;
use crate::Error;
use sqlx::{Connection, SqliteConnection, SqlitePool};

/// Runs that are indexed at once: a write holds up all others.
pub(super) const AT_ONCE: usize = 1000;

const ANY: &str = "select exists (select 1 from words_to_index)";

macro_rules! next {
    ($columns:literal) => {
        concat!("(select ", $columns, " from words_to_index order by place limit $1)")
    };
}

/// What stood there before, where a run that ended has other words now.
const REMOVE: &str = concat!("delete from run_words where rowid in ", next!("place"));

const ADD: &str = concat!(
    "insert or ignore into run_words (rowid, words) select r.place, r.words from ",
    next!("place, project"),
    " as n cross join runs r on r.project = n.project and r.place = n.place"
);

const DONE: &str = concat!("delete from words_to_index where place in ", next!("place"));

/// Whether runs wait to be indexed.
pub(super) async fn is_behind(readers: &SqlitePool) -> Result<bool, Error> {
    Ok(sqlx::query_scalar(ANY).fetch_one(readers).await?)
}

/// Indexes the next runs; tells whether more may wait.
pub(super) async fn next(connection: &mut SqliteConnection) -> Result<bool, Error> {
    let at_once = i64::try_from(AT_ONCE).unwrap_or(i64::MAX);
    let mut tx = connection.begin_with(BEGIN).await?;
    sqlx::query(REMOVE).bind(at_once).execute(&mut *tx).await?;
    sqlx::query(ADD).bind(at_once).execute(&mut *tx).await?;
    let done = sqlx::query(DONE).bind(at_once).execute(&mut *tx).await?.rows_affected();
    tx.commit().await?;
    Ok(done >= AT_ONCE as u64)
}
