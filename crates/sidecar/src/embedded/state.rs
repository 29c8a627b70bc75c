//! The state API: keys with etags, fences and expiry (`dapr-contract` 3.3).
//!
//! Etags count up by one from `1` per key, as on Redis; a deleted key starts again. Unlike on Redis a save with
//! an etag never creates a missing key, and a transaction is all or nothing: what `state.sqlite` promises.

use std::sync::Arc;

use bytes::Bytes;
use tonic::Code;

use super::fault::Fault;
use super::names;
use super::runtime::Runtime;
use super::store::{Expiry, Fence, Outcome, Value, Write};
use super::times;
use crate::components::State;

/// One key to write or delete, as its caller asked for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) data: Bytes,
    pub(super) etag: Option<String>,
    /// `ttlInSeconds` as it came.
    pub(super) ttl: Option<String>,
    pub(super) concurrency: Concurrency,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Concurrency {
    #[default]
    Unspecified,
    FirstWrite,
    LastWrite,
}

/// One operation of a transaction.
#[derive(Debug, Clone)]
pub(super) enum Operation {
    Upsert(Item),
    Delete(Item),
}

// === impl Item ===

impl Item {
    fn fence(&self) -> Result<Fence, Fault> {
        match (self.etag.as_deref().unwrap_or_default(), self.concurrency) {
            // As Redis: last-write asks for no check at all.
            (_, Concurrency::LastWrite) | ("", Concurrency::Unspecified) => Ok(Fence::None),
            ("", Concurrency::FirstWrite) => Ok(Fence::FirstWrite),
            (etag, _) => version(etag).map(Fence::Etag),
        }
    }

    fn put(self, store: &Arc<str>, key: String) -> Result<Write, Fault> {
        let fence = self.fence()?;
        let expiry = expiry(self.ttl.as_deref())?;
        Ok(Write::Put { store: store.clone(), key, data: self.data, fence, expiry })
    }

    fn remove(self, store: &Arc<str>, key: String) -> Result<Write, Fault> {
        let etag = match self.fence()? {
            Fence::Etag(version) => Some(version),
            Fence::None | Fence::FirstWrite => None,
        };
        Ok(Write::Remove { store: store.clone(), key, etag })
    }
}

/// Reads an etag; ours are decimal.
pub(super) fn version(etag: &str) -> Result<i64, Fault> {
    etag.parse().map_err(|_| {
        Fault::new("ERR_STATE_SAVE", 400, Code::InvalidArgument, format!("invalid etag value: {etag:?}"))
    })
}

/// Reads `ttlInSeconds`: `-1` takes an expiry off, nothing keeps one, as on Redis.
pub(super) fn expiry(ttl: Option<&str>) -> Result<Expiry, Fault> {
    match ttl {
        None | Some("") => Ok(Expiry::Keep),
        Some(text) => match text.parse::<i64>() {
            Ok(seconds) if seconds > 0 => {
                Ok(Expiry::At(times::steady().saturating_add(seconds.saturating_mul(1000))))
            }
            Ok(_) => Ok(Expiry::Never),
            Err(_) => Err(Fault::new(
                "ERR_STATE_SAVE",
                500,
                Code::Internal,
                format!("incorrect value for metadata ttlInSeconds: {text:?}"),
            )),
        },
    }
}

// === impl Runtime ===

impl Runtime {
    pub(super) async fn get_state(&self, store: &str, key: &str) -> Result<Option<Value>, Fault> {
        let (name, component) = self.state_component(store)?;
        names::check_key(key)?;
        let full = component.prefix.apply(&self.app_id, &name, key);
        self.store.get(&name, &full).map_err(|error| {
            let message = format!("fail to get {key} from state store {store}: {error}");
            Fault::new("ERR_STATE_GET", 500, Code::Internal, message)
        })
    }

    /// Reads the keys and returns one answer for each, in order.
    pub(super) async fn get_states(
        &self,
        store: &str,
        keys: Vec<String>,
    ) -> Result<Vec<(String, Option<Value>)>, Fault> {
        let (name, component) = self.state_component(store)?;
        let mut full = Vec::with_capacity(keys.len());
        for key in &keys {
            names::check_key(key)?;
            full.push(component.prefix.apply(&self.app_id, &name, key));
        }
        let found = self.store.get_many(&name, &full).await.map_err(|error| {
            let message = format!("fail to get from state store {store}: {error}");
            Fault::new("ERR_STATE_BULK_GET", 500, Code::Internal, message)
        })?;
        let found: std::collections::HashMap<String, Value> = found.into_iter().collect();
        let answers = keys.into_iter().zip(full).map(|(key, full)| {
            let value = found.get(&full).cloned();
            (key, value)
        });
        Ok(answers.collect())
    }

