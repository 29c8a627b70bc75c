//! The bus: who gets which message, and what happens when nobody takes it.
//!
//! One queue per topic, because one app is one consumer group: its route and its streams take turns. A message is
//! kept on disk from before its publisher hears of it until a subscriber acknowledged it. Where daprd's brokers
//! differ in what a failure means, this one never loses: a failed delivery is tried again with growing delays,
//! then dead-lettered if the subscription names a topic for that, else tried on at the slowest pace. A topic that
//! nobody subscribes to keeps nothing.

mod envelope;
mod publish;
mod routes;
mod stream;
mod topic;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::app::Channel;
use super::fault::Fault;
use super::names;
use super::store::{Store, Write};
use super::times;
use crate::components::{Components, Origin, Retry, Rule, Subscription};

pub(super) use publish::{Entry, Outgoing};
pub(super) use stream::{Stream, Subscriber};
pub(super) use topic::{Message, Topic};

use routes::Routes;
use topic::Delivery;
use verdict::Verdict;

/// Retries of a topic without a policy of its own.
const DEFAULT_RETRY: Retry =
    Retry { first: Duration::from_millis(200), most: Duration::from_secs(30), times: None };
/// With a dead-letter topic: so many quick tries come first.
const BEFORE_DEAD_LETTER: Retry =
    Retry { first: Duration::from_millis(100), most: Duration::from_secs(2), times: Some(3) };
/// When to look again for an app that is away.
const AWAY: Duration = Duration::from_secs(1);
/// How long a handler may take before its message counts as failed (Redis' `processingTimeout`).
const PROCESSING: Duration = Duration::from_secs(60);
/// How long a topic keeps messages after its last subscriber left, or after a start without one.
const UNATTENDED: Duration = Duration::from_secs(60);
/// How long a dead letter is kept for a reader who does not come, and how often that is looked at.
const DEAD_LETTERS: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const DEAD_LETTERS_EVERY: Duration = Duration::from_secs(60 * 60);
/// Rows removed at once.
const REMOVED: usize = 1000;

type Topics = HashMap<String, HashMap<String, Vec<Arc<Topic>>>>;

/// The message bus of one app.
pub(super) struct Bus {
    pub(super) app_id: Arc<str>,
    components: Arc<Components>,
    store: Store,
    app: Channel,
    topics: Mutex<Topics>,
    listed: Mutex<Vec<Subscription>>,
    /// The app has said what it subscribes to; from then on a topic without subscribers keeps nothing.
    known: AtomicBool,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// One subscriber of a topic.
#[derive(Clone)]
pub(super) enum Target {
    App(Arc<Routes>),
    Stream(Arc<Stream>),
}

// === impl Bus ===

impl Bus {
    pub(super) fn new(
        app_id: Arc<str>,
        components: Arc<Components>,
        store: Store,
        app: Channel,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let topics = components.pubsub.keys().map(|name| (name.clone(), HashMap::new())).collect();
        Self {
            app_id,
            components,
            store,
            app,
            topics: Mutex::new(topics),
            listed: Mutex::default(),
            known: AtomicBool::new(false),
            tasks,
            stop,
        }
    }

    /// Returns the subscriptions as the metadata document lists them.
    pub(super) fn subscriptions(&self) -> Vec<Subscription> {
        self.listed.lock().clone()
    }

    /// Whether messages are delivered to this path of the app, in its plain reading.
    pub(super) fn delivers_to(&self, plain: &[String]) -> bool {
        let listed = self.listed.lock();
        let routes = listed.iter().filter(|known| known.origin != Origin::Streaming);
        routes.flat_map(|known| &known.rules).any(|rule| {
            let route = names::plain_path(&rule.path).unwrap_or_default();
            !route.is_empty() && route == plain
        })
    }

