//! Bounded load: so many runs, so many at once, and what they took.

use crate::site::Site;
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub struct Figures {
    pub steps_per_second: f64,
    pub p50: Duration,
    pub p95: Duration,
    pub runs: usize,
}

/// Starts runs and waits for each, `at_once` at a time, until `runs` are done or the time is over.
pub async fn drive(
    site: &Site,
    workflow: &str,
    steps: u64,
    at_once: usize,
    runs: u64,
    limit: Duration,
) -> Figures {
    let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let workers = (0..at_once).map(|_| {
        let (site, next, workflow) = (site.client(), next.clone(), workflow.to_owned());
        tokio::spawn(async move {
            let mut took = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < runs && began.elapsed() < limit {
                let start = Instant::now();
                site.complete(&workflow, json!({}), Duration::from_secs(30)).await;
                took.push(start.elapsed());
            }
            took
        })
    });
    let workers: Vec<_> = workers.collect();
    let mut took = Vec::new();
    for worker in workers {
        took.extend(worker.await.expect("every run completes"));
    }
    let elapsed = began.elapsed();
    took.sort();
    let at = |part: f64| took.get(((took.len() as f64 - 1.0) * part) as usize).copied().unwrap_or_default();
    Figures {
        steps_per_second: (took.len() as u64 * steps) as f64 / elapsed.as_secs_f64(),
        p50: at(0.5),
        p95: at(0.95),
        runs: took.len(),
    }
}
