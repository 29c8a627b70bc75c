//! Calls of runs for somebody outside whose right to them is known: the API's.

use super::sealed::{self, To};
use crate::Keyring;
use bytes::Bytes;
use callboard_catalog::Catalog;
use callboard_core::id::RunId;
use callboard_sidecar::{Sidecar, client::Error};
use std::sync::Arc;

/// Calls methods of runs through a sidecar; those of projects that answer signed calls only by a signed one.
#[derive(Clone)]
pub struct Caller {
    pub keyring: Keyring,
    pub catalog: Arc<dyn Catalog>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotCalled {
    #[error("{0}")]
    Sidecar(#[from] Error),
    /// Somebody else has answered, or by a key that is not known here.
    #[error("what came is not signed by an actor of ours")]
    Unsigned,
}

// === impl Caller ===

impl Caller {
    /// Calls a method, and returns the answer as the actor wrote it.
    pub async fn call(
        &self,
        sidecar: &Sidecar,
        run: &RunId,
        method: &str,
        body: Bytes,
    ) -> Result<Bytes, NotCalled> {
        let to = To { actor: crate::WORKFLOW, id: run.as_str(), method };
        let (body, mac) = sealed::seal(&self.keyring, to, body);
        let answer = sidecar.invoke_actor(to.actor, to.id, method, body).await?;
        match mac {
            None => Ok(answer),
            Some(mac) => {
                let opened = sealed::opened(&self.keyring, &*self.catalog, to, &mac, answer).await;
                opened.map_err(|refusal| {
                    // A refusal of the host's own has no signature to be over.
                    tracing::debug!(%run, method, answer = %String::from_utf8_lossy(&refusal), "an unsigned answer");
                    NotCalled::Unsigned
                })
            }
        }
    }
}
