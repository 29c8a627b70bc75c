//! How fast and how lean: durable agent steps per second, latencies, memory, bytes and calls per step.
//!
//! A step is one node executed by an agent with one model call, durably recorded. The real binary runs embedded, and
//! as two apps beside real daprd with Redis (AOF everysec); load and a model endpoint that answers at once live here.
//! `cargo bench -p callboard-tests -- [embedded|dapr] [quick]`; everything is bounded in count and time.

#![allow(clippy::panic, reason = "a failed bench stops")]

#[path = "../it/harness/mod.rs"]
mod harness;
mod load;
mod model;
mod report;
mod site;

use report::Table;
use serde_json::{Value, json};
use site::Site;
use std::time::{Duration, Instant};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let has = |word: &str| words.iter().any(|w| w == word);
    let both = !has("embedded") && !has("dapr");
    let quick = has("quick");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        if both || has("embedded") {
            measure("embedded", quick).await;
        }
        if both || has("dapr") {
            measure("daprd + Redis (AOF everysec)", quick).await;
        }
    });
}

async fn measure(place: &str, quick: bool) {
    println!("\n# {place}\n");
    let embedded = place == "embedded";
    let model = model::start().await;
    if embedded {
        println!(
            "start of the process to first completed run: {:.0} ms\n",
            start_up(&model).await.as_secs_f64() * 1e3
        );
    }
    let site = if embedded { Site::embedded(&model).await } else { Site::dapr(&model).await };
    let four = site.create(&chain(4)).await;
    load::drive(&site, &four, 4, 4, 50, Duration::from_secs(10)).await;

    let mut table =
        Table::new(&["runs at once", "steps/s", "run p50 ms", "run p95 ms", "runs", "peak RSS MB"]);
    for (at_once, runs) in [(1, 1500), (16, 6000), (64, 8000)] {
        let runs = if quick { runs / 10 } else { runs };
        let figures = load::drive(&site, &four, 4, at_once, runs, Duration::from_secs(20)).await;
        table.row(&[
            at_once.to_string(),
            format!("{:.0}", figures.steps_per_second),
            format!("{:.1}", figures.p50.as_secs_f64() * 1e3),
            format!("{:.1}", figures.p95.as_secs_f64() * 1e3),
            figures.runs.to_string(),
            site.peak_rss().await,
        ]);
    }
    table.print();

    let mut table = Table::new(&[
        "per step",
        "bytes",
        "state",
        "bus",
        "catalog",
        "saves",
        "publishes",
        "actor calls",
        "reminders",
        "gets",
        "Redis cmds",
        "disk bytes",
        "s",
    ]);
    let shapes: Vec<(String, Value, u64)> = vec![
        ("chain of 10".into(), chain(10), 10),
        ("chain of 100".into(), chain(100), 100),
        ("chain of 1,000".into(), chain(if quick { 200 } else { 1000 }), if quick { 200 } else { 1000 }),
        ("for-each of 10,000".into(), each(), if quick { 500 } else { 10_000 }),
    ];
    for (name, definition, steps) in shapes {
        let workflow = site.create(&definition).await;
        let repeat = (200 / steps).max(1);
        let before = site.counters().await;
        let began = Instant::now();
        for _ in 0..repeat {
            let input = json!({"list": (0..steps).collect::<Vec<_>>()});
            site.complete(&workflow, input, Duration::from_secs(280)).await;
        }
        let took = began.elapsed();
        site.settled().await;
        let cost = site.counters().await.since(&before).per((steps * repeat) as f64);
        table.row(&cost.cells(&name, took));
    }
    table.print();
}

/// Starts the binary on an empty folder and runs one workflow.
async fn start_up(model: &model::Model) -> Duration {
    let began = Instant::now();
    let site = Site::embedded(model).await;
    let workflow = site.create(&chain(4)).await;
    site.complete(&workflow, json!({}), Duration::from_secs(10)).await;
    began.elapsed()
}

/// Agents in sequence, each asked about the answer before.
fn chain(length: usize) -> Value {
    let node = |n: usize| {
        let prompt = match n {
            0 => "Say something about {{ input.topic | default('bees') }}".to_owned(),
            _ => format!("Go on from: {{{{ steps.n{}.output }}}}", n - 1),
        };
        json!({"id": format!("n{n}"), "type": "agent", "config": {"agent": "research", "prompt": prompt}})
    };
    let edge = |n: usize| json!({"source": format!("n{}", n - 1), "target": format!("n{n}")});
    json!({
        "name": format!("chain-{length}"),
        "nodes": (0..length).map(node).collect::<Vec<_>>(),
        "edges": (1..length).map(edge).collect::<Vec<_>>(),
    })
}

/// An agent asked for each item of a list.
fn each() -> Value {
    json!({
        "name": "each",
        "nodes": [{"id": "each", "type": "for_each", "config": {"items": "input.list", "parallel": 16, "body": {
            "nodes": [{"id": "ask", "type": "agent", "config": {"agent": "research", "prompt": "About {{ item }}"}}]
        }}}],
        "output": "done",
    })
}
