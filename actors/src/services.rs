//! What the actors need of the outside, as fields: no globals.

use crate::{Batcher, Keyring, Live, Metrics, document::Version, projects::Projects};
use callboard_catalog::Catalog;
use callboard_connectors::model::Models;
use callboard_core::{Span, Timestamp, agent::spec::Agents, workflow::definition::Retention};
use callboard_sidecar::Sidecar;
use parking_lot::Mutex;
use rand::{RngCore, SeedableRng, rngs::StdRng};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// The outside, as this process reaches it.
#[derive(Clone)]
pub struct Services {
    pub sidecar: Sidecar,
    pub catalog: Arc<dyn Catalog>,
    pub models: Arc<Models>,
    /// Secrets and servers, as each project may use them.
    pub projects: Projects,
    pub agents: Arc<Agents>,
    /// What messages between our processes are signed with.
    pub keyring: Keyring,
    pub settings: Settings,
    pub metrics: Metrics,
    pub live: Live,
    pub clock: Clock,
    pub batcher: Batcher,
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
    /// Calls of models, tools and http nodes that are under way at once in this process.
    pub calls: usize,
    /// What is never journaled nor deleted goes after this many seconds.
    pub value_ttl: u32,
    /// Every approval names what it approves, by its hash.
    pub require_hash: bool,
    /// Every result of a worker carries the token of its offer.
    pub require_token: bool,
    /// Where runs under way are marked, so that one that kills the process is set aside; none where there is no folder.
    pub marks: Option<PathBuf>,
    /// Divides every interval of the protocol (wake, sweeper, expiries); 1 but for simulated time.
    pub haste: u32,
    /// Writes every document in the later version, also what the first one can say; for tests.
    pub named_documents: bool,
}

/// Time and randomness for the shell; the simulator brings its own.
///
/// There are two times. The wall clock is the world's: what is recorded, and what other processes are told, is of it. It
/// can jump, either way. The steady one only goes forwards, at the speed of time, and means something in this process
/// alone: how long ago, how soon again.
#[derive(Clone)]
pub struct Clock(Arc<Source>);

struct Source {
    /// What the wall clock said when this one began.
    start: Timestamp,
    time: Time,
    rng: Mutex<StdRng>,
}

enum Time {
    System(std::time::Instant),
    /// Tokio's clock, which tests pause, and how far the wall clock was set since, in milliseconds.
    Virtual(tokio::time::Instant, AtomicI64),
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
            require_token: false,
            marks: None,
            haste: 1,
            named_documents: false,
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

    /// Returns the version that no document is written before.
    pub(crate) fn version(&self) -> Version {
        if self.named_documents { Version::Named } else { Version::Positional }
    }

    /// Returns an expiry in whole seconds.
    pub(crate) fn expiry(&self, seconds: u32) -> u32 {
        (seconds / self.haste).max(1)
    }
}

// === impl Clock ===

impl Clock {
    pub fn system() -> Self {
        let rng = Mutex::new(StdRng::from_os_rng());
        Self(Arc::new(Source { start: wall(), time: Time::System(std::time::Instant::now()), rng }))
    }

    /// Follows tokio's clock, so that paused time is ours too; the same seed gives the same ids.
    pub fn simulated(start: Timestamp, seed: u64) -> Self {
        let rng = Mutex::new(StdRng::seed_from_u64(seed));
        let time = Time::Virtual(tokio::time::Instant::now(), AtomicI64::new(0));
        Self(Arc::new(Source { start, time, rng }))
    }

    /// Returns what the wall clock says.
    pub fn now(&self) -> Timestamp {
        match &self.0.time {
            Time::System(_) => wall(),
            Time::Virtual(_, set) => Timestamp(self.steady().0.saturating_add(set.load(Ordering::Acquire))),
        }
    }

    /// Returns the steady time: what the wall clock would say if nobody had set it since this process began.
    pub fn steady(&self) -> Timestamp {
        self.0.start
            + match &self.0.time {
                Time::System(since) => span(since.elapsed()),
                Time::Virtual(since, _) => span(since.elapsed()),
            }
    }

    /// Sets a simulated wall clock forward, or back; a real one is the operating system's.
    pub fn set(&self, by_ms: i64) {
        match &self.0.time {
            Time::System(_) => {}
            Time::Virtual(_, set) => drop(set.fetch_add(by_ms, Ordering::AcqRel)),
        }
    }

    /// Returns a fresh id for a turn or an activation.
    pub fn id(&self) -> u64 {
        self.0.rng.lock().next_u64()
    }

    /// Returns something in `0..below`.
    pub fn spread(&self, below: u64) -> u64 {
        if below == 0 { 0 } else { self.id() % below }
    }
}

fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX))
}

fn span(d: Duration) -> Span {
    Span(u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}
