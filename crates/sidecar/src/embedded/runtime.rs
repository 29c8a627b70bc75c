//! What both APIs call: one value that knows state, bus, actors and secrets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::actors::{Actors, Hosted};
use super::app::{Answer, Channel};
use super::bus::Bus;
use super::fault::Fault;
use super::names;
use super::store::Store;
use crate::components::{Components, Origin, Subscription};

/// The release whose contract this server follows.
pub(super) const VERSION: &str = "1.18.3";
/// Values an app may add to the metadata document, and bytes of each and of its name.
const EXTENDED: usize = 256;
const EXTENDED_VALUE: usize = 4 << 10;
const EXTENDED_NAME: usize = 256;

/// One app's sidecar, without its sockets.
pub(super) struct Runtime {
    pub(super) app_id: Arc<str>,
    pub(super) components: Arc<Components>,
    pub(super) store: Store,
    pub(super) app: Channel,
    pub(super) bus: Arc<Bus>,
    pub(super) actors: Arc<Actors>,
    pub(super) stop: CancellationToken,
    /// The app has been asked what it hosts and subscribes to.
    ready: AtomicBool,
    extended: Mutex<BTreeMap<String, String>>,
}

// === impl Runtime ===

impl Runtime {
    pub(super) fn new(
        app_id: Arc<str>,
        components: Arc<Components>,
        store: Store,
        app: Channel,
        bus: Arc<Bus>,
        actors: Arc<Actors>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            app_id,
            components,
            store,
            app,
            bus,
            actors,
            stop,
            ready: AtomicBool::new(false),
            extended: Mutex::default(),
        }
    }

    /// Asks the app what it hosts and subscribes to, then starts deliveries and reminders. Only once.
    pub(super) async fn app_ready(&self) {
        if self.ready.swap(true, Relaxed) {
            return;
        }
        let hosted = match self.ask("/dapr/config").await {
            Some(answer) => Hosted::read(&answer.body).unwrap_or_else(|reason| {
                tracing::error!(reason, "the app's /dapr/config cannot be used: no actors are hosted");
                Hosted::default()
            }),
            None => Hosted::default(),
        };
        let subscriptions = match self.ask("/dapr/subscribe").await {
            Some(answer) => subscriptions(&answer.body),
            None => Vec::new(),
        };
        self.actors.open(hosted).await;
        self.bus.open(subscriptions).await;
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.load(Relaxed) || !self.app.exists()
    }

    /// Asks an init endpoint, five times if it must; anything but 200 means that the app has nothing to say.
    async fn ask(&self, path: &'static str) -> Option<Answer> {
        if !self.app.exists() {
            return None;
        }
        let mut wait = std::time::Duration::from_millis(100);
        for attempt in 1..=5 {
            let request = http::Request::get(path).body(Bytes::new()).ok()?;
            match self.app.call(request).await {
                Ok(answer) if answer.status == http::StatusCode::OK => return Some(answer),
                Ok(answer) => {
                    tracing::debug!(path, status = %answer.status, "the app has nothing to say");
                    return None;
                }
                Err(error) => {
                    tracing::warn!(path, attempt, %error, "the app does not answer");
                    if attempt < 5 {
                        tokio::time::sleep(wait).await;
                        wait *= 2;
                    }
                }
            }
        }
        None
    }

    /// Calls a method of the app itself; there is no other app to call.
    pub(super) async fn invoke(
        &self,
        app_id: &str,
        mut request: http::Request<Bytes>,
    ) -> Result<Answer, Fault> {
        if app_id != &*self.app_id {
            return Err(Fault::new(
                "ERR_DIRECT_INVOKE",
                500,
                Code::Internal,
                format!("failed to invoke, id: {app_id}, err: couldn't find service: {app_id}"),
            ));
        }
        if self.is_callback(request.uri().path()) {
            return Err(Fault::new(
                "ERR_DIRECT_INVOKE",
                403,
                Code::PermissionDenied,
                "this path of the app is for its sidecar alone and can't be invoked: publish to the topic, call the \
                 actor, or ask the sidecar for its own health",
            ));
        }
        // As daprd: an app tells by these that another one calls, and not its sidecar.
        if let Ok(name) = http::HeaderValue::from_str(&self.app_id) {
            request.headers_mut().insert("dapr-caller-app-id", name.clone());
            request.headers_mut().insert("dapr-callee-app-id", name);
        }
        self.app.call(request).await.map_err(|error| {
            Fault::new(
                "ERR_DIRECT_INVOKE",
                500,
                Code::Unavailable,
                format!("failed to invoke, id: {app_id}, err: {error}"),
            )
        })
    }

    /// Whether a path is one that only the sidecar calls, however it is written: an app may read more into a path than
    /// we do, so what decides is the plainest reading of it.
    fn is_callback(&self, path: &str) -> bool {
        let Some(plain) = names::plain_path(path) else { return true };
        let first = plain.first().map(String::as_str);
        matches!(first, Some("actors" | "dapr" | "job" | "healthz")) || self.bus.delivers_to(&plain)
    }

    pub(super) fn set_metadata(&self, key: &str, value: String) -> Result<(), Fault> {
        if key.len() > EXTENDED_NAME || value.len() > EXTENDED_VALUE {
            return Err(Fault::malformed(format!(
                "a metadata value has at most {EXTENDED_VALUE} bytes, and its name {EXTENDED_NAME}"
            )));
        }
        let mut extended = self.extended.lock();
        if extended.len() >= EXTENDED && !extended.contains_key(key) {
            return Err(Fault::malformed("there are too many metadata values"));
        }
        extended.insert(key.to_owned(), value);
        Ok(())
    }

    pub(super) fn extended(&self) -> BTreeMap<String, String> {
        self.extended.lock().clone()
    }
}

fn subscriptions(body: &[u8]) -> Vec<Subscription> {
    let entries: Vec<Value> = match serde_json::from_slice(body) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::error!(%error, "the app's /dapr/subscribe cannot be read");
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for entry in entries {
        match Subscription::read(entry, Origin::Programmatic) {
            Ok(subscription) => found.push(subscription),
            Err(reason) => tracing::error!(reason, "subscription ignored"),
        }
    }
    found
}
