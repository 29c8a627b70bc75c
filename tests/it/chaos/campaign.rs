//! Runs go on while everything embedded is killed; afterwards all that was accepted is there, once, and nothing is stuck.

use super::{
    checker::{self, Dump, Fault},
    clients::Address,
    effects::Effects,
    failpoints::{POINTS, Point, When, death},
    full,
    load::Load,
    verdict::{Campaign, collect, counter, now, still_serves},
    workload::Dice,
};
use crate::harness::{Callboard, eventually, http, root};
use callboard_catalog::{Journal, RunFilter, SqliteCatalog};
use callboard_core::id::ProjectId;
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// How long a kill waits for the process to work on something; without work it falls nowhere.
const WORK: Duration = Duration::from_secs(10);
/// How long a process may take to die at its failpoint, before it is killed.
const POINT: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_stuck_when_everything_is_killed_again_and_again() {
    let (seed, runs, kills) = if full() { (1, 500, 200) } else { (1, 60, 15) };
    let effects = Effects::start().await;
    let mut dev = start(&effects).await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    let (client, mut dice) = (http(), Dice::new(seed));
    let mut load = Load::new(seed, runs, 0, address.clone());
    let mut earlier: BTreeMap<String, Dump> = BTreeMap::new();
    let mut faults = Vec::new();
    let mut deaths = Deaths::default();
    for n in 0..kills {
        load.begin_up_to(runs * (n + 1) / kills);
        let left = kills - n;
        let died = match deaths.armed.take() {
            Some(point) => by_itself(&mut dev, point, &mut load, left).await,
            None => None,
        };
        let fault = match died {
            Some((point, fault)) => {
                deaths.inside += usize::from(point.inside);
                deaths.by_point += 1;
                fault
            }
            None => {
                at_work(&client, &dev.url, &load, 0.0).await;
                // Mostly at once, now and then after a while: what waits is to be found by a kill, too.
                let pause = if dice.roll(5) == 0 { 600 } else { 40 };
                tokio::time::sleep(Duration::from_millis(dice.roll(pause))).await;
                let before = turns(&client, &dev.url).await;
                if begin_another(&mut load, left) {
                    at_work(&client, &dev.url, &load, before).await;
                }
                killed(&mut dev)
            }
        };
        faults.push(fault);
        // One of three deaths is at a failpoint, half of them within a turn: that is too short to be met by chance.
        let point = (n % 3 == 0 && n + 1 < kills).then(|| usual(&mut dice, n % 2 == 0));
        dev.process.launch.env.retain(|(name, _)| name != "CB_FAILPOINTS");
        if let Some(point) = point {
            let at = 1 + dice.roll(4);
            dev.process.launch.env.push(("CB_FAILPOINTS".into(), format!("{}=kill@{at}", point.name)));
            deaths.armed = Some(point);
        }
        // One that dies again while it starts is the next death.
        if dev.restart_or_end().await {
            *address.write().expect("no panic while held") = dev.url.clone();
            if dice.roll(5) == 0 {
                collect(&dev.url, &mut earlier, 5).await;
            }
        }
    }
    assert_eq!(load.begun(), runs, "INVALID: every run was to begin before the last kill");
    let healed = Instant::now();
    let seen = load.finish().await;
    let name = format!("kill -9 of everything, seed {seed}");
    let campaign = Campaign {
        name: &name,
        url: &dev.url,
        seen,
        earlier,
        effects: &effects,
        faults: faults.clone(),
        healed,
    };
    let dumps = campaign.verdict().await;
    still_serves(&dev.url).await;
    let bitten = faults.iter().filter(|fault| checker::works(&dumps, fault)).count();
    println!(
        "{bitten} of {kills} kills fell into a step under way; {} at a failpoint, {} of them within a turn",
        deaths.by_point, deaths.inside
    );
    let quota = if full() { 30 } else { 1 };
    assert!(deaths.inside >= quota, "INVALID: only {} died within a turn", deaths.inside);
    assert!(bitten * 10 >= kills * 8, "INVALID: only {bitten} of {kills} kills fell into work");
    dev.stop().await;
}

