//! Actor methods.

use base64::prelude::{BASE64_STANDARD, Engine};
use dapr::dapr::proto::common::v1::{JobFailurePolicy, job_failure_policy::Policy};
use dapr::dapr::proto::runtime::v1::*;
use prost::Message;
use tonic::Request;

use super::super::actors::{Call, Change, Failure, Registration};
use super::super::fault::Fault;
use super::super::names;
use super::super::state::expiry;
use super::super::store::Reminder;
use super::super::times;
use super::Embedded;

const BYTES: &str = "type.googleapis.com/google.protobuf.BytesValue";

// === impl Embedded ===

impl Embedded {
    pub(super) async fn invoke_actor(
        &self,
        request: Request<InvokeActorRequest>,
    ) -> Result<InvokeActorResponse, Fault> {
        let trace = super::trace(request.metadata());
        let InvokeActorRequest { actor_type, actor_id, method, data, metadata } = request.into_inner();
        let mut headers = super::headers(metadata);
        if let Some(trace) = trace.and_then(|trace| http::HeaderValue::try_from(trace).ok()) {
            headers.insert("traceparent", trace);
        }
        let call = Call { method, data: data.into(), headers };
        let answer = self.runtime.actors.invoke(&actor_type, &actor_id, call).await?;
        Ok(InvokeActorResponse { data: answer.body.into() })
    }

    pub(super) async fn register_actor_reminder(
        &self,
        request: Request<RegisterActorReminderRequest>,
    ) -> Result<(), Fault> {
        let request = request.into_inner();
        let registration = Registration {
            actor_type: request.actor_type,
            actor_id: request.actor_id,
            name: request.name,
            due_time: request.due_time,
            period: request.period,
            ttl: request.ttl,
            data: quoted(&request.data)?,
            callback: String::new(),
            keep_existing: request.overwrite == Some(false),
            failure: failure(request.failure_policy),
        };
        self.runtime.actors.register_reminder(registration).await
    }

    pub(super) async fn unregister_actor_reminder(
        &self,
        request: Request<UnregisterActorReminderRequest>,
    ) -> Result<(), Fault> {
        let UnregisterActorReminderRequest { actor_type, actor_id, name } = request.into_inner();
        self.runtime.actors.remove_reminder(&actor_type, &actor_id, &name).await
    }

    pub(super) async fn unregister_actor_reminders_by_type(
        &self,
        request: Request<UnregisterActorRemindersByTypeRequest>,
    ) -> Result<UnregisterActorRemindersByTypeResponse, Fault> {
        let UnregisterActorRemindersByTypeRequest { actor_type, actor_id } = request.into_inner();
        self.runtime.actors.remove_reminders(&actor_type, actor_id.as_deref()).await?;
        Ok(UnregisterActorRemindersByTypeResponse {})
    }

    pub(super) async fn get_actor_reminder(
        &self,
        request: Request<GetActorReminderRequest>,
    ) -> Result<GetActorReminderResponse, Fault> {
        let GetActorReminderRequest { actor_type, actor_id, name } = request.into_inner();
        let found = ActorReminder::from(self.runtime.actors.reminder(&actor_type, &actor_id, &name)?);
        Ok(GetActorReminderResponse {
            actor_type: found.actor_type,
            actor_id: found.actor_id,
            due_time: found.due_time,
            period: found.period,
            data: found.data,
            ttl: found.ttl,
        })
    }

    pub(super) async fn list_actor_reminders(
        &self,
        request: Request<ListActorRemindersRequest>,
    ) -> Result<ListActorRemindersResponse, Fault> {
        let ListActorRemindersRequest { actor_type, actor_id } = request.into_inner();
        let found = self.runtime.actors.list_reminders(&actor_type, actor_id.as_deref())?;
        let reminders = found.into_iter().map(|reminder| NamedActorReminder {
            name: reminder.name.clone(),
            reminder: Some(reminder.into()),
        });
        Ok(ListActorRemindersResponse { reminders: reminders.collect() })
    }

