//! What one caller waits for a save, a publish and a call: printed, not judged.

use std::time::{Duration, Instant};

use bytes::Bytes;
use callboard_sidecar::{Fence, Publish, Save, Sidecar, Ttl};
use tokio::sync::RwLock;

use super::target::Target;

/// Cases read, measurements write: they are made while no cases run.
pub static QUIET: RwLock<()> = RwLock::const_new(());

const CALLS: usize = 300;

/// Prints the medians.
pub async fn print(name: &str, target: &Target) {
    let sidecar = &target.sidecar;
    let data = Bytes::from(vec![b'x'; 512]);
    let save = median(|n| save(sidecar, n, &data)).await;
    let publish = median(|_| publish(sidecar, &data)).await;
    let invoke = median(|_| invoke(sidecar, &data)).await;
    // Ours is built as the tests are; daprd is always a release build.
    let built = if cfg!(debug_assertions) { "debug" } else { "release" };
    println!(
        "{name} (ours: {built}): p50 at one caller, 512 B, gRPC: save {save:.2?}, publish {publish:.2?}, invoke {invoke:.2?}"
    );
}

async fn save(sidecar: &Sidecar, n: usize, data: &Bytes) {
    let key = format!("{{figure-{}}}.doc", n % 10);
    let item = Save { key, data: data.clone(), fence: Fence::None, ttl: Ttl::Keep };
    sidecar.save("statestore", vec![item]).await.expect("a save");
}

async fn publish(sidecar: &Sidecar, data: &Bytes) {
    let message = Publish {
        pubsub: "pubsub".into(),
        topic: "figure".into(),
        data: data.clone(),
        content_type: "text/plain".into(),
        metadata: Default::default(),
    };
    sidecar.publish(message).await.expect("a publish");
}

async fn invoke(sidecar: &Sidecar, data: &Bytes) {
    sidecar.invoke_actor("Probe", "figure", "m", data.clone()).await.expect("a call");
}

async fn median<F: Future<Output = ()>>(call: impl Fn(usize) -> F) -> Duration {
    let mut took = Vec::with_capacity(CALLS);
    for n in 0..CALLS {
        let started = Instant::now();
        call(n).await;
        took.push(started.elapsed());
    }
    took.sort();
    took[CALLS / 2]
}
