//! One seed, from an empty world to a quiet one.

use crate::{
    check, client, faults,
    world::{HOSTS, Plan, World},
};
use callboard_actors::mutant::{self, Rule};
use std::{collections::BTreeMap, time::Duration};
use tokio::time::sleep;

/// So long after its last fault a world must be quiet, in simulated milliseconds.
const PATIENCE: u64 = 900_000;

/// A first document that nobody journaled has expired by then.
const FORGOTTEN: u64 = 40_000;

/// How a seed ended.
#[derive(Debug, Clone)]
pub struct End {
    pub violation: Option<String>,
    pub lines: Vec<String>,
    /// Of the whole log.
    pub digest: u64,
    pub left: check::Left,
    pub seen: BTreeMap<&'static str, u64>,
    pub steps: u64,
    pub attempts: u64,
    pub calls: u64,
}

/// Some seeds have no faults: they show what must not depend on any.
pub fn is_calm(seed: u64) -> bool {
    seed % 8 == 7
}

/// Runs a seed, with a rule switched off or none.
pub fn run(plan: Plan, off: Option<Rule>) -> End {
    mutant::switch_off(off);
    let _ = mutant::notes();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let end = runtime.block_on(live(plan));
    drop(runtime);
    mutant::switch_off(None);
    end
}

async fn live(plan: Plan) -> End {
    let world = World::new(plan);
    (0..HOSTS).for_each(|host| world.boot(host));
    client::start(&world, world.between(1, 4));
    faults::start(&world);
    let end = world.faults_end + PATIENCE;
    let mut calmed = false;
    loop {
        sleep(Duration::from_millis(500)).await;
        let violated = world.state.lock().violation.is_some();
        if violated
            || world.now() > end
            || world.now() > world.faults_end + FORGOTTEN && check::is_over(&world)
        {
            break;
        }
        let purged = world.state.lock().book.0.values().all(|r| r.purged);
        if !calmed
            && world.quiet()
            && purged
            && world.state.lock().ledger.clients == 0
            && world.now() > world.faults_end + 20_000
        {
            // Only looks at purged runs are left: one host's sweeper is enough for them.
            calmed = true;
            (1..HOSTS).for_each(|host| world.crash(host));
        }
    }
    let left =
        if world.state.lock().violation.is_none() { check::all(&world) } else { check::Left::default() };
    world.close();
    let (lines, digest) = world.lines();
    let state = world.state.lock();
    let ledger = &state.ledger;
    End {
        violation: state.violation.clone(),
        lines,
        digest,
        left,
        seen: state.seen.clone(),
        steps: state.book.0.values().map(|r| r.started.len() as u64).sum(),
        attempts: ledger.calls.len() as u64,
        calls: ledger.calls.values().map(|c| u64::from(c.made)).sum(),
    }
}
