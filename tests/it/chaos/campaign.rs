//! Runs go on while everything embedded is killed; afterwards all that was accepted is there, once, and nothing is stuck.

use super::{
    checker::{self, Dump, Fault},
    clients::Address,
    effects::Effects,
    full,
    load::Load,
    verdict::{Campaign, collect, counter, now},
    workload::Dice,
};
use crate::harness::{Callboard, root};
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// How long a kill waits for the process to work on something; without work it falls nowhere.
const WORK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_doubled_or_stuck_when_everything_is_killed_again_and_again() {
    let (seed, runs, kills) = if full() { (1, 500, 200) } else { (1, 60, 15) };
    let effects = Effects::start().await;
    let mut dev = start(&effects).await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    let mut dice = Dice::new(seed);
    let mut load = Load::new(seed, runs, 0, address.clone());
    let mut earlier: BTreeMap<String, Dump> = BTreeMap::new();
    let mut faults = Vec::new();
    for n in 0..kills {
        load.begin_up_to(runs * (n + 1) / kills);
        at_work(&dev.url, &load).await;
        // Mostly at once, now and then after a while: what waits is to be found by a kill, too.
        let pause = if dice.roll(5) == 0 { 600 } else { 40 };
        tokio::time::sleep(Duration::from_millis(dice.roll(pause))).await;
        if load.open() == 0 && load.runs() - load.begun() > kills - n {
            load.begin_up_to(load.begun() + 1);
            at_work(&dev.url, &load).await;
        }
        faults.push(killed(&mut dev));
        dev.restart().await;
        *address.write().expect("no panic while held") = dev.url.clone();
        if dice.roll(5) == 0 {
            collect(&dev.url, &mut earlier, 5).await;
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
    let bitten = faults.iter().filter(|fault| checker::works(&dumps, fault)).count();
    println!("{bitten} of {kills} kills fell into a step under way");
    assert!(bitten * 10 >= kills * 8, "INVALID: only {bitten} of {kills} kills fell into work");
    dev.stop().await;
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

/// Waits, bounded, until a process that was started has taken turns and runs are open. Which kill fell into work is
/// counted by what was recorded.
pub async fn at_work(url: &str, load: &Load) {
    let began = Instant::now();
    while began.elapsed() < WORK && load.open() > 0 && counter(url, "callboard_turns_total").await == 0.0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
