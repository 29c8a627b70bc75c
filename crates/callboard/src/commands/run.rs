//! `callboard run FILE`: starts a run, shows its progress, prints its output.
//!
//! The engine is the one that holds the data folder, else one of our own on free ports; both are spoken to through
//! the API. Should the engine go away in the middle (it may belong to another `callboard run` that is done), the
//! folder is free, and we go on with an engine of our own: the run is in the folder, not in the process.

use super::{Exit, Misuse, progress::Progress, remote::data, signals, verdict::report};
use crate::{
    assembly::{Embedded, Locked, Ports, take},
    cli::Run,
    client::{Client, Error, Event},
    config::{Config, Secret},
    document,
    say::say,
    telemetry::{Telemetry, Voice},
};
use anyhow::{Context, anyhow, bail};
use callboard_core::{
    id::RunId,
    schema,
    workflow::{Definition, kinds::Waits},
};
use serde_json::Value;
use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long an engine may take to say where it serves.
const STARTING: Duration = Duration::from_secs(15);
/// How often we look for an engine again before we give up.
const TRIES: u32 = 5;

pub async fn perform(run: Run) -> anyhow::Result<Exit> {
    let mut config = Config::load(run.config.as_deref())?;
    if let Some(data) = &run.data {
        config.name_data(data);
    }
    if let Some(agents) = &run.agents {
        config.agents.file = agents.display().to_string();
    }
    // Our engine is for us: any port will do.
    config.server.listen = (Ipv4Addr::LOCALHOST, 0).into();
    let is_stdin = |name: &str| matches!(name, "-" | "@-");
    if run.file.as_os_str() == document::STDIN && run.input.as_deref().is_some_and(is_stdin) {
        return Err(Misuse("standard input can be the workflow or its input, not both".into()).into());
    }
    let definition = document::definition(&run.file).map_err(misuse)?;
    let input = run.input.as_deref().map(|text| data("--input", text)).transpose().map_err(misuse)?;
    if !is_fine(&run.file, &definition, input.as_ref(), &config)? {
        return Ok(Exit::Usage);
    }
    let _telemetry = Telemetry::install(&config, Voice::Quiet)?;
    let stop = signals::stop()?;
    let mut following = Following {
        checked: serde_json::from_value(definition.clone()).context("the checked definition")?,
        definition,
        input,
        key: Uuid::now_v7().to_string(),
        run: None,
        seq: 0,
        progress: Progress::new(),
        stop,
    };
    for _ in 0..TRIES {
        let engine = Engine::find(&config, &run.components).await?;
        let ended = following.follow(&engine).await;
        following.progress.finish();
        engine.stop().await;
        match ended {
            Ok(run) => return report(&run),
            Err(error) => match error.downcast_ref::<Error>() {
                Some(Error::Refused(refused)) if !matches!(refused.status, 429 | 502 | 503 | 504) => {
                    say!("callboard: {refused}");
                    return Ok(Exit::Usage);
                }
                Some(_) => tracing::debug!(%error, "the engine went away"),
                None => return Err(error),
            },
        }
    }
    bail!("no engine stayed to finish the run; it goes on with the next one on {}", config.data.dir)
}

fn misuse(error: anyhow::Error) -> Misuse {
    Misuse(format!("{error:#}"))
}

/// Checks before anything is started; says everything that is wrong.
fn is_fine(file: &Path, definition: &Value, input: Option<&Value>, config: &Config) -> anyhow::Result<bool> {
    let agents = document::agents_of(config).map_err(Misuse)?;
    let problems =
        document::check(definition.clone(), &agents, &config.secrets.hosts.keys().cloned().collect())
            .problems;
    for problem in &problems {
        say!("{}: {problem}", file.display());
    }
    if !problems.is_empty() {
        return Ok(false);
    }
    let wrong = match definition.get("input").filter(|schema| !schema.is_null()) {
        Some(expected) => schema::filled(expected, input.cloned()).err().unwrap_or_default(),
        None => Vec::new(),
    };
    wrong.iter().for_each(|problem| say!("--input: {problem}"));
    Ok(wrong.is_empty())
}

