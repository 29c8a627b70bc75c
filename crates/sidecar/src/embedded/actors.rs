//! Virtual actors with a placement of one: every hosted actor lives behind this sidecar's app.
//!
//! Decides turns (one at a time per actor, first come first served), activation (implicit) and deactivation
//! (idle, counted from the end of the last turn, or sooner where there are many; shutdown). Reminders and timers are in
//! [`schedule`]. Reentrancy is not offered; a host that asks for it gets turns.

mod hosted;
mod reminders;
mod schedule;
mod state;
mod timers;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::Code;

use super::app::{Answer, Channel};
use super::fault::Fault;
use super::names;
use super::store::Store;
use crate::components::Components;

pub(super) use hosted::Hosted;
pub(super) use reminders::{Failure, Registration};
pub(super) use state::Change;

use schedule::Schedule;
use turns::Turns;

/// How long an app may take to let go of an actor.
const DEACTIVATION: Duration = Duration::from_secs(5);

/// So many actors are active at once; beyond, those that were idle for longest go before their time. An app whose actors
/// are short-lived and many would fill the memory within its idle time otherwise.
const ACTIVE: usize = 16_384;
/// How often that is looked at.
const CROWDED: Duration = Duration::from_millis(200);

/// The actor runtime of one app.
pub(super) struct Actors {
    app_id: Arc<str>,
    app: Channel,
    store: Store,
    /// The component for actor state; without one nothing is hosted.
    state: Option<Arc<str>>,
    hosted: RwLock<Arc<Hosted>>,
    turns: Turns,
    schedule: Schedule,
    /// Registrations of reminders, in order per name.
    orders: [tokio::sync::Mutex<()>; 64],
    tasks: TaskTracker,
    stop: CancellationToken,
    /// No turn starts any more.
    closed: AtomicBool,
}

/// A method call as its caller made it.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    pub(super) method: String,
    pub(super) data: Bytes,
    pub(super) headers: http::HeaderMap,
}

// === impl Actors ===

impl Actors {
    pub(super) fn new(
        app_id: Arc<str>,
        components: &Components,
        store: Store,
        app: Channel,
        tasks: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        Self {
            app_id,
            app,
            store,
            state: components.actor_store().map(Arc::from),
            hosted: RwLock::default(),
            turns: Turns::default(),
            schedule: Schedule::default(),
            orders: std::array::from_fn(|_| tokio::sync::Mutex::new(())),
            tasks,
            stop,
            closed: AtomicBool::new(false),
        }
    }

    /// Takes the app's word on what it hosts, then lets reminders fire.
    pub(super) async fn open(self: &Arc<Self>, hosted: Hosted) {
        if !hosted.is_empty() && self.state.is_none() {
            tracing::error!("no component is marked actorStateStore: actors cannot be hosted");
            return;
        }
        if hosted.is_empty() {
            return;
        }
        // Before anybody may register or remove one: what is on disk must not come back over that.
        match self.store.reminders().await {
            Ok(reminders) => self.restore(reminders),
            Err(error) => tracing::error!(%error, "reminders could not be read"),
        }
        *self.hosted.write() = Arc::new(hosted);
        let actors = self.clone();
        self.tasks.spawn(async move { actors.tick().await });
        let actors = self.clone();
        self.tasks.spawn(async move { actors.deactivate_idle().await });
    }

    fn hosted(&self) -> Arc<Hosted> {
        self.hosted.read().clone()
    }

    /// Returns the hosted types, each with its number of active actors.
    pub(super) fn active(&self) -> BTreeMap<String, usize> {
        let mut counts: BTreeMap<String, usize> = self.hosted().types().map(|t| (t.to_owned(), 0)).collect();
        self.turns.count(&mut counts);
        counts
    }

    pub(super) fn is_hosting(&self) -> bool {
        !self.hosted().is_empty()
    }

    /// Runs a method in a turn of its own. Only an answer of 200 comes back; all else is a fault.
    ///
    /// Dropping the future takes a waiting call out of the queue, and cuts the request of a running one.
    pub(super) async fn invoke(&self, actor_type: &str, id: &str, call: Call) -> Result<Answer, Fault> {
        names::check("actor type", actor_type)?;
        names::check("actor id", id)?;
        names::check("method", &call.method)?;
        self.lookup(actor_type, id)?;
        let path = format!("/actors/{actor_type}/{id}/method/{}", call.method);
        let mut request = http::Request::new(call.data);
        *request.method_mut() = http::Method::PUT;
        *request.headers_mut() = call.headers;
        request.headers_mut().insert("dapr-api-call", http::HeaderValue::from_static("true"));
        *request.uri_mut() = path.parse().map_err(|_| Fault::malformed(format!("bad path {path}")))?;
        self.turn(actor_type, id, request).await
    }

