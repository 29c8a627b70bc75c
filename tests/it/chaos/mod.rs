//! Campaigns of faults against real processes, and the checker of what they leave behind.
//!
//! A campaign records how often each fault really bit; one that misses its quota is invalid, not passed. Bounded in
//! count and time; it kills only what it started. `CALLBOARD_CHAOS=full` makes the campaigns as long as the figures in
//! `docs/reliability.md`; without it they are a short part of the same.

#![allow(clippy::panic, reason = "a client that gets nowhere ends the campaign")]

mod away;
mod beside;
mod campaign;
mod cut;
mod failpoints;
mod hosts;
mod leaks;
mod postgres;

mod between;
mod checker;
mod clients;
mod effects;
mod load;
mod sidecar_db;
mod verdict;
mod workload;

/// Whether the long campaigns are asked for.
fn full() -> bool {
    std::env::var("CALLBOARD_CHAOS").is_ok_and(|v| v == "full")
}
