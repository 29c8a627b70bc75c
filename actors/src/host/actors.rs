//! The types of actors that this process hosts: each is registered once, and called by its name.

use crate::protocol::{Fault, Reply};
use async_trait::async_trait;
use callboard_core::Code;
use std::sync::Arc;

/// A type of actors.
#[async_trait]
pub(crate) trait ActorType: Send + Sync {
    /// The type's name, as the sidecar knows it.
    fn name(&self) -> &'static str;

    /// Whether this can be the id of one of its actors.
    fn is_id(&self, id: &str) -> bool;

    /// Calls a method: JSON in, JSON out.
    async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply;

    /// The actor's reminder fired.
    async fn wake(&self, id: &str) -> Reply;

    /// The sidecar has let go of the actor; it is called again somewhere, maybe here.
    fn deactivate(&self, id: &str);

    /// How many are in memory.
    fn active(&self) -> usize;
}

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
