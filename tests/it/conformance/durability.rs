//! `kill -9`: what a server has acknowledged is there after its restart, on the embedded server and on daprd.
//!
//! Callers save, publish and register reminders as fast as they can; the server is killed among them. Whatever a
//! caller had an answer for must be read, delivered and fired afterwards.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use callboard_sidecar::{Fence, Publish, Reminder, Save, Sidecar, Ttl};

use super::app::{Answer, App, Gate, WITHIN};
use super::documents;
use super::figures::QUIET;
use super::start::{EmbeddedProcess, connect, serve};
use crate::harness::{DaprCluster, Redis, SidecarSpec, eventually, scratch};

const WRITERS: usize = 4;
/// Answers after which the server is killed.
const ENOUGH: usize = 400;
/// Reminders a writer registers: each ticks every second until the end of the test.
const REMINDERS: usize = 5;
const ROUTE: &str = "/on/plain-kept";

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    saved: Mutex<Vec<String>>,
    published: Mutex<Vec<String>>,
    reminders: Mutex<Vec<String>>,
    answers: AtomicUsize,
    killed: AtomicBool,
}

// === impl Acknowledged ===

impl Acknowledged {
    fn note(&self, list: &Mutex<Vec<String>>, name: String) {
        list.lock().expect("no panic while a name is noted").push(name);
        self.answers.fetch_add(1, SeqCst);
    }

    /// Before the kill every write has to succeed.
    fn ended(&self, error: &callboard_sidecar::Error) {
        assert!(self.killed.load(SeqCst), "before the kill: {error:?}");
    }

    /// Writes until the server is gone.
    async fn write(self: Arc<Self>, sidecar: Sidecar, writer: usize) {
        for n in 0.. {
            let name = format!("w{writer}-{n}");
            let data = Bytes::from(format!("\"{name}\""));
            let item = Save { key: name.clone(), data: data.clone(), fence: Fence::None, ttl: Ttl::Keep };
            if let Err(error) = sidecar.save("statestore", vec![item]).await {
                return self.ended(&error);
            }
            self.note(&self.saved, name.clone());
            let message = Publish {
                pubsub: "plain".into(),
                topic: "plain-kept".into(),
                data,
                content_type: "application/json".into(),
                metadata: Default::default(),
            };
            if let Err(error) = sidecar.publish(message).await {
                return self.ended(&error);
            }
            self.note(&self.published, name.clone());
            if n >= REMINDERS {
                continue;
            }
            let reminder = Reminder {
                actor_type: "Probe".into(),
                actor_id: name.clone(),
                name: "kept".into(),
                due: Some(Duration::from_secs(1)),
                period: Some(Duration::from_secs(1)),
                data: Bytes::new(),
            };
            if let Err(error) = sidecar.register_reminder(reminder).await {
                return self.ended(&error);
            }
            self.note(&self.reminders, name);
        }
    }
}

/// Writes until enough is acknowledged, kills the server among the writes, and looks for all of it.
async fn survives<K: AsyncFnMut(bool)>(app: App, grpc: String, mut server: K) {
    // Before the kill no delivery is ever answered: all that was published is the server's to keep.
    let never = Gate::new();
    app.always(ROUTE, Answer::default().after(&never));
    let acknowledged = Arc::new(Acknowledged::default());
    // A server that answers may not have asked the app yet which actors it hosts; reminders are refused until then.
    let sidecar = connect(&grpc, None);
    eventually(WITHIN, || async {
        let metadata = sidecar.metadata().await.map_err(|error| error.to_string())?;
        if metadata.host_ready { Ok(()) } else { Err(format!("{metadata:?}")) }
    })
    .await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(acknowledged.clone().write(connect(&grpc, None), writer)))
        .collect();
    eventually(WITHIN, || async {
        let answers = acknowledged.answers.load(SeqCst);
        let reminders = acknowledged.reminders.lock().expect("no panic while a name is noted").len();
        let enough = answers >= ENOUGH && reminders == WRITERS * REMINDERS;
        if enough { Ok(()) } else { Err((answers, reminders)) }
    })
    .await;
    acknowledged.killed.store(true, SeqCst);
    server(false).await;
    for writer in writers {
        tokio::time::timeout(WITHIN, writer).await.expect("a writer sees the end").expect("and no more");
    }
    app.always(ROUTE, Answer::default());
    let ticked = |name: &str| app.asked(&format!("/actors/Probe/{name}/method/remind/kept")).len();
    let reminders = acknowledged.reminders.lock().expect("writers have ended").clone();
    let before: Vec<usize> = reminders.iter().map(|name| ticked(name)).collect();
    server(true).await;

    let sidecar = connect(&grpc, None);
    let saved = acknowledged.saved.lock().expect("writers have ended").clone();
    let found = sidecar.get_bulk("statestore", saved.clone()).await.expect("the state is read");
    for name in &saved {
        let value = found.get(name).map(|entry| entry.data.clone());
        assert_eq!(value, Some(Bytes::from(format!("\"{name}\""))), "{name} was acknowledged");
    }
    let published = acknowledged.published.lock().expect("writers have ended").clone();
    eventually(WITHIN, || async {
        let asked = app.asked(ROUTE);
        let delivered: std::collections::BTreeSet<String> = asked
            .iter()
            .filter(|asked| asked.answered.load(SeqCst))
            .filter_map(|asked| asked.json()["data"].as_str().map(str::to_owned))
            .collect();
        let lost: Vec<_> = published.iter().filter(|name| !delivered.contains(*name)).collect();
        if lost.is_empty() { Ok(()) } else { Err(format!("{} of {}: {lost:?}", lost.len(), published.len())) }
    })
    .await;
    eventually(WITHIN, || async {
        let silent: Vec<_> =
            reminders.iter().zip(&before).filter(|(name, before)| ticked(name) <= **before).collect();
        if silent.is_empty() { Ok(()) } else { Err(format!("{silent:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_embedded_server_acknowledged_survives_kill_9() {
    let _cases = QUIET.read().await;
    let (app, components, dir) = (App::new(), documents::local(), scratch());
    let (url, _, serving) = serve(&app).await;
    let mut process = EmbeddedProcess::start(dir.path(), components.path(), &url, &[]).await;
    let grpc = process.grpc.clone();
    survives(
        app,
        grpc,
        async |start: bool| {
            if start { process.restart().await } else { process.process.kill() }
        },
    )
    .await;
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_daprd_acknowledged_survives_kill_9() {
    let _cases = QUIET.read().await;
    let (cluster, redis) = tokio::join!(DaprCluster::start(), Redis::start());
    let (app, components) = (App::new(), documents::redis());
    let (_, port, serving) = serve(&app).await;
    let spec = SidecarSpec::new(documents::APP_ID)
        .app_port(port)
        .resources(components.path())
        .redis(redis.address())
        .app_health_check();
    let mut sidecar = cluster.sidecar(spec).await;
    sidecar.hosts_actors().await;
    let grpc = sidecar.grpc();
    survives(app, grpc, async |start: bool| {
        if !start {
            return sidecar.kill();
        }
        sidecar.restart().await;
        sidecar.hosts_actors().await;
    })
    .await;
    serving.abort();
}
