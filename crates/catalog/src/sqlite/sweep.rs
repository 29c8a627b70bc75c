//! Which runs are looked at again, and when.

use super::lists;
use crate::{Error, OpenRun, sql::known_run};
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId},
};
use sqlx::{QueryBuilder, SqliteConnection, SqlitePool};

/// Of all projects: whoever looks after runs looks after all of them.
pub(super) const DUE: &str = "
    update runs set next_check_at = $2
    where rowid in (select rowid from runs where next_check_at <= $1 order by next_check_at limit $3)
    returning project, id";

/// A search for each project, whatever the number of runs.
pub(super) const PROJECTS: &str = "
    with recursive found (project) as (
        select min(project) from runs
        union all
        select (select min(r.project) from runs r where r.project > found.project) from found
        where found.project is not null
    )
    select project from found where project is not null";

const PURGED: &str = "update runs set purged = 1, next_check_at = $3 where project = $1 and id = $2";

pub(super) async fn open(
    readers: &SqlitePool,
    project: &ProjectId,
    status: &str,
    after: Option<&RunId>,
    limit: u32,
) -> Result<Vec<OpenRun>, Error> {
    if after.is_some_and(|after| after.project() != project) {
        return Ok(Vec::new());
    }
    let mut query = QueryBuilder::default();
    lists::open_runs(&mut query, project, status, after, limit);
    let rows: Vec<(String, Option<i64>, i64)> = query.build_query_as().fetch_all(readers).await?;
    let open = |(name, next, last): (String, Option<i64>, i64)| {
        let id = known_run(project.as_str(), &name)?;
        Some(OpenRun { id, next_check_at: next.map(Timestamp), last_at: Timestamp(last) })
    };
    Ok(rows.into_iter().filter_map(open).collect())
}

pub(super) async fn projects(readers: &SqlitePool) -> Result<Vec<ProjectId>, Error> {
    let found: Vec<String> = sqlx::query_scalar(PROJECTS).fetch_all(readers).await?;
    let project = |text: String| text.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)));
    Ok(found.into_iter().map(project).collect::<Result<_, _>>()?)
}

pub(super) async fn due(
    connection: &mut SqliteConnection,
    now: Timestamp,
    then: Timestamp,
    limit: u32,
) -> Result<Vec<RunId>, Error> {
    let due: Vec<(String, String)> =
        sqlx::query_as(DUE).bind(now.0).bind(then.0).bind(limit).fetch_all(connection).await?;
    Ok(due.iter().filter_map(|(project, name)| known_run(project, name)).collect())
}

pub(super) async fn mark_purged(
    connection: &mut SqliteConnection,
    run: RunId,
    next_check_at: Option<Timestamp>,
) -> Result<(), Error> {
    let (project, name) = (run.project().as_str(), run.name());
    let next = next_check_at.map(|t| t.0);
    sqlx::query(PURGED).bind(project).bind(name).bind(next).execute(connection).await?;
    Ok(())
}
