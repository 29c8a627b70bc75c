//! The suite on a file, and what only a file can do: survive its process, share with another one.

#![allow(clippy::unwrap_used)]

mod copies;
mod upgrade;

use super::*;
use crate::{
    NO_HASH,
    suite::{self, batch, entries, fresh},
};
use callboard_core::id::{ProjectId, RunId, WorkflowId};
use sqlx::{ConnectOptions, sqlite::SqliteJournalMode};

const DEFAULT: ProjectId = ProjectId::DEFAULT;

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalog.db");
    (dir, path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_the_suite() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(path).await.unwrap();
    suite::access(&catalog).await;
    suite::quotas(&catalog).await;
    suite::triggers::all(&catalog).await;
    suite::marks(&catalog).await;
    suite::all(&catalog).await;
}

#[tokio::test]
async fn the_index_of_words_is_written_for_many_runs_at_once() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let waiting = async || -> i64 {
        let count = sqlx::query_scalar("select count(*) from words_to_index");
        count.fetch_one(&catalog.readers).await.unwrap()
    };
    catalog.append(batch(&fresh(), 1, 1, "a")).await.unwrap();
    assert_eq!(waiting().await, 1, "not with its run");
    let runs: Vec<RunId> = (1..index::AT_ONCE).map(|_| fresh()).collect();
    let appended =
        futures::future::join_all(runs.iter().map(|run| catalog.append(batch(run, 1, 1, "a")))).await;
    assert!(appended.iter().all(Result::is_ok));
    // What comes now waits behind it.
    catalog.append(batch(&fresh(), 1, 1, "a")).await.unwrap();
    assert_eq!(waiting().await, 1);
    // A search writes it, too.
    let words = crate::Words::parse("nobody").unwrap();
    let search = crate::Search { words, workflow_id: None, from: None, to: None };
    assert!(crate::Survey::search_runs(&catalog, &DEFAULT, search, None, 10).await.unwrap().is_empty());
    assert_eq!(waiting().await, 0);
    catalog.close().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_drop_without_close() {
    let (_dir, path) = file();
    let run = fresh();
    for n in 0..5 {
        let catalog = SqliteCatalog::open(&path).await.unwrap();
        catalog.append(batch(&run, n * 3 + 1, 3, "a")).await.unwrap();
        drop(catalog);
    }
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 100).await.unwrap(), entries(1, 15, "a"));
}

#[tokio::test]
async fn a_history_that_another_process_began_is_not_begun_again() {
    let (_dir, path) = file();
    let (here, there) =
        (SqliteCatalog::open(&path).await.unwrap(), SqliteCatalog::open(&path).await.unwrap());
    let (run, other) = (fresh(), fresh());
    there.append(batch(&run, 1, 3, "a")).await.unwrap();
    there.append(batch(&other, 1, 3, "a")).await.unwrap();
    here.append(batch(&run, 1, 3, "a")).await.expect("the same again is done already");
    here.append(batch(&run, 4, 2, "a")).await.expect("and goes on");
    let forked = here.append(batch(&other, 1, 3, "b")).await;
    assert!(matches!(forked, Err(AppendError::Conflict)), "{forked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_file_may_be_opened_by_several_at_once() {
    for _ in 0..8 {
        let (_dir, path) = file();
        let all = (0..4).map(|_| SqliteCatalog::open(&path));
        for opened in futures::future::join_all(all).await {
            opened.unwrap();
        }
    }
}

#[tokio::test]
async fn a_copy_of_the_files_mid_flight_holds_all_that_was_acknowledged() {
    let (dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let run = fresh();
    catalog.append(batch(&run, 1, 40, "a")).await.unwrap();
    // What a killed process leaves: the file and its log, never checkpointed.
    let copy = dir.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let with = |p: &Path| format!("{}{suffix}", p.display());
        std::fs::copy(with(&path), with(&copy)).unwrap();
    }
    let survivor = SqliteCatalog::open(&copy).await.unwrap();
    assert_eq!(survivor.history(&run, 0, 100).await.unwrap(), entries(1, 40, "a"));
}

#[tokio::test]
async fn a_second_process_that_writes_is_noticed() {
    let (_dir, path) = file();
    let here = SqliteCatalog::open(&path).await.unwrap();
    let there = SqliteCatalog::open(&path).await.unwrap();
    let run = fresh();
    here.append(batch(&run, 1, 1, "a")).await.unwrap();
    there.append(batch(&run, 2, 1, "a")).await.unwrap();
    let other = fresh();
    let (forked, neighbour) =
        tokio::join!(here.append(batch(&run, 2, 1, "b")), here.append(batch(&other, 1, 1, "a")));
    assert!(matches!(forked, Err(AppendError::Conflict)), "{forked:?}");
    neighbour.unwrap();
    here.append(batch(&run, 3, 1, "a")).await.unwrap();
    there.append(batch(&run, 2, 3, "a")).await.unwrap();
    assert_eq!(here.history(&run, 0, 10).await.unwrap(), entries(1, 4, "a"));
}

#[tokio::test]
async fn appends_of_one_run_that_share_a_commit_follow_each_other() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let run = fresh();
    let first = Append { next_check_at: Some(Timestamp(70)), ..batch(&run, 1, 1, "a") };
    let (first, second) = tokio::join!(catalog.append(first), catalog.append(batch(&run, 2, 1, "a")));
    first.unwrap();
    second.unwrap();
    let row = catalog.run(&run).await.unwrap().unwrap();
    assert_eq!((row.seq, row.next_check_at), (2, Some(Timestamp(70))), "the second one leaves the next look");
}