    /// Saves the items, each on its own: one that is refused does not take the others back.
    pub(super) async fn save_states(&self, store: &str, items: Vec<Item>) -> Result<(), Fault> {
        let (name, component) = self.state_component(store)?;
        let fenced = items.iter().any(|item| item.etag.as_deref().is_some_and(|etag| !etag.is_empty()));
        let mut writes = Vec::with_capacity(items.len());
        for item in items {
            names::check_key(&item.key)?;
            let key = component.prefix.apply(&self.app_id, &name, &item.key);
            writes.push(item.put(&name, key)?);
        }
        if writes.is_empty() {
            return Ok(());
        }
        let failed = |http, grpc, reason: &dyn std::fmt::Display| {
            let message = format!("failed saving state in state store {store}: {reason}");
            Fault::new("ERR_STATE_SAVE", http, grpc, message)
        };
        let outcomes = self.store.write(writes).await.map_err(|error| failed(500, Code::Internal, &error))?;
        if !outcomes.contains(&Outcome::Refused) {
            return Ok(());
        }
        if fenced {
            return Err(failed(
                409,
                Code::Aborted,
                &"possible etag mismatch. error from state store: state was not updated",
            ));
        }
        // daprd tells a first write over an existing key from an etag mismatch only by this code.
        Err(failed(500, Code::Internal, &"no item was updated: the key exists"))
    }

    pub(super) async fn delete_states(&self, store: &str, items: Vec<Item>) -> Result<(), Fault> {
        let (name, component) = self.state_component(store)?;
        let mut writes = Vec::with_capacity(items.len());
        let mut first = String::new();
        for item in items {
            names::check_key(&item.key)?;
            if first.is_empty() {
                first.clone_from(&item.key);
            }
            let key = component.prefix.apply(&self.app_id, &name, &item.key);
            writes.push(item.remove(&name, key)?);
        }
        if writes.is_empty() {
            return Ok(());
        }
        let failed = |http, grpc, reason: &dyn std::fmt::Display| {
            let message = format!("failed deleting state with key {first}: {reason}");
            Fault::new("ERR_STATE_DELETE", http, grpc, message)
        };
        let outcomes = self.store.write(writes).await.map_err(|error| failed(500, Code::Internal, &error))?;
        if outcomes.contains(&Outcome::Refused) {
            return Err(failed(409, Code::Aborted, &"possible etag mismatch"));
        }
        Ok(())
    }

    /// Commits the operations together; a refused one takes the others back and is no conflict but a failure.
    pub(super) async fn transact(&self, store: &str, operations: Vec<Operation>) -> Result<(), Fault> {
        let (name, component) = self.state_component(store)?;
        let mut writes = Vec::with_capacity(operations.len());
        for operation in operations {
            let (Operation::Upsert(item) | Operation::Delete(item)) = &operation;
            names::check_key(&item.key)?;
            let key = component.prefix.apply(&self.app_id, &name, &item.key);
            writes.push(match operation {
                Operation::Upsert(item) => item.put(&name, key)?,
                Operation::Delete(item) => item.remove(&name, key)?,
            });
        }
        if writes.is_empty() {
            return Ok(());
        }
        let failed = |reason: &dyn std::fmt::Display| {
            let message = format!("error while executing state transaction: {reason}");
            Fault::new("ERR_STATE_TRANSACTION", 500, Code::Internal, message)
        };
        let outcomes = self.store.write_atomic(writes).await.map_err(|error| failed(&error))?;
        if outcomes.contains(&Outcome::Refused) {
            return Err(failed(&"state was not updated"));
        }
        Ok(())
    }

    fn state_component(&self, store: &str) -> Result<(Arc<str>, &State), Fault> {
        if self.components.state.is_empty() {
            return Err(Fault::new(
                "ERR_STATE_STORE_NOT_CONFIGURED",
                500,
                Code::FailedPrecondition,
                format!("state store {store} is not configured"),
            ));
        }
        let component =
            self.components.state.get(store).ok_or_else(|| Fault::state_store_not_found(store))?;
        Ok((Arc::from(store), component))
    }
}
