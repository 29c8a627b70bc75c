//! Alive, and ready. Alive is that this answers; ready is that what it depends on does.

use super::{Error, Gateway};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_catalog::Catalog;
use callboard_sidecar::Sidecar;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// A dependency that says nothing for so long is down.
const PATIENCE: Duration = Duration::from_secs(2);

/// What must answer before work is sent here.
#[derive(Clone)]
pub struct Readiness {
    pub sidecar: Sidecar,
    pub catalog: Arc<dyn Catalog>,
    pub stop: CancellationToken,
}

/// The dependencies as they are now: `ok`, or what is wrong.
pub struct Checks {
    pub sidecar: &'static str,
    pub catalog: &'static str,
    pub server: &'static str,
}

// === impl Readiness ===

impl Readiness {
    pub async fn check(&self) -> Checks {
        let sidecar = tokio::time::timeout(PATIENCE, self.sidecar.metadata());
        let catalog = tokio::time::timeout(PATIENCE, self.catalog.health());
        let (sidecar, catalog) = tokio::join!(sidecar, catalog);
        Checks {
            sidecar: match sidecar {
                // Without actors a sidecar is of no use to us.
                Ok(Ok(metadata)) if metadata.host_ready && !metadata.placement.contains("disconnected") => {
                    "ok"
                }
                Ok(Ok(_)) => "hosts no actors yet",
                Ok(Err(_)) | Err(_) => "does not answer",
            },
            catalog: if matches!(catalog, Ok(Ok(()))) { "ok" } else { "does not answer" },
            server: if self.stop.is_cancelled() { "is stopping" } else { "ok" },
        }
    }
}

// === impl Checks ===

impl Checks {
    pub fn are_ok(&self) -> bool {
        [self.sidecar, self.catalog, self.server].iter().all(|check| *check == "ok")
    }
}

/// `GET /health`.
pub async fn alive() -> Response {
    Json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")})).into_response()
}

/// `GET /ready`.
pub async fn ready(State(gateway): State<Gateway>) -> Response {
    let checks = gateway.readiness.check().await;
    let shown = json!({"sidecar": checks.sidecar, "catalog": checks.catalog, "server": checks.server});
    if checks.are_ok() {
        return Json(json!({"status": "ready", "checks": shown})).into_response();
    }
    let mut body = Error::unavailable("not_ready", "what the server depends on is not ready", 1).body();
    body["checks"] = shown;
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}
