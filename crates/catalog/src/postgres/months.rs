//! Months of runs are made ahead, by whichever process looks first, and a database that lacks the next one says so.

use super::link::{Connections, Role, within};
use crate::Error;
use std::time::Duration;
use tokio::task::JoinHandle;

/// So many months are there beyond this one.
const AHEAD: i32 = 3;
const PERIOD: Duration = Duration::from_secs(3600);
/// After another process, or a reader that holds a table, was in the way.
const AGAIN: Duration = Duration::from_secs(20);

const MAKE: &str = "select make_partitions($1)";

const MISSING: &str = "
    select name from (
        select t || to_char(date_trunc('month', now() at time zone 'UTC') + n * interval '1 month', '_YYYYMM') as name
        from unnest(array['runs', 'history', 'run_values']) t, generate_series(0, 1) n
    ) as needed
    where to_regclass('public.' || name) is null
    order by name";

/// A task that keeps them there.
pub(super) struct Months(JoinHandle<()>);

// === impl Months ===

impl Months {
    pub fn keep(connections: Connections) -> Self {
        Self(tokio::spawn(async move {
            loop {
                let pause = match within(make(&connections)).await {
                    Ok(()) => PERIOD,
                    Err(error) => {
                        tracing::warn!(%error, "the catalog's months ahead could not be made yet");
                        AGAIN
                    }
                };
                tokio::time::sleep(pause).await;
            }
        }))
    }

    pub fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Months {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn make(connections: &Connections) -> Result<(), Error> {
    let mut tx = connections.begin(Role::Engine).await?;
    tx.execute(sqlx::query(MAKE).bind(AHEAD)).await?;
    tx.commit().await?;
    Ok(())
}

/// Fails if the database does not answer, or lacks this month or the next one.
pub(super) async fn check(connections: &Connections) -> Result<(), Error> {
    let mut tx = connections.begin(Role::Engine).await?;
    let missing: Vec<String> = tx.scalars(sqlx::query_scalar(MISSING)).await?;
    tx.commit().await?;
    if missing.is_empty() { Ok(()) } else { Err(Error::Lacking(missing.join(", "))) }
}
