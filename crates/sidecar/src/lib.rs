//! Talks to Dapr, or is one.
//!
//! [`client::Sidecar`] is the only way the product reaches its sidecar: Dapr's own gRPC API. [`embedded::Server`]
//! answers that API (and its HTTP twin) from a SQLite file, so that one process needs nothing else.
//! The seam between the two is the wire: the client cannot tell `daprd` from the embedded server.
//! This crate knows nothing of workflows.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail"))]

pub mod client;
pub mod components;
pub mod embedded;

pub use client::{Endpoint, Entry, Error, Fence, Metadata, Publish, Reminder, Save, Sidecar, Traffic, Ttl};
