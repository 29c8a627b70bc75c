//! The gRPC service `dapr.proto.runtime.v1.Dapr`, method by method.
//!
//! Decides which of Dapr's 88 methods are served. The others answer `Unimplemented` with their name; the served
//! ones are functions of [`Embedded`] in the modules beside this one, under the trait's own names.

use std::pin::Pin;
use std::sync::Arc;

use dapr::dapr::proto::common::v1 as common;
use dapr::dapr::proto::runtime::v1::{self, dapr_server::Dapr};
use futures::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::super::fault::Fault;
use super::super::runtime::Runtime;

/// The service; clones share the runtime.
#[derive(Clone)]
pub(in crate::embedded) struct Embedded {
    pub(super) runtime: Arc<Runtime>,
}

/// A stream of answers.
pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

macro_rules! service {
    (
        streams { $($stream:ident: $item:ty;)* }
        served { $($served:ident($request:ty) -> $response:ty;)* }
        refused { $($refused:ident($unread:ty) -> $never:ty;)* }
    ) => {
        #[tonic::async_trait]
        impl Dapr for Embedded {
            $(type $stream = Answers<$item>;)*
            $(async fn $served(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                Ok(Response::new(Self::$served(self, request).await?))
            })*
            $(async fn $refused(&self, _request: Request<$unread>) -> Result<Response<$never>, Status> {
                Err(Fault::unimplemented(stringify!($refused)).into())
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
        invoke_service(v1::InvokeServiceRequest) -> common::InvokeResponse;
        get_state(v1::GetStateRequest) -> v1::GetStateResponse;
        get_bulk_state(v1::GetBulkStateRequest) -> v1::GetBulkStateResponse;
        save_state(v1::SaveStateRequest) -> ();
        delete_state(v1::DeleteStateRequest) -> ();
        delete_bulk_state(v1::DeleteBulkStateRequest) -> ();
        execute_state_transaction(v1::ExecuteStateTransactionRequest) -> ();
        publish_event(v1::PublishEventRequest) -> ();
        bulk_publish_event_alpha1(v1::BulkPublishRequest) -> v1::BulkPublishResponse;
        bulk_publish_event(v1::BulkPublishRequest) -> v1::BulkPublishResponse;
        subscribe_topic_events_alpha1(Streaming<v1::SubscribeTopicEventsRequestAlpha1>) -> Self::SubscribeTopicEventsAlpha1Stream;
        get_secret(v1::GetSecretRequest) -> v1::GetSecretResponse;
        get_bulk_secret(v1::GetBulkSecretRequest) -> v1::GetBulkSecretResponse;
        register_actor_timer(v1::RegisterActorTimerRequest) -> ();
        unregister_actor_timer(v1::UnregisterActorTimerRequest) -> ();
        register_actor_reminder(v1::RegisterActorReminderRequest) -> ();
        unregister_actor_reminder(v1::UnregisterActorReminderRequest) -> ();
        unregister_actor_reminders_by_type(v1::UnregisterActorRemindersByTypeRequest) -> v1::UnregisterActorRemindersByTypeResponse;
        list_actor_reminders(v1::ListActorRemindersRequest) -> v1::ListActorRemindersResponse;
        get_actor_state(v1::GetActorStateRequest) -> v1::GetActorStateResponse;
        get_actor_reminder(v1::GetActorReminderRequest) -> v1::GetActorReminderResponse;
        execute_actor_state_transaction(v1::ExecuteActorStateTransactionRequest) -> ();
        invoke_actor(v1::InvokeActorRequest) -> v1::InvokeActorResponse;
        get_metadata(v1::GetMetadataRequest) -> v1::GetMetadataResponse;
        set_metadata(v1::SetMetadataRequest) -> ();
    }
    refused {
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
