//! How much of answers is in memory at once: places for bytes and for values, held until the answer is recorded.
//!
//! An answer costs more than its body: its text, what is hashed, stored and journaled are copies. So a byte counts
//! several times. Whoever needs more than a little waits for all that its answer may become, so that nobody waits for
//! a place while holding what the others wait for.

use crate::CallError;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// For all answers that are being read or recorded.
const ALL: usize = 256 << 20;
/// Copies of a body until it is recorded.
const COPIES: usize = 4;
/// What every call may read without waiting for others. 256 of these are a quarter of all.
pub(crate) const SMALL: usize = 64 << 10;
/// Values of JSON in memory at once, in all answers.
const VALUES: usize = 1_000_000;
/// Places are counted in KiB.
const UNIT: usize = 1 << 10;

/// The places of one client.
#[derive(Clone)]
pub(crate) struct Room {
    bytes: Arc<Semaphore>,
    values: Arc<Semaphore>,
}

/// Places that one answer holds; given back when this goes.
#[derive(Default)]
pub struct Held(Vec<OwnedSemaphorePermit>);

// === impl Room ===

impl Room {
    pub fn new() -> Self {
        Self { bytes: Arc::new(Semaphore::new(ALL / UNIT)), values: Arc::new(Semaphore::new(VALUES)) }
    }

    /// Waits for places for a body of `bytes`, of which some are held already.
    pub async fn bytes(&self, held: &mut Held, bytes: usize) -> Result<(), CallError> {
        let has: usize = held.0.iter().map(OwnedSemaphorePermit::num_permits).sum();
        let wanted = cost(bytes).saturating_sub(has);
        if wanted > 0 {
            held.0.push(places(&self.bytes, wanted).await?);
        }
        Ok(())
    }

    /// Waits for places for the values of a JSON text that has been read whole.
    pub async fn values(&self, held: &mut Held, count: usize) -> Result<(), CallError> {
        held.0.push(places(&self.values, count.min(VALUES)).await?);
        Ok(())
    }

    #[cfg(test)]
    pub fn free(&self) -> (usize, usize) {
        (self.bytes.available_permits() * UNIT, self.values.available_permits())
    }
}

async fn places(of: &Arc<Semaphore>, count: usize) -> Result<OwnedSemaphorePermit, CallError> {
    let closed = || CallError::transient("http_connect", "closed");
    let count = u32::try_from(count).map_err(|_| closed())?;
    Arc::clone(of).acquire_many_owned(count).await.map_err(|_| closed())
}

fn cost(bytes: usize) -> usize {
    (bytes * COPIES).div_ceil(UNIT)
}

// === impl Held ===

impl Held {
    /// Gives back what a body of `bytes` does not need.
    pub fn shrink(&mut self, bytes: usize) {
        let mut needed = cost(bytes);
        for permit in &mut self.0 {
            let has = permit.num_permits();
            drop(permit.split(has.saturating_sub(needed)));
            needed = needed.saturating_sub(has);
        }
    }
}
