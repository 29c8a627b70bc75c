//! Documents of both versions beside each other, and files from the future: what a newer version wrote is left alone.

use super::*;
use crate::{
    AGENT,
    agent::Document as AgentDocument,
    document::{self, Document, HeadPart, Snapshot, Version, form::MAGIC},
};
use callboard_catalog::{Append, Entry, RunProjection};
use callboard_core::{Hash, Timestamp, agent::run::Phase};
use serde::Serialize;
use std::time::Duration;

/// Written by a later release in version 2: with fields that this one does not know.
#[derive(Serialize)]
struct Future {
    v: u8,
    mood: String,
    seq: u64,
    hash: Hash,
    snapshot: Option<Snapshot>,
    tail_from: u64,
    base_hash: Hash,
    tail: Vec<String>,
    published: u64,
}

impl Future {
    fn of(doc: &Document) -> Self {
        Self {
            v: 2,
            mood: "good".into(),
            seq: doc.seq,
            hash: doc.hash,
            snapshot: doc.snapshot.clone(),
            tail_from: doc.tail_from,
            base_hash: doc.base_hash,
            tail: doc.after(0).map(|(_, kept)| kept.json().into_owned()).collect(),
            published: doc.published,
        }
    }

    fn and(mut self, event: &str) -> Self {
        self.seq += 1;
        self.hash = document::next_hash(self.hash, event);
        self.tail.push(event.to_owned());
        self
    }

    fn bytes(&self) -> Vec<u8> {
        document::encode(self, Version::Named)
    }
}

fn named(named_documents: bool) -> Settings {
    Settings { named_documents, ..Settings::default() }
}

fn waiting() -> Value {
    json!({"name": "waiting", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]})
}

/// A run that waits, as its process left it.
async fn left(folder: &Path, run: &str) -> Document {
    let world = World::start(folder, named(true)).await;
    world.call(run, "start", json!({"definition": waiting()})).await;
    world.until(run, "waiting").await;
    world.stop().await;
    let world = World::start(folder, named(false)).await;
    let doc = Document::decode(&world.stored(&run_id(run).document_key()).await).expect("a document");
    world.stop().await;
    assert_eq!(doc.version(), Version::Named);
    doc
}

