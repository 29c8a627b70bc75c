//! Clocks that jump, deadlines that are far, and stops in the middle of calls.

use super::{World, agent};
use crate::{Clock, Settings};
use async_trait::async_trait;
use callboard_connectors::{
    CallError,
    model::{ChatModel, Models, OnDelta},
};
use callboard_core::{
    Span, Timestamp,
    agent::message::{Finish, ModelReply, ModelRequest},
    call::Usage,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const HOUR: i64 = 3_600_000;

/// A model that counts its calls and takes its time.
#[derive(Clone)]
struct Slow(Arc<AtomicUsize>, Duration);

#[async_trait]
impl ChatModel for Slow {
    async fn call(&self, _: &ModelRequest, _: OnDelta<'_>) -> Result<ModelReply, CallError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(self.1).await;
        Ok(ModelReply {
            text: "done".into(),
            tool_calls: Vec::new(),
            usage: Usage::default(),
            cached: 0,
            model: "slow".into(),
            finish: Finish::Complete,
            extras: None,
        })
    }
}

impl Slow {
    fn new(ms: u64) -> Self {
        Self(Arc::default(), Duration::from_millis(ms))
    }

    fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A clock that is wrong by so many milliseconds.
fn clock(off: i64) -> Clock {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_millis();
    Clock::simulated(Timestamp(i64::try_from(now).expect("a time") + off), 1)
}

async fn world(folder: &Path, model: &Slow, clock: &Clock) -> World {
    let models = Models::only(Arc::new(model.clone()));
    World::open(
        folder,
        Settings::default(),
        super::usual(),
        models,
        clock.clone(),
        (Vec::new(), BTreeMap::new()),
    )
    .await
}

fn chain(nodes: Vec<Value>) -> Value {
    let ids: Vec<String> = nodes.iter().map(|n| n["id"].as_str().expect("an id").to_owned()).collect();
    let edges: Vec<Value> = ids.windows(2).map(|w| json!({"source": w[0], "target": w[1]})).collect();
    json!({"name": "chain", "nodes": nodes, "edges": edges})
}

fn wait(id: &str, length: &str) -> Value {
    json!({"id": id, "type": "wait", "config": {"for": length}})
}

async fn start(world: &World, run: &str, definition: Value) {
    let began = world.call(run, "start", json!({"definition": definition})).await;
    assert!(began["error"].is_null(), "{began:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_keep_their_length_when_the_clock_is_set_back_under_them() {
    let (folder, model, clock) = (tempfile::tempdir().expect("a folder"), Slow::new(0), clock(0));
    let world = world(folder.path(), &model, &clock).await;
    start(&world, "r1", chain(vec![wait("a", "1500ms"), wait("b", "1500ms")])).await;
    world.until("r1", "waiting").await;
    clock.set(-3 * HOUR);
    let began = Instant::now();
    world.until("r1", "completed").await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(2500) && took < Duration::from_secs(5), "{took:?}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_glitch_of_the_clock_changes_no_later_wait_nor_does_a_restart_after_it() {
    let (folder, model, now) = (tempfile::tempdir().expect("a folder"), Slow::new(0), clock(0));
    let first = world(folder.path(), &model, &now).await;
    let nodes = vec![
        agent("ask", "?"),
        json!({"id": "go", "type": "signal", "config": {"name": "go"}}),
        wait("b", "1s"),
    ];
    for run in ["r1", "r2"] {
        start(&first, run, chain(nodes.clone())).await;
        first.until(run, "waiting").await;
    }
    now.set(3 * HOUR);
    start(&first, "r3", chain(vec![wait("a", "2s")])).await;
    first.call("r1", "signal", json!({"name": "go"})).await;
    first.call("r2", "signal", json!({"name": "other"})).await;
    now.set(-3 * HOUR);
    first.until("r1", "completed").await;
    first.stop().await;
    let second = world(folder.path(), &model, &clock(0)).await;
    second.call("r2", "signal", json!({"name": "go"})).await;
    let began = Instant::now();
    second.until("r2", "completed").await;
    second.until("r3", "completed").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_goes_on_at_once_after_a_start_with_the_clock_set_back() {
    let (folder, model) = (tempfile::tempdir().expect("a folder"), Slow::new(60_000));
    let first = world(folder.path(), &model, &clock(0)).await;
    for n in 0..5 {
        start(&first, &format!("r{n}"), chain(vec![agent("ask", "?")])).await;
    }
    start(&first, "waits", chain(vec![wait("a", "2s"), agent("ask", "?")])).await;
    first.until("waits", "waiting").await;
    while model.calls() < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // As a process that is killed: nothing lands.
    first.host.drain(Duration::ZERO).await;
    if let Some(server) = first.server {
        server.shutdown().await;
    }
    let model = Slow::new(0);
    let second = world(folder.path(), &model, &clock(-3 * HOUR)).await;
    let began = Instant::now();
    for n in 0..5 {
        second.until(&format!("r{n}"), "completed").await;
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    second.until("waits", "completed").await;
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instant_is_the_wall_clocks_and_never_early() {
    let (folder, model, clock) = (tempfile::tempdir().expect("a folder"), Slow::new(0), clock(0));
    let world = world(folder.path(), &model, &clock).await;
    let until = (clock.now() + Span(2000)).to_string();
    let at = json!({"id": "at", "type": "wait", "config": {"until": until}});
    start(&world, "r1", chain(vec![at, wait("b", "10ms")])).await;
    world.until("r1", "waiting").await;
    clock.set(-1500);
    let began = Instant::now();
    world.until("r1", "completed").await;
    let took = began.elapsed();
    assert!(took > Duration::from_millis(3000) && took < Duration::from_millis(4800), "{took:?}");
    // And one that the clock is set past is over soon.
    let until = (clock.now() + Span(2 * 3_600_000)).to_string();
    start(&world, "r2", chain(vec![json!({"id": "at", "type": "wait", "config": {"until": until}})])).await;
    world.until("r2", "waiting").await;
    clock.set(3 * HOUR);
    let began = Instant::now();
    world.until("r2", "completed").await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    world.stop().await;
}

/// Intervals of the protocol are twenty times shorter here: this wait is farther off than a minute would be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_deadline_is_met_to_the_moment() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings { haste: 20, ..Settings::default() };
    let world = World::start(folder.path(), settings).await;
    let length = Duration::from_millis(3200);
    start(&world, "r1", chain(vec![wait("a", "3200ms")])).await;
    let began = Instant::now();
    world.until("r1", "completed").await;
    let late = began.elapsed().saturating_sub(length);
    assert!(late < Duration::from_millis(300), "{late:?} late");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_for_calls_under_way_and_begins_none() {
    let (folder, model) = (tempfile::tempdir().expect("a folder"), Slow::new(1000));
    let first = world(folder.path(), &model, &clock(0)).await;
    let mut once = agent("ask", "?");
    once["effect"] = "at_most_once".into();
    for n in 0..8 {
        let node = if n % 2 == 0 { agent("ask", "?") } else { once.clone() };
        start(&first, &format!("r{n}"), chain(vec![node, agent("then", "?")])).await;
    }
    while model.calls() < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let began = Instant::now();
    first.stop().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(model.calls(), 8, "no call began after the stop");
    let second = world(folder.path(), &model, &clock(0)).await;
    for n in 0..8 {
        second.until(&format!("r{n}"), "completed").await;
    }
    assert_eq!(model.calls(), 16, "each step is called once");
    second.stop().await;
}
