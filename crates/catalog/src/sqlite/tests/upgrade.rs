//! A database of the release before: opened, brought up to date, and used on.

use super::*;
use crate::{
    AppendError, NewVersion, Provenance, RunFilter,
    suite::{at, hash},
};
use callboard_core::id::{RunId, WorkflowId};
use serde_json::{Map, json};

/// What the release before has written: two versions of a workflow, two runs of it, values.
const ROWS: &str = r#"
    insert into workflows values ('w1', 'two', 'what it does', 1, 2, '{"team":"a"}', 2, 0);
    insert into workflows values ('w2', 'gone', null, 3, 3, '{}', 1, 1);
    insert into workflow_versions values
        ('w1', 1, 'one', null, '{"nodes":[{"id":"a","type":"wait"}]}', '[]', '{}', 1),
        ('w1', 2, 'two', 'what it does', '{"nodes":[]}', '[]', '{"team":"a"}', 2),
        ('w2', 1, 'gone', null, '{}', '[]', '{}', 3);
    insert into workflow_nodes values
        ('n1', 'w1', 'wait', null, null, 1, 'a', null), ('n2', 'w1', 'wait', null, null, 1, 'b', 'n1');
    insert into workflow_edges values ('e1', 'w1', 'n1', 'n2', null, 1);
    insert into runs values ('r1', 'w1', 2, 'completed', '{"n":1}', 3, 10, 30, 90, 80, 3, 0, 0);
    insert into runs values ('r2', 'w1', 2, 'running', '{"n":2}', 2, 20, null, null, 25, 0, 1, 1);
    insert into runs values ('r3', null, null, 'waiting', '{"n":3}', 1, 40, null, null, null, 0, 0, 0);
    insert into run_values values ('r1', 't.0', x'0001'), ('r2', 't.0', x'02');
"#;

/// A file that has only seen the first migration.
async fn of_the_release_before(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal).foreign_keys(true);
    let mut connection = options.connect().await.unwrap();
    let first = MIGRATIONS.iter().take(1).cloned().collect();
    Migrator::with_migrations(first).run(&mut connection).await.unwrap();
    connection
}

/// The same with rows in every table; of run `r3` the history is lost.
async fn with_rows(path: &Path) {
    let mut connection = of_the_release_before(path).await;
    sqlx::raw_sql(ROWS).execute(&mut connection).await.unwrap();
    for (run, n) in [("r1", 3), ("r2", 2)] {
        for entry in entries(1, n, "a") {
            sqlx::query("insert into history values ($1, $2, $3, $4, $5)")
                .bind(run)
                .bind(signed(entry.seq))
                .bind(entry.at.0)
                .bind(&entry.hash.0[..])
                .bind(&entry.event)
                .execute(&mut connection)
                .await
                .unwrap();
        }
    }
    sqlx::Connection::close(connection).await.unwrap();
}

fn run(text: &str) -> RunId {
    text.parse().unwrap()
}

fn w1() -> WorkflowId {
    WorkflowId::new("w1")
}

