//! Serves: gateway, configuration, telemetry, subcommands.
//!
//! Everything that decides or remembers is in other crates; `assembly` puts their parts together into one process.

#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod access;
pub mod assembly;
pub mod cli;
pub mod client;
pub mod commands;
pub mod config;
pub mod contexts;
pub mod document;
pub mod gateway;
pub mod operations;
pub mod private;
pub mod say;
pub mod telemetry;
pub mod terminal;
pub mod triggers;
pub mod trust;
pub mod user;
