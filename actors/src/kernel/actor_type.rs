//! What the host asks of a type of actors.

use crate::protocol::Reply;
use async_trait::async_trait;

/// A type of actors.
#[async_trait]
pub trait ActorType: Send + Sync {
    /// The type's name, as the sidecar knows it.
    fn name(&self) -> &'static str;

    /// Whether this can be the id of one of its actors.
    fn is_id(&self, id: &str) -> bool;

    /// Calls a method: JSON in, JSON out. Errs with a fault that the host answers as JSON, too.
    async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply;

    /// Tells the actor that its reminder fired.
    async fn wake(&self, id: &str) -> Reply;

    /// Tells that the sidecar has let go of the actor. It is called again somewhere, maybe here.
    fn deactivate(&self, id: &str);

    /// Returns how many actors are in memory.
    fn active(&self) -> usize;
}
