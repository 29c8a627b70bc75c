//! The types of actors that this process hosts: each is registered once, and called by its name.

use crate::{kernel::ActorType, protocol::Fault};
use callboard_core::Code;
use std::sync::Arc;

/// The types that are hosted here.
pub(super) struct ActorTypes(Vec<Arc<dyn ActorType>>);

impl ActorTypes {
    pub fn new(types: Vec<Arc<dyn ActorType>>) -> Self {
        Self(types)
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|kind| kind.name()).collect()
    }

    /// Returns the type, if it is hosted here.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn ActorType>> {
        self.0.iter().find(|kind| kind.name() == name)
    }

    /// The same, or a refusal that says so.
    pub fn of(&self, name: &str) -> Result<&Arc<dyn ActorType>, Fault> {
        self.get(name).ok_or_else(|| {
            let message = format!("no actors of type {name:?} are hosted here");
            Fault::new(404, Code::UnknownActorType, message)
        })
    }
}
