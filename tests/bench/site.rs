//! A running Callboard under load, and its counters.

use crate::{
    harness::{Callboard, DaprCluster, DaprRun, Overrides, Redis, http, root},
    model::Model,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub struct Site {
    client: Client,
    place: Place,
    /// The processes that are ours.
    pids: Vec<u32>,
    folders: Vec<PathBuf>,
    metrics: Vec<String>,
}

enum Place {
    Embedded { _dev: Box<Callboard> },
    Dapr(Box<(Redis, DaprCluster, DaprRun)>),
}

/// Starts runs through the REST API.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// What was counted so far, or per step.
#[derive(Debug, Clone, Default)]
pub struct Counters(BTreeMap<&'static str, f64>);

impl Site {
    pub async fn embedded(model: &Model) -> Self {
        let agents = root().join("config/agents.yaml");
        let dev = Callboard::with()
            .args(["--agents", &agents.display().to_string()])
            .env("OPENAI_BASE_URL", &model.url)
            .env("OPENAI_API_KEY", "none")
            .start()
            .await;
        let pids = dev.process.id().into_iter().collect();
        let client = Client { http: http(), url: dev.url.clone() };
        let metrics = vec![format!("{}/metrics", dev.url)];
        let folders = vec![dev.data().to_owned()];
        Self { client, place: Place::Embedded { _dev: Box::new(dev) }, pids, folders, metrics }
    }

    pub async fn dapr(model: &Model) -> Self {
        let redis = Redis::start().await;
        let cluster = DaprCluster::start().await;
        let env = BTreeMap::from([
            ("OPENAI_BASE_URL".to_owned(), model.url.clone()),
            ("OPENAI_API_KEY".to_owned(), "none".to_owned()),
        ]);
        let overrides = Overrides { redis: redis.address(), env, ..Overrides::default() };
        let mut run = DaprRun::start(&root().join("dapr"), &cluster, overrides).await;
        let pids = run.apps.iter_mut().filter_map(|app| app.process().id()).collect();
        let metrics = run.apps.iter().map(|app| format!("{}/metrics", app.url)).collect();
        let client = Client { http: http(), url: run.app("workflow-service").url.clone() };
        let folders = vec![run.dir().to_owned(), redis.dir().to_owned()];
        Self { client, place: Place::Dapr(Box::new((redis, cluster, run))), pids, folders, metrics }
    }

    pub fn client(&self) -> Client {
        self.client.clone()
    }

    pub async fn create(&self, definition: &Value) -> String {
        let url = format!("{}/api/v1/workflows", self.client.url);
        let answer = self.client.http.post(url).json(definition).send().await.expect("an answer");
        let answer: Value = answer.json().await.expect("JSON");
        answer["id"].as_str().unwrap_or_else(|| panic!("not created: {answer:#}")).to_owned()
    }

    pub async fn complete(&self, workflow: &str, input: Value, patience: Duration) {
        self.client.complete(workflow, input, patience).await;
    }

    /// Waits until nothing is written any more, so that what a run left behind is counted to it.
    pub async fn settled(&self) {
        let began = Instant::now();
        let mut last = self.counters().await;
        while began.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let now = self.counters().await;
            if now.0["saves"] == last.0["saves"] && now.0["publishes"] == last.0["publishes"] {
                return;
            }
            last = now;
        }
    }

    /// Returns the largest resident set of each of our processes.
    pub async fn peak_rss(&self) -> String {
        let peaks = self.pids.iter().map(|pid| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("0");
            let kb: u64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
            (kb / 1024).to_string()
        });
        peaks.collect::<Vec<_>>().join(" + ")
    }

    pub async fn counters(&self) -> Counters {
        let mut out: BTreeMap<&'static str, f64> = NAMES.iter().map(|(name, _)| (*name, 0.0)).collect();
        for url in &self.metrics {
            let text = self.client.http.get(url).send().await.expect("an answer").text().await.expect("text");
            for line in text.lines() {
                let Some((series, value)) = line.rsplit_once(' ') else { continue };
                for (name, wanted) in NAMES {
                    if wanted.contains(&series) {
                        *out.entry(name).or_default() += value.parse::<f64>().unwrap_or(0.0);
                    }
                }
            }
        }
        if let Place::Dapr(programs) = &self.place {
            let redis = &programs.0;
            let info = redis.command(&["INFO", "stats"]).expect("Redis answers");
            let commands = info.lines().find_map(|l| l.strip_prefix("total_commands_processed:"));
            out.insert("redis", commands.and_then(|n| n.trim().parse().ok()).unwrap_or(0.0));
        }
        out.insert("disk", self.folders.iter().map(|f| size(f)).sum::<u64>() as f64);
        Counters(out)
    }
}

impl Client {
    /// Starts a run and waits until it has completed.
    pub async fn complete(&self, workflow: &str, input: Value, patience: Duration) {
        let url = format!("{}/api/v1/workflows/{workflow}/start?wait={}s", self.url, patience.as_secs());
        let request =
            self.http.post(url).timeout(patience + Duration::from_secs(5)).json(&json!({"input": input}));
        let answer = request.send().await.expect("an answer");
        let run: Value = answer.json().await.expect("JSON");
        assert_eq!(run["status"], "completed", "{run:#}");
    }
}

/// Counters and the series they add up.
const NAMES: [(&str, &[&str]); 8] = [
    ("state", &[r#"callboard_sidecar_bytes_total{to="state"}"#]),
    ("bus", &[r#"callboard_sidecar_bytes_total{to="bus"}"#]),
    ("catalog", &["callboard_catalog_bytes_total"]),
    ("saves", &[r#"callboard_sidecar_calls_total{call="Save"}"#]),
    ("publishes", &[r#"callboard_sidecar_calls_total{call="Publish"}"#]),
    ("invokes", &[r#"callboard_sidecar_calls_total{call="InvokeActor"}"#]),
    (
        "reminders",
        &[
            r#"callboard_sidecar_calls_total{call="RegisterReminder"}"#,
            r#"callboard_sidecar_calls_total{call="UnregisterReminder"}"#,
        ],
    ),
    (
        "gets",
        &[r#"callboard_sidecar_calls_total{call="Get"}"#, r#"callboard_sidecar_calls_total{call="GetBulk"}"#],
    ),
];

impl Counters {
    pub fn since(&self, before: &Counters) -> Counters {
        Counters(self.0.iter().map(|(name, n)| (*name, n - before.0.get(name).unwrap_or(&0.0))).collect())
    }

    pub fn per(&self, steps: f64) -> Counters {
        Counters(self.0.iter().map(|(name, n)| (*name, n / steps)).collect())
    }

    pub fn cells(&self, name: &str, took: Duration) -> Vec<String> {
        let of = |name: &str| self.0.get(name).copied().unwrap_or(0.0);
        let bytes = of("state") + of("bus") + of("catalog");
        let mut cells = vec![name.to_owned()];
        cells.extend([bytes, of("state"), of("bus"), of("catalog")].map(|n| format!("{n:.0}")));
        cells.extend(
            ["saves", "publishes", "invokes", "reminders", "gets"].map(|name| format!("{:.2}", of(name))),
        );
        cells.push(self.0.get("redis").map_or("-".into(), |n| format!("{n:.1}")));
        cells.push(format!("{:.0}", of("disk")));
        cells.push(format!("{:.1}", took.as_secs_f64()));
        cells
    }
}

/// Bytes of all files under a folder.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => size(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}
