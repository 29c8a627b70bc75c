//! The imperative shell: the actor host, the turn, and the `Workflow` and `Agent` actors.
//!
//! The core decides; this crate loads, commits, journals and performs. Everything outside is reached through
//! `Services`: the sidecar for state, bus and actors, the catalog for history, the connectors for models and HTTP.

mod agent;
mod batching;
mod document;
mod events;
mod failpoint;
pub mod host;
mod kernel;
mod keyring;
mod line;
mod live;
mod marks;
mod metrics;
#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
mod mutant;
mod pins;
mod pool;
mod projects;
pub mod protocol;
mod quotas;
pub mod services;
#[cfg(feature = "mutants")]
pub mod simulated;
mod stored_values;
mod sweeper;
mod tasks;
mod trace;
mod wake;
mod workflow;

pub use batching::Batcher;
pub use host::{Host, Roles};
pub use keyring::{Keyring, fresh as fresh_key};
pub use live::{Listening, Live, Recorded, Said};
pub use metrics::Metrics;
pub use pool::{Busy, Pool};
pub use projects::{Grant, Granted, Projects};
pub use services::{Clock, Services, Settings};
pub use tasks::Tasks;
pub use workflow::verify;

/// The actor type of runs.
pub const WORKFLOW: &str = "Workflow";
/// The actor type of agents.
pub const AGENT: &str = "Agent";

#[cfg(test)]
mod tests;
