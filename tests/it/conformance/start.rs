//! Starts the servers under test: the embedded one as a process and within this one, and daprd with its control
//! plane and Redis.

use std::net::Ipv4Addr;
use std::path::Path;

use callboard_sidecar::embedded::{self, AppService, Server as Embedded};
use callboard_sidecar::{Endpoint, Sidecar};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::app::{Answer, App};
use super::documents::{self, APP_ID};
use super::releases::Server;
use super::target::{API_TOKEN, APP_TOKEN, Second, Target};
use crate::harness::{DaprCluster, Launch, Process, Redis, START, SidecarSpec, free_port, http, scratch};

/// The embedded server in a process of its own.
pub struct EmbeddedProcess {
    pub process: Process,
    pub http: String,
    pub grpc: String,
    health: String,
}

impl EmbeddedProcess {
    /// Starts it over a folder's database and waits until it has asked the application.
    pub async fn start(dir: &Path, components: &Path, app: &str, env: &[(&str, &str)]) -> Self {
        let [http, grpc] = [free_port(), free_port()];
        let mut launch = Launch::new(format!("embedded-{http}"), env!("CARGO_BIN_EXE_embedded-sidecar"))
            .arg(APP_ID)
            .arg(dir.join("sidecar.db"))
            .arg(components)
            .args([http.to_string(), grpc.to_string(), app.to_owned()]);
        for (name, value) in env {
            launch = launch.env(*name, *value);
        }
        let http = format!("http://127.0.0.1:{http}");
        let mut started = Self {
            process: Process::start(launch, dir),
            health: format!("{http}/v1.0/healthz"),
            http,
            grpc: format!("http://127.0.0.1:{grpc}"),
        };
        started.ready().await;
        started
    }

    /// Starts it again over the same database; what still runs is killed first.
    pub async fn restart(&mut self) {
        self.process.restart();
        self.ready().await;
    }

    async fn ready(&mut self) {
        let client = http();
        let healthy = || async {
            let answer = client.get(&self.health).send().await.map_err(|error| format!("{error:?}"))?;
            if answer.status() == 204 { Ok(()) } else { Err(format!("health is {}", answer.status())) }
        };
        self.process.until(START, healthy).await;
    }
}

/// Serves an application on a free port; returns its base URL and port.
pub async fn serve(app: &App) -> (String, u16, JoinHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("a bound socket has an address").port();
    let router = app.router();
    let task =
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves until aborted") });
    (format!("http://127.0.0.1:{port}"), port, task)
}

pub fn connect(grpc: &str, api_token: Option<&str>) -> Sidecar {
    let endpoint = Endpoint { grpc: grpc.to_owned(), api_token: api_token.map(str::to_owned) };
    Sidecar::connect(&endpoint).expect("an address")
}

const TOKENS: [(&str, &str); 2] = [("DAPR_API_TOKEN", API_TOKEN), ("APP_API_TOKEN", APP_TOKEN)];

/// The application of the second server, which hosts a type of its own.
fn second_app() -> App {
    let app = App::new();
    app.always("/dapr/config", Answer::json(&json!({"entities": ["Second"]})));
    app.always(
        "/dapr/subscribe",
        Answer::json(&json!([
            {"pubsubname": "pubsub", "topic": "second", "route": "/on/second"},
        ])),
    );
    app
}

/// The embedded server, reached like daprd: its own process, sockets everywhere.
pub async fn sockets() -> Target {
    let (components, dir, second_dir) = (documents::local(), scratch(), scratch());
    let (app, second_app) = (App::new(), second_app());
    let (url, _, serving) = serve(&app).await;
    let (second_url, _, second_serving) = serve(&second_app).await;
    let (first, second) = tokio::join!(
        EmbeddedProcess::start(dir.path(), components.path(), &url, &[]),
        EmbeddedProcess::start(second_dir.path(), components.path(), &second_url, &TOKENS),
    );
    let (http, grpc) = (first.http.clone(), first.grpc.clone());
    Target {
        server: Server::Embedded,
        sidecar: connect(&grpc, None),
        http,
        grpc,
        app,
        second: tokio::sync::Mutex::new(Second {
            http: second.http.clone(),
            grpc: second.grpc.clone(),
            app: second_app,
            serving: second_serving,
            redis: None,
        }),
        client: crate::harness::http(),
        _owned: vec![Box::new((first, second, components, dir, second_dir, serving))],
    }
}

