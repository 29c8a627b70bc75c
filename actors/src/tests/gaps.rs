//! A catalog that is older than the state store: such a run is said to have a gap, and can be given up.

use super::*;
use crate::{
    document,
    verify::{Kept, run as verified, without_history},
};
use callboard_catalog::{Append, Catalog, NO_HASH, RunProjection};
use callboard_core::{
    Hash,
    workflow::{Event, What},
};
use callboard_sidecar::embedded::{Database, Key};

/// Waits, then makes enough events that its document no longer has them all, and waits again.
fn long() -> Value {
    json!({"name": "long", "nodes": [
        {"id": "first", "type": "signal", "config": {"name": "first"}},
        {"id": "each", "type": "for_each", "config": {"items": "range(150) | list", "parallel": 8, "body": {"nodes": [
            {"id": "t", "type": "transform", "config": {"input": "[1]", "rules": [
                {"source": ".", "target": "n", "type": "map", "config": {"value": "'xxxxxxxxxxxxxxxxxxxxxxxxxxxx'"}}]}}
        ]}}},
        {"id": "go", "type": "signal", "config": {"name": "go"}}
    ], "edges": [{"source": "first", "target": "each"}, {"source": "each", "target": "go"}],
        "output": "{{ steps.each.output | length }}"})
}

/// Verifies a run of a folder on which nobody works.
async fn wrong(folder: &Path, run: &str) -> Vec<String> {
    let sidecar = Database::open(&folder.join("sidecar.db")).expect("a file");
    let documents = sidecar.keys("}.doc", 1).expect("keys");
    let (store, name) = documents.first().map(|key| (key.store.clone(), key.name.clone())).expect("a key");
    let prefix = name.rfind("||").map_or("", |at| &name[..at + 2]).to_owned();
    let stored = |key: &str| {
        sidecar.get(&Key { store: store.clone(), name: format!("{prefix}{key}") }).expect("a file")
    };
    let catalog = SqliteCatalog::open_to_read(folder.join("catalog.db")).await.expect("a catalog");
    verified(&Kept { catalog: &catalog, stored: &stored }, &run_id(run)).await.expect("a catalog")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_a_gap_says_so_and_can_be_cancelled_and_run_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    let catalog = folder.path().join("catalog.db");
    world.call("r1", "start", json!({"definition": long()})).await;
    world.until("r1", "waiting").await;
    let older = folder.path().join("older.db");
    SqliteCatalog::copy(&catalog, &older).await.expect("copied");
    let known = SqliteCatalog::open_to_read(&older).await.expect("a copy");
    let end = known.history(&run_id("r1"), 0, 100).await.expect("a history").len();
    world.call("r1", "signal", json!({"name": "first"})).await;
    for _ in 0..400 {
        let history = world.catalog.history(&run_id("r1"), 0, 10_000).await.expect("a history");
        if history.iter().any(|entry| entry.event.contains("\"go\"") && entry.seq > 100) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    world.until("r1", "waiting").await;
    let opened = world.catalog.clone();
    world.stop().await;
    opened.close().await;
    assert_eq!(wrong(folder.path(), "r1").await, Vec::<String>::new());

    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("catalog.db{end}")));
    }
    std::fs::copy(&older, &catalog).expect("put back");
    let found = wrong(folder.path(), "r1").await;
    assert!(found.len() == 1 && found[0].contains("history_gap"), "{found:?}");
    let world = World::start(folder.path(), Settings::default()).await;
    for (method, body) in [("status", json!({})), ("signal", json!({"name": "go"})), ("pause", json!({}))] {
        let answer = world.call("r1", method, body).await;
        assert_eq!(answer["error"]["code"], "history_gap", "{method}: {answer:#}");
    }
    assert_eq!(world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history").len(), end);
    let cancelled = world.call("r1", "cancel", json!({})).await;
    assert_eq!(cancelled["status"], "cancelled", "{cancelled:#}");
    world.call("r1", "rerun", json!({"from": "first"})).await;
    world.until("r1", "waiting").await;
    world.stop().await;
    assert_eq!(wrong(folder.path(), "r1").await, Vec::<String>::new(), "it is one history again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_damaged_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    world.call("r1", "start", json!({"definition": long(), "input": {"text": "x".repeat(3000)}})).await;
    world.until("r1", "waiting").await;
    let document = world.stored(&run_id("r1").document_key()).await;
    assert_eq!(without_history(&document), None, "it has all of its events");
    assert!(without_history(b"rubbish").is_some_and(|why| why.contains("can't be read")));
    let history = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history");
    let first: What = serde_json::from_str::<Event>(&history[0].event).expect("an event").what;
    let keys: Vec<String> =
        first.data().into_iter().filter_map(|d| Some(d.reference()?.key.clone())).collect();
    let values = world.catalog.values(&run_id("r1"), &keys).await.expect("values");
    assert!(!values.is_empty(), "the input is a value of its own");

    let unknown = r#"{"at": 1, "type": "of_tomorrow"}"#.to_owned();
    let torn = |n: usize| {
        let mut history = history.clone();
        history[n].hash = Hash::of(b"another");
        history
    };
    let mut newer = history.clone();
    let last = newer.last_mut().expect("an entry");
    let before = history[history.len() - 2].hash;
    (last.hash, last.event) = (document::next_hash(before, &unknown), unknown);
    for (name, entries, values, expected) in [
        ("whole", history.clone(), values.clone(), None),
        ("torn", torn(1), values.clone(), Some("does not go on from event 1")),
        ("newer", newer, values.clone(), Some("newer version")),
        ("bare", history.clone(), BTreeMap::new(), Some("is in neither file")),
    ] {
        let run = run_id(name);
        let row =
            RunProjection { status: "waiting".to_owned(), summary: "{}".to_owned(), ..Default::default() };
        let values = values.into_iter().collect();
        let append = Append {
            run: run.clone(),
            first_seq: 1,
            prev_hash: NO_HASH,
            entries,
            values,
            next_check_at: None,
            row,
        };
        world.catalog.append(append).await.expect("appended");
        let found = verified(&Kept { catalog: &*world.catalog, stored: &|_| None }, &run).await;
        let found = found.expect("a catalog");
        match expected {
            None => assert_eq!(found, Vec::<String>::new(), "{name}"),
            Some(part) => assert!(found.iter().any(|what| what.contains(part)), "{name}: {found:?}"),
        }
    }
    world.stop().await;
}
