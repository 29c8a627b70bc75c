//! Runs go on while processes are killed; afterwards everything accepted is there, once, and nothing is stuck.

use super::{
    checker::{self, Dump},
    clients::{self, Address, Seen},
    effects::Effects,
    full,
    workload::{Dice, job},
};
use crate::harness::{Callboard, DaprCluster, DaprRun, Overrides, Redis, eventually, http, root};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// After the last fault everything must have ended within this.
const HEALED: Duration = Duration::from_secs(60);

/// What a campaign does.
struct Plan {
    seed: u64,
    runs: usize,
    kills: usize,
    /// Between kills, up to this many milliseconds.
    pause: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_stuck_when_everything_is_killed_again_and_again() {
    let plan = match full() {
        true => Plan { seed: 1, runs: 500, kills: 200, pause: 900 },
        false => Plan { seed: 1, runs: 60, kills: 15, pause: 600 },
    };
    let effects = Effects::start().await;
    let agents = root().join("config/agents.yaml");
    let mut dev = Callboard::with()
        .args(["--agents", &agents.display().to_string()])
        .env("OPENAI_BASE_URL", &effects.url)
        .env("OPENAI_API_KEY", "none")
        .start()
        .await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    let mut dice = Dice::new(plan.seed);
    let clients = start_clients(&plan, &address);
    let mut dumps: BTreeMap<String, Dump> = BTreeMap::new();
    let mut busy = 0;
    for _ in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(20 + dice.roll(plan.pause))).await;
        busy += usize::from(turns(&dev.url).await > 0.0);
        dev.kill();
        dev.restart().await;
        *address.write().expect("no panic while held") = dev.url.clone();
        if dice.roll(5) == 0 {
            collect(&dev.url, &mut dumps, 5).await;
        }
    }
    let healed = Instant::now();
    let seen = finish(clients).await;
    verdict(&dev.url, &plan, seen, dumps, &effects, healed).await;
    assert!(busy * 10 >= plan.kills * 9, "INVALID: only {busy} of {} kills fell into work", plan.kills);
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_beside_real_dapr_when_apps_sidecars_and_redis_are_killed() {
    let plan = match full() {
        true => Plan { seed: 2, runs: 300, kills: 90, pause: 1500 },
        false => Plan { seed: 2, runs: 30, kills: 6, pause: 1500 },
    };
    let effects = Effects::start().await;
    let mut redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let env = BTreeMap::from([
        ("OPENAI_BASE_URL".to_owned(), effects.url.clone()),
        ("OPENAI_API_KEY".to_owned(), "none".to_owned()),
    ]);
    let overrides = Overrides { redis: redis.address(), env, ..Overrides::default() };
    let mut run = DaprRun::start(&root().join("dapr"), &cluster, overrides).await;
    let url = run.app("workflow-service").url.clone();
    let address: Address = Arc::new(RwLock::new(url.clone()));
    let mut dice = Dice::new(plan.seed);
    let clients = start_clients(&plan, &address);
    let mut bitten = [0; 3];
    for n in 0..plan.kills {
        tokio::time::sleep(Duration::from_millis(500 + dice.roll(plan.pause))).await;
        let app = if dice.roll(2) == 0 { "workflow-service" } else { "ai-service" };
        match n % 3 {
            0 => {
                run.app(app).process().kill();
                run.app(app).process().restart();
            }
            1 => {
                run.app(app).sidecar.kill();
                run.app(app).sidecar.restart().await;
            }
            _ => {
                redis.kill();
                redis.restart().await;
            }
        }
        bitten[n % 3] += 1;
    }
    for app in &mut run.apps {
        app.ready().await;
    }
    let healed = Instant::now();
    let seen = finish(clients).await;
    verdict(&url, &plan, seen, BTreeMap::new(), &effects, healed).await;
    println!("killed: {} apps, {} sidecars, {} times Redis", bitten[0], bitten[1], bitten[2]);
}

type Clients = Vec<tokio::task::JoinHandle<Seen>>;

/// Starts the clients; runs begin spread over the campaign.
fn start_clients(plan: &Plan, address: &Address) -> Clients {
    let mut dice = Dice::new(plan.seed.wrapping_mul(7919));
    let span = plan.kills as u64 * (plan.pause / 2 + 200);
    let client = http();
    (0..plan.runs)
        .map(|n| {
            let (job, after) = (job(&mut dice), dice.roll(span));
            let (client, address) = (client.clone(), address.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(after)).await;
                clients::drive(client, address, n, job).await
            })
        })
        .collect()
}

