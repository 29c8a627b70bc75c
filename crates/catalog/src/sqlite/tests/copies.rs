//! A file that is copied while it is written, one that is only read, and one of another release.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_ends_while_others_write_and_holds_what_was_there() {
    let (dir, path) = file();
    let catalog = std::sync::Arc::new(SqliteCatalog::open(&path).await.unwrap());
    let run = fresh::<RunId>();
    catalog.append(batch(&run, 1, 40, "a")).await.unwrap();
    let busy = tokio::spawn({
        let (catalog, run) = (catalog.clone(), fresh::<RunId>());
        async move {
            for n in 0.. {
                catalog.append(batch(&run, n + 1, 1, "a")).await.unwrap();
            }
        }
    });
    for n in 0..5 {
        let copy = dir.path().join(format!("copy{n}.db"));
        SqliteCatalog::copy(&path, &copy).await.unwrap();
        let copied = SqliteCatalog::open_to_read(&copy).await.unwrap();
        assert_eq!(copied.history(&run, 0, 100).await.unwrap(), entries(1, 40, "a"));
        assert_eq!(copied.check().await.unwrap(), Vec::<String>::new());
        let words = crate::Words::parse(run.name()).unwrap();
        let search = crate::Search { words, workflow_id: None, from: None, to: None };
        let found = crate::Survey::search_runs(&copied, &DEFAULT, search, None, 10).await.unwrap();
        assert_eq!(found.len(), 1, "the index of words is a copy, too");
        copied.close().await;
        let beside: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let left = |name: &str| beside.iter().any(|found| found.to_string_lossy() == name);
        assert!(!left(&format!("copy{n}.db-wal")) && !left(&format!("copy{n}.db-journal")), "{beside:?}");
    }
    busy.abort();
    assert!(
        SqliteCatalog::copy(&path, dir.path().join("copy0.db")).await.is_err(),
        "nothing is written over"
    );
}

#[tokio::test]
async fn a_file_that_is_only_read_takes_no_change() {
    let (_dir, path) = file();
    SqliteCatalog::open(&path).await.unwrap().close().await;
    let bytes = std::fs::read(&path).unwrap();
    let catalog = SqliteCatalog::open_to_read(&path).await.unwrap();
    assert!(catalog.append(batch(&fresh(), 1, 1, "a")).await.is_err());
    assert!(catalog.count_on("x", 0).await.is_err());
    assert_eq!(catalog.mark().await.unwrap(), None);
    catalog.close().await;
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

async fn told(path: &Path, sql: &'static str) -> String {
    let catalog = SqliteCatalog::open(path).await.unwrap();
    catalog
        .writer
        .job(move |c| {
            Box::pin(async move {
                sqlx::query(sql).execute(c).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
    catalog.close().await;
    SqliteCatalog::open(path).await.err().map(|error| error.to_string()).unwrap_or_default()
}

#[tokio::test]
async fn a_file_of_another_release_is_said_to_be_that() {
    let (_dir, path) = file();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time)
        values (99, 'later', true, x'00', 0)";
    let said = told(&path, newer).await;
    assert!(said.contains("migration 99 is newer than this program"), "{said}");
    assert!(SqliteCatalog::open_to_read(&path).await.is_err());
    let (_dir, path) = file();
    let said = told(&path, "update _sqlx_migrations set checksum = x'00' where version = 3").await;
    assert!(said.contains("migration 3 is not the one of this release"), "{said}");
    let (_dir, path) = file();
    told(&path, "delete from _sqlx_migrations where version > 8").await;
    // It can't be brought up to date either: its tables are of now.
    let said = SqliteCatalog::open_to_read(&path).await.err().map(|error| error.to_string());
    assert!(said.as_ref().is_some_and(|said| said.contains("is at migration 8")), "{said:?}");
}