/// What a server that asks who comes is sent.
fn credential() -> Option<Secret> {
    let key = std::env::var("CALLBOARD_API_KEY").ok()?;
    Some(key.trim()).filter(|key| !key.is_empty()).map(Secret::new)
}

/// Who runs the run.
enum Engine {
    Ours(Box<Embedded>, Client),
    Theirs(Client),
}

// === impl Engine ===

impl Engine {
    /// Finds the engine of the data folder, or becomes it.
    async fn find(config: &Config, components: &Option<PathBuf>) -> anyhow::Result<Self> {
        let until = tokio::time::Instant::now() + STARTING;
        loop {
            match take(config)? {
                Locked::Ours(lock) => {
                    let (ports, components) = (Ports::default(), components.clone());
                    let engine = Embedded::start_with(config, lock, ports, components, false).await?;
                    if engine.scripted {
                        say!("(scripted answers: no model is configured)");
                    }
                    let api = Client::once(engine.url.parse()?, Some(Secret::new(engine.own.clone())))?;
                    return Ok(Self::Ours(Box::new(engine), api));
                }
                Locked::Theirs(Some(url)) => {
                    say!("(using the server at {url}: its agents and models answer)");
                    return Ok(Self::Theirs(Client::once(url.parse()?, credential())?));
                }
                Locked::Theirs(None) if tokio::time::Instant::now() >= until => {
                    bail!("another callboard holds the data folder {} and serves nothing", config.data.dir)
                }
                // It is starting or stopping.
                Locked::Theirs(None) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    fn api(&self) -> &Client {
        match self {
            Self::Ours(_, api) | Self::Theirs(api) => api,
        }
    }

    async fn stop(self) {
        match self {
            Self::Ours(engine, _) => engine.stop().await,
            // It may be on its way out and still hold the folder; a moment saves useless tries.
            Self::Theirs(_) => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}

/// A run that is followed to its end, over several engines if need be.
struct Following {
    /// As it is sent, and as it is read.
    definition: Value,
    checked: Definition,
    input: Option<Value>,
    /// Makes the start the same one however often it is sent.
    key: String,
    run: Option<RunId>,
    seq: u64,
    progress: Progress,
    stop: CancellationToken,
}

// === impl Following ===

impl Following {
    async fn follow(&mut self, engine: &Engine) -> anyhow::Result<Value> {
        let api = engine.api();
        let run = match self.run.clone() {
            Some(run) => run,
            None => {
                let started = api.start_inline(&self.definition, self.input.as_ref(), &self.key).await?;
                let id = started.get("run_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
                let run: RunId = id.ok_or_else(|| anyhow!("the server answered no run id"))?;
                say!("run {run}");
                self.run = Some(run.clone());
                run
            }
        };
        let mut asked = false;
        while let Some(mut events) = api.events(&run, self.seq).await? {
            loop {
                let stop = self.stop.clone();
                let event = tokio::select! {
                    event = events.next() => event?,
                    () = stop.cancelled(), if !asked => {
                        asked = true;
                        self.progress.line("cancelling; once more to leave at once");
                        api.operate(&run, "cancel", &serde_json::json!({})).await?;
                        continue;
                    }
                };
                let Some(event) = event else { break };
                self.seq = event.view.seq;
                self.progress.show(&event.view);
                self.hint(api, &run, &event);
            }
        }
        Ok(api.run(&run).await?)
    }

    /// Says how a person answers a step that waits for one.
    fn hint(&self, api: &Client, run: &RunId, event: &Event) {
        let event = &event.view;
        let (Some(node), "step.started") = (&event.node, &*event.r#type) else { return };
        let started = self.checked.all_nodes().into_iter().find(|(started, _)| *started.id == **node);
        let (path, body) = match started.and_then(|(started, _)| started.kind.waits()) {
            Some(Waits::People(_)) => ("approve", serde_json::json!({"node": node, "approved": true})),
            Some(Waits::Signal(signal)) => ("signal", serde_json::json!({"name": signal.name, "data": {}})),
            Some(Waits::Time(_)) | None => return,
        };
        let url = format!("{}/api/v1/runs/{run}/{path}", api.address());
        self.progress
            .line(&format!("  {node} waits: curl {url} -H 'content-type: application/json' -d '{body}'"));
    }
}
