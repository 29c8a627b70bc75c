//! `callboard serve`: one or both roles beside a Dapr sidecar, until it is told to stop.

use super::{Exit, signals};
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
    let _telemetry = Telemetry::install(&config, Voice::Configured)?;
    let stop = signals::stop()?;
    let beside = Beside::start(&config, serve.role, serve.app_port).await?;
    tracing::info!(url = beside.url, app_port = serve.app_port, role = ?serve.role, "serving");
    stop.cancelled().await;
    tracing::info!("stopping");
    beside.stop().await;
    Ok(Exit::Done)
}
