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
    collections::BTreeSet,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// How `/proc/net/tcp` writes that a socket listens.
const LISTENS: &str = "0A";

/// Runs in progress at once.
const AT_ONCE: usize = 32;

/// Connections to others that nobody uses are closed by then.
const UNUSED: Duration = Duration::from_secs(35);

/// Connections that sidecars and clients keep to a process at most, of their own accord: each has at most so many calls at once.
const CALLERS: u64 = 6 * AT_ONCE as u64;

/// What a process holds when nothing is to do.
#[derive(Debug, Clone, Copy)]
struct Held {
    process: Holds,
    rows: Counts,
    /// Runs that the sweeper will look at, and that are not deleted from the state store.
    waiting: u64,
}

/// What the system says that a process holds.
#[derive(Debug, Clone, Copy)]
struct Holds {
    /// KiB in memory.
    memory: u64,
    /// Open files, and connections that it made.
    files: u64,
    /// Connections that others made to it. They close them.
    callers: u64,
}

impl Holds {
    /// Says that it holds no more than before, but for so many times the memory.
    fn is_back_at(&self, before: &Self, times: f64) {
        assert!(self.files <= before.files + before.files / 10 + 2, "files are left open");
        assert!(self.callers.max(before.callers) <= CALLERS, "callers are not let go");
        assert!(self.memory as f64 <= before.memory as f64 * times, "memory is not given back");
    }
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
    after.process.is_back_at(&before.process, times);
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
        after.is_back_at(before, 1.1);
    }
    // Redis trims the streams, roughly, at the bound that their component names.
    assert!(after.entries <= 2 * 101_000, "the streams grow");
    assert_eq!(after.pending, 0, "messages are left");
    assert_eq!(after.keys, [""; 0], "Redis holds more than streams");
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
    apps: Vec<Holds>,
    /// Keys of the state store that are runs'.
    keys: Vec<String>,
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
                keys: keys.into_iter().map(str::to_owned).collect(),
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
    Held {
        process: process(&dev.process),
        rows: sidecar_db::counts(dev.data()).await,
        waiting: sidecar_db::waiting(dev.data()).await,
    }
}

fn process(process: &Process) -> Holds {
    let folder = format!("/proc/{}", process.id().expect("it runs"));
    let status = std::fs::read_to_string(format!("{folder}/status")).expect("a process on Linux");
    let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB"));
    let memory = memory.and_then(|n| n.parse().ok()).expect("its memory");
    let files = std::fs::read_dir(format!("{folder}/fd")).expect("its files");
    let files: Vec<_> = files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()?.into_os_string().into_string().ok())
        .collect();
    let sockets: BTreeSet<_> =
        files.iter().filter_map(|file| file.strip_prefix("socket:[")?.strip_suffix(']')).collect();
    let tcp = ["tcp", "tcp6"]
        .map(|table| std::fs::read_to_string(format!("{folder}/net/{table}")).unwrap_or_default());
    // Of each of its own: the port here, and the state.
    let own: Vec<(&str, &str)> = tcp
        .iter()
        .flat_map(|table| table.lines())
        .filter_map(|line| {
            let fields: Vec<_> = line.split_whitespace().collect();
            let port = fields.get(1)?.rsplit_once(':')?.1;
            sockets.contains(fields.get(9)?).then_some((port, *fields.get(3)?))
        })
        .collect();
    let listening: BTreeSet<_> =
        own.iter().filter(|(_, state)| *state == LISTENS).map(|(port, _)| port).collect();
    let callers =
        own.iter().filter(|(port, state)| *state != LISTENS && listening.contains(port)).count() as u64;
    Holds { memory, files: files.len() as u64 - callers, callers }
}
