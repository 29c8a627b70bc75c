//! The two places every workflow must run in the same way: everything embedded, and two apps beside real daprd.

use super::api::Api;
use crate::harness::{Callboard, DaprCluster, DaprRun, Overrides, Redis, root};
use std::collections::BTreeMap;

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
        let mut dev = Callboard::with();
        for (name, value) in env {
            dev = dev.env(*name, *value);
        }
        let agents = root().join("config/agents.yaml");
        Place::Embedded(Box::new(dev.args(["--agents", &agents.display().to_string()]).start().await))
    }

    pub async fn beside(env: &[(&str, &str)]) -> Self {
        let redis = Redis::start().await;
        let cluster = DaprCluster::start().await;
        let env: BTreeMap<String, String> = env.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect();
        let overrides = Overrides { redis: redis.address(), env, ..Overrides::default() };
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
