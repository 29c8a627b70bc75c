//! `callboard dev`: everything in one process, until it is told to stop.

use super::{Exit, signals};
use crate::{
    assembly::{Embedded, Ports},
    cli::Dev,
    config::Config,
    telemetry::{Telemetry, Voice},
};
use std::{io::Write, path::PathBuf};

pub async fn perform(dev: Dev) -> anyhow::Result<Exit> {
    let mut config = Config::load()?;
    if let Some(listen) = dev.listen {
        config.server.listen = listen;
    }
    if let Some(data) = &dev.data {
        config.data.dir = data.display().to_string();
    }
    if let Some(agents) = &dev.agents {
        config.agents.file = agents.display().to_string();
    }
    let _telemetry = Telemetry::install(&config, Voice::Configured)?;
    let stop = signals::stop()?;
    let ports = Ports { http: dev.dapr_http_port, grpc: dev.dapr_grpc_port };
    let engine = Embedded::start(&config, ports, dev.components).await?;
    {
        // A reader that went away must not end the server.
        let mut out = std::io::stdout().lock();
        let (http, grpc) = (engine.dapr_http, engine.dapr_grpc);
        let _ = writeln!(out, "ready {} dapr http={http} grpc={grpc}", engine.url).and_then(|()| out.flush());
    }
    hint(&engine, &PathBuf::from(&config.data.dir));
    stop.cancelled().await;
    tracing::info!("stopping");
    engine.stop().await;
    Ok(Exit::Done)
}

/// Says what to do next, for people who have just started it.
fn hint(engine: &Embedded, data: &std::path::Path) {
    let (url, example) = (&engine.url, "config/examples/research-crew.yaml");
    let models = match engine.scripted {
        true => {
            "SCRIPTED: answers come from a script, not from a model.\n             \
             Set OPENAI_API_KEY (and OPENAI_BASE_URL for another server) to ask a real one."
        }
        false => "a real model answers",
    };
    eprintln!(
        "
  Callboard is ready.

  API        {url}/api/v1/workflows
  Sidecar    Dapr HTTP {http}, gRPC {grpc} on 127.0.0.1
  Data       {data}
  Models     {models}

  Run a workflow of four agents and watch it, in another terminal:

    callboard run {example} --data {data} --input '{{\"topic\": \"durable agents\"}}'

  The same through the API:

    curl -s {url}/api/v1/workflows -H 'content-type: application/yaml' --data-binary @{example}
    curl -s '{url}/api/v1/workflows/ID/start?wait=60s' -H 'content-type: application/json' \\
      -d '{{\"input\": {{\"topic\": \"durable agents\"}}}}'

  Ctrl-C stops it; what runs goes on at the next start.
",
        http = engine.dapr_http,
        grpc = engine.dapr_grpc,
        data = data.display(),
    );
}
