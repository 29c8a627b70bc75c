//! What a client has sent: so that tests can hold the cost of a step flat, and operators can see it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The kinds of calls that are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
    Metadata,
    Get,
    GetBulk,
    Save,
    Delete,
    DeleteBulk,
    Publish,
    InvokeActor,
    RegisterReminder,
    UnregisterReminder,
    GetSecret,
    SecretNames,
}

const CALLS: [Call; 12] = [
    Call::Metadata,
    Call::Get,
    Call::GetBulk,
    Call::Save,
    Call::Delete,
    Call::DeleteBulk,
    Call::Publish,
    Call::InvokeActor,
    Call::RegisterReminder,
    Call::UnregisterReminder,
    Call::GetSecret,
    Call::SecretNames,
];

/// A reading of the counters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Calls made, by kind; kinds never called are absent. Of publishing, messages are counted.
    pub calls: BTreeMap<Call, u64>,
    /// Bytes of keys and values handed to the state store.
    pub state_bytes: u64,
    /// Bytes of topics and messages handed to the bus.
    pub bus_bytes: u64,
}

#[derive(Default)]
pub(super) struct Counters {
    calls: [AtomicU64; CALLS.len()],
    state: AtomicU64,
    bus: AtomicU64,
}

impl Traffic {
    /// Returns how many calls of one kind were made.
    pub fn of(&self, call: Call) -> u64 {
        self.calls.get(&call).copied().unwrap_or_default()
    }
}

impl Counters {
    pub(super) fn count(&self, call: Call) {
        if let Some(counter) = self.calls.get(call as usize) {
            counter.fetch_add(1, Relaxed);
        }
    }

    /// Counts the messages of one call.
    pub(super) fn published(&self, messages: usize) {
        if let Some(counter) = self.calls.get(Call::Publish as usize) {
            counter.fetch_add(messages as u64, Relaxed);
        }
    }

    pub(super) fn state(&self, bytes: usize) {
        self.state.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn bus(&self, bytes: usize) {
        self.bus.fetch_add(bytes as u64, Relaxed);
    }

    pub(super) fn read(&self) -> Traffic {
        let calls = CALLS.into_iter().zip(&self.calls).map(|(call, count)| (call, count.load(Relaxed)));
        Traffic {
            calls: calls.filter(|(_, count)| *count > 0).collect(),
            state_bytes: self.state.load(Relaxed),
            bus_bytes: self.bus.load(Relaxed),
        }
    }
}
