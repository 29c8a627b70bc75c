//! The public HTTP API, an adapter over the operations: one file per resource, one place each for bodies, errors, limits
//! and traces.
//!
//! It owns what HTTP owns: routes, headers, sizes of bodies, status codes, streams, and how much is done at once.

mod access;
mod answer;
mod approvals;
mod audit;
mod body;
mod bulk;
mod drafts;
mod error;
mod events;
mod exchange;
mod explorer;
pub mod grpc;
mod health;
mod hooks;
mod key;
mod keys;
mod language;
mod limits;
mod me;
mod metrics;
pub mod openapi;
mod page;
mod panics;
mod params;
mod precondition;
mod projects;
mod recorded;
mod routes;
mod runs;
mod setup;
mod sockets;
mod starts;
mod trace;
mod triggers;
mod usage;
mod versions;
mod workflows;

use crate::{access::Principal, operations::Operations};
use axum::{
    Router,
    extract::{FromRequestParts, Path},
    middleware,
    response::{IntoResponse, Response},
};
use callboard_core::id::{KeyId, ProjectId, RunId, TriggerId, WorkflowId};
use callboard_listener::Refusal;
use http::{HeaderMap, StatusCode, request::Parts};

pub use error::Error;
pub use health::Readiness;
pub use limits::Limits;
pub use metrics::HttpMetrics;
pub use page::Page;
pub use routes::{ROUTES, Route};
pub use sockets::PATHS as SOCKETS;

/// What the handlers work with.
#[derive(Clone)]
pub struct Gateway {
    pub operations: Operations,
    pub readiness: Readiness,
    pub limits: Limits,
    pub metrics: HttpMetrics,
    pub registry: prometheus::Registry,
    /// What answers where no route does.
    pub page: Page,
}

// === impl Gateway ===

impl Gateway {
    /// Everything: definitions, runs, keys, health, metrics.
    pub fn router(self) -> Router {
        let api = self.routes(|route| !route.is_probe());
        let api = api.route_layer(middleware::from_fn_with_state(self.limits.clone(), limits::admit));
        let others = sockets::router(&self.operations, &self.limits);
        let others = others.merge(grpc::router(&self.operations, &self.limits));
        self.finish(api.merge(others))
    }

    /// Health and metrics only, for a process that serves no API.
    pub fn probes(self) -> Router {
        Self { page: Page::none(), ..self }.finish(Router::new())
    }

    fn routes(&self, which: impl Fn(&Route) -> bool) -> Router<Gateway> {
        let wanted = ROUTES.iter().filter(|route| which(route));
        wanted.fold(Router::new(), |router, route| router.route(route.path, route.mounted(self)))
    }

    fn finish(self, api: Router<Gateway>) -> Router {
        // Probes come every second and would drown what is worth a trace.
        api.layer(middleware::from_fn(trace::span))
            .merge(self.routes(Route::is_probe))
            .fallback(page::otherwise)
            .method_not_allowed_fallback(no_method)
            .layer(middleware::from_fn(limits::headers))
            .layer(panics::layer())
            .layer(middleware::from_fn_with_state(self.metrics.clone(), metrics::measure))
            .with_state(self)
    }
}

/// A request that is refused before it has a route.
pub fn refused(refusal: &Refusal, headers: &HeaderMap) -> Response {
    let error = Error::new(refusal.status(), refusal.code(), refusal.to_string());
    if grpc::is_call(headers) { grpc::refusal(&error) } else { error.into_response() }
}

async fn no_route() -> Error {
    Error::new(StatusCode::NOT_FOUND, "unknown_route", "there is nothing at this path")
}

async fn no_method() -> Error {
    Error::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not have this method")
}

/// The id in a path. One that nothing can have is unknown.
pub struct Id<T>(pub T);

/// What has an id in paths.
pub trait InPath: Sized {
    const WHAT: &'static str;

    /// Reads it, as somebody in this project means it.
    fn read(text: &str, project: &ProjectId) -> Option<Self>;
}

impl InPath for RunId {
    const WHAT: &'static str = "run";

    fn read(text: &str, project: &ProjectId) -> Option<Self> {
        Self::called(project, text)
    }
}

impl InPath for WorkflowId {
    const WHAT: &'static str = "workflow";

    fn read(text: &str, _: &ProjectId) -> Option<Self> {
        text.parse().ok()
    }
}

impl InPath for KeyId {
    const WHAT: &'static str = "key";

    fn read(text: &str, _: &ProjectId) -> Option<Self> {
        text.parse().ok()
    }
}

impl InPath for TriggerId {
    const WHAT: &'static str = "trigger";

    fn read(text: &str, _: &ProjectId) -> Option<Self> {
        text.parse().ok()
    }
}

impl InPath for ProjectId {
    const WHAT: &'static str = "project";

    fn read(text: &str, _: &ProjectId) -> Option<Self> {
        text.parse().ok()
    }
}

impl<S: Send + Sync, T: InPath> FromRequestParts<S> for Id<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        let principal = Principal::from_request_parts(parts, state).await.map_err(Error::into_response)?;
        let id = text.ok().and_then(|Path(text)| T::read(&text, &principal.project));
        // The id is not repeated: it may be anything.
        id.map(Self).ok_or_else(|| Error::not_found(T::WHAT, "of this id").into_response())
    }
}

#[cfg(test)]
mod tests;