/// Puts `data` in the place of a run's document: every call says that a newer version wrote it, and it stays.
async fn assert_left_alone(folder: &Path, run: &str, data: &[u8]) {
    let world = World::start(folder, named(false)).await;
    world.overwrite(&run_id(run).document_key(), data).await;
    for (method, body) in [("signal", json!({"name": "go"})), ("cancel", json!({})), ("status", json!({}))] {
        let answer = world.call(run, method, body).await;
        assert_eq!(answer["error"]["code"], "newer_version", "{method}: {answer}");
        assert_eq!(answer["error"]["status"], 503, "{method}: {answer}");
    }
    assert_eq!(world.stored(&run_id(run).document_key()).await, data, "nothing is written over it");
    world.stop().await;
    let world = World::start(folder, named(true)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.stored(&run_id(run).document_key()).await, data, "nor by the sweep of a start");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_version_or_event_is_not_known_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let doc = left(folder.path(), "r1").await;
    let known = Future::of(&doc).and(r#"{"at":1790000000000,"what":{"run_paused":{"op":"later"}}}"#);
    let kind = known.and(r#"{"at":1790000000001,"what":{"run_moved":{"op":"o","to":"eu"}}}"#);
    assert_left_alone(folder.path(), "r1", &kind.bytes()).await;
    for future in [
        [&MAGIC[..], b"\x03whatever it is"].concat(),
        [&MAGIC[..], &[3], &document::encode(&Future { v: 3, ..Future::of(&doc) }, Version::Named)[5..]]
            .concat(),
        [&MAGIC[..], &[200]].concat(),
    ] {
        assert_left_alone(folder.path(), "r1", &future).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_with_fields_that_are_not_known_is_journaled_and_kept_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let doc = left(folder.path(), "r1").await;
    let at = doc.tail.last().expect("an event").event.at.0;
    let paused =
        format!(r#"{{"at":{at},"what":{{"run_paused":{{"op":"p1","why":"lunch"}}}},"by":{{"who":"me"}}}}"#);
    let world = World::start(folder.path(), named(false)).await;
    world.overwrite(&run_id("r1").document_key(), &Future::of(&doc).and(&paused).bytes()).await;
    // As far as it is known: the run is paused, and can be resumed.
    let resumed = world.call("r1", "resume", json!({})).await;
    assert!(resumed["error"].is_null(), "{resumed:#}");
    let kept = Document::decode(&world.stored(&run_id("r1").document_key()).await).expect("a document");
    assert_eq!(kept.version(), Version::Named, "it is written as it was read");
    let texts: Vec<String> = kept.after(doc.seq).map(|(_, kept)| kept.json().into_owned()).collect();
    assert_eq!(texts[0], paused);
    assert!(texts[1].contains("run_resumed"), "{texts:?}");
    world.call("r1", "signal", json!({"name": "go"})).await;
    world.until("r1", "completed").await;
    world.stop().await;
    let world = World::start(folder.path(), named(false)).await;
    let history = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history");
    let mut hash = Hash::default();
    for entry in &history {
        hash = document::next_hash(hash, &entry.event);
        assert_eq!(hash, entry.hash, "event {}", entry.seq);
    }
    assert_eq!(history[doc.seq as usize].event, paused);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_document_is_not_rebuilt_from_a_history_that_is_not_known() {
    let folder = tempfile::tempdir().expect("a folder");
    let doc = left(folder.path(), "r1").await;
    let event = r#"{"at":1790000000001,"what":{"run_moved":{"op":"o","to":"eu"}}}"#.to_owned();
    let world = World::start(folder.path(), named(false)).await;
    let hash = document::next_hash(doc.hash, &event);
    let (seq, at) = (doc.seq + 1, Timestamp(1_790_000_000_001));
    let append = Append {
        run: run_id("r1"),
        first_seq: seq,
        prev_hash: doc.hash,
        entries: vec![Entry { seq, at, hash, event }],
        values: Vec::new(),
        next_check_at: None,
        row: RunProjection { status: "waiting".into(), summary: "{}".into(), ..RunProjection::default() },
    };
    world.catalog.append(append).await.expect("appended");
    world.stop().await;
    let behind = doc.encode();
    for data in [&b"rubbish"[..], &behind, &behind[..40]] {
        assert_left_alone(folder.path(), "r1", data).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_goes_on_from_one_version_to_the_other_and_not_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = run_id("r1").document_key();
    let pages = async |world: &World| {
        let doc = Document::decode(&world.stored(&key).await).expect("a document");
        let head = world.stored(&run_id("r1").value_key(&doc.snapshot.expect("a snapshot").key)).await;
        let part: HeadPart = document::decode(&head).expect("a head");
        let mut found = vec![head.starts_with(&MAGIC)];
        for page in &part.pages {
            found.push(world.stored(&run_id("r1").value_key(&page.key)).await.starts_with(&MAGIC));
        }
        found
    };
    let world = World::start(folder.path(), named(false)).await;
    world.call("r1", "start", json!({"definition": twice()})).await;
    world.until("r1", "waiting").await;
    let before = pages(&world).await;
    assert!(before.len() > 1 && before.iter().all(|named| !named), "{before:?}");
    world.stop().await;
    let world = World::start(folder.path(), named(true)).await;
    world.call("r1", "signal", json!({"name": "go"})).await;
    world.until("r1", "waiting").await;
    let between = pages(&world).await;
    assert!(between[0] && between.contains(&false) && between[1..].contains(&true), "{between:?}");
    world.stop().await;
    let world = World::start(folder.path(), named(false)).await;
    let doc = world.stored(&key).await;
    world.call("r1", "signal", json!({"name": "end"})).await;
    assert_eq!(world.until("r1", "completed").await["output"], 180);
    let after = world.stored(&key).await;
    assert!(doc.starts_with(&MAGIC) && after.starts_with(&MAGIC) && after != doc);
    world.stop().await;
}

/// Rounds enough for pages, a wait, the same again, and another wait.
fn twice() -> Value {
    let each = |id: &str| {
        json!({"id": id, "type": "for_each", "config": {"items": "range(90) | list", "parallel": 8, "body": {"nodes": [
            {"id": format!("{id}_t"), "type": "transform", "config": {"input": "[1]", "rules": [
                {"source": ".", "target": "n", "type": "map", "config": {"value": "'xxxxxxxxxxxxxxxxxxxxxxxxxxxx'"}}]}}
        ]}}})
    };
    let signal = |name: &str| json!({"id": name, "type": "signal", "config": {"name": name}});
    json!({
        "name": "twice",
        "nodes": [each("one"), signal("go"), each("two"), signal("end")],
        "edges": [{"source": "one", "target": "go"}, {"source": "go", "target": "two"}, {"source": "two", "target": "end"}],
        "output": "{{ (steps.one.output | length) + (steps.two.output | length) }}"
    })
}

/// An agent's document, as a later release writes it.
#[derive(Serialize)]
struct FutureAgent<'a> {
    v: u8,
    crew: &'a str,
    run: &'a callboard_core::agent::run::Run,
    target: Option<()>,
}

/// Returns an agent's document once its task's end is in it: an agent answers before that is saved.
async fn done(world: &World, key: &str) -> Vec<u8> {
    let saved = async {
        loop {
            let stored = world.stored(key).await;
            let read: Option<AgentDocument> = document::versioned(&stored).ok();
            if read.is_some_and(|read| matches!(read.run.phase, Phase::Done { .. })) {
                return stored;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), saved).await.expect("the end is saved")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_document_is_read_in_both_versions_and_left_alone_if_it_is_newer() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = "{alone}.a";
    let ask = json!({"agent": "a", "prompt": "p"});
    let world = World::start(folder.path(), named(true)).await;
    assert_eq!(world.invoke(AGENT, "alone", "execute", ask.clone()).await["status"], "completed");
    let stored = done(&world, key).await;
    world.stop().await;
    assert!(stored.starts_with(&MAGIC));
    let read: AgentDocument = document::versioned(&stored).expect("a document");
    let future = FutureAgent { v: 2, crew: "red", run: &read.run, target: None };

    let world = World::start(folder.path(), named(false)).await;
    world.overwrite(key, &document::encode(&future, Version::Named)).await;
    assert_eq!(world.invoke(AGENT, "alone", "status", json!({})).await["status"], "completed");
    // The next task's document is of the version that was read.
    assert_eq!(world.invoke(AGENT, "alone", "execute", ask.clone()).await["status"], "completed");
    let again: AgentDocument = document::versioned(&done(&world, key).await).expect("a document");
    assert_eq!((again.v, again.run.task.map(|task| task.attempt)), (Version::Named, Some(2)));

    for newer in [[&MAGIC[..], b"\x03whatever it is"].concat(), b"\x93\x02".to_vec()] {
        world.overwrite(key, &newer).await;
        let answer = world.invoke(AGENT, "alone", "execute", ask.clone()).await;
        assert_eq!(answer["error"]["code"], "newer_version", "{answer}");
        assert_eq!(world.stored(key).await, newer, "nothing is written over it");
    }
    // What nobody wrote begins again.
    for rubbish in [[&MAGIC[..], b"\x02whatever it is"].concat(), stored[..stored.len() / 2].to_vec()] {
        world.overwrite(key, &rubbish).await;
        assert_eq!(world.invoke(AGENT, "alone", "execute", ask.clone()).await["status"], "completed");
        let again: AgentDocument = document::versioned(&done(&world, key).await).expect("a document");
        assert_eq!((again.v, again.run.task.map(|task| task.attempt)), (Version::Positional, Some(1)));
    }
    world.stop().await;
}
