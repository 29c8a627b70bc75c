//! Stands between a sidecar and two hosts, and gives each call to one of them by chance, or to both at once.

use super::workload::Dice;
use crate::harness::http;
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::Response,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A sidecar's app that is two hosts.
pub struct Between {
    pub url: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    client: reqwest::Client,
    /// Base URLs of the hosts' app channels.
    hosts: [String; 2],
    dice: Mutex<Dice>,
    went: Mutex<[usize; 3]>,
    runs: Mutex<BTreeSet<String>>,
}

impl Between {
    pub async fn serve(hosts: [String; 2]) -> Self {
        let shared = Arc::new(Shared {
            client: http(),
            hosts,
            dice: Mutex::new(Dice::new(6)),
            went: Mutex::default(),
            runs: Mutex::default(),
        });
        let router = Router::new().fallback(pass).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serving") });
        Self { url, shared, task }
    }

    /// Returns how many calls went to the first, to the second, and to both.
    pub fn went(&self) -> [usize; 3] {
        *self.shared.went.lock().expect("no panic while held")
    }

    /// Returns the runs whose actors were called so far.
    pub fn runs(&self) -> Vec<String> {
        self.shared.runs.lock().expect("no panic while held").iter().cloned().collect()
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 8 << 20).await.unwrap_or_default();
    let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
    if head.method == Method::GET {
        // What the hosts are is the same for both, and asked before they are there.
        for _ in 0..2000 {
            if let Some(answer) = shared.send(0, &head, &path, &body).await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    if let Some(run) = path.strip_prefix("/actors/Workflow/").and_then(|rest| rest.split('/').next()) {
        shared.runs.lock().expect("no panic while held").insert(run.to_owned());
    }
    let way = match shared.dice.lock().expect("no panic while held").roll(10) {
        0..4 => 0,
        4..8 => 1,
        _ => 2,
    };
    shared.went.lock().expect("no panic while held")[way] += 1;
    let answer = if way == 2 || head.method == Method::DELETE {
        let (a, b) = tokio::join!(shared.send(0, &head, &path, &body), shared.send(1, &head, &path, &body));
        a.or(b)
    } else {
        shared.send(way, &head, &path, &body).await
    };
    answer.unwrap_or_else(|| status(StatusCode::BAD_GATEWAY))
}

impl Shared {
    async fn send(
        &self,
        host: usize,
        head: &axum::http::request::Parts,
        path: &str,
        body: &[u8],
    ) -> Option<Response> {
        let mut request = self.client.request(head.method.clone(), format!("{}{path}", self.hosts[host]));
        for (name, value) in &head.headers {
            if name != header::HOST && name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING {
                request = request.header(name, value);
            }
        }
        let answer = request.body(body.to_vec()).send().await.ok()?;
        let mut response = Response::builder().status(answer.status());
        for (name, value) in answer.headers() {
            if name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING {
                response = response.header(name, value);
            }
        }
        response.body(Body::from(answer.bytes().await.ok()?)).ok()
    }
}

fn status(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
