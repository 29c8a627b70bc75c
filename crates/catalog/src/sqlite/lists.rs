//! Statements of lists, put together of what is asked for. Text is ours, values are bound.
//!
//! A condition that is not asked for is not there (`$1 is null or …` would not use an index), so each list is read
//! off an index from its cursor on, in order. `tests` asks SQLite whether it is, for every combination.

use super::places;
use crate::{AskedPlace, RunFilter, Search};
use callboard_core::id::{ProjectId, RunId, WorkflowId};
use sqlx::{QueryBuilder, Sqlite};

type Query = QueryBuilder<Sqlite>;

const RUNS: &str = "
    select project, id, workflow_id, version, status, summary, seq, created_at, ended_at, next_check_at, cleaned_seq, purged
    from runs where project = ";

const RUNS_WITH_WORDS: &str = "
    select project, id, workflow_id, version, status, summary, seq, created_at, ended_at, next_check_at, cleaned_seq, purged, place,
        words
    from runs where project = ";

const OPEN_RUNS: &str = "select id, next_check_at, last_at from runs where project = ";

const ASKED: &str = "select run, step, since, asked from approvals where project = ";

/// The outer table is the index of words: it is read from the newest run on, and each run looked up.
const WITH_WORDS: &str = "
    select r.project, r.id, r.workflow_id, r.version, r.status, r.summary, r.seq, r.created_at, r.ended_at, r.next_check_at,
        r.cleaned_seq, r.purged
    from run_words w cross join runs r on r.place = w.rowid and r.project = ";

/// The newest runs that are looked through for words before the index of words is asked.
const LOOKED: u32 = 5000;

/// Searches whose results are merged; with more statuses than this, a list is looked through for them.
const SEARCHES: usize = 16;

/// One run.
pub(super) fn run(query: &mut Query, id: &RunId) {
    query.push(RUNS).push_bind(id.project().as_str()).push(" and id = ").push_bind(id.name());
}

/// Runs, by their creation.
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
    let order = if filter.oldest_first {
        " order by created_at, id limit "
    } else {
        " order by created_at desc, id desc limit "
    };
    query.push(order).push_bind(limit);
}

/// Those of the newest runs that have these words, newest first.
pub(super) fn newest_with(
    query: &mut Query,
    project: &ProjectId,
    search: &Search,
    after: Option<&RunId>,
    limit: u32,
) {
    query.push("select * from (").push(RUNS_WITH_WORDS).push_bind(project.as_str());
    span(query, "place", search, after);
    query.push(" order by place desc limit ").push_bind(LOOKED).push(") where true");
    for word in search.words.iter() {
        query.push(" and instr(' ' || words, ").push_bind(format!(" {word}")).push(") > 0");
    }
    if let Some(workflow) = &search.workflow_id {
        query.push(" and workflow_id = ").push_bind(workflow.as_str());
    }
    query.push(" order by place desc limit ").push_bind(limit);
}

/// Runs that have these words, newest first.
pub(super) fn with_words(
    query: &mut Query,
    project: &ProjectId,
    matches: &str,
    search: &Search,
    after: Option<&RunId>,
    limit: u32,
) {
    query.push(WITH_WORDS).push_bind(project.as_str());
    query.push(" where w.run_words match ").push_bind(matches.to_owned());
    span(query, "w.rowid", search, after);
    query.push(" order by w.rowid desc limit ").push_bind(limit);
}

/// What waits for a person, the longest first.
pub(super) fn asked(query: &mut Query, project: &ProjectId, after: Option<&AskedPlace>, limit: u32) {
    query.push(ASKED).push_bind(project.as_str());
    if let Some(AskedPlace { since, run, step }) = after {
        query.push(" and (since, run, step) > (").push_bind(since.0).push(", ");
        query.push_bind(run.name()).push(", ").push_bind(step).push(")");
    }
    query.push(" order by since, run, step limit ").push_bind(limit);
}

/// The span of time as places, and the cursor.
fn span(query: &mut Query, column: &'static str, search: &Search, after: Option<&RunId>) {
    if let Some(from) = search.from {
        query.push(format!(" and {column} >= ")).push_bind(places::first(from));
    }
    if let Some(to) = search.to {
        query.push(format!(" and {column} < ")).push_bind(places::first(to));
    }
    if let Some(after) = after {
        query.push(format!(" and {column} < (select place from runs where project = "));
        query.push_bind(after.project().as_str()).push(" and id = ").push_bind(after.name()).push(")");
    }
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
    // Each end can be searched for once. The cursor is the nearer one; the plus says so.
    let has_cursor = after.is_some();
    if let Some(from) = filter.from {
        let column =
            if has_cursor && filter.oldest_first { " and +created_at >= " } else { " and created_at >= " };
        query.push(column).push_bind(from.0);
    }
    if let Some(to) = filter.to {
        let column =
            if has_cursor && !filter.oldest_first { " and +created_at < " } else { " and created_at < " };
        query.push(column).push_bind(to.0);
    }
    if let Some(after) = after {
        query.push(if filter.oldest_first { " and (created_at, id) > " } else { " and (created_at, id) < " });
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
