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

    /// The same, once the id is known to be one: nothing is done with another.
    pub fn of(&self, name: &str, id: &str) -> Result<&Arc<dyn ActorType>, Fault> {
        let Some(kind) = self.get(name) else {
            let message = format!("no actors of type {name:?} are hosted here");
            return Err(Fault::new(404, Code::UnknownActorType, message));
        };
        if kind.is_id(id) {
            return Ok(kind);
        }
        let shown: String = id.chars().take(80).collect();
        let message = format!("{shown:?} is no id: it must match [A-Za-z0-9_-]{{1,64}}");
        Err(Fault::new(400, Code::InvalidId, message))
    }
}
