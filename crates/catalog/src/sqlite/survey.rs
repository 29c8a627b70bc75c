//! What is asked over all runs of a project.

use super::{SqliteCatalog, lists, runs::Row};
use crate::{
    AskedPlace, AskedRow, Error, RunRow, Search, Survey,
    sql::{LIMIT, known_run},
};
use async_trait::async_trait;
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId},
};
use sqlx::QueryBuilder;

const COUNT_ASKED: &str = "select count(*) from approvals where project = $1";

#[async_trait]
impl Survey for SqliteCatalog {
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
        let Some(matches) = search.words.fts5(project, search.workflow_id.as_ref()) else {
            return Ok(Vec::new());
        };
        let limit = limit.min(LIMIT);
        // Words that are in many runs are soon found in the newest; the index is for the others.
        let mut query = QueryBuilder::default();
        lists::newest_with(&mut query, project, &search, after, limit);
        let mut rows: Vec<Row> = query.build_query_as().fetch_all(&self.readers).await?;
        if rows.len() < limit as usize {
            let mut query = QueryBuilder::default();
            lists::with_words(&mut query, project, &matches, &search, after, limit);
            rows = query.build_query_as().fetch_all(&self.readers).await?;
        }
        Ok(rows.into_iter().map(RunRow::try_from).collect::<Result<_, _>>()?)
    }

    async fn asked(
        &self,
        project: &ProjectId,
        after: Option<&AskedPlace>,
        limit: u32,
    ) -> Result<Vec<AskedRow>, Error> {
        let mut query = QueryBuilder::default();
        lists::asked(&mut query, project, after, limit.min(LIMIT));
        let rows: Vec<(String, String, i64, String)> =
            query.build_query_as().fetch_all(&self.readers).await?;
        let row = |(run, step, since, asked): (String, String, i64, String)| {
            let run = known_run(project.as_str(), &run)?;
            Some(AskedRow { place: AskedPlace { since: Timestamp(since), run, step }, asked })
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }

    async fn count_asked(&self, project: &ProjectId) -> Result<u64, Error> {
        Ok(sqlx::query_scalar(COUNT_ASKED).bind(project.as_str()).fetch_one(&self.readers).await?)
    }
}
