//! How often a key may ask, in this process. Keys without limits are not counted.

use callboard_catalog::KeyLimits;
use callboard_core::id::KeyId;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
    state::{InMemoryState, NotKeyed},
};
use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Keys that are counted; more than that and all begin anew.
const COUNTED: usize = 10_000;
const HOUR: Duration = Duration::from_secs(3600);

type Limiter = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// The counts of one process.
#[derive(Default)]
pub struct Rates(Mutex<HashMap<KeyId, Rate>>);

struct Rate {
    limits: KeyLimits,
    second: Option<Limiter>,
    hour: Option<Limiter>,
}

/// How a key stands after a request, by the limit that is nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub limit: u32,
    pub remaining: u32,
    /// Until all of it is there again, in seconds.
    pub reset: u32,
}

/// A request too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooOften {
    pub limit: u32,
    pub window: &'static str,
    /// When to come back, in seconds.
    pub retry_after: u32,
}

// === impl Rates ===

impl Rates {
    /// Counts a request. Nothing is counted of a key without limits.
    pub fn take(&self, id: &KeyId, limits: KeyLimits) -> Result<Option<Taken>, TooOften> {
        if limits == KeyLimits::default() {
            return Ok(None);
        }
        let mut rates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= COUNTED && !rates.contains_key(id) {
            rates.clear();
        }
        let rate = rates.entry(id.clone()).or_insert_with(|| Rate::new(limits));
        if rate.limits != limits {
            *rate = Rate::new(limits);
        }
        rate.take()
    }
}

// === impl Rate ===

impl Rate {
    fn new(limits: KeyLimits) -> Self {
        let limiter = |limit: Option<u32>, quota: fn(NonZeroU32) -> Quota| {
            let quota = quota(NonZeroU32::new(limit?)?);
            Some(RateLimiter::direct(quota).with_middleware::<StateInformationMiddleware>())
        };
        let second = limiter(limits.per_second, Quota::per_second);
        Self { limits, second, hour: limiter(limits.per_hour, Quota::per_hour) }
    }

    fn take(&self) -> Result<Option<Taken>, TooOften> {
        let windows = [
            (&self.second, self.limits.per_second, "second", Duration::from_secs(1)),
            (&self.hour, self.limits.per_hour, "hour", HOUR),
        ];
        let mut nearest: Option<Taken> = None;
        for (limiter, limit, window, length) in windows {
            let (Some(limiter), Some(limit)) = (limiter, limit) else { continue };
            let snapshot = limiter.check().map_err(|early| {
                let wait = early.wait_time_from(DefaultClock::default().now());
                TooOften { limit, window, retry_after: whole(wait) }
            })?;
            let remaining = snapshot.remaining_burst_capacity();
            // Each comes back after its part of the window.
            let reset = whole(length / limit * (limit - remaining.min(limit)));
            if nearest.is_none_or(|known| remaining < known.remaining) {
                nearest = Some(Taken { limit, remaining, reset });
            }
        }
        Ok(nearest)
    }
}

/// Seconds, rounded up.
fn whole(wait: Duration) -> u32 {
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: Option<u32>, per_hour: Option<u32>) -> KeyLimits {
        KeyLimits { per_second, per_hour }
    }

    #[test]
    fn each_key_has_its_own_count_and_one_without_limits_has_none() {
        let (rates, one, other) = (Rates::default(), KeyId::new("one"), KeyId::new("other"));
        let taken = |id: &KeyId, of: KeyLimits| (0..50).filter(|_| rates.take(id, of).is_ok()).count();
        assert_eq!(taken(&one, limits(None, Some(7))), 7);
        assert_eq!((taken(&one, limits(None, Some(7))), taken(&other, limits(None, Some(3)))), (0, 3));
        assert_eq!(taken(&one, KeyLimits::default()), 50);
        assert_eq!(taken(&one, limits(None, Some(9))), 9, "other limits begin anew");
        assert_eq!(rates.take(&KeyId::new("free"), KeyLimits::default()), Ok(None));
    }

    #[test]
    fn the_nearest_limit_is_told_and_when_to_come_back() {
        let (rates, id) = (Rates::default(), KeyId::new("one"));
        let both = limits(Some(1000), Some(2));
        assert_eq!(rates.take(&id, both), Ok(Some(Taken { limit: 2, remaining: 1, reset: 1800 })));
        assert_eq!(rates.take(&id, both), Ok(Some(Taken { limit: 2, remaining: 0, reset: 3600 })));
        let refused = rates.take(&id, both).expect_err("too often");
        assert_eq!((refused.limit, refused.window), (2, "hour"));
        assert!((1700..=1800).contains(&refused.retry_after), "{refused:?}");
    }
}
