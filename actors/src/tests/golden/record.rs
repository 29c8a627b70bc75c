//! Records runs for the golden files, over the embedded sidecar and a real catalog.

use super::{
    super::{World, run_id},
    Line, Recorded, SETS, WHOLE, fold, folder, made, state,
};
use crate::{
    Clock, Settings,
    document::{self, Document, HeadPart, Page, Version},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use callboard_catalog::Journal;
use callboard_connectors::{
    model::{Config as ModelsConfig, Models, Prices, Script},
    secret::Secret,
};
use callboard_core::workflow::Event;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

fn ask(id: &str, prompt: &str) -> Value {
    super::super::agent(id, prompt)
}

fn linear(name: &str, nodes: Vec<Value>) -> Value {
    let ids: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let edges: Vec<Value> =
        ids.windows(2).map(|pair| json!({"source": pair[0], "target": pair[1]})).collect();
    json!({"name": name, "nodes": nodes, "edges": edges})
}

async fn entry(world: &World, run: &str, name: &str) -> Option<Vec<u8>> {
    let found = world.sidecar.get("statestore", &run_id(run).value_key(name)).await.expect("a store");
    found.map(|entry| entry.data.to_vec())
}

/// Reads everything that is stored of a run.
async fn dump(world: &World, run: &str) -> Recorded {
    let history = world.catalog.history(&run_id(run), 0, 100_000).await.expect("a history");
    let events: Vec<Event> = history.iter().map(|e| serde_json::from_str(&e.event).expect("one")).collect();
    let keys: Vec<String> = events
        .iter()
        .flat_map(|event| event.what.data())
        .filter_map(|datum| datum.reference().map(|r| r.key.clone()))
        .collect();
    let values = world.catalog.values(&run_id(run), &keys).await.expect("values");
    let text = |data: &[u8]| String::from_utf8(data.to_vec()).expect("JSON");
    let stored = world.sidecar.get("statestore", &format!("{{{run}}}.doc")).await.expect("a store");
    let stored = stored.expect("a document").data;
    let doc = Document::decode(&stored).expect("readable");
    let mut parts = BTreeMap::new();
    if let Some(snapshot) = &doc.snapshot {
        let data = entry(world, run, &snapshot.key).await.expect("a head");
        let part: HeadPart = document::decode(&data).expect("readable");
        parts.insert(snapshot.key.clone(), BASE64_STANDARD.encode(&data));
        let mut pages = part.pages;
        while let Some(page) = pages.pop() {
            let data = entry(world, run, &page.key).await.expect("a page");
            if page.level > 0 {
                pages.extend(document::decode::<Vec<Page>>(&data).expect("readable"));
            }
            parts.insert(page.key.clone(), BASE64_STANDARD.encode(&data));
        }
    }
    let steps: BTreeSet<_> = events.iter().filter_map(|event| event.what.step().map(|(s, _)| s)).collect();
    let mut agents = BTreeMap::new();
    // A handful shows what there is to see.
    for step in steps.into_iter().take(12) {
        let key = step.agent(&run_id(run)).document_key();
        if let Some(entry) = world.sidecar.get("statestore", &key).await.expect("a store") {
            agents.insert(format!("agent-{key}"), BASE64_STANDARD.encode(&entry.data));
        }
    }
    let values = values.iter().map(|(key, data)| (key.clone(), text(data))).collect();
    Recorded {
        run: run.to_owned(),
        history: history.into_iter().map(|e| Line { seq: e.seq, hash: e.hash, event: e.event }).collect(),
        document: BASE64_STANDARD.encode(&stored),
        parts,
        agents,
        state: state(&fold(run, &events, &values)),
        values,
    }
}

fn write(set: &str, name: &str, content: &str) {
    let path = folder(set).join(name);
    fs::create_dir_all(folder(set)).expect("a folder");
    if !path.exists() {
        fs::write(&path, content).expect("written");
    }
}

#[test]
#[ignore = "writes golden files that are missing"]
fn record_made() {
    for (set, v) in SETS {
        if WHOLE.contains(&set) {
            let lines: Vec<String> = made::events().iter().map(document::encode_event).collect();
            write(set, "made-events.jsonl", &(lines.join("\n") + "\n"));
        }
        let all = super::made(set, v).into_iter().map(|(name, data)| (name, BASE64_STANDARD.encode(data)));
        let all: BTreeMap<String, String> = all.collect();
        write(set, "made-documents.json", &(serde_json::to_string_pretty(&all).expect("JSON") + "\n"));
    }
}

/// Where runs are recorded, and to which folder.
struct Recorder {
    world: World,
    set: &'static str,
}

/// Starts a run, does what `then` says, and records it once it is `status`.
async fn record(at: &Recorder, name: &str, start: Value, then: &[(&str, &str, Value)], status: &str) {
    let Recorder { world, set } = at;
    if folder(set).join(format!("run-{name}.json")).exists() {
        return;
    }
    let run = format!("golden-{name}");
    let began = world.call(&run, "start", start).await;
    assert!(began["error"].is_null(), "{name}: {began:#}");
    for (until, method, body) in then {
        world.until(&run, until).await;
        let answer = world.call(&run, method, body.clone()).await;
        assert!(answer["error"].is_null(), "{name}: {answer:#}");
    }
    world.until(&run, status).await;
    // What is told and cleaned up behind the turn.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let recorded = dump(world, &run).await;
    write(set, &format!("run-{name}.json"), &(serde_json::to_string_pretty(&recorded).expect("JSON") + "\n"));
}

/// Agents that loop: one uses a tool and asks another, who answers.
const SCRIPT: &str = "rules:
- {when: {system: Lead}, replies: [
    {tool_calls: [{name: add}, {name: delegate, arguments: {agent: clerk, task: count}}]}, {text: two}]}
- {when: {system: Clerk}, replies: [{tool_calls: [{name: add}]}, {text: one}]}
- {when: {model: away}, replies: [{error: {code: model_rate_limited, message: too many calls, retryable: true}}]}
- {when: {system: Backed}, replies: [{text: done}]}";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "writes golden files that are missing"]
async fn record_runs() {
    for (set, v) in SETS {
        let temporary = tempfile::tempdir().expect("a folder");
        let settings = || Settings { named_documents: v == Version::Named, ..Settings::default() };
        let at = Recorder { world: World::start(temporary.path(), settings()).await, set };
        if WHOLE.contains(&set) {
            record_each(&at).await;
        }
        at.world.stop().await;
        if set == "2c" {
            let temporary = tempfile::tempdir().expect("a folder");
            let server = refusing().await;
            let exempt = vec![server.parse().expect("an origin")];
            let world = World::reaching(temporary.path(), settings(), exempt, BTreeMap::new()).await;
            let at = Recorder { world, set };
            record_refused(&at, &server).await;
            at.world.stop().await;
        } else if set != "1" {
            let temporary = tempfile::tempdir().expect("a folder");
            // What has no price is recorded as before there were any.
            let prices = if set == "2g" { priced() } else { Prices::default() };
            let at = Recorder { world: with_secrets(temporary.path(), settings(), prices).await, set };
            match set {
                "1c" | "2b" => record_pinned(&at).await,
                "2d" => record_asked(&at).await,
                "2e" => record_fallbacks(&at).await,
                "2f" => record_tried(&at).await,
                "2g" => record_priced(&at).await,
                _ => record_secrets(&at).await,
            }
            at.world.stop().await;
        }
    }
}

/// A server that refuses everything, and says why at length or in short.
async fn refusing() -> String {
    let app = axum::Router::new()
        .route("/short", axum::routing::any(|| async { (http::StatusCode::CONFLICT, "taken") }))
        .fallback(|| async {
            let why = json!({"errors": [{"field": "sku", "message": "é".repeat(800)}]});
            (http::StatusCode::UNPROCESSABLE_ENTITY, axum::Json(why))
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address").to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// A run whose calls were refused: one is tried again, one has a default, and a branch reads why.
async fn record_refused(at: &Recorder, server: &str) {
    let url = |path: &str| format!("http://{server}/{path}");
    let retry = json!({"max_retries": 1, "backoff": "constant", "initial": "50ms", "jitter": false});
    let short = json!({"id": "short", "type": "http", "config": {"url": url("short")}, "retry": retry, "on_error": "branch"});
    let long =
        json!({"id": "long", "type": "http", "config": {"url": url("long")}, "on_error": {"default": null}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let definition = json!({
        "name": "refused",
        "nodes": [short, long, go],
        "edges": [{"source": "short", "target": "long", "config": {"branch": "error"}}, {"source": "long", "target": "go"}],
    });
    record(at, "refused", json!({"definition": definition}), &[], "waiting").await;
}

fn priced() -> Prices {
    let all = json!({"*": {"input": 2.5, "output": "10.00"}});
    Prices::new(serde_json::from_value(all).expect("prices"))
}

async fn with_secrets(folder: &Path, settings: Settings, prices: Prices) -> World {
    let agents = json!({
        "agents": {
            "lead": {"model": "scripted", "role": "Lead", "tools": ["add"], "allow_delegation": true, "delegate_to": ["clerk"]},
            "clerk": {"model": "scripted", "role": "Clerk", "tools": ["add"]},
            "backed": {"model": "away", "fallback_models": ["spare"], "retry_policy": {"max_retries": 0}, "role": "Backed"}
        },
        "tools": {"add": {"description": "Adds.", "type": "expression", "config": {"value": "1 + 1"}}}
    });
    let script = Script::read(SCRIPT).expect("a script");
    let models = Models::new(ModelsConfig { script, prices, ..ModelsConfig::default() }).expect("models");
    let secrets = BTreeMap::from([("tok".to_owned(), Secret::new("a-value-of-some-length"))]);
    World::open(folder, settings, agents, models, Clock::system(), (Vec::new(), secrets)).await
}

/// A run with a secret: its agents' tasks name it.
async fn record_secrets(at: &Recorder) {
    let call = json!({"id": "call", "type": "http", "on_error": {"default": {"status": 0}}, "config": {
        "url": "http://callboard.invalid/", "headers": {"authorization": "Bearer secret://tok"}}});
    let lead = json!({"id": "lead", "type": "agent", "config": {"agent": "lead", "prompt": "count"}});
    let start = json!({"definition": linear("secrets", vec![lead, call])});
    record(at, "secrets", start, &[], "completed").await;
}

/// A run that names who its agents were: one that loops, and one that it asked.
async fn record_pinned(at: &Recorder) {
    let lead = json!({"id": "lead", "type": "agent", "config": {"agent": "lead", "prompt": "count"}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let start = json!({"definition": linear("pinned", vec![lead, go])});
    record(at, "pinned", start, &[], "waiting").await;
}

/// A run whose operations were named: beside each stands what it asked, in the events and in the state.
async fn record_asked(at: &Recorder) {
    let ok = json!({"id": "ok", "type": "approval", "config": {"title": "Sure?"}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let start = json!({"definition": linear("asked", vec![go, ok]), "op": "start"});
    let pause = ("waiting", "pause", json!({"op": "pause"}));
    let resume = ("paused", "resume", json!({"op": "resume"}));
    let signal = ("waiting", "signal", json!({"op": "signal", "name": "go", "data": {"paid": true}}));
    let approve = ("waiting", "approve", json!({"op": "approve", "node": "ok", "approved": true}));
    let rerun = ("completed", "rerun", json!({"op": "rerun", "from": "ok", "input": {"other": 1}}));
    let cancel = ("waiting", "cancel", json!({"op": "cancel"}));
    record(at, "asked", start, &[pause, resume, signal, approve, rerun, cancel], "cancelled").await;
}

/// A run with an agent whose first model gives no answer.
async fn record_fallbacks(at: &Recorder) {
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "backed", "prompt": "do it"}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let start = json!({"definition": linear("fallbacks", vec![ask, go])});
    record(at, "fallbacks", start, &[], "waiting").await;
}

/// A run of which only a part runs: outputs are given, a small and a large one, and one decides a branch.
async fn record_tried(at: &Recorder) {
    let ask = |id: &str, prompt: &str| json!({"id": id, "type": "agent", "config": {"agent": "clerk", "prompt": prompt}});
    let check = json!({"id": "check", "type": "condition", "config": {"if": "input.never"}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let definition = json!({
        "name": "tried",
        "nodes": [ask("first", "nobody is asked"), check, ask("then", "count {{ steps.first.output | length }}"), go, ask("last", "nor here")],
        "edges": [{"source": "first", "target": "check"}, {"source": "check", "target": "then", "config": {"branch": "true"}},
            {"source": "then", "target": "go"}, {"source": "go", "target": "last"}],
    });
    let pins = json!({"first": {"value": "x".repeat(3000)}, "check": {"value": true}});
    let start = json!({"definition": definition, "pins": pins, "until": "go", "op": "start"});
    record(at, "tried", start, &[], "waiting").await;
}

/// A run with a budget of money: an agent that loops, and one that it asked.
async fn record_priced(at: &Recorder) {
    let lead = json!({"id": "lead", "type": "agent", "config": {"agent": "lead", "prompt": "count"}});
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let mut definition = linear("priced", vec![lead, go]);
    definition["settings"] = json!({"budget": {"cost": 1_000_000}});
    record(at, "priced", json!({"definition": definition}), &[], "waiting").await;
}

async fn record_each(at: &Recorder) {
    let long = "x".repeat(3000);
    let chain = linear("chain", vec![ask("one", "{{ input.topic }}"), ask("two", "{{ steps.one.output }}")]);
    let start = json!({"definition": chain, "input": {"topic": long, "tags": ["é", 0.1, null]}});
    record(at, "chain", start, &[], "completed").await;

    let each = |items: usize| {
        let body = json!({"nodes": [ask("ask", &format!("{{{{ item }}}} {}", "x".repeat(500)))]});
        let config = json!({"items": format!("range({items})"), "parallel": 7, "body": body});
        json!({"id": "each", "type": "for_each", "config": config})
    };
    let go = json!({"id": "go", "type": "signal", "config": {"name": "go"}});
    let start = json!({"definition": linear("each", vec![each(70), go.clone()])});
    record(at, "pages", start, &[], "waiting").await;
    let start = json!({"definition": linear("few", vec![each(12), go.clone()])});
    let signal = ("waiting", "signal", json!({"name": "go", "data": {"paid": true}}));
    record(at, "signalled", start, std::slice::from_ref(&signal), "completed").await;

    let approval = json!({"id": "ok", "type": "approval", "config": {"title": "Sure?", "timeout": "24h"}});
    let definition = json!({
        "name": "approval",
        "nodes": [ask("draft", "a note"), approval, ask("sent", "send"), ask("kept", "keep")],
        "edges": [
            {"source": "draft", "target": "ok"},
            {"source": "ok", "target": "sent", "config": {"branch": "approved"}},
            {"source": "ok", "target": "kept", "config": {"branch": "rejected"}}
        ]
    });
    let start = json!({"definition": definition});
    record(at, "approval", start.clone(), &[], "waiting").await;
    let approve = ("waiting", "approve", json!({"node": "ok", "approved": true, "comment": "fine"}));
    let again = ("completed", "rerun", json!({"from": "ok", "input": {"other": 1}}));
    let refuse = ("waiting", "approve", json!({"node": "ok", "approved": false}));
    record(at, "rerun", start, &[approve, again, refuse], "completed").await;

    let failing = json!({"id": "call", "type": "http", "config": {"url": "http://callboard.invalid/{{ input.n }}"},
        "retry": {"max_retries": 2, "backoff": "constant", "initial": "50ms", "max": "1s", "jitter": false}});
    let mut kind = failing.clone();
    kind["id"] = json!("kind");
    kind["on_error"] = json!({"default": {"status": 0}});
    let start = json!({"definition": linear("failed", vec![kind, failing]), "input": {"n": 1}});
    record(at, "failed", start, &[], "failed").await;

    let pause = ("waiting", "pause", json!({}));
    let resume = ("paused", "resume", json!({}));
    let early = ("waiting", "signal", json!({"name": "later", "data": long}));
    let cancel = ("waiting", "cancel", json!({}));
    let start = json!({"definition": linear("cancelled", vec![ask("a", "b"), go])});
    record(at, "cancelled", start, &[pause, resume, early, cancel], "cancelled").await;

    let body = json!({"nodes": [ask("draft", "{{ index }}")], "output": {"round": "{{ index + 1 }}"}});
    let config = json!({"until": "last.round >= 3", "max": 5, "body": body});
    let loops = json!({"id": "improve", "type": "loop", "config": config});
    let shape = json!({"id": "sum", "type": "transform", "config": {"input": "steps.improve.output", "rules": [
        {"source": ".", "target": "n", "type": "reduce", "config": {"initial": 0, "value": "acc + 1"}}]}});
    let start = json!({"definition": linear("loop", vec![loops, shape])});
    record(at, "loop", start, &[], "failed").await;

    let mut budget = linear("budget", vec![ask("one", "1"), ask("two", "2"), ask("three", "3")]);
    budget["settings"] =
        json!({"budget": {"calls": 2, "tokens": 100_000, "on_breach": "wrap_up"}, "retention": "2h"});
    record(at, "budget", json!({"definition": budget}), &[], "completed").await;

    let worker = json!({"id": "w", "type": "agent", "effect": "at_most_once", "timeout": "1h", "config":
        {"agent": "x", "worker": "external", "prompt": "p", "output_schema": {"type": "object"}}});
    let once = json!({"id": "once", "type": "agent", "effect": "at_most_once", "config": {"agent": "a", "prompt": "p"}});
    let start = json!({"definition": linear("worker", vec![once, worker])});
    record(at, "worker", start, &[], "running").await;
}
