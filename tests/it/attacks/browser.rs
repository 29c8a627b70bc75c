//! A page in a real browser, on another origin or under a name that was bound to this machine after it was loaded,
//! tries all that a page can: nothing is started, written, published or read.

use super::target::Target;
use crate::{
    e2e::api::Api,
    harness::{
        Callboard, DaprCluster, DaprRun, Launch, Model, Overrides, Process, Redis, Upstream, root, scratch,
    },
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    response::{Html, IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use std::{env, path::PathBuf, time::Duration};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::mpsc};

const PAGE: &str = include_str!("../../browser/attack.html");
/// Stands in whatever a page writes.
const MARKER: &str = "pwned-by-a-page";
const SECRET: &str = "s3cret-of-the-shop";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_on_another_origin_starts_reads_and_changes_nothing() {
    let victim = Victim::start().await;
    let control = Upstream::start().await;
    let mut bases = victim.bases();
    bases.push(control.url());
    let mut pages = Pages::new();
    let config = victim.config(&bases);
    let port = pages.serve("127.0.0.1", 0, config, None).await;
    let rules = format!("MAP evil.example:{port} 127.0.0.1:{port}");
    let reports = pages.open(&format!("http://evil.example:{port}/"), &rules, 1).await;
    // What a page can send without asking first arrives where nobody looks at it.
    let arrived = control.script.requests();
    for (what, found) in [
        (
            "forms",
            arrived
                .iter()
                .any(|r| r.header("content-type").is_some_and(|t| t.starts_with("multipart/form-data"))),
        ),
        ("text/plain", arrived.iter().any(|r| r.header("content-type") == Some("text/plain"))),
        ("images", arrived.iter().any(|r| r.header("sec-fetch-dest") == Some("image"))),
        ("beacons and simple fetches", arrived.iter().any(|r| r.header("sec-fetch-mode") == Some("no-cors"))),
    ] {
        assert!(found, "INVALID: the control saw no {what} in {} requests", arrived.len());
    }
    victim.unharmed(&reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_rebound_to_this_machine_starts_reads_and_changes_nothing() {
    let victim = Victim::start().await;
    let mut pages = Pages::new();
    // Under the same port at another address: first the page, then whatever listens here.
    let ports = [victim.api_port(), victim.target.dev.dapr_http_port];
    let mut next = None;
    for port in ports {
        let base = format!("http://evil.example:{port}");
        let mut config = victim.config(std::slice::from_ref(&base));
        config["next"] = json!(next);
        pages.serve("127.0.0.2", port, config, Some(port)).await;
        next = Some(format!("{base}/"));
    }
    let reports = pages.open(&next.expect("two pages"), "MAP evil.example 127.0.0.2", ports.len()).await;
    let answered = |report: &Value| {
        let seen = report["seen"].as_array().expect("a list");
        seen.iter().any(|one| one["got"].as_str().is_some_and(|got| got.contains(" basic ")))
    };
    assert!(reports.iter().all(answered), "INVALID: a page of the same origin can see answers");
    victim.unharmed(&reports).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_reaches_no_port_of_an_app_beside_dapr() {
    let (redis, cluster, model) = (Redis::start().await, DaprCluster::start().await, Model::start().await);
    let env = [
        ("OPENAI_BASE_URL".to_owned(), model.base_url()),
        ("OPENAI_API_KEY".to_owned(), "sk-test".to_owned()),
    ];
    let overrides = Overrides { redis: redis.address(), env: env.into(), ..Overrides::default() };
    let mut apps = DaprRun::start(&root().join("dapr"), &cluster, overrides).await;
    let app = apps.app("workflow-service");
    let api = Api::new(&app.url, &app.sidecar.http());
    let waits =
        json!({"name": "waits", "nodes": [{"id": "a", "type": "signal", "config": {"name": "never"}}]});
    let workflow = api.create(&waits).await;
    let run = api.start(&workflow, json!({})).await;
    api.until(&run, "waiting").await;
    // The API, and where daprd calls back, of both.
    let ports = |app: &crate::harness::App| [app.url.clone(), format!("http://127.0.0.1:{}", app.app_port)];
    let bases: Vec<_> = apps.apps.iter().flat_map(ports).collect();
    let mut pages = Pages::new();
    let config = json!({"bases": bases, "marker": MARKER, "run": run, "workflow": workflow, "next": null, "short": true});
    let port = pages.serve("127.0.0.1", 0, config, None).await;
    let rules = format!("MAP evil.example:{port} 127.0.0.1:{port}");
    let reports = pages.open(&format!("http://evil.example:{port}/"), &rules, 1).await;
    let seen = reports[0]["seen"].as_array().expect("a list");
    let read: Vec<_> = seen.iter().filter(|one| has_read(one)).collect();
    let runs = api.get("/runs").await["items"].as_array().map_or(0, Vec::len);
    let status = api.get(&format!("/runs/{run}")).await["status"].clone();
    eprintln!(
        "{} tries: {} answers read, {} runs started, {} calls of the model, the run is {status}",
        seen.len(),
        read.len(),
        runs - 1,
        model.script().calls()
    );
    assert_eq!((read.first(), runs, status, model.script().calls()), (None, 1, json!("waiting"), 0));
}

/// A server with something to lose.
struct Victim {
    target: Target,
    run: String,
    workflow: String,
}

impl Victim {
    async fn start() -> Self {
        let target = Target::with().env("CALLBOARD_SECRET_shop", SECRET).start().await;
        let waits =
            json!({"name": "waits", "nodes": [{"id": "a", "type": "signal", "config": {"name": "never"}}]});
        let workflow = target.api.create(&waits).await;
        let run = target.api.start(&workflow, json!({})).await;
        target.api.until(&run, "waiting").await;
        Self { target, run, workflow }
    }

    fn api_port(&self) -> u16 {
        self.target.dev.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
    }

    /// Every port of it, by the address that a page has to guess.
    fn bases(&self) -> Vec<String> {
        let Callboard { url, dapr_grpc_port, .. } = &self.target.dev;
        vec![url.clone(), self.target.dev.dapr_http(), format!("http://127.0.0.1:{dapr_grpc_port}")]
    }

    fn config(&self, bases: &[String]) -> Value {
        json!({"bases": bases, "marker": MARKER, "run": self.run, "workflow": self.workflow, "next": null, "short": !super::full()})
    }

    async fn unharmed(&self, reports: &[Value]) {
        let api = &self.target.api;
        let mut wrong = Vec::new();
        for report in reports {
            let seen = report["seen"].as_array().expect("a list");
            eprintln!("{}: {} tries", report["from"], seen.len());
            assert!(seen.len() > 200, "INVALID: it tried {} things", seen.len());
            wrong.extend(seen.iter().filter(|one| has_read(one)).map(|one| one.to_string()));
        }
        if wrong.len() > 10 {
            let told = format!("{} answers were read", wrong.len());
            wrong.truncate(10);
            wrong.push(told);
        }
        let runs = api.get("/runs").await;
        let ids: Vec<_> =
            runs["items"].as_array().expect("items").iter().map(|run| run["id"].clone()).collect();
        if ids != [json!(self.run)] {
            wrong.push(format!("{} runs were started: {:?}", ids.len().saturating_sub(1), ids.first()));
        }
        let run = api.get(&format!("/runs/{}", self.run)).await;
        if run["status"] != "waiting" {
            wrong.push(format!("the run that was there is {}", run["status"]));
        }
        let workflows = api.get("/workflows").await["items"].as_array().map_or(0, Vec::len);
        if workflows != 1 {
            wrong.push(format!("{} workflows were saved", workflows - 1));
        }
        let stored = self.target.stores(MARKER);
        if !stored.is_empty() {
            wrong.push(format!("what a page wrote stands in {stored:?}"));
        }
        let metadata = api.client.get(format!("{}/v1.0/metadata", api.dapr)).send().await.expect("an answer");
        if metadata.text().await.expect("a body").contains(MARKER) {
            wrong.push("the sidecar's metadata was written".to_owned());
        }
        let asked = self.target.model.script().calls();
        if asked > 0 {
            wrong.push(format!("a model was asked {asked} times"));
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Whether a page could read something of the server's.
fn has_read(one: &Value) -> bool {
    let (how, got) = (one["how"].as_str().unwrap_or_default(), one["got"].as_str().unwrap_or_default());
    let status = got.split(' ').next().and_then(|word| word.parse::<u16>().ok());
    let good = status.is_some_and(|status| status < 400);
    let own = one["url"].as_str().is_some_and(|url| url.ends_with("/"));
    good && !own
        || how == "script" && got == "loaded"
        || ["open", "message"].iter().any(|word| got.starts_with(word))
}

/// Servers of attacking pages, and what the pages report.
struct Pages {
    sender: mpsc::UnboundedSender<Value>,
    reports: mpsc::UnboundedReceiver<Value>,
}

impl Pages {
    fn new() -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        Self { sender, reports }
    }

    /// Serves the page; whatever else is asked goes, as it came, to a port of 127.0.0.1.
    async fn serve(&mut self, ip: &str, port: u16, config: Value, behind: Option<u16>) -> u16 {
        let listener = TcpListener::bind((ip, port)).await.expect("an address of this machine");
        let port = listener.local_addr().expect("an address").port();
        let page = PAGE.replace("/*CONFIG*/null", &config.to_string());
        let sender = self.sender.clone();
        let report = move |body: Bytes| {
            sender.send(serde_json::from_slice(&body).expect("a report")).expect("somebody waits");
            std::future::ready(())
        };
        let mut app = Router::new()
            .route("/", get(move || std::future::ready(Html(page.clone()))))
            .route("/report", post(report));
        if let Some(port) = behind {
            let client = crate::harness::http();
            app = app.fallback(move |request| forward(client.clone(), port, request));
        }
        tokio::spawn(async move { axum::serve(listener, app).await });
        port
    }

    /// Opens the first page in a browser and waits for all reports.
    async fn open(&mut self, url: &str, rules: &str, count: usize) -> Vec<Value> {
        let folder: TempDir = scratch();
        let launch = Launch::new("chromium", chromium())
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-dev-shm-usage", "--disable-component-update", "--no-proxy-server", "--mute-audio"])
            // The browser's own protections are not what is tried.
            .arg("--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable,LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests")
            .arg(format!("--host-resolver-rules={rules}"))
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(url);
        let mut browser = Process::start(launch, folder.path());
        let mut reports = Vec::new();
        while reports.len() < count {
            let report = tokio::time::timeout(Duration::from_secs(120), self.reports.recv()).await;
            let report = report.unwrap_or_else(|_| panic!("no report came\n{}", browser.tail()));
            reports.push(report.expect("a report"));
        }
        browser.kill();
        reports
    }
}

/// Hands a request to a port of 127.0.0.1 with the headers it has, the host included.
async fn forward(client: reqwest::Client, port: u16, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a small body");
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let sent = client
        .request(head.method, format!("http://127.0.0.1:{port}{path}"))
        .headers(head.headers)
        .body(body);
    match sent.timeout(Duration::from_secs(5)).send().await {
        Ok(answer) => {
            let (status, headers) = (answer.status(), answer.headers().clone());
            let mut response = Response::new(Body::from(answer.bytes().await.unwrap_or_default()));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            response.headers_mut().remove("transfer-encoding");
            response
        }
        Err(_) => axum::http::StatusCode::BAD_GATEWAY.into_response(),
    }
}

fn chromium() -> PathBuf {
    if let Some(named) = env::var_os("CALLBOARD_CHROMIUM") {
        return named.into();
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found =
        env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file());
    found.expect("there is no chromium on the PATH: run scripts/browser-ensure")
}
