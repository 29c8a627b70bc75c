//! After many runs everything is back where it was: memory, open files, keys, messages, reminders, rows that wait.

use super::{
    clients::Address,
    full,
    load::Load,
    sidecar_db::{self, Counts},
    verdict::HEALED,
    workload::{Dice, Job, chain, job},
};
use crate::harness::{Callboard, root};
use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// Runs in progress at once.
const AT_ONCE: usize = 32;

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
    let (warm_up, runs, times) = if full() { (2000, 10_000, 1.1) } else { (150, 300, 1.5) };
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

/// Short chains, and some of every kind.
fn jobs(runs: usize) -> Vec<Job> {
    let mut dice = Dice::new(11);
    (0..runs).map(|n| if n % 5 == 0 { job(&mut dice) } else { chain(3, false) }).collect()
}

/// Lets all runs of a load end, some at once.
async fn through(mut load: Load) {
    while load.begun() < load.runs() || load.open() > 0 {
        let free = AT_ONCE.saturating_sub(load.open());
        load.begin_up_to(load.begun() + free);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    load.finish().await;
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
        assert!(began.elapsed() < HEALED, "ended runs are not deleted: {held:?}");
    }
}

async fn held(dev: &Callboard) -> Held {
    let process = format!("/proc/{}", dev.process.id().expect("it runs"));
    let status = std::fs::read_to_string(format!("{process}/status")).expect("a process on Linux");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    Held {
        memory: memory.and_then(|n| n.parse().ok()).expect("its memory"),
        files: std::fs::read_dir(format!("{process}/fd")).expect("its files").count() as u64,
        rows: sidecar_db::counts(dev.data()).await,
        waiting: sidecar_db::waiting(dev.data()).await,
    }
}
