//! Workflows end to end: over the embedded default, and beside real daprd with Redis.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a step that fails is a failed test")]

pub mod api;
mod arrivals;
mod backups;
mod bad_input;
mod bad_model;
mod client;
mod command_line;
mod crash;
mod data;
mod definitions;
mod fair;
mod four_ways;
mod grpc;
mod history;
mod http;
mod kinds;
mod large;
mod lists;
mod live;
mod money;
mod pinned;
mod places;
mod prompts;
mod providers;
mod quotas;
mod readiness;
mod reads;
mod runs;
mod tracing;
mod triggers;
mod users;
mod words;
mod workers;
mod world;
