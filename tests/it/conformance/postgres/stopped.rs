//! A server that is stopped at once under load: what was acknowledged is there, and whoever waited goes on by itself.

use super::{Database, full};
use crate::harness::Postgres;
use callboard_catalog::{AppendError, Catalog, Journal, PostgresCatalog, suite};
use callboard_core::id::RunId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Appends one entry after the other, each again until it is taken. Returns the run, and how often nothing was known.
async fn client(catalog: Arc<PostgresCatalog>, over: Arc<AtomicBool>) -> (RunId, u64, usize) {
    let run: RunId = suite::fresh();
    let (mut seq, mut unknown) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        match catalog.append(suite::batch(&run, seq + 1, 1, "a")).await {
            Ok(()) => seq += 1,
            Err(AppendError::Unavailable(_)) => {
                unknown += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    (run, seq, unknown)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_stopped_at_once() {
    let stops = if full() { 20 } else { 3 };
    let mut server = Postgres::start().await;
    let database = Database::on(&server).await;
    let catalog = Arc::new(database.open().await);
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..24).map(|_| tokio::spawn(client(catalog.clone(), over.clone()))).collect();
    for _ in 0..stops {
        tokio::time::sleep(Duration::from_millis(500)).await;
        server.stop_at_once().await;
        assert!(catalog.health().await.is_err());
        server.restart().await;
        // The same catalog, without anybody's help.
        let run: RunId = suite::fresh();
        while catalog.append(suite::batch(&run, 1, 1, "a")).await.is_err() {}
        assert_eq!(
            catalog.history(&run, 0, 10).await.unwrap().len(),
            1,
            "a read passes broken connections over"
        );
    }
    over.store(true, Ordering::Relaxed);
    let (mut entries, mut met) = (0, 0);
    for client in clients {
        let (run, seq, unknown) = client.await.unwrap();
        met += unknown;
        entries += seq;
        let history = catalog.history(&run, 0, 10_000).await.unwrap();
        assert!(
            history.len() as u64 == seq || history.len() as u64 == seq + 1,
            "{run}: {} of {seq}",
            history.len()
        );
        assert_eq!(history, suite::entries(1, history.len() as u64, "a"));
    }
    println!("{entries} entries, {met} appends of unknown outcome, {stops} stops");
    assert!(met >= stops, "INVALID: the stops met nobody");
}
