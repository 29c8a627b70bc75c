//! Alive, and ready. Alive is that this answers; ready is that what it depends on does.

use super::{Error, Gateway};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use callboard_catalog::{self as catalog, Catalog};
use callboard_sidecar::Sidecar;
use schemars::JsonSchema;
use serde::Serialize;
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
#[derive(Debug, Serialize, JsonSchema)]
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
            catalog: match catalog {
                Ok(Ok(())) => "ok",
                Ok(Err(catalog::Error::Lacking(what))) => {
                    tracing::error!(what, "the catalog's months ahead are missing");
                    "lacks this month's or the next one's partitions"
                }
                Ok(Err(_)) | Err(_) => "does not answer",
            },
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

/// That the server is alive.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Alive {
    /// `ok`.
    status: &'static str,
    version: &'static str,
}

/// That work may be sent here.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Ready {
    /// `ready`.
    status: &'static str,
    checks: Checks,
}

/// `GET /health`.
pub async fn alive() -> Json<Alive> {
    Json(Alive { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// `GET /ready`.
pub async fn ready(State(gateway): State<Gateway>) -> Response {
    let checks = gateway.readiness.check().await;
    if checks.are_ok() {
        return Json(Ready { status: "ready", checks }).into_response();
    }
    Error::unavailable("not_ready", "what the server depends on is not ready", 1).with_checks(&checks)
}
