//! An app that is named before it exists: the sidecar wants its app, and the app wants the sidecar.

use axum::{Router, body::Body};
use callboard_sidecar::embedded::AppService;
use std::sync::{Arc, OnceLock};
use tower::{ServiceExt, service_fn, util::BoxCloneSyncService};

/// The place where the app will be.
#[derive(Clone, Default)]
pub struct Late(Arc<OnceLock<Router>>);

// === impl Late ===

impl Late {
    /// Puts the app in; the first one stays.
    pub fn set(&self, router: Router) {
        let _ = self.0.set(router);
    }

    /// Returns a service that answers 503 until the app is there.
    pub fn service(&self) -> AppService {
        let place = self.0.clone();
        BoxCloneSyncService::new(service_fn(move |request: http::Request<Body>| {
            let router = place.get().cloned();
            async move {
                match router {
                    Some(router) => router.oneshot(request).await,
                    None => {
                        let mut response = http::Response::new(Body::empty());
                        *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
                        Ok(response)
                    }
                }
            }
        }))
    }
}
