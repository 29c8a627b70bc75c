//! Recorded data is held: what a released version wrote is read, folded and written again the same.
//!
//! `actors/golden/1` has files of version 1 as its first release wrote them; `1b` and `1c` have what later releases say in
//! version 1 besides; `2` has files of version 2, `2b` and the others what only that can say. There are two kinds. `made`
//! are values written out in `made.rs`: each kind of event and each optional part of a document, given and not given.
//! `run-*` were recorded by real runs: the history, the values, the document, its snapshot and pages, the agents'
//! documents, and the state that they gave.
//!
//! The files are never made anew for a version that was released: a change that cannot read them is the mistake. To add
//! a case: write it, in a folder of its own where one was released, then
//! `cargo test -p callboard-actors --lib golden::record -- --ignored`, which leaves files that exist.

mod made;
mod record;

use crate::document::{self, Document, HeadPart, Version, parts::PAGES};
use base64::{Engine, prelude::BASE64_STANDARD};
use callboard_core::{
    Datum, Hash,
    workflow::{Definition, Event, Plan, Run, What, run::Archived},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc};

/// Everything that is stored of one run.
#[derive(Serialize, Deserialize)]
struct Recorded {
    run: String,
    history: Vec<Line>,
    /// Stored values of the history: JSON texts by key.
    values: BTreeMap<String, String>,
    /// Base64 of the run's document, of its snapshot's parts by key, and of its agents' documents by key.
    document: String,
    parts: BTreeMap<String, String>,
    agents: BTreeMap<String, String>,
    /// What the history folds to: the state's head and archive, as JSON.
    state: Value,
}

#[derive(Serialize, Deserialize)]
struct Line {
    seq: u64,
    hash: Hash,
    event: String,
}

/// The folders, and the version of what is in each.
const SETS: [(&str, Version); 10] = [
    ("1", Version::Positional),
    ("1b", Version::Positional),
    ("1c", Version::Positional),
    ("2", Version::Named),
    ("2b", Version::Named),
    ("2c", Version::Named),
    ("2d", Version::Named),
    ("2e", Version::Named),
    ("2f", Version::Named),
    ("2g", Version::Named),
];
/// Those with each kind of event and of run; the others have what came later.
const WHOLE: [&str; 2] = ["1", "2"];

fn folder(set: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(set)
}