    pub(super) async fn register_actor_timer(
        &self,
        request: Request<RegisterActorTimerRequest>,
    ) -> Result<(), Fault> {
        let request = request.into_inner();
        names::check_callback(&request.callback)?;
        self.runtime.actors.register_timer(Registration {
            actor_type: request.actor_type,
            actor_id: request.actor_id,
            name: request.name,
            due_time: request.due_time,
            period: request.period,
            ttl: request.ttl,
            data: quoted(&request.data)?,
            callback: request.callback,
            ..Registration::default()
        })
    }

    pub(super) async fn unregister_actor_timer(
        &self,
        request: Request<UnregisterActorTimerRequest>,
    ) -> Result<(), Fault> {
        let UnregisterActorTimerRequest { actor_type, actor_id, name } = request.into_inner();
        self.runtime.actors.remove_timer(&actor_type, &actor_id, &name)
    }

    pub(super) async fn get_actor_state(
        &self,
        request: Request<GetActorStateRequest>,
    ) -> Result<GetActorStateResponse, Fault> {
        let GetActorStateRequest { actor_type, actor_id, key } = request.into_inner();
        let found = self.runtime.actors.get_state(&actor_type, &actor_id, &key).await?;
        let data = found.map(|value| value.data.into()).unwrap_or_default();
        Ok(GetActorStateResponse { data, ..GetActorStateResponse::default() })
    }

    pub(super) async fn execute_actor_state_transaction(
        &self,
        request: Request<ExecuteActorStateTransactionRequest>,
    ) -> Result<(), Fault> {
        let ExecuteActorStateTransactionRequest { actor_type, actor_id, operations } = request.into_inner();
        let mut changes = Vec::with_capacity(operations.len());
        for operation in operations {
            let TransactionalActorStateOperation { operation_type, key, value, metadata } = operation;
            // As daprd: the operation has no etag, and the value is taken as it is.
            changes.push(match operation_type.as_str() {
                "upsert" => Change::Upsert {
                    key,
                    data: value.map(|any| any.value).unwrap_or_default().into(),
                    etag: None,
                    expiry: expiry(metadata.get("ttlInSeconds").map(String::as_str))?,
                },
                "delete" => Change::Delete { key, etag: None },
                other => return Err(Fault::unknown_operation(other)),
            });
        }
        self.runtime.actors.change_state(&actor_type, &actor_id, changes).await
    }
}

/// Bytes become a base64 JSON string, which is what callbacks of gRPC registrations carry.
fn quoted(data: &[u8]) -> Result<String, Fault> {
    if data.is_empty() {
        return Ok(String::new());
    }
    let text = format!("\"{}\"", BASE64_STANDARD.encode(data));
    names::check_data(&text)?;
    Ok(text)
}

fn failure(policy: Option<JobFailurePolicy>) -> Failure {
    match policy.and_then(|policy| policy.policy) {
        None => Failure::Default,
        Some(Policy::Drop(_)) => Failure::Drop,
        Some(Policy::Constant(constant)) => {
            let every = constant.interval.map_or(1000, |interval| {
                interval.seconds.saturating_mul(1000).saturating_add(i64::from(interval.nanos) / 1_000_000)
            });
            Failure::Constant { every: every.max(times::shortest()), times: constant.max_retries }
        }
    }
}

impl From<Reminder> for ActorReminder {
    fn from(reminder: Reminder) -> Self {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let bytes = serde_json::from_str::<String>(&reminder.data).ok();
        let bytes = bytes.and_then(|text| BASE64_STANDARD.decode(text).ok());
        let data = given(reminder.data).map(|json| prost_types::Any {
            type_url: BYTES.to_owned(),
            value: bytes.unwrap_or_else(|| json.into_bytes()).encode_to_vec(),
        });
        Self {
            actor_type: reminder.actor_type,
            actor_id: reminder.actor_id,
            due_time: given(reminder.due_time),
            period: given(reminder.period),
            data,
            ttl: given(reminder.ttl),
        }
    }
}
