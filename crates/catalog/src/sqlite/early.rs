//! Messages that came before their run.

use crate::{EarlyMessage, Error};
use callboard_core::{Timestamp, id::RunId};
use sqlx::{FromRow, Row as _, SqliteConnection, SqlitePool, sqlite::SqliteRow};

const KEEP: &str = "
    insert into early_messages (id, place, run, method, message, event, came_at, due_at)
    select $1, (select coalesce(max(place), 0) + 1 from early_messages), $2, $3, $4, $5, $6, $7
    where (select count(*) from early_messages) < $8
    on conflict (id) do nothing";

const KEPT: &str = "select count(*) from early_messages where id = $1";

const ANY: &str = "select count(*) from (select 1 from early_messages where due_at <= $1 limit 1)";

const DUE: &str = "
    update early_messages set due_at = $2
    where id in (select id from early_messages where due_at <= $1 order by place limit $3)
    returning id, run, method, message, event, came_at, place";

const AGAIN: &str = "update early_messages set due_at = $2 where id = $1";

const FORGET: &str = "delete from early_messages where id = $1";

struct Row {
    message: EarlyMessage,
    place: i64,
}

impl FromRow<'_, SqliteRow> for Row {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let text: String = row.try_get("run")?;
        let run = text.parse::<RunId>().map_err(|error| sqlx::Error::Decode(error.into()))?;
        let message = EarlyMessage {
            id: row.try_get("id")?,
            run,
            method: row.try_get("method")?,
            message: row.try_get::<Vec<u8>, _>("message")?.into(),
            event: row.try_get::<Vec<u8>, _>("event")?.into(),
            came_at: Timestamp(row.try_get("came_at")?),
        };
        Ok(Self { message, place: row.try_get("place")? })
    }
}

pub(super) async fn keep(
    connection: &mut SqliteConnection,
    message: EarlyMessage,
    due: Timestamp,
    most: u32,
) -> Result<bool, Error> {
    let kept = sqlx::query(KEEP)
        .bind(&message.id)
        .bind(message.run.as_str())
        .bind(&message.method)
        .bind(&message.message[..])
        .bind(&message.event[..])
        .bind(message.came_at.0)
        .bind(due.0)
        .bind(most)
        .execute(&mut *connection)
        .await?;
    if kept.rows_affected() > 0 {
        return Ok(true);
    }
    let known: u32 = sqlx::query_scalar(KEPT).bind(&message.id).fetch_one(connection).await?;
    Ok(known > 0)
}

pub(super) async fn any(readers: &SqlitePool, now: Timestamp) -> Result<bool, Error> {
    let found: u32 = sqlx::query_scalar(ANY).bind(now.0).fetch_one(readers).await?;
    Ok(found > 0)
}

pub(super) async fn due(
    connection: &mut SqliteConnection,
    now: Timestamp,
    then: Timestamp,
    limit: u32,
) -> Result<Vec<EarlyMessage>, Error> {
    let query = sqlx::query_as(DUE).bind(now.0).bind(then.0).bind(limit);
    let mut rows: Vec<Row> = query.fetch_all(connection).await?;
    rows.sort_by_key(|row| row.place);
    Ok(rows.into_iter().map(|row| row.message).collect())
}

pub(super) async fn again(
    connection: &mut SqliteConnection,
    id: String,
    due: Timestamp,
) -> Result<(), Error> {
    sqlx::query(AGAIN).bind(id).bind(due.0).execute(connection).await?;
    Ok(())
}

pub(super) async fn forget(connection: &mut SqliteConnection, id: String) -> Result<bool, Error> {
    Ok(sqlx::query(FORGET).bind(id).execute(connection).await?.rows_affected() > 0)
}
