//! What was used, by day.

use super::{BEGIN, COMMIT, ROLLBACK, SqliteCatalog};
use crate::{
    Error, Meter, UsageSpan, Used,
    meter::{Row, used},
    sql::{LIMIT, signed},
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, RunId};
use sqlx::{AssertSqlSafe, SqliteConnection};

const COUNTED: &str = "select counted_seq from runs where project = $1 and id = $2";

const MOVE: &str = "update runs set counted_seq = $4 where project = $1 and id = $2 and counted_seq = $3";

const ADD: &str = "
    insert into usage_by_day (project, day, workflow_id, agent, model, calls, prompt_tokens, completion_tokens)
    values ($1, $2, $3, $4, $5, $6, $7, $8)
    on conflict do update set calls = calls + excluded.calls, prompt_tokens = prompt_tokens + excluded.prompt_tokens,
        completion_tokens = completion_tokens + excluded.completion_tokens";

#[async_trait]
impl Meter for SqliteCatalog {
    async fn counted(&self, run: &RunId) -> Result<Option<u64>, Error> {
        let query = sqlx::query_scalar(COUNTED).bind(run.project().as_str()).bind(run.name());
        Ok(query.fetch_optional(&self.readers).await?)
    }

    async fn count(&self, run: &RunId, from: u64, to: u64, parts: Vec<Used>) -> Result<bool, Error> {
        let run = run.clone();
        self.writer.job(move |c| Box::pin(count(c, run, from, to, parts))).await
    }

    async fn usage(
        &self,
        project: &ProjectId,
        asked: UsageSpan,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<Used>, Error> {
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(asked.statement()))
            .bind(project.as_str())
            .bind(&asked.from)
            .bind(&asked.to)
            .bind(skip)
            .bind(limit.min(LIMIT))
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.into_iter().map(used).collect())
    }
}

async fn count(
    connection: &mut SqliteConnection,
    run: RunId,
    from: u64,
    to: u64,
    parts: Vec<Used>,
) -> Result<bool, Error> {
    sqlx::query(BEGIN).execute(&mut *connection).await?;
    let done = add(connection, &run, from, to, &parts).await;
    let end = if matches!(done, Ok(true)) { COMMIT } else { ROLLBACK };
    sqlx::query(end).execute(connection).await?;
    done
}

async fn add(
    connection: &mut SqliteConnection,
    run: &RunId,
    from: u64,
    to: u64,
    parts: &[Used],
) -> Result<bool, Error> {
    let project = run.project().as_str();
    let query = sqlx::query(MOVE).bind(project).bind(run.name()).bind(signed(from)).bind(signed(to));
    if query.execute(&mut *connection).await?.rows_affected() == 0 {
        return Ok(false);
    }
    for part in parts {
        sqlx::query(ADD)
            .bind(project)
            .bind(&part.day)
            .bind(part.workflow())
            .bind(&part.agent)
            .bind(&part.model)
            .bind(signed(part.usage.calls))
            .bind(signed(part.usage.prompt_tokens))
            .bind(signed(part.usage.completion_tokens))
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}
