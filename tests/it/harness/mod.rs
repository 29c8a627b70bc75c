//! What the end-to-end tests stand on: real processes on free ports, and fakes of the world.
//!
//! Redis, Postgres, placement, scheduler, daprd and the `callboard` binary are the real programs,
//! started for one test and gone after it. Faked are only the far ends: model providers
//! and HTTP services. Every wait is bounded; a program that is missing fails the test with
//! the command that builds it.
//!
//! Setting things up panics instead of returning errors: the log of each program that takes
//! part is printed by its `Drop` while the test unwinds, and only then.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed set-up is a failed test")]
#![allow(dead_code, unused_imports, reason = "a test binary uses what its suites need")]

mod eventually;
mod launch;
mod ports;
mod process;
mod programs;
mod reaper;

mod cluster;
mod postgres;
mod redis;
mod sidecar;

mod components;
mod runfile;

mod callboard;
mod dapr_run;

mod model;
mod script;
mod upstream;

mod selftest;
mod smoke;

pub use callboard::{Callboard, Dev};
pub use cluster::DaprCluster;
pub use components::Components;
pub use dapr_run::{App, DaprRun, Overrides};
pub use eventually::{eventually, when};
pub use launch::Launch;
pub use model::{Model, chat_completion};
pub use ports::free_port;
pub use postgres::{Pooler, Postgres, connect};
pub use process::Process;
pub use programs::{Release, callboard, release, root};
pub use redis::Redis;
pub use runfile::RunFile;
pub use script::{Recorded, Reply, Script};
pub use sidecar::{Sidecar, SidecarSpec};
pub use upstream::Upstream;

use std::time::Duration;

/// How long a program may take until it is ready. Far above what it needs, because the
/// machine may be busy with other suites.
pub const START: Duration = Duration::from_secs(40);

/// Returns a folder that is gone with its owner; with `CALLBOARD_KEEP` set it stays, logs and
/// data of every program in it.
pub fn scratch() -> tempfile::TempDir {
    let keep = std::env::var_os("CALLBOARD_KEEP").is_some();
    tempfile::Builder::new().prefix("callboard-").disable_cleanup(keep).tempdir().expect("a temporary folder")
}

/// Returns an HTTP client that ignores proxies and gives up after 30 s.
///
/// Each test makes its own: the connections of a shared one would die with the runtime of
/// the test that opened them.
pub fn http() -> reqwest::Client {
    http_with(reqwest::header::HeaderMap::new())
}

/// The same, with headers that each request has.
#[expect(clippy::disallowed_methods, reason = "a test calls what it likes")]
pub fn http_with(headers: reqwest::header::HeaderMap) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .default_headers(headers)
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client without options can be built")
}
