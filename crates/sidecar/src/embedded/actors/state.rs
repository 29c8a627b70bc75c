//! Actor state: keys under `{app}||{type}||{id}||{key}`, changed all or nothing (`dapr-contract` 3.4, 4.4).

use std::sync::Arc;

use bytes::Bytes;
use tonic::Code;

use super::super::fault::Fault;
use super::super::names;
use super::super::store::{Expiry, Fence, Outcome, Value, Write};
use super::Actors;

/// One change of an actor's state.
#[derive(Debug, Clone)]
pub(in crate::embedded) enum Change {
    Upsert { key: String, data: Bytes, etag: Option<i64>, expiry: Expiry },
    Delete { key: String, etag: Option<i64> },
}

// === impl Actors ===

impl Actors {
    pub(in crate::embedded) async fn get_state(
        &self,
        actor_type: &str,
        actor_id: &str,
        key: &str,
    ) -> Result<Option<Value>, Fault> {
        let (store, prefix) = self.place(actor_type, actor_id)?;
        names::check_key(key)?;
        self.store.get(&store, &format!("{prefix}{key}")).map_err(|error| {
            let message = format!("error getting actor state: {error}");
            Fault::new("ERR_ACTOR_STATE_GET", 500, Code::Internal, message)
        })
    }

    /// Commits the changes together. Only an actor that is active here may.
    pub(in crate::embedded) async fn change_state(
        &self,
        actor_type: &str,
        actor_id: &str,
        changes: Vec<Change>,
    ) -> Result<(), Fault> {
        let (store, prefix) = self.place(actor_type, actor_id)?;
        if !self.turns.is_active(actor_type, actor_id) {
            return Err(Fault::new(
                "ERR_ACTOR_INSTANCE_MISSING",
                400,
                Code::Internal,
                "actor instance is missing",
            ));
        }
        let mut writes = Vec::with_capacity(changes.len());
        for change in changes {
            writes.push(match change {
                Change::Upsert { key, data, etag, expiry } => {
                    names::check_key(&key)?;
                    let fence = etag.map_or(Fence::None, Fence::Etag);
                    Write::Put { store: store.clone(), key: format!("{prefix}{key}"), data, fence, expiry }
                }
                Change::Delete { key, etag } => {
                    names::check_key(&key)?;
                    Write::Remove { store: store.clone(), key: format!("{prefix}{key}"), etag }
                }
            });
        }
        let failed = |reason: &dyn std::fmt::Display| {
            let message = format!("error saving actor transaction state: {reason}");
            Fault::new("ERR_ACTOR_STATE_TRANSACTION_SAVE", 500, Code::Internal, message)
        };
        let outcomes = self.store.write_atomic(writes).await.map_err(|error| failed(&error))?;
        if outcomes.contains(&Outcome::Refused) {
            return Err(failed(&"possible etag mismatch"));
        }
        Ok(())
    }

    fn place(&self, actor_type: &str, actor_id: &str) -> Result<(Arc<str>, String), Fault> {
        names::check("actor type", actor_type)?;
        names::check("actor id", actor_id)?;
        let Some(store) = self.state.clone() else {
            return Err(Fault::new(
                "ERR_ACTOR_RUNTIME_NOT_FOUND",
                500,
                Code::Internal,
                "the state store is not configured to use the actor runtime",
            ));
        };
        Ok((store, format!("{}||{actor_type}||{actor_id}||", self.app_id)))
    }
}
