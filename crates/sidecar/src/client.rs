//! The Dapr client: one path to a sidecar, `daprd` or embedded.
//!
//! Decides how the product's words (fence, TTL, reminder) become Dapr's messages and which status asks for
//! which remedy. Retries, deadlines and idempotency are the caller's: a call here is one request.

mod endpoint;
mod error;
mod message;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use dapr::dapr::proto::common::v1 as common;
use dapr::dapr::proto::runtime::v1::{self as runtime, dapr_client::DaprClient};
use tonic::metadata::{Ascii, MetadataValue};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

pub use endpoint::Endpoint;
pub use error::Error;
pub use message::{Component, Entry, Fence, Metadata, Publish, Reminder, Save, Ttl, go_duration};
pub use traffic::{Call, Traffic};

/// The largest message a sidecar accepts (daprd's `--max-body-size` default).
pub const MAX_MESSAGE: usize = 4 << 20;
/// What the client accepts in return: a bulk read may be larger than any single write.
const MAX_ANSWER: usize = 16 << 20;

// The error is a concrete type: with a boxed one the compiler cannot prove the calls' futures `Send`.
type Hop =
    BoxCloneSyncService<http::Request<tonic::body::Body>, http::Response<tonic::body::Body>, tonic::Status>;

/// Whether a message on a topic of a component would go to somebody.
type Heard = Arc<dyn Fn(&str, &str) -> bool + Send + Sync>;

/// A sidecar's gRPC API; a clone shares connection and counters.
#[derive(Clone)]
pub struct Sidecar {
    client: DaprClient<Hop>,
    token: Option<MetadataValue<Ascii>>,
    trace: Option<MetadataValue<Ascii>>,
    traffic: Arc<traffic::Counters>,
    heard: Option<Heard>,
}

impl std::fmt::Debug for Sidecar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sidecar").field("token", &self.token.is_some()).finish_non_exhaustive()
    }
}

// === impl Sidecar ===

impl Sidecar {
    /// Prepares a connection, which is made by the first call and again after each loss.
    ///
    /// Must be called within a tokio runtime.
    pub fn connect(endpoint: &Endpoint) -> Result<Self, Error> {
        if !endpoint.grpc.starts_with("http://") {
            return Err(Error::invalid(format!(
                "sidecar address {}: only http:// is offered, a sidecar is next door",
                endpoint.grpc
            )));
        }
        // No HTTP/2 keep-alive pings: grpc-go ends connections that ping more often than every five minutes.
        let channel = tonic::transport::Endpoint::from_shared(endpoint.grpc.clone())
            .map_err(|error| Error::invalid(format!("sidecar address {}: {error}", endpoint.grpc)))?
            .connect_timeout(std::time::Duration::from_secs(3))
            .tcp_nodelay(true)
            .tcp_keepalive(Some(std::time::Duration::from_secs(30)))
            .initial_stream_window_size(1 << 20)
            .initial_connection_window_size(8 << 20)
            .connect_lazy();
        Self::from_service(channel).with_token(endpoint.api_token.as_deref())
    }

