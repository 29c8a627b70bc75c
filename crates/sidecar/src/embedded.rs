//! A sidecar in this process: Dapr's gRPC and HTTP APIs over one SQLite file.
//!
//! Decides nothing a `daprd` beside a broker would decide otherwise, except where that would lose work; the
//! crate's README says where every known difference is listed. One service answers sockets and the in-process
//! client alike, so what is tested in one is true of the other.

mod actors;
mod app;
mod bus;
mod database;
mod fault;
mod grpc;
mod guard;
mod http;
mod names;
mod runtime;
mod secrets;
mod state;
mod store;
pub(crate) mod times;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use callboard_listener::Doors;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Sidecar;
use crate::components::{Components, Problem};

use actors::Actors;
use app::Channel;
use bus::Bus;
use guard::Token;
use runtime::Runtime;
use store::{Store, Write};

pub use database::{Database, DatabaseError, Key, Mark};

/// How long running turns and deliveries may go on after a stop.
const DRAIN: Duration = Duration::from_secs(10);

/// An application inside this process: a clonable tower service over HTTP messages.
pub type AppService = tower::util::BoxCloneSyncService<
    ::http::Request<axum::body::Body>,
    ::http::Response<axum::body::Body>,
    std::convert::Infallible,
>;

/// Where the application is that the sidecar calls back.
#[derive(Clone)]
pub enum App {
    /// No application: nothing is called back.
    None,
    /// An application at a base URL, `http://127.0.0.1:8081`.
    Http(String),
    /// An application in this process; no socket is involved.
    InProcess(AppService),
}

impl From<axum::Router> for App {
    fn from(router: axum::Router) -> Self {
        Self::InProcess(AppService::new(router))
    }
}

/// What a server is started with.
#[derive(Clone)]
pub struct Config {
    pub app_id: String,
    /// The SQLite file; made if missing.
    pub database: PathBuf,
    /// A folder of Dapr component and subscription files.
    pub components: PathBuf,
    /// Where to serve Dapr's HTTP API; port 0 picks a free one.
    pub http: Option<SocketAddr>,
    /// Where to serve Dapr's gRPC API; port 0 picks a free one.
    pub grpc: Option<SocketAddr>,
    /// Asked of every caller of the two APIs.
    pub api_token: Option<String>,
    /// Sent to the application with every call.
    pub app_token: Option<String>,
    pub app: App,
}

impl Config {
    /// Refuses what no server can be started with.
    fn check(&self) -> Result<(), StartError> {
        names::check("app id", &self.app_id).map_err(|fault| StartError::Invalid(fault.message))?;
        let open = self.api_token.as_ref().is_none_or(String::is_empty);
        match [self.http, self.grpc].into_iter().flatten().find(|at| open && !at.ip().is_loopback()) {
            Some(at) => Err(StartError::Invalid(format!("{at} is not loopback: that takes an API token"))),
            None => Ok(()),
        }
    }
}

/// Why a server did not start: everything that is wrong with the components at once.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the components cannot be used:{}", listed(.0))]
    Components(Vec<Problem>),
    #[error("the database {file} cannot be used: {reason}")]
    Database { file: PathBuf, reason: String },
    #[error("the {api} API cannot listen on {at}: {source}")]
    Listen { api: &'static str, at: SocketAddr, source: std::io::Error },
    #[error("{0}")]
    Invalid(String),
}

fn listed(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {problem}")).collect()
}

/// A running sidecar. Dropping it stops it without waiting; [`Server::shutdown`] waits.
pub struct Server {
    runtime: Arc<Runtime>,
    sidecar: Sidecar,
    http: Option<SocketAddr>,
    grpc: Option<SocketAddr>,
    listeners: Vec<JoinHandle<()>>,
    /// Ends the intake of requests.
    closing: CancellationToken,
    /// Ends deliveries, ticks and turns.
    stop: CancellationToken,
    tasks: TaskTracker,
}

// === impl Server ===

