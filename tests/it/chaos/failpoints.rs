//! The process dies at every place where a crash could part two steps of a turn, and every run goes on.

use super::{
    checker::Fault,
    clients::Address,
    effects::Effects,
    full,
    load::Load,
    sidecar_db,
    verdict::{Campaign, HEALED, now},
    workload::{Job, chain, each_kind, long, slow, tools},
};
use crate::harness::{Callboard, root, scratch};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

/// What a run has to do for the place to be come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Runs of the usual kinds come by.
    Usual,
    /// An agent that uses tools, or a service's node, does.
    Tools,
    /// A history so long that one snapshot follows another.
    Long,
    /// A run that lasts so long that it gets a reminder.
    Slow,
    /// The state of an ended run is deleted.
    Purge,
}

/// A place to die at.
pub struct Point {
    pub name: &'static str,
    pub when: When,
    /// It stands in a turn, under the actor's lock; the others in what follows or precedes one.
    pub inside: bool,
}

const fn inside(name: &'static str, when: When) -> Point {
    Point { name, when, inside: true }
}

const fn beside(name: &'static str, when: When) -> Point {
    Point { name, when, inside: false }
}

/// Every place in the sources, in the order a step comes by.
pub const POINTS: [Point; 38] = [
    inside("turn.loaded", When::Usual),
    inside("commit.before_values", When::Usual),
    inside("commit.after_values", When::Usual),
    inside("arm.before", When::Slow),
    inside("arm.after", When::Slow),
    inside("commit.after_document", When::Usual),
    beside("commit.before_superseded", When::Long),
    beside("journal.before", When::Usual),
    beside("journal.after", When::Usual),
    inside("turn.before_act", When::Usual),
    inside("turn.before_answer", When::Usual),
    beside("tasks.before_publish", When::Usual),
    beside("tasks.after_publish", When::Usual),
    beside("tasks.before_accept", When::Usual),
    beside("tasks.after_accept", When::Usual),
    beside("model.before_call", When::Usual),
    beside("model.after_call", When::Usual),
    beside("tool.before_call", When::Tools),
    beside("tool.after_call", When::Tools),
    inside("agent.before_values", When::Usual),
    inside("agent.after_values", When::Usual),
    inside("agent.after_document", When::Usual),
    inside("agent.before_arm", When::Tools),
    beside("deliver.before", When::Usual),
    beside("deliver.after", When::Usual),
    inside("agent.before_disarm", When::Tools),
    beside("http.before_call", When::Tools),
    beside("http.after_call", When::Tools),
    beside("events.before_publish", When::Usual),
    beside("events.after_publish", When::Usual),
    inside("disarm.before", When::Slow),
    inside("disarm.after", When::Slow),
    inside("clean.before_mark", When::Usual),
    inside("clean.after_mark", When::Usual),
    inside("purge.before_values", When::Purge),
    inside("purge.before_document", When::Purge),
    inside("purge.before_mark", When::Purge),
    inside("purge.after_mark", When::Purge),
];

/// How long a process may take to come by a place.
const PATIENCE: Duration = Duration::from_secs(60);
/// Places died at side by side.
const AT_ONCE: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_dies_at_any_point_of_a_turn_loses_nothing() {
    let effects = Arc::new(Effects::start().await);
    let hits: &[u32] = if full() { &[1, 2, 5] } else { &[2] };
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut deaths = JoinSet::new();
    for (n, point) in POINTS.iter().enumerate() {
        for hit in hits {
            let (effects, places) = (effects.clone(), places.clone());
            let first = 1000 * n + 100 * *hit as usize;
            deaths.spawn(async move {
                let _place = places.acquire_owned().await.expect("nobody closes it");
                die(point, *hit, first, &effects).await;
                point.name
            });
        }
    }
    let mut hit: BTreeMap<&str, usize> = BTreeMap::new();
    while let Some(death) = deaths.join_next().await {
        *hit.entry(death.expect("the death at a point went well")).or_default() += 1;
    }
    assert_eq!(hit.len(), POINTS.len(), "INVALID: some point was never died at");
    println!("died at {} points, {} times each", hit.len(), hits.len());
}

#[test]
fn every_failpoint_of_the_sources_is_in_the_table() {
    let mut found = BTreeSet::new();
    let mut folders = vec![root().join("actors/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let text = std::fs::read_to_string(path).expect("a source");
                let calls = text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split('"').next());
                found.extend(calls.map(str::to_owned));
            }
        }
    }
    let table: BTreeSet<String> = POINTS.iter().map(|point| point.name.to_owned()).collect();
    assert_eq!(table.len(), POINTS.len(), "a name stands twice");
    assert_eq!(found, table);
}

