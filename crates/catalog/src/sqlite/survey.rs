//! What is asked over all runs of a project.

use super::{SqliteCatalog, index, lists, runs::Row};
use crate::{
    AskedPlace, AskedRow, Error, RunRow, Search, Survey,
    sql::{
        LIMIT,
        survey::{Asked, COUNT_ASKED, asked_row},
    },
};
use async_trait::async_trait;
use callboard_core::id::{ProjectId, RunId};
use sqlx::QueryBuilder;
use std::collections::HashSet;

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
        let mut found = runs(query.build_query_as().fetch_all(&self.readers).await?)?;
        if found.len() < limit as usize {
            let whole = self.index().await;
            let mut query = QueryBuilder::default();
            lists::with_words(&mut query, project, &matches, &search, after, limit);
            let indexed = runs(query.build_query_as().fetch_all(&self.readers).await?)?;
            let Err(error) = whole else { return Ok(indexed) };
            // Those that wait for the index are among the newest, which were looked through.
            tracing::warn!(%error, "the index of words is not written");
            let known: HashSet<RunId> = found.iter().map(|row| row.id.clone()).collect();
            found.extend(indexed.into_iter().filter(|row| !known.contains(&row.id)));
            found.truncate(limit as usize);
        }
        Ok(found)
    }

    async fn asked(
        &self,
        project: &ProjectId,
        after: Option<&AskedPlace>,
        limit: u32,
    ) -> Result<Vec<AskedRow>, Error> {
        let mut query = QueryBuilder::default();
        lists::asked(&mut query, project, after, limit.min(LIMIT));
        let rows: Vec<Asked> = query.build_query_as().fetch_all(&self.readers).await?;
        Ok(rows.into_iter().filter_map(|row| asked_row(project, row)).collect())
    }

    async fn count_asked(&self, project: &ProjectId) -> Result<u64, Error> {
        Ok(sqlx::query_scalar(COUNT_ASKED).bind(project.as_str()).fetch_one(&self.readers).await?)
    }
}

impl SqliteCatalog {
    /// Writes the index of words for all that wait.
    async fn index(&self) -> Result<(), Error> {
        while index::is_behind(&self.readers).await? && self.writer.job(|c| Box::pin(index::next(c))).await? {
        }
        Ok(())
    }
}

fn runs(rows: Vec<Row>) -> Result<Vec<RunRow>, Error> {
    Ok(rows.into_iter().map(RunRow::try_from).collect::<Result<_, _>>()?)
}