/// A run of the second version as it is listed.
fn row(id: &str, status: &str, seq: u64, created: i64) -> RunRow {
    RunRow {
        id: run(id),
        workflow_id: Some(w1()),
        version: Some(2),
        summary: format!(r#"{{"n":{}}}"#, &id[1..]),
        status: status.to_owned(),
        seq,
        created_at: Timestamp(created),
        ended_at: None,
        next_check_at: None,
        purged: false,
        cleaned_seq: 0,
    }
}

#[tokio::test]
async fn the_runs_of_the_release_before_are_there() {
    let (_dir, path) = file();
    with_rows(&path).await;
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let first = RunRow {
        ended_at: Some(Timestamp(30)),
        next_check_at: Some(Timestamp(80)),
        cleaned_seq: 3,
        ..row("r1", "completed", 3, 10)
    };
    let second = RunRow { next_check_at: Some(Timestamp(25)), purged: true, ..row("r2", "running", 2, 20) };
    let third = RunRow { workflow_id: None, version: None, ..row("r3", "waiting", 1, 40) };
    assert_eq!(catalog.run(&run("r1")).await.unwrap().as_ref(), Some(&first));
    let runs = catalog.runs(&DEFAULT, RunFilter::default(), None, 100).await.unwrap();
    assert_eq!(runs, [third, second, first]);

    assert_eq!(catalog.history(&run("r1"), 0, 100).await.unwrap(), entries(1, 3, "a"));
    assert_eq!(catalog.history(&run("r2"), 0, 100).await.unwrap(), entries(1, 2, "a"));
    let tip = catalog.tip(&run("r2"), Some(1)).await.unwrap().unwrap();
    assert_eq!((tip.seq, tip.hash, tip.hash_at), (2, hash(2, "a"), Some(hash(1, "a"))));
    assert_eq!((tip.purged, tip.purging), (true, true));
    assert_eq!(&catalog.values(&run("r1"), &["t.0".to_owned()]).await.unwrap()["t.0"][..], [0, 1]);
    assert_eq!(&catalog.values(&run("r2"), &["t.0".to_owned()]).await.unwrap()["t.0"][..], [2]);
    let open = |id: &str, next: Option<i64>, last_at| {
        [OpenRun { id: run(id), next_check_at: next.map(Timestamp), last_at }]
    };
    assert_eq!(catalog.open_runs(&DEFAULT, "running", None, 10).await.unwrap(), open("r2", Some(25), at(2)));
    let lost = catalog.open_runs(&DEFAULT, "waiting", None, 10).await.unwrap();
    assert_eq!(lost, open("r3", None, Timestamp(40)), "without its history, since it began");
}

#[tokio::test]
async fn the_workflows_of_the_release_before_are_there() {
    let (_dir, path) = file();
    with_rows(&path).await;
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    let workflow = catalog.workflow(&DEFAULT, &w1(), None).await.unwrap().unwrap();
    assert_eq!((workflow.version, workflow.name.as_str()), (2, "two"));
    assert_eq!((workflow.created_at, workflow.updated_at), (Timestamp(1), Timestamp(2)));
    assert_eq!((workflow.status.as_deref(), &workflow.metadata["team"]), (Some("running"), &json!("a")));
    let older = catalog.workflow(&DEFAULT, &w1(), Some(1)).await.unwrap().unwrap();
    assert_eq!(older.definition, json!({"nodes": [{"id": "a", "type": "wait"}]}));
    assert!(catalog.workflow(&DEFAULT, &WorkflowId::new("w2"), Some(1)).await.unwrap().unwrap().hidden);
    let listed: Vec<_> =
        catalog.workflows(&DEFAULT, None, 10).await.unwrap().into_iter().map(|w| w.id).collect();
    assert_eq!(listed, [w1()]);
    for (count, rows) in
        [("select count(*) from workflow_nodes", 2), ("select count(*) from workflow_edges", 1)]
    {
        let found: i64 = sqlx::query_scalar(count).fetch_one(&catalog.readers).await.unwrap();
        assert_eq!(found, rows, "{count}");
    }
}

#[tokio::test]
async fn a_database_of_the_release_before_goes_on() {
    let (_dir, path) = file();
    with_rows(&path).await;
    let catalog = SqliteCatalog::open(&path).await.unwrap();

    catalog.append(batch(&run("r1"), 4, 1, "a")).await.unwrap();
    assert_eq!(catalog.history(&run("r1"), 0, 100).await.unwrap(), entries(1, 4, "a"));
    assert_eq!(catalog.run(&run("r1")).await.unwrap().unwrap().seq, 4);
    let forked = catalog.append(batch(&run("r2"), 2, 2, "b")).await;
    assert!(matches!(forked, Err(AppendError::Conflict)), "{forked:?}");
    assert_eq!(catalog.due(Timestamp(25), Timestamp(99), 10).await.unwrap(), [run("r2")]);
    assert!(catalog.mark_cleaned(&run("r1"), 4).await.unwrap());
    let change = NewVersion {
        expected: Some(2),
        name: "three".to_owned(),
        description: None,
        definition: json!({}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: at(3),
        from: Provenance::default(),
        publishes: None,
    };
    assert_eq!(catalog.update_workflow(&DEFAULT, &w1(), change).await.unwrap().version, 3);
    assert!(catalog.hide_workflow(&DEFAULT, &w1()).await.unwrap());
    catalog.close().await;

    let catalog = SqliteCatalog::open(&path).await.unwrap();
    assert_eq!(catalog.runs(&DEFAULT, RunFilter::default(), None, 100).await.unwrap().len(), 3);
    suite::access(&catalog).await;
    suite::all(&catalog).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_release_before_may_be_opened_by_several_at_once() {
    for _ in 0..4 {
        let (_dir, path) = file();
        with_rows(&path).await;
        let all = (0..4).map(|_| SqliteCatalog::open(&path));
        for opened in futures::future::join_all(all).await {
            let runs = opened.unwrap().runs(&DEFAULT, RunFilter::default(), None, 100).await.unwrap();
            assert_eq!(runs.len(), 3);
        }
    }
}

#[tokio::test]
async fn signatures_are_required_at_once_only_where_nothing_was_before() {
    let (_dir, path) = file();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    assert!(catalog.signing().await.unwrap().required, "a new one");

    let (_dir, path) = file();
    with_rows(&path).await;
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    assert!(!catalog.signing().await.unwrap().required, "one with runs of the release before");
    assert!(catalog.require_signatures().await.unwrap());
    catalog.close().await;
    assert!(SqliteCatalog::open(&path).await.unwrap().signing().await.unwrap().required);

    let (_dir, path) = file();
    let mut connection = of_the_release_before(&path).await;
    let earlier = "update _sqlx_migrations set installed_on = datetime('now', '-2 minutes')";
    sqlx::raw_sql(earlier).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    assert!(!catalog.signing().await.unwrap().required, "an empty one of the release before");
}

/// Versions that were saved as drafts: the latest and the one before, the only one, one that was mended, one of what is hidden.
const DRAFTS: &str = r#"
    insert into workflows values
        ('w3', 'three', null, 1, 3, '{}', 3, 0), ('w4', 'only', null, 1, 1, '{}', 1, 0),
        ('w5', 'mended', null, 1, 2, '{}', 2, 0), ('w6', 'hidden', null, 1, 1, '{}', 1, 1);
    insert into workflow_versions values
        ('w3', 1, 'one', null, '{"n":1}', '[]', '{}', 1),
        ('w3', 2, 'two', null, '{"n":2}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 2),
        ('w3', 3, 'three', 'half', '{"n":3,"nodes":[{"id":"a"}]}', '[{"node":null,"path":"y","code":"odd","message":"m"}]', '{"t":1}', 3),
        ('w4', 1, 'only', null, '{"n":4}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 1),
        ('w5', 1, 'wrong', null, '{"n":5}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 1),
        ('w5', 2, 'mended', null, '{"n":6}', '[]', '{}', 2),
        ('w6', 1, 'hidden', null, '{"n":7}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 1);
    insert into workflow_nodes values
        ('n3', 'w3', 'wait', null, null, 3, 'a', null), ('n4', 'w3', 'wait', null, null, 3, 'b', 'n3'),
        ('n5', 'w3', 'wait', null, null, 2, 'a', null);
    insert into workflow_edges values ('e3', 'w3', 'n3', 'n4', null, 3);
"#;

#[tokio::test]
async fn a_latest_version_with_problems_has_become_the_draft() {
    let (_dir, path) = file();
    let mut connection = of_the_release_before(&path).await;
    sqlx::raw_sql(DRAFTS).execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let catalog = SqliteCatalog::open(&path).await.unwrap();
    suite::drafts::drafts_of_the_release_before_are_there(&catalog, ["w3", "w4", "w5"].map(WorkflowId::new))
        .await;
    let hidden = catalog.workflow(&DEFAULT, &WorkflowId::new("w6"), Some(1)).await.unwrap().unwrap();
    assert!(hidden.hidden && hidden.draft.is_none(), "what is hidden stays as it was");
    let nodes: i64 =
        sqlx::query_scalar("select count(*) from workflow_nodes").fetch_one(&catalog.readers).await.unwrap();
    assert_eq!(nodes, 1, "of the version before");
}