/// Without a fault nothing is done twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_each_step_calls_its_model_once() {
    let runs = if full() { 300 } else { 30 };
    let effects = Effects::start().await;
    let mut dev = start(&effects).await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    let mut load = Load::new(4, runs, 0, address);
    while load.begun() < runs {
        load.begin_up_to(load.begun() + 1);
        while load.open() >= 16 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (seen, healed) = (load.finish().await, Instant::now());
    let (earlier, faults) = (BTreeMap::new(), Vec::new());
    let name = "no faults";
    let campaign = Campaign { name, url: &dev.url, seen, earlier, effects: &effects, faults, healed };
    let dumps = campaign.verdict().await;
    let log = effects.log();
    let steps: usize = dumps.iter().map(checker::agent_steps).sum();
    let calls: usize = log.values().map(Vec::len).sum();
    println!("{steps} agent steps, {calls} model calls");
    assert_eq!((calls, log.len()), (steps, steps), "each step is to call its model exactly once");
    all_cleaned_up(&dev).await;
    dev.stop().await;
}

/// Ended runs clean up after themselves: the sweeper comes for those that did not only after 45 s.
async fn all_cleaned_up(dev: &Callboard) {
    let catalog = SqliteCatalog::open(dev.data().join("catalog.db")).await.expect("the catalog");
    let left = || async {
        let rows = catalog
            .runs(&ProjectId::DEFAULT, RunFilter::default(), None, 1000)
            .await
            .expect("the catalog answers");
        match rows.iter().filter(|row| !row.is_cleaned()).count() {
            0 => Ok(()),
            n => Err(format!("{n} runs of {} are not cleaned up", rows.len())),
        }
    };
    eventually(Duration::from_secs(5), left).await;
}

/// How processes came to their end.
#[derive(Default)]
struct Deaths {
    /// Where the process that runs now is to die.
    armed: Option<&'static Point>,
    by_point: usize,
    inside: usize,
}

/// Picks a place that usual runs come by.
fn usual(dice: &mut Dice, inside: bool) -> &'static Point {
    let fits = |point: &&Point| point.when == When::Usual && (point.inside || !inside);
    let usual: Vec<&Point> = POINTS.iter().filter(fits).collect();
    usual[dice.roll(usual.len() as u64) as usize]
}

/// Waits, bounded, until the process dies at the place it was started to die at.
async fn by_itself(
    dev: &mut Callboard,
    point: &'static Point,
    load: &mut Load,
    left: usize,
) -> Option<(&'static Point, Fault)> {
    let began = Instant::now();
    while dev.process.is_running() {
        if began.elapsed() > POINT {
            return None;
        }
        begin_another(load, left);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Some((point, death(dev, point.name)))
}

/// If all that began has ended, one run more, as long as each kill that is left will have one. Returns whether.
fn begin_another(load: &mut Load, left: usize) -> bool {
    let more = load.open() == 0 && load.runs() - load.begun() > left;
    if more {
        load.begin_up_to(load.begun() + 1);
    }
    more
}

/// Starts everything in one process, with agents whose models are `effects`.
pub async fn start(effects: &Effects) -> Callboard {
    let agents = root().join("config/agents.yaml");
    let dev = Callboard::with().args(["--agents", &agents.display().to_string()]);
    dev.env("OPENAI_BASE_URL", &effects.url).env("OPENAI_API_KEY", "none").start().await
}

/// Kills it, and tells when that was.
pub fn killed(dev: &mut Callboard) -> Fault {
    let from = now();
    dev.kill();
    Fault { from, to: now() }
}

/// Waits, bounded, until the process has taken more turns than `since` while runs are open. Which kill fell into work
/// is counted by what was recorded.
async fn at_work(client: &reqwest::Client, url: &str, load: &Load, since: f64) {
    let began = Instant::now();
    while began.elapsed() < WORK && load.open() > 0 && turns(client, url).await <= since {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn turns(client: &reqwest::Client, url: &str) -> f64 {
    counter(client, url, "callboard_turns_total").await
}
