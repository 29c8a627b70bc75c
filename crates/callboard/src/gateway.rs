//! The public HTTP API, an adapter over the operations: one file per resource, one place each for bodies, errors, limits
//! and traces.
//!
//! It owns what HTTP owns: routes, headers, sizes of bodies, status codes, streams, and how much is done at once.

mod answer;
mod body;
mod error;
mod events;
mod health;
mod key;
mod language;
mod limits;
mod metrics;
pub mod openapi;
mod panics;
mod params;
mod runs;
mod starts;
mod trace;
mod workflows;

use crate::operations::Operations;
use axum::{
    Router,
    extract::{FromRequestParts, Path},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use callboard_core::id::{ProjectId, RunId, WorkflowId};
use callboard_listener::Refusal;
use http::{HeaderMap, StatusCode, request::Parts};

pub use error::Error;
pub use health::Readiness;
pub use limits::Limits;
pub use metrics::HttpMetrics;

/// What the handlers work with.
#[derive(Clone)]
pub struct Gateway {
    pub operations: Operations,
    pub readiness: Readiness,
    pub limits: Limits,
    pub metrics: HttpMetrics,
    pub registry: prometheus::Registry,
}

// === impl Gateway ===

impl Gateway {
    /// Everything: definitions, runs, health, metrics.
    pub fn router(self) -> Router {
        let api = Router::new()
            .route("/api/v1/workflows", get(workflows::list).post(workflows::create))
            .route("/api/v1/workflows/check", post(workflows::check))
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
            .route("/api/v1/node-kinds", get(language::node_kinds))
            .route("/api/v1/expressions/evaluate", post(language::evaluate))
            .route("/api/v1/openapi.json", get(openapi::text))
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

/// The project of every request, as long as none says in whose name it comes.
const PROJECT: ProjectId = ProjectId::DEFAULT;

/// The id in a path. One that nothing can have is unknown.
pub struct Id<T>(pub T);

/// What has an id in paths.
pub trait InPath: Sized {
    const WHAT: &'static str;

    fn read(text: &str) -> Option<Self>;
}

impl InPath for RunId {
    const WHAT: &'static str = "run";

    fn read(text: &str) -> Option<Self> {
        Self::new(&PROJECT, text).ok()
    }
}

impl InPath for WorkflowId {
    const WHAT: &'static str = "workflow";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl<S: Send + Sync, T: InPath> FromRequestParts<S> for Id<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let id = text.ok().and_then(|Path(text)| T::read(&text));
        // The id is not repeated: it may be anything.
        id.map(Self).ok_or_else(|| Error::not_found(T::WHAT, "of this id").into_response())
    }
}

#[cfg(test)]
mod tests;
