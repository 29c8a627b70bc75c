//! Measures the embedded sidecar in this process: saves, reads, publish to delivery, actor calls, reminders.
//!
//! `cargo run --release -p callboard-sidecar --example load [seconds per figure]`

#![allow(clippy::unwrap_used, reason = "a measurement may fall over")]

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use callboard_sidecar::embedded::{App, AppService, Config, Server};
use callboard_sidecar::{Endpoint, Fence, Publish, Reminder, Save, Sidecar, Ttl};

const DATA: &[u8] = &[b'x'; 512];

#[tokio::main]
async fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let span = Duration::from_secs_f64(seconds);
    let folder = tempfile::tempdir_in(std::env::current_dir().unwrap()).unwrap();
    let delivered = Arc::new(AtomicU64::new(0));
    let config = Config {
        app_id: "load".into(),
        database: folder.path().join("load.db"),
        components: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../components/local"),
        http: None,
        grpc: Some(([127, 0, 0, 1], 0).into()),
        api_token: None,
        app_token: None,
        app: App::InProcess(app(delivered.clone())),
    };
    let server = Server::start(config).await.unwrap();
    server.app_ready().await;
    let socket = format!("http://{}", server.grpc_addr().unwrap());
    let socket = Sidecar::connect(&Endpoint { grpc: socket, api_token: None }).unwrap();
    for (hop, sidecar) in [("in process", server.sidecar()), ("socket", socket)] {
        println!("{hop}");
        for callers in [1, 16, 64] {
            measure("save 512 B", callers, span, &sidecar, |sidecar, caller, n| {
                let data = Bytes::from_static(DATA);
                async move {
                    let key = format!("{{r{caller}-{}}}.doc", n % 100);
                    let item = Save { key, data, fence: Fence::None, ttl: Ttl::Keep };
                    sidecar.save("statestore", vec![item]).await.unwrap();
                }
            })
            .await;
            measure("get 512 B", callers, span, &sidecar, |sidecar, caller, n| async move {
                sidecar.get("statestore", &format!("{{r{caller}-{}}}.doc", n % 100)).await.unwrap();
            })
            .await;
            delivered.store(0, Relaxed);
            let published = measure("publish 512 B", callers, span, &sidecar, |sidecar, _, _| {
                let data = Bytes::from_static(DATA);
                async move {
                    let message = Publish {
                        pubsub: "pubsub".into(),
                        topic: "load".into(),
                        data,
                        content_type: String::new(),
                        metadata: Default::default(),
                    };
                    sidecar.publish(message).await.unwrap();
                }
            })
            .await;
            let start = Instant::now();
            while delivered.load(Relaxed) < published {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            println!("    all delivered after {:.0} ms more", start.elapsed().as_secs_f64() * 1e3);
            measure("invoke actor", callers, span, &sidecar, |sidecar, caller, _| async move {
                sidecar.invoke_actor("A", &caller.to_string(), "m", Bytes::new()).await.unwrap();
            })
            .await;
            measure("register reminder", callers, span, &sidecar, |sidecar, caller, _| async move {
                let reminder = Reminder {
                    actor_type: "A".into(),
                    actor_id: caller.to_string(),
                    name: "wake".into(),
                    due: Some(Duration::from_secs(3600)),
                    period: Some(Duration::from_secs(600)),
                    data: Bytes::new(),
                };
                sidecar.register_reminder(reminder).await.unwrap();
            })
            .await;
        }
    }
    server.shutdown().await;
}

fn app(delivered: Arc<AtomicU64>) -> AppService {
    AppService::new(tower::service_fn(move |request: http::Request<Body>| {
        let delivered = delivered.clone();
        async move {
            let body = match request.uri().path() {
                "/dapr/config" => r#"{"entities":["A"]}"#,
                "/dapr/subscribe" => r#"[{"pubsubname":"pubsub","topic":"load","route":"/in"}]"#,
                "/in" => {
                    delivered.fetch_add(1, Relaxed);
                    ""
                }
                _ => "",
            };
            Ok::<_, Infallible>(http::Response::new(Body::from(body)))
        }
    }))
}

async fn measure<F, R>(what: &str, callers: usize, span: Duration, sidecar: &Sidecar, call: F) -> u64
where
    F: Fn(Sidecar, usize, u64) -> R + Clone + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let (call, sidecar) = (call.clone(), sidecar.clone());
            tokio::spawn(async move {
                let mut times = Vec::new();
                while start.elapsed() < span {
                    let before = Instant::now();
                    call(sidecar.clone(), caller, times.len() as u64).await;
                    times.push(before.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.unwrap());
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "  {what:<18} {callers:>3} callers {rate:>8.0}/s   p50 {:.3} ms   p99 {:.3} ms",
        at(0.5),
        at(0.99)
    );
    times.len() as u64
}
