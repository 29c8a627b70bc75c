//! Calls by chance on both catalogs: whatever SQLite answers, so does Postgres.

use super::{Database, full};
use callboard_catalog::{Catalog, SqliteCatalog, suite::random};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_catalogs_answer_alike() {
    let (seeds, calls) = if full() { (20, 5_000) } else { (5, 1_000) };
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..seeds {
        let database = Database::make().await;
        let postgres = database.open().await;
        let sqlite = SqliteCatalog::open(dir.path().join(format!("{seed}.db"))).await.unwrap();
        let mut chance = random::Chance::new(seed);
        for n in 0..calls {
            let [expected, found] = random::call(&mut chance, &sqlite, &postgres).await;
            assert_eq!(found, expected, "call {n} of seed {seed}");
        }
        sqlite.close().await;
        postgres.close().await;
    }
    println!("{} calls", seeds * calls);
}