fn read(set: &str, name: &str) -> String {
    let path = folder(set).join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn bytes(base64: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(base64).expect("base64")
}

/// Returns the recorded runs of a folder, by file.
fn recorded(set: &str) -> Vec<(String, Recorded)> {
    let mut names: Vec<String> = fs::read_dir(folder(set))
        .expect("golden files")
        .filter_map(|entry| entry.expect("a file").file_name().into_string().ok())
        .filter(|name| name.starts_with("run-"))
        .collect();
    names.sort();
    assert!(names.len() >= if WHOLE.contains(&set) { 8 } else { 1 }, "runs are missing: {names:?}");
    let one = |name: String| {
        let run = serde_json::from_str(&read(set, &name)).expect("a recorded run");
        (format!("{set}/{name}"), run)
    };
    names.into_iter().map(one).collect()
}

/// The state as JSON; `restore` of the same parts gives the same state.
fn state(run: &Run) -> Value {
    let archive: Vec<&Archived> = run.archive.iter().collect();
    serde_json::json!({"head": run.head(), "archive": archive})
}

/// Folds a history as a load does: with the plan it was pinned with.
fn fold(run: &str, events: &[Event], values: &BTreeMap<String, String>) -> Run {
    let mut state = begin(run, events, values);
    events.iter().for_each(|event| state.apply(event));
    state
}

/// The run before its first event, with the plan that this event pins.
fn begin(run: &str, events: &[Event], values: &BTreeMap<String, String>) -> Run {
    let Some(What::RunCreated { plan, .. }) = events.first().map(|event| &event.what) else {
        panic!("{run} does not begin with its creation");
    };
    let definition: Definition = match plan {
        Datum::Inline(value) => serde_json::from_value((**value).clone()),
        Datum::Stored(reference) => serde_json::from_str(&values[&reference.key]),
    }
    .expect("a definition");
    let mut state = Run::new(&super::run_id(run));
    state.attach(Arc::new(Plan::pinned(definition).expect("a plan that this version runs")));
    state
}

/// Whether everything that was there is still there, and the same. A later version may know more.
fn covers(now: &Value, then: &Value) -> bool {
    match (now, then) {
        (Value::Object(now), Value::Object(then)) => {
            then.iter().all(|(key, value)| now.get(key).is_some_and(|n| covers(n, value)))
        }
        (Value::Array(now), Value::Array(then)) => {
            now.len() == then.len() && now.iter().zip(then).all(|(n, t)| covers(n, t))
        }
        (now, then) => now == then,
    }
}

/// Puts a snapshot's archive together, as a load does.
fn archive(recorded: &Recorded, part: &HeadPart, v: Version) -> imbl::Vector<Archived> {
    let mut leaves = part.pages.clone();
    while leaves.iter().any(|page| page.level > 0) {
        let below = leaves.into_iter().flat_map(|page| match page.level {
            0 => vec![page],
            _ => same(&bytes(&recorded.parts[&page.key]), v),
        });
        leaves = below.collect();
    }
    let items = leaves.iter().flat_map(|page| {
        let items: Vec<Archived> = same(&bytes(&recorded.parts[&page.key]), v);
        assert_eq!(items.len() as u64, page.items);
        items
    });
    items.chain(part.rest.iter().cloned()).collect()
}

/// Reads a page, which is written again the same.
fn same<T: Serialize + DeserializeOwned>(data: &[u8], v: Version) -> Vec<T> {
    let items: Vec<T> = document::decode(data).expect("a page");
    assert_eq!(document::encode(&items, v), data, "a page is written in another way");
    items
}

/// Returns what `made.rs` says that a folder holds.
fn made(set: &str, v: Version) -> BTreeMap<String, Vec<u8>> {
    match set {
        "1" => made::documents(v),
        "1b" => made::later(v),
        // Of runs that are pinned the document is as any other.
        "1c" => BTreeMap::new(),
        "2b" => made::pinned(v),
        "2c" => made::detailed(),
        "2d" => made::asked(v),
        "2e" => made::fallen(v),
        "2f" => made::tried(v),
        "2g" => made::priced(v),
        _ => made::documents(v).into_iter().chain(made::later(v)).collect(),
    }
}

#[test]
fn every_recorded_event_reads_and_is_written_again_the_same() {
    let made = made::events();
    for set in WHOLE {
        let text = read(set, "made-events.jsonl");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), made.len(), "{set}");
        for (line, event) in lines.iter().zip(&made) {
            let read: Event = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(&read, event);
            assert_eq!(&document::encode_event(&read), line);
        }
    }
    let kinds: std::collections::BTreeSet<&str> = made.iter().map(|event| event.what.name()).collect();
    assert_eq!(kinds.len(), made::KINDS, "a kind of event has no golden line: {kinds:?}");
}

#[test]
fn every_made_document_reads_and_is_written_again_the_same() {
    for (set, v) in SETS {
        let files: BTreeMap<String, String> =
            serde_json::from_str(&read(set, "made-documents.json")).expect("files");
        let made = made(set, v);
        assert_eq!(files.keys().collect::<Vec<_>>(), made.keys().collect::<Vec<_>>(), "{set}");
        for (name, text) in &files {
            let stored = bytes(text);
            assert_eq!(made[name], stored, "{set}/{name} is written in another way");
            assert_eq!(made::version_of(&stored), v, "{set}/{name}");
            made::assert_reads(name, &stored);
        }
    }
}

