//! The app channel: what the sidecar calls. Only 200 is success; a DELETE is always 200 and fast.
//!
//! An actor does nothing with an id that is none; every route but the health check refuses without the app token, and
//! whatever another app sent (see `door`).

mod actors;
mod cloud_event;
mod dead;
mod door;
mod early;
mod topics;

use crate::{
    agent::Agents,
    kernel::{ActorType, no_id},
    keyring,
    line::Lines,
    live::bus,
    marks::Marks,
    pins::Pins,
    protocol::{response, sealed},
    services::Services,
    sweeper,
    tasks::Tasks,
    trace, wake,
    workflow::{Workflows, alarms},
};
use actors::ActorTypes;
use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, Path, State},
    http::{HeaderMap, Response, StatusCode, header},
    response::IntoResponse,
    routing::{delete, get, put},
};
use serde::Serialize;
use std::{sync::Arc, time::Duration};
use tower_http::validate_request::ValidateRequestHeaderLayer;

/// What a sidecar may send at most; its own limit is 4 MiB.
const BODY: usize = 5 << 20;
/// How long the others are told that this process goes.
const FAREWELL: Duration = Duration::from_secs(1);

/// Which actors this process hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    pub workflow: bool,
    pub ai: bool,
}

/// The actors of this process.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

struct Inner {
    services: Services,
    roles: Roles,
    /// The roles' actors.
    types: ActorTypes,
    workflows: Workflows,
    agents: Agents,
    tasks: Tasks,
    here: bus::Here,
    /// Messages that came too early.
    waiting: early::Waiting,
}

impl Host {
    pub fn new(services: Services, roles: Roles) -> Self {
        Self::within(services, roles, Tasks::default())
    }

    /// The same, among given tasks.
    pub fn within(services: Services, roles: Roles, tasks: Tasks) -> Self {
        services.metrics.watch(&services.sidecar);
        let marks = services.settings.marks.as_deref().map_or_else(|| Ok(Marks::default()), Marks::open);
        let marks = marks.unwrap_or_else(|error| {
            tracing::error!(%error, "runs under way can't be marked: one that kills the process is not set aside");
            Marks::default()
        });
        let pins = Pins::new(services.clone());
        let lines = Lines::new(services.settings.calls, services.metrics.clone());
        let workflows =
            Workflows::new(services.clone(), tasks.clone(), marks.clone(), pins.clone(), lines.clone());
        let agents = Agents::new(services.clone(), tasks.clone(), marks, pins, lines);
        let here = bus::Here::new(&services.clock);
        let mut types: Vec<Arc<dyn ActorType>> = Vec::new();
        if roles.workflow {
            types.push(Arc::new(workflows.clone()));
        }
        if roles.ai {
            types.push(Arc::new(agents.clone()));
        }
        let types = ActorTypes::new(types);
        let waiting = early::Waiting::new(services.clone());
        Self(Arc::new(Inner { services, roles, types, workflows, agents, tasks, here, waiting }))
    }

    /// Returns the routes that the sidecar calls.
    pub fn router(&self, app_token: Option<String>) -> Router {
        Router::new()
            .route("/dapr/config", get(config))
            .route("/dapr/subscribe", get(topics::subscriptions))
            .route("/actors/{kind}/{id}", delete(deactivate))
            .route("/actors/{kind}/{id}/method/remind/{name}", put(remind))
            .route("/actors/{kind}/{id}/method/timer/{name}", put(remind))
            .route("/actors/{kind}/{id}/method/{method}", put(call))
            .route(topics::TASKS_ROUTE, axum::routing::post(topics::task))
            .route(topics::COMMANDS_ROUTE, axum::routing::post(topics::command))
            .route(topics::RESULTS_ROUTE, axum::routing::post(topics::result))
            .route(topics::LIVE_ROUTE, axum::routing::post(topics::live))
            .layer(ValidateRequestHeaderLayer::custom(door::Door::new(app_token, &self.0.services)))
            .route("/healthz", get(|| async { StatusCode::OK }))
            .layer(DefaultBodyLimit::max(BODY))
            .with_state(self.clone())
    }

