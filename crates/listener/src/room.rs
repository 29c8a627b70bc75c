//! The bytes of request bodies that the process holds at once.
//!
//! Room is taken as bytes come, not as they are announced, and kept until the answer begins. Whoever finds none is told
//! so at once. A body's first bytes come out of a quarter of their own, so that large bodies can't shut out the small
//! ones that most calls have.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const ROOM: usize = 256 << 20;
/// So many bytes of a body are small.
const SMALL: usize = 64 << 10;

/// Room for bodies; a clone is the same room.
#[derive(Debug, Clone)]
pub struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

/// What one request holds; clones are the same, the last one gives it back.
#[derive(Clone)]
pub(crate) struct Held(Arc<Mutex<Parts>>);

struct Parts {
    room: Room,
    small: Part,
    large: Part,
}

/// Bytes taken out of one of the two.
#[derive(Default)]
struct Part(Option<OwnedSemaphorePermit>);

/// There is no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

// === impl Room ===

impl Room {
    pub fn new(bytes: usize) -> Self {
        let small = bytes / 4;
        Self { small: Arc::new(Semaphore::new(small)), large: Arc::new(Semaphore::new(bytes - small)) }
    }

    /// A request that holds nothing yet.
    pub(crate) fn hold(&self) -> Held {
        let (small, large) = (Part::default(), Part::default());
        Held(Arc::new(Mutex::new(Parts { room: self.clone(), small, large })))
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.small.available_permits() + self.large.available_permits()
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new(ROOM)
    }
}

// === impl Held ===

impl Held {
    /// Holds so many bytes from now on, more or fewer than before.
    pub(crate) fn set(&self, bytes: usize) -> Result<(), Full> {
        let parts = &mut *self.0.lock();
        parts.small.set(&parts.room.small, bytes.min(SMALL))?;
        parts.large.set(&parts.room.large, bytes.saturating_sub(SMALL))
    }
}

// === impl Part ===

impl Part {
    fn set(&mut self, of: &Arc<Semaphore>, bytes: usize) -> Result<(), Full> {
        let has = self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        if bytes > has {
            let more = u32::try_from(bytes - has).map_err(|_| Full)?;
            let more = of.clone().try_acquire_many_owned(more).map_err(|_| Full)?;
            match &mut self.0 {
                Some(permit) => permit.merge(more),
                None => self.0 = Some(more),
            }
        } else if bytes == 0 {
            self.0 = None;
        } else if let Some(permit) = &mut self.0 {
            // What is split off is given back.
            drop(permit.split(has - bytes));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_counted_and_given_back() {
        let room = Room::new(4 << 20);
        let held = room.hold();
        assert_eq!(held.set(1 << 20), Ok(()));
        assert_eq!(room.left(), 3 << 20);
        assert_eq!(held.set(100), Ok(()));
        assert_eq!(room.left(), (4 << 20) - 100);
        assert_eq!(held.set(0), Ok(()));
        assert_eq!(held.clone().set(3 << 20), Ok(()));
        drop(held);
        assert_eq!(room.left(), 4 << 20);
    }

    #[test]
    fn large_bodies_leave_room_for_small_ones() {
        let room = Room::new(1 << 20);
        let (large, larger, small) = (room.hold(), room.hold(), room.hold());
        assert_eq!(large.set((768 << 10) + SMALL), Ok(()));
        assert_eq!(larger.set(SMALL + 1), Err(Full));
        assert_eq!(small.set(SMALL), Ok(()));
        drop((large, larger, small));
        assert_eq!(room.left(), 1 << 20);
    }
}