#[test]
fn a_document_made_in_one_version_says_the_same_in_the_other() {
    let (first, second) = (made::documents(Version::Positional), made::documents(Version::Named));
    for (name, data) in first.iter().filter(|(name, _)| name.starts_with("document-")) {
        let (mut one, two) =
            (Document::decode(data).expect("one"), Document::decode(&second[name]).expect("two"));
        one.raise(Version::Named);
        assert_eq!(one.encode(), second[name], "{name}");
        let events = |doc: &Document| {
            doc.after(0).map(|(n, kept)| (n, kept.event.clone(), kept.hash)).collect::<Vec<_>>()
        };
        assert_eq!(events(&one), events(&two), "{name}");
        assert_eq!((one.seq, one.hash, one.snapshot), (two.seq, two.hash, two.snapshot), "{name}");
    }
    for (name, data) in first.iter().filter(|(name, _)| name.starts_with("head-")) {
        let one: HeadPart = document::decode(data).expect("one");
        assert_eq!(one, document::decode(&second[name]).expect("two"), "{name}");
    }
}

#[test]
fn recorded_runs_fold_to_the_state_they_had() {
    for (set, v) in SETS {
        recorded(set).iter().for_each(|(name, recorded)| assert_folds(name, recorded, v));
    }
}

/// Reads, folds and writes again all that is stored of a run.
fn assert_folds(name: &str, recorded: &Recorded, v: Version) {
    let (mut hash, mut events) = (Hash::default(), Vec::new());
    for line in &recorded.history {
        hash = document::next_hash(hash, &line.event);
        assert_eq!(hash, line.hash, "{name}: event {} does not continue the chain", line.seq);
        let event: Event = serde_json::from_str(&line.event).expect("an event");
        assert_eq!(document::encode_event(&event), line.event, "{name}: event {}", line.seq);
        events.push(event);
    }
    let folded = fold(&recorded.run, &events, &recorded.values);
    assert!(covers(&state(&folded), &recorded.state), "{name}: {:#}", state(&folded));

    let stored = bytes(&recorded.document);
    let doc = Document::decode(&stored).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(doc.version(), v, "{name}");
    assert_eq!(doc.encode(), stored, "{name}: the document is written in another way");
    for (n, kept) in doc.after(0) {
        assert_eq!(kept.json(), recorded.history[n as usize - 1].event, "{name}: event {n}");
    }
    let included = doc.snapshot.as_ref().map_or(0, |s| s.seq);
    let mut run = begin(&recorded.run, &events, &recorded.values);
    if let Some(snapshot) = &doc.snapshot {
        let head = bytes(&recorded.parts[&snapshot.key]);
        let part: HeadPart = document::decode(&head).expect("a head");
        assert_eq!(document::encode(&part, v), head, "{name}: the snapshot is written in another way");
        let archive = archive(recorded, &part, v);
        let plan = run.plan.clone().expect("attached");
        run = Run::restore(&super::run_id(&recorded.run), part.head, archive);
        run.attach(plan);
    }
    doc.after(included).for_each(|(_, kept)| run.apply(&kept.event));
    assert_eq!(state(&run), state(&folded), "{name}: document and history give different states");

    for (key, text) in &recorded.agents {
        let stored = bytes(text);
        assert_eq!(made::version_of(&stored), v, "{name}: {key}");
        made::assert_reads(key, &stored);
    }
}

#[test]
fn a_recorded_run_that_is_pinned_names_its_agents_and_is_a_definition_to_the_release_before() {
    for set in ["1c", "2b"] {
        for (name, recorded) in recorded(set) {
            let created: Event = serde_json::from_str(&recorded.history[0].event).expect("an event");
            let run = begin(&recorded.run, &[created], &recorded.values);
            let pin = run.plan.as_ref().and_then(|plan| plan.pin.as_ref());
            assert!(pin.is_some(), "{name} is not pinned");
        }
    }
}

#[test]
fn recorded_runs_cover_snapshots_pages_lists_and_agents() {
    for set in WHOLE {
        let all = recorded(set);
        let has = |what: &str, is: &dyn Fn(&Recorded) -> bool| {
            assert!(all.iter().any(|(_, run)| is(run)), "no recorded run of {set} has {what}");
        };
        has("a snapshot", &|run| !run.parts.is_empty());
        has("a list of pages", &|run| run.parts.len() > PAGES);
        has("an agent's document", &|run| !run.agents.is_empty());
        has("a stored value", &|run| !run.values.is_empty());
    }
}
