//! `callboard dev`: everything in one process, until it is told to stop.

use super::{Exit, signals};
use crate::{
    assembly::{Embedded, Ports},
    cli::Dev,
    config::Config,
    gateway::Page,
    say::say,
    telemetry::{Telemetry, Voice},
};
use std::{io::Write, net::SocketAddr, path::Path};

/// What the hint starts.
const INPUT: &str = r#"{"topic": "durable agents"}"#;
/// A workflow for those who have no file at hand.
const HELLO: &str = r#"{"name": "hello", "nodes": [{"id": "hello", "type": "agent", "config": {"agent": "research", "prompt": "Topic: {{ input.topic }}"}}]}"#;

pub async fn perform(dev: Dev) -> anyhow::Result<Exit> {
    let mut config = Config::load(dev.config.as_deref())?;
    if let Some(listen) = dev.listen {
        config.server.listen = listen;
    }
    if let Some(data) = &dev.data {
        config.name_data(data);
    }
    if let Some(agents) = &dev.agents {
        config.agents.file = agents.display().to_string();
    }
    let _telemetry = Telemetry::install(&config, Voice::Configured)?;
    let stop = signals::stop()?;
    let ports = Ports { http: dev.dapr_http_port, grpc: dev.dapr_grpc_port };
    let engine = Embedded::start(&config, ports, dev.components, dev.accept_loss).await?;
    {
        // A reader that went away must not end the server.
        let mut out = std::io::stdout().lock();
        let (http, grpc) = (engine.dapr_http, engine.dapr_grpc);
        let _ = writeln!(out, "ready {} dapr http={http} grpc={grpc}", engine.url).and_then(|()| out.flush());
    }
    hint(&engine, Path::new(&config.data.dir));
    stop.cancelled().await;
    tracing::info!("stopping");
    engine.stop().await;
    Ok(Exit::Done)
}

/// Says what to do next, for people who have just started it.
fn hint(engine: &Embedded, data: &Path) {
    let url = &engine.url;
    let models = match engine.scripted {
        true => {
            "SCRIPTED: answers come from a script, not from a model. Set OPENAI_API_KEY\n             \
             (and OPENAI_BASE_URL for another server) to ask a real one."
        }
        false => "answers come from the configured provider",
    };
    let has_token = std::env::var("DAPR_API_TOKEN").is_ok_and(|token| !token.trim().is_empty());
    // As this process was called, so that the line works where it is pasted.
    let program = std::env::args().next().unwrap_or_else(|| "callboard".into());
    let file = "config/examples/research-crew.yaml";
    let (kind, definition) = match Path::new(file).is_file() {
        true => ("application/yaml", format!("@{file}")),
        false => ("application/json", format!("'{HELLO}'")),
    };
    say!(
        "
  Callboard is ready.

  Page       {page}
  API        {url}/api/v1/workflows
  Sidecar    Dapr HTTP {http}, gRPC {grpc} on 127.0.0.1
  Data       {data}
  Models     {models}
  Reach      {reach}

  Run a workflow of agents and watch it, in another terminal:

    {program} run {file} --data {data} --input '{INPUT}'

  The same through the API:

    curl -s {url}/api/v1/workflows{key} -H 'content-type: {kind}' --data-binary {definition}
    curl -s '{url}/api/v1/workflows/ID/start?wait=60s'{key} -H 'content-type: application/json' \\
      -d '{{\"input\": {INPUT}}}'

  Ctrl-C stops it; what runs goes on at the next start.
",
        page = match Page::built().is_there() {
            true => url.as_str(),
            false => "not in this build: make run builds it where npm is installed",
        },
        key = if engine.open { "" } else { " -H \"authorization: Bearer $CALLBOARD_API_KEY\"" },
        http = engine.dapr_http,
        grpc = engine.dapr_grpc,
        data = data.display(),
        reach = reach(&engine.url, has_token, engine.open),
    );
}

/// Says who can call, and what closes the sidecar to other users of the machine.
fn reach(url: &str, has_token: bool, is_open: bool) -> String {
    let address = url.strip_prefix("http://").and_then(|at| at.parse::<SocketAddr>().ok());
    let who = match address {
        Some(at) if !at.ip().is_loopback() => "whoever reaches that address, and every user and program here",
        _ => "every user and program of this machine; no web page, no other machine",
    };
    let sidecar = match (has_token, is_open) {
        (true, true) => "The sidecar asks for DAPR_API_TOKEN; the API asks nobody.",
        (true, false) => "The API asks for a key or a token, the sidecar for DAPR_API_TOKEN.",
        (false, false) => {
            "The API asks for a key or a token; the sidecar asks nobody. Set DAPR_API_TOKEN to\n             \
             a secret before the start, and it lets only those in who send it."
        }
        (false, true) => {
            "Nobody is asked who they are. Set DAPR_API_TOKEN to a secret before the\n             \
             start, and the sidecar lets only those in who send it."
        }
    };
    format!("{who}.\n             {sidecar}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_reach_it_is_said_at_the_start() {
        let here = reach("http://127.0.0.1:8080", false, true);
        assert!(here.contains("this machine; no web page") && here.contains("DAPR_API_TOKEN"), "{here}");
        assert!(reach("http://0.0.0.0:8080", false, true).contains("whoever reaches that address"));
        assert!(reach("http://[::1]:8080", true, true).contains("asks for DAPR_API_TOKEN"));
        assert!(
            reach("http://[::1]:8080", true, false).starts_with("every user")
                && !reach("http://[::1]:8080", false, false).contains("Nobody")
        );
    }
}
