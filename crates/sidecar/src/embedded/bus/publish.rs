//! Publishing: one message or many, into the CloudEvents envelope and onto the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use tonic::Code;

use super::super::fault::Fault;
use super::super::names;
use super::super::store::{self, Write};
use super::{Bus, Message, Topic, envelope};

/// A message as its publisher sent it.
#[derive(Debug, Clone, Default)]
pub(in crate::embedded) struct Outgoing {
    pub(in crate::embedded) data: Bytes,
    pub(in crate::embedded) content_type: String,
    pub(in crate::embedded) metadata: BTreeMap<String, String>,
    pub(in crate::embedded) traceparent: Option<String>,
    pub(in crate::embedded) tracestate: Option<String>,
}

/// One message of a bulk publish.
pub(in crate::embedded) struct Entry {
    pub(in crate::embedded) id: String,
    pub(in crate::embedded) message: Outgoing,
}

// === impl Bus ===

impl Bus {
    /// Publishes one message and returns once it is on disk, or has nobody to go to.
    pub(in crate::embedded) async fn publish(
        &self,
        pubsub: &str,
        topic: &str,
        message: Outgoing,
    ) -> Result<(), Fault> {
        self.may_publish(pubsub, topic)?;
        let message = envelope::wrap(message, pubsub, topic, &self.app_id)?;
        if self.overflows(pubsub, topic) {
            return Err(failed(topic, pubsub, &"the topic's backlog is full"));
        }
        let writes = self.routed(pubsub, topic, message);
        if writes.is_empty() {
            return Ok(());
        }
        self.store.write(writes).await.map_err(|error| failed(topic, pubsub, &error))?;
        Ok(())
    }

    /// Publishes many messages in one commit and returns those that could not be, with the reason.
    pub(in crate::embedded) async fn publish_bulk(
        &self,
        pubsub: &str,
        topic: &str,
        entries: Vec<Entry>,
    ) -> Result<Vec<(String, String)>, Fault> {
        self.may_publish(pubsub, topic)?;
        let mut ids = BTreeSet::new();
        for entry in &entries {
            if entry.id.is_empty() || !ids.insert(entry.id.as_str()) {
                return Err(Fault::new(
                    "ERR_PUBSUB_EVENTS_SER",
                    400,
                    Code::InvalidArgument,
                    format!(
                        "error when unmarshaling the request for topic {topic} pubsub {pubsub}: entryId {:?} is duplicated or not present",
                        entry.id
                    ),
                ));
            }
        }
        let full = self.overflows(pubsub, topic);
        let mut failures = Vec::new();
        let mut writes = Vec::new();
        let mut kept = Vec::new();
        for Entry { id, message } in entries {
            match envelope::wrap(message, pubsub, topic, &self.app_id) {
                _ if full => failures.push((id, "the topic's backlog is full".to_owned())),
                Ok(message) => {
                    writes.extend(self.routed(pubsub, topic, message));
                    kept.push(id);
                }
                Err(fault) => failures.push((id, fault.message)),
            }
        }
        if !writes.is_empty()
            && let Err(error) = self.store.write(writes).await
        {
            failures.extend(kept.into_iter().map(|id| (id, error.to_string())));
        }
        Ok(failures)
    }

    /// Whether a message on this topic is kept for somebody, or is to be refused.
    pub(in crate::embedded) fn is_heard(&self, pubsub: &str, topic: &str) -> bool {
        let is_kept = || {
            let topics = self.topics.lock();
            topics.get(pubsub).and_then(|topics| topics.get(topic)).is_some_and(|queues| !queues.is_empty())
        };
        !self.known.load(Relaxed) || is_kept() || self.may_publish(pubsub, topic).is_err()
    }

    fn may_publish(&self, pubsub: &str, topic: &str) -> Result<(), Fault> {
        let component = self.components.pubsub.get(pubsub).ok_or_else(|| Fault::pubsub_not_found(pubsub))?;
        if topic.is_empty() {
            return Err(Fault::topic_empty(pubsub));
        }
        names::check_topic(topic)?;
        if !component.may_publish(topic) {
            return Err(Fault::pubsub_forbidden(topic, &self.app_id));
        }
        Ok(())
    }

    /// Returns the writes that bring a message to its topic. Subscribers of a broadcast have it at once.
    pub(super) fn routed(&self, pubsub: &str, topic: &str, message: Message) -> Vec<Write> {
        let broadcast = self.components.pubsub.get(pubsub).is_some_and(|component| component.broadcast);
        let mut topics = self.topics.lock();
        let Some(topics) = topics.get_mut(pubsub) else { return Vec::new() };
        if broadcast {
            for queue in topics.get(topic).into_iter().flatten() {
                queue.arrive(message.clone());
            }
            return Vec::new();
        }
        let queue = match topics.get(topic).and_then(|queues| queues.first()) {
            Some(queue) => queue.clone(),
            None if self.known.load(Relaxed) => return Vec::new(),
            None => {
                // Who subscribes is not known yet.
                let queue = Topic::kept(pubsub, topic, self.depth(pubsub));
                topics.entry(topic.to_owned()).or_default().push(queue.clone());
                queue
            }
        };
        vec![Write::Publish { topic: queue, message }]
    }

    fn overflows(&self, pubsub: &str, topic: &str) -> bool {
        let topics = self.topics.lock();
        let queues = topics.get(pubsub).and_then(|topics| topics.get(topic));
        queues.is_some_and(|queues| queues.iter().any(|queue| queue.is_full()))
    }
}

fn failed(topic: &str, pubsub: &str, error: &dyn std::fmt::Display) -> Fault {
    Fault::new(
        "ERR_PUBSUB_PUBLISH_MESSAGE",
        500,
        Code::Internal,
        format!("error when publishing to topic {topic} in pubsub {pubsub}: {error}"),
    )
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Closed => Self::new("ERR_SHUTTING_DOWN", 503, Code::Unavailable, error.to_string()),
            store::Error::Database(_) => Self::internal(error.to_string()),
        }
    }
}
