//! Statements of lists, put together of what is asked for. Text is ours, values are bound.
//!
//! A condition that is not asked for is not there, so each list is read off an index of every month, from its cursor on, in
//! order, and merged. Where a page begins is read first: the planner has to know it.

use super::{
    link::{AsConnection, Tx},
    moment::Moment,
    rows::columns,
    uuid_of,
};
use crate::RunFilter;
use callboard_core::id::{ProjectId, RunId};
use sqlx::{Postgres, QueryBuilder};

type Query = QueryBuilder<Postgres>;

const RUNS: &str = concat!("select ", columns!(), " from runs r where r.project = ");

const OPEN_RUNS: &str = "select r.run, r.next_check_at, r.last_at from runs r where r.project = ";

const PLACE: &str = "
    select r.created_at from run_ids i
    join runs r on r.run_created_at = i.created_at and r.project = i.project and r.run = i.run
    where i.project = $1 and i.run = $2";

/// Searches whose results are merged; with more statuses than this, a list is looked through for them.
const SEARCHES: usize = 16;

const NEWEST: &str = " order by created_at desc, run desc limit ";
const OLDEST: &str = " order by created_at, run limit ";

/// Where a run stands in the order.
pub(super) struct Place {
    created_at: Moment,
    run: RunId,
}

// === impl Place ===

impl Place {
    pub fn created_at(&self) -> Moment {
        self.created_at
    }
}

/// Returns where the run `after` stands; the inner nothing where none is named, the outer one where there is no such run.
pub(super) async fn place<C: AsConnection>(
    tx: &mut Tx<C>,
    after: Option<&RunId>,
) -> Result<Option<Option<Place>>, sqlx::Error> {
    let Some(after) = after else { return Ok(Some(None)) };
    let query = sqlx::query_as(PLACE).bind(after.project().as_str()).bind(after.name());
    let found: Option<(Moment,)> = tx.first(query).await?;
    Ok(found.map(|(created_at,)| Some(Place { created_at, run: after.clone() })))
}

/// Runs, by their creation. False if there can be none.
///
/// A search by several statuses would have to be sorted; one search for each status, in order already, is only merged.
pub(super) fn runs(
    query: &mut Query,
    project: &ProjectId,
    filter: &RunFilter,
    after: Option<&Place>,
    limit: u32,
) -> bool {
    let (project, limit) = (project.as_str(), i64::from(limit));
    let order = if filter.oldest_first { OLDEST } else { NEWEST };
    let workflow = match &filter.workflow_id {
        Some(id) => match uuid_of(id) {
            Some(uuid) => Some(uuid),
            None => return false,
        },
        None => None,
    };
    if workflow.is_none() && (2..=SEARCHES).contains(&filter.statuses.len()) {
        for (n, status) in filter.statuses.iter().enumerate() {
            query.push(if n > 0 { " union all (" } else { "(" });
            query.push(RUNS).push_bind(project).push(" and r.status = ").push_bind(status.as_str());
            created(query, filter, after);
            query.push(order).push_bind(limit).push(")");
        }
    } else {
        query.push(RUNS).push_bind(project);
        if let Some(workflow) = workflow {
            query.push(" and r.workflow_id = ").push_bind(workflow);
        }
        if !filter.statuses.is_empty() {
            let statuses: Vec<&str> = filter.statuses.iter().map(String::as_str).collect();
            query.push(" and r.status = any(").push_bind(statuses).push(")");
        }
        created(query, filter, after);
    }
    query.push(order).push_bind(limit);
    true
}

/// Runs of a status, oldest first.
pub(super) fn open_runs(
    query: &mut Query,
    project: &ProjectId,
    status: &str,
    after: Option<&Place>,
    limit: u32,
) {
    query.push(OPEN_RUNS).push_bind(project.as_str().to_owned());
    query.push(" and r.status = ").push_bind(status.to_owned());
    if let Some(after) = after {
        query.push(" and (r.created_at, r.run) > (").push_bind(after.created_at);
        query.push(", ").push_bind(after.run.name().to_owned()).push(")");
    }
    query.push(" order by r.created_at, r.run limit ").push_bind(i64::from(limit));
}

/// The span of time, and the cursor.
fn created(query: &mut Query, filter: &RunFilter, after: Option<&Place>) {
    if let Some(from) = filter.from {
        query.push(" and r.created_at >= ").push_bind(Moment(from));
    }
    if let Some(to) = filter.to {
        query.push(" and r.created_at < ").push_bind(Moment(to));
    }
    if let Some(after) = after {
        let before = if filter.oldest_first {
            " and (r.created_at, r.run) > ("
        } else {
            " and (r.created_at, r.run) < ("
        };
        query.push(before).push_bind(after.created_at);
        query.push(", ").push_bind(after.run.name().to_owned()).push(")");
    }
}
