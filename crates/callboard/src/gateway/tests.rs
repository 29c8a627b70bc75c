//! The routes as a client sees them, over a real catalog. The sidecar is the world: a scripted one that answers
//! actor calls on the wire, or none at all.

mod reads;

use super::*;
use crate::access::Gatekeeper;
use crate::operations::{Heavy, Projections, Rates, Runs, Told, TriggerParts};
use crate::triggers::Vault;
use axum::body::Body;
use callboard_actors::{Keyring, Projects, Recorded, protocol::Caller};
use callboard_catalog::{Catalog, SqliteCatalog};
use callboard_connectors::{http::Guarded, secret::Secret};
use callboard_core::{Timestamp, id::RunId};
use callboard_sidecar::{Endpoint, Sidecar};
use http::{Method, Request, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

mod asked;
mod described;
mod doors;
mod feeds;
mod language;
mod lists;
mod promises;
mod recorded;
mod triggers;

struct Api {
    router: Router,
    operations: Operations,
    catalog: Arc<dyn Catalog>,
    notices: broadcast::Sender<Recorded>,
    _folder: Option<TempDir>,
}

/// An answer: status, headers, body as JSON (null if it is none).
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl Api {
    /// An API whose sidecar does not answer.
    async fn new() -> Self {
        let endpoint = Endpoint { grpc: "http://127.0.0.1:9".into(), api_token: None };
        Self::over(Sidecar::connect(&endpoint).expect("a sidecar"), Limits::new(8, 8)).await
    }

    async fn over(sidecar: Sidecar, limits: Limits) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let catalog = SqliteCatalog::open(folder.path().join("c.db")).await.expect("a catalog");
        let catalog = Arc::new(catalog);
        Self { _folder: Some(folder), ..Self::of(catalog.clone(), catalog, limits, Some(sidecar)) }
    }

    /// An API over a catalog that answers for histories only, without a sidecar.
    async fn over_histories(catalog: Arc<dyn Catalog>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let access = SqliteCatalog::open(folder.path().join("c.db")).await.expect("a catalog");
        Self { _folder: Some(folder), ..Self::of(catalog, Arc::new(access), Limits::new(8, 8), None) }
    }

    /// An API over this catalog; without a sidecar none answers.
    fn of(
        catalog: Arc<dyn Catalog>,
        access: Arc<SqliteCatalog>,
        limits: Limits,
        sidecar: Option<Sidecar>,
    ) -> Self {
        let sidecar = sidecar.unwrap_or_else(|| {
            // Port 9 refuses at once.
            let endpoint = Endpoint { grpc: "http://127.0.0.1:9".into(), api_token: None };
            Sidecar::connect(&endpoint).expect("a sidecar")
        });
        let agents = crate::document::agents(std::path::Path::new("")).expect("agents");
        let registry = prometheus::Registry::new();
        let stop = CancellationToken::new();
        let (notices, _) = broadcast::channel(8);
        let sender = notices.clone();
        let gateway = Gateway {
            operations: Operations {
                runs: Runs {
                    sidecar: sidecar.clone(),
                    caller: Caller { keyring: Keyring::alone([7; 32], true), catalog: catalog.clone() },
                    catalog: catalog.clone(),
                    watch: Arc::new(move |_| sender.subscribe()),
                    live: callboard_actors::Live::default(),
                },
                catalog: catalog.clone(),
                agents: Arc::new(agents),
                bound_secrets: Arc::default(),
                heavy: Heavy::default(),
                projections: Projections::default(),
                told: Told::Here,
                setup: Arc::default(),
                feeds: Default::default(),
                shapes: Default::default(),
                boards: Default::default(),
                access: Gatekeeper::new(access.clone(), b"", Vec::new()),
                triggers: TriggerParts {
                    store: access,
                    vault: Vault::new(&[7; 32]),
                    projects: Projects::usual(
                        Arc::new(Guarded::new(Vec::new(), Vec::new())),
                        Arc::new(BTreeMap::from([("hook".to_owned(), Secret::new("hush"))])),
                    ),
                    rates: Rates::default(),
                },
                oidc: None,
                stop: stop.clone(),
            },
            readiness: Readiness::new(sidecar, catalog.clone(), "statestore", stop),
            limits,
            metrics: HttpMetrics::new(&registry).expect("metrics"),
            registry,
            page: Page::none(),
        };
        let operations = gateway.operations.clone();
        Self { catalog, notices, operations, router: gateway.router(), _folder: None }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().to_string());
        let response = self.router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| {
            if bytes.is_empty() { Value::Null } else { json!(String::from_utf8_lossy(&bytes)) }
        });
        let answer = Answer { status: parts.status.as_u16(), headers: parts.headers, body };
        described::is_as_described(&method, &path, &answer);
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, None, "")).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(request(Method::POST, path, Some("application/json"), &body.to_string())).await
    }
}

