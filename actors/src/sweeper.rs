//! The second way to every run: wakes the catalog's runs that nobody woke in time, through their actors.

use crate::{
    WORKFLOW,
    mutant::{Rule, holds},
    services::Services,
    tasks::Tasks,
};
use bytes::Bytes;
use callboard_core::{Span, Timestamp};
use std::time::Duration;
use tokio::task::JoinSet;

const PERIOD: Duration = Duration::from_secs(10);
/// Runs woken in one sweep, and at once.
const BATCH: u32 = 200;
const AT_ONCE: usize = 16;
/// A run that was found is not looked for again before this.
const LEASE: Span = Span::secs(60);
/// At start, runs that were busy are due at once: whoever worked on them may be gone. Busy runs are due within this.
const BUSY: Span = Span::secs(60);

/// Sweeps at start and then every ten seconds, until the shutdown.
pub fn start(services: Services, tasks: &Tasks) {
    if !holds(Rule::Sweeper) {
        return;
    }
    let stop = tasks.clone();
    tasks.spawn_until_stop(async move {
        // The same for the whole of the first sweep, so that it ends; another start soon finds the same runs again.
        let mut busy = Some(services.clock.now() + services.settings.paced(BUSY));
        loop {
            let now = services.clock.now();
            let (due, then) =
                busy.map_or((now, now + services.settings.paced(LEASE)), |due| (due, due + Span(1)));
            let full = sweep(&services, due, then).await;
            if !full {
                busy = None;
            }
            let pause = if full { Duration::from_millis(200) } else { services.settings.pause(PERIOD) };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = stop.stopped() => return,
            }
        }
    });
}

/// Wakes what is due by an instant and moves it on to another. Returns whether there may be more.
async fn sweep(services: &Services, due: Timestamp, then: Timestamp) -> bool {
    let due = match services.catalog.due(due, then, BATCH).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "the sweeper can't read the catalog");
            return false;
        }
    };
    let full = due.len() == BATCH as usize;
    let mut calls = JoinSet::new();
    for run in due {
        if calls.len() >= AT_ONCE {
            calls.join_next().await;
        }
        let sidecar = services.sidecar.clone();
        calls.spawn(async move {
            if let Err(error) = sidecar.invoke_actor(WORKFLOW, &run, "sweep", Bytes::new()).await {
                tracing::debug!(run, %error, "the run is not woken yet");
            }
        });
    }
    while calls.join_next().await.is_some() {}
    full
}
