//! The cases, by area. Each is a function of one [`Case`](super::case::Case) with keys, ids and topics of its own.

pub mod actor_state;
pub mod actors;
pub mod api;
pub mod delivery;
pub mod publish;
pub mod reminders;
pub mod second;
pub mod state;
pub mod streams;

pub(super) use super::sdk;
