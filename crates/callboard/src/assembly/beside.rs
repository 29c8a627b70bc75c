//! One or both roles beside a Dapr sidecar: the API on one address, the sidecar's callbacks on a loopback port.
//!
//! The sidecar may come late or go away: the process then says that it is not ready, and lives on.

use super::{listener, parts::Parts, secrets::SidecarSecrets, setup::setup};
use crate::{cli::Role, config::Config, operations::Told, triggers::Clockwork};
use anyhow::Context;
use callboard_actors::{Clock, Host, Roles};
use callboard_sidecar::{Endpoint, Sidecar};
use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::lookup_host, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A running process.
pub struct Beside {
    /// `http://…` of the API, health and metrics.
    pub url: String,
    parts: Parts,
    host: Host,
    api: JoinHandle<()>,
    callbacks: JoinHandle<()>,
    callbacks_stop: CancellationToken,
    /// In a process that runs workflows.
    clockwork: Option<Clockwork>,
    drain: Duration,
}

// === impl Beside ===

impl Beside {
    pub async fn start(config: &Config, role: Role, app_port: u16) -> anyhow::Result<Self> {
        let parts = Parts::new(config, None).await?;
        parts.may_listen(config).await?;
        let listener = listener::bind(config.server.listen, "--listen").await?;
        // Only the sidecar calls here, and it is on this machine.
        let callbacks = SocketAddr::from((Ipv4Addr::LOCALHOST, app_port));
        let callbacks = listener::bind(callbacks, "--app-port").await?;
        let address = listener.local_addr().context("the API's address")?;
        let doors = listener::doors(config)?;

        let endpoint = Endpoint::from_env();
        let sidecar = Sidecar::connect(&endpoint)?;
        let mut own = vec![address, callbacks.local_addr().context("the callbacks' address")?];
        own.extend(sidecar_addresses(&endpoint).await);
        let roles = match role {
            Role::Workflow => Roles { workflow: true, ai: false },
            Role::Ai => Roles { workflow: false, ai: true },
            Role::All => Roles { workflow: true, ai: true },
        };
        let secrets = Arc::new(SidecarSecrets::new(
            sidecar.clone(),
            &config.secrets.store,
            "secrets",
            parts.hosts.clone(),
        ));
        let services = parts.services(config, sidecar.clone(), secrets, own, true);
        let projects = services.projects.clone();
        let host = Host::new(services, roles);

        let app_token = std::env::var("APP_API_TOKEN").ok().filter(|token| !token.trim().is_empty());
        if app_token.is_none() {
            tracing::warn!("APP_API_TOKEN is not set: any program on this machine can pose as the sidecar");
        }
        let callbacks_stop = CancellationToken::new();
        let router = host.router(app_token);
        let callbacks = listener::serve(callbacks, router, doors.without_origins(), callbacks_stop.clone());
        host.start();
        let setup = setup(config, &parts.models, roles, "secrets");
        let gateway = parts.gateway(config, sidecar, Told::Elsewhere, projects, setup)?;
        let clockwork = roles.workflow.then(|| Clockwork::start(gateway.operations.clone(), Clock::system()));
        let router = if roles.workflow { gateway.router() } else { gateway.probes() };
        let api = listener::serve(listener, router, doors, parts.closed.clone());
        Ok(Self {
            url: format!("http://{address}"),
            parts,
            host,
            api,
            callbacks,
            callbacks_stop,
            clockwork,
            drain: Duration::from_millis(config.server.drain.0),
        })
    }

    /// Starts no more from the API, lets the calls under way end for a while, and only then leaves API and sidecar: reads
    /// go on meanwhile, and answers come through the sidecar's calls.
    pub async fn stop(self) {
        self.parts.stop.cancel();
        if let Some(clockwork) = self.clockwork {
            clockwork.ended().await;
        }
        self.host.drain(self.drain).await;
        self.parts.closed.cancel();
        let _ = self.api.await;
        self.callbacks_stop.cancel();
        let _ = self.callbacks.await;
        self.parts.close().await;
    }
}

/// Where the sidecar's APIs are: no definition may call them.
async fn sidecar_addresses(endpoint: &Endpoint) -> Vec<SocketAddr> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let http = variable("DAPR_HTTP_ENDPOINT").unwrap_or_else(|| {
        format!("http://127.0.0.1:{}", variable("DAPR_HTTP_PORT").unwrap_or("3500".into()))
    });
    let mut addresses = Vec::new();
    for url in [&endpoint.grpc, &http] {
        let Ok(uri) = url.parse::<http::Uri>() else { continue };
        let Some(host) = uri.host() else { continue };
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        match lookup_host((host.trim_matches(['[', ']']), port)).await {
            Ok(found) => addresses.extend(found),
            Err(error) => tracing::warn!(host, %error, "the sidecar's name can't be resolved"),
        }
    }
    addresses
}
