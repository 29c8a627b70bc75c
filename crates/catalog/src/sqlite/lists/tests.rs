//! Lists are read off an index, whatever is asked for.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::sqlite::{MIGRATIONS, definitions, sweep};
use callboard_core::{
    Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::collections::BTreeSet;

async fn database() -> SqliteConnection {
    let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
    MIGRATIONS.run(&mut connection).await.unwrap();
    connection
}

/// How SQLite would answer it, a line for each table it opens.
async fn plan(connection: &mut SqliteConnection, build: impl FnOnce(&mut Query)) -> Vec<String> {
    let mut query = Query::new("explain query plan ");
    build(&mut query);
    let rows = query.build().fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get("detail")).collect()
}

/// Neither reads a table from end to end nor sorts.
fn is_indexed(plan: &[String]) -> bool {
    plan.iter().all(|line| !line.starts_with("SCAN") && !line.contains("TEMP B-TREE"))
}

fn r() -> RunId {
    "r".parse().unwrap()
}

fn filters() -> Vec<RunFilter> {
    let mut all = Vec::new();
    for workflow_id in [None, Some(WorkflowId::new("w"))] {
        for statuses in [0, 1, 2, 5, SEARCHES, SEARCHES + 1] {
            for from in [None, Some(Timestamp(1))] {
                for to in [None, Some(Timestamp(9))] {
                    let statuses: BTreeSet<String> = (0..statuses).map(|n| format!("status {n}")).collect();
                    for oldest_first in [false, true] {
                        let (workflow_id, statuses) = (workflow_id.clone(), statuses.clone());
                        all.push(RunFilter { workflow_id, statuses, from, to, oldest_first });
                    }
                }
            }
        }
    }
    all
}

#[tokio::test]
async fn every_filter_of_runs_is_answered_from_an_index() {
    let cursor = r();
    let mut database = database().await;
    for filter in filters() {
        for after in [None, Some(&cursor)] {
            let plan =
                plan(&mut database, |query| runs(query, &ProjectId::DEFAULT, &filter, after, 100)).await;
            assert!(is_indexed(&plan), "{filter:?} after {after:?}: {plan:#?}");
            let listed = plan.iter().filter(|line| line.contains("INDEX idx_runs_")).count();
            let searches = if filter.workflow_id.is_some() { 1 } else { filter.statuses.len() };
            let searches = if (1..=SEARCHES).contains(&searches) { searches } else { 1 };
            assert_eq!(listed, searches, "{filter:?} after {after:?}: {plan:#?}");
        }
    }
}

#[tokio::test]
async fn a_page_begins_at_its_cursor_and_ends_with_its_span() {
    let cursor = r();
    let mut database = database().await;
    let filter = RunFilter { from: Some(Timestamp(1)), to: Some(Timestamp(9)), ..RunFilter::default() };
    for after in [None, Some(&cursor)] {
        let plan = plan(&mut database, |query| runs(query, &ProjectId::DEFAULT, &filter, after, 100)).await;
        assert!(
            plan[0].ends_with("idx_runs_created (project=? AND created_at>? AND created_at<?)"),
            "{plan:#?}"
        );
        let reads_cursor = plan.iter().any(|line| line.starts_with("REUSE SUBQUERY"));
        assert_eq!(
            reads_cursor,
            after.is_some(),
            "the search ends at the cursor, not at the span's end: {plan:#?}"
        );
    }
}

#[tokio::test]
async fn the_other_lists_are_answered_from_an_index() {
    let mut database = database().await;
    let (cursor, workflow) = (r(), WorkflowId::new("a"));
    for (after, workflow) in [(None, None), (Some(&cursor), Some(&workflow))] {
        let open =
            plan(&mut database, |query| open_runs(query, &ProjectId::DEFAULT, "running", after, 100)).await;
        assert!(
            is_indexed(&open) && open[0].contains("idx_runs_status (project=? AND status=?"),
            "{open:#?}"
        );
        let listed = plan(&mut database, |query| {
            workflows(query, definitions::LISTED, &ProjectId::DEFAULT, workflow, 100)
        })
        .await;
        assert!(is_indexed(&listed) && listed[0].contains("idx_workflows_listed (project=?"), "{listed:#?}");
    }
    let due = plan(&mut database, |query| _ = query.push(sweep::DUE)).await;
    assert!(is_indexed(&due) && due.iter().any(|line| line.contains("idx_runs_next_check")), "{due:#?}");
    let projects = plan(&mut database, |query| _ = query.push(sweep::PROJECTS)).await;
    let searched =
        projects.iter().filter(|line| line.contains("runs") || line.contains("SEARCH r")).collect::<Vec<_>>();
    assert!(searched.len() == 2 && searched.iter().all(|line| line.starts_with("SEARCH")), "{projects:#?}");
    let one = plan(&mut database, |query| run(query, &r())).await;
    assert!(is_indexed(&one), "{one:#?}");
}
