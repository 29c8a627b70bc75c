//! Waits between the tries of one thing.

use crate::tasks::pause;
use std::time::Duration;

/// The waits before each try, in milliseconds: as many tries as there are waits.
#[derive(Debug, Clone, Copy)]
pub struct Ladder(&'static [u64]);

impl Ladder {
    /// Makes a ladder of these waits, in milliseconds. The first one comes before the first try, so it is mostly 0.
    pub const fn of(waits: &'static [u64]) -> Self {
        Self(waits)
    }

    /// Waits before the next try. Returns false when all tries are used up.
    pub async fn climb(&mut self) -> bool {
        let Some((wait, rest)) = self.0.split_first() else { return false };
        self.0 = rest;
        pause(Duration::from_millis(*wait)).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_are_as_many_tries_as_waits_and_each_wait_is_before_its_try() {
        let began = std::time::Instant::now();
        let (mut tries, mut at) = (Ladder::of(&[0, 20, 30]), Vec::new());
        while tries.climb().await {
            at.push(began.elapsed().as_millis());
        }
        assert_eq!(at.len(), 3);
        assert!(at[1] >= at[0] + 20 && at[2] >= at[1] + 30, "{at:?}");
    }
}
