//! The bus: at least once, in no order, sometimes late; after a handler's error sometimes gone, as with Redis Streams.

use crate::{
    broken::is_off,
    world::{Fault, HOSTS, World},
};
use bytes::Bytes;
use callboard_actors::mutant::Rule;
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::sleep;

/// Public events by run and seq, as they went out.
pub type Published = BTreeMap<String, BTreeMap<u64, Seen>>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub kind: String,
    pub at: String,
}

/// Takes a message that a sidecar has acknowledged, or would have.
pub fn take(world: &Arc<World>, topic: &str, event: Bytes) {
    let Ok(read) = serde_json::from_slice::<Value>(&event) else {
        world.violated("a published message is not JSON");
        return;
    };
    if topic == "callboard.events" {
        note(world, &read["data"]);
        return;
    }
    let id = read["id"].as_str().unwrap_or_default();
    world.log(|| format!("{topic} {id}"));
    if is_off(Rule::Republish) && !world.state.lock().tasks.insert(id.to_owned()) {
        return;
    }
    let copies = if world.fault(Fault::MessageTwice, 0.08) { 2 } else { 1 };
    for _ in 0..copies {
        let after = match world.fault(Fault::MessageLate, 0.1) {
            true => world.between(100, 15_000),
            false => world.between(0, 20),
        };
        let route = if topic == "callboard.tasks" { "/events/tasks" } else { "/events/commands" };
        tokio::spawn(deliver(world.clone(), route, event.clone(), after));
    }
}

async fn deliver(world: Arc<World>, route: &'static str, event: Bytes, after: u64) {
    sleep(Duration::from_millis(after)).await;
    for _ in 0..8 {
        let host = world.between(0, HOSTS as u64) as usize;
        if world.life(host).is_some() {
            let answer = world.call_app(host, "POST", route.to_owned(), event.clone()).await;
            let verdict = answer.and_then(|a| serde_json::from_slice::<Value>(&a).ok());
            let verdict = verdict.as_ref().and_then(|v| v["status"].as_str()).unwrap_or("RETRY");
            if verdict != "RETRY" || world.fault(Fault::MessageDropped, 0.5) {
                return;
            }
        }
        sleep(Duration::from_millis(world.between(50, 2000))).await;
    }
}

fn note(world: &World, item: &Value) {
    let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let (run, seq) = (text("run"), item["seq"].as_u64().unwrap_or_default());
    let seen = Seen { kind: text("type"), at: text("at") };
    world.log(|| format!("event {run}/{seq} {}", seen.kind));
    let before = world.state.lock().published.entry(run.clone()).or_default().insert(seq, seen.clone());
    if before.is_some_and(|b| b != seen) {
        world.violated(format!("INV-03 two different events of run {run} were published as seq {seq}"));
    }
}
