//! What is asked over all runs of a project.

use super::{
    PostgresCatalog,
    append::unsigned,
    link::{Role, within},
    lists,
    moment::Moment,
    rows::{Row, columns},
};
use crate::{
    AskedPlace, AskedRow, Error, RunRow, Search, Survey,
    sql::{
        LIMIT,
        survey::{Asked, COUNT_ASKED, asked_row},
    },
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, RunId};

/// The owner's function finds them; the rows are read as the project's own.
const SEARCH: &str = concat!(
    "select ",
    columns!(),
    " from search_runs($2::tsquery, $3, $4, $5, $6, $7) f
    join runs r on r.run_created_at = f.month and r.project = $1 and r.run = f.name
    order by r.created_at desc, r.run desc"
);

const ASKED: &str = "
    select run, step, since, asked from approvals
    where project = $1 and ($2::bigint is null or (since, run, step) > ($2, $3, $4))
    order by since, run, step limit $5";

#[async_trait]
impl Survey for PostgresCatalog {
    async fn search_runs(
        &self,
        project: &ProjectId,
        search: Search,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<RunRow>, Error> {
        if after.is_some_and(|after| after.project() != project) {
            return Ok(Vec::new());
        }
        let Some(matches) = search.words.tsquery(project, search.workflow_id.as_ref()) else {
            return Ok(Vec::new());
        };
        within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let Some(place) = lists::place(&mut tx, after).await? else {
                tx.commit().await?;
                return Ok(Vec::new());
            };
            let query = sqlx::query_as(SEARCH)
                .bind(project.as_str())
                .bind(matches)
                .bind(Moment::of(search.from))
                .bind(Moment::of(search.to))
                .bind(place.as_ref().map(lists::Place::created_at))
                .bind(after.map(RunId::name))
                .bind(i32::try_from(limit.min(LIMIT)).unwrap_or(i32::MAX));
            let rows: Vec<Row> = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows.into_iter().map(|row| row.0).collect())
        })
        .await
    }

    async fn asked(
        &self,
        project: &ProjectId,
        after: Option<&AskedPlace>,
        limit: u32,
    ) -> Result<Vec<AskedRow>, Error> {
        let query = sqlx::query_as(ASKED)
            .bind(project.as_str())
            .bind(after.map(|place| place.since.0))
            .bind(after.map(|place| place.run.name()))
            .bind(after.map(|place| place.step.as_str()))
            .bind(i64::from(limit.min(LIMIT)));
        let rows: Vec<Asked> = within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let rows = tx.all(query).await?;
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        Ok(rows.into_iter().filter_map(|row| asked_row(project, row)).collect())
    }

    async fn count_asked(&self, project: &ProjectId) -> Result<u64, Error> {
        let query = sqlx::query_scalar(COUNT_ASKED).bind(project.as_str());
        let count: i64 = within(async {
            let mut tx = self.connections.begin(Role::Api(project)).await?;
            let count = tx.scalar(query).await?;
            tx.commit().await?;
            Ok(count)
        })
        .await?;
        Ok(unsigned(count)?)
    }
}