#[test]
fn a_release_has_no_failpoints() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("a file of the repository");
    let source = read("actors/src/failpoint.rs");
    for needed in [
        "        #[cfg(debug_assertions)]\n        $crate::failpoint::hit($name);",
        "#[cfg(debug_assertions)]\nmod armed {",
    ] {
        assert!(source.contains(needed), "{needed:?} is gone");
    }
    assert!(!read("Cargo.toml").contains("debug-assertions"), "a profile changes what a release has");
    // Where there is a release, the bytes themselves.
    if let Ok(program) = std::fs::read(root().join("target/release/callboard")) {
        let names = ["CB_FAILPOINTS"].into_iter().chain(POINTS.iter().map(|point| point.name));
        let text = String::from_utf8_lossy(&program);
        let found: Vec<&str> = names.filter(|name| text.contains(name)).collect();
        assert!(found.is_empty(), "the release names failpoints: {found:?}");
    }
}

/// Starts runs, lets the process die at the point, starts it again, and checks everything.
async fn die(point: &Point, hit: u32, first: usize, effects: &Effects) {
    let folder = scratch();
    let agents = folder.path().join("agents.json");
    std::fs::write(&agents, agents_with_tools().to_string()).expect("the agents' file");
    let dev = Callboard::with()
        .args(["--agents", &agents.display().to_string()])
        .env("OPENAI_BASE_URL", &effects.url)
        .env("OPENAI_API_KEY", "none")
        .env("CALLBOARD__HTTP__ALLOW", &effects.address)
        .env("CALLBOARD__RUNS__RETENTION", if point.when == When::Purge { "1ms" } else { "1h" })
        .env("CB_FAILPOINTS", format!("{}=kill@{hit}", point.name));
    let mut dev = dev.start().await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    let jobs = jobs(point.when, &effects.address);
    let total = jobs.len();
    let mut load = Load::of(jobs, first, address.clone());
    load.begin_up_to(total);
    let began = Instant::now();
    while dev.process.is_running() {
        assert!(began.elapsed() < PATIENCE, "INVALID: {} is not come by {hit} times", point.name);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let died = death(&dev, point.name);
    dev.process.launch.env.retain(|(name, _)| name != "CB_FAILPOINTS");
    dev.restart().await;
    *address.write().expect("no panic while held") = dev.url.clone();
    let healed = Instant::now();
    let seen = load.finish().await;
    let name = format!("{} at hit {hit}", point.name);
    let faults = vec![died];
    let earlier = BTreeMap::new();
    let campaign = Campaign { name: &name, url: &dev.url, seen, earlier, effects, faults, healed };
    campaign.verdict().await;
    if point.when == When::Purge {
        // A turn that died between its values and its document leaves values that nobody names; those expire.
        let left = || async { sidecar_db::counts(dev.data()).await.lasting };
        let began = Instant::now();
        while left().await > 0 && began.elapsed() < HEALED {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(left().await, 0, "{}: keys of purged runs are left", point.name);
    }
}

/// Returns when the process died at the point; its log says so.
pub fn death(dev: &Callboard, point: &str) -> Fault {
    let log = dev.process.log();
    let line = log.lines().find_map(|line| line.strip_prefix("failpoint ")?.strip_prefix(point));
    let at = line.and_then(|rest| rest.strip_prefix(" at ")?.trim().parse().ok()).unwrap_or_else(now);
    Fault { from: at, to: at }
}

fn jobs(when: When, service: &str) -> Vec<Job> {
    let mut jobs = match when {
        When::Usual => each_kind(),
        When::Tools => vec![tools(service); 6],
        When::Long => vec![long(60)],
        When::Slow => vec![slow(); 6],
        When::Purge => each_kind().into_iter().take(4).collect(),
    };
    jobs.extend([chain(3, false), chain(2, true)]);
    jobs
}

fn agents_with_tools() -> Value {
    let numbers = json!({"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
        "required": ["a", "b"], "additionalProperties": false});
    let add = json!({"description": "Adds.", "parameters": numbers, "type": "expression",
        "config": {"value": "args.a + args.b"}});
    json!({
        "agents": {"research": {"model": "gpt-4"}, "tooler": {"model": "gpt-4", "tools": ["add"]}},
        "tools": {"add": add},
    })
}
