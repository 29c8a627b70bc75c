//! `callboard serve`: one or both roles beside a Dapr sidecar, until it is told to stop.

use super::{Exit, Misuse, signals};
use crate::{
    assembly::Beside,
    cli::Serve,
    config::Config,
    telemetry::{Telemetry, Voice},
};

pub async fn perform(serve: Serve) -> anyhow::Result<Exit> {
    let mut config = Config::load(serve.config.as_deref())?;
    if let Some(listen) = serve.listen {
        config.server.listen = listen;
    }
    if let Some(agents) = &serve.agents {
        config.agents.file = agents.display().to_string();
    }
    let app_port = serve.app_port.map_or_else(app_port, Ok)?;
    let _telemetry = Telemetry::install(&config, Voice::Configured)?;
    let stop = signals::stop()?;
    let beside = Beside::start(&config, serve.role, app_port).await?;
    tracing::info!(url = beside.url, app_port, role = ?serve.role, "serving");
    stop.cancelled().await;
    tracing::info!("stopping");
    beside.stop().await;
    Ok(Exit::Done)
}

/// Where Dapr expects the app: `dapr run` says it in a variable. An empty one says nothing.
fn app_port() -> Result<u16, Misuse> {
    match std::env::var("APP_PORT").unwrap_or_default().trim() {
        "" => Ok(8081),
        port => port.parse().map_err(|_| Misuse(format!("APP_PORT is `{port}`, which is no port"))),
    }
}
