//! Two hosts that both believe they own every run: each call goes to one of them by chance, some to both at once.
//!
//! What a placement in the middle of a change, a process that was paused or a partition brings about now and then is
//! the rule here. The etag of a run's document has to refuse whoever comes second, and the history's chain too.

use super::{
    between::Between,
    checker::{Dump, Fault},
    clients::Address,
    effects::Effects,
    full,
    load::Load,
    verdict::{Campaign, HEALED, counter},
};
use crate::harness::{Launch, Postgres, Process, START, free_port, http, root, scratch};
use callboard_actors::{
    Keyring, WORKFLOW,
    protocol::sealed::{To, seal},
};
use callboard_catalog::{Catalog, Link, PostgresCatalog, SqliteCatalog};
use callboard_core::{Hash, Timestamp, id::RunId};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A process with both roles, as it stands beside a sidecar.
struct Host {
    process: Process,
    /// Of the API and the metrics.
    url: String,
    /// Where a sidecar calls it.
    channel: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_that_both_own_every_run_write_one_history() {
    let dir = scratch();
    let file = dir.path().join("catalog.db");
    let catalog = SqliteCatalog::open(&file).await.expect("the catalog");
    write_one_history(&dir, &format!("sqlite:{}", file.display()), &catalog).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_that_both_own_every_run_write_one_history_on_postgres() {
    let (dir, server) = (scratch(), Postgres::start().await);
    let url = server.url(&server.database().await);
    let link = Link::read(&url, false).expect("a URL");
    PostgresCatalog::migrate(&link).await.expect("the tables");
    let catalog = PostgresCatalog::open(link).await.expect("the catalog");
    write_one_history(&dir, &url, &catalog).await;
}

async fn write_one_history(dir: &TempDir, url: &str, catalog: &dyn Catalog) {
    let (runs, quota) = if full() { (150, 500.0) } else { (40, 100.0) };
    let effects = Effects::start().await;
    let [grpc, dapr] = [free_port(), free_port()];
    let mut hosts = ["a", "b"].map(|name| Host::start(name, grpc, dapr, &effects, dir.path(), url));
    let channels = hosts.each_ref().map(|host| host.channel.clone());
    let between = Between::serve(channels.clone()).await;
    let sidecar = Launch::new("sidecar", env!("CARGO_BIN_EXE_embedded-sidecar"))
        .arg("workflow-service")
        .arg(dir.path().join("sidecar.db"))
        .arg(root().join("components/local"))
        .args([dapr.to_string(), grpc.to_string(), between.url.clone()]);
    let _sidecar = Process::start(sidecar, dir.path());
    for host in &mut hosts {
        host.ready().await;
    }
    // Half of the clients know one host, half the other.
    let loads = [0, 1].map(|n| {
        let address: Address = Arc::new(RwLock::new(hosts[n].url.clone()));
        let mut load = Load::new(5 + n as u64, runs / 2, n * runs, address);
        load.begin_up_to(runs / 2);
        load
    });
    let mut operations = Operations::default();
    let began = Instant::now();
    while loads.iter().any(|load| load.open() > 0) && began.elapsed() < 3 * HEALED {
        for run in between.runs() {
            operations.send(&channels, &run).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut seen = Vec::new();
    for load in loads {
        seen.extend(load.finish().await);
    }
    let campaign = Campaign {
        name: "two owners of every run",
        url: &hosts[0].url,
        seen,
        earlier: BTreeMap::new(),
        effects: &effects,
        // Both perform what both believe to be theirs: the whole time is a fault, as to calls that are made again.
        faults: vec![Fault { from: 0, to: i64::MAX - 1 }; 100],
        healed: Instant::now(),
    };
    let dumps = campaign.verdict().await;
    assert_eq!(dumps.len(), runs, "INVALID: {} of {runs} runs were started", dumps.len());
    operations.check(&dumps);
    let keyring = Keyring::open(catalog, Timestamp(0)).await.expect("the keys");
    for dump in &dumps {
        let run = dump.run["id"].as_str().or(dump.run["run_id"].as_str()).expect("an id");
        let last = chained(catalog, run).await;
        for channel in &channels {
            // A host that did not write last may show what it remembers; a sweep reads past that.
            let to = To { actor: WORKFLOW, id: run, method: "sweep" };
            let (sweep, _) = seal(&keyring, to, bytes::Bytes::new());
            let sweep: Value = serde_json::from_slice(&sweep).expect("JSON");
            invoke(&http(), channel, run, "sweep", &sweep).await;
            let status = invoke(&http(), channel, run, "status", &json!({})).await.expect("an answer");
            assert_eq!(status["seq"], last, "{run}: the document and the history end differently: {status}");
        }
    }
    let mut refused = 0.0;
    for host in &hosts {
        refused += counter(&http(), &host.url, "callboard_commit_conflicts_total").await;
    }
    let [one, other, both] = between.went();
    println!(
        "{refused} writes refused, 0 zombie writes in {} histories; {one} calls went to one host, {other} to the other, \
         {both} to both; {} operations sent to both by hand, {} of them taken",
        dumps.len(),
        operations.sent,
        operations.taken.len(),
    );
    assert!(refused >= quota, "INVALID: only {refused} writes were refused");
    assert!(!operations.taken.is_empty(), "INVALID: no operation reached both hosts");
}

/// Signals sent to both hosts at the same time, under one id each.
#[derive(Default)]
struct Operations {
    sent: usize,
    /// Those that a host acknowledged.
    taken: BTreeSet<String>,
}

impl Operations {
    async fn send(&mut self, channels: &[String; 2], run: &str) {
        let op = format!("{run}-by-hand-{}", self.sent % 3);
        if self.taken.contains(&op) {
            return;
        }
        self.sent += 1;
        let (client, body) = (http(), json!({"op": op, "name": "nobody-waits", "data": {"op": op}}));
        let (a, b) = tokio::join!(
            invoke(&client, &channels[0], run, "signal", &body),
            invoke(&client, &channels[1], run, "signal", &body)
        );
        let taken = |answer: &Option<Value>| answer.as_ref().is_some_and(|a| a["error"].is_null());
        if taken(&a) || taken(&b) {
            self.taken.insert(op);
        }
    }

    /// Each that was acknowledged is recorded, and none twice.
    fn check(&self, dumps: &[Dump]) {
        let mut recorded: BTreeMap<&str, usize> = BTreeMap::new();
        for item in dumps.iter().flat_map(|dump| &dump.history) {
            if let Some(op) = item["data"]["op"].as_str().filter(|op| op.contains("-by-hand-")) {
                *recorded.entry(op).or_default() += 1;
            }
        }
        let twice: Vec<_> = recorded.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "operations are recorded twice: {twice:?}");
        let lost: Vec<_> = self.taken.iter().filter(|op| !recorded.contains_key(op.as_str())).collect();
        assert!(lost.is_empty(), "operations were acknowledged and are not recorded: {lost:?}");
    }
}

/// Checks that a history is one chain, and returns its last seq.
async fn chained(catalog: &dyn Catalog, run: &str) -> u64 {
    let run: RunId = run.parse().expect("a run's id");
    let entries = catalog.history(&run, 0, 10_000).await.expect("the catalog answers");
    let mut hash = Hash::default();
    for (n, entry) in entries.iter().enumerate() {
        hash = Hash::chain(&[&hash.0, entry.event.as_bytes()]);
        assert_eq!(
            (entry.seq, entry.hash),
            (n as u64 + 1, hash),
            "{run}: the chain of its history is broken"
        );
    }
    entries.len() as u64
}

/// Calls a method of a run's actor past any sidecar.
async fn invoke(
    client: &reqwest::Client,
    channel: &str,
    run: &str,
    method: &str,
    body: &Value,
) -> Option<Value> {
    let url = format!("{channel}/actors/Workflow/{run}/method/{method}");
    client.put(url).json(body).send().await.ok()?.json().await.ok()
}

impl Host {
    fn start(name: &str, grpc: u16, dapr: u16, effects: &Effects, dir: &Path, catalog: &str) -> Self {
        let [listen, channel] = [free_port(), free_port()];
        let launch = Launch::new(name, crate::harness::callboard())
            .args(["serve", "--role", "all", "--listen", &format!("127.0.0.1:{listen}")])
            .args(["--app-port", &channel.to_string()])
            .arg("--agents")
            .arg(root().join("config/agents.yaml"))
            .dir(dir)
            .env("DAPR_HTTP_PORT", dapr.to_string())
            .env("DAPR_GRPC_PORT", grpc.to_string())
            .env("CALLBOARD__CATALOG__URL", catalog)
            .env("OPENAI_BASE_URL", &effects.url)
            .env("OPENAI_API_KEY", "none");
        let process = Process::start(launch, dir);
        let [url, channel] = [listen, channel].map(|port| format!("http://127.0.0.1:{port}"));
        Self { process, url, channel }
    }

    async fn ready(&mut self) {
        let (client, url) = (http(), format!("{}/ready", self.url));
        let ready = || async {
            let answer = client.get(&url).send().await.map_err(|error| format!("{error:?}"))?;
            if answer.status().is_success() { Ok(()) } else { Err(format!("ready is {}", answer.status())) }
        };
        self.process.until(START, ready).await;
    }
}