    /// Takes the app's own subscriptions beside the declared ones and starts delivering.
    pub(super) async fn open(self: &Arc<Self>, programmatic: Vec<Subscription>) {
        let declared = self.components.subscriptions.clone();
        for subscription in declared.into_iter().chain(programmatic) {
            let Subscription { pubsub, topic, .. } = &subscription;
            let Some(component) = self.components.pubsub.get(pubsub) else {
                tracing::error!(%pubsub, %topic, "subscription names an unknown pubsub, ignored");
                continue;
            };
            if !component.may_subscribe(topic) {
                tracing::error!(%pubsub, %topic, "this app may not subscribe to the topic, ignored");
                continue;
            }
            let again = |known: &Subscription| {
                known.origin != Origin::Streaming && &known.pubsub == pubsub && &known.topic == topic
            };
            if self.listed.lock().iter().any(again) {
                tracing::warn!(%pubsub, %topic, "a second subscription to the topic is ignored");
                continue;
            }
            match Routes::compile(&subscription) {
                Ok(routes) => {
                    self.attach(pubsub, topic, Target::App(Arc::new(routes)));
                    self.pin(pubsub, subscription.dead_letter.as_deref());
                    self.listed.lock().push(subscription);
                }
                Err(reason) => tracing::error!(%pubsub, %topic, reason, "subscription ignored"),
            }
        }
        match self.store.backlog().await {
            Ok(backlog) => {
                for (pubsub, topic, count, newest) in backlog {
                    let mut topics = self.topics.lock();
                    let found = topics.entry(pubsub.clone()).or_default().entry(topic.clone()).or_default();
                    if found.is_empty() {
                        found.push(Topic::kept(&pubsub, &topic, self.depth(&pubsub)));
                    }
                    for topic in found {
                        topic.restored(count, newest);
                    }
                }
            }
            Err(error) => tracing::error!(%error, "the backlog could not be read"),
        }
        self.known.store(true, Relaxed);
        let bus = self.clone();
        self.tasks.spawn(async move { bus.sweep().await });
    }

    /// Adds a streaming subscriber, which leaves when the returned guard is dropped.
    pub(super) fn stream(
        self: &Arc<Self>,
        pubsub: &str,
        topic: &str,
        dead_letter: Option<String>,
        metadata: BTreeMap<String, String>,
    ) -> Result<Subscriber, Fault> {
        let component = self.components.pubsub.get(pubsub).ok_or_else(|| Fault::pubsub_not_found(pubsub))?;
        if topic.is_empty() {
            return Err(Fault::topic_empty(pubsub));
        }
        names::check_topic(topic)?;
        if !component.may_subscribe(topic) {
            return Err(Fault::pubsub_forbidden(topic, &self.app_id));
        }
        let subscription = Subscription {
            pubsub: pubsub.to_owned(),
            topic: topic.to_owned(),
            dead_letter: dead_letter.clone().filter(|topic| !topic.is_empty()),
            metadata,
            rules: vec![Rule { matches: None, path: String::new() }],
            origin: Origin::Streaming,
        };
        let (stream, events) = Stream::new(self.app_id.clone(), &subscription);
        let queue = self.attach(pubsub, topic, Target::Stream(stream.clone()));
        self.pin(pubsub, stream.dead_letter());
        {
            let mut listed = self.listed.lock();
            if !listed.contains(&subscription) {
                listed.push(subscription);
            }
        }
        Ok(Subscriber::new(self.clone(), queue, stream, events))
    }

    /// Takes a subscriber off its topic; what it had not answered is delivered again.
    fn detach(&self, queue: &Arc<Topic>, stream: &Arc<Stream>) {
        queue.detach(stream);
        let mut topics = self.topics.lock();
        let found = topics.get_mut(queue.pubsub()).and_then(|topics| topics.get_mut(queue.name()));
        let Some(queues) = found else { return };
        if !queue.is_kept() {
            queues.retain(|known| !Arc::ptr_eq(known, queue));
            queue.close();
        }
        let left: usize = queues.iter().map(|queue| queue.stream_count()).sum();
        drop(topics);
        if left == 0 {
            self.listed.lock().retain(|known| {
                known.origin != Origin::Streaming
                    || known.pubsub != queue.pubsub()
                    || known.topic != queue.name()
            });
        }
    }

    /// Gives a topic a subscriber: its one queue if messages are kept, a queue of the subscriber's own if not.
    fn attach(self: &Arc<Self>, pubsub: &str, topic: &str, target: Target) -> Arc<Topic> {
        let depth = self.depth(pubsub);
        let component = self.components.pubsub.get(pubsub);
        let broadcast = component.is_some_and(|component| component.broadcast);
        let queue = {
            let mut topics = self.topics.lock();
            let found = topics.entry(pubsub.to_owned()).or_default().entry(topic.to_owned()).or_default();
            match found.first() {
                Some(kept) if !broadcast => kept.clone(),
                _ => {
                    let queue = if broadcast {
                        Topic::volatile(pubsub, topic, depth)
                    } else {
                        Topic::kept(pubsub, topic, depth)
                    };
                    found.push(queue.clone());
                    queue
                }
            }
        };
        if queue.attach(target) {
            let concurrency = component.map_or(1, |component| component.concurrency);
            let (bus, queue) = (self.clone(), queue.clone());
            self.tasks.spawn(async move { bus.dispatch(queue, concurrency).await });
        }
        queue
    }

