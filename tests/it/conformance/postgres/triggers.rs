//! Triggers on a server, which several processes look after.

use super::{Database, full};
use crate::harness::{Pooler, Postgres};
use callboard_catalog::{Catalog, Link, PostgresCatalog, SqliteCatalog, suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_pass_their_part_of_the_suite() {
    suite::triggers::all(&Database::make().await.open().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn triggers_pass_their_part_of_the_suite_through_one_connection() {
    let database = Database::make().await;
    let pooler: Pooler = Postgres::shared().await.pooler(1).await;
    let link = Link::read(&pooler.url(&database.name), true).unwrap();
    suite::triggers::all(&PostgresCatalog::open(link).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_catalogs_answer_alike_about_triggers() {
    let (seeds, calls) = if full() { (10, 5_000) } else { (3, 900) };
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..seeds {
        let database = Database::make().await;
        let postgres = database.open().await;
        let sqlite = SqliteCatalog::open(dir.path().join(format!("{seed}.db"))).await.unwrap();
        let mut chance = suite::random::Chance::new(seed);
        for n in 0..calls {
            // Workflows come and go meanwhile.
            let [expected, found] = match n % 4 == 3 {
                true => suite::random::call(&mut chance, &sqlite, &postgres).await,
                false => suite::random::pull(&mut chance, &sqlite, &postgres).await,
            };
            assert_eq!(found, expected, "call {n} of seed {seed}");
        }
        sqlite.close().await;
        postgres.close().await;
    }
}
