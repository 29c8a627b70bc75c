//! Reads a multi-app run file the way `dapr run -f` does: common settings merged into the
//! apps, paths made absolute. What the harness does not know is refused, not skipped, so
//! that a test of a run file is a test of all of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    pub version: u32,
    #[serde(default)]
    common: Common,
    pub apps: Vec<AppEntry>,
}

#[derive(Debug, Default, Deserialize)]
struct Common {
    #[serde(flatten)]
    shared: Shared,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

/// Settings that an app may have from `common`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Shared {
    pub config_file_path: Option<PathBuf>,
    pub resources_paths: Vec<PathBuf>,
    pub app_protocol: Option<String>,
    pub enable_app_health_check: bool,
    pub app_health_check_path: Option<String>,
    pub app_health_probe_interval: Option<u32>,
    pub app_health_probe_timeout: Option<u32>,
    pub app_health_threshold: Option<u32>,
    pub log_level: Option<String>,
    pub max_body_size: Option<String>,
    pub placement_host_address: Option<String>,
    pub scheduler_host_address: Option<String>,
    pub app_log_destination: Option<String>,
    pub daprd_log_destination: Option<String>,
    pub env: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppEntry {
    #[serde(rename = "appID")]
    pub app_id: String,
    pub app_dir_path: PathBuf,
    pub app_port: Option<u16>,
    #[serde(rename = "daprHTTPPort")]
    pub http_port: Option<u16>,
    #[serde(rename = "daprGRPCPort")]
    pub grpc_port: Option<u16>,
    pub metrics_port: Option<u16>,
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(flatten)]
    pub shared: Shared,
    #[serde(flatten)]
    unknown: BTreeMap<String, IgnoredAny>,
}

impl RunFile {
    /// Reads a file, or the `dapr.yaml` of a folder.
    pub fn read(path: &Path) -> Self {
        let file = if path.is_dir() { path.join("dapr.yaml") } else { path.to_owned() };
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut run: Self =
            serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let base = file
            .canonicalize()
            .expect("it was just read")
            .parent()
            .expect("a file is in a folder")
            .to_owned();
        run.common.shared.resolve(&base);
        let unknown = run.common.unknown.keys().chain(run.apps.iter().flat_map(|app| app.unknown.keys()));
        let unknown: Vec<_> = unknown.collect();
        assert!(unknown.is_empty(), "{}: the harness does not know {unknown:?}", file.display());
        for app in &mut run.apps {
            app.app_dir_path = absolute(&base, &app.app_dir_path);
            app.shared.resolve(&app.app_dir_path);
            app.shared.merge(&run.common.shared, &app.app_id, &app.app_dir_path);
        }
        run
    }
}

impl Shared {
    fn resolve(&mut self, base: &Path) {
        for path in self.resources_paths.iter_mut().chain(&mut self.config_file_path) {
            *path = absolute(base, path);
        }
    }

    fn merge(&mut self, common: &Self, app: &str, dir: &Path) {
        // The CLI takes an app's own folder before the common settings.
        let own = dir.join(".dapr");
        if self.resources_paths.is_empty() {
            let resources = own.join("resources");
            self.resources_paths =
                if resources.exists() { vec![resources] } else { common.resources_paths.clone() };
        }
        let config = Some(own.join("config.yaml")).filter(|file| file.exists());
        take(&mut self.config_file_path, &config.or_else(|| common.config_file_path.clone()));
        take(&mut self.app_protocol, &common.app_protocol);
        take(&mut self.app_health_check_path, &common.app_health_check_path);
        take(&mut self.app_health_probe_interval, &common.app_health_probe_interval);
        take(&mut self.app_health_probe_timeout, &common.app_health_probe_timeout);
        take(&mut self.app_health_threshold, &common.app_health_threshold);
        take(&mut self.log_level, &common.log_level);
        take(&mut self.max_body_size, &common.max_body_size);
        self.enable_app_health_check |= common.enable_app_health_check;
        let env = self.env.as_mut();
        let env =
            env.unwrap_or_else(|| panic!("app {app} needs an `env`, the CLI writes the common one into it"));
        for (name, value) in common.env.iter().flatten() {
            env.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Returns the arguments that the CLI would give to daprd for these settings, but for addresses and paths.
    pub fn daprd_args(&self) -> Vec<String> {
        let named = |name: &str, value: Option<String>| value.map(|value| format!("--{name}={value}"));
        [
            named("app-protocol", self.app_protocol.clone()),
            self.enable_app_health_check.then(|| "--enable-app-health-check".to_owned()),
            named("app-health-check-path", self.app_health_check_path.clone()),
            named(
                "app-health-probe-interval",
                self.app_health_probe_interval.map(|seconds| seconds.to_string()),
            ),
            named("app-health-probe-timeout", self.app_health_probe_timeout.map(|millis| millis.to_string())),
            named("app-health-threshold", self.app_health_threshold.map(|times| times.to_string())),
            named("log-level", self.log_level.clone()),
            named("max-body-size", self.max_body_size.clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

fn take<T: Clone>(own: &mut Option<T>, common: &Option<T>) {
    if own.is_none() {
        own.clone_from(common);
    }
}

fn absolute(base: &Path, path: &Path) -> PathBuf {
    let joined = base.join(path);
    joined.canonicalize().unwrap_or_else(|error| panic!("the run file names {}: {error}", joined.display()))
}
