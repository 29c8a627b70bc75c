//! An actor's document in the state store: read with its etag, saved only where that etag still holds.
//!
//! Two activations of one actor may exist for a while; the etag decides between them. daprd reports any failure of a
//! save as a mismatch, so an error of `save` means that nobody knows: the caller reads the document again.

use crate::services::Services;
use bytes::Bytes;
use callboard_sidecar::client::{Entry, Error, Fence, Save, Ttl};

/// One document, by its key.
pub struct Fenced<'s> {
    services: &'s Services,
    key: String,
}

impl<'s> Fenced<'s> {
    /// Names a document; nothing is read yet.
    pub fn new(services: &'s Services, key: String) -> Self {
        Self { services, key }
    }

    /// Returns the document with its etag, nothing if there is none.
    pub async fn read(&self) -> Result<Option<Entry>, Error> {
        self.services.sidecar.get(&self.services.settings.statestore, &self.key).await
    }

    /// Writes the document over the one with this etag, or as the first one if `etag` is `None`. An error means that
    /// the outcome is unknown.
    pub async fn save(&self, data: Vec<u8>, etag: Option<&str>, ttl: Ttl) -> Result<(), Error> {
        let fence = etag.map_or(Fence::FirstWrite, |etag| Fence::Etag(etag.to_owned()));
        let save = Save { key: self.key.clone(), data: Bytes::from(data), fence, ttl };
        self.services.sidecar.save(&self.services.settings.statestore, vec![save]).await
    }

    /// Returns the etag that a save just made over this one has given the document. Redis and the embedded store both
    /// count up by one, which spares a read after each save. A store with other etags is read.
    pub async fn next_etag(&self, etag: Option<&str>) -> Result<Option<String>, Error> {
        match etag.map(str::parse::<u64>) {
            None => Ok(Some("1".to_owned())),
            Some(Ok(n)) => Ok(Some((n + 1).to_string())),
            Some(Err(_)) => Ok(self.read().await?.map(|entry| entry.etag)),
        }
    }

    /// Deletes the document; with an etag, only if that still holds.
    pub async fn delete(&self, etag: Option<&str>) -> Result<(), Error> {
        self.services.sidecar.delete(&self.services.settings.statestore, &self.key, etag).await
    }
}
