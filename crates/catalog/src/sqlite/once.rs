//! Changes under a key, each with its answer in one transaction. There is one writer, so whoever asks for the same meanwhile
//! finds the answer; of two processes the second waits where its transaction begins.

use super::{BEGIN, definitions, drafts};
use crate::{Answer, Answering, Change, Error, Once, Request, once::REMEMBERED};
use callboard_core::Timestamp;
use sqlx::{Connection, SqliteConnection, SqliteExecutor, SqlitePool};

const READ: &str = "
    select body, status, headers, answer from answers where project = $1 and route = $2 and key = $3 and at > $4";

const KEEP: &str = "
    insert or replace into answers (project, route, key, body, status, headers, answer, at)
    values ($1, $2, $3, $4, $5, $6, $7, $8)";

const FORGET: &str = "
    delete from answers where (project, route, key) in
        (select project, route, key from answers where at < $1 order by at limit $2)";

pub(super) async fn answered(readers: &SqlitePool, request: &Request) -> Result<Option<Once>, Error> {
    read(readers, request).await
}

async fn read(from: impl SqliteExecutor<'_>, request: &Request) -> Result<Option<Once>, Error> {
    let query = sqlx::query_as(READ).bind(request.project.as_str()).bind(request.route).bind(&request.key);
    // A row that is too old counts for nothing, whether it was forgotten or not.
    let since = request.at.0.saturating_sub(i64::try_from(REMEMBERED.0).unwrap_or(i64::MAX));
    let row: Option<(Vec<u8>, u16, String, Vec<u8>)> = query.bind(since).fetch_optional(from).await?;
    let Some((body, status, headers, answer)) = row else { return Ok(None) };
    if body != request.body.0 {
        return Ok(Some(Once::Reused));
    }
    let headers = serde_json::from_str(&headers)
        .map_err(|e| Error::Corrupt { what: "answer", message: e.to_string() })?;
    Ok(Some(Once::Known(Answer { status, headers, body: answer.into() })))
}

pub(super) async fn once(
    connection: &mut SqliteConnection,
    request: Request,
    change: Change,
    answer: Answering,
) -> Result<Once, Error> {
    let mut tx = connection.begin_with(BEGIN).await?;
    if let Some(known) = read(&mut *tx, &request).await? {
        return Ok(known);
    }
    let changed = match change {
        Change::CreateWorkflow(new) => Some(definitions::create_within(&mut tx, new).await?),
        Change::CreateDraft(new) => Some(drafts::create_within(&mut tx, new).await?),
        Change::SaveDraft { project, id, change } => {
            Some(drafts::save_within(&mut tx, project, id, change).await?)
        }
        Change::UpdateWorkflow { project, id, change } => {
            Some(definitions::update_within(&mut tx, project, id, change).await?)
        }
        Change::HideWorkflow { project, id } => {
            if !definitions::hide(&mut tx, project, id.clone()).await? {
                return Err(Error::NotFound { what: "workflow", id: id.to_string() });
            }
            None
        }
    };
    let answer = answer(changed.as_ref());
    let headers = serde_json::to_string(&answer.headers)
        .map_err(|e| Error::Corrupt { what: "answer", message: e.to_string() })?;
    sqlx::query(KEEP)
        .bind(request.project.as_str())
        .bind(request.route)
        .bind(&request.key)
        .bind(&request.body.0[..])
        .bind(answer.status)
        .bind(headers)
        .bind(&answer.body[..])
        .bind(request.at.0)
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    Ok(Once::Made(answer))
}

pub(super) async fn forget(
    connection: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, Error> {
    Ok(sqlx::query(FORGET).bind(before.0).bind(limit).execute(connection).await?.rows_affected())
}
