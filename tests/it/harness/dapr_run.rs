//! Does what `dapr run -f dapr` does, without the CLI: the sidecars and apps of a run file
//! with its commands, environment, checks and resource paths, on free ports.
//!
//! Changed on the way: every port, the program, and where files go that a run would leave in
//! the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::runfile::AppEntry;
use super::{
    DaprCluster, Launch, Process, RunFile, START, Sidecar, SidecarSpec, free_port, http, programs, scratch,
};

/// What differs from the run file.
#[derive(Default)]
pub struct Overrides {
    /// The Redis that `REDIS_HOST` names.
    pub redis: String,
    /// Instead of the built `callboard`.
    pub program: Option<PathBuf>,
    /// Starts no app: the test serves the apps' ports itself, see [`DaprRun::app`].
    pub apps_in_process: bool,
    /// Added to the environment of the apps, and that of their sidecars.
    pub env: BTreeMap<String, String>,
    /// Added to the arguments of the apps.
    pub args: Vec<String>,
    /// Instead of the file that the run file's commands name after `--agents`.
    pub agents: Option<PathBuf>,
    /// Instead of the run file's resource paths.
    pub resources: Vec<PathBuf>,
}

/// The running apps of a run file. Dropped together, apps first.
pub struct DaprRun {
    pub apps: Vec<App>,
    dir: TempDir,
}

pub struct App {
    pub id: String,
    /// The app and its sidecar may be killed and restarted one by one.
    pub process: Option<Process>,
    pub sidecar: Sidecar,
    /// Where the sidecar calls the app.
    pub app_port: u16,
    /// `http://…` of the address after `--listen`.
    pub url: String,
}

impl DaprRun {
    /// Starts all and waits until every sidecar and app answers and hosts its actors.
    pub async fn start(file: &Path, cluster: &DaprCluster, overrides: Overrides) -> Self {
        let mut run = Self::spawn(file, cluster, overrides);
        for app in &mut run.apps {
            app.ready().await;
        }
        run
    }

    /// Starts all and waits for nothing.
    pub fn spawn(file: &Path, cluster: &DaprCluster, overrides: Overrides) -> Self {
        let dir = scratch();
        let entries = RunFile::read(file).apps;
        let apps =
            entries.into_iter().map(|entry| App::spawn(entry, cluster, &overrides, dir.path())).collect();
        Self { apps, dir }
    }

    #[track_caller]
    pub fn app(&mut self, id: &str) -> &mut App {
        self.apps
            .iter_mut()
            .find(|app| app.id == id)
            .unwrap_or_else(|| panic!("the run file has no app {id}"))
    }

    /// Returns the folder that stands in for the repository's `data`, where relative SQLite files went.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl App {
    fn spawn(entry: AppEntry, cluster: &DaprCluster, overrides: &Overrides, dir: &Path) -> Self {
        let [app_port, listen] = [(); 2].map(|()| free_port());
        let mut spec = SidecarSpec::new(&entry.app_id).app_port(app_port).redis(&overrides.redis);
        spec.resources = if overrides.resources.is_empty() {
            entry.shared.resources_paths.clone()
        } else {
            overrides.resources.clone()
        };
        spec.config = entry.shared.config_file_path.clone();
        spec.args = entry.shared.daprd_args();
        spec.env.extend(overrides.env.clone());
        let sidecar = Sidecar::spawn(cluster, spec);
        let process = (!overrides.apps_in_process && !entry.command.is_empty()).then(|| {
            let launch = launch(&entry, &sidecar, app_port, listen, overrides, dir);
            Process::start(launch, dir)
        });
        Self { id: entry.app_id, process, sidecar, app_port, url: format!("http://127.0.0.1:{listen}") }
    }

    /// Waits until the sidecar answers, the app is healthy and its actors are placed.
    pub async fn ready(&mut self) {
        self.sidecar.ready().await;
        if let Some(process) = &mut self.process {
            let (client, url) = (http(), format!("http://127.0.0.1:{}/healthz", self.app_port));
            let healthy = || async {
                let answer = client.get(&url).send().await.map_err(|error| format!("{error:?}"))?;
                if answer.status().is_success() {
                    Ok(())
                } else {
                    Err(format!("{url} answers {}", answer.status()))
                }
            };
            process.until(START, healthy).await;
        }
        self.sidecar.hosts_actors().await;
    }

    /// Returns the app's process; panics if the test serves it itself.
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("the app was started from its command")
    }
}

fn launch(
    entry: &AppEntry,
    sidecar: &Sidecar,
    app_port: u16,
    listen: u16,
    overrides: &Overrides,
    dir: &Path,
) -> Launch {
    let program = overrides.program.clone().unwrap_or_else(programs::callboard);
    let mut launch = Launch::new(&entry.app_id, program)
        .args(remapped(&entry.command[1..], app_port, listen, overrides.agents.as_deref()))
        .args(&overrides.args)
        .dir(&entry.app_dir_path)
        // What the CLI gives to an app, an empty address included.
        .env("APP_ID", &entry.app_id)
        .env("APP_CHANNEL_ADDRESS", "")
        .env("APP_PORT", app_port.to_string())
        .env("APP_PROTOCOL", entry.shared.app_protocol.as_deref().unwrap_or("http"))
        .env("DAPR_HTTP_PORT", sidecar.http_port.to_string())
        .env("DAPR_GRPC_PORT", sidecar.grpc_port.to_string())
        .env("DAPR_METRICS_PORT", sidecar.metrics_port.to_string());
    for (name, value) in entry.shared.env.iter().flatten() {
        launch = launch.env(name, moved(value, dir));
    }
    launch.env.extend(overrides.env.clone());
    launch
}

/// Replaces the ports after `--listen` and `--app-port`, and the file after `--agents`.
fn remapped(args: &[String], app_port: u16, listen: u16, agents: Option<&Path>) -> Vec<String> {
    let mut option = "";
    let replace = |(option, value): (&str, &str)| match option {
        "--listen" => value.rsplit_once(':').map(|(host, _)| format!("{host}:{listen}")),
        "--app-port" => Some(app_port.to_string()),
        "--agents" => agents.map(|file| file.display().to_string()),
        _ => None,
    };
    let mut remapped = Vec::new();
    for arg in args {
        remapped.push(match arg.split_once('=') {
            Some(pair) => replace(pair).map_or_else(|| arg.clone(), |value| format!("{}={value}", pair.0)),
            None => replace((option, arg)).unwrap_or_else(|| arg.clone()),
        });
        option = arg;
    }
    remapped
}

/// Moves a SQLite file from the repository to the test's folder.
fn moved(value: &str, dir: &Path) -> String {
    match value.strip_prefix("sqlite:").map(|path| path.trim_start_matches("//")) {
        Some(path) if !path.starts_with('/') && !path.starts_with(':') => {
            format!("sqlite:{}", dir.join(path).display())
        }
        _ => value.to_owned(),
    }
}
