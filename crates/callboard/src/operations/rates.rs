//! How many deliveries a webhook takes, in this process: one that sends too many is told when to come back.

use super::{Kind, Refusal};
use callboard_core::id::{ProjectId, TriggerId};
use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
};

/// Triggers whose deliveries are counted; more than that and all begin anew.
const COUNTED: usize = 10_000;

/// The counts of one process. A clone is the same.
#[derive(Clone, Default)]
pub struct Rates(Arc<Mutex<HashMap<(ProjectId, TriggerId), Rate>>>);

struct Rate {
    a_minute: u32,
    limiter: DefaultDirectRateLimiter,
}

// === impl Rates ===

impl Rates {
    /// Counts a delivery, or refuses it.
    pub fn take(&self, project: &ProjectId, id: &TriggerId, a_minute: u32) -> Result<(), Refusal> {
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= COUNTED {
            rates.clear();
        }
        let rate = rates.entry((project.clone(), id.clone())).or_insert_with(|| Rate::new(a_minute));
        if rate.a_minute != a_minute {
            *rate = Rate::new(a_minute);
        }
        rate.limiter.check().map_err(|early| {
            let wait = early.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            let detail = format!("this trigger takes {a_minute} deliveries a minute");
            Refusal {
                retry_after: Some(seconds),
                ..Refusal::new(Kind::TooMany, "too_many_deliveries", detail)
            }
        })
    }
}

impl Rate {
    fn new(a_minute: u32) -> Self {
        let quota = Quota::per_minute(NonZeroU32::new(a_minute).unwrap_or(NonZeroU32::MIN));
        Self { a_minute, limiter: RateLimiter::direct(quota) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trigger_has_its_own_rate_and_another_rate_begins_anew() {
        let (rates, project) = (Rates::default(), ProjectId::DEFAULT);
        let (one, other) = (TriggerId::new("one"), TriggerId::new("other"));
        let taken =
            |id: &TriggerId, a_minute| (0..10).filter(|_| rates.take(&project, id, a_minute).is_ok()).count();
        assert_eq!((taken(&one, 3), taken(&one, 3), taken(&other, 2)), (3, 0, 2));
        assert_eq!(taken(&one, 5), 5);
        let refused = rates.take(&project, &one, 5).expect_err("too many");
        assert_eq!((refused.kind, refused.retry_after.is_some()), (Kind::TooMany, true));
    }
}
