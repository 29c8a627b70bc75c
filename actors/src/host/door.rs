//! Who may use the app channel: the sidecar, for itself.
//!
//! A sidecar also carries other apps' calls to this channel: by service invocation, to any path, and with the app token
//! attached. Such a call names its caller, and is refused on every route: actors are called as actors, events come by the bus.

use crate::{Metrics, Services};
use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
    response::IntoResponse,
};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc};
use subtle::ConstantTimeEq;
use tower_http::validate_request::ValidateRequest;

/// What a sidecar says of whoever invoked this app.
const CALLER: &str = "dapr-caller-app-id";
/// So many callers are named in the log, each once.
const NAMED: usize = 64;
/// An app's name in the log, in characters.
const NAME: usize = 64;

/// What the channel asks of a request.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    token: Option<String>,
    metrics: Metrics,
    named: Mutex<BTreeSet<String>>,
}

impl Door {
    pub fn new(token: Option<String>, services: &Services) -> Self {
        Self(Arc::new(Inner { token, metrics: services.metrics.clone(), named: Mutex::default() }))
    }

    /// Says in the log that an app was refused, once for each.
    fn name(&self, app: &str, path: &str) {
        let app: String = app.chars().take(NAME).collect();
        let mut named = self.0.named.lock();
        if named.len() < NAMED && named.insert(app.clone()) {
            let path: String = path.chars().take(4 * NAME).collect();
            tracing::warn!(app, path, "another app's service invocation is refused, as is each of its next");
        }
    }
}

/// Refuses calls that do not come from the sidecar itself.
impl<B> ValidateRequest<B> for Door {
    type ResponseBody = Body;

    fn validate(&mut self, request: &mut Request<B>) -> Result<(), Response<Body>> {
        if let Some(token) = &self.0.token {
            let given = request.headers().get("dapr-api-token").map(|v| v.as_bytes()).unwrap_or_default();
            if !bool::from(given.ct_eq(token.as_bytes())) {
                return Err((StatusCode::UNAUTHORIZED, "invalid app token").into_response());
            }
        }
        if let Some(caller) = request.headers().get(CALLER) {
            self.0.metrics.refused("invocation");
            self.name(&String::from_utf8_lossy(caller.as_bytes()), request.uri().path());
            let why = "these routes are the sidecar's own: call the actor by /v1.0/actors, publish to a topic, or use the API";
            return Err((StatusCode::FORBIDDEN, why).into_response());
        }
        Ok(())
    }
}