async fn finish(clients: Clients) -> Vec<Seen> {
    let mut seen = Vec::new();
    for client in clients {
        seen.push(client.await.expect("a client does not give up"));
    }
    seen
}

/// Waits until every run has ended, then checks each, and that the service still works.
async fn verdict(
    url: &str,
    plan: &Plan,
    seen: Vec<Seen>,
    earlier: BTreeMap<String, Dump>,
    effects: &Effects,
    healed: Instant,
) {
    let mut wrong = Vec::new();
    let mut stalls = Vec::new();
    for seen in &seen {
        let patience = HEALED.saturating_sub(healed.elapsed()).max(Duration::from_secs(2));
        let mut dump = read(url, &seen.run).await;
        let began = Instant::now();
        while dump.as_ref().is_none_or(|d| d.run["ended_at"].is_null()) && began.elapsed() < patience {
            tokio::time::sleep(Duration::from_millis(100)).await;
            dump = read(url, &seen.run).await;
        }
        wrong.extend(checker::check(seen, dump.as_ref(), earlier.get(&seen.run), &effects.log()));
        stalls.extend(dump.as_ref().map(|d| checker::longest_stall(&seen.run, d)));
    }
    stalls.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    for (length, what) in stalls.iter().take(3) {
        println!("longest stalls: {:.1} s, {what}", *length as f64 / 1e3);
    }
    let log = effects.log();
    println!(
        "seed {}: {} runs, {} kills, {} calls, {} of them repeated; all ended {:.1} s after the last fault",
        plan.seed,
        seen.len(),
        plan.kills,
        log.values().map(Vec::len).sum::<usize>(),
        checker::repeated_calls(&log),
        healed.elapsed().as_secs_f64(),
    );
    assert!(wrong.is_empty(), "seed {}: {} violations:\n{}", plan.seed, wrong.len(), wrong.join("\n"));
    assert!(seen.len() == plan.runs, "INVALID: {} of {} runs were started", seen.len(), plan.runs);
    // The tail check: a service that came through must still serve.
    let address: Address = Arc::new(RwLock::new(url.to_owned()));
    for n in 0..5 {
        let job = job(&mut Dice::new(1000 + n));
        let fresh = clients::drive(http(), address.clone(), 10_000 + n as usize, job).await;
        eventually(Duration::from_secs(20), || async {
            let dump = read(url, &fresh.run).await;
            dump.filter(|d| d.run["status"] == "completed").ok_or("not completed")
        })
        .await;
    }
}

/// Reads a run and its whole history; nothing if there is no such run, or the service is away.
async fn read(url: &str, run: &str) -> Option<Dump> {
    let get = |path: String| async move {
        let answer = http().get(format!("{url}/api/v1/runs/{run}{path}")).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json::<Value>().await.ok()
    };
    let row = get(String::new()).await?;
    let mut history: Vec<Value> = Vec::new();
    loop {
        let after = history.last().map_or(0, |i| i["seq"].as_u64().unwrap_or(0));
        let page = get(format!("/history?limit=1000&after={after}")).await?;
        let items = page["items"].as_array()?.clone();
        if items.is_empty() {
            return Some(Dump { run: row, history });
        }
        history.extend(items);
    }
}

/// Dumps some runs, to see later that nothing of them was rewritten.
async fn collect(url: &str, dumps: &mut BTreeMap<String, Dump>, limit: usize) {
    let Ok(answer) = http().get(format!("{url}/api/v1/runs?limit={limit}")).send().await else { return };
    let Ok(list) = answer.json::<Value>().await else { return };
    for item in list["items"].as_array().into_iter().flatten() {
        let Some(id) = item["id"].as_str() else { continue };
        if let Some(dump) = read(url, id).await {
            dumps.insert(id.to_owned(), dump);
        }
    }
}

/// Returns how many turns the process has taken.
async fn turns(url: &str) -> f64 {
    let Ok(answer) = http().get(format!("{url}/metrics")).send().await else { return 0.0 };
    let text = answer.text().await.unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("callboard_turns_total "));
    line.and_then(|n| n.parse().ok()).unwrap_or(0.0)
}
