//! Redis comes back without its last second or two, as after a power cut: its file is cut in the middle of a record.
//!
//! What it had acknowledged is gone: documents are older than the histories that the catalog has of them, values and
//! tasks are missing. No run may be lost for it, and nothing that was recorded may change.

use super::{
    beside,
    checker::Fault,
    clients::{Address, Seen},
    effects::Effects,
    full,
    load::Load,
    verdict::{Campaign, HEALED, now, still_serves},
    workload::{Dice, Job, chain, job},
};
use crate::harness::{DaprCluster, Redis, eventually};
use callboard_catalog::{Entry, Journal, SqliteCatalog};
use callboard_core::id::{ProjectId, RunId};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, RwLock},
    time::Instant,
};

/// Every key of the state store on a line, with its version and its length.
const KEYS: &str = "local out = {}
for _, key in ipairs(redis.call('keys', 'statestore||*')) do
  if redis.call('type', key).ok == 'hash' then
    out[#out + 1] = key .. ' ' .. redis.call('hget', key, 'version') .. ' ' .. redis.call('hstrlen', key, 'data')
  end
end
return out";

/// A value above this is large.
const LARGE: u64 = 64 << 10;

/// The state store at an instant: versions and lengths by key.
type State = BTreeMap<String, (u64, u64)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_lost_what_it_had_acknowledged_changes_no_history() {
    let (runs, quota) = if full() { (100, 50) } else { (40, 20) };
    let effects = Effects::start().await;
    let mut redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let mut run = beside::start(&effects, &redis, &cluster).await;
    let url = run.app("workflow-service").url.clone();
    let address: Address = Arc::new(RwLock::new(url.clone()));
    let catalog = SqliteCatalog::open(&run.dir().join("data/catalog.db")).await.expect("the catalog");
    let mut load = Load::of(jobs(runs), 0, address);
    load.begin_up_to(runs);

    // Far enough that each run is under way, and long before they end.
    eventually(HEALED, || async {
        if effects.calls() > 2 * runs { Ok(()) } else { Err("runs are slow to begin") }
    })
    .await;
    // What was done since is undone, tasks taken from the bus included: the fault begins here.
    let from = now();
    let kept = file(&redis).metadata().expect("the append-only file").len();
    let at_cut = state(&redis);
    eventually(HEALED, || async {
        let now = state(&redis);
        let moved = documents(&now).filter(|(key, at)| at_cut.get(*key).is_none_or(|old| old < *at)).count();
        // More than there are runs with large values: the last of each may not have come to its history yet.
        let large = now.iter().filter(|(key, (_, size))| *size > LARGE && !at_cut.contains_key(*key)).count();
        if moved >= quota + quota / 4 && large > runs / 5 + 2 {
            Ok(())
        } else {
            Err(format!("{moved} runs moved"))
        }
    })
    .await;
    let before = state(&redis);
    let open = load.open();
    redis.kill();
    let path = file(&redis);
    let length = path.metadata().expect("the append-only file").len();
    let cut = std::fs::OpenOptions::new().write(true).open(&path).expect("the append-only file");
    // Nine bytes more: the last record is torn.
    cut.set_len(kept + 9).expect("a file can be cut");
    let mut old = BTreeMap::new();
    for row in
        catalog.runs(&ProjectId::DEFAULT, Default::default(), None, 1000).await.expect("the catalog answers")
    {
        old.insert(row.id.clone(), history(&catalog, &row.id).await);
    }
    let after = state(&redis.copy().await);
    redis.restart().await;
    let healed = Instant::now();
    // What was cut off is tried again for a while after it.
    let fault = Fault { from, to: now() + 10_000 };

    let named = |key: &str| {
        let value = key.rsplit_once(".v.").map_or("", |(_, name)| name);
        old.values().flatten().any(|entry| entry.event.contains(value))
    };
    let lost = documents(&before).filter(|(key, at)| after.get(*key).is_none_or(|now| now.0 < at.0)).count();
    let lost_large = before
        .iter()
        .filter(|(key, (_, size))| *size > LARGE && !after.contains_key(*key) && named(key))
        .count();
    println!(
        "{} of {length} bytes cut off while {open} runs went on: {lost} runs lost an acknowledged commit, \
         {lost_large} values of more than 64 KiB that a history names were lost",
        length - kept,
    );

    let seen: Vec<Seen> = load.finish().await;
    assert_eq!(seen.len(), runs, "INVALID: not every run was started");
    let name = "Redis cut back";
    // A task may be lost with its answer, and the answer that is given again with it.
    let faults = vec![fault; 3];
    let campaign =
        Campaign { name, url: &url, seen, earlier: BTreeMap::new(), effects: &effects, faults, healed };
    campaign.verdict().await;
    for (run, before) in &old {
        let after = history(&catalog, run).await;
        assert!(after.starts_with(before), "INV-03 {run}: what was recorded before the cut has changed");
    }
    still_serves(&url).await;
    assert!(open * 2 > runs, "INVALID: only {open} runs went on");
    assert!(lost >= quota, "INVALID: only {lost} runs had lost an acknowledged commit");
    assert!(lost_large > 0, "INVALID: no large value was lost");
}

/// Long chains mostly, so that they are all under way for long enough; some with large values, some of any kind.
fn jobs(runs: usize) -> Vec<Job> {
    let mut dice = Dice::new(9);
    let make = |n| match n % 5 {
        0 => chain(14, true),
        1 => job(&mut dice),
        _ => chain(18, false),
    };
    (0..runs).map(make).collect()
}

/// Returns the file that Redis appends to.
fn file(redis: &Redis) -> PathBuf {
    let folder = redis.dir().join("appendonlydir");
    let entries = std::fs::read_dir(&folder).expect("the folder of append-only files");
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    names.filter(|path| path.to_string_lossy().ends_with(".incr.aof")).max().expect("an append-only file")
}

fn state(redis: &Redis) -> State {
    let text = redis.command(&["EVAL", KEYS, "0"]).expect("Redis answers");
    let read = |line: &str| {
        let mut words = line.rsplitn(3, ' ');
        let (size, version) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((words.next()?.to_owned(), (version, size)))
    };
    text.lines().filter_map(read).collect()
}

fn documents(state: &State) -> impl Iterator<Item = (&String, &(u64, u64))> {
    state.iter().filter(|(key, _)| key.ends_with(".doc"))
}

async fn history(catalog: &SqliteCatalog, run: &RunId) -> Vec<Entry> {
    catalog.history(run, 0, 10_000).await.expect("the catalog answers")
}