/// The embedded server within this process: neither the client nor the application are behind a socket.
pub async fn in_process() -> Target {
    let (components, dir) = (documents::local(), scratch());
    let (app, second_app) = (App::new(), second_app());
    let (second_url, _, second_serving) = serve(&second_app).await;
    let any = Some((Ipv4Addr::LOCALHOST, 0).into());
    let config = |name: &str, app, tokens: bool| embedded::Config {
        app_id: APP_ID.to_owned(),
        database: dir.path().join(name),
        components: components.path().to_owned(),
        http: any,
        grpc: any,
        api_token: tokens.then(|| API_TOKEN.to_owned()),
        app_token: tokens.then(|| APP_TOKEN.to_owned()),
        app,
    };
    let service = AppService::new(app.router());
    let first = Embedded::start(config("first.db", embedded::App::InProcess(service), false)).await;
    let first = first.expect("the embedded server starts");
    let second = Embedded::start(config("second.db", embedded::App::Http(second_url), true)).await;
    let second = second.expect("the embedded server starts");
    tokio::join!(first.app_ready(), second.app_ready());
    let url =
        |addr: Option<std::net::SocketAddr>| format!("http://{}", addr.expect("it was asked to listen"));
    Target {
        server: Server::Embedded,
        http: url(first.http_addr()),
        grpc: url(first.grpc_addr()),
        sidecar: first.sidecar(),
        app,
        second: tokio::sync::Mutex::new(Second {
            http: url(second.http_addr()),
            grpc: url(second.grpc_addr()),
            app: second_app,
            serving: second_serving,
            redis: None,
        }),
        client: crate::harness::http(),
        _owned: vec![Box::new((first, second, components, dir))],
    }
}

/// A real daprd, with placement, scheduler and Redis.
pub async fn daprd() -> Target {
    let (cluster, redis, second_redis) = tokio::join!(DaprCluster::start(), Redis::start(), Redis::start());
    let components = documents::redis();
    let (app, second_app) = (App::new(), second_app());
    let (_, port, serving) = serve(&app).await;
    let (_, second_port, second_serving) = serve(&second_app).await;
    let spec = |port, redis: &Redis| {
        SidecarSpec::new(APP_ID)
            .app_port(port)
            .resources(components.path())
            .redis(redis.address())
            .app_health_check()
    };
    let mut second = spec(second_port, &second_redis);
    for (name, value) in TOKENS {
        second = second.env(name, value);
    }
    let (first, second) = tokio::join!(cluster.sidecar(spec(port, &redis)), cluster.sidecar(second));
    first.hosts_actors().await;
    // Placement tells of the types a little later; until then calls and reminders' ticks wait.
    let warm = http().post(format!("{}/v1.0/actors/Probe/warm/method/up", first.http())).send().await;
    assert_eq!(warm.expect("the sidecar answers").status(), 200);
    let (http, grpc) = (first.http(), first.grpc());
    Target {
        server: Server::of_daprd(),
        sidecar: connect(&grpc, None),
        http,
        grpc,
        app,
        second: tokio::sync::Mutex::new(Second {
            http: second.http(),
            grpc: second.grpc(),
            app: second_app,
            serving: second_serving,
            redis: Some(second_redis),
        }),
        client: crate::harness::http(),
        _owned: vec![Box::new((first, second, cluster, redis, components, serving))],
    }
}
