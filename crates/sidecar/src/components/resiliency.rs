//! Resiliency files: of all policies, the inbound retries of pub/sub components are honoured.
//!
//! Timeouts, circuit breakers and targets other than `components.*.inbound` are read past: the calls they guard
//! never leave this process.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::embedded::times;

/// How often and how soon a failed delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    pub first: Duration,
    /// Doubles up to this; equal to `first` for a constant delay.
    pub most: Duration,
    /// `None`: for ever.
    pub times: Option<u32>,
}

#[derive(Deserialize, Default)]
struct Spec {
    #[serde(default)]
    policies: Policies,
    #[serde(default)]
    targets: Targets,
}

#[derive(Deserialize, Default)]
struct Policies {
    #[serde(default)]
    retries: BTreeMap<String, Policy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Policy {
    #[serde(default)]
    policy: String,
    #[serde(default)]
    duration: Option<String>,
    #[serde(default)]
    max_interval: Option<String>,
    #[serde(default)]
    max_retries: Option<i64>,
}

#[derive(Deserialize, Default)]
struct Targets {
    #[serde(default)]
    components: BTreeMap<String, Directions>,
}

#[derive(Deserialize)]
struct Directions {
    #[serde(default)]
    inbound: Option<Direction>,
}

#[derive(Deserialize)]
struct Direction {
    #[serde(default)]
    retry: Option<String>,
}

/// Returns the inbound retry policy of each component that has one.
pub(super) fn inbound(spec: &Value) -> Result<BTreeMap<String, Retry>, String> {
    let spec: Spec =
        serde_json::from_value(spec.clone()).map_err(|error| format!("bad resiliency: {error}"))?;
    let mut retries = BTreeMap::new();
    for (component, directions) in spec.targets.components {
        let Some(name) = directions.inbound.and_then(|inbound| inbound.retry) else { continue };
        let Some(policy) = spec.policies.retries.get(&name) else {
            return Err(format!("the retry policy {name} of {component} is not defined"));
        };
        retries.insert(component, policy.read().map_err(|reason| format!("retry policy {name}: {reason}"))?);
    }
    Ok(retries)
}

impl Policy {
    fn read(&self) -> Result<Retry, String> {
        let duration = |text: &Option<String>, default| match text {
            Some(text) => times::go_duration(text).ok_or_else(|| format!("{text:?} is not a duration")),
            None => Ok(default),
        };
        let times = match self.max_retries {
            None | Some(..=-1) => None,
            Some(count) => Some(u32::try_from(count).unwrap_or(u32::MAX)),
        };
        match self.policy.as_str() {
            "constant" | "" => {
                let every = duration(&self.duration, Duration::from_secs(5))?;
                Ok(Retry { first: every, most: every, times })
            }
            "exponential" => {
                let most = duration(&self.max_interval, Duration::from_secs(60))?;
                Ok(Retry { first: Duration::from_millis(500).min(most), most, times })
            }
            other => Err(format!("unknown policy {other}")),
        }
    }
}

impl Retry {
    /// Returns the wait before the given retry (from 1), or `None` once they are used up.
    pub fn delay(&self, retry: u32) -> Option<Duration> {
        if self.times.is_some_and(|times| retry > times) {
            return None;
        }
        let factor = 1u32.checked_shl(retry.saturating_sub(1)).unwrap_or(u32::MAX);
        Some(self.first.saturating_mul(factor).min(self.most).max(Duration::from_millis(1)))
    }
}
