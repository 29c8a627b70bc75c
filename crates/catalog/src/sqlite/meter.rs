//! What was used, by day.

use super::SqliteCatalog;
use crate::{
    Error, Meter, Quotas, Standing, UsageSpan, Used,
    meter::{Row, summed},
    quota::{self, STANDING, stood},
    sql::LIMIT,
    writer::Count,
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, RunId};
use sqlx::AssertSqlSafe;

const COUNTED: &str = "select counted_seq from runs where project = $1 and id = $2";

#[async_trait]
impl Meter for SqliteCatalog {
    async fn counted(&self, run: &RunId) -> Result<Option<u64>, Error> {
        let query = sqlx::query_scalar(COUNTED).bind(run.project().as_str()).bind(run.name());
        Ok(query.fetch_optional(&self.readers).await?)
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
        let rows: Vec<Row> = sqlx::query_as(AssertSqlSafe(asked.statement()))
            .bind(project.as_str())
            .bind(&asked.from)
            .bind(&asked.to)
            .bind(skip)
            .bind(limit.min(LIMIT))
            .fetch_all(&self.readers)
            .await?;
        Ok(rows.into_iter().map(summed).collect())
    }
}

#[async_trait]
impl Quotas for SqliteCatalog {
    async fn standing(&self, project: &ProjectId, day: &str, month: &str) -> Result<Option<Standing>, Error> {
        let query = sqlx::query_as(STANDING).bind(project.as_str()).bind(day).bind(month);
        let row: Option<quota::Row> = query.fetch_optional(&self.readers).await?;
        row.map(stood).transpose()
    }
}