    /// Makes sure that what is dead-lettered stays until somebody reads it.
    fn pin(&self, pubsub: &str, dead_letter: Option<&str>) {
        let Some(topic) = dead_letter else { return };
        let depth = self.depth(pubsub);
        let mut topics = self.topics.lock();
        let queues = topics.entry(pubsub.to_owned()).or_default().entry(topic.to_owned()).or_default();
        if queues.is_empty() && self.components.pubsub.get(pubsub).is_some_and(|found| !found.broadcast) {
            queues.push(Topic::kept(pubsub, topic, depth));
        }
        for queue in queues {
            queue.pin();
        }
    }

    fn depth(&self, pubsub: &str) -> usize {
        self.components.pubsub.get(pubsub).map_or(1, |component| component.depth)
    }

    /// Hands out a topic's messages, so many at a time, until the sidecar stops.
    async fn dispatch(self: Arc<Self>, queue: Arc<Topic>, concurrency: usize) {
        let permits = Arc::new(Semaphore::new(concurrency));
        loop {
            let next = async {
                let permit = permits.clone().acquire_owned().await.ok()?;
                let delivery = queue.next(&self.store).await?;
                Some((permit, delivery, queue.target().await?))
            };
            let taken = tokio::select! {
                () = self.stop.cancelled() => return,
                taken = next => taken,
            };
            let Some((permit, delivery, target)) = taken else { return };
            let (bus, queue) = (self.clone(), queue.clone());
            self.tasks.spawn(async move {
                bus.deliver(&queue, delivery, &target).await;
                drop(permit);
            });
        }
    }

    /// Gives a message to its target and does what the answer asks for.
    async fn deliver(&self, queue: &Arc<Topic>, delivery: Delivery, target: &Target) {
        let verdict = self.attempt(queue, &delivery.message, target).await;
        let dead_letter = match target {
            Target::App(routes) => routes.dead_letter(),
            Target::Stream(stream) => stream.dead_letter(),
        };
        let (name, message) = (queue.name(), delivery.message.id);
        match verdict {
            Verdict::Done => self.forget(queue, &delivery.message).await,
            Verdict::Gone => queue.again(delivery, None),
            Verdict::Away(reason) => {
                tracing::warn!(topic = name, message, reason, "the app is away");
                queue.again(Delivery { tries: delivery.tries.saturating_sub(1), ..delivery }, Some(AWAY));
            }
            Verdict::Drop(reason) => match dead_letter {
                Some(topic) => self.bury(queue, delivery, topic, &reason).await,
                None => {
                    tracing::warn!(topic = name, message, reason, "message dropped");
                    self.forget(queue, &delivery.message).await;
                }
            },
            Verdict::Retry(reason) => self.later(queue, delivery, dead_letter, reason).await,
        }
    }

    /// Gives a message to its target once.
    async fn attempt(&self, queue: &Topic, message: &Message, target: &Target) -> Verdict {
        if message.expired() {
            return Verdict::Drop("expired".to_owned());
        }
        let answer = async {
            match target {
                Target::App(routes) => self.to_app(routes, queue, message).await,
                Target::Stream(stream) => stream.deliver(message).await,
            }
        };
        let timed = tokio::time::timeout(PROCESSING, answer);
        timed.await.unwrap_or_else(|_| Verdict::Retry("no answer in time".to_owned()))
    }

    /// Has a message delivered again after a while; its retries used up, it is a dead letter where there is a topic
    /// for them, else it stays.
    async fn later(&self, queue: &Arc<Topic>, delivery: Delivery, dead_letter: Option<&str>, reason: String) {
        let default = if dead_letter.is_some() { BEFORE_DEAD_LETTER } else { DEFAULT_RETRY };
        let policy = self.components.retries.get(queue.pubsub()).copied().unwrap_or(default);
        let tries = delivery.tries.saturating_add(1);
        let (topic, message) = (queue.name(), delivery.message.id);
        match (policy.delay(tries), dead_letter) {
            (Some(delay), _) => {
                tracing::debug!(topic, message, tries, reason, "retrying");
                queue.again(delivery, Some(delay));
            }
            (None, Some(topic)) => self.bury(queue, delivery, topic, &reason).await,
            (None, None) => {
                tracing::warn!(topic, message, tries, reason, "kept for later");
                queue.again(delivery, Some(policy.most.max(DEFAULT_RETRY.most)));
            }
        }
    }

    async fn forget(&self, queue: &Topic, message: &Message) {
        if queue.is_kept() {
            self.store.later(Write::Forget(message.id)).await;
        }
        queue.done(message);
    }

