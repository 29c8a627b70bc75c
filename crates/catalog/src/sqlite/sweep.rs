//! Which runs are looked at again, and when.

use super::lists;
use crate::{Error, OpenRun, PROJECT};
use callboard_core::Timestamp;
use sqlx::{QueryBuilder, SqliteConnection, SqlitePool};

/// The plus keeps SQLite from reading a whole project to sort it: due are few, and their index has them in order.
pub(super) const DUE: &str = "
    update runs set next_check_at = $3
    where rowid in (
        select rowid from runs where +project = $1 and next_check_at <= $2 order by next_check_at limit $4
    )
    returning id";

const PURGED: &str = "update runs set purged = 1, next_check_at = $3 where project = $1 and id = $2";

pub(super) async fn open(
    readers: &SqlitePool,
    status: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<OpenRun>, Error> {
    let mut query = QueryBuilder::default();
    lists::open_runs(&mut query, status, after, limit);
    let rows: Vec<(String, Option<i64>, i64)> = query.build_query_as().fetch_all(readers).await?;
    let open = |(id, next, last): (String, Option<i64>, i64)| OpenRun {
        id,
        next_check_at: next.map(Timestamp),
        last_at: Timestamp(last),
    };
    Ok(rows.into_iter().map(open).collect())
}

pub(super) async fn due(
    connection: &mut SqliteConnection,
    now: Timestamp,
    then: Timestamp,
    limit: u32,
) -> Result<Vec<String>, Error> {
    let due = sqlx::query_scalar(DUE).bind(PROJECT).bind(now.0).bind(then.0).bind(limit);
    Ok(due.fetch_all(connection).await?)
}

pub(super) async fn mark_purged(
    connection: &mut SqliteConnection,
    run: String,
    next_check_at: Option<Timestamp>,
) -> Result<(), Error> {
    sqlx::query(PURGED).bind(PROJECT).bind(run).bind(next_check_at.map(|t| t.0)).execute(connection).await?;
    Ok(())
}
