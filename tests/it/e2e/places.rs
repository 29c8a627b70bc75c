//! The two places every workflow must run in the same way: everything embedded, and two apps beside real daprd.

use super::api::Api;
use crate::harness::{Callboard, DaprCluster, DaprRun, Overrides, Redis, root};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A running Callboard, wherever it keeps its state.
pub enum Place {
    Embedded(Box<Callboard>),
    Beside(Box<Beside>),
}

/// Two apps, two sidecars, placement, scheduler and Redis. Ended in this order.
pub struct Beside {
    pub run: DaprRun,
    pub cluster: DaprCluster,
    pub redis: Redis,
}

impl Place {
    pub async fn embedded(env: &[(&str, &str)]) -> Self {
        Self::embedded_with(env, &root().join("config/agents.yaml")).await
    }

    pub async fn embedded_with(env: &[(&str, &str)], agents: &Path) -> Self {
        let mut dev = Callboard::with();
        for (name, value) in env {
            dev = dev.env(*name, *value);
        }
        Place::Embedded(Box::new(dev.args(["--agents", &agents.display().to_string()]).start().await))
    }

    pub async fn beside(env: &[(&str, &str)]) -> Self {
        Self::beside_with(env, None).await
    }

    /// With other agents than those of the run file.
    pub async fn beside_with(env: &[(&str, &str)], agents: Option<&Path>) -> Self {
        let redis = Redis::start().await;
        let cluster = DaprCluster::start().await;
        let env: BTreeMap<String, String> = env.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let agents = agents.map(Path::to_owned);
        let overrides = Overrides { redis: redis.address(), env, agents, ..Overrides::default() };
        let run = DaprRun::start(&root().join("dapr"), &cluster, overrides).await;
        Place::Beside(Box::new(Beside { run, cluster, redis }))
    }

    pub fn api(&mut self) -> Api {
        match self {
            Place::Embedded(dev) => Api::new(&dev.url, &dev.dapr_http()),
            Place::Beside(beside) => {
                let app = beside.run.app("workflow-service");
                Api::new(&app.url, &app.sidecar.http())
            }
        }
    }

    /// Returns the catalog's file.
    pub fn catalog(&self) -> PathBuf {
        match self {
            Place::Embedded(dev) => dev.data().join("catalog.db"),
            Place::Beside(beside) => beside.run.dir().join("data/catalog.db"),
        }
    }

    /// Returns what the apps' logs say about panics since their last start.
    pub fn panics(&self) -> Vec<String> {
        let logs: Vec<String> = match self {
            Place::Embedded(dev) => vec![dev.process.log()],
            Place::Beside(beside) => {
                beside.run.apps.iter().filter_map(|app| Some(app.process.as_ref()?.log())).collect()
            }
        };
        let mut found = Vec::new();
        for log in &logs {
            let lines: Vec<_> = log.lines().collect();
            for at in (0..lines.len()).filter(|at| lines[*at].contains("panicked at")) {
                let ours = |line: &&&str| line.contains("/crates/") || line.contains("/actors/");
                let trace = lines[at..].iter().take(90).filter(ours).take(6);
                found.push(format!(
                    "{}\n{}\n{}",
                    lines[at],
                    lines[at + 1],
                    trace.copied().collect::<Vec<_>>().join("\n")
                ));
            }
        }
        found
    }

    /// Kills the processes that run workflows and agents, and starts them again.
    pub async fn crash(&mut self) {
        match self {
            Place::Embedded(dev) => {
                dev.kill();
                dev.restart().await;
            }
            Place::Beside(beside) => {
                for app in &mut beside.run.apps {
                    app.process().kill();
                }
                for app in &mut beside.run.apps {
                    app.process().restart();
                }
                for app in &mut beside.run.apps {
                    app.ready().await;
                }
            }
        }
    }
}