    /// Moves a message to its dead-letter topic: there before it is gone from here, in one commit.
    async fn bury(&self, queue: &Arc<Topic>, delivery: Delivery, topic: &str, reason: &str) {
        let message = &delivery.message;
        tracing::warn!(
            topic = queue.name(),
            message = message.id,
            dead_letter = topic,
            reason,
            "dead-lettered"
        );
        let copy = Message { id: 0, expires: None, ..(**message).clone() };
        let mut writes = self.routed(queue.pubsub(), topic, copy);
        if queue.is_kept() {
            writes.push(Write::Forget(message.id));
        }
        match self.store.write(writes).await {
            Ok(_) => queue.done(message),
            Err(error) => {
                tracing::error!(%error, topic = queue.name(), "dead-lettering failed");
                queue.again(delivery, Some(Duration::from_secs(1)));
            }
        }
    }

    /// Gives what lies in a dead letter topic that nobody reads an end, and removes what is past its own.
    pub(super) async fn limit_dead_letters(&self) -> Result<(), super::store::Error> {
        let unread: Vec<Arc<Topic>> = {
            let topics = self.topics.lock();
            let queues = topics.values().flat_map(HashMap::values).flatten();
            queues.filter(|queue| queue.is_kept() && queue.is_unread()).cloned().collect()
        };
        for queue in unread {
            let (pubsub, topic) = (queue.pubsub(), queue.name());
            let keep = i64::try_from(DEAD_LETTERS.as_millis()).unwrap_or(i64::MAX);
            let expires = times::steady().saturating_add(keep);
            let limit = Write::Limit { pubsub: pubsub.to_owned(), topic: topic.to_owned(), expires };
            self.store.write(vec![limit]).await?;
            loop {
                let ids = self.store.expired(pubsub, topic, REMOVED).await?;
                if ids.is_empty() {
                    break;
                }
                tracing::info!(
                    pubsub,
                    topic,
                    messages = ids.len(),
                    "dead letters that nobody read are removed"
                );
                self.store.write(ids.iter().copied().map(Write::Forget).collect()).await?;
                queue.forgotten(&ids);
            }
        }
        Ok(())
    }

    /// Forgets topics that have had no subscriber for long.
    async fn sweep(&self) {
        let mut limited: Option<Instant> = None;
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(UNATTENDED / 6) => {}
            }
            if limited.is_none_or(|at| at.elapsed() >= DEAD_LETTERS_EVERY) {
                limited = Some(Instant::now());
                if let Err(error) = self.limit_dead_letters().await {
                    tracing::warn!(%error, "old dead letters could not be removed");
                }
            }
            let mut idle = Vec::new();
            for topics in self.topics.lock().values_mut() {
                topics.retain(|_, queues| {
                    queues.retain(|queue| {
                        let gone = queue.unattended_for(UNATTENDED);
                        if gone {
                            idle.push(queue.clone());
                        }
                        !gone
                    });
                    !queues.is_empty()
                });
            }
            for queue in idle {
                queue.close();
                if queue.is_kept() {
                    tracing::info!(
                        pubsub = queue.pubsub(),
                        topic = queue.name(),
                        "no subscriber: topic forgotten"
                    );
                    let (pubsub, topic) = (queue.pubsub().to_owned(), queue.name().to_owned());
                    self.store.later(Write::Purge { pubsub, topic, upto: queue.newest() }).await;
                }
            }
        }
    }

    async fn to_app(&self, routes: &Routes, queue: &Topic, message: &Message) -> Verdict {
        let event = if routes.raw() {
            envelope::around_raw(&message.event, queue.pubsub(), queue.name(), &self.app_id)
        } else {
            message.event.clone()
        };
        let path = match routes.pick(&event) {
            Ok(Some(path)) => path,
            Ok(None) if routes.dead_letter().is_some() => {
                return Verdict::Drop("no route matched".to_owned());
            }
            Ok(None) => return Verdict::Done,
            Err(reason) => return reason,
        };
        let mut request = http::Request::post(path)
            .header(http::header::CONTENT_TYPE, "application/cloudevents+json")
            .header(http::header::CONTENT_LENGTH, event.len());
        if let Some(trace) = envelope::trace_of(&event) {
            request = request.header("traceparent", trace);
        }
        for (key, value) in &message.metadata {
            let name = http::HeaderName::try_from(format!("metadata.{key}"));
            if let (Ok(name), Ok(value)) = (name, http::HeaderValue::try_from(value)) {
                request = request.header(name, value);
            }
        }
        match request.body(Bytes::clone(&event)) {
            Ok(request) => verdict::of(self.app.call(request).await),
            Err(error) => Verdict::Drop(error.to_string()),
        }
    }
}
