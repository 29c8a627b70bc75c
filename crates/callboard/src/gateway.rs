//! The public HTTP API: one file per resource, one place each for bodies, errors, limits and traces.
//!
//! The gateway decides nothing about runs: every operation goes to the run's actor through the sidecar, reads come
//! from there or from the catalog. It owns what the edge owns: shapes, sizes, status codes, back pressure.

pub mod body;
mod definitions;
mod error;
mod events;
mod fields;
mod health;
mod heavy;
mod limits;
mod metrics;
mod paging;
mod panics;
mod reach;
mod runs;
mod starts;
mod trace;
mod workflows;

use axum::{
    Router,
    extract::{FromRequestParts, Path},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use callboard_actors::Recorded;
use callboard_catalog::Catalog;
use callboard_core::{Timestamp, agent::spec::Agents, id::is_id};
use callboard_listener::Refusal;
use http::{HeaderMap, StatusCode, request::Parts};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

pub use error::Error;
pub use health::Readiness;
pub use heavy::Heavy;
pub use limits::Limits;
pub use metrics::HttpMetrics;
pub use reach::Runs;

/// Returns a receiver of "this run's history grew to seq" for a run; wakes streams earlier than their clock.
pub type Watch = Arc<dyn Fn(&str) -> broadcast::Receiver<Recorded> + Send + Sync>;

/// Where histories are told of when they grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// Whatever is recorded is recorded by this process, which hears of it at once.
    Here,
    /// Other processes record, too; what they tell may not reach us.
    Elsewhere,
}

// === impl Told ===

impl Told {
    /// How often a stream looks for itself.
    fn every(self) -> Duration {
        match self {
            Self::Here => Duration::from_secs(10),
            Self::Elsewhere => reach::POLL,
        }
    }
}

/// What the handlers work with.
#[derive(Clone)]
pub struct Gateway {
    pub runs: Runs,
    pub catalog: Arc<dyn Catalog>,
    pub agents: Arc<Agents>,
    /// Secrets that say to which hosts they may go.
    pub bound_secrets: Arc<BTreeSet<String>>,
    pub readiness: Readiness,
    pub limits: Limits,
    pub heavy: Heavy,
    pub told: Told,
    pub metrics: HttpMetrics,
    pub registry: prometheus::Registry,
    /// Cancelled when the server stops: streams end, waits answer.
    pub stop: CancellationToken,
}

// === impl Gateway ===

impl Gateway {
    /// Everything: definitions, runs, health, metrics.
    pub fn router(self) -> Router {
        let api = Router::new()
            .route("/api/v1/workflows", get(workflows::list).post(workflows::create))
            .route(
                "/api/v1/workflows/{id}",
                get(workflows::read).put(workflows::update).delete(workflows::delete),
            )
            .route("/api/v1/workflows/{id}/start", post(starts::start))
            .route("/api/v1/runs", get(runs::list).post(starts::run))
            .route("/api/v1/runs/{id}", get(runs::read))
            .route("/api/v1/runs/{id}/steps", get(runs::steps))
            .route("/api/v1/runs/{id}/history", get(events::history))
            .route("/api/v1/runs/{id}/cancel", post(runs::cancel))
            .route("/api/v1/runs/{id}/pause", post(runs::pause))
            .route("/api/v1/runs/{id}/resume", post(runs::resume))
            .route("/api/v1/runs/{id}/signal", post(runs::signal))
            .route("/api/v1/runs/{id}/approve", post(runs::approve))
            .route("/api/v1/runs/{id}/rerun", post(runs::rerun))
            .route_layer(middleware::from_fn_with_state(self.limits.clone(), limits::admit));
        self.finish(api)
    }

    /// Health and metrics only, for a process that serves no API.
    pub fn probes(self) -> Router {
        self.finish(Router::new())
    }

    fn finish(self, api: Router<Gateway>) -> Router {
        // Probes come every second and would drown what is worth a trace.
        api.layer(middleware::from_fn(trace::span))
            .route("/api/v1/health", get(health::alive))
            .route("/health", get(health::alive))
            .route("/ready", get(health::ready))
            .route("/metrics", get(metrics::text))
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            .layer(middleware::from_fn(limits::headers))
            .layer(panics::layer())
            .layer(middleware::from_fn_with_state(self.metrics.clone(), metrics::measure))
            .with_state(self)
    }
}

/// A request that is refused before it has a route.
pub fn refused(refusal: &Refusal, _: &HeaderMap) -> Response {
    Error::new(refusal.status(), refusal.code(), refusal.to_string()).into_response()
}

async fn no_route() -> Error {
    Error::new(StatusCode::NOT_FOUND, "unknown_route", "there is nothing at this path")
}

async fn no_method() -> Error {
    Error::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not have this method")
}

/// Now, as events and rows have it.
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

/// The id in a path. One that nothing can have is unknown.
pub struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let what = if parts.uri.path().starts_with("/api/v1/workflows") { "workflow" } else { "run" };
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) if is_id(&id) => Ok(Self(id)),
            // The id is not repeated: it may be anything.
            Ok(_) | Err(_) => Err(Error::not_found(what, "of this id").into_response()),
        }
    }
}

#[cfg(test)]
mod tests;
