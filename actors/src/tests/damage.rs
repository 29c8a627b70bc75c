//! Documents and parts that are rubbish, of runs and of agents: their histories are whole, so they go on.

use super::*;
use crate::document::{Document, HeadPart, decode, form::MAGIC};
use callboard_connectors::model::Script;
use callboard_sidecar::client::{Fence, Save, Ttl};

/// Rounds enough for a snapshot with pages, then a wait.
fn long() -> Value {
    json!({"name": "long", "nodes": [
        {"id": "each", "type": "for_each", "config": {"items": "range(150) | list", "parallel": 8, "body": {"nodes": [
            {"id": "t", "type": "transform", "config": {"input": "[1]", "rules": [
                {"source": ".", "target": "n", "type": "map", "config": {"value": "'xxxxxxxxxxxxxxxxxxxxxxxxxxxx'"}}]}}
        ]}}},
        {"id": "go", "type": "signal", "config": {"name": "go"}}
    ], "edges": [{"source": "each", "target": "go"}], "output": "{{ steps.each.output | length }}"})
}

impl World {
    pub(super) async fn stored(&self, key: &str) -> Vec<u8> {
        let entry = self.sidecar.get("statestore", key).await.expect("a store");
        entry.map(|e| e.data.to_vec()).unwrap_or_default()
    }

    pub(super) async fn overwrite(&self, key: &str, data: &[u8]) {
        let data = Bytes::copy_from_slice(data);
        let save = Save { key: key.to_owned(), data, fence: Fence::None, ttl: Ttl::Keep };
        self.sidecar.save("statestore", vec![save]).await.expect("saved");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_document_is_rebuilt_and_a_newer_one_is_left_alone() {
    for named_documents in [false, true] {
        rebuild(named_documents).await;
    }
}

async fn rebuild(named_documents: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = || Settings { named_documents, ..Settings::default() };
    let mut world = World::start(folder.path(), settings()).await;
    let whole = {
        world.call("r0", "start", json!({"definition": long()})).await;
        world.until("r0", "waiting").await;
        world.stored(&run_id("r0").document_key()).await
    };
    let mut flipped = whole.clone();
    flipped[4] ^= 1;
    let content = &whole[if named_documents { 5 } else { 2 }..];
    let rubbish: Vec<Vec<u8>> = vec![
        b"\"rubbish\"".to_vec(),
        b"{}".to_vec(),
        b"<html>oops</html>".to_vec(),
        vec![0; 100],
        whole[..whole.len() / 2].to_vec(),
        [b"\x98", content].concat(),
        [&whole[..1], b"\x02", &whole[2..]].concat(),
        [&MAGIC[..], b"\x02whatever it is"].concat(),
        [&MAGIC[..], b"\x02", &whole[..]].concat(),
        flipped,
    ];
    for n in 0..rubbish.len() {
        world.call(&format!("r{n}"), "start", json!({"definition": long()})).await;
        world.until(&format!("r{n}"), "waiting").await;
    }
    world.stop().await;
    world = World::start(folder.path(), settings()).await;
    for (n, rubbish) in rubbish.iter().enumerate() {
        let run = format!("r{n}");
        world.overwrite(&run_id(&run).document_key(), rubbish).await;
        let answer = world.call(&run, "signal", json!({"name": "go", "data": n})).await;
        assert!(answer["error"].is_null(), "{n}: {answer}");
        assert_eq!(world.until(&run, "completed").await["output"], 150, "{n}");
    }
    let newer = [&MAGIC[..], b"\x03whatever it is"].concat();
    world.call("new", "start", json!({"definition": waiting()})).await;
    world.stop().await;
    world = World::start(folder.path(), settings()).await;
    world.overwrite(&run_id("new").document_key(), &newer).await;
    let answer = world.call("new", "signal", json!({"name": "go"})).await;
    assert_eq!(answer["error"]["code"], "newer_version", "{answer}");
    assert_eq!(world.stored(&run_id("new").document_key()).await, newer, "nothing is written over it");
    world.stop().await;
}

fn waiting() -> Value {
    json!({"name": "waiting", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_parts_of_a_snapshot_are_taken_from_the_history() {
    for named_documents in [false, true] {
        take_parts(named_documents).await;
    }
}

async fn take_parts(named_documents: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = || Settings { named_documents, ..Settings::default() };
    let mut world = World::start(folder.path(), settings()).await;
    for run in ["head", "pages", "cut", "other", "later"] {
        world.call(run, "start", json!({"definition": long()})).await;
        world.until(run, "waiting").await;
    }
    world.stop().await;
    world = World::start(folder.path(), settings()).await;
    for run in ["head", "pages", "cut", "other", "later"] {
        let doc = Document::decode(&world.stored(&run_id(run).document_key()).await).expect("a document");
        let snapshot = doc.snapshot.expect("a snapshot");
        let head = run_id(run).value_key(&snapshot.key);
        let part = decode::<HeadPart>(&world.stored(&head).await).expect("a head");
        assert!(!part.pages.is_empty(), "pages");
        match run {
            "head" => world.overwrite(&head, b"rubbish").await,
            "cut" => {
                let page = run_id(run).value_key(&part.pages[0].key);
                let data = world.stored(&page).await;
                world.overwrite(&page, &data[..data.len() / 2]).await;
            }
            // No document names a part of a version that is later than its own.
            "later" => {
                let page = run_id(run).value_key(&part.pages[0].key);
                let data = world.stored(&page).await;
                world.overwrite(&page, &[&MAGIC[..], &[3], &data].concat()).await;
            }
            // A page that reads, but is another one: an empty list.
            "other" => world.overwrite(&run_id(run).value_key(&part.pages[0].key), b"\x90").await,
            _ => {
                for page in &part.pages {
                    world.overwrite(&run_id(run).value_key(&page.key), b"{}").await;
                }
            }
        }
        let answer = world.call(run, "signal", json!({"name": "go"})).await;
        assert!(answer["error"].is_null(), "{run}: {answer}");
        assert_eq!(world.until(run, "completed").await["output"], 150, "{run}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_whose_document_is_damaged_is_asked_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let agents = json!({
        "agents": {"a": {"model": "scripted", "tools": ["add"]}},
        "tools": {"add": {"description": "Adds.", "type": "expression", "config": {"value": "1 + 1"}}}
    });
    let script = "rules: [{replies: [{tool_calls: [{name: add}]}, {text: two, delay: 2s}]}]";
    let models =
        || ModelsConfig { script: Script::read(script).expect("a script"), ..ModelsConfig::default() };
    let settings = || Settings { haste: 20, ..Settings::default() };
    let mut world = World::with(folder.path(), settings(), agents.clone(), models()).await;
    let key = "{r1}.a.one.1._";
    world.call("r1", "start", json!({"definition": {"name": "one", "nodes": [agent("one", "p")]}})).await;
    while world.stored(key).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    world.stop().await;
    // Its model is still to be asked again: the process went away in the middle.
    world = World::with(folder.path(), settings(), agents, models()).await;
    world.overwrite(key, b"{\"rubbish\": true}").await;
    assert_eq!(world.until("r1", "completed").await["output"], "two");
    world.stop().await;
}
