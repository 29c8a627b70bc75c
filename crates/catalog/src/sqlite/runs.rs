//! Reading histories, values and rows of runs.

use super::{journal::hash, lists, run_id, signed};
use crate::{Entry, Error, NO_HASH, RunFilter, RunRow, Tip};
use bytes::Bytes;
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use sqlx::{FromRow, QueryBuilder, Row as _, SqlitePool, sqlite::SqliteRow};
use std::collections::BTreeMap;

/// A run is found by project and name, its history by the text that is made of them.
const TIP: &str = "
    select r.seq, h.hash, a.hash, r.purged, r.purging, r.cleaned_seq
    from runs r
    join history h on h.run = $3 and h.seq = r.seq
    left join history a on a.run = $3 and a.seq = $4
    where r.project = $1 and r.id = $2";

const HISTORY: &str =
    "select seq, created_at, hash, event from history where run = $1 and seq > $2 order by seq limit $3";

const VALUES: &str =
    "select key, value from run_values where run = $1 and key in (select value from json_each($2))";

/// Seq, its hash, the hash asked for, purged, purging, cleaned_seq.
type TipRow = (u64, Vec<u8>, Option<Vec<u8>>, bool, bool, u64);

/// A row of `runs`.
pub(super) struct Row {
    project: String,
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

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            project: row.try_get("project")?,
            id: row.try_get("id")?,
            workflow_id: row.try_get("workflow_id")?,
            version: row.try_get("version")?,
            status: row.try_get("status")?,
            summary: row.try_get("summary")?,
            seq: row.try_get("seq")?,
            created_at: row.try_get("created_at")?,
            ended_at: row.try_get("ended_at")?,
            next_check_at: row.try_get("next_check_at")?,
            cleaned_seq: row.try_get("cleaned_seq")?,
            purged: row.try_get("purged")?,
        })
    }
}

pub(super) async fn tip(readers: &SqlitePool, run: &RunId, at: Option<u64>) -> Result<Option<Tip>, Error> {
    let row: Option<TipRow> = sqlx::query_as(TIP)
        .bind(run.project().as_str())
        .bind(run.name())
        .bind(run.as_str())
        .bind(at.map(signed))
        .fetch_optional(readers)
        .await?;
    let Some((seq, last, recorded_at, purged, purging, cleaned_seq)) = row else { return Ok(None) };
    let hash_at = match at {
        Some(0) => Some(NO_HASH),
        _ => recorded_at.map(hash).transpose()?,
    };
    Ok(Some(Tip { seq, hash: hash(last)?, hash_at, purged, purging, cleaned_seq }))
}

pub(super) async fn history(
    readers: &SqlitePool,
    run: &RunId,
    after: u64,
    limit: u32,
) -> Result<Vec<Entry>, Error> {
    let rows: Vec<(u64, i64, Vec<u8>, String)> =
        sqlx::query_as(HISTORY).bind(run.as_str()).bind(signed(after)).bind(limit).fetch_all(readers).await?;
    let entry = |(seq, at, bytes, event)| Ok(Entry { seq, at: Timestamp(at), hash: hash(bytes)?, event });
    rows.into_iter().map(entry).collect()
}

pub(super) async fn values(
    readers: &SqlitePool,
    run: &RunId,
    keys: &[String],
) -> Result<BTreeMap<String, Bytes>, Error> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = serde_json::Value::from(keys).to_string();
    let rows: Vec<(String, Vec<u8>)> =
        sqlx::query_as(VALUES).bind(run.as_str()).bind(keys).fetch_all(readers).await?;
    Ok(rows.into_iter().map(|(key, value)| (key, Bytes::from(value))).collect())
}

pub(super) async fn read(readers: &SqlitePool, id: &RunId) -> Result<Option<RunRow>, Error> {
    let mut query = QueryBuilder::default();
    lists::run(&mut query, id);
    let row: Option<Row> = query.build_query_as().fetch_optional(readers).await?;
    Ok(row.map(RunRow::try_from).transpose()?)
}

pub(super) async fn list(
    readers: &SqlitePool,
    project: &ProjectId,
    filter: &RunFilter,
    after: Option<&RunId>,
    limit: u32,
) -> Result<Vec<RunRow>, Error> {
    if after.is_some_and(|after| after.project() != project) {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::default();
    lists::runs(&mut query, project, filter, after, limit);
    let rows: Vec<Row> = query.build_query_as().fetch_all(readers).await?;
    Ok(rows.into_iter().map(RunRow::try_from).collect::<Result<_, _>>()?)
}

impl TryFrom<Row> for RunRow {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: run_id(&row.project, &row.id)?,
            workflow_id: row.workflow_id.map(WorkflowId::new),
            version: row.version,
            summary: row.summary,
            status: row.status,
            seq: row.seq,
            created_at: Timestamp(row.created_at),
            ended_at: row.ended_at.map(Timestamp),
            next_check_at: row.next_check_at.map(Timestamp),
            purged: row.purged,
            cleaned_seq: row.cleaned_seq,
        })
    }
}
