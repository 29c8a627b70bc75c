//! State over the embedded server.

use crate::{Error, Fence};

use super::*;

#[tokio::test]
async fn etags_count_up_and_fences_hold() {
    let place = Place::new();
    let server = place.start(App::None).await;
    for (n, sidecar) in clients(&server).into_iter().enumerate() {
        let key = format!("{{r{n}}}.doc");
        assert_eq!(sidecar.get("statestore", &key).await.unwrap(), None);
        sidecar.save("statestore", save(&key, "a", Fence::FirstWrite, Ttl::Keep)).await.unwrap();
        assert!(sidecar.save("statestore", save(&key, "b", Fence::FirstWrite, Ttl::Keep)).await.is_err());
        sidecar.save("statestore", save(&key, "c", Fence::Etag("1".into()), Ttl::Keep)).await.unwrap();
        let stale = sidecar.save("statestore", save(&key, "d", Fence::Etag("1".into()), Ttl::Keep)).await;
        assert!(matches!(stale, Err(Error::Conflict(_))), "{stale:?}");
        let entry = sidecar.get("statestore", &key).await.unwrap().unwrap();
        assert_eq!((&entry.data[..], entry.etag.as_str()), (&b"c"[..], "2"));
        assert!(matches!(sidecar.delete("statestore", &key, Some("1")).await, Err(Error::Conflict(_))));
        sidecar.delete("statestore", &key, Some("2")).await.unwrap();
        sidecar.delete("statestore", &key, None).await.unwrap();
        let fenced = sidecar.save("statestore", save(&key, "e", Fence::Etag("2".into()), Ttl::Keep)).await;
        assert!(matches!(fenced, Err(Error::Conflict(_))), "{fenced:?}");
        sidecar.save("statestore", save(&key, "f", Fence::None, Ttl::Keep)).await.unwrap();
        assert_eq!(sidecar.get("statestore", &key).await.unwrap().unwrap().etag, "1");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn keys_expire_unless_they_are_made_to_stay() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    for key in ["gone", "kept", "inherited"] {
        sidecar.save("statestore", save(key, "a", Fence::None, Ttl::Seconds(1))).await.unwrap();
    }
    sidecar.save("statestore", save("kept", "b", Fence::None, Ttl::Persist)).await.unwrap();
    sidecar.save("statestore", save("inherited", "b", Fence::None, Ttl::Keep)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1050)).await;
    let keys = vec!["gone".to_owned(), "kept".to_owned(), "inherited".to_owned()];
    let found = sidecar.get_bulk("statestore", keys).await.unwrap();
    assert_eq!(found.keys().collect::<Vec<_>>(), ["kept"]);
    sidecar.save("statestore", save("gone", "c", Fence::FirstWrite, Ttl::Keep)).await.unwrap();
    assert_eq!(sidecar.get("statestore", "gone").await.unwrap().unwrap().etag, "1");
    server.shutdown().await;
}

#[tokio::test]
async fn bad_keys_and_unknown_stores_are_told_apart() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    assert!(matches!(sidecar.get("statestore", "a||b").await, Err(Error::Invalid(_))));
    assert!(matches!(sidecar.get("nowhere", "a").await, Err(Error::Invalid(_))));
    let word = sidecar.save("statestore", save("a", "x", Fence::Etag("abc".into()), Ttl::Keep)).await;
    assert!(matches!(word, Err(Error::Invalid(_))), "{word:?}");
    server.shutdown().await;
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let place = Place::new();
    let server = place.start(App::None).await;
    server.sidecar().save("statestore", save("a", "x", Fence::None, Ttl::Keep)).await.unwrap();
    // Not shut down: the second server reads what the first has committed.
    std::mem::forget(server);
    let second = place.start(App::None).await;
    assert_eq!(&second.sidecar().get("statestore", "a").await.unwrap().unwrap().data[..], b"x");
    second.shutdown().await;
}

