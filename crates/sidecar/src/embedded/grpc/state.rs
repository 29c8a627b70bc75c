//! State methods.

use std::collections::HashMap;

use dapr::dapr::proto::common::v1::{StateItem, state_options::StateConcurrency};
use dapr::dapr::proto::runtime::v1::*;
use tonic::Request;

use super::super::fault::Fault;
use super::super::state::{Concurrency, Item, Operation};
use super::super::store::Value;
use super::Embedded;

// === impl Embedded ===

impl Embedded {
    pub(super) async fn get_state(
        &self,
        request: Request<GetStateRequest>,
    ) -> Result<GetStateResponse, Fault> {
        let GetStateRequest { store_name, key, .. } = request.into_inner();
        let Some(value) = self.runtime.get_state(&store_name, &key).await? else {
            return Ok(GetStateResponse::default());
        };
        Ok(GetStateResponse {
            metadata: expiry(&value),
            etag: value.version.to_string(),
            data: value.data.into(),
        })
    }

    pub(super) async fn get_bulk_state(
        &self,
        request: Request<GetBulkStateRequest>,
    ) -> Result<GetBulkStateResponse, Fault> {
        let GetBulkStateRequest { store_name, keys, .. } = request.into_inner();
        let found = self.runtime.get_states(&store_name, keys).await?;
        let items = found.into_iter().map(|(key, value)| match value {
            None => BulkStateItem { key, ..BulkStateItem::default() },
            Some(value) => BulkStateItem {
                key,
                metadata: expiry(&value),
                etag: value.version.to_string(),
                data: value.data.into(),
                error: String::new(),
            },
        });
        Ok(GetBulkStateResponse { items: items.collect() })
    }

    pub(super) async fn save_state(&self, request: Request<SaveStateRequest>) -> Result<(), Fault> {
        let SaveStateRequest { store_name, states } = request.into_inner();
        self.runtime.save_states(&store_name, states.into_iter().map(Item::from).collect()).await
    }

    pub(super) async fn delete_state(&self, request: Request<DeleteStateRequest>) -> Result<(), Fault> {
        let DeleteStateRequest { store_name, key, etag, options, metadata } = request.into_inner();
        let item = Item::from(StateItem { key, value: Vec::new(), etag, metadata, options });
        self.runtime.delete_states(&store_name, vec![item]).await
    }

    pub(super) async fn delete_bulk_state(
        &self,
        request: Request<DeleteBulkStateRequest>,
    ) -> Result<(), Fault> {
        let DeleteBulkStateRequest { store_name, states } = request.into_inner();
        self.runtime.delete_states(&store_name, states.into_iter().map(Item::from).collect()).await
    }

    pub(super) async fn execute_state_transaction(
        &self,
        request: Request<ExecuteStateTransactionRequest>,
    ) -> Result<(), Fault> {
        let ExecuteStateTransactionRequest { store_name, operations, .. } = request.into_inner();
        let mut wanted = Vec::with_capacity(operations.len());
        for operation in operations {
            let Some(item) = operation.request else { continue };
            wanted.push(match operation.operation_type.as_str() {
                "upsert" => Operation::Upsert(item.into()),
                "delete" => Operation::Delete(item.into()),
                other => return Err(Fault::unknown_operation(other)),
            });
        }
        self.runtime.transact(&store_name, wanted).await
    }
}

fn expiry(value: &Value) -> HashMap<String, String> {
    let at = value.expires.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    at.map(|at| ("ttlExpireTime".to_owned(), at.to_string())).into_iter().collect()
}

impl From<StateItem> for Item {
    fn from(mut item: StateItem) -> Self {
        let concurrency = item.options.map_or(0, |options| options.concurrency);
        Self {
            key: item.key,
            data: item.value.into(),
            etag: item.etag.map(|etag| etag.value),
            ttl: item.metadata.remove("ttlInSeconds"),
            concurrency: match StateConcurrency::try_from(concurrency) {
                Ok(StateConcurrency::ConcurrencyFirstWrite) => Concurrency::FirstWrite,
                Ok(StateConcurrency::ConcurrencyLastWrite) => Concurrency::LastWrite,
                Ok(StateConcurrency::ConcurrencyUnspecified) | Err(_) => Concurrency::Unspecified,
            },
        }
    }
}
