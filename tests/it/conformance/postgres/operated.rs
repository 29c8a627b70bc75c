//! What an operator does and sees: migrations, roles, months, the tables that other programs use.

use super::Database;
use crate::harness::{Postgres, connect, eventually};
use callboard_catalog::{
    Answer, AppendError, Catalog, Change, Definitions, Error, Idempotency, Journal, Link, NewVersion,
    NewWorkflow, Once, PostgresCatalog, Provenance, Request, SchemaError, Sweep, Workflow, suite,
};
use callboard_core::{
    Hash, Timestamp,
    id::{ProjectId, RunId, WorkflowId},
};
use serde_json::{Map, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::time::Duration;

const DEFAULT: ProjectId = ProjectId::DEFAULT;

async fn number(connection: &mut PgConnection, sql: &str) -> i64 {
    sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(connection).await.unwrap()
}

fn workflow(project: &ProjectId, name: &str) -> NewWorkflow {
    NewWorkflow {
        project: project.clone(),
        id: suite::fresh(),
        name: name.to_owned(),
        description: None,
        definition: json!({"nodes": [{"id": "a", "type": "wait"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]}),
        problems: Vec::new(),
        metadata: Map::new(),
        at: suite::at(1),
        from: Provenance::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_is_migrated_once_and_refused_where_it_does_not_fit() {
    let server = Postgres::shared().await;
    let url = server.url(&server.database().await);
    let link = Link::read(&url, false).unwrap();
    let refused = PostgresCatalog::open(link.clone()).await.err();
    assert!(matches!(refused, Some(SchemaError::Missing)), "{refused:?}");

    let all = (0..4).map(|_| PostgresCatalog::migrate(&link));
    let applied: Vec<usize> =
        futures::future::join_all(all).await.into_iter().map(|migrated| migrated.unwrap().applied).collect();
    assert_eq!(applied.iter().filter(|applied| **applied > 0).count(), 1, "{applied:?}");
    PostgresCatalog::open(link.clone()).await.unwrap().close().await;

    let mut owner = connect(&url).await.unwrap();
    owner
        .execute("insert into schema_versions (version, name, since, content) values (900, 'later', 900, '')")
        .await
        .unwrap();
    let refused = PostgresCatalog::open(link.clone()).await.err().map(|error| error.to_string());
    assert!(
        refused.as_ref().is_some_and(|error| error.contains("too new: it is at 900 (later)")),
        "{refused:?}"
    );
    assert!(matches!(PostgresCatalog::migrate(&link).await, Err(SchemaError::TooNew { .. })));
    owner.execute("update schema_versions set since = 1 where version = 900").await.unwrap();
    PostgresCatalog::open(link.clone())
        .await
        .expect("the later one says that this release may")
        .close()
        .await;
    owner.execute("delete from schema_versions where version = 900").await.unwrap();
    owner.execute("update schema_versions set content = '' where version = 1").await.unwrap();
    assert!(matches!(PostgresCatalog::migrate(&link).await, Err(SchemaError::Changed(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_told_by_name() {
    assert!(Link::read("postgres://:::", false).is_err());
    let server = Postgres::shared().await;
    let link = Link::read(&server.url("no_such_database"), false).unwrap();
    let refused = PostgresCatalog::open(link).await.err().map(|error| error.to_string());
    assert!(refused.as_ref().is_some_and(|error| error.contains("no_such_database")), "{refused:?}");
}

/// The statements of the requirements, word for word in their columns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_knows_only_the_columns_asked_for_can_insert() {
    let database = Database::make().await;
    let mut other = database.owner().await;
    let id = "0b7e7a54-55f0-4c4b-9a58-3f3f0d3b1d1e";
    other
        .execute(AssertSqlSafe(format!(
            "insert into workflows (id, name) values ('{id}', 'of another program');
             insert into workflow_nodes (id, workflow_id, type, config, position)
                values ('{id}', '{id}', 'agent', '{{}}', '{{\"x\": 1}}');
             insert into workflow_edges (id, workflow_id, source_id, target_id, config) values ('{id}', '{id}', '{id}', '{id}', null);
             insert into embeddings (id, workflow_id, content_type, embedding, metadata)
                values ('{id}', '{id}', 'text', array_fill(0.5, array[1536])::vector, '{{}}')"
        )))
        .await
        .unwrap();
    let nearest = "select count(*) from (select id from embeddings order by embedding <=> array_fill(0.4, array[1536])::vector limit 1) e";
    assert_eq!(number(&mut other, nearest).await, 1);
    let place = "select count(*) from only workflows_default";
    assert_eq!(number(&mut other, place).await, 1, "an id of another kind has a place");

    let catalog = database.open().await;
    let id = WorkflowId::new(id);
    assert_eq!(
        catalog.workflows(&DEFAULT, None, 10).await.unwrap(),
        [],
        "without a version of ours it is not shown"
    );
    let NewWorkflow { name, description, definition, problems, metadata, at, .. } =
        workflow(&DEFAULT, "ours");
    let change = NewVersion {
        expected: None,
        name,
        description,
        definition,
        problems,
        metadata,
        at,
        from: Provenance::default(),
        publishes: None,
    };
    let saved = catalog.update_workflow(&DEFAULT, &id, change.clone()).await.unwrap();
    assert_eq!((saved.version, saved.name.as_str()), (1, "ours"));
    catalog.update_workflow(&DEFAULT, &id, change).await.unwrap();
    let ours = "select count(*) from workflow_nodes where version = 2 and node is not null";
    assert_eq!(number(&mut other, ours).await, 2, "the latest version's nodes");
    assert_eq!(
        number(&mut other, "select count(*) from workflow_nodes where node is null").await,
        1,
        "theirs stays"
    );
    assert_eq!(number(&mut other, "select count(*) from workflow_edges").await, 2);
    let created = catalog.create_workflow(workflow(&DEFAULT, "new")).await.unwrap();
    let month = "select count(*) from workflows where tableoid::regclass::text ~ '^workflows_[0-9]{6}$'";
    assert_eq!(number(&mut other, month).await, 1, "{}: ours are in months", created.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_s_role_sees_its_project_and_nothing_by_another_name() {
    let database = Database::make().await;
    let catalog = database.open().await;
    let (ours, theirs): (ProjectId, ProjectId) = ("ours".parse().unwrap(), "theirs".parse().unwrap());
    for project in [&ours, &theirs] {
        catalog.append(suite::batch(&RunId::new(project, "run").unwrap(), 1, 2, "a")).await.unwrap();
        catalog.create_workflow(workflow(project, "one")).await.unwrap();
    }
    let mut api = database.owner().await;
    api.execute("set role callboard_api").await.unwrap();
    for table in
        ["runs", "history", "run_ids", "workflows", "workflow_versions", "workflow_nodes", "workflow_edges"]
    {
        let count = format!("select count(*) from {table}");
        assert_eq!(number(&mut api, &count).await, 0, "{table}: without a project nothing is shown");
    }
    api.execute("set callboard.project = 'ours'").await.unwrap();
    assert_eq!(number(&mut api, "select count(*) from runs").await, 1);
    assert_eq!(number(&mut api, "select count(*) from history where project = 'theirs'").await, 0);
    let month: String =
        sqlx::query_scalar("select tableoid::regclass::text from runs").fetch_one(&mut api).await.unwrap();
    for refused in [
        format!("select count(*) from {month}"),
        "select secret from internal_keys".to_owned(),
        "select event from early_messages".to_owned(),
        "update runs set status = 'mine'".to_owned(),
        "insert into workflows (id, name, project) values (gen_random_uuid(), 'x', 'theirs')".to_owned(),
        "select make_partitions(1)".to_owned(),
    ] {
        let error = api.execute(AssertSqlSafe(refused.clone())).await.err();
        let code = error.as_ref().and_then(|error| error.as_database_error()).and_then(|error| error.code());
        assert_eq!(code.as_deref(), Some("42501"), "{refused}: {error:?}");
    }
    let changed = api.execute("update workflows set name = 'mine'").await.unwrap();
    assert_eq!(changed.rows_affected(), 1, "only our own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_without_any_right_of_its_own_is_enough_for_a_process() {
    let database = Database::make().await;
    let mut owner = database.owner().await;
    let login = format!("process_{}", database.name);
    let create = format!("create role {login} login in role callboard_engine");
    owner.execute(AssertSqlSafe(create)).await.unwrap();
    let url = database.url.replace("owner@", &format!("{login}@"));
    let link = Link::read(&url, false).unwrap();
    let catalog = PostgresCatalog::open(link.clone()).await.unwrap();
    let run: RunId = suite::fresh();
    catalog.append(suite::batch(&run, 1, 2, "a")).await.unwrap();
    assert_eq!(catalog.history(&run, 0, 10).await.unwrap().len(), 2);
    catalog.create_workflow(workflow(&DEFAULT, "one")).await.unwrap();
    catalog.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_healthy_where_it_can_be_written_and_says_what_is_wrong_where_not() {
    let database = Database::make().await;
    let catalog = database.open().await;
    let all = futures::future::join_all((0..6).map(|_| catalog.health())).await;
    assert!(all.iter().all(Result::is_ok), "nobody is in another one's way: {all:?}");
    let mut owner = database.owner().await;
    assert_eq!(number(&mut owner, "select count(*) from answers").await, 0, "nothing stays");
    let read_only = format!("alter database {} set default_transaction_read_only = on", database.name);
    owner.execute(AssertSqlSafe(read_only)).await.unwrap();
    let told = database.open().await.health().await.err().map(|error| error.to_string());
    assert!(told.as_ref().is_some_and(|told| told.contains("it is read-only")), "{told:?}");
    let lost = "drop table early_messages, answers";
    owner.execute(AssertSqlSafe(format!("set default_transaction_read_only = off; {lost}"))).await.unwrap();
    let told = catalog.health().await.err().map(|error| error.to_string());
    assert!(told.as_ref().is_some_and(|told| told.contains("can't be written")), "{told:?}");
}

/// Whoever makes the change holds its key, in whichever process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_under_a_key_is_made_once_by_several_processes() {
    let database = Database::make().await;
    let catalogs = [database.open().await, database.open().await, database.open().await];
    for round in 0..10 {
        let asked = catalogs.iter().cycle().take(12).map(|catalog| {
            let request = Request {
                project: DEFAULT,
                route: "POST /workflows",
                key: format!("key {round}"),
                body: Hash::of(b"body"),
                at: suite::at(1),
            };
            let told = |workflow: Option<&Workflow>| Answer {
                status: 201,
                headers: Vec::new(),
                body: workflow.map(|workflow| workflow.id.to_string()).unwrap_or_default().into(),
            };
            catalog.once(request, Change::CreateWorkflow(workflow(&DEFAULT, "one")), Box::new(told))
        });
        let done: Vec<Once> =
            futures::future::join_all(asked).await.into_iter().map(|done| done.unwrap()).collect();
        let (made, known): (Vec<&Once>, Vec<&Once>) =
            done.iter().partition(|once| matches!(once, Once::Made(_)));
        let [Once::Made(answer)] = made[..] else { panic!("made {} times", made.len()) };
        assert!(known.iter().all(|once| **once == Once::Known(answer.clone())), "{known:?}");
    }
    let mut owner = database.owner().await;
    assert_eq!(number(&mut owner, "select count(*) from workflows").await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn months_that_are_missing_are_named_and_made() {
    let database = Database::make().await;
    let catalog = database.open().await;
    catalog.health().await.unwrap();
    let mut owner = database.owner().await;
    let next: String =
        sqlx::query_scalar("select to_char(now() at time zone 'UTC' + interval '1 month', 'YYYYMM')")
            .fetch_one(&mut owner)
            .await
            .unwrap();
    let drop = format!("drop table history_{next}, runs_{next}");
    owner.execute(AssertSqlSafe(drop)).await.unwrap();
    let missing = catalog.health().await;
    let expected = format!("history_{next}, runs_{next}");
    assert!(matches!(&missing, Err(Error::Lacking(what)) if *what == expected), "{missing:?}");
    // Whoever starts makes them.
    let second = database.open().await;
    eventually(Duration::from_secs(20), || async {
        second.health().await.map_err(|error| error.to_string())
    })
    .await;
    catalog.health().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_month_is_dropped_when_nothing_in_it_is_needed() {
    let database = Database::make().await;
    let catalog = database.open().await;
    let mut owner = database.owner().await;
    for month in ["202401", "202402", "202403"] {
        let (first, rest) = (format!("{}-{}-01", &month[..4], &month[4..]), "interval '1 month'");
        for table in ["runs", "history", "run_values"] {
            let make = format!(
                "do $$ begin execute format('create table {table}_{month} partition of {table} for values from (%L) to (%L)',
                    '{first}'::timestamp at time zone 'UTC', ('{first}'::timestamp + {rest}) at time zone 'UTC'); end $$"
            );
            owner.execute(AssertSqlSafe(make)).await.unwrap();
        }
        let run: RunId = format!("of-{month}").parse().unwrap();
        catalog.append(suite::batch(&run, 1, 2, "a")).await.unwrap();
        // As if it had begun then.
        for table in ["runs", "history"] {
            let moved = format!(
                "update {table} set run_created_at = '{first}'::timestamp at time zone 'UTC' + interval '5 days' where run = 'of-{month}'"
            );
            owner.execute(AssertSqlSafe(moved)).await.unwrap();
        }
        let moved = format!(
            "update run_ids set created_at = '{first}'::timestamp at time zone 'UTC' + interval '5 days' where run = 'of-{month}'"
        );
        owner.execute(AssertSqlSafe(moved)).await.unwrap();
        assert_eq!(catalog.history(&run, 0, 10).await.unwrap().len(), 2, "an old month is read as any other");
    }
    for month in ["202401", "202403"] {
        catalog.mark_purged(&format!("of-{month}").parse().unwrap(), None).await.unwrap();
    }
    let dropped: Vec<String> =
        sqlx::query_scalar("select drop_months_before('2024-03-15')").fetch_all(&mut owner).await.unwrap();
    assert_eq!(dropped, ["runs_202401"], "one is needed, one is not over");
    assert_eq!(catalog.run(&"of-202401".parse().unwrap()).await.unwrap(), None);
    assert_eq!(catalog.history(&"of-202401".parse().unwrap(), 0, 10).await.unwrap(), []);
    assert!(catalog.run(&"of-202402".parse().unwrap()).await.unwrap().is_some());
    let dropped: Vec<String> =
        sqlx::query_scalar("select drop_months_before(now())").fetch_all(&mut owner).await.unwrap();
    assert_eq!(dropped, ["runs_202403"]);
    catalog
        .append(suite::batch(&"of-202401".parse().unwrap(), 1, 1, "b"))
        .await
        .expect("the name is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_postgres_can_t_hold_fails_nobody_else() {
    let database = Database::make().await;
    let catalog = database.open().await;
    let mut bad = suite::batch(&suite::fresh(), 1, 1, "a");
    bad.row.status = "zero \0".to_owned();
    let good: Vec<RunId> = (0..20).map(|_| suite::fresh()).collect();
    let appends = good.iter().map(|run| catalog.append(suite::batch(run, 1, 2, "a")));
    let (refused, taken) = tokio::join!(catalog.append(bad), futures::future::join_all(appends));
    assert!(matches!(refused, Err(AppendError::Unavailable(_))), "{refused:?}");
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    for run in &good {
        assert_eq!(catalog.history(run, 0, 10).await.unwrap(), suite::entries(1, 2, "a"));
    }
    let saved = catalog.create_workflow(workflow(&DEFAULT, "zero \0 in a name")).await.unwrap();
    let read = catalog.workflow(&DEFAULT, &saved.id, None).await.unwrap().unwrap();
    assert_eq!(read.name, "zero \u{fffd} in a name");
    let far = catalog.due(Timestamp(i64::MAX), Timestamp(i64::MAX), 10).await.unwrap();
    assert!(far.len() <= 10, "an instant beyond all calendars is the last one");
}

/// What the release before has saved of workflows whose versions were drafts as well.
const DRAFTS: &str = r#"
    insert into workflows (id, name, version, created_at, updated_at) values
        ('00000000-0000-7000-8000-000000000003', 'three', 3, now(), now()), ('00000000-0000-7000-8000-000000000004', 'only', 1, now(), now()),
        ('00000000-0000-7000-8000-000000000005', 'mended', 2, now(), now());
    insert into workflow_versions (project, workflow_id, version, name, description, definition, problems, metadata, created_at)
    select 'default', ('00000000-0000-7000-8000-00000000000' || w)::uuid, version, name, description, definition, problems, metadata, to_timestamp(at / 1000.0)
    from (values
        (3, 1, 'one', null, '{"n":1}', '[]', '{}', 1),
        (3, 2, 'two', null, '{"n":2}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 2),
        (3, 3, 'three', 'half', '{"n":3}', '[{"node":null,"path":"y","code":"odd","message":"m"}]', '{"t":1}', 3),
        (4, 1, 'only', null, '{"n":4}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 1),
        (5, 1, 'wrong', null, '{"n":5}', '[{"node":null,"path":"x","code":"odd","message":"m"}]', '{}', 1),
        (5, 2, 'mended', null, '{"n":6}', '[]', '{}', 2)
    ) as rows (w, version, name, description, definition, problems, metadata, at);
    insert into workflow_nodes (id, workflow_id, type, version, node)
    values (gen_random_uuid(), '00000000-0000-7000-8000-000000000003', 'wait', 3, 'a');
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drafts_of_the_release_before_become_drafts() {
    let server = Postgres::shared().await;
    let url = server.url(&server.database().await);
    let mut owner = connect(&url).await.unwrap();
    let first = include_str!("../../../../migrations/postgres/0001_catalog.sql");
    let versions = "create table public.schema_versions (version integer primary key, name text not null, since integer not null,
        content bytea not null, applied_at timestamptz not null default now())";
    owner.execute(versions).await.unwrap();
    owner.execute(AssertSqlSafe(first.to_owned())).await.unwrap();
    sqlx::query("insert into schema_versions (version, name, since, content) values (1, 'catalog', 1, $1)")
        .bind(&Hash::of(first.as_bytes()).0[..])
        .execute(&mut owner)
        .await
        .unwrap();
    owner.execute(DRAFTS).await.unwrap();
    let link = Link::read(&url, false).unwrap();
    let refused = PostgresCatalog::open(link.clone()).await.err();
    assert!(matches!(refused, Some(SchemaError::TooOld { .. })), "{refused:?}");
    assert_ne!(PostgresCatalog::migrate(&link).await.unwrap().applied, 0);
    let catalog = PostgresCatalog::open(link).await.unwrap();
    let ids = [3, 4, 5].map(|n| WorkflowId::new(format!("00000000-0000-7000-8000-00000000000{n}")));
    suite::drafts::drafts_of_the_release_before_are_there(&catalog, ids).await;
    assert_eq!(number(&mut owner, "select count(*) from workflow_nodes").await, 0);
}
