//! Looks at the schedules every second, in each process that runs workflows.

use crate::operations::{Operations, TOGETHER};
use callboard_actors::Clock;
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

const EVERY: Duration = Duration::from_secs(1);
/// How long a stop waits for starts under way. What was not recorded is found again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The looking, under way.
pub struct Clockwork(JoinHandle<()>);

// === impl Clockwork ===

impl Clockwork {
    /// Looks until the operations stop.
    pub fn start(operations: Operations, clock: Clock) -> Self {
        Self(tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            // A process that stood still looks once.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut is_away = false;
            loop {
                tokio::select! {
                    biased;
                    () = operations.stop.cancelled() => return,
                    _ = ticks.tick() => {}
                }
                // Told once, not every second.
                match look(&operations, &clock).await {
                    Ok(()) => is_away = false,
                    Err(error) if is_away => tracing::debug!(%error, "schedules are not looked at"),
                    Err(error) => {
                        tracing::warn!(%error, "schedules are not looked at until the catalog answers");
                        is_away = true;
                    }
                }
            }
        }))
    }

    /// Returns when it has ended: what was begun is recorded, or is left to the next look.
    pub async fn ended(mut self) {
        if tokio::time::timeout(PATIENCE, &mut self.0).await.is_err() {
            self.0.abort();
        }
    }
}

/// Looks at whatever is due.
async fn look(operations: &Operations, clock: &Clock) -> Result<(), callboard_catalog::Error> {
    while !operations.stop.is_cancelled() {
        let found = operations.look_at_schedules(clock.now()).await?;
        if found < TOGETHER as usize {
            return Ok(());
        }
    }
    Ok(())
}