#[tokio::test]
async fn what_was_handed_in_before_closing_is_on_disk() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let run = fresh();
    let (appended, ()) = tokio::join!(catalog.append(batch(&run, 1, 2, "a")), catalog.close());
    appended.unwrap();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 10).await.unwrap(), entries(1, 2, "a"));
}

#[tokio::test]
async fn a_number_that_none_of_ours_can_be_is_corrupt() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let run = fresh();
    catalog.append(batch(&run, 1, 2, "a")).await.unwrap();
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query("update runs set cleaned_seq = -1").execute(&mut raw).await.unwrap();
    let tip = catalog.tip(&run, None).await;
    assert!(matches!(tip, Err(Error::Corrupt { .. })), "{tip:?}");
    let row = catalog.run(&run).await;
    assert!(matches!(row, Err(Error::Corrupt { .. })), "{row:?}");
}

#[tokio::test]
async fn another_project_is_neither_shown_nor_touched() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let (run, workflow): (RunId, WorkflowId) = (fresh(), fresh());
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    for insert in [
        "insert into runs (project, id, workflow_id, status, summary, seq, last_at, created_at, next_check_at)
            values ('acme', $1, $2, 'running', '{}', 7, 3, 3, 3)",
        "insert into workflows (project, id, name, created_at, updated_at, version)
            values ('acme', $2, 'theirs', 1, 1, 1)",
        "insert into workflow_versions (workflow_id, version, name, definition, created_at)
            values ($2, 1, 'theirs', '{}', 1)",
    ] {
        sqlx::query(insert).bind(run.name()).bind(workflow.as_str()).execute(&mut raw).await.unwrap();
    }
    let pin = "insert into pins (project, hash, document, used_at) values ('acme', zeroblob(16), x'7b7d', 1)";
    sqlx::query(pin).execute(&mut raw).await.unwrap();
    let theirs = async || {
        let row = "select seq, status, next_check_at, cleaned_seq, purged from runs where project = 'acme'";
        let row: (i64, String, i64, i64, bool) =
            sqlx::query_as(row).fetch_one(&catalog.readers).await.unwrap();
        row
    };
    let before = theirs().await;
    assert_eq!(catalog.run(&run).await.unwrap(), None);
    assert_eq!(catalog.tip(&run, None).await.unwrap(), None);
    assert_eq!(catalog.runs(&DEFAULT, RunFilter::default(), None, 10).await.unwrap(), []);
    assert_eq!(catalog.open_runs(&DEFAULT, "running", None, 10).await.unwrap(), []);
    assert!(!catalog.mark_cleaned(&run, 7).await.unwrap());
    catalog.mark_purged(&run, None).await.unwrap();
    assert_eq!(catalog.pin(&DEFAULT, NO_HASH).await.unwrap(), None);
    assert_eq!(catalog.forget_pins(&DEFAULT, Timestamp(i64::MAX)).await.unwrap(), 0);
    assert_eq!(catalog.workflow(&DEFAULT, &workflow, None).await.unwrap(), None);
    assert_eq!(catalog.workflow(&DEFAULT, &workflow, Some(1)).await.unwrap(), None);
    assert_eq!(catalog.workflows(&DEFAULT, None, 10).await.unwrap(), []);
    assert!(!catalog.hide_workflow(&DEFAULT, &workflow).await.unwrap());
    catalog.append(batch(&run, 1, 2, "a")).await.unwrap();
    assert_eq!(catalog.run(&run).await.unwrap().unwrap().seq, 2, "the same name is free in our project");
    assert_eq!(theirs().await, before);
    let due = catalog.due(Timestamp(9), Timestamp(99), 10).await.unwrap();
    assert_eq!(
        due,
        [RunId::new(&"acme".parse().unwrap(), run.name()).unwrap()],
        "all projects are looked after"
    );
}

#[tokio::test]
async fn rows_of_nodes_and_edges_stand_beside_each_version() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    suite::definitions::versions_stay_readable_and_conflicts_are_told(&catalog).await;
    let count = async |sql: &'static str| {
        let (n,): (i64,) = sqlx::query_as(sql).fetch_one(&catalog.readers).await.unwrap();
        n
    };
    assert_eq!(count("select count(*) from workflow_nodes where version = 1").await, 2);
    assert_eq!(count("select count(*) from workflow_nodes where version > 1").await, 0);
    assert_eq!(
        count(
            "select count(*) from workflow_edges e
             join workflow_nodes s on s.id = e.source_id and s.node = 'a'
             join workflow_nodes t on t.id = e.target_id and t.node = 'b'"
        )
        .await,
        1
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_in_the_place_of_any_of_its_files_is_not_followed() {
    for beside in ["", "-wal", "-shm", "-journal"] {
        let (dir, path) = file();
        let target = dir.path().join("precious");
        std::fs::write(&target, "").unwrap();
        let mut link = path.clone().into_os_string();
        link.push(beside);
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let error = SqliteCatalog::open(&path).await.err().map(|error| error.to_string());
        assert!(error.as_ref().is_some_and(|error| error.contains("is a link")), "{beside}: {error:?}");
        assert_eq!(std::fs::read(&target).unwrap(), b"", "{beside}");
    }
}

#[tokio::test]
async fn the_audit_can_be_neither_changed_nor_forgotten_early() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    suite::access::the_audit_is_listed_newest_first_by_cursor(&catalog).await;
    let mut raw = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    for statement in ["update audit set subject = 'nobody'", "delete from audit"] {
        let error = sqlx::query(statement).execute(&mut raw).await.unwrap_err().to_string();
        assert!(error.contains("the audit is"), "{error}");
    }
}