    /// Starts what runs beside the calls: the sweeper of the workflow role, the live fan-out to other processes.
    pub fn start(&self) {
        self.read_keys_again();
        bus::start(self.0.services.clone(), self.0.here.clone(), &self.0.tasks);
        if self.0.roles.ai {
            bus::welcome(self.0.services.clone(), self.0.here.clone(), &self.0.tasks);
        }
        if self.0.roles.workflow {
            alarms::start(&self.0.workflows, &self.0.tasks);
            sweeper::start(self.0.services.clone(), &self.0.tasks);
            self.0.waiting.start(&self.0.tasks);
        }
    }

    /// Learns of new keys, and when they have to be used.
    fn read_keys_again(&self) {
        let services = self.0.services.clone();
        self.0.tasks.spawn_until_stop(async move {
            loop {
                tokio::time::sleep(keyring::READ_AGAIN).await;
                services.keyring.refresh(&*services.catalog).await;
            }
        });
    }

    /// Begins no call any more, and waits for those under way until their answers are recorded, so long at most. What is
    /// left another process takes up, or the next start.
    pub async fn drain(&self, patience: Duration) {
        self.0.tasks.stop();
        let calls = self.0.tasks.under_way();
        if !calls.is_none() {
            tracing::info!(
                "waiting for {calls}, {} s at most; a second signal ends at once",
                patience.as_secs()
            );
        }
        if !self.0.tasks.drain(patience).await {
            let calls = self.0.tasks.under_way();
            let left = if calls.is_none() { "some work".to_owned() } else { calls.to_string() };
            tracing::warn!("cut in the middle after {} s: {left}; it is taken up again", patience.as_secs());
        }
        if self.0.roles.ai {
            let farewell = bus::agents(&self.0.services, &self.0.here, bus::AGENTS_LEFT);
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
    }

    /// Returns how many runs and agents are in memory.
    pub fn active(&self) -> (usize, usize) {
        (self.0.workflows.active(), self.0.agents.active())
    }
}

/// What a sidecar is told of our actors.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    entities: Vec<&'static str>,
    actor_idle_timeout: &'static str,
    drain_ongoing_call_timeout: &'static str,
    drain_rebalanced_actors: bool,
    reentrancy: Reentrancy,
}

#[derive(Debug, Serialize)]
struct Reentrancy {
    enabled: bool,
}

async fn config(State(host): State<Host>) -> Json<Config> {
    Json(Config {
        entities: host.0.types.names(),
        actor_idle_timeout: "60m",
        // Shorter than placement's round of 8 s: a drain that outlasts it leaves the type locked at the sidecar for good.
        drain_ongoing_call_timeout: "2s",
        drain_rebalanced_actors: true,
        reentrancy: Reentrancy { enabled: false },
    })
}

async fn call(
    State(host): State<Host>,
    Path((kind, id, method)): Path<(String, String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let span = tracing::info_span!("actor", otel.kind = "server", otel.name = format!("{kind}/{method}"), id);
    let (services, to) = (&host.0.services, sealed::To { actor: &kind, id: &id, method: &method });
    let opened = match host.0.types.of(&kind) {
        Ok(actors) if !actors.is_id(&id) => Err(no_id(&id)),
        Ok(actors) => sealed::open(services, to, body).await.map(|opened| (actors, opened)),
        Err(fault) => Err(fault),
    };
    let (actors, (body, mac)) = match opened {
        Ok(opened) => opened,
        Err(fault) => return response(Err(fault), |answer| answer),
    };
    let reply = trace::within(trace::of(&headers), span, actors.call(&id, &method, &body)).await;
    response(reply, |answer| match &mac {
        Some(mac) => sealed::seal_answer(&services.keyring, to, mac, answer),
        None => answer,
    })
}

/// A reminder's callback. Whatever it finds, the sidecar need not try again: the next tick or the sweeper does.
async fn remind(
    State(host): State<Host>,
    Path((kind, id, name)): Path<(String, String, String)>,
) -> Response<Body> {
    if name == wake::NAME
        && let Ok(actors) = host.0.types.of(&kind)
        && let Err(fault) = actors.wake(&id).await
    {
        tracing::debug!(id, detail = fault.detail, "a wake did not go through");
    }
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], "{}").into_response()
}

async fn deactivate(State(host): State<Host>, Path((kind, id)): Path<(String, String)>) -> StatusCode {
    if let Some(actors) = host.0.types.get(&kind) {
        actors.deactivate(&id);
    }
    StatusCode::OK
}