impl Server {
    /// Opens the database, loads the components and serves the two APIs. The app is not called yet.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        Self::start_behind(config, Doors::default()).await
    }

    /// The same behind doors that other ports of the process share.
    pub async fn start_behind(config: Config, doors: Doors) -> Result<Self, StartError> {
        config.check()?;
        let components =
            Components::load(&config.components, &config.app_id).map_err(StartError::Components)?;
        let components = Arc::new(components);
        let app = Channel::new(config.app, config.app_token.as_deref()).map_err(StartError::Invalid)?;
        let http = listen("HTTP", config.http).await?;
        let grpc = listen("gRPC", config.grpc).await?;
        let store = Store::open(&config.database).await.map_err(|error| StartError::Database {
            file: config.database.clone(),
            reason: error.to_string(),
        })?;

        let (stop, closing, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let app_id: Arc<str> = Arc::from(config.app_id.as_str());
        let bus = Bus::new(
            app_id.clone(),
            components.clone(),
            store.clone(),
            app.clone(),
            tasks.clone(),
            stop.clone(),
        );
        let actors =
            Actors::new(app_id.clone(), &components, store.clone(), app.clone(), tasks.clone(), stop.clone());
        let runtime = Arc::new(Runtime::new(
            app_id,
            components,
            store,
            app,
            Arc::new(bus),
            Arc::new(actors),
            stop.clone(),
        ));

        let token = Token::new(config.api_token.clone());
        let service = grpc::service(runtime.clone(), token.clone());
        let sidecar = Sidecar::from_service(service.clone())
            .with_token(config.api_token.as_deref())
            .map_err(|error| StartError::Invalid(error.to_string()))?;
        let bus = Arc::downgrade(&runtime.bus);
        let sidecar = sidecar
            .with_heard(move |pubsub, topic| bus.upgrade().is_none_or(|bus| bus.is_heard(pubsub, topic)));
        let (http_addr, grpc_addr) = (http.as_ref().map(|l| l.1), grpc.as_ref().map(|l| l.1));
        let mut listeners = Vec::new();
        if let Some((listener, _)) = http {
            listeners.push(tokio::spawn(http::serve(
                listener,
                runtime.clone(),
                token,
                doors.clone(),
                closing.clone(),
            )));
        }
        if let Some((listener, _)) = grpc {
            listeners.push(tokio::spawn(grpc::serve(listener, service, doors, closing.clone())));
        }
        Ok(Self { runtime, sidecar, http: http_addr, grpc: grpc_addr, listeners, closing, stop, tasks })
    }

    /// Returns where the HTTP API is served.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        self.http
    }

    /// Returns where the gRPC API is served.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Returns a client that needs no socket.
    pub fn sidecar(&self) -> Sidecar {
        self.sidecar.clone()
    }

    /// Returns what marks the server's file, also after the server itself was moved away.
    pub fn marker(&self) -> Marker {
        Marker(self.runtime.store.clone())
    }

    /// Reads the application's `/dapr/config` and `/dapr/subscribe`, then starts deliveries and reminders.
    ///
    /// To be called once the application can answer; later calls do nothing.
    pub async fn app_ready(&self) {
        self.runtime.app_ready().await;
    }

    /// Stops taking work, lets what runs end (ten seconds at most), and returns once everything is on disk.
    pub async fn shutdown(mut self) {
        // First no new deliveries and ticks; running ones may still use both APIs.
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!(running = self.tasks.len(), "deliveries were cut short; they will be repeated");
        }
        self.runtime.actors.close().await;
        self.closing.cancel();
        for listener in std::mem::take(&mut self.listeners) {
            let abort = listener.abort_handle();
            if tokio::time::timeout(Duration::from_secs(2), listener).await.is_err() {
                abort.abort();
            }
        }
        self.runtime.store.close().await;
    }
}

/// Marks the file of a server.
#[derive(Clone)]
pub struct Marker(Store);

impl Marker {
    /// Says in the file which installation it is of, and how far that has come. It is on disk then.
    pub async fn set(&self, mark: &Mark) -> Result<(), DatabaseError> {
        let generation = i64::try_from(mark.generation).unwrap_or(i64::MAX);
        let mark = Write::Mark { installation: mark.installation.clone(), generation };
        self.0.write(vec![mark]).await.map(drop).map_err(DatabaseError::of)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        self.closing.cancel();
    }
}

async fn listen(
    api: &'static str,
    at: Option<SocketAddr>,
) -> Result<Option<(TcpListener, SocketAddr)>, StartError> {
    let Some(at) = at else { return Ok(None) };
    let failed = |source| StartError::Listen { api, at, source };
    let listener = TcpListener::bind(at).await.map_err(failed)?;
    let found = listener.local_addr().map_err(failed)?;
    Ok(Some((listener, found)))
}

#[cfg(test)]
mod tests;