    /// Builds a client on a tower service that answers gRPC in this process; no socket is involved.
    pub fn from_service<S>(service: S) -> Self
    where
        S: Service<http::Request<tonic::body::Body>, Response = http::Response<tonic::body::Body>>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        let hop = BoxCloneSyncService::new(service.map_err(|error| tonic::Status::from_error(error.into())));
        let client = DaprClient::new(hop)
            .max_decoding_message_size(MAX_ANSWER)
            // Larger ones are refused by the sidecar, in its own words.
            .max_encoding_message_size(MAX_ANSWER);
        Self { client, token: None, trace: None, traffic: Arc::default(), heard: None }
    }

    /// Lets a sidecar of this process say which topics nobody subscribes to.
    pub(crate) fn with_heard(self, heard: impl Fn(&str, &str) -> bool + Send + Sync + 'static) -> Self {
        Self { heard: Some(Arc::new(heard)), ..self }
    }

    /// Whether a message on this topic may go to somebody: false only where the sidecar knows that it keeps it for nobody, so
    /// that it need not be made. `daprd` does not say who listens.
    pub fn is_heard(&self, pubsub: &str, topic: &str) -> bool {
        self.heard.as_ref().is_none_or(|heard| heard(pubsub, topic))
    }

    /// Sends `dapr-api-token` with every call.
    pub fn with_token(mut self, token: Option<&str>) -> Result<Self, Error> {
        self.token = match token {
            Some(token) => {
                let mut value = MetadataValue::try_from(token)
                    .map_err(|_| Error::invalid("the API token has characters no header can carry".into()))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        Ok(self)
    }

    /// Returns a clone whose calls belong to the given W3C trace; an unusable value is dropped.
    ///
    /// The value travels as gRPC metadata `traceparent`, which every daprd since 1.0 reads when the binary
    /// `grpc-trace-bin` is absent, and which ends up in the CloudEvent or in the app's request headers.
    pub fn with_trace(&self, traceparent: Option<String>) -> Self {
        let trace = traceparent.and_then(|value| MetadataValue::try_from(value).ok());
        Self { trace, ..self.clone() }
    }

    /// Tells whether the sidecar's API answers at all.
    pub async fn ready(&self) -> bool {
        self.metadata().await.is_ok()
    }

    /// Reads what the sidecar says about itself: components, actor types, whether it hosts actors.
    pub async fn metadata(&self) -> Result<Metadata, Error> {
        self.traffic.count(Call::Metadata);
        let request = self.request(runtime::GetMetadataRequest {});
        Ok(self.client.clone().get_metadata(request).await?.into_inner().into())
    }

    /// Reads one key; a missing one is `None`.
    pub async fn get(&self, store: &str, key: &str) -> Result<Option<Entry>, Error> {
        self.traffic.count(Call::Get);
        let request = self.request(runtime::GetStateRequest {
            store_name: store.to_owned(),
            key: key.to_owned(),
            consistency: common::state_options::StateConsistency::ConsistencyStrong.into(),
            ..Default::default()
        });
        let answer = self.client.clone().get_state(request).await?.into_inner();
        Ok(Entry::found(answer.data, answer.etag))
    }

    /// Reads many keys in one call; missing ones are absent from the answer.
    pub async fn get_bulk(&self, store: &str, keys: Vec<String>) -> Result<BTreeMap<String, Entry>, Error> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.traffic.count(Call::GetBulk);
        let request = self.request(runtime::GetBulkStateRequest {
            store_name: store.to_owned(),
            keys,
            parallelism: 16,
            ..Default::default()
        });
        let answer = self.client.clone().get_bulk_state(request).await?.into_inner();
        let mut entries = BTreeMap::new();
        for item in answer.items {
            if !item.error.is_empty() {
                return Err(tonic::Status::internal(format!("key {}: {}", item.key, item.error)).into());
            }
            if let Some(entry) = Entry::found(item.data, item.etag) {
                entries.insert(item.key, entry);
            }
        }
        Ok(entries)
    }

    /// Saves the items in one call. Only a single item's failure can be told apart as a conflict; with several,
    /// some may have been written.
    pub async fn save(&self, store: &str, items: Vec<Save>) -> Result<(), Error> {
        if items.is_empty() {
            return Ok(());
        }
        let bytes = items.iter().map(|item| item.key.len() + item.data.len()).sum();
        self.traffic.count(Call::Save);
        self.traffic.state(bytes);
        let states = items.into_iter().map(common::StateItem::from).collect();
        let request = self.request(runtime::SaveStateRequest { store_name: store.to_owned(), states });
        self.client.clone().save_state(request).await?;
        Ok(())
    }

    /// Deletes one key; a missing one is no error unless an etag is given.
    pub async fn delete(&self, store: &str, key: &str, etag: Option<&str>) -> Result<(), Error> {
        self.traffic.count(Call::Delete);
        self.traffic.state(key.len());
        let request = self.request(runtime::DeleteStateRequest {
            store_name: store.to_owned(),
            key: key.to_owned(),
            etag: etag.map(|value| common::Etag { value: value.to_owned() }),
            options: etag.map(|_| message::first_write()),
            ..Default::default()
        });
        self.client.clone().delete_state(request).await?;
        Ok(())
    }

    /// Deletes many keys in one call.
    pub async fn delete_bulk(&self, store: &str, keys: Vec<String>) -> Result<(), Error> {
        if keys.is_empty() {
            return Ok(());
        }
        self.traffic.count(Call::DeleteBulk);
        self.traffic.state(keys.iter().map(String::len).sum());
        let states = keys.into_iter().map(|key| common::StateItem { key, ..Default::default() }).collect();
        let request = self.request(runtime::DeleteBulkStateRequest { store_name: store.to_owned(), states });
        self.client.clone().delete_bulk_state(request).await?;
        Ok(())
    }

    /// Publishes one message; once this returns, the bus has it.
    pub async fn publish(&self, message: Publish) -> Result<(), Error> {
        self.traffic.count(Call::Publish);
        self.traffic.bus(message.data.len() + message.topic.len());
        let request = self.request(runtime::PublishEventRequest {
            pubsub_name: message.pubsub,
            topic: message.topic,
            data: message.data.into(),
            data_content_type: message.content_type,
            metadata: message.metadata.into_iter().collect(),
        });
        self.client.clone().publish_event(request).await?;
        Ok(())
    }

    /// Publishes messages of one topic in one call, in order; any failed entry is an error, and some may be out.
    ///
    /// The alpha form of the call is the one that every release since 1.10 has.
    #[allow(deprecated, reason = "the stable form exists since 1.17 only, and our floor is 1.14")]
    pub async fn publish_all(&self, messages: Vec<Publish>) -> Result<(), Error> {
        let mut messages = messages.into_iter();
        let Some(first) = messages.next() else { return Ok(()) };
        if messages.len() == 0 {
            return self.publish(first).await;
        }
        let (pubsub_name, topic) = (first.pubsub.clone(), first.topic.clone());
        if messages.as_slice().iter().any(|other| other.pubsub != pubsub_name || other.topic != topic) {
            return Err(Error::invalid("messages published together must have one topic".to_owned()));
        }
        self.traffic.published(1 + messages.len());
        self.traffic.bus(topic.len());
        let entries = std::iter::once(first).chain(messages).enumerate().map(|(n, message)| {
            self.traffic.bus(message.data.len());
            runtime::BulkPublishRequestEntry {
                entry_id: n.to_string(),
                event: message.data.into(),
                content_type: message.content_type,
                metadata: message.metadata.into_iter().collect(),
            }
        });
        let entries = entries.collect();
        let request = self.request(runtime::BulkPublishRequest {
            pubsub_name,
            topic,
            entries,
            metadata: Default::default(),
        });
        #[expect(deprecated, reason = "the stable form exists only since 1.17")]
        let answer = self.client.clone().bulk_publish_event_alpha1(request).await?.into_inner();
        match answer.failed_entries.first() {
            None => Ok(()),
            Some(failed) => {
                Err(tonic::Status::internal(format!("entry {}: {}", failed.entry_id, failed.error)).into())
            }
        }
    }

    /// Calls a method of an actor and returns the body of its answer.
    ///
    /// Over gRPC an application's own error looks like success: it must travel in the body. A caller that gives
    /// up cuts the turn's request, so short timeouts do harm.
    pub async fn invoke_actor(
        &self,
        actor_type: &str,
        id: &str,
        method: &str,
        data: Bytes,
    ) -> Result<Bytes, Error> {
        self.traffic.count(Call::InvokeActor);
        let request = self.request(runtime::InvokeActorRequest {
            actor_type: actor_type.to_owned(),
            actor_id: id.to_owned(),
            method: method.to_owned(),
            data: data.into(),
            metadata: Default::default(),
        });
        Ok(self.client.clone().invoke_actor(request).await?.into_inner().data.into())
    }

    /// Registers a reminder, replacing the one of the same name.
    pub async fn register_reminder(&self, reminder: Reminder) -> Result<(), Error> {
        self.traffic.count(Call::RegisterReminder);
        let request = self.request(runtime::RegisterActorReminderRequest {
            actor_type: reminder.actor_type,
            actor_id: reminder.actor_id,
            name: reminder.name,
            due_time: reminder.due.map(go_duration).unwrap_or_default(),
            period: reminder.period.map(go_duration).unwrap_or_default(),
            data: reminder.data.into(),
            ..Default::default()
        });
        self.client.clone().register_actor_reminder(request).await?;
        Ok(())
    }

    /// Removes a reminder; a missing one is no error.
    pub async fn unregister_reminder(
        &self,
        actor_type: &str,
        actor_id: &str,
        name: &str,
    ) -> Result<(), Error> {
        self.traffic.count(Call::UnregisterReminder);
        let request = self.request(runtime::UnregisterActorReminderRequest {
            actor_type: actor_type.to_owned(),
            actor_id: actor_id.to_owned(),
            name: name.to_owned(),
        });
        match self.client.clone().unregister_actor_reminder(request).await.map_err(Error::from) {
            Ok(_) | Err(Error::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Reads a secret: one name may hold several values.
    pub async fn get_secret(&self, store: &str, key: &str) -> Result<BTreeMap<String, String>, Error> {
        self.traffic.count(Call::GetSecret);
        let request = self.request(runtime::GetSecretRequest {
            store_name: store.to_owned(),
            key: key.to_owned(),
            ..Default::default()
        });
        Ok(self.client.clone().get_secret(request).await?.into_inner().data.into_iter().collect())
    }

    /// Returns the names of all secrets of a store. Not every store tells them.
    pub async fn secret_names(&self, store: &str) -> Result<BTreeSet<String>, Error> {
        self.traffic.count(Call::SecretNames);
        let store_name = store.to_owned();
        let request = self.request(runtime::GetBulkSecretRequest { store_name, ..Default::default() });
        // What they are goes no further than here.
        Ok(self.client.clone().get_bulk_secret(request).await?.into_inner().data.into_keys().collect())
    }

    /// Returns what this client and its clones have sent so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic.read()
    }

    /// Returns the generated client, for the parts of Dapr's API this type has no word for.
    ///
    /// Calls made on it carry neither token nor trace and are not counted.
    pub fn raw(
        &self,
    ) -> DaprClient<
        impl Service<
            http::Request<tonic::body::Body>,
            Response = http::Response<tonic::body::Body>,
            Error = tonic::Status,
            Future: Send,
        >
        + Clone
        + Send
        + Sync
        + 'static
        + use<>,
    > {
        self.client.clone()
    }

    fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        if let Some(token) = &self.token {
            request.metadata_mut().insert("dapr-api-token", token.clone());
        }
        if let Some(trace) = &self.trace {
            request.metadata_mut().insert("traceparent", trace.clone());
        }
        request
    }
}
