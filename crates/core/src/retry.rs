//! When a failed attempt is tried again. Jitter derives from the step, so a replay gives the same delay.

use crate::{Hash, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a failed attempt is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryPolicy {
    #[schemars(range(min = 0, max = 100))]
    pub max_retries: u32,
    #[serde(default)]
    pub backoff: Backoff,
    /// First delay.
    #[serde(default = "RetryPolicy::default_initial")]
    pub initial: Span,
    /// Largest delay.
    #[serde(default = "RetryPolicy::default_max")]
    pub max: Span,
    /// Spread the delays, so that many retries do not meet.
    #[serde(default = "RetryPolicy::default_jitter")]
    pub jitter: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Backoff {
    #[default]
    Exponential,
    Constant,
}

/// Returns the delay before retry number `retry` (from 1), or nothing when the policy is used up.
///
/// `seed` names what is tried again (run and step). A provider's own `retry_after` is a lower bound, even above
/// `max`.
pub fn delay(policy: &RetryPolicy, retry: u32, seed: &str, retry_after: Option<Span>) -> Option<Span> {
    if retry == 0 || retry > policy.max_retries {
        return None;
    }
    let base = match policy.backoff {
        Backoff::Constant => policy.initial.0,
        Backoff::Exponential => {
            // The product saturates: 2 to the power of 100 is more than any delay, and `max` cuts it.
            policy.initial.0.saturating_mul(1u64.checked_shl(retry - 1).unwrap_or(u64::MAX))
        }
    };
    let base = base.min(policy.max.0);
    let spread = if policy.jitter { base / 4 } else { 0 };
    let hash = Hash::chain(&[seed.as_bytes(), &retry.to_le_bytes()]).0;
    let roll = u128::from(u32::from_le_bytes([hash[0], hash[1], hash[2], hash[3]]));
    // The product of the two may be more than 64 bits, the part of the spread is not.
    let shorter = (u128::from(spread) * roll / u128::from(u32::MAX)) as u64;
    // Jitter only shortens, so `max` stays the largest delay.
    let jittered = base - shorter;
    // The provider's delay comes after `max`: it knows when it will answer.
    Some(Span(jittered.max(retry_after.map_or(0, |s| s.0))))
}

// === impl RetryPolicy ===

impl RetryPolicy {
    /// What is usual where nobody says otherwise: `max_retries` tries after the first, from a second to a minute apart.
    pub fn usual(max_retries: u32) -> Self {
        Self {
            max_retries,
            backoff: Backoff::default(),
            initial: Self::default_initial(),
            max: Self::default_max(),
            jitter: Self::default_jitter(),
        }
    }

    fn default_initial() -> Span {
        Span::secs(1)
    }
    fn default_max() -> Span {
        Span::secs(60)
    }
    fn default_jitter() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(backoff: Backoff) -> RetryPolicy {
        RetryPolicy { max_retries: 5, backoff, initial: Span::secs(1), max: Span::secs(6), jitter: false }
    }

    #[test]
    fn delays_grow_up_to_the_largest() {
        let p = policy(Backoff::Exponential);
        let delays: Vec<_> = (1..=6).map(|n| delay(&p, n, "s", None).map(|d| d.0)).collect();
        assert_eq!(delays, [Some(1000), Some(2000), Some(4000), Some(6000), Some(6000), None]);
    }

    #[test]
    fn jitter_is_the_same_every_time_and_never_longer() {
        let p = RetryPolicy { jitter: true, ..policy(Backoff::Constant) };
        let first = delay(&p, 1, "run/step", None).expect("a delay");
        assert_eq!(Some(first), delay(&p, 1, "run/step", None));
        assert!(first.0 >= 750 && first.0 <= 1000, "{first}");
    }

    #[test]
    fn no_delay_is_too_long_for_jitter() {
        let longest = Span(u64::MAX);
        let p = RetryPolicy { jitter: true, initial: longest, max: longest, ..policy(Backoff::Exponential) };
        for retry in 1..=5 {
            let delay = delay(&p, retry, "s", None).expect("a delay").0;
            assert!(delay >= u64::MAX / 4 * 3, "{delay}");
        }
    }

    #[test]
    fn the_provider_may_ask_for_more() {
        assert_eq!(delay(&policy(Backoff::Constant), 1, "s", Some(Span::secs(30))), Some(Span::secs(30)));
    }
}