fn request(method: Method, path: &str, kind: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(kind) = kind {
        request = request.header(header::CONTENT_TYPE, kind);
    }
    request.body(Body::from(body.to_owned())).expect("a request")
}

/// Asserts a problem of this status and code.
#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{}", answer.body);
    assert_eq!(answer.body["status"], status);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
}

#[tokio::test]
async fn a_workflow_is_created_read_changed_listed_and_hidden() {
    let api = Api::new().await;
    let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.body["id"].as_str().expect("an id").to_owned();
    assert_eq!(made.headers[header::LOCATION], format!("/api/v1/workflows/{id}"));
    assert_eq!(made.body, json!({"id": id, "name": "a", "version": 1, "status": "draft", "problems": []}));

    let path = format!("/api/v1/workflows/{id}");
    let mut read = api.get(&path).await.body;
    assert_eq!((&read["name"], &read["nodes"], &read["status"]), (&json!("a"), &json!([]), &json!("draft")));

    read["name"] = json!("b");
    let put = api.send(request(Method::PUT, &path, Some("application/json"), &read.to_string())).await;
    assert_eq!((put.status, &put.body["version"]), (200, &json!(2)));
    let again = api.send(request(Method::PUT, &path, Some("application/json"), &read.to_string())).await;
    is_problem(&again, 409, "version_conflict");

    assert_eq!(api.get("/api/v1/workflows").await.body["items"][0]["name"], "b");
    assert_eq!(api.send(request(Method::DELETE, &path, None, "")).await.status, 204);
    is_problem(&api.get(&path).await, 404, "unknown_workflow");
    is_problem(&api.send(request(Method::DELETE, &path, None, "")).await, 404, "unknown_workflow");
}

#[tokio::test]
async fn yaml_is_read_by_its_content_type() {
    let api = Api::new().await;
    let yaml = "name: y\nnodes:\n  - {id: w, type: wait, config: {for: 1s}}\n";
    let made = api.send(request(Method::POST, "/api/v1/workflows", Some("application/yaml"), yaml)).await;
    assert_eq!((made.status, &made.body["name"]), (201, &json!("y")), "{}", made.body);
    let broken = api.send(request(Method::POST, "/api/v1/workflows", Some("text/yaml"), "a: [")).await;
    is_problem(&broken, 400, "malformed_yaml");
}

#[tokio::test]
async fn problems_are_listed_and_a_draft_keeps_them() {
    let api = Api::new().await;
    let wrong = json!({"name": "w", "nodes": [{"id": "a", "type": "agent", "config": {"agent": "ghost", "prompt": "p"}}]});
    let refused = api.post("/api/v1/workflows", wrong.clone()).await;
    is_problem(&refused, 422, "invalid_definition");
    assert_eq!(refused.body["problems"][0]["node"], "a", "{}", refused.body);
    let checked = api.post("/api/v1/workflows/check", wrong.clone()).await;
    assert_eq!((checked.status, &checked.body["problems"]), (200, &refused.body["problems"]));
    assert_eq!(api.get("/api/v1/workflows").await.body["items"], json!([]), "a check saves nothing");
    let draft = api.post("/api/v1/workflows?draft=true", wrong).await;
    assert_eq!((draft.status, draft.body["problems"].as_array().map(Vec::len)), (201, Some(1)));
}

