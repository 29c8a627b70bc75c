//! After many runs everything is back where it was: memory, open files, keys, messages, reminders, rows that wait.

use super::{
    beside,
    clients::{Address, Seen},
    effects::Effects,
    full,
    load::Load,
    sidecar_db::{self, Counts},
    verdict::HEALED,
    workload::{Dice, Job, chain, job},
};
use crate::harness::{Callboard, DaprCluster, DaprRun, Process, Redis, http, root};
use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// Runs in progress at once.
const AT_ONCE: usize = 32;

/// Connections that nobody uses are closed by then.
const UNUSED: Duration = Duration::from_secs(35);

/// What a process holds when nothing is to do.
#[derive(Debug, Clone, Copy)]
struct Held {
    /// KiB in memory.
    memory: u64,
    files: u64,
    rows: Counts,
    /// Runs that the sweeper will look at, and that are not deleted from the state store.
    waiting: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_many_runs_everything_is_back_where_it_was() {
    // Warm is when caches and the table of active actors are at their bounds.
    let (warm_up, runs, times) = if full() { (4000, 10_000, 1.1) } else { (150, 300, 1.5) };
    let agents = root().join("config/agents.yaml");
    // Scripted answers, so that the process is busy with nothing but runs; ended runs go after two seconds.
    let dev = Callboard::with().args(["--agents", &agents.display().to_string()]);
    let mut dev = dev.env("CALLBOARD__RUNS__RETENTION", "2s").start().await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    through(Load::of(jobs(warm_up), 0, address.clone())).await;
    let before = rest(&dev).await;
    let began = Instant::now();
    through(Load::of(jobs(runs), 100_000, address)).await;
    let took = began.elapsed();
    let after = rest(&dev).await;
    println!(
        "{runs} runs in {:.0} s after {warm_up} to warm up\nbefore {before:?}\nafter  {after:?}",
        took.as_secs_f64()
    );
    assert_eq!((after.rows, after.waiting), (before.rows, before.waiting), "rows are left");
    assert!(after.files <= before.files + before.files / 10 + 2, "files are left open");
    assert!(after.memory as f64 <= before.memory as f64 * times, "memory is not given back");
    dev.stop().await;
}

/// The same beside Dapr, in the long campaign only: what is ours there, and what we leave in Redis and the scheduler.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_many_runs_beside_dapr_everything_is_back_where_it_was() {
    if !full() {
        println!("only with CALLBOARD_CHAOS=full");
        return;
    }
    let (warm_up, runs) = (2000, 3000);
    let effects = Effects::start().await;
    let redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let retention = ("CALLBOARD__RUNS__RETENTION".to_owned(), "2s".to_owned());
    let mut run = beside::start_with(&effects, &redis, &cluster, [retention]).await;
    let address: Address = Arc::new(RwLock::new(run.app("workflow-service").url.clone()));
    through(Load::of(jobs(warm_up), 0, address.clone())).await;
    let before = rest_beside(&mut run, &redis).await;
    let seen = through(Load::of(jobs(runs), 100_000, address)).await;
    let after = rest_beside(&mut run, &redis).await;
    println!("{runs} runs beside Dapr after {warm_up}\nbefore {before:?}\nafter  {after:?}");
    for (before, after) in before.apps.iter().zip(&after.apps) {
        assert!(after.1 <= before.1 + before.1 / 10 + 2, "files are left open");
        assert!(after.0 as f64 <= before.0 as f64 * 1.1, "memory is not given back");
    }
    // Redis trims the streams, roughly, at the bound that their component names.
    assert!(after.entries <= 2 * 101_000, "the streams grow");
    assert_eq!((after.keys, after.pending), (0, 0), "Redis holds more than streams");
    assert_eq!(after.pins, before.pins, "there are no more sets of agents than before");
    let sidecar = run.app("workflow-service").sidecar.http();
    for seen in seen.iter().step_by(20) {
        let reminder = format!("{sidecar}/v1.0/actors/Workflow/{}/reminders/wake", seen.run);
        let answer = http().get(reminder).send().await.expect("the sidecar answers");
        assert_ne!(answer.status(), 200, "{}: its reminder is left", seen.run);
    }
}

/// What is held beside Dapr when nothing is to do.
#[derive(Debug)]
struct HeldBeside {
    /// Of each app: KiB in memory, open files.
    apps: Vec<(u64, u64)>,
    /// Keys of the state store that are runs'.
    keys: usize,
    /// Those that all runs with the same agents share.
    pins: usize,
    /// Messages that were read and not acknowledged.
    pending: u64,
    /// Messages in the streams, acknowledged ones included.
    entries: u64,
}

async fn rest_beside(run: &mut DaprRun, redis: &Redis) -> HeldBeside {
    let began = Instant::now();
    let number = |words: &[&str]| -> u64 {
        let text = redis.command(words).unwrap_or_default();
        text.lines().next().and_then(|line| line.parse().ok()).unwrap_or(0)
    };
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let keys = redis.command(&["KEYS", "statestore||*"]).expect("Redis answers");
        let (pins, keys): (Vec<&str>, Vec<&str>) =
            keys.lines().partition(|key| key.starts_with("statestore||pin."));
        let pending = number(&["XPENDING", "callboard.tasks", "ai-service"]);
        if (keys.is_empty() && pending == 0) || began.elapsed() > HEALED {
            // How many connections to the model are kept for the next call says how many calls there were at once.
            tokio::time::sleep(UNUSED).await;
            let apps = run.apps.iter_mut().map(|app| process(app.process())).collect();
            let entries = ["callboard.tasks", "callboard.events"].map(|topic| number(&["XLEN", topic]));
            return HeldBeside {
                apps,
                keys: keys.len(),
                pins: pins.len(),
                pending,
                entries: entries.iter().sum(),
            };
        }
    }
}

/// Short chains, and some of every kind.
fn jobs(runs: usize) -> Vec<Job> {
    let mut dice = Dice::new(11);
    (0..runs).map(|n| if n % 5 == 0 { job(&mut dice) } else { chain(3, false) }).collect()
}

/// Lets all runs of a load end, some at once.
async fn through(mut load: Load) -> Vec<Seen> {
    while load.begun() < load.runs() || load.open() > 0 {
        let free = AT_ONCE.saturating_sub(load.open());
        load.begin_up_to(load.begun() + free);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    load.finish().await
}

/// Waits until nothing is left to delete, and returns what the process holds then.
async fn rest(dev: &Callboard) -> Held {
    let began = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let held = held(dev).await;
        if held.rows.keys == 0 && held.rows.reminders == 0 && held.waiting == 0 {
            return held;
        }
        // What could not be deleted at once, the sweeper comes back to within a minute.
        assert!(began.elapsed() < 2 * HEALED, "ended runs are not deleted: {held:?}");
    }
}

async fn held(dev: &Callboard) -> Held {
    let (memory, files) = process(&dev.process);
    Held {
        memory,
        files,
        rows: sidecar_db::counts(dev.data()).await,
        waiting: sidecar_db::waiting(dev.data()).await,
    }
}

/// Returns a process's memory in KiB, and its open files.
fn process(process: &Process) -> (u64, u64) {
    let folder = format!("/proc/{}", process.id().expect("it runs"));
    let status = std::fs::read_to_string(format!("{folder}/status")).expect("a process on Linux");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let files = std::fs::read_dir(format!("{folder}/fd")).expect("its files").count();
    (memory.and_then(|n| n.parse().ok()).expect("its memory"), files as u64)
}
