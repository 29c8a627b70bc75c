//! Messages that came before their run.

use super::{
    PostgresCatalog,
    link::{Role, within},
    moment::Moment,
};
use crate::{
    Early, EarlyMessage, Error,
    sql::{LIMIT, known_run},
};
use async_trait::async_trait;
use callboard_core::Timestamp;
use sqlx::{FromRow, Row as _, postgres::PgRow};

/// Of several at once each may be the last that has room: so many more than the bound are kept.
const KEEP: &str = "
    insert into early_messages (id, project, run, method, message, event, came_at, due_at)
    select $1, $2, $3, $4, $5, $6, $7, $8
    where (select count(*) from (select from early_messages limit $9) as kept) < $9
    on conflict (id) do nothing";

const KEPT: &str = "select exists (select from early_messages where id = $1)";

/// What another process takes at this moment is left to it.
const DUE: &str = "
    with due as materialized (
        select id from early_messages where due_at <= $1 order by place limit $3 for update skip locked
    )
    update early_messages m set due_at = $2 from due where m.id = due.id
    returning m.id, m.project, m.run, m.method, m.message, m.event, m.came_at, m.place";

const AGAIN: &str = "update early_messages set due_at = $2 where id = $1";

const FORGET: &str = "delete from early_messages where id = $1";

/// A message, unless its run has no id that we know, and its place.
struct Row {
    message: Option<EarlyMessage>,
    place: i64,
}

#[async_trait]
impl Early for PostgresCatalog {
    async fn keep_early(&self, message: EarlyMessage, due: Timestamp, most: u32) -> Result<bool, Error> {
        let keep = sqlx::query(KEEP)
            .bind(message.id.as_bytes())
            .bind(message.run.project().as_str())
            .bind(message.run.name())
            .bind(&message.method)
            .bind(&message.message[..])
            .bind(&message.event[..])
            .bind(Moment(message.came_at))
            .bind(Moment(due))
            .bind(i64::from(most));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let mut kept = tx.execute(keep).await?.rows_affected() > 0;
            if !kept {
                kept = tx.scalar(sqlx::query_scalar(KEPT).bind(message.id.as_bytes())).await?;
            }
            tx.commit().await?;
            Ok(kept)
        })
        .await
    }

    async fn early(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<EarlyMessage>, Error> {
        let due = sqlx::query_as(DUE).bind(Moment(now)).bind(Moment(then)).bind(i64::from(limit.min(LIMIT)));
        let mut rows: Vec<Row> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let rows = tx.all(due).await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        rows.sort_by_key(|row| row.place);
        Ok(rows.into_iter().filter_map(|row| row.message).collect())
    }

    async fn early_again(&self, id: &str, due: Timestamp) -> Result<(), Error> {
        let again = sqlx::query(AGAIN).bind(id.as_bytes()).bind(Moment(due));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            tx.execute(again).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }

    async fn forget_early(&self, id: &str) -> Result<bool, Error> {
        let forget = sqlx::query(FORGET).bind(id.as_bytes());
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let forgotten = tx.execute(forget).await?.rows_affected() > 0;
            tx.commit().await?;
            Ok(forgotten)
        })
        .await
    }
}

impl FromRow<'_, PgRow> for Row {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let id = String::from_utf8(row.try_get("id")?).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let came_at: Moment = row.try_get("came_at")?;
        let (method, place) = (row.try_get("method")?, row.try_get("place")?);
        let (message, event): (Vec<u8>, Vec<u8>) = (row.try_get("message")?, row.try_get("event")?);
        let message = known_run(row.try_get("project")?, row.try_get("run")?).map(|run| EarlyMessage {
            id,
            run,
            method,
            message: message.into(),
            event: event.into(),
            came_at: came_at.0,
        });
        Ok(Self { message, place })
    }
}