#[tokio::test]
async fn bad_requests_are_typed() {
    let api = Api::new().await;
    let post = |path: &str, kind: Option<&str>, body: &str| api.send(request(Method::POST, path, kind, body));
    let json = Some("application/json");
    is_problem(&post("/api/v1/workflows", json, "{").await, 400, "malformed_json");
    is_problem(&post("/api/v1/workflows", json, "").await, 400, "empty_body");
    is_problem(&post("/api/v1/workflows", json, "[]").await, 422, "invalid_definition");
    is_problem(&post("/api/v1/workflows", Some("text/plain"), "x").await, 415, "unsupported_media_type");
    is_problem(&post("/api/v1/workflows", None, "{}").await, 415, "unsupported_media_type");
    is_problem(&post("/api/v1/workflows", json, &" ".repeat((4 << 20) + 1)).await, 413, "too_large");
    is_problem(&post("/api/v1/workflows", json, &"[".repeat(65)).await, 400, "too_deep");
    is_problem(&post("/api/v1/workflows?draft=maybe", json, "{}").await, 400, "invalid_query");
    let run = "/api/v1/runs/r/approve";
    is_problem(&post(run, json, &" ".repeat((1 << 20) + 1)).await, 413, "too_large");
    is_problem(&post(run, json, "{\"nodes\": 1}").await, 422, "invalid_body");
    is_problem(&post("/api/v1/runs/r/cancel", json, "{\"why\": 1}").await, 422, "invalid_body");
    is_problem(&post("/api/v1/runs/r/signal", json, "null").await, 422, "invalid_body");
    is_problem(&post("/api/v1/workflows/w/start?wait=soon", None, "").await, 400, "invalid_query");
    let key = Request::post("/api/v1/workflows/w/start").header("idempotency-key", " ").body(Body::empty());
    is_problem(&api.send(key.expect("a request")).await, 400, "invalid_idempotency_key");
    let headers = Request::get("/api/v1/runs").header("x-long", "x".repeat(17 << 10)).body(Body::empty());
    is_problem(&api.send(headers.expect("a request")).await, 431, "headers_too_large");
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_not_allowed_405() {
    let api = Api::new().await;
    is_problem(&api.get("/api/v1/runs/r").await, 404, "unknown_run");
    is_problem(&api.get("/api/v1/runs/r/steps").await, 404, "unknown_run");
    is_problem(&api.get("/api/v1/runs/r/history").await, 404, "unknown_run");
    for id in ["a.b", "%2e%2e", "%ff", &"x".repeat(65), "a%20b"] {
        is_problem(&api.get(&format!("/api/v1/runs/{id}")).await, 404, "unknown_run");
    }
    is_problem(&api.get("/api/v1/nothing").await, 404, "unknown_route");
    is_problem(&api.get("/").await, 404, "unknown_route");
    let patched = api.send(request(Method::PATCH, "/api/v1/workflows", None, "")).await;
    is_problem(&patched, 405, "method_not_allowed");
    assert!(patched.headers.contains_key(header::ALLOW));
}

#[tokio::test]
async fn without_a_sidecar_it_is_alive_not_ready_and_says_when_to_come_back() {
    let api = Api::new().await;
    assert_eq!(api.get("/health").await.status, 200);
    assert_eq!(api.get("/api/v1/health").await.status, 200);
    let ready = api.get("/ready").await;
    is_problem(&ready, 503, "not_ready");
    assert_eq!(ready.body["checks"]["catalog"], "ok");
    let started = api.post("/api/v1/workflows/w/start", json!({})).await;
    is_problem(&started, 503, "sidecar_unavailable");
    assert_eq!(started.headers[header::RETRY_AFTER], "1");
}

#[tokio::test]
async fn too_many_requests_are_refused_and_probes_are_not() {
    let endpoint = Endpoint { grpc: "http://127.0.0.1:9".into(), api_token: None };
    let api = Api::over(Sidecar::connect(&endpoint).expect("a sidecar"), Limits::new(0, 0)).await;
    let refused = api.get("/api/v1/workflows").await;
    is_problem(&refused, 503, "overloaded");
    assert!(refused.headers.contains_key(header::RETRY_AFTER));
    assert_eq!(api.get("/health").await.status, 200);
}

#[tokio::test]
async fn requests_are_counted_by_route() {
    let api = Api::new().await;
    api.get("/api/v1/runs/one").await;
    api.get("/api/v1/runs/two").await;
    api.get("/what/ever").await;
    let text = api.get("/metrics").await.body;
    let text = text.as_str().expect("text");
    assert!(
        text.contains("http_requests_total{method=\"GET\",path=\"/api/v1/runs/{id}\",status=\"404\"} 2"),
        "{text}"
    );
    assert!(text.contains("path=\"unmatched\",status=\"404\"} 1"), "{text}");
    assert!(text.contains("http_request_duration_seconds_bucket"), "{text}");
}

/// The Dapr gRPC API, as far as calls of actors go: answers each call by `answer(method)`.
mod wire {
    use super::*;
    use bytes::{BufMut, Bytes, BytesMut};

    /// Calls as they came: method, trace, body.
    pub type Calls = Arc<std::sync::Mutex<Vec<(String, String, Value)>>>;

    pub fn sidecar(calls: Calls, answer: fn(&str) -> Value) -> Sidecar {
        Sidecar::from_service(tower::service_fn(move |request: http::Request<tonic::body::Body>| {
            let calls = calls.clone();
            async move {
                let (parts, body) = request.into_parts();
                let trace =
                    parts.headers.get("traceparent").and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
                let message = body.collect().await.map_err(|e| e.to_string())?.to_bytes().slice(5..);
                let fields = fields(message);
                let text =
                    |n| String::from_utf8_lossy(fields.get(&n).map_or(&[][..], |b: &Bytes| b)).into_owned();
                let method = text(3);
                let sent = serde_json::from_str(&text(4)).unwrap_or_default();
                calls.lock().expect("calls").push((method.clone(), trace, sent));
                let data = answer(&method).to_string();
                let mut message = BytesMut::new();
                message.put_u8(0x0a);
                varint(&mut message, data.len());
                message.put_slice(data.as_bytes());
                let mut frame = BytesMut::new();
                frame.put_u8(0);
                frame.put_u32(u32::try_from(message.len()).expect("a small message"));
                frame.put_slice(&message);
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
                let body = http_body_util::Full::new(frame.freeze());
                let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
                let response = http::Response::builder().header("content-type", "application/grpc");
                response.body(tonic::body::Body::new(body)).map_err(|e| e.to_string())
            }
        }))
    }

    fn varint(out: &mut BytesMut, mut n: usize) {
        while n >= 0x80 {
            out.put_u8((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        out.put_u8(n as u8);
    }

    /// Reads a message whose fields are all texts or bytes.
    fn fields(message: Bytes) -> std::collections::BTreeMap<u8, Bytes> {
        let (mut fields, mut at) = (std::collections::BTreeMap::new(), 0);
        while at < message.len() {
            let tag = message[at] >> 3;
            let (mut length, mut shift) = (0_usize, 0);
            loop {
                at += 1;
                length |= usize::from(message[at] & 0x7f) << shift;
                shift += 7;
                if message[at] < 0x80 {
                    break;
                }
            }
            at += 1;
            fields.insert(tag, message.slice(at..at + length));
            at += length;
        }
        fields
    }
}

#[tokio::test]
async fn an_operation_carries_its_id_its_trace_and_nothing_unasked() {
    let calls = wire::Calls::default();
    let sidecar = wire::sidecar(calls.clone(), |_| json!({"id": "r", "status": "running", "output": null}));
    let api = Api::over(sidecar, Limits::new(8, 8)).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let request = Request::post("/api/v1/runs/r/approve")
        .header(header::CONTENT_TYPE, "application/json")
        .header("idempotency-key", "k-1")
        .header("traceparent", format!("00-{trace}-b7ad6b7169203331-01"))
        .body(Body::from(json!({"node": "ok", "approved": false, "comment": null}).to_string()));
    let answer = api.send(request.expect("a request")).await;
    assert_eq!((answer.status, &answer.body["status"]), (200, &json!("running")));
    let calls = calls.lock().expect("calls");
    let (method, traceparent, body) = &calls[0];
    assert_eq!(method, "approve");
    assert_eq!(*body, json!({"op": "k-1", "node": "ok", "approved": false}));
    assert!(traceparent.starts_with(&format!("00-{trace}-")) && !traceparent.contains("b7ad6b7169203331"));
}

#[tokio::test]
async fn a_start_with_a_key_finds_the_same_run_and_an_actors_refusal_is_a_problem() {
    let calls = wire::Calls::default();
    let sidecar = wire::sidecar(calls.clone(), |method| match method {
        "start" => json!({"id": "x", "status": "running"}),
        _ => {
            json!({"error": {"code": "run_ended", "status": 409, "title": "conflict", "detail": "it has ended"}})
        }
    });
    let api = Api::over(sidecar, Limits::new(8, 8)).await;
    let start = || {
        let request = Request::post("/api/v1/workflows/w/start").header("idempotency-key", "k");
        request.body(Body::empty()).expect("a request")
    };
    let (one, two) = (api.send(start()).await, api.send(start()).await);
    assert_eq!(
        (one.status, &one.body["status"], &one.body["workflow_id"]),
        (200, &json!("running"), &json!("w"))
    );
    assert_eq!(one.body["run_id"], two.body["run_id"]);
    assert_ne!(api.post("/api/v1/workflows/w/start", json!({})).await.body["run_id"], one.body["run_id"]);
    assert_eq!(calls.lock().expect("calls")[0].2, json!({"workflow_id": "w", "op": "k"}));
    is_problem(&api.post("/api/v1/runs/r/pause", json!({})).await, 409, "run_ended");
}

/// A run of four events that has ended, as its actor would journal it.
async fn recorded(catalog: &dyn Catalog, run: &str) {
    append(catalog, run, 1, 4).await;
    assert!(catalog.mark_cleaned(&run.parse().expect("an id"), 4).await.expect("marked"));
}

/// Of its events those from `first` to `last`.
async fn append(catalog: &dyn Catalog, run: &str, first: usize, last: usize) {
    let run: RunId = run.parse().expect("an id");
    use callboard_catalog::{Append, Entry, NO_HASH, RunProjection};
    use callboard_core::{
        Datum, Hash,
        workflow::{Event, Run, StepKey, What, event::Reserved, event::RunSettings, view::Summary},
    };
    let step = StepKey::new(1, "a", "");
    let stored = callboard_core::ValueRef { key: "t.1".into(), hash: Hash::of(b"v"), size: 2000 };
    let settings = RunSettings {
        dispatch: 64,
        retention: 0,
        max_tokens: Default::default(),
        otherwise: None,
        prices: Default::default(),
    };
    let definition = json!({"name": "n", "nodes": [{"id": "a", "type": "agent"}]});
    let whats = [
        What::RunCreated {
            op: "o".into(),
            workflow_id: None,
            version: 1,
            plan: Datum::inline(definition),
            input: Datum::null(),
            settings,
            body: None,
        },
        What::StepStarted {
            step: step.clone(),
            attempt: 1,
            input: None,
            deadline: None,
            reserved: Reserved::default(),
        },
        What::StepCompleted {
            step,
            attempt: 1,
            output: Datum::Stored(stored.clone()),
            branch: None,
            usage: None,
            error: None,
            op: None,
            signal: None,
            body: None,
            fallbacks: Vec::new(),
        },
        What::RunCompleted { output: Datum::Stored(stored) },
    ];
    let events: Vec<_> = (0..).zip(whats).map(|(at, what)| Event { at: Timestamp(at), what }).collect();
    let summary = Summary::of(&Run::fold(&run, &events[..last])).expect("a run");
    let hash = |seq: usize| Hash::of(&[u8::try_from(seq).expect("a few")]);
    let entries = (first..=last).map(|seq| Entry {
        seq: seq as u64,
        at: events[seq - 1].at,
        hash: hash(seq),
        event: serde_json::to_string(&events[seq - 1]).expect("JSON"),
    });
    let append = Append {
        run,
        first_seq: first as u64,
        prev_hash: if first == 1 { NO_HASH } else { hash(first - 1) },
        entries: entries.collect(),
        values: vec![("t.1".into(), bytes::Bytes::from_static(b"\"large\""))],
        next_check_at: None,
        row: RunProjection {
            status: if last == 4 { "completed" } else { "running" }.into(),
            summary: serde_json::to_string(&summary).expect("JSON"),
            ended_at: (last == 4).then_some(Timestamp(3)),
            ..RunProjection::default()
        },
    };
    catalog.append(append).await.expect("appended");
}

#[tokio::test]
async fn an_ended_run_is_read_from_the_catalog_with_its_stored_data() {
    let api = Api::new().await;
    recorded(&*api.catalog, "r").await;
    let run = api.get("/api/v1/runs/r").await;
    assert_eq!(
        (run.status, &run.body["status"], &run.body["output"]),
        (200, &json!("completed"), &json!("large"))
    );
    let steps = api.get("/api/v1/runs/r/steps").await.body;
    assert_eq!(steps["items"][0]["output"], "large", "{steps}");
    assert_eq!(steps["next"], Value::Null);
    assert_eq!(api.get("/api/v1/runs?status=completed").await.body["items"][0]["id"], "r");
}

#[tokio::test]
async fn a_history_is_paged_and_streamed_from_the_same_numbers() {
    let api = Api::new().await;
    recorded(&*api.catalog, "r").await;
    let (mut seqs, mut path) = (Vec::new(), "/api/v1/runs/r/history?limit=3".to_owned());
    loop {
        let page = api.get(&path).await.body;
        seqs.push(
            page["items"]
                .as_array()
                .expect("items")
                .iter()
                .map(|item| item["seq"].clone())
                .collect::<Vec<_>>(),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/runs/r/history?limit=3&cursor={next}");
    }
    assert_eq!(seqs, [vec![json!(1), json!(2), json!(3)], vec![json!(4)]]);

    let stream = |last: &str| {
        let request =
            Request::get("/api/v1/runs/r/history?after=0").header(header::ACCEPT, "text/event-stream");
        request.header("last-event-id", last).body(Body::empty()).expect("a request")
    };
    let streamed = api.send(stream("2")).await;
    assert_eq!(streamed.headers[header::CONTENT_TYPE], "text/event-stream");
    let text = streamed.body.as_str().expect("text").to_owned();
    let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, ["3", "4"]);
    assert!(text.contains("event: run.completed") && text.contains("\"output\":\"large\""), "{text}");
    assert_eq!(api.send(stream("4")).await.status, 204);
    is_problem(&api.send(stream("x")).await, 400, "invalid_cursor");
}
