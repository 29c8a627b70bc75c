//! What was used, by day.

use super::{
    PostgresCatalog,
    append::unsigned,
    link::{Role, within},
};
use crate::{
    Error, Meter, UsageSpan, Used,
    meter::{Row, used},
    sql::{LIMIT, signed},
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, RunId};
use sqlx::AssertSqlSafe;

const COUNTED: &str = "
    select r.counted_seq from run_ids i
    join runs r on r.run_created_at = i.created_at and r.project = i.project and r.run = i.run
    where i.project = $1 and i.run = $2";

const MOVE: &str = "
    update runs r set counted_seq = $4
    from run_ids i
    where i.project = $1 and i.run = $2 and r.run_created_at = i.created_at and r.project = i.project and r.run = i.run
        and r.counted_seq = $3";

/// In one order, so that two who add to the same sums do not wait for each other.
const ADD: &str = "
    insert into usage_by_day as u (project, day, workflow_id, agent, model, calls, prompt_tokens, completion_tokens)
    select $1, p.* from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[])
        as p (day, workflow_id, agent, model, calls, prompt_tokens, completion_tokens)
    order by p.day, p.workflow_id, p.agent, p.model
    on conflict (project, day, workflow_id, agent, model) do update set calls = u.calls + excluded.calls,
        prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = u.completion_tokens + excluded.completion_tokens";

#[async_trait]
impl Meter for PostgresCatalog {
    async fn counted(&self, run: &RunId) -> Result<Option<u64>, Error> {
        let query = sqlx::query_as(COUNTED).bind(run.project().as_str()).bind(run.name());
        let row: Option<(i64,)> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let row = tx.first(query).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await?;
        Ok(row.map(|(seq,)| unsigned(seq)).transpose()?)
    }

    async fn count(&self, run: &RunId, from: u64, to: u64, parts: Vec<Used>) -> Result<bool, Error> {
        let project = run.project().as_str();
        let moved = sqlx::query(MOVE).bind(project).bind(run.name()).bind(signed(from)).bind(signed(to));
        let texts = |of: fn(&Used) -> &str| parts.iter().map(|part| of(part).to_owned()).collect::<Vec<_>>();
        let numbers = |of: fn(&Used) -> u64| parts.iter().map(|part| signed(of(part))).collect::<Vec<_>>();
        let add = sqlx::query(ADD)
            .bind(project)
            .bind(texts(|part| &part.day))
            .bind(texts(Used::workflow))
            .bind(texts(|part| &part.agent))
            .bind(texts(|part| &part.model))
            .bind(numbers(|part| part.usage.calls))
            .bind(numbers(|part| part.usage.prompt_tokens))
            .bind(numbers(|part| part.usage.completion_tokens));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            if tx.execute(moved).await?.rows_affected() == 0 {
                tx.rollback().await?;
                return Ok(false);
            }
            tx.execute(add).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn usage(
        &self,
        project: &ProjectId,
        asked: UsageSpan,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<Used>, Error> {
        let query = sqlx::query_as(AssertSqlSafe(asked.statement()))
            .bind(project.as_str())
            .bind(&asked.from)
            .bind(&asked.to)
            .bind(i64::from(skip))
            .bind(i64::from(limit.min(LIMIT)));
        let rows: Vec<Row> = within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        Ok(rows.into_iter().map(used).collect())
    }
}
