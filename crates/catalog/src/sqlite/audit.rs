//! The audit: only added to, and forgotten when it is old enough. Triggers hold both.

use super::BEGIN;
use crate::{
    Error,
    access::{AUDIT_KEPT, AuditEntry, AuditRow, Refused},
    sql::{project_id, signed},
};
use callboard_core::{Hash, Timestamp, id::ProjectId};
use sqlx::{Connection, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

/// Rows forgotten at once: a write holds up all others.
const FORGOTTEN: u32 = 5000;

const RECORD: &str = "
    insert into audit (at, project, subject, via, route, object, before, after, code, source)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    on conflict (source, code, at) where code is not null do nothing";

const LIST: &str = "
    select seq, at, project, subject, via, route, object, before, after, code, source from audit
    where project = $1 and ($2 is null or seq < $2) order by seq desc limit $3";

const FORGET: &str =
    "delete from audit where seq in (select seq from audit where at < $1 order by at limit $2)";

pub(super) async fn record(connection: &mut SqliteConnection, entries: Vec<AuditEntry>) -> Result<(), Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    for entry in entries {
        let at = entry.recorded_at();
        let (code, source) = entry.refused.map(|refused| (refused.code, refused.source)).unzip();
        let bytes = |hash: &Option<Hash>| hash.map(|hash| hash.0.to_vec());
        let record = sqlx::query(RECORD).bind(at.0).bind(entry.project.as_str()).bind(entry.subject);
        let record = record.bind(entry.via).bind(entry.route).bind(entry.object);
        let record = record.bind(bytes(&entry.before)).bind(bytes(&entry.after)).bind(code).bind(source);
        record.execute(&mut *tx).await?;
    }
    tx.commit().await?;
    Ok(())
}

pub(super) async fn list(
    readers: &SqlitePool,
    project: &ProjectId,
    before: Option<u64>,
    limit: u32,
) -> Result<Vec<AuditRow>, Error> {
    let list = sqlx::query(LIST).bind(project.as_str()).bind(before.map(signed)).bind(limit);
    Ok(list.fetch_all(readers).await?.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

pub(super) async fn forget(connection: &mut SqliteConnection, now: Timestamp) -> Result<u64, Error> {
    let before = now.0.saturating_sub(i64::try_from(AUDIT_KEPT.0).unwrap_or(i64::MAX));
    Ok(sqlx::query(FORGET).bind(before).bind(FORGOTTEN).execute(connection).await?.rows_affected())
}

fn read(row: &SqliteRow) -> Result<AuditRow, sqlx::Error> {
    let hash = |name: &str| {
        let bytes = row.try_get::<Option<Vec<u8>>, _>(name)?;
        Ok::<_, sqlx::Error>(bytes.and_then(|bytes| bytes.try_into().ok()).map(Hash))
    };
    let (code, source): (Option<String>, Option<String>) = (row.try_get("code")?, row.try_get("source")?);
    Ok(AuditRow {
        seq: row.try_get::<i64, _>("seq")?.unsigned_abs(),
        entry: AuditEntry {
            at: Timestamp(row.try_get("at")?),
            project: project_id(row.try_get("project")?)?,
            subject: row.try_get("subject")?,
            via: row.try_get("via")?,
            route: row.try_get("route")?,
            object: row.try_get("object")?,
            before: hash("before")?,
            after: hash("after")?,
            refused: code.zip(source).map(|(code, source)| Refused { code, source }),
        },
    })
}
