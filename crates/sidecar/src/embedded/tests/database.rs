//! The file of a server: copied while it is written, marked, looked through; one bad row of it.

use crate::Fence;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_ends_while_others_write_and_holds_what_was_there() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    sidecar.save("statestore", save("{r}.doc", "a", Fence::None, Ttl::Keep)).await.unwrap();
    let mark = Mark { installation: "one".to_owned(), generation: 7 };
    let file = place.0.path().join("sidecar.db");
    assert_eq!(Database::open(&file).unwrap().mark().unwrap(), None);
    server.marker().set(&mark).await.unwrap();
    let busy = tokio::spawn({
        let sidecar = sidecar.clone();
        async move {
            for n in 0.. {
                let value = format!("{n}");
                sidecar.save("statestore", save("busy", &value, Fence::None, Ttl::Keep)).await.unwrap();
            }
        }
    });
    for n in 0..5 {
        let into = place.0.path().join(format!("copy{n}.db"));
        let from = Database::open(&file).unwrap();
        tokio::task::block_in_place(|| from.copy(&into)).unwrap();
        let copy = Database::open(&into).unwrap();
        assert_eq!(copy.check().unwrap(), Vec::<String>::new());
        assert_eq!(copy.mark().unwrap().as_ref(), Some(&mark));
        let keys = copy.keys("}.doc", 10).unwrap();
        assert_eq!(keys.len(), 1, "{keys:?}");
        assert!(keys[0].name.ends_with("{r}.doc"), "{keys:?}");
        assert_eq!(copy.get(&keys[0]).unwrap().as_deref(), Some(&b"a"[..]));
        assert_eq!(copy.keys("r}.docs", 10).unwrap(), []);
        drop(copy);
        assert!(!place.0.path().join(format!("copy{n}.db-wal")).exists());
        assert!(from.copy(&into).is_err(), "nothing is written over");
    }
    busy.abort();
    server.shutdown().await;
    let left = std::fs::metadata(place.0.path().join("sidecar.db-wal")).map_or(0, |found| found.len());
    assert_eq!(left, 0, "the log is folded into the file");
}

#[tokio::test]
async fn a_mark_stays_and_follows_the_last_one() {
    let place = Place::new();
    for generation in [3, 9, 4] {
        let server = place.start(App::None).await;
        server.marker().set(&Mark { installation: format!("n{generation}"), generation }).await.unwrap();
        server.shutdown().await;
        let mark = Database::open(&place.0.path().join("sidecar.db")).unwrap().mark().unwrap();
        assert_eq!(mark, Some(Mark { installation: format!("n{generation}"), generation }));
    }
}

#[test]
fn what_is_no_file_of_ours_is_refused_and_an_empty_one_has_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sidecar.db");
    assert!(Database::open(&file).is_err(), "there is none");
    std::fs::write(&file, "").unwrap();
    let empty = Database::open(&file).unwrap();
    assert_eq!((empty.mark().unwrap(), empty.keys("", 9).unwrap().len()), (None, 0));
    std::fs::write(&file, "rubbish, and more of it than a header has: it is no database").unwrap();
    assert!(Database::open(&file).err().is_some_and(|error| error.to_string().contains("sidecar.db")));
    let newer = folder.path().join("newer.db");
    rusqlite::Connection::open(&newer).unwrap().execute_batch("pragma user_version = 2").unwrap();
    let error = Database::open(&newer).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("layout 2 is newer than this program's 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_row_refuses_its_own_write_and_no_neighbours() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    sidecar.save("statestore", save("bad", "a", Fence::None, Ttl::Keep)).await.unwrap();
    let file = rusqlite::Connection::open(place.0.path().join("sidecar.db")).unwrap();
    let trigger = "create trigger bad before update on state when old.key like '%bad' begin select raise(abort, 'bad page'); end";
    file.execute_batch(trigger).unwrap();
    for round in 0..20 {
        let saves = (0..40).map(|n| {
            let sidecar = sidecar.clone();
            async move {
                let key = if n == 7 { "bad".to_owned() } else { format!("good{n}") };
                let value = format!("{round}");
                (n, sidecar.save("statestore", save(&key, &value, Fence::None, Ttl::Keep)).await.is_ok())
            }
        });
        for (n, saved) in futures::future::join_all(saves).await {
            assert_eq!(saved, n != 7, "{n} in round {round}");
        }
        sidecar.publish(message("pubsub", "topic", "1")).await.unwrap();
    }
    let found = sidecar.get("statestore", "good8").await.unwrap().unwrap();
    assert_eq!(&found.data[..], b"19");
    server.shutdown().await;
}
