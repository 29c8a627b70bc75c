//! Clients: they start, signal, approve, pause, cancel and rerun, repeat what they did not hear, and remember what
//! they were promised.

use crate::{
    ledger::Promise,
    workload::{self, Work},
    world::World,
};
use bytes::Bytes;
use callboard_core::workflow::{Run, What, run::StepState};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::time::sleep;

/// What became of an operation.
#[derive(Debug, Clone, PartialEq)]
enum Heard {
    Done,
    Refused(String),
    Nothing,
}

/// One client's view of its run.
#[derive(Clone)]
pub struct Client {
    world: Arc<World>,
    run: String,
}

/// Starts the clients of a seed's runs.
pub fn start(world: &Arc<World>, runs: u64) {
    for n in 0..runs {
        let work = workload::work(world, world.draw() % workload::KINDS);
        let client = Client { world: world.clone(), run: format!("r{n}") };
        world.state.lock().ledger.clients += 1;
        tokio::spawn(async move {
            client.live(work).await;
            client.world.state.lock().ledger.clients -= 1;
        });
    }
}

// === impl Client ===

impl Client {
    async fn live(&self, work: Work) {
        let world = &self.world;
        self.pause(0, if world.plan.calm { 2000 } else { 11_000 }).await;
        world.log(|| format!("{} is a {}", self.run, work.name));
        if let Some(calls) = work.budget {
            world.state.lock().ledger.budgets.insert(self.run.clone(), calls);
        }
        let tries = if !world.plan.calm && world.chance(0.15) { 1 } else { 400 };
        // The guess that nobody knows the run is wrong for every repetition.
        let first = world.chance(0.5);
        let body = json!({"definition": work.definition, "input": work.input, "first": first});
        if self.operate("start", body, tries).await != Heard::Done {
            world.state.lock().ledger.given_up.insert(self.run.clone());
        }
        let mut side = tokio::task::JoinSet::new();
        if let Some(name) = work.signal {
            let this = self.clone();
            let early = world.chance(0.3);
            side.spawn(async move {
                this.pause(0, if early { 50 } else { 4000 }).await;
                this.operate("signal", json!({"name": name, "data": this.told()}), 400).await;
            });
        }
        if let Some(node) = work.approve {
            let this = self.clone();
            side.spawn(async move { this.approve(node).await });
        }
        if world.chance(0.25) {
            let this = self.clone();
            side.spawn(async move {
                this.pause(0, 4000).await;
                if this.operate("pause", json!({}), 60).await == Heard::Done {
                    this.pause(100, 4000).await;
                }
                // Whether or not the pause was heard: nobody else lets the run go on.
                this.operate("resume", json!({}), 400).await;
            });
        }
        if world.chance(0.12) {
            let this = self.clone();
            side.spawn(async move {
                this.pause(0, 5000).await;
                this.operate("cancel", json!({}), 400).await;
            });
        }
        let this = self.clone();
        let resolver = tokio::spawn(async move { this.resolve_unknown().await });
        let known = || self.world.state.lock().book.0.contains_key(&self.run);
        for n in 0.. {
            if self.ended() || !known() && n > 60 {
                break;
            }
            sleep(Duration::from_millis(250)).await;
        }
        while side.join_next().await.is_some() {}
        if world.chance(0.5) && known() {
            self.pause(0, 3000).await;
            let from = work.nodes[(world.draw() % work.nodes.len() as u64) as usize];
            self.operate("rerun", json!({"from": from}), 400).await;
        }
        if let Some(node) = work.approve {
            self.approve(node).await;
        }
        if let Some(name) = work.signal {
            // A rerun from the start may wait for it again.
            self.operate("signal", json!({"name": name, "data": self.told()}), 30).await;
        }
        // A rerun may be acknowledged before it is in the catalog: only an end that lasts is one.
        let mut lasts = 0;
        for _ in 0..4000 {
            lasts = if self.ended() || !known() { lasts + 1 } else { 0 };
            if lasts == 40 {
                break;
            }
            sleep(Duration::from_millis(250)).await;
        }
        resolver.abort();
    }

    /// Data that nobody else sends, often too large for the event itself.
    fn told(&self) -> Value {
        let long = if self.world.chance(0.6) { "z".repeat(1200) } else { String::new() };
        json!(format!("{:x} {long}", self.world.draw()))
    }

    async fn pause(&self, from: u64, to: u64) {
        sleep(Duration::from_millis(self.world.between(from, to))).await;
    }

