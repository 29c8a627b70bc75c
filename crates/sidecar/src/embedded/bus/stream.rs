//! Streaming subscriptions (`SubscribeTopicEventsAlpha1`): a subscriber that came to us.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use dapr::dapr::proto::runtime::v1::{TopicEventRequest, topic_event_response::TopicEventResponseStatus};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::topic::{Message, Topic};
use super::verdict::Verdict;
use super::{Bus, envelope};
use crate::components::Subscription;

/// Events on their way to one stream.
const OUTBOX: usize = 64;

/// The bus's end of a stream.
pub(in crate::embedded) struct Stream {
    app_id: Arc<str>,
    pubsub: String,
    topic: String,
    raw: bool,
    dead_letter: Option<String>,
    events: mpsc::Sender<TopicEventRequest>,
    /// Deliveries without an answer by CloudEvent id, which two messages may share.
    open: Mutex<HashMap<String, VecDeque<oneshot::Sender<Verdict>>>>,
}

/// The subscriber's end: dropping it ends the subscription.
pub(in crate::embedded) struct Subscriber {
    bus: Arc<Bus>,
    queue: Arc<Topic>,
    stream: Arc<Stream>,
    pub(in crate::embedded) events: mpsc::Receiver<TopicEventRequest>,
}

// === impl Stream ===

impl Stream {
    pub(super) fn new(
        app_id: Arc<str>,
        subscription: &Subscription,
    ) -> (Arc<Self>, mpsc::Receiver<TopicEventRequest>) {
        let (events, outbox) = mpsc::channel(OUTBOX);
        let stream = Self {
            app_id,
            pubsub: subscription.pubsub.clone(),
            topic: subscription.topic.clone(),
            raw: subscription.raw(),
            dead_letter: subscription.dead_letter.clone(),
            events,
            open: Mutex::default(),
        };
        (Arc::new(stream), outbox)
    }

    pub(super) fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }

    pub(super) async fn deliver(&self, message: &Message) -> Verdict {
        let wrapped;
        let event = if self.raw {
            wrapped = envelope::around_raw(&message.event, &self.pubsub, &self.topic, &self.app_id);
            &wrapped
        } else {
            &message.event
        };
        let event = match envelope::as_request(event, &self.pubsub, &self.topic) {
            Ok(event) => event,
            Err(reason) => return Verdict::Drop(reason),
        };
        let (answer, verdict) = oneshot::channel();
        let id = event.id.clone();
        self.open.lock().entry(id).or_default().push_back(answer);
        if self.events.send(event).await.is_err() {
            return Verdict::Gone;
        }
        verdict.await.unwrap_or(Verdict::Gone)
    }

    /// Takes the subscriber's word on an event; an unknown id says nothing.
    pub(in crate::embedded) fn processed(&self, id: &str, status: i32) {
        let mut open = self.open.lock();
        let Some(waiting) = open.get_mut(id) else { return };
        let answer = waiting.pop_front();
        if waiting.is_empty() {
            open.remove(id);
        }
        drop(open);
        let verdict = match TopicEventResponseStatus::try_from(status) {
            Ok(TopicEventResponseStatus::Success) => Verdict::Done,
            Ok(TopicEventResponseStatus::Drop) => Verdict::Drop("the subscriber dropped it".to_owned()),
            Ok(TopicEventResponseStatus::Retry) => {
                Verdict::Retry("the subscriber asked for a retry".to_owned())
            }
            Err(_) => Verdict::Retry(format!("unknown status {status}")),
        };
        if let Some(answer) = answer {
            // The delivery may have run out of time meanwhile.
            let _ = answer.send(verdict);
        }
    }
}

// === impl Subscriber ===

impl Subscriber {
    pub(super) fn new(
        bus: Arc<Bus>,
        queue: Arc<Topic>,
        stream: Arc<Stream>,
        events: mpsc::Receiver<TopicEventRequest>,
    ) -> Self {
        Self { bus, queue, stream, events }
    }

    pub(in crate::embedded) fn stream(&self) -> Arc<Stream> {
        self.stream.clone()
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.events.close();
        self.bus.detach(&self.queue, &self.stream);
        // Whoever waits for an answer learns that there will be none.
        self.stream.open.lock().clear();
    }
}
