//! Statements of lists, put together of what is asked for. Text is ours, values are bound.
//!
//! A condition that is not asked for is not there (`$1 is null or …` would not use an index), so each list is read
//! off an index from its cursor on, in order. `tests` asks SQLite whether it is, for every combination.

use crate::RunFilter;
use callboard_core::id::{ProjectId, RunId, WorkflowId};
use sqlx::{QueryBuilder, Sqlite};

type Query = QueryBuilder<Sqlite>;

const RUNS: &str = "
    select project, id, workflow_id, version, status, summary, seq, created_at, ended_at, next_check_at, cleaned_seq, purged
    from runs where project = ";

const OPEN_RUNS: &str = "select id, next_check_at, last_at from runs where project = ";

/// Searches whose results are merged; with more statuses than this, a list is looked through for them.
const SEARCHES: usize = 16;

/// One run.
pub(super) fn run(query: &mut Query, id: &RunId) {
    query.push(RUNS).push_bind(id.project().as_str()).push(" and id = ").push_bind(id.name());
}

/// Runs, newest first.
///
/// A search by several statuses would have to be sorted; one search for each status, in order already, is only merged.
/// Those of a workflow are looked through instead: that takes one index less to write, and they are fewer.
pub(super) fn runs(
    query: &mut Query,
    project: &ProjectId,
    filter: &RunFilter,
    after: Option<&RunId>,
    limit: u32,
) {
    let project = project.as_str();
    if filter.workflow_id.is_none() && (1..=SEARCHES).contains(&filter.statuses.len()) {
        for (n, status) in filter.statuses.iter().enumerate() {
            query.push(if n > 0 { " union all " } else { "" });
            query.push(RUNS).push_bind(project).push(" and status = ").push_bind(status);
            created(query, filter, after);
        }
    } else {
        query.push(RUNS).push_bind(project);
        if let Some(workflow) = &filter.workflow_id {
            query.push(" and workflow_id = ").push_bind(workflow.as_str());
        }
        if !filter.statuses.is_empty() {
            // The plus keeps SQLite from searching by status and sorting what it finds.
            let mut list = query.push(" and +status in (").separated(", ");
            for status in &filter.statuses {
                list.push_bind(status);
            }
            query.push(")");
        }
        created(query, filter, after);
    }
    query.push(" order by created_at desc, id desc limit ").push_bind(limit);
}

/// Runs of a status, oldest first.
pub(super) fn open_runs(
    query: &mut Query,
    project: &ProjectId,
    status: &str,
    after: Option<&RunId>,
    limit: u32,
) {
    query.push(OPEN_RUNS).push_bind(project.as_str()).push(" and status = ").push_bind(status);
    if let Some(after) = after {
        query.push(" and (created_at, id) > ");
        place(query, after);
    }
    query.push(" order by created_at, id limit ").push_bind(limit);
}

/// Workflows that are not hidden, newest id first: what of them `select` takes, to which conditions are added.
pub(super) fn workflows(
    query: &mut Query,
    select: &'static str,
    project: &ProjectId,
    after: Option<&WorkflowId>,
    limit: u32,
) {
    query.push(select).push(" w.hidden = 0 and w.project = ").push_bind(project.as_str());
    if let Some(after) = after {
        query.push(" and w.id < ").push_bind(after.as_str());
    }
    query.push(" order by w.id desc limit ").push_bind(limit);
}

/// The span of time, and the cursor.
fn created(query: &mut Query, filter: &RunFilter, after: Option<&RunId>) {
    if let Some(from) = filter.from {
        query.push(" and created_at >= ").push_bind(from.0);
    }
    if let Some(to) = filter.to {
        // One end can be searched for. The cursor is the nearer one; the plus says so.
        let column = if after.is_some() { " and +created_at < " } else { " and created_at < " };
        query.push(column).push_bind(to.0);
    }
    if let Some(after) = after {
        query.push(" and (created_at, id) < ");
        place(query, after);
    }
}

/// A run's place in the order; null if there is no such run, and nothing comes before or after that.
fn place(query: &mut Query, run: &RunId) {
    query.push("(select created_at, id from runs where project = ").push_bind(run.project().as_str());
    query.push(" and id = ").push_bind(run.name()).push(")");
}

#[cfg(test)]
mod tests;
