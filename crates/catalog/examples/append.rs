//! Measures appending on a fresh file: `cargo run --release -p callboard-catalog --features suite --example append`.
//!
//! First one caller (latency), then many (throughput): each goes on appending to runs of its own.

use callboard_catalog::{Catalog, Journal, SqliteCatalog, suite};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const SPAN: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let dir = tempfile::tempdir_in(dir)?;
    let catalog = Arc::new(SqliteCatalog::open(dir.path().join("catalog.db")).await?);
    for (callers, entries) in [(1, 1), (64, 1), (64, 3)] {
        let started = Instant::now();
        let tasks: Vec<_> =
            (0..callers).map(|_| tokio::spawn(caller(catalog.clone(), entries, started))).collect();
        let mut spans = Vec::new();
        for task in tasks {
            spans.extend(task.await?);
        }
        let took = started.elapsed().as_secs_f64();
        spans.sort_unstable();
        let at = |q: usize| spans[(spans.len() - 1) * q / 100];
        println!(
            "{callers} callers, {entries} entries each: {:.0} appends/s, {:.0} entries/s, p50 {:?}, p99 {:?}",
            spans.len() as f64 / took,
            (spans.len() as u64 * entries) as f64 / took,
            at(50),
            at(99),
        );
    }
    catalog.close().await;
    Ok(())
}

/// Appends until the time is over, ten times to each run.
async fn caller(catalog: Arc<SqliteCatalog>, entries: u64, started: Instant) -> Vec<Duration> {
    let mut spans = Vec::new();
    while started.elapsed() < SPAN {
        let run = suite::fresh();
        for n in 0..10 {
            let mut append = suite::batch(&run, n * entries + 1, entries, "a");
            // About what an event of a small step takes.
            append.entries.iter_mut().for_each(|e| e.event = format!("{{\"pad\":\"{}\"}}", "x".repeat(300)));
            append.next_check_at = Some(suite::at(i64::try_from(n).unwrap_or_default()));
            let begun = Instant::now();
            catalog.append(append).await.expect("a fresh run takes what follows");
            spans.push(begun.elapsed());
        }
    }
    spans
}
