//! A simulated sidecar's API: the state store, the bus, reminders and actor calls, each with its faults.
//!
//! The product's own client talks to it, message by message; only the transport is missing.

use crate::{
    broken,
    reminders::Reminder,
    store::{Fence, Write},
    world::{Fault, World},
};
use callboard_actors::mutant::Rule;
use dapr::dapr::proto::{
    common::v1 as common,
    runtime::v1::{
        self,
        dapr_server::{Dapr, DaprServer},
    },
};
use futures::Stream;
use std::{
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::time::sleep;
use tonic::{Request, Response, Status, Streaming};

/// One caller's way to the world.
#[derive(Clone)]
pub struct Link {
    /// Weak, because the world's metrics hold a client.
    world: Weak<World>,
    host: Option<usize>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

// === impl Link ===

impl Link {
    pub fn service(world: &Arc<World>, host: Option<usize>) -> DaprServer<Self> {
        DaprServer::new(Self { world: Arc::downgrade(world), host }).max_decoding_message_size(usize::MAX)
    }

    fn world(&self) -> Arc<World> {
        self.world.upgrade().expect("a world outlives what runs in it")
    }

    fn who(&self) -> String {
        self.host.map_or_else(|| "client".to_owned(), |h| format!("h{h}"))
    }

    async fn get_state(&self, request: v1::GetStateRequest) -> Result<v1::GetStateResponse, Status> {
        let world = &self.world();
        world.hop().await;
        if world.fault(Fault::ReadFails, 0.02) {
            return Err(Status::unavailable("the store does not answer"));
        }
        let found = world.state.lock().store.get(world.now(), &request.key).cloned();
        world.hop().await;
        Ok(found.map_or_else(Default::default, |item| v1::GetStateResponse {
            data: item.data.into(),
            etag: item.etag.to_string(),
            ..Default::default()
        }))
    }

    async fn get_bulk_state(
        &self,
        request: v1::GetBulkStateRequest,
    ) -> Result<v1::GetBulkStateResponse, Status> {
        let world = &self.world();
        world.hop().await;
        if world.fault(Fault::ReadFails, 0.02) {
            return Err(Status::unavailable("the store does not answer"));
        }
        let now = world.now();
        let items = request.keys.into_iter().map(|key| {
            let found = world.state.lock().store.get(now, &key).cloned();
            let mut out = v1::BulkStateItem { key, ..Default::default() };
            if let Some(item) = found {
                (out.data, out.etag) = (item.data.into(), item.etag.to_string());
            }
            out
        });
        Ok(v1::GetBulkStateResponse { items: items.collect() })
    }

    async fn save_state(&self, request: v1::SaveStateRequest) -> Result<(), Status> {
        let world = &self.world();
        let writes: Vec<Write> = request.states.into_iter().map(write).map(broken::write).collect();
        let refused = || Status::aborted("possible etag mismatch");
        world.hop().await;
        if world.fault(Fault::SaveLost, 0.02) {
            return Err(refused());
        }
        if world.fault(Fault::SaveLate, 0.015) {
            let (world, who) = (world.clone(), self.who());
            tokio::spawn(async move {
                sleep(Duration::from_millis(world.late())).await;
                put_all(&world, &format!("{who} late"), &writes);
            });
            return Err(refused());
        }
        let done = put_all(world, &self.who(), &writes);
        world.hop().await;
        if !done || world.fault(Fault::SaveUnheard, 0.02) {
            return Err(refused());
        }
        Ok(())
    }

    async fn delete_state(&self, request: v1::DeleteStateRequest) -> Result<(), Status> {
        let etag = request.etag.and_then(|e| e.value.parse().ok());
        self.remove(vec![request.key], etag).await
    }

    async fn delete_bulk_state(&self, request: v1::DeleteBulkStateRequest) -> Result<(), Status> {
        self.remove(request.states.into_iter().map(|s| s.key).collect(), None).await
    }

    async fn remove(&self, keys: Vec<String>, etag: Option<u64>) -> Result<(), Status> {
        let world = &self.world();
        world.hop().await;
        if world.fault(Fault::SaveLost, 0.02) {
            return Err(Status::unavailable("the store does not answer"));
        }
        let now = world.now();
        world.log(|| format!("{} deletes {keys:?} {etag:?}", self.who()));
        let done = keys.iter().all(|key| world.state.lock().store.remove(now, key, etag));
        world.hop().await;
        if !done || world.fault(Fault::SaveUnheard, 0.02) {
            return Err(Status::aborted("possible etag mismatch"));
        }
        Ok(())
    }

    async fn publish_event(&self, request: v1::PublishEventRequest) -> Result<(), Status> {
        self.publish(&request.topic, vec![request.data]).await
    }

    async fn bulk_publish_event_alpha1(
        &self,
        request: v1::BulkPublishRequest,
    ) -> Result<v1::BulkPublishResponse, Status> {
        let events = request.entries.into_iter().map(|e| e.event).collect();
        self.publish(&request.topic, events).await?;
        Ok(v1::BulkPublishResponse::default())
    }

    async fn publish(&self, topic: &str, events: Vec<Vec<u8>>) -> Result<(), Status> {
        let world = &self.world();
        world.hop().await;
        if world.fault(Fault::PublishLost, 0.03) {
            return Err(Status::unavailable("the bus does not answer"));
        }
        events.into_iter().for_each(|event| crate::bus::take(world, topic, event.into()));
        world.hop().await;
        if world.fault(Fault::PublishUnheard, 0.02) {
            return Err(Status::unavailable("the bus does not answer"));
        }
        Ok(())
    }

    async fn register_actor_reminder(&self, request: v1::RegisterActorReminderRequest) -> Result<(), Status> {
        let world = &self.world();
        world.hop().await;
        if world.fault(Fault::ReminderRefused, 0.1) {
            return Err(Status::unavailable("the scheduler does not answer"));
        }
        if broken::is_off(Rule::Reminders) {
            return Ok(());
        }
        let (due, period) = (go_millis(&request.due_time), go_millis(&request.period));
        let reminder =
            Reminder { kind: request.actor_type, id: request.actor_id, name: request.name, period };
        crate::reminders::register(world, reminder, due);
        world.hop().await;
        if world.fault(Fault::ReminderUnheard, 0.02) {
            return Err(Status::unavailable("the scheduler does not answer"));
        }
        Ok(())
    }

    async fn unregister_actor_reminder(
        &self,
        request: v1::UnregisterActorReminderRequest,
    ) -> Result<(), Status> {
        let world = &self.world();
        world.hop().await;
        if world.fault(Fault::ReminderRefused, 0.03) {
            return Err(Status::unavailable("the scheduler does not answer"));
        }
        crate::reminders::remove(world, &request.actor_type, &request.actor_id);
        world.hop().await;
        if world.fault(Fault::ReminderUnheard, 0.02) {
            return Err(Status::unavailable("the scheduler does not answer"));
        }
        Ok(())
    }

    async fn invoke_actor(&self, request: v1::InvokeActorRequest) -> Result<v1::InvokeActorResponse, Status> {
        let v1::InvokeActorRequest { actor_type, actor_id, method, data, .. } = request;
        match self.world().invoke(&actor_type, &actor_id, &method, data.into()).await {
            Some(answer) => Ok(v1::InvokeActorResponse { data: answer.into() }),
            None => Err(Status::unavailable("the actor does not answer")),
        }
    }
}

/// Saves items in order. The first that does not fit ends it.
fn put_all(world: &World, who: &str, writes: &[Write]) -> bool {
    let now = world.now();
    writes.iter().all(|write| {
        let done = world.state.lock().store.put(now, world.plan.strict, write);
        world.log(|| format!("{who} saves {} {:?} ttl {:?}: {done}", write.key, write.fence, write.ttl));
        if !done {
            world.see("refused saves");
        }
        done
    })
}

fn write(item: common::StateItem) -> Write {
    let first = item.options.is_some_and(|o| o.concurrency == 1);
    let etag = item.etag.filter(|e| !e.value.is_empty());
    let fence = match etag {
        // An etag that is no number fits nothing.
        Some(etag) => Fence::Etag(etag.value.parse().unwrap_or(0)),
        None if first => Fence::First,
        None => Fence::None,
    };
    let ttl = item.metadata.get("ttlInSeconds").and_then(|ttl| ttl.parse().ok());
    Write { key: item.key, data: item.value.into(), fence, ttl }
}

/// Reads what our client writes: seconds or milliseconds.
fn go_millis(text: &str) -> u64 {
    let number = |digits: &str| digits.parse::<f64>().unwrap_or(0.0);
    match text.strip_suffix("ms") {
        Some(ms) => number(ms) as u64,
        None => text.strip_suffix('s').map_or(0, |s| (number(s) * 1000.0) as u64),
    }
}

macro_rules! service {
    (
        streams { $($stream:ident: $item:ty;)* }
        served { $($served:ident($request:ty) -> $response:ty;)* }
        refused { $($refused:ident($unread:ty) -> $never:ty;)* }
    ) => {
        #[tonic::async_trait]
        impl Dapr for Link {
            $(type $stream = Answers<$item>;)*
            $(async fn $served(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                Ok(Response::new(Self::$served(self, request.into_inner()).await?))
            })*
            $(async fn $refused(&self, _request: Request<$unread>) -> Result<Response<$never>, Status> {
                Err(Status::unimplemented(stringify!($refused)))
            })*
        }
    };
}

service! {
    streams {
        SubscribeTopicEventsAlpha1Stream: v1::SubscribeTopicEventsResponseAlpha1;
        SubscribeConfigurationAlpha1Stream: v1::SubscribeConfigurationResponse;
        SubscribeConfigurationStream: v1::SubscribeConfigurationResponse;
        EncryptAlpha1Stream: v1::EncryptResponse;
        DecryptAlpha1Stream: v1::DecryptResponse;
    }
    served {
        get_state(v1::GetStateRequest) -> v1::GetStateResponse;
        get_bulk_state(v1::GetBulkStateRequest) -> v1::GetBulkStateResponse;
        save_state(v1::SaveStateRequest) -> ();
        delete_state(v1::DeleteStateRequest) -> ();
        delete_bulk_state(v1::DeleteBulkStateRequest) -> ();
        publish_event(v1::PublishEventRequest) -> ();
        bulk_publish_event_alpha1(v1::BulkPublishRequest) -> v1::BulkPublishResponse;
        register_actor_reminder(v1::RegisterActorReminderRequest) -> ();
        unregister_actor_reminder(v1::UnregisterActorReminderRequest) -> ();
        invoke_actor(v1::InvokeActorRequest) -> v1::InvokeActorResponse;
    }
    refused {
        invoke_service(v1::InvokeServiceRequest) -> common::InvokeResponse;
        execute_state_transaction(v1::ExecuteStateTransactionRequest) -> ();
        bulk_publish_event(v1::BulkPublishRequest) -> v1::BulkPublishResponse;
        subscribe_topic_events_alpha1(Streaming<v1::SubscribeTopicEventsRequestAlpha1>) -> Self::SubscribeTopicEventsAlpha1Stream;
        get_secret(v1::GetSecretRequest) -> v1::GetSecretResponse;
        get_bulk_secret(v1::GetBulkSecretRequest) -> v1::GetBulkSecretResponse;
        register_actor_timer(v1::RegisterActorTimerRequest) -> ();
        unregister_actor_timer(v1::UnregisterActorTimerRequest) -> ();
        unregister_actor_reminders_by_type(v1::UnregisterActorRemindersByTypeRequest) -> v1::UnregisterActorRemindersByTypeResponse;
        list_actor_reminders(v1::ListActorRemindersRequest) -> v1::ListActorRemindersResponse;
        get_actor_state(v1::GetActorStateRequest) -> v1::GetActorStateResponse;
        get_actor_reminder(v1::GetActorReminderRequest) -> v1::GetActorReminderResponse;
        execute_actor_state_transaction(v1::ExecuteActorStateTransactionRequest) -> ();
        get_metadata(v1::GetMetadataRequest) -> v1::GetMetadataResponse;
        set_metadata(v1::SetMetadataRequest) -> ();
        query_state_alpha1(v1::QueryStateRequest) -> v1::QueryStateResponse;
        invoke_binding(v1::InvokeBindingRequest) -> v1::InvokeBindingResponse;
        get_configuration_alpha1(v1::GetConfigurationRequest) -> v1::GetConfigurationResponse;
        get_configuration(v1::GetConfigurationRequest) -> v1::GetConfigurationResponse;
        subscribe_configuration_alpha1(v1::SubscribeConfigurationRequest) -> Self::SubscribeConfigurationAlpha1Stream;
        subscribe_configuration(v1::SubscribeConfigurationRequest) -> Self::SubscribeConfigurationStream;
        unsubscribe_configuration_alpha1(v1::UnsubscribeConfigurationRequest) -> v1::UnsubscribeConfigurationResponse;
        unsubscribe_configuration(v1::UnsubscribeConfigurationRequest) -> v1::UnsubscribeConfigurationResponse;
        try_lock_alpha1(v1::TryLockRequest) -> v1::TryLockResponse;
        unlock_alpha1(v1::UnlockRequest) -> v1::UnlockResponse;
        encrypt_alpha1(Streaming<v1::EncryptRequest>) -> Self::EncryptAlpha1Stream;
        decrypt_alpha1(Streaming<v1::DecryptRequest>) -> Self::DecryptAlpha1Stream;
        subtle_get_key_alpha1(v1::SubtleGetKeyRequest) -> v1::SubtleGetKeyResponse;
        subtle_encrypt_alpha1(v1::SubtleEncryptRequest) -> v1::SubtleEncryptResponse;
        subtle_decrypt_alpha1(v1::SubtleDecryptRequest) -> v1::SubtleDecryptResponse;
        subtle_wrap_key_alpha1(v1::SubtleWrapKeyRequest) -> v1::SubtleWrapKeyResponse;
        subtle_unwrap_key_alpha1(v1::SubtleUnwrapKeyRequest) -> v1::SubtleUnwrapKeyResponse;
        subtle_sign_alpha1(v1::SubtleSignRequest) -> v1::SubtleSignResponse;
        subtle_verify_alpha1(v1::SubtleVerifyRequest) -> v1::SubtleVerifyResponse;
        start_workflow_alpha1(v1::StartWorkflowRequest) -> v1::StartWorkflowResponse;
        get_workflow_alpha1(v1::GetWorkflowRequest) -> v1::GetWorkflowResponse;
        purge_workflow_alpha1(v1::PurgeWorkflowRequest) -> ();
        terminate_workflow_alpha1(v1::TerminateWorkflowRequest) -> ();
        pause_workflow_alpha1(v1::PauseWorkflowRequest) -> ();
        resume_workflow_alpha1(v1::ResumeWorkflowRequest) -> ();
        raise_event_workflow_alpha1(v1::RaiseEventWorkflowRequest) -> ();
        start_workflow_beta1(v1::StartWorkflowRequest) -> v1::StartWorkflowResponse;
        get_workflow_beta1(v1::GetWorkflowRequest) -> v1::GetWorkflowResponse;
        purge_workflow_beta1(v1::PurgeWorkflowRequest) -> ();
        terminate_workflow_beta1(v1::TerminateWorkflowRequest) -> ();
        pause_workflow_beta1(v1::PauseWorkflowRequest) -> ();
        resume_workflow_beta1(v1::ResumeWorkflowRequest) -> ();
        raise_event_workflow_beta1(v1::RaiseEventWorkflowRequest) -> ();
        shutdown(v1::ShutdownRequest) -> ();
        schedule_job_alpha1(v1::ScheduleJobRequest) -> v1::ScheduleJobResponse;
        schedule_job(v1::ScheduleJobRequest) -> v1::ScheduleJobResponse;
        get_job_alpha1(v1::GetJobRequest) -> v1::GetJobResponse;
        get_job(v1::GetJobRequest) -> v1::GetJobResponse;
        delete_job_alpha1(v1::DeleteJobRequest) -> v1::DeleteJobResponse;
        delete_job(v1::DeleteJobRequest) -> v1::DeleteJobResponse;
        delete_jobs_by_prefix_alpha1(v1::DeleteJobsByPrefixRequestAlpha1) -> v1::DeleteJobsByPrefixResponseAlpha1;
        delete_jobs_by_prefix(v1::DeleteJobsByPrefixRequest) -> v1::DeleteJobsByPrefixResponse;
        list_jobs_alpha1(v1::ListJobsRequestAlpha1) -> v1::ListJobsResponseAlpha1;
        list_jobs(v1::ListJobsRequest) -> v1::ListJobsResponse;
        converse_alpha1(v1::ConversationRequest) -> v1::ConversationResponse;
        converse_alpha2(v1::ConversationRequestAlpha2) -> v1::ConversationResponseAlpha2;
        create_index_alpha1(v1::CreateIndexRequestAlpha1) -> ();
        get_index_alpha1(v1::GetIndexRequestAlpha1) -> v1::GetIndexResponseAlpha1;
        list_indexes_alpha1(v1::ListIndexesRequestAlpha1) -> v1::ListIndexesResponseAlpha1;
        delete_index_alpha1(v1::DeleteIndexRequestAlpha1) -> ();
        index_documents_alpha1(v1::IndexDocumentsRequestAlpha1) -> v1::IndexDocumentsResponseAlpha1;
        get_documents_alpha1(v1::GetDocumentsRequestAlpha1) -> v1::GetDocumentsResponseAlpha1;
        delete_documents_alpha1(v1::DeleteDocumentsRequestAlpha1) -> v1::DeleteDocumentsResponseAlpha1;
        search_alpha1(v1::SearchRequestAlpha1) -> v1::SearchResponseAlpha1;
        create_collection_alpha1(v1::CreateCollectionRequestAlpha1) -> ();
        get_collection_alpha1(v1::GetCollectionRequestAlpha1) -> v1::GetCollectionResponseAlpha1;
        list_collections_alpha1(v1::ListCollectionsRequestAlpha1) -> v1::ListCollectionsResponseAlpha1;
        delete_collection_alpha1(v1::DeleteCollectionRequestAlpha1) -> ();
        upsert_vectors_alpha1(v1::UpsertVectorsRequestAlpha1) -> v1::UpsertVectorsResponseAlpha1;
        delete_vectors_alpha1(v1::DeleteVectorsRequestAlpha1) -> v1::DeleteVectorsResponseAlpha1;
        get_vectors_alpha1(v1::GetVectorsRequestAlpha1) -> v1::GetVectorsResponseAlpha1;
        query_vectors_alpha1(v1::QueryVectorsRequestAlpha1) -> v1::QueryVectorsResponseAlpha1;
        batch_query_vectors_alpha1(v1::BatchQueryVectorsRequestAlpha1) -> v1::BatchQueryVectorsResponseAlpha1;
    }
}
