//! The actors over the embedded sidecar and a real catalog, in one process.

mod calls;
mod damage;
mod gaps;
mod golden;
mod ids;
mod said;
mod signed;

use crate::{
    Batcher, Clock, Host, Keyring, Live, Metrics, Roles, Services, Settings, WORKFLOW,
    protocol::sealed::{self, To},
};
use bytes::Bytes;
use callboard_catalog::{Journal, SqliteCatalog};
use callboard_connectors::{
    http::{Guarded, Origin},
    model::{Config as ModelsConfig, Models},
    secret::Secret,
};
use callboard_core::{Span, agent::spec::Agents, id::RunId, workflow::definition::Retention};
use callboard_sidecar::{
    Sidecar,
    embedded::{App, Config, Server},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tower::ServiceExt;

mod pinned;
mod poison;
mod secrets;
mod time;
mod versions;

/// A process's worth of Callboard over a folder.
struct World {
    server: Option<Server>,
    sidecar: Sidecar,
    catalog: Arc<SqliteCatalog>,
    host: Host,
    metrics: prometheus::Registry,
    keyring: Keyring,
}

impl World {
    async fn start(folder: &Path, settings: Settings) -> Self {
        Self::with(folder, settings, usual(), ModelsConfig::default()).await
    }

    /// The same with agents and models of its own.
    async fn with(folder: &Path, settings: Settings, agents: Value, models: ModelsConfig) -> Self {
        let models = Models::new(models).expect("models");
        let nothing = (Vec::new(), BTreeMap::new());
        Self::open(folder, settings, agents, models, Clock::system(), nothing).await
    }

    /// The same with servers that may be called, and secrets.
    async fn reaching(
        folder: &Path,
        settings: Settings,
        exempt: Vec<Origin>,
        secrets: BTreeMap<String, Secret>,
    ) -> Self {
        let models = Models::new(ModelsConfig::default()).expect("models");
        Self::open(folder, settings, usual(), models, Clock::system(), (exempt, secrets)).await
    }

    async fn open(
        folder: &Path,
        settings: Settings,
        agents: Value,
        models: Models,
        clock: Clock,
        (exempt, secrets): (Vec<Origin>, BTreeMap<String, Secret>),
    ) -> Self {
        let components = folder.join("components");
        std::fs::create_dir_all(&components).expect("a folder");
        let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components/local");
        for file in std::fs::read_dir(local).expect("the local components").flatten() {
            std::fs::copy(file.path(), components.join(file.file_name())).expect("copied");
        }
        let late: Arc<OnceLock<axum::Router>> = Arc::default();
        let place = late.clone();
        let app = tower::util::BoxCloneSyncService::new(tower::service_fn(
            move |request: http::Request<axum::body::Body>| {
                let router = place.get().cloned().expect("set before the app is called");
                router.oneshot(request)
            },
        ));
        let server = Server::start(Config {
            app_id: "callboard".into(),
            database: folder.join("sidecar.db"),
            components,
            http: None,
            grpc: None,
            api_token: None,
            app_token: None,
            app: App::InProcess(app),
        })
        .await
        .expect("a sidecar");
        let sidecar = server.sidecar();
        let catalog = Arc::new(SqliteCatalog::open(&folder.join("catalog.db")).await.expect("a catalog"));
        let agents: Agents = serde_json::from_value(agents).expect("agents");
        let metrics = prometheus::Registry::new();
        let keyring = Keyring::open(&*catalog, clock.now()).await.expect("keys");
        let services = Services {
            sidecar: sidecar.clone(),
            catalog: catalog.clone(),
            models: Arc::new(models),
            projects: crate::Projects::usual(Arc::new(Guarded::new(exempt, Vec::new())), Arc::new(secrets)),
            agents: Arc::new(agents),
            keyring: keyring.clone(),
            settings,
            metrics: Metrics::new(&metrics),
            live: Live::default(),
            batcher: Batcher::default(),
            clock,
        };
        let host = Host::new(services, Roles { workflow: true, ai: true });
        assert!(late.set(host.router(None)).is_ok());
        server.app_ready().await;
        host.start();
        World { server: Some(server), sidecar, catalog, host, metrics, keyring }
    }

    async fn call(&self, run: &str, method: &str, body: Value) -> Value {
        self.invoke(WORKFLOW, run, method, body).await
    }

    /// Calls as whoever may: what only our own processes call is signed.
    async fn invoke(&self, kind: &str, id: &str, method: &str, body: Value) -> Value {
        let to = To { actor: kind, id, method };
        let (body, _) = sealed::seal(&self.keyring, to, Bytes::from(body.to_string()));
        let mut answer = self.send(to, body).await;
        if let Some(answer) = answer.as_object_mut() {
            answer.remove("mac");
        }
        answer
    }

    /// Sends a call as it is, as any other app does.
    async fn send(&self, to: To<'_>, body: impl Into<Bytes>) -> Value {
        let answer = self.sidecar.invoke_actor(to.actor, to.id, to.method, body.into()).await;
        serde_json::from_slice(&answer.expect("an answer")).expect("JSON")
    }

    /// Returns how much was refused of a kind.
    fn refused(&self, what: &str) -> u64 {
        let all = self.metrics.gather();
        let family = all.iter().find(|family| family.name() == "callboard_refused_total");
        let is_it = |m: &&prometheus::proto::Metric| m.get_label().iter().any(|l| l.value() == what);
        let metric = family.and_then(|family| family.get_metric().iter().find(is_it));
        metric.map_or(0, |m| m.get_counter().get_value() as u64)
    }

    /// Waits for a status; the error names the one seen last.
    async fn until(&self, run: &str, status: &str) -> Value {
        let mut seen = Value::Null;
        for _ in 0..400 {
            seen = self.call(run, "status", json!({})).await;
            if seen["status"] == status {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("run {run} is not {status}: {seen:#}");
    }

    async fn stop(mut self) {
        self.host.drain(Duration::from_secs(20)).await;
        if let Some(server) = self.server.take() {
            server.shutdown().await;
        }
    }
}

pub(crate) fn run_id(text: &str) -> RunId {
    text.parse().expect("an id")
}

fn usual() -> Value {
    json!({"agents": {
        "a": {"model": "scripted"},
        "json": {"model": "scripted", "output_schema": {"type": "object"}}
    }})
}

fn agent(id: &str, prompt: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "a", "prompt": prompt}})
}