#[tokio::test]
async fn a_transaction_is_all_or_nothing() {
    use dapr::dapr::proto::common::v1::{Etag, StateItem};
    use dapr::dapr::proto::runtime::v1::{ExecuteStateTransactionRequest, TransactionalStateOperation};
    let place = Place::new();
    let server = place.start(App::None).await;
    let sidecar = server.sidecar();
    let operation = |key: &str, etag: Option<&str>| TransactionalStateOperation {
        operation_type: "upsert".into(),
        request: Some(StateItem {
            key: key.into(),
            value: b"x".to_vec(),
            etag: etag.map(|value| Etag { value: value.into() }),
            ..StateItem::default()
        }),
    };
    let transaction = |operations| ExecuteStateTransactionRequest {
        store_name: "statestore".into(),
        operations,
        ..Default::default()
    };
    let bad = transaction(vec![operation("a", None), operation("b", Some("9")), operation("c", None)]);
    let status = sidecar.raw().execute_state_transaction(bad).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
    assert_eq!(sidecar.get("statestore", "a").await.unwrap(), None);
    let good = transaction(vec![operation("a", None), operation("c", None)]);
    sidecar.raw().execute_state_transaction(good).await.unwrap();
    assert!(sidecar.get("statestore", "c").await.unwrap().is_some());
    server.shutdown().await;
}

#[tokio::test]
async fn a_message_over_four_mebibytes_is_refused() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let large = "x".repeat(5 << 20);
    for sidecar in clients(&server) {
        let refused = sidecar.save("statestore", save("a", &large, Fence::None, Ttl::Keep)).await;
        assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
        let fits = "x".repeat(3 << 20);
        sidecar.save("statestore", save("a", &fits, Fence::None, Ttl::Keep)).await.unwrap();
        assert_eq!(sidecar.get("statestore", "a").await.unwrap().unwrap().data.len(), 3 << 20);
    }
    server.shutdown().await;
}

/// Runs in a process of its own, started and killed by the test below.
#[tokio::test]
#[ignore = "the victim of the next test"]
async fn a_process_that_saves_until_it_is_killed() {
    let Some(folder) = std::env::var_os("VICTIM") else { return };
    let folder = PathBuf::from(folder);
    let config = Config {
        app_id: "app".into(),
        database: folder.join("sidecar.db"),
        components: folder.join("components"),
        http: None,
        grpc: None,
        api_token: None,
        app_token: None,
        app: App::None,
    };
    let sidecar = Server::start(config).await.map(|server| {
        let sidecar = server.sidecar();
        std::mem::forget(server);
        sidecar
    });
    let sidecar = sidecar.unwrap();
    let mut writers = Vec::new();
    for writer in 0..8 {
        let sidecar = sidecar.clone();
        writers.push(tokio::spawn(async move {
            for n in 0.. {
                let key = format!("{writer}-{n}");
                sidecar.save("statestore", save(&key, "x", Fence::None, Ttl::Keep)).await.unwrap();
                println!("saved {key} end");
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill_9() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let place = Place::new();
    let mut victim = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--nocapture", "--exact"])
        .arg("embedded::tests::state::a_process_that_saves_until_it_is_killed")
        .env("VICTIM", place.0.path())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines();
    let mut saved = Vec::new();
    while let Ok(Some(line)) = lines.next_line().await {
        // Only whole lines count; the last one may be torn.
        if let Some(key) = line.split_once("saved ").and_then(|(_, rest)| rest.strip_suffix(" end")) {
            saved.push(key.to_owned());
        }
        if saved.len() == 500 {
            victim.start_kill().unwrap();
        }
    }
    victim.wait().await.unwrap();
    assert!(saved.len() >= 500);
    let server = place.start(App::None).await;
    let found = server.sidecar().get_bulk("statestore", saved.clone()).await.unwrap();
    assert_eq!(found.len(), saved.len());
    server.shutdown().await;
}
