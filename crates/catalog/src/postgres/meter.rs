//! What was used, by day.

use super::{
    PostgresCatalog,
    append::unsigned,
    link::{AsConnection, Role, Tx, within},
};
use crate::{
    Error, Meter, Quotas, Standing, UsageSpan, Used,
    meter::{Row, summed},
    quota::{self, STANDING, stood},
    sql::{LIMIT, run_id, signed},
    writer::Count,
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, RunId};
use sqlx::AssertSqlSafe;
use std::collections::HashSet;

const COUNTED: &str = "
    select r.counted_seq from run_ids i
    join runs r on r.run_created_at = i.created_at and r.project = i.project and r.run = i.run
    where i.project = $1 and i.run = $2";

const MOVE: &str = "
    update runs r set counted_seq = p.up_to
    from unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) as p (project, run, came, up_to)
    join run_ids i on i.project = p.project and i.run = p.run
    where r.run_created_at = i.created_at and r.project = i.project and r.run = i.run and r.counted_seq = p.came
    returning r.project, r.run";

/// In one order, so that two who add to the same sums do not wait for each other.
const ADD: &str = "
    insert into usage_by_day as u (
        project, day, workflow_id, agent, model, calls, prompt_tokens, completion_tokens, priced_calls, cost
    )
    select p.project, p.day, p.workflow_id, p.agent, p.model, sum(p.calls)::bigint, sum(p.prompt_tokens)::bigint,
        sum(p.completion_tokens)::bigint, sum(p.priced_calls)::bigint, sum(p.cost)::bigint
    from unnest(
        $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
        $10::bigint[]
    ) as p (project, day, workflow_id, agent, model, calls, prompt_tokens, completion_tokens, priced_calls, cost)
    group by p.project, p.day, p.workflow_id, p.agent, p.model
    order by p.project, p.day, p.workflow_id, p.agent, p.model
    on conflict (project, day, workflow_id, agent, model) do update set calls = u.calls + excluded.calls,
        prompt_tokens = u.prompt_tokens + excluded.prompt_tokens,
        completion_tokens = u.completion_tokens + excluded.completion_tokens,
        priced_calls = u.priced_calls + excluded.priced_calls, cost = u.cost + excluded.cost";

/// Adds what runs used, each of them once in `counts`. Returns those that were counted up to where theirs begins.
pub(super) async fn count<C: AsConnection>(
    tx: &mut Tx<C>,
    counts: &[&Count],
) -> Result<HashSet<RunId>, sqlx::Error> {
    if counts.is_empty() {
        return Ok(HashSet::new());
    }
    let projects: Vec<&str> = counts.iter().map(|count| count.run.project().as_str()).collect();
    let names: Vec<&str> = counts.iter().map(|count| count.run.name()).collect();
    let numbers = |of: fn(&Count) -> u64| counts.iter().map(|count| signed(of(count))).collect::<Vec<_>>();
    let query = sqlx::query_as(MOVE).bind(projects).bind(names);
    let query = query.bind(numbers(|count| count.from)).bind(numbers(|count| count.to));
    let moved: Vec<(String, String)> = tx.all(query).await?;
    let moved: HashSet<RunId> =
        moved.iter().map(|(project, name)| run_id(project, name)).collect::<Result<_, _>>()?;
    let parts: Vec<(&ProjectId, &Used)> = counts
        .iter()
        .filter(|count| moved.contains(&count.run))
        .flat_map(|count| count.used.iter().map(|part| (count.run.project(), part)))
        .collect();
    if parts.is_empty() {
        return Ok(moved);
    }
    let projects: Vec<&str> = parts.iter().map(|(project, _)| project.as_str()).collect();
    let texts = |of: fn(&Used) -> &str| parts.iter().map(|(_, part)| of(part).to_owned()).collect::<Vec<_>>();
    let numbers = |of: fn(&Used) -> u64| parts.iter().map(|(_, part)| signed(of(part))).collect::<Vec<_>>();
    let add = sqlx::query(ADD)
        .bind(projects)
        .bind(texts(|part| &part.day))
        .bind(texts(Used::workflow))
        .bind(texts(|part| &part.agent))
        .bind(texts(|part| &part.model))
        .bind(numbers(|part| part.usage.calls))
        .bind(numbers(|part| part.usage.prompt_tokens))
        .bind(numbers(|part| part.usage.completion_tokens))
        .bind(numbers(|part| part.usage.priced))
        .bind(numbers(|part| part.usage.cost));
    tx.execute(add).await?;
    Ok(moved)
}

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

    async fn count(&self, run: &RunId, from: u64, to: u64, used: Vec<Used>) -> Result<bool, Error> {
        self.writer.count(Count { run: run.clone(), from, to, used }).await
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
        Ok(rows.into_iter().map(summed).collect())
    }
}

#[async_trait]
impl Quotas for PostgresCatalog {
    async fn standing(&self, project: &ProjectId, day: &str, month: &str) -> Result<Option<Standing>, Error> {
        let query = sqlx::query_as(STANDING).bind(project.as_str()).bind(day).bind(month);
        let row: Option<quota::Row> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let row = tx.first(query).await?;
            tx.commit().await?;
            Ok(row)
        })
        .await?;
        row.map(stood).transpose()
    }
}
