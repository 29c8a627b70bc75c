//! Who may ask: keys, projects and the audit on a server, which several processes share.

use super::{Database, full};
use crate::harness::{Pooler, Postgres};
use callboard_catalog::{
    Access, AuditEntry, Catalog, Deleted, Error, KeyLimits, Link, NewKey, PostgresCatalog, ProjectRow,
    Refused, Role, SecretHash, SqliteCatalog, suite,
};
use callboard_core::{
    Timestamp,
    id::{KeyId, ProjectId},
};
use futures::future::join_all;
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use std::time::{SystemTime, UNIX_EPOCH};

const DEFAULT: ProjectId = ProjectId::DEFAULT;
const YEAR: i64 = 365 * 86_400_000;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(i64::try_from(since.as_millis()).unwrap())
}

fn entry(at: Timestamp, subject: &str) -> AuditEntry {
    AuditEntry {
        at,
        project: DEFAULT,
        subject: subject.to_owned(),
        via: "key".to_owned(),
        route: "DELETE /api/v1/workflows/{id}".to_owned(),
        object: None,
        before: None,
        after: None,
        refused: None,
    }
}

/// The code with which the server refuses a statement.
async fn refused(connection: &mut PgConnection, sql: &str) -> Option<String> {
    let error = connection.execute(AssertSqlSafe(sql.to_owned())).await.err()?;
    Some(error.as_database_error()?.code()?.into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_its_part_of_the_suite() {
    let database = Database::make().await;
    suite::access(&database.open().await).await;
    suite::quotas(&database.open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_passes_its_part_of_the_suite_through_one_connection() {
    let database = Database::make().await;
    let pooler: Pooler = Postgres::shared().await.pooler(1).await;
    let link = Link::read(&pooler.url(&database.name), true).unwrap();
    suite::access(&PostgresCatalog::open(link).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_catalogs_answer_alike_about_who_may_ask() {
    let (seeds, calls) = if full() { (10, 5_000) } else { (3, 700) };
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..seeds {
        let database = Database::make().await;
        let postgres = database.open().await;
        let sqlite = SqliteCatalog::open(dir.path().join(format!("{seed}.db"))).await.unwrap();
        let mut chance = suite::random::Chance::new(seed);
        for n in 0..calls {
            // A project with runs is not deleted.
            let [expected, found] = match n % 50 == 49 {
                true => suite::random::call(&mut chance, &sqlite, &postgres).await,
                false => suite::random::ask(&mut chance, &sqlite, &postgres).await,
            };
            assert_eq!(found, expected, "call {n} of seed {seed}");
        }
        sqlite.close().await;
        postgres.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_is_only_added_to_whoever_asks() {
    let database = Database::make().await;
    let catalog = database.open().await;
    catalog.record(vec![entry(now(), "a"), entry(Timestamp(1), "b")]).await.unwrap();
    let mut owner = database.owner().await;
    for change in ["update audit set subject = 'me'", "delete from audit", "truncate audit"] {
        assert_eq!(refused(&mut owner, change).await.as_deref(), Some("23001"), "{change}");
    }
    assert_eq!(catalog.audit(&DEFAULT, None, 10).await.unwrap().len(), 2);
    let ahead = Timestamp(now().0 + 10 * YEAR);
    assert_eq!(catalog.forget_audit(ahead).await.unwrap(), 1, "by the server's clock only one is old");
    let left = catalog.audit(&DEFAULT, None, 10).await.unwrap();
    assert_eq!(left.iter().map(|row| row.entry.subject.as_str()).collect::<Vec<_>>(), ["a"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_has_its_own_tables() {
    let database = Database::make().await;
    let catalog = database.open().await;
    catalog.record(vec![entry(now(), "a")]).await.unwrap();
    let mut owner = database.owner().await;
    let denied = [
        ("callboard_access", "select event from history"),
        ("callboard_access", "select summary from runs"),
        ("callboard_access", "select name from workflows"),
        ("callboard_access", "select secret from internal_keys"),
        ("callboard_access", "update audit set subject = 'me'"),
        ("callboard_access", "delete from projects"),
        ("callboard_engine", "select hash from api_keys"),
        ("callboard_engine", "insert into projects (id, created_at) values ('mine', now())"),
        ("callboard_engine", "delete from audit"),
        ("callboard_api", "select hash from api_keys"),
        ("callboard_api", "select subject from audit"),
    ];
    for (role, statement) in denied {
        owner.execute(AssertSqlSafe(format!("set role {role}"))).await.unwrap();
        assert_eq!(refused(&mut owner, statement).await.as_deref(), Some("42501"), "{role}: {statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_have_one_picture_of_who_may_ask() {
    let database = Database::make().await;
    let catalogs = [database.open().await, database.open().await, database.open().await];
    let project: ProjectId = "acme".parse().unwrap();
    let row = ProjectRow::new(project.clone(), "Acme".to_owned(), suite::at(1));
    let made =
        join_all(catalogs.iter().cycle().take(9).map(|catalog| catalog.make_project(row.clone()))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert!(made.iter().all(|made| matches!(made, Ok(()) | Err(Error::Conflict { .. }))), "{made:?}");

    let at = now();
    let refusal = |n: i64| AuditEntry {
        at: Timestamp(at.0 - at.0.rem_euclid(60_000) + n),
        project: project.clone(),
        refused: Some(Refused { code: "forbidden".to_owned(), source: "127.0.0.1".to_owned() }),
        ..entry(at, "-")
    };
    let told = (0..9).zip(catalogs.iter().cycle()).map(|(n, catalog)| {
        catalog.record(vec![
            refusal(n),
            refusal(n + 1),
            AuditEntry { project: project.clone(), ..entry(at, "x") },
        ])
    });
    assert!(join_all(told).await.iter().all(Result::is_ok));
    let rows = catalogs[0].audit(&project, None, 100).await.unwrap();
    assert_eq!(rows.iter().filter(|row| row.entry.refused.is_some()).count(), 1, "one of a minute");
    assert_eq!(rows.len(), 10);

    let key = NewKey {
        id: KeyId::new("0123456789abcdef"),
        project: project.clone(),
        role: Role::Admin,
        name: "a \0 in a name".to_owned(),
        hash: SecretHash([7; 32]),
        at,
        by: "somebody".to_owned(),
        expires_at: None,
        limits: KeyLimits::default(),
    };
    let key = catalogs[0].make_key(key).await.unwrap();
    assert_eq!(key.name, "a \u{fffd} in a name");
    assert_eq!(catalogs[1].key(&key.id).await.unwrap(), Some(key.clone()));
    let ends = join_all(catalogs.iter().map(|catalog| catalog.delete_project(&project, at))).await;
    let ends: Vec<Deleted> = ends.into_iter().map(|end| end.unwrap()).collect();
    assert_eq!(ends.iter().filter(|end| **end == Deleted::Done).count(), 1, "{ends:?}");
    assert_eq!(catalogs[2].key(&key.id).await.unwrap(), None);
}
