//! Everything in one process over one data folder: catalog, sidecar, actors, API.

use super::{
    components,
    folder::take,
    late::Late,
    listener,
    lock::{Lock, Locked},
    pair::{self, Counting},
    parts::{self, Parts},
    secrets::SidecarSecrets,
    setup::setup,
};
use crate::{config::Config, operations::Told, triggers::Clockwork};
use anyhow::{Context, bail};
use callboard_actors::{Clock, Host, Roles};
use callboard_sidecar::embedded::{App, Config as SidecarConfig, Server, StartError};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::task::JoinHandle;

const BOTH: Roles = Roles { workflow: true, ai: true };

/// The sidecar's file in a data folder.
pub const SIDECAR: &str = "sidecar.db";

/// Ports of the sidecar's two APIs on loopback; 0 picks a free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ports {
    pub http: u16,
    pub grpc: u16,
}

/// A running engine.
pub struct Embedded {
    /// `http://…` of the API.
    pub url: String,
    pub dapr_http: u16,
    pub dapr_grpc: u16,
    /// Models are answered by a script.
    pub scripted: bool,
    /// Nobody is asked who they are.
    pub open: bool,
    /// What this process itself sends to say that it is this process.
    pub own: String,
    parts: Parts,
    host: Host,
    server: Server,
    api: JoinHandle<()>,
    clockwork: Clockwork,
    counting: Counting,
    drain: std::time::Duration,
    _lock: Lock,
}

// === impl Embedded ===

impl Embedded {
    /// Takes the data folder and starts everything; once this returns, runs that were under way go on. `accept_loss`: also on
    /// files that do not belong together.
    pub async fn start(
        config: &Config,
        ports: Ports,
        components: Option<PathBuf>,
        accept_loss: bool,
    ) -> anyhow::Result<Self> {
        let folder = Path::new(&config.data.dir);
        match take(config)? {
            Locked::Ours(lock) => Self::start_with(config, lock, ports, components, accept_loss).await,
            Locked::Theirs(url) => {
                let at = url.map(|url| format!(" at {url}")).unwrap_or_default();
                bail!(
                    "another callboard{at} uses the data folder {}; stop it, or choose another with --data",
                    folder.display()
                )
            }
        }
    }

    /// The same with a folder already locked.
    pub async fn start_with(
        config: &Config,
        mut lock: Lock,
        ports: Ports,
        components: Option<PathBuf>,
        accept_loss: bool,
    ) -> anyhow::Result<Self> {
        let folder = Path::new(&config.data.dir);
        let (place, file) = (parts::catalog_place(config, Some(folder))?, folder.join(SIDECAR));
        let name = place.name();
        if !accept_loss && place.is_missing() {
            pair::may_begin(&name, &file)?;
        }
        let parts = Parts::new(config, Some(folder)).await?;
        let both = (&*parts.catalog, &*parts.marks, name.as_str());
        let mark = pair::join(both, &file, accept_loss).await?;
        parts.may_listen(config).await?;
        let listener = listener::bind(config.server.listen, "--listen").await?;
        let address = listener.local_addr().context("the API's address")?;
        let doors = listener::doors(config)?;

        let app = Late::default();
        let components = components::folder(components, folder, config.ground.trusted)?;
        let sidecar = sidecar(folder, components, ports, App::InProcess(app.service()));
        let server = Server::start_behind(sidecar, doors.without_origins()).await;
        let server = server.map_err(|error| with_flag(error, ports))?;
        let (http, grpc) = (server.http_addr(), server.grpc_addr());
        server.marker().set(&mark).await?;
        let counting = Counting::start(parts.marks.clone(), server.marker(), mark);

        let sidecar = server.sidecar();
        let own = [Some(address), http, grpc].into_iter().flatten().collect();
        let secrets = Arc::new(SidecarSecrets::new(
            sidecar.clone(),
            &config.secrets.store,
            "secretstore",
            parts.hosts.clone(),
        ));
        let services = parts.services(config, sidecar.clone(), secrets, own, false);
        let projects = services.projects.clone();
        let host = Host::new(services, BOTH);
        app.set(host.router(None));
        server.app_ready().await;
        host.start();

        let setup = setup(config, &parts.models, BOTH, "secretstore");
        let gateway = parts.gateway(config, sidecar, Told::Here, projects, setup)?;
        let clockwork = Clockwork::start(gateway.operations.clone(), Clock::system());
        let router = gateway.router();
        let api = listener::serve(listener, router, doors, parts.closed.clone());
        let url = format!("http://{address}");
        lock.announce(&url)?;
        let port = |address: Option<SocketAddr>| address.map_or(0, |address| address.port());
        Ok(Self {
            url,
            dapr_http: port(http),
            dapr_grpc: port(grpc),
            scripted: parts.models.is_scripted(),
            open: parts.gatekeeper.is_open().await.unwrap_or_default(),
            own: parts.own.clone(),
            parts,
            host,
            server,
            api,
            clockwork,
            counting,
            drain: std::time::Duration::from_millis(config.server.drain.0),
            _lock: lock,
        })
    }

    /// Starts no more, lets the calls under way end for a while, and returns once everything is on disk. Until then
    /// the API can be read, and the sidecar brings answers to their runs.
    pub async fn stop(self) {
        self.parts.stop.cancel();
        self.clockwork.ended().await;
        self.host.drain(self.drain).await;
        self.parts.closed.cancel();
        drop(self.counting);
        let _ = self.api.await;
        self.server.shutdown().await;
        self.parts.close().await;
    }
}

/// Returns the settings of the embedded sidecar for this application.
fn sidecar(folder: &Path, components: PathBuf, ports: Ports, app: App) -> SidecarConfig {
    let loopback = |port| Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    SidecarConfig {
        app_id: components::APP.into(),
        database: folder.join(SIDECAR),
        components,
        http: loopback(ports.http),
        grpc: loopback(ports.grpc),
        api_token: token("DAPR_API_TOKEN"),
        app_token: None,
        app,
    }
}

/// An empty variable is no token.
fn token(variable: &str) -> Option<String> {
    std::env::var(variable).ok().filter(|token| !token.trim().is_empty())
}

fn with_flag(error: StartError, ports: Ports) -> anyhow::Error {
    if let StartError::Listen { api, source, .. } = &error
        && source.kind() == std::io::ErrorKind::AddrInUse
    {
        let (port, flag) = match *api {
            "HTTP" => (ports.http, "--dapr-http-port"),
            _ => (ports.grpc, "--dapr-grpc-port"),
        };
        return anyhow::anyhow!(
            "port {port} on 127.0.0.1 is in use; choose another with {flag} (0 picks a free one)"
        );
    }
    error.into()
}
