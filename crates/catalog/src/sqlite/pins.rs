//! Documents that many runs share, by their hash, and when they go.

use crate::{Error, PIN_LEAD};
use bytes::Bytes;
use callboard_core::{Hash, Timestamp, id::ProjectId};
use sqlx::{SqliteConnection, SqlitePool};

const KEEP: &str = "
    insert into pins (project, hash, document, used_at) values ($1, $2, $3, $4)
    on conflict (hash, project) do update set used_at = max(used_at, excluded.used_at)";

const READ: &str = "select document from pins where project = $1 and hash = $2";

const UNUSED: &str = "select exists (select 1 from pins where project = $1 and used_at < $2)";

/// In the order of the index, so that it ends at the first.
const OLDEST: &str =
    "select created_at from runs where project = $1 and purged = 0 order by created_at limit 1";

const FORGET: &str = "delete from pins where project = $1 and used_at < $2";

pub(super) async fn keep(
    connection: &mut SqliteConnection,
    project: &ProjectId,
    hash: Hash,
    document: Bytes,
    at: Timestamp,
) -> Result<(), Error> {
    let keep = sqlx::query(KEEP).bind(project.as_str()).bind(&hash.0[..]).bind(&document[..]).bind(at.0);
    keep.execute(connection).await?;
    Ok(())
}

pub(super) async fn read(
    readers: &SqlitePool,
    project: &ProjectId,
    hash: Hash,
) -> Result<Option<Bytes>, Error> {
    let read = sqlx::query_scalar(READ).bind(project.as_str()).bind(&hash.0[..]);
    let document: Option<Vec<u8>> = read.fetch_optional(readers).await?;
    Ok(document.map(Bytes::from))
}

/// Returns the time before which no pin is needed; nothing where all are.
pub(super) async fn unneeded(
    readers: &SqlitePool,
    project: &ProjectId,
    now: Timestamp,
) -> Result<Option<Timestamp>, Error> {
    let lead = i64::try_from(PIN_LEAD.0).unwrap_or(i64::MAX);
    let before = now.0.saturating_sub(lead);
    let is_any: bool =
        sqlx::query_scalar(UNUSED).bind(project.as_str()).bind(before).fetch_one(readers).await?;
    if !is_any {
        return Ok(None);
    }
    let oldest: Option<i64> =
        sqlx::query_scalar(OLDEST).bind(project.as_str()).fetch_optional(readers).await?;
    Ok(Some(Timestamp(oldest.map_or(before, |oldest| before.min(oldest.saturating_sub(lead))))))
}

pub(super) async fn forget(
    connection: &mut SqliteConnection,
    project: &ProjectId,
    before: Timestamp,
) -> Result<u64, Error> {
    let gone = sqlx::query(FORGET).bind(project.as_str()).bind(before.0).execute(connection).await?;
    Ok(gone.rows_affected())
}
