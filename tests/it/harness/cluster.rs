//! Dapr's control plane for one test: placement and scheduler, as a self-hosted Dapr has
//! them, and the sidecars that join it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::programs::{self, Release, release};
use super::{Launch, Process, START, Sidecar, SidecarSpec, free_port, http, scratch};

/// A running placement and scheduler.
pub struct DaprCluster {
    pub placement: Process,
    pub scheduler: Process,
    placement_port: u16,
    scheduler_port: u16,
    health: [String; 2],
    pub(super) dir: TempDir,
}

impl DaprCluster {
    pub async fn start() -> Self {
        let dir = scratch();
        let [placement_port, scheduler_port, placement_health, scheduler_health] =
            [(); 4].map(|()| free_port());
        let data = dir.path().join("scheduler");
        fs::create_dir(&data).expect("a folder for the scheduler");
        // etcd refuses a folder that others may read.
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("a private folder");
        let scheduler = scheduler(scheduler_port, scheduler_health, &data.to_string_lossy());
        let mut cluster = Self {
            placement: Process::start(placement(placement_port, placement_health), dir.path()),
            scheduler: Process::start(scheduler, dir.path()),
            placement_port,
            scheduler_port,
            health: [placement_health, scheduler_health]
                .map(|port| format!("http://127.0.0.1:{port}/healthz")),
            dir,
        };
        cluster.ready().await;
        cluster
    }

    /// Returns what sidecars are told as placement's address.
    ///
    /// Dapr 1.14 closes its connection when the stream breaks, or when the app is unhealthy,
    /// and then tries for ever to use the closed one, unless there is another address to turn
    /// to. So it gets the same one in two spellings.
    pub fn placement_address(&self) -> String {
        let port = self.placement_port;
        if release() < Release::V1_15 {
            return format!("127.0.0.1:{port},localhost:{port}");
        }
        format!("127.0.0.1:{port}")
    }

    pub fn scheduler_address(&self) -> String {
        format!("127.0.0.1:{}", self.scheduler_port)
    }

    /// Starts a daprd and waits until its API answers.
    pub async fn sidecar(&self, spec: SidecarSpec) -> Sidecar {
        let mut sidecar = Sidecar::spawn(self, spec);
        sidecar.ready().await;
        sidecar
    }

    /// Starts placement again with an empty table, which the sidecars fill when they come back.
    pub async fn restart_placement(&mut self) {
        self.placement.restart();
        self.ready().await;
    }

    /// Ends the scheduler and starts it again over the reminders it has.
    ///
    /// It is asked to end: one that is killed keeps its lease, and reminders pause until
    /// that has run out, 20 s later.
    pub async fn restart_scheduler(&mut self) {
        self.scheduler.terminate(START).await;
        self.scheduler.restart();
        self.ready().await;
    }

    /// Waits until both are healthy.
    pub async fn ready(&mut self) {
        let client = http();
        for (process, url) in [&mut self.placement, &mut self.scheduler].into_iter().zip(&self.health) {
            let healthy = || async {
                let answer = client.get(url).send().await.map_err(|error| format!("{error:?}"))?;
                if answer.status().is_success() {
                    Ok(())
                } else {
                    Err(format!("health is {}", answer.status()))
                }
            };
            process.until(START, healthy).await;
        }
    }
}

fn placement(port: u16, health: u16) -> Launch {
    let raft = free_port();
    Launch::new("placement", programs::dapr("placement"))
        .args([
            "--id",
            "dapr-placement-0",
            "--listen-address",
            "127.0.0.1",
            "--tls-enabled=false",
            "--metadata-enabled=true",
        ])
        .arg(format!("--port={port}"))
        .arg(format!("--healthz-port={health}"))
        .arg("--healthz-listen-address=127.0.0.1")
        .args(metrics())
        .arg(format!("--initial-cluster=dapr-placement-0=127.0.0.1:{raft}"))
}

fn scheduler(port: u16, health: u16, data: &str) -> Launch {
    const ID: &str = "dapr-scheduler-server-0";
    let [peer, client] = [(); 2].map(|()| free_port());
    let launch = Launch::new("scheduler", programs::dapr("scheduler"))
        .args(["--id", ID, "--listen-address", "127.0.0.1", "--etcd-data-dir", data])
        .arg(format!("--port={port}"))
        .arg(format!("--healthz-port={health}"))
        .arg("--healthz-listen-address=127.0.0.1")
        .args(metrics());
    if release() < Release::V1_15 {
        return launch
            .arg("--replica-count=1")
            .arg(format!("--initial-cluster={ID}=http://127.0.0.1:{peer}"))
            .arg(format!("--etcd-client-ports={ID}={client}"));
    }
    launch
        .arg(format!("--override-broadcast-host-port=127.0.0.1:{port}"))
        .arg(format!("--etcd-initial-cluster={ID}=http://127.0.0.1:{peer}"))
        .arg(format!("--etcd-client-port={client}"))
        .arg(format!("--identity-directory-write={data}-identity"))
}

/// Each component would use 9090 by default.
fn metrics() -> [String; 2] {
    [format!("--metrics-port={}", free_port()), "--metrics-listen-address=127.0.0.1".to_owned()]
}
