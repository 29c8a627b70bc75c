//! Which installation a catalog on a server is of, and how far it has come.

use super::Database;
use callboard_catalog::{Catalog, SqliteCatalog, suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn marks_pass_their_part_of_the_suite_and_both_catalogs_answer_alike() {
    suite::marks(&Database::make().await.open().await).await;
    let dir = tempfile::tempdir().unwrap();
    let postgres = Database::make().await.open().await;
    let sqlite = SqliteCatalog::open(dir.path().join("catalog.db")).await.unwrap();
    let mut chance = suite::random::Chance::new(1);
    for n in 0..200 {
        let [expected, found] = suite::random::count(&mut chance, &sqlite, &postgres).await;
        assert_eq!(found, expected, "call {n}");
    }
    sqlite.close().await;
    postgres.close().await;
}