    fn ended(&self) -> bool {
        self.world.state.lock().book.0.get(&self.run).is_some_and(|r| r.ended)
    }

    /// Asks until somebody answers, always as the same operation.
    async fn operate(&self, method: &'static str, mut body: Value, tries: u32) -> Heard {
        let op = format!("{}-{method}-{:x}", self.run, self.world.draw());
        body["op"] = op.clone().into();
        let mut heard = Heard::Nothing;
        for _ in 0..tries {
            let paused = self.is_paused();
            heard = self.ask(method, &body).await;
            let refused = heard == Heard::Refused("run_not_paused".to_owned());
            // Where what is answered is recorded first, the record shows what a refusal must have seen.
            if refused && paused && self.is_paused() && self.world.plan.strict {
                self.world.violated(format!(
                    "run {} is paused, and a resume was refused on an older state",
                    self.run
                ));
            }
            match &heard {
                Heard::Done => break,
                // Nobody has heard of it: the start is still under way, or never came.
                Heard::Refused(code) if code == "unknown_run" && !self.is_lost() => {}
                Heard::Refused(_) => break,
                Heard::Nothing => {}
            }
            self.pause(50, 600).await;
        }
        self.world.log(|| format!("client {op}: {heard:?}"));
        if heard == Heard::Done {
            let promise = Promise { op, what: method };
            // A start is durable in both modes before it is answered; where the store rolls back, everything is.
            if self.world.plan.strict || method == "start" {
                crate::check::promised(&self.world, &self.run, &promise);
            }
            self.world.state.lock().ledger.acknowledged.entry(self.run.clone()).or_default().push(promise);
        }
        heard
    }

    fn is_paused(&self) -> bool {
        let state = self.world.state.lock();
        let events = state.book.0.get(&self.run).map(|r| r.events.as_slice()).unwrap_or_default();
        let last =
            events.iter().rev().find(|e| matches!(e.what, What::RunPaused { .. } | What::RunResumed { .. }));
        last.is_some_and(|e| matches!(e.what, What::RunPaused { .. }))
            && !events.iter().any(|e| matches!(e.what, What::RunCancelled { .. }))
    }

    fn is_lost(&self) -> bool {
        // A start that its client gave up may still be on its way.
        let late = self.world.now() > self.world.faults_end + 25_000;
        let state = self.world.state.lock();
        let record = state.book.0.get(&self.run);
        late && record.is_none() && state.ledger.given_up.contains(&self.run)
            || record.is_some_and(|r| r.purged)
    }

    async fn ask(&self, method: &str, body: &Value) -> Heard {
        let body = Bytes::from(body.to_string());
        let Some(answer) = self.world.invoke(callboard_actors::WORKFLOW, &self.run, method, body).await
        else {
            return Heard::Nothing;
        };
        let Ok(answer) = serde_json::from_slice::<Value>(&answer) else { return Heard::Nothing };
        match answer["error"]["code"].as_str() {
            Some(code) if answer["error"]["status"].is_number() => match answer["error"]["status"].as_u64() {
                Some(429 | 500..) => Heard::Nothing,
                _ => Heard::Refused(code.to_owned()),
            },
            _ => Heard::Done,
        }
    }

    /// A person answers, as often as the run asks and ends not.
    async fn approve(&self, node: &str) {
        for _ in 0..60 {
            self.pause(200, 2500).await;
            let body = json!({"node": node, "approved": self.world.chance(0.7)});
            if self.operate("approve", body, 400).await == Heard::Done || self.ended() || self.is_lost() {
                return;
            }
        }
    }

    /// A person says what became of steps that nobody knows the outcome of.
    async fn resolve_unknown(&self) {
        let mut looks = 0;
        loop {
            sleep(Duration::from_millis(1500)).await;
            let (open, paused) = {
                let state = self.world.state.lock();
                let Some(record) = state.book.0.get(&self.run) else { continue };
                if record.purged {
                    return;
                }
                let run = Run::fold(&self.run.parse().expect("a run's id"), &record.events);
                let unknown = run.steps.iter().find(|(_, s)| s.state == StepState::Unknown);
                (unknown.map(|(key, _)| key.node.to_string()), run.paused.is_some() && run.ended.is_none())
            };
            // A pause that was given up may have come through all the same.
            looks = if paused { looks + 1 } else { 0 };
            if looks > 30 {
                self.operate("resume", json!({}), 5).await;
            }
            if let Some(node) = open
                && self.world.chance(0.4)
            {
                self.operate("approve", json!({"node": node, "approved": true}), 5).await;
            }
        }
    }
}
