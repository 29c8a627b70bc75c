//! Behind a pooler in transaction mode, which lends a connection from `begin` to `commit` and then to somebody else.

use super::Database;
use crate::harness::{Pooler, Postgres};
use callboard_catalog::{Journal, Link, PostgresCatalog, RunFilter, suite};
use callboard_core::id::{ProjectId, RunId};

async fn pooled(database: &Database, connections: u32) -> (Pooler, Link) {
    let pooler = Postgres::shared().await.pooler(connections).await;
    let link = Link::read(&pooler.url(&database.name), true).unwrap();
    (pooler, link)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_through_one_connection() {
    let database = Database::make().await;
    let (_pooler, link) = pooled(&database, 1).await;
    suite::all(&PostgresCatalog::open(link).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_suite_passes_through_two_connections() {
    let database = Database::make().await;
    let (_pooler, link) = pooled(&database, 2).await;
    suite::all(&PostgresCatalog::open(link).await.unwrap()).await;
}

/// Each has a project, and sees what is its own however their statements take turns on the connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clients_of_one_connection_do_not_meet() {
    let database = Database::make().await;
    let (_pooler, link) = pooled(&database, 1).await;
    let client = |project: &'static str| {
        let link = link.clone();
        tokio::spawn(async move {
            let catalog = PostgresCatalog::open(link).await.unwrap();
            let project: ProjectId = project.parse().unwrap();
            for n in 0..60 {
                let run = RunId::new(&project, &format!("run-{n}")).unwrap();
                catalog.append(suite::batch(&run, 1, 3, project.as_str())).await.unwrap();
                let (history, listed) = tokio::join!(
                    catalog.history(&run, 0, 10),
                    catalog.runs(&project, RunFilter::default(), None, 100)
                );
                assert_eq!(history.unwrap(), suite::entries(1, 3, project.as_str()));
                let listed = listed.unwrap();
                assert_eq!(listed.len(), n + 1);
                assert!(listed.iter().all(|row| *row.id.project() == project));
            }
        })
    };
    let (one, other) = tokio::join!(client("one"), client("other"));
    one.unwrap();
    other.unwrap();
}
