//! Whose turn it is where a provider or a host takes few calls at the same time.

use super::api::Api;
use crate::harness::{Callboard, Model, Reply, Upstream, http, root, scratch};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long each call takes, and how many are taken at the same time.
const CALL: Duration = Duration::from_millis(400);
const PARALLEL: usize = 4;

fn ask(name: &str, prompt: &str) -> Value {
    json!({"id": name, "type": "agent", "config": {"agent": "asker", "prompt": prompt}})
}

/// A workflow that asks a model ten times at once.
fn crowd() -> Value {
    let each = json!({"items": "range(10)", "parallel": 10, "body": {"nodes": [ask("one", "crowd")]}});
    json!({"name": "crowd", "nodes": [{"id": "all", "type": "for_each", "config": each}]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_step_does_not_wait_behind_another_workflows_hundred() {
    let model = Model::start().await;
    model.script().otherwise(Reply::Echo.after(CALL));
    let folder = scratch();
    let (agents, settings) = (folder.path().join("agents.json"), folder.path().join("settings.toml"));
    std::fs::write(&agents, json!({"agents": {"asker": {"model": "slow/m"}}}).to_string())
        .expect("the agents");
    let text = format!(
        "[models]\ndefault = \"slow\"\n[models.providers.slow]\nbase_url = {:?}\nparallel = {PARALLEL}\n",
        model.base_url()
    );
    std::fs::write(&settings, text).expect("the settings");
    let (agents, settings) = (agents.display().to_string(), settings.display().to_string());
    let mut dev = Callboard::with().args(["--agents", &agents, "--config", &settings]).start().await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let crowd = api.create(&crowd()).await;
    let alone = json!({"name": "alone", "nodes": [ask("one", "alone")]});
    let alone = api.create(&alone).await;
    let mut runs = Vec::new();
    for _ in 0..10 {
        runs.push(api.start(&crowd, json!({})).await);
    }
    // All of the crowd's calls wait, which takes 10 s to work off.
    let asked = || model.script().requests().len();
    let began = Instant::now();
    while asked() < 2 * PARALLEL {
        assert!(began.elapsed() < Duration::from_secs(20), "the crowd asks");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let (before, began) = (asked(), Instant::now());
    let run = api.start(&alone, json!({})).await;
    api.until(&run, "completed").await;
    let after = asked();
    // What is under way ends, then it is the single one's turn; on a busy machine its start takes some time, too.
    assert!(
        after - before <= 6 * PARALLEL,
        "{} calls were made meanwhile, in {:?}",
        after - before,
        began.elapsed()
    );
    let metrics = http().get(format!("{}/metrics", dev.url)).send().await.expect("metrics");
    let metrics = metrics.text().await.expect("text");
    let waiting =
        metrics.lines().find_map(|line| line.strip_prefix("callboard_calls_waiting{for=\"slow\"} "));
    assert!(waiting.is_some_and(|n| n.parse::<u32>().is_ok_and(|n| n > 10)), "{waiting:?}");
    for run in runs {
        api.until(&run, "completed").await;
    }
    assert_eq!(asked(), 101, "each step is called once");
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_hangs_stops_no_other() {
    let (hangs, answers) = (Upstream::start().await, Upstream::start().await);
    hangs.script.otherwise(Reply::Echo.after(Duration::from_secs(60)));
    let agents = root().join("config/agents.yaml").display().to_string();
    let allow = format!("{},{}", hangs.addr(), answers.addr());
    let mut dev =
        Callboard::with().args(["--agents", &agents]).env("CALLBOARD__HTTP__ALLOW", allow).start().await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let each = json!({"items": "range(60)", "parallel": 60, "body": {"nodes": [
        {"id": "get", "type": "http", "config": {"url": format!("{}/x", hangs.url())}}
    ]}});
    let stuck = json!({"name": "stuck", "nodes": [{"id": "all", "type": "for_each", "config": each}]});
    // More calls than the whole process makes at the same time.
    for _ in 0..6 {
        api.run(&stuck, json!({})).await;
    }
    let began = Instant::now();
    while hangs.script.requests().len() < 64 {
        assert!(began.elapsed() < Duration::from_secs(20), "{} calls hang", hangs.script.requests().len());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let get = json!({"name": "quick", "nodes": [
        {"id": "get", "type": "http", "config": {"url": format!("{}/x", answers.url())}}
    ]});
    let run = api.run(&get, json!({})).await;
    api.until(&run, "completed").await;
    assert_eq!(hangs.script.requests().len(), 64, "a host has its number of places");
    dev.kill();
}