fn chain() -> Value {
    json!({
        "name": "chain",
        "nodes": [agent("one", "{{ input.topic }}"), agent("two", "{{ steps.one.output }}")],
        "edges": [{"source": "one", "target": "two"}]
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_of_agents_completes_and_is_recorded_and_cleaned_up() {
    for strict in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let world = World::start(folder.path(), Settings { strict, ..Settings::default() }).await;
        let began =
            world.call("r1", "start", json!({"definition": chain(), "input": {"topic": "bees"}})).await;
        assert_eq!(began["status"], "running", "{began:#}");
        let done = world.until("r1", "completed").await;
        assert_eq!(done["output"], "[scripted] [scripted] bees", "{done:#}");
        assert_eq!(done["usage"]["calls"], 2);
        let again =
            world.call("r1", "start", json!({"definition": chain(), "input": {"topic": "bees"}})).await;
        assert_eq!(again["status"], "completed", "the same start is the same run");
        let other =
            world.call("r1", "start", json!({"definition": chain(), "input": {"topic": "wasps"}})).await;
        assert_eq!(other["error"]["code"], "run_exists");
        let row = loop {
            let row = world.catalog.run(&run_id("r1")).await.expect("a catalog").expect("a row");
            if row.is_cleaned() {
                break row;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(row.status, "completed");
        let history = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history");
        assert_eq!(history.len(), 6, "created, two started, two completed, completed: {history:#?}");
        world.stop().await;
    }
}

/// Whoever sees a run's last events out finds the run still there. The sweeper would come for it 45 s later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_at_once_clean_up_after_themselves() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings { strict: true, ..Settings::default() }).await;
    let start = json!({"definition": chain(), "input": {"topic": "bees"}});
    let runs: Vec<String> = (0..200).map(|n| format!("r{n}")).collect();
    let mut starts = tokio::task::JoinSet::new();
    for run in runs.clone() {
        let (sidecar, body) = (world.sidecar.clone(), Bytes::from(start.to_string()));
        starts.spawn(
            async move { sidecar.invoke_actor(WORKFLOW, &run, "start", body).await.expect("an answer") },
        );
    }
    starts.join_all().await;
    let mut left = runs;
    for _ in 0..100 {
        let mut still = Vec::new();
        for run in left {
            if !world.catalog.run(&run_id(&run)).await.expect("a catalog").expect("a row").is_cleaned() {
                still.push(run);
            }
        }
        left = still;
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(left.is_empty(), "not cleaned up: {left:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_and_many_steps_survive_a_reload() {
    let folder = tempfile::tempdir().expect("a folder");
    let list: Vec<String> = (0..60).map(|n| format!("{n} {}", "x".repeat(1500))).collect();
    let definition = json!({
        "name": "each",
        "nodes": [
            {"id": "each", "type": "for_each", "config": {"items": "input.list", "parallel": 7, "body": {
                "nodes": [agent("ask", "{{ item }}")]
            }}},
            {"id": "go", "type": "signal", "config": {"name": "go"}},
            {"id": "count", "type": "transform", "config": {"input": "steps.each.output", "rules": [
                {"source": ".", "target": "n", "type": "reduce", "config": {"initial": 0, "value": "acc + 1"}}
            ]}}
        ],
        "edges": [{"source": "each", "target": "go"}, {"source": "go", "target": "count"}]
    });
    let world = World::start(folder.path(), Settings::default()).await;
    let began = world.call("r1", "start", json!({"definition": definition, "input": {"list": list}})).await;
    assert!(began["error"].is_null(), "{began:#}");
    world.until("r1", "waiting").await;
    world.stop().await;
    let world = World::start(folder.path(), Settings::default()).await;
    world.until("r1", "waiting").await;
    world.call("r1", "signal", json!({"name": "go", "data": 1})).await;
    let done = world.until("r1", "completed").await;
    assert_eq!(done["output"], json!({"n": 60}));
    assert_eq!(done["usage"]["calls"], 60);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_purged_stays_in_no_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { retention: Retention::all(Span(1)), ..Settings::default() };
    let world = World::start(folder.path(), settings).await;
    world.call("r1", "start", json!({"definition": chain(), "input": {"topic": "bees"}})).await;
    while !world.catalog.run(&run_id("r1")).await.expect("a catalog").expect("a row").purged {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for _ in 0..200 {
        if world.host.active() == (0, 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(world.host.active(), (0, 0), "runs and agents in memory");
    world.stop().await;
}

/// On one thread whatever computes there stops everything else, so a clock that ticks beside it sees how long.
#[tokio::test]
async fn a_process_that_ends_begins_no_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    let start = json!({"definition": chain(), "input": {"topic": "bees"}});
    assert_eq!(world.call("before", "start", start.clone()).await["status"], "running");
    world.until("before", "completed").await;
    world.host.drain(Duration::ZERO).await;
    let refused = world.call("after", "start", start).await;
    assert_eq!(
        (&refused["error"]["status"], &refused["error"]["code"]),
        (&json!(503), &json!("unavailable"))
    );
    assert_eq!(world.call("after", "status", json!({})).await["error"]["code"], "unknown_run");
    world.stop().await;
}

#[tokio::test]
async fn expressions_do_not_stand_in_the_way_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    let node = |n: usize| {
        json!({"id": format!("n{n}"), "type": "transform", "config": {"input": "input.items", "rules": [
            {"source": ".", "target": "x", "type": "map", "config": {"value": "range(600) | map('string') | join | length"}},
        ]}})
    };
    let nodes: Vec<Value> = (0..10).map(node).collect();
    let start = json!({"definition": {"name": "heavy", "nodes": nodes}, "input": {"items": vec![0; 100]}});
    let seen = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let longest = Arc::clone(&seen);
    let ticks = tokio::spawn(async move {
        loop {
            let before = std::time::Instant::now();
            tokio::time::sleep(Duration::from_millis(5)).await;
            longest.fetch_max(before.elapsed().as_millis() as u64, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let began = std::time::Instant::now();
    world.call("heavy", "start", start).await;
    for _ in 0..2400 {
        if world.call("heavy", "status", json!({})).await["status"] == "completed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let (took, waited) = (began.elapsed(), seen.load(std::sync::atomic::Ordering::Relaxed));
    ticks.abort();
    assert_eq!(world.call("heavy", "status", json!({})).await["status"], "completed");
    assert!(u128::from(waited) < took.as_millis() / 4 + 500, "{waited} ms of {took:?}");
    world.stop().await;
}
