//! Secrets that definitions name, kept by the sidecar's secret store.

use async_trait::async_trait;
use callboard_connectors::{
    CallError,
    secret::{Secret, Secrets},
};
use callboard_sidecar::{Error, Sidecar};

/// Reads `secret://name` from a Dapr secret store, anew for each call: stores rotate.
pub struct SidecarSecrets {
    sidecar: Sidecar,
    store: String,
}

// === impl SidecarSecrets ===

impl SidecarSecrets {
    /// `usual` is the store's name where the settings give none.
    pub fn new(sidecar: Sidecar, store: &str, usual: &str) -> Self {
        let store = if store.is_empty() { usual } else { store };
        Self { sidecar, store: store.to_owned() }
    }
}

#[async_trait]
impl Secrets for SidecarSecrets {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError> {
        match self.sidecar.get_secret(&self.store, name).await {
            // A name with several values can't stand for one.
            Ok(mut values) => Ok(values.remove(name).filter(|value| !value.is_empty()).map(Secret::new)),
            Err(Error::NotFound(_) | Error::Denied(_)) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, store = self.store, "secret store");
                Err(CallError {
                    code: "secret_unavailable".into(),
                    message: "the secret store does not answer".into(),
                    retryable: true,
                    retry_after: None,
                })
            }
        }
    }
}
