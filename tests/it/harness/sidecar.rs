//! One daprd, with every port chosen, on loopback only.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::programs::{self, root};
use super::{DaprCluster, Launch, Process, START, eventually, free_port, http};

/// What a sidecar is started with. The defaults are the repository's own files.
#[derive(Clone, Debug)]
pub struct SidecarSpec {
    pub app_id: String,
    /// Without one daprd calls nobody back.
    pub app_port: Option<u16>,
    pub resources: Vec<PathBuf>,
    pub config: Option<PathBuf>,
    /// `REDIS_HOST`, `APP_API_TOKEN`, `CALLBOARD_SECRET_…`
    pub env: Vec<(String, String)>,
    /// Further arguments of daprd, after the harness's own.
    pub args: Vec<String>,
}

impl SidecarSpec {
    pub fn new(app_id: impl Into<String>) -> Self {
        Self {
            app_id: app_id.into(),
            app_port: None,
            resources: vec![root().join("components/redis")],
            config: Some(root().join("dapr/config.yaml")),
            env: Vec::new(),
            args: Vec::new(),
        }
    }

    pub fn app_port(mut self, port: u16) -> Self {
        self.app_port = Some(port);
        self
    }

    /// Replaces `components/redis`.
    pub fn resources(mut self, dir: impl Into<PathBuf>) -> Self {
        self.resources = vec![dir.into()];
        self
    }

    /// Points `components/redis` to a Redis.
    pub fn redis(self, address: impl Into<String>) -> Self {
        self.env("REDIS_HOST", address)
    }

    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Polls the app's `/healthz` each second, so that a dead app gives up its actors.
    pub fn app_health_check(self) -> Self {
        self.arg("--enable-app-health-check").arg("--app-health-probe-interval=1")
    }
}

/// A running daprd. Its ports stay the same over restarts.
pub struct Sidecar {
    pub process: Process,
    pub app_id: String,
    pub http_port: u16,
    pub grpc_port: u16,
    pub metrics_port: u16,
    /// What it asks of its callers, where its environment says so.
    api_token: Option<String>,
}

impl Sidecar {
    /// Starts it without waiting for anything.
    pub(super) fn spawn(cluster: &DaprCluster, spec: SidecarSpec) -> Self {
        let [http_port, grpc_port, internal, metrics_port, profile] = [(); 5].map(|()| free_port());
        let mut launch = Launch::new(format!("daprd-{}-{http_port}", spec.app_id), programs::dapr("daprd"))
            .args([
                "--mode=standalone",
                "--enable-mtls=false",
                "--app-protocol=http",
                "--app-channel-address=127.0.0.1",
            ])
            .args(["--dapr-listen-addresses=127.0.0.1", "--dapr-internal-grpc-listen-address=127.0.0.1"])
            .args(["--metrics-listen-address=127.0.0.1", "--dapr-graceful-shutdown-seconds=2"])
            .arg(format!("--app-id={}", spec.app_id))
            .arg(format!("--dapr-http-port={http_port}"))
            .arg(format!("--dapr-grpc-port={grpc_port}"))
            .arg(format!("--dapr-internal-grpc-port={internal}"))
            .arg(format!("--metrics-port={metrics_port}"))
            .arg(format!("--profile-port={profile}"))
            .arg(format!("--placement-host-address={}", cluster.placement_address()))
            .arg(format!("--scheduler-host-address={}", cluster.scheduler_address()))
            .args(spec.app_port.map(|port| format!("--app-port={port}")))
            .args(spec.resources.iter().map(|dir| format!("--resources-path={}", dir.display())))
            .args(spec.config.iter().map(|file| format!("--config={}", file.display())))
            .args(&spec.args)
            // The address that other sidecars are told; finding one fails on some networks.
            .env("DAPR_HOST_IP", "127.0.0.1");
        let token = spec.env.iter().find(|(name, _)| name == "DAPR_API_TOKEN");
        let api_token = token.map(|(_, value)| value.clone());
        launch.env.extend(spec.env);
        let process = Process::start(launch, cluster.dir.path());
        Self { process, app_id: spec.app_id, http_port, grpc_port, metrics_port, api_token }
    }

    /// Returns the base of its HTTP API.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// Returns the address of its gRPC API.
    pub fn grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// Waits until its API and components can be used; the app need not be there yet.
    pub async fn ready(&mut self) {
        let url = self.http();
        self.process.until(START, || outbound(&url)).await;
    }

    /// Tells whether its API and components can be used just now.
    pub async fn is_ready(&self) -> bool {
        outbound(&self.http()).await.is_ok()
    }

    /// Waits until the app was asked for its actors and placement knows them. In 1.14 placement
    /// tells the sidecars about them 2 s later, and the first call waits for that.
    pub async fn hosts_actors(&self) {
        eventually(START, || async {
            let metadata = self.metadata().await?;
            if hosts(&metadata) { Ok(()) } else { Err(metadata.to_string()) }
        })
        .await;
    }

    /// Tells whether the app's actors are placed just now.
    pub async fn is_hosting(&self) -> bool {
        self.metadata().await.is_ok_and(|metadata| hosts(&metadata))
    }

    /// Returns what it says about itself.
    pub async fn metadata(&self) -> Result<Value, String> {
        let url = format!("{}/v1.0/metadata", self.http());
        let mut request = http().get(url).timeout(Duration::from_secs(5));
        if let Some(token) = &self.api_token {
            request = request.header("dapr-api-token", token);
        }
        let answer = request.send().await;
        answer.map_err(|error| format!("{error:?}"))?.json().await.map_err(|error| format!("{error:?}"))
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again on the same ports; what still runs is killed first.
    pub async fn restart(&mut self) {
        self.process.restart();
        self.ready().await;
    }
}

async fn outbound(url: &str) -> Result<(), String> {
    let answer = http().get(format!("{url}/v1.0/healthz/outbound")).send().await;
    let status = answer.map_err(|error| format!("{error:?}"))?.status();
    if status == 204 { Ok(()) } else { Err(format!("outbound health is {status}")) }
}

fn hosts(metadata: &Value) -> bool {
    let runtime = &metadata["actorRuntime"];
    let connected = runtime["placement"]
        .as_str()
        .is_some_and(|text| text.contains("connected") && !text.contains("disconnected"));
    runtime["hostReady"] == true && connected
}
