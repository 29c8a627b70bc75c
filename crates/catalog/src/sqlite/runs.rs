//! Reading histories, values and projections; the sweeper's statements.

use super::{journal::hash, signed};
use crate::{Entry, Error, NO_HASH, OpenRun, RunFilter, RunRow, Tip};
use bytes::Bytes;
use callboard_core::Timestamp;
use sqlx::{FromRow, SqliteConnection, SqlitePool};
use std::collections::BTreeMap;

const TIP: &str = "
    select r.seq, h.hash, a.hash, r.purged, r.purging, r.cleaned_seq
    from runs r
    join history h on h.run = r.id and h.seq = r.seq
    left join history a on a.run = r.id and a.seq = $2
    where r.id = $1";

const HISTORY: &str =
    "select seq, created_at, hash, event from history where run = $1 and seq > $2 order by seq limit $3";

const VALUES: &str =
    "select key, value from run_values where run = $1 and key in (select value from json_each($2))";

/// A statement for each filter, because `$1 is null or …` would not use an index.
macro_rules! select_runs {
    ($($clause:literal),*) => {
        concat!(
            "select id, workflow_id, version, status, summary, seq, created_at, ended_at, next_check_at, cleaned_seq, purged
             from runs where ", $($clause,)* " true"
        )
    };
}
macro_rules! list_runs {
    ($($clause:literal),*) => {
        concat!(
            select_runs!($($clause),*),
            " and ($3 is null or (created_at, id) < (select created_at, id from runs where id = $3))
             order by created_at desc, id desc limit $4"
        )
    };
}
const RUN: &str = select_runs!("id = $1 and");
const RUNS: &str = list_runs!();
const RUNS_OF_WORKFLOW: &str = list_runs!("workflow_id = $1 and");
const RUNS_BY_STATUS: &str = list_runs!("status = $2 and");
const RUNS_OF_WORKFLOW_BY_STATUS: &str = list_runs!("workflow_id = $1 and status = $2 and");

const OPEN: &str = "
    select r.id, r.next_check_at, h.created_at
    from runs r
    join history h on h.run = r.id and h.seq = r.seq
    where r.status = $1 and ($2 is null or (r.created_at, r.id) > (select created_at, id from runs where id = $2))
    order by r.created_at, r.id limit $3";

const DUE: &str = "
    update runs set next_check_at = $2
    where id in (select id from runs where next_check_at <= $1 order by next_check_at limit $3)
    returning id";

const PURGED: &str = "update runs set purged = 1, next_check_at = $2 where id = $1";

const PING: &str = "select count(*) from (select 1 from runs limit 1)";

/// Seq, its hash, the hash asked for, purged, purging, cleaned_seq.
type TipRow = (u64, Vec<u8>, Option<Vec<u8>>, bool, bool, u64);

/// A row of `runs`.
#[derive(FromRow)]
struct Row {
    id: String,
    workflow_id: Option<String>,
    version: Option<u32>,
    status: String,
    summary: String,
    seq: u64,
    created_at: i64,
    ended_at: Option<i64>,
    next_check_at: Option<i64>,
    cleaned_seq: u64,
    purged: bool,
}

pub(super) async fn tip(readers: &SqlitePool, run: &str, at: Option<u64>) -> Result<Option<Tip>, Error> {
    let row: Option<TipRow> =
        sqlx::query_as(TIP).bind(run).bind(at.map(signed)).fetch_optional(readers).await?;
    let Some((seq, last, recorded_at, purged, purging, cleaned_seq)) = row else { return Ok(None) };
    let hash_at = match at {
        Some(0) => Some(NO_HASH),
        _ => recorded_at.map(hash).transpose()?,
    };
    Ok(Some(Tip { seq, hash: hash(last)?, hash_at, purged, purging, cleaned_seq }))
}

pub(super) async fn history(
    readers: &SqlitePool,
    run: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<Entry>, Error> {
    let rows: Vec<(u64, i64, Vec<u8>, String)> =
        sqlx::query_as(HISTORY).bind(run).bind(signed(after)).bind(limit).fetch_all(readers).await?;
    let entry = |(seq, at, bytes, event)| Ok(Entry { seq, at: Timestamp(at), hash: hash(bytes)?, event });
    rows.into_iter().map(entry).collect()
}

pub(super) async fn values(
    readers: &SqlitePool,
    run: &str,
    keys: &[String],
) -> Result<BTreeMap<String, Bytes>, Error> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = serde_json::Value::from(keys).to_string();
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(VALUES).bind(run).bind(keys).fetch_all(readers).await?;
    Ok(rows.into_iter().map(|(key, value)| (key, Bytes::from(value))).collect())
}

pub(super) async fn read(readers: &SqlitePool, id: &str) -> Result<Option<RunRow>, Error> {
    let row: Option<Row> = sqlx::query_as(RUN).bind(id).fetch_optional(readers).await?;
    Ok(row.map(RunRow::from))
}

pub(super) async fn list(
    readers: &SqlitePool,
    filter: RunFilter,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<RunRow>, Error> {
    let statement = match (&filter.workflow_id, &filter.status) {
        (None, None) => RUNS,
        (Some(_), None) => RUNS_OF_WORKFLOW,
        (None, Some(_)) => RUNS_BY_STATUS,
        (Some(_), Some(_)) => RUNS_OF_WORKFLOW_BY_STATUS,
    };
    let rows: Vec<Row> = sqlx::query_as(statement)
        .bind(filter.workflow_id)
        .bind(filter.status)
        .bind(after)
        .bind(limit)
        .fetch_all(readers)
        .await?;
    Ok(rows.into_iter().map(RunRow::from).collect())
}

pub(super) async fn open(
    readers: &SqlitePool,
    status: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<OpenRun>, Error> {
    let rows: Vec<(String, Option<i64>, i64)> =
        sqlx::query_as(OPEN).bind(status).bind(after).bind(limit).fetch_all(readers).await?;
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
    let rows: Vec<(String,)> =
        sqlx::query_as(DUE).bind(now.0).bind(then.0).bind(limit).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

pub(super) async fn mark_purged(
    connection: &mut SqliteConnection,
    run: String,
    next_check_at: Option<Timestamp>,
) -> Result<(), Error> {
    sqlx::query(PURGED).bind(run).bind(next_check_at.map(|t| t.0)).execute(connection).await?;
    Ok(())
}

pub(super) async fn ping(connection: &mut SqliteConnection) -> Result<(), Error> {
    let _: (i64,) = sqlx::query_as(PING).fetch_one(connection).await?;
    Ok(())
}

impl From<Row> for RunRow {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            workflow_id: row.workflow_id,
            version: row.version,
            summary: row.summary,
            status: row.status,
            seq: row.seq,
            created_at: Timestamp(row.created_at),
            ended_at: row.ended_at.map(Timestamp),
            next_check_at: row.next_check_at.map(Timestamp),
            purged: row.purged,
            cleaned_seq: row.cleaned_seq,
        }
    }
}
