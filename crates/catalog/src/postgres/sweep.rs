//! Which runs are looked at again, and when.

use super::{
    PostgresCatalog,
    link::{Role, within},
    lists,
    moment::Moment,
};
use crate::{
    Error, OpenRun, Sweep,
    sql::{LIMIT, known_run},
};
use async_trait::async_trait;
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId},
};
use sqlx::QueryBuilder;

/// Runs that another process takes at this moment are left to it. A host whose clock is far ahead of the server's takes no more
/// than is due.
const DUE: &str = "
    with due as materialized (
        select run_created_at, project, run from runs
        where next_check_at <= least($1, now() + interval '1 hour')
        order by next_check_at limit $3
        for update skip locked
    )
    update runs r set next_check_at = $2
    from due
    where r.run_created_at = due.run_created_at and r.project = due.project and r.run = due.run
    returning r.project, r.run";

/// A search for each project, whatever the number of runs.
const PROJECTS: &str = "
    with recursive found (project) as (
        (select project from run_ids order by project limit 1)
        union all
        select (select i.project from run_ids i where i.project > found.project order by i.project limit 1) from found
        where found.project is not null
    )
    select project from found where project is not null";

const PURGED: &str = "
    update runs r set purged = true, next_check_at = $3
    from run_ids i
    where i.project = $1 and i.run = $2 and r.run_created_at = i.created_at and r.project = i.project and r.run = i.run";

#[async_trait]
impl Sweep for PostgresCatalog {
    async fn projects(&self) -> Result<Vec<ProjectId>, Error> {
        let found: Vec<String> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let found = tx.scalars(sqlx::query_scalar(PROJECTS)).await?;
            tx.commit().await?;
            Ok(found)
        })
        .await?;
        let project = |text: String| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)));
        Ok(found.into_iter().map(project).collect::<Result<_, _>>()?)
    }

    async fn open_runs(
        &self,
        project: &ProjectId,
        status: &str,
        after: Option<&RunId>,
        limit: u32,
    ) -> Result<Vec<OpenRun>, Error> {
        if after.is_some_and(|after| after.project() != project) {
            return Ok(Vec::new());
        }
        let rows: Vec<(String, Option<Moment>, Moment)> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let mut rows = Vec::new();
            if let Some(place) = lists::place(&mut tx, after).await? {
                let mut query = QueryBuilder::default();
                lists::open_runs(&mut query, project, status, place.as_ref(), limit.min(LIMIT));
                rows = tx.all(query.build_query_as()).await?;
            }
            tx.commit().await?;
            Ok(rows)
        })
        .await?;
        let open = |(name, next, last): (String, Option<Moment>, Moment)| {
            let id = known_run(project.as_str(), &name)?;
            Some(OpenRun { id, next_check_at: next.map(|next| next.0), last_at: last.0 })
        };
        Ok(rows.into_iter().filter_map(open).collect())
    }

    async fn due(&self, now: Timestamp, then: Timestamp, limit: u32) -> Result<Vec<RunId>, Error> {
        let query =
            sqlx::query_as(DUE).bind(Moment(now)).bind(Moment(then)).bind(i64::from(limit.min(LIMIT)));
        let due: Vec<(String, String)> = within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            let due = tx.all(query).await?;
            tx.commit().await?;
            Ok(due)
        })
        .await?;
        Ok(due.iter().filter_map(|(project, name)| known_run(project, name)).collect())
    }

    async fn mark_cleaned(&self, run: &RunId, seq: u64) -> Result<bool, Error> {
        self.writer.cleaned(run.clone(), seq).await
    }

    async fn mark_purged(&self, run: &RunId, next_check_at: Option<Timestamp>) -> Result<(), Error> {
        let query = sqlx::query(PURGED).bind(run.project().as_str()).bind(run.name());
        let query = query.bind(Moment::of(next_check_at));
        within(async {
            let mut tx = self.connections.begin(Role::Engine).await?;
            tx.execute(query).await?;
            tx.commit().await?;
            Ok(())
        })
        .await
    }
}
