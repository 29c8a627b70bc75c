//! What the actors need of the outside, as fields: no globals.

use crate::{Live, Metrics, Outbox};
use callboard_catalog::Catalog;
use callboard_connectors::{http::Guarded, model::Models, secret::Secrets};
use callboard_core::{Span, Timestamp, agent::spec::Agents, workflow::definition::Retention};
use callboard_sidecar::Sidecar;
use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{sync::Arc, time::Duration};

/// The outside, as this process reaches it.
#[derive(Clone)]
pub struct Services {
    pub sidecar: Sidecar,
    pub catalog: Arc<dyn Catalog>,
    pub models: Arc<Models>,
    pub http: Arc<Guarded>,
    pub secrets: Arc<dyn Secrets>,
    pub agents: Arc<Agents>,
    pub settings: Settings,
    pub metrics: Metrics,
    pub live: Live,
    pub clock: Clock,
    pub outbox: Outbox,
}

/// How the actors behave.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Journal before acting: needed where the state store can lose acknowledged writes (Redis).
    pub strict: bool,
    /// How long an ended run stays in the state store, where its definition says nothing.
    pub retention: Retention,
    /// Steps of one run dispatched at once.
    pub dispatch: u32,
    pub statestore: String,
    pub pubsub: String,
    /// The component for live fan-out; none where one process is all there is.
    pub broadcast: Option<String>,
    /// Waiting turns of one actor; more are refused.
    pub mailbox: usize,
    /// Model calls, tool calls and HTTP steps performed at once in this process.
    pub calls: usize,
    /// What is never journaled nor deleted goes after this many seconds.
    pub value_ttl: u32,
    /// Every approval names what it approves, by its hash.
    pub require_hash: bool,
    /// Divides every interval of the protocol (wake, sweeper, expiries); 1 but for simulated time.
    pub haste: u32,
}

/// Time and randomness for the shell; the simulator brings its own.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

enum Source {
    System(Mutex<StdRng>),
    /// Tokio's clock (which tests pause) from a fixed start, and a seed.
    Virtual {
        start: Timestamp,
        since: tokio::time::Instant,
        rng: Mutex<StdRng>,
    },
}

// === impl Settings ===

impl Default for Settings {
    fn default() -> Self {
        Self {
            strict: false,
            retention: Retention::USUAL,
            dispatch: 64,
            statestore: "statestore".into(),
            pubsub: "pubsub".into(),
            broadcast: None,
            mailbox: 1024,
            calls: 256,
            value_ttl: 90 * 24 * 3600,
            require_hash: false,
            haste: 1,
        }
    }
}

impl Settings {
    /// Returns an interval of the protocol as this process keeps it.
    pub(crate) fn paced(&self, interval: Span) -> Span {
        Span(interval.0 / u64::from(self.haste))
    }

    pub(crate) fn pause(&self, interval: Duration) -> Duration {
        interval / self.haste
    }

    /// Returns an expiry in whole seconds.
    pub(crate) fn expiry(&self, seconds: u32) -> u32 {
        (seconds / self.haste).max(1)
    }
}

// === impl Clock ===

impl Clock {
    pub fn system() -> Self {
        Self(Arc::new(Source::System(Mutex::new(StdRng::from_os_rng()))))
    }

    /// Follows tokio's clock, so that paused time is ours too; the same seed gives the same ids.
    pub fn simulated(start: Timestamp, seed: u64) -> Self {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        Self(Arc::new(Source::Virtual { start, since: tokio::time::Instant::now(), rng }))
    }

    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System(_) => {
                let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
                Timestamp(i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX))
            }
            Source::Virtual { start, since, .. } => *start + span(since.elapsed()),
        }
    }

    /// Returns a fresh id for a turn or an activation.
    pub fn id(&self) -> u64 {
        match &*self.0 {
            Source::System(rng) | Source::Virtual { rng, .. } => rng.lock().next_u64(),
        }
    }

    /// Returns something in `0..below`.
    pub fn spread(&self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.id() % below }
    }
}

fn span(d: Duration) -> Span {
    Span(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
