//! What the host asks of a type of actors.

use crate::protocol::{Fault, Reply};
use async_trait::async_trait;
use callboard_core::Code;

/// A type of actors.
#[async_trait]
pub trait ActorType: Send + Sync {
    /// The type's name, as the sidecar knows it.
    fn name(&self) -> &'static str;

    /// Whether this can be the id of one of its actors. It is asked before a call's signature is looked at: what can't be
    /// an id is refused as that.
    fn is_id(&self, id: &str) -> bool;

    /// Calls a method: JSON in, JSON out. The id is as the sidecar has it; one that can't be of this type is refused
    /// (`no_id`). Errs with a fault that the host answers as JSON, too.
    async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply;

    /// Tells the actor that its reminder fired.
    async fn wake(&self, id: &str) -> Reply;

    /// Tells that the sidecar has let go of the actor. It is called again somewhere, maybe here.
    fn deactivate(&self, id: &str);

    /// Returns how many actors are in memory.
    fn active(&self) -> usize;
}

/// Refuses what can't be the id of an actor.
pub fn no_id(text: &str) -> Fault {
    let shown: String = text.chars().take(80).collect();
    let message = format!("{shown:?} is no id: it must match [A-Za-z0-9_-]{{1,64}}");
    Fault::new(400, Code::InvalidId, message)
}
