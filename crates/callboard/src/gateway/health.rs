//! Alive, and ready. Alive is that this answers; ready is that what it depends on does, and takes what has to be written: a disk
//! that is full answers every read.

use super::{Error, Gateway};
use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use callboard_catalog::{self as catalog, Catalog};
use callboard_sidecar::{
    self as sidecar, Sidecar,
    client::{Fence, Save, Ttl},
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A dependency that says nothing for so long is down.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether something can be written is tried this often, however often it is asked.
const FRESH: Duration = Duration::from_secs(3);
/// A write that is not taken back, since the process ended in between, goes by itself after so many seconds.
const GONE: u32 = 60;
/// What is said of a failed write, in bytes at most.
const LONGEST: usize = 300;

const OK: &str = "ok";
const SILENT: &str = "does not answer";

/// What must answer before work is sent here.
#[derive(Clone)]
pub struct Readiness {
    sidecar: Sidecar,
    catalog: Arc<dyn Catalog>,
    /// The component for state, and a key of it that nobody else writes.
    store: String,
    key: String,
    stop: CancellationToken,
    written: Arc<Mutex<Option<(Instant, Written)>>>,
}

/// What became of the last writes: `ok`, or what is wrong.
#[derive(Debug, Clone)]
struct Written {
    catalog: String,
    state: String,
}

/// The dependencies as they are now: `ok`, or what is wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Checks {
    pub sidecar: &'static str,
    /// Whether it takes a write.
    pub catalog: String,
    /// Whether the state store takes a write.
    pub state: String,
    pub server: &'static str,
}

// === impl Readiness ===

impl Readiness {
    pub fn new(sidecar: Sidecar, catalog: Arc<dyn Catalog>, store: &str, stop: CancellationToken) -> Self {
        let key = format!("callboard.ready.{}", Uuid::now_v7());
        Self { sidecar, catalog, store: store.to_owned(), key, stop, written: Arc::default() }
    }

    pub async fn check(&self) -> Checks {
        let sidecar = tokio::time::timeout(PATIENCE, self.sidecar.metadata());
        let (sidecar, Written { catalog, state }) = tokio::join!(sidecar, self.written());
        Checks {
            sidecar: match sidecar {
                // Without actors a sidecar is of no use to us.
                Ok(Ok(metadata)) if metadata.host_ready && !metadata.placement.contains("disconnected") => OK,
                Ok(Ok(_)) => "hosts no actors yet",
                Ok(Err(_)) | Err(_) => SILENT,
            },
            catalog,
            state,
            server: if self.stop.is_cancelled() { "is stopping" } else { OK },
        }
    }

    /// Tries to write, unless somebody did a moment ago. Whoever asks meanwhile waits for that.
    async fn written(&self) -> Written {
        let mut last = self.written.lock().await;
        if let Some((at, written)) = &*last
            && at.elapsed() < FRESH
        {
            return written.clone();
        }
        let catalog = tokio::time::timeout(PATIENCE, self.catalog.health());
        let state = tokio::time::timeout(PATIENCE, self.save());
        let (catalog, state) = tokio::join!(catalog, state);
        let catalog = match catalog {
            Ok(Ok(())) => OK.to_owned(),
            Ok(Err(catalog::Error::Unavailable(why))) => said(&why),
            Ok(Err(error)) => said(&error),
            Err(_) => SILENT.to_owned(),
        };
        let state = match state {
            Ok(Ok(())) => OK.to_owned(),
            Ok(Err(error)) => said(&format_args!("can't be written: {error}")),
            Err(_) => SILENT.to_owned(),
        };
        if catalog != OK || state != OK {
            tracing::warn!(catalog, state, "not ready: what has to be written can't be");
        }
        let written = Written { catalog, state };
        *last = Some((Instant::now(), written.clone()));
        written
    }

    /// Saves a key and takes it back.
    async fn save(&self) -> Result<(), sidecar::Error> {
        let save = Save {
            key: self.key.clone(),
            data: Bytes::from_static(b"1"),
            fence: Fence::None,
            ttl: Ttl::Seconds(GONE),
        };
        self.sidecar.save(&self.store, vec![save]).await?;
        self.sidecar.delete(&self.store, &self.key, None).await
    }
}

fn said(why: &impl Display) -> String {
    let mut text = why.to_string();
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

// === impl Checks ===

impl Checks {
    pub fn are_ok(&self) -> bool {
        [self.sidecar, &self.catalog, &self.state, self.server].iter().all(|check| *check == OK)
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
