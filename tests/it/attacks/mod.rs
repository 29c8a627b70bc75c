//! Attacks by those who can reach a running server: a web page, whoever hands in data or definitions, a local
//! program, another app beside Dapr, a cloned repository, a clock that is set.
//!
//! Each test attacks the real binary and looks at what it did to others. They are short parts of the same attacks
//! with `CALLBOARD_ATTACKS=full`, which also takes the release build and the bounds of `docs/security.md`.

#![allow(clippy::panic, clippy::unwrap_used, reason = "an attack that cannot be made is a failed test")]

mod bus;
mod canary;
mod target;

mod browser;
mod clocks;
mod dapr;
mod files;
mod limits;
mod others;
mod people;
mod poisoned;
mod secrets;
mod senders;
mod stops;
mod tools;
mod unsigned;

/// Whether the long attacks are asked for.
fn full() -> bool {
    std::env::var("CALLBOARD_ATTACKS").is_ok_and(|v| v == "full")
}
