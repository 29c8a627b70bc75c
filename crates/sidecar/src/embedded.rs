//! The embedded, Dapr-compatible server.

use std::net::SocketAddr;
use std::path::PathBuf;

/// An application inside this process: a clonable tower service over HTTP messages.
pub type AppService = tower::util::BoxCloneSyncService<
    http::Request<axum::body::Body>,
    http::Response<axum::body::Body>,
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

/// Why a server did not start: everything that is wrong, at once.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The server is not there yet.
    #[error("not implemented")]
    Unfinished,
}

/// A running sidecar.
pub struct Server {}

impl Server {
    /// Opens the database, loads the components and serves the two APIs.
    pub async fn start(_config: Config) -> Result<Self, StartError> {
        Err(StartError::Unfinished)
    }

    /// Returns where the HTTP API is served.
    pub fn http_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns where the gRPC API is served.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        None
    }

    /// Returns a client that needs no socket.
    pub fn sidecar(&self) -> crate::Sidecar {
        crate::Sidecar::from_service(tower::service_fn(|_| async {
            Ok::<_, std::convert::Infallible>(http::Response::new(tonic::body::Body::empty()))
        }))
    }

    /// Reads the application's `/dapr/config` and `/dapr/subscribe`, then starts deliveries and reminders.
    pub async fn app_ready(&self) {}

    /// Stops taking work, ends what runs, and returns once everything is on disk.
    pub async fn shutdown(self) {}
}
