//! An app that is away for longer than its sidecar's probes, under load: its actors go and come back, and every run goes
//! on without anybody's help.

use super::{beside, clients::Address, effects::Effects, full, load::Load};
use crate::harness::{DaprCluster, Redis};
use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// So long after the app is back all runs have ended.
const WITHIN: Duration = Duration::from_secs(20);
const RUNS: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_runs_end_soon_after_an_app_that_was_away_is_back() {
    let short = [
        ("workflow-service", 4, "KILL"),
        ("ai-service", 4, "TERM"),
        ("workflow-service", 15, "TERM"),
        ("ai-service", 15, "KILL"),
    ];
    let long = [
        ("workflow-service", 4, "TERM"),
        ("ai-service", 4, "KILL"),
        ("workflow-service", 15, "KILL"),
        ("ai-service", 15, "TERM"),
    ];
    let rounds: Vec<_> = if full() { short.into_iter().chain(long).collect() } else { short.to_vec() };
    let effects = Effects::start().await;
    let redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let mut run = beside::start(&effects, &redis, &cluster).await;
    let address: Address = Arc::new(RwLock::new(run.app("workflow-service").url.clone()));
    for (n, (app, seconds, signal)) in rounds.into_iter().enumerate() {
        let mut load = Load::new(70 + n as u64, RUNS, n * RUNS, address.clone());
        load.begin_up_to(RUNS);
        let before = effects.calls();
        while effects.calls() < before + RUNS / 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let process = run.app(app).process();
        match signal {
            "TERM" => drop(process.terminate(Duration::from_secs(30)).await),
            _ => process.kill(),
        }
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        run.app(app).process().restart();
        let back = Instant::now();
        while load.open() > 0 {
            let open = load.open();
            assert!(
                back.elapsed() < WITHIN,
                "{open} runs are open {WITHIN:?} after {app} ({signal}, {seconds} s)"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("{app} by {signal} for {seconds} s: all ended {:.1} s after", back.elapsed().as_secs_f64());
        load.finish().await;
    }
}