    /// Sends one request to an actor, when it is its turn.
    async fn turn(&self, actor_type: &str, id: &str, request: http::Request<Bytes>) -> Result<Answer, Fault> {
        let mut turn = self.turns.take(actor_type, id).await?;
        if self.closed.load(Relaxed) {
            return Err(Fault::new(
                "ERR_ACTOR_RUNTIME_CLOSED",
                503,
                Code::Unavailable,
                "the actor runtime is closed",
            ));
        }
        turn.activate();
        let answer = self.app.call(request).await;
        turn.finish();
        let answer = answer.map_err(|error| not_invoked(&format!("error from actor service: {error}")))?;
        match answer.status.as_u16() {
            200 => Ok(answer),
            404 => Err(not_invoked(&format!(
                "error from actor service: (404) actor method not found: {}",
                String::from_utf8_lossy(&answer.body)
            ))),
            code => Err(not_invoked(&format!(
                "error from actor service: ({code}) {}",
                String::from_utf8_lossy(&answer.body)
            ))),
        }
    }

    /// Refuses a type this app does not host. daprd looks for another host for about 5 s first; there is none.
    fn lookup(&self, actor_type: &str, id: &str) -> Result<(), Fault> {
        if !self.app.exists() {
            return Err(Fault::new(
                "ERR_ACTOR_NO_APP_CHANNEL",
                400,
                Code::Unavailable,
                "app channel is not initialized",
            ));
        }
        if self.hosted().hosts(actor_type) {
            return Ok(());
        }
        Err(Fault::new(
            "ERR_ACTOR_INVOKE_METHOD",
            500,
            Code::FailedPrecondition,
            format!(
                "error invoke actor method: failed to lookup actor: api error: code = FailedPrecondition desc = \
                 did not find address for actor {actor_type}/{id}"
            ),
        ))
    }

    /// Refuses reminders and timers of types this app does not host.
    fn check_hosted(&self, actor_type: &str) -> Result<(), Fault> {
        if self.hosted().hosts(actor_type) {
            return Ok(());
        }
        Err(Fault::new(
            "ERR_ACTOR_REMINDER_NON_HOSTED",
            403,
            Code::PermissionDenied,
            format!("actor type {actor_type} is not hosted by this sidecar"),
        ))
    }

    async fn deactivate_idle(self: Arc<Self>) {
        let every =
            self.hosted().shortest_idle().clamp(Duration::from_millis(200), Duration::from_secs(30)) / 2;
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(every.min(CROWDED)) => {}
            }
            let mut idle = self.turns.surplus(ACTIVE);
            if looked.elapsed() >= every {
                looked = Instant::now();
                let hosted = self.hosted();
                idle.extend(self.turns.idle(|actor_type| hosted.idle(actor_type)));
            }
            for turn in idle {
                let actors = self.clone();
                self.tasks.spawn(async move { actors.deactivate(turn).await });
            }
        }
    }

    /// Starts no more turns and lets every active actor go. Called after deliveries and ticks have ended.
    pub(super) async fn close(&self) {
        self.closed.store(true, Relaxed);
        let turns = self.turns.idle(|_| Duration::ZERO);
        let all = futures::future::join_all(turns.into_iter().map(|turn| self.deactivate(turn)));
        if tokio::time::timeout(DEACTIVATION, all).await.is_err() {
            tracing::warn!("not every actor was deactivated in time");
        }
    }

    /// Tells the app that an actor is gone, while holding its turn: a next call waits, then starts it anew.
    async fn deactivate(&self, turn: turns::Turn) {
        let (actor_type, id) = turn.name();
        let request = http::Request::delete(format!("/actors/{actor_type}/{id}"))
            .header(http::header::CONTENT_TYPE, "application/x-protobuf")
            .body(Bytes::new());
        let Ok(request) = request else { return };
        match tokio::time::timeout(DEACTIVATION, self.app.call(request)).await {
            Ok(Ok(answer)) if answer.status == http::StatusCode::OK => {}
            Ok(Ok(answer)) => {
                tracing::error!(actor_type, id, status = %answer.status, "deactivation refused")
            }
            Ok(Err(error)) => tracing::error!(actor_type, id, %error, "deactivation failed"),
            Err(_) => tracing::error!(actor_type, id, "deactivation took too long"),
        }
        turn.retire();
    }
}

fn not_invoked(reason: &str) -> Fault {
    Fault::new("ERR_ACTOR_INVOKE_METHOD", 500, Code::Internal, format!("error invoke actor method: {reason}"))
}
