//! Definitions, data and answers that ask for all memory or all time, from a server that has 1 GiB: whoever else uses
//! it notices nothing, and it goes on.
//!
//! The bounds of a release are those of `docs/security.md`. The short form runs a debug build among other tests on
//! few cores, which is slower by an order of magnitude: its bounds only tell a server that answers from one that
//! does not.

use super::{
    canary::{Canary, Seen},
    full,
    target::{Setup, Target},
};
use crate::harness::http;
use axum::{Router, http::header, response::IntoResponse, routing::get};
use bytes::Bytes;
use serde_json::{Value, json};
use std::{
    io::Write,
    net::SocketAddr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// What bounds the memory of the process to 1 GiB. The allocator of a debug build reserves address space that it does not
/// use, 64 MB for each thread, so there it is what can be written that is bounded.
pub fn gibibyte() -> &'static str {
    if full() { "--as=1073741824" } else { "--data=1073741824" }
}

/// Health, runs, resident bytes.
fn bounds() -> (Duration, Duration, u64) {
    let (health, runs) = if full() { (250, 1_000) } else { (2_000, 5_000) };
    (Duration::from_millis(health), Duration::from_millis(runs), 512 << 20)
}

fn lasting(short: u64, long: u64) -> Duration {
    Duration::from_secs(if full() { long } else { short })
}

/// A server within its gibibyte that the attack is beside, and what the canary saw of it.
async fn beside<F>(setup: Setup, attack: impl FnOnce(Target) -> F) -> (Target, Seen)
where
    F: Future<Output = Target>,
{
    let target = setup.env("MALLOC_ARENA_MAX", "2").under(&["prlimit", gibibyte()]).measured().start().await;
    let canary = Canary::beside(&target);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let process = target.dev.process.id();
    let mut target = attack(target).await;
    let seen = canary.seen().await;
    eprintln!("{}", seen.line());
    assert!(target.dev.process.is_running(), "it ended: {}\n{}", seen.line(), target.dev.process.tail());
    assert_eq!(target.dev.process.id(), process);
    (target, seen)
}

#[track_caller]
fn bounded(seen: &Seen) {
    let (health, runs, resident) = bounds();
    seen.within(health, runs, resident);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_whose_parts_apply_again_and_again_stops_nobody() {
    let (_target, seen) = beside(Target::with(), |target| async {
        let until = Instant::now() + lasting(8, 120);
        while Instant::now() < until {
            schemas(&target, until).await;
        }
        target
    })
    .await;
    bounded(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_definitions_that_unfold_to_gigabytes_stop_nobody() {
    let zeros = Zeros::start().await;
    let setup = Target::with().env("CALLBOARD__HTTP__ALLOW", zeros.0.to_string());
    let (_target, seen) = beside(setup, |target| async {
        let until = Instant::now() + lasting(8, 120);
        while Instant::now() < until {
            tokio::join!(answers(&target, &zeros, 3), drafts(&target, 64), bodies(&target, 400));
        }
        target
    })
    .await;
    bounded(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "two minutes, with the bounds of a release: make attacks"]
async fn a_mixture_of_both_stops_nobody() {
    let zeros = Zeros::start().await;
    let setup = Target::with().env("CALLBOARD__HTTP__ALLOW", zeros.0.to_string());
    let (_target, seen) = beside(setup, |target| async {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            tokio::join!(
                schemas(&target, until),
                answers(&target, &zeros, 2),
                drafts(&target, 32),
                bodies(&target, 200)
            );
        }
        target
    })
    .await;
    bounded(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_runs_of_expensive_expressions_at_once_stop_nobody() {
    let target = Target::with().measured().start().await;
    let canary = Canary::beside(&target);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut posting = JoinSet::new();
    for n in 0..20 {
        let (api, definition) = (target.api.clone(), if n % 2 == 0 { transforms(63) } else { rules(5_000) });
        let body = json!({"definition": definition, "input": {}});
        posting.spawn(
            async move { api.client.post(format!("{}/api/v1/runs", api.url)).json(&body).send().await },
        );
    }
    let until = Instant::now() + lasting(10, 60);
    while posting.join_next().await.is_some() {}
    tokio::time::sleep(until.saturating_duration_since(Instant::now())).await;
    let seen = canary.seen().await;
    eprintln!("{}", seen.line());
    let (health, runs) = if full() { (250, 2_000) } else { (2_000, 8_000) };
    seen.within(Duration::from_millis(health), Duration::from_millis(runs), 512 << 20);
}

/// Nodes that each use what an evaluation may use, all ready at once.
fn transforms(count: usize) -> Value {
    let rule = json!([{"source": "items", "target": "out", "type": "map",
        "config": {"value": "range(3000) | map('string') | join | length"}}]);
    let node = |n| {
        json!({"id": format!("t{n}"), "type": "transform",
        "config": {"input": "{'items': range(2000) | list}", "rules": rule}, "on_error": {"default": null}})
    };
    json!({"name": "transforms", "nodes": (0..count).map(node).collect::<Vec<_>>()})
}

/// Rules that do next to nothing, over items that are expensive to hand over.
fn rules(count: usize) -> Value {
    let rule =
        |n| json!({"source": "items", "target": format!("r{n}"), "type": "map", "config": {"value": "1"}});
    json!({"name": "rules", "nodes": [{"id": "all", "type": "transform", "on_error": {"default": null}, "config": {
        "input": "{'items': [range(95000) | list, range(95000) | list]}",
        "rules": (0..count).map(rule).collect::<Vec<_>>()}}]})
}

/// Every form of schema that is applied twice at each of its levels, as a run's input, an answer's form, and both at once.
async fn schemas(target: &Target, until: Instant) {
    let mut asking = JoinSet::new();
    for (name, schema, value) in forms() {
        for depth in [16, 22, 28, 34] {
            let (api, schema, value) = (target.api.clone(), schema(depth), value(depth));
            let one = json!({"id": "a", "type": "condition", "config": {"if": "true"}});
            let input =
                json!({"definition": {"name": name, "input": schema, "nodes": [one]}, "input": value});
            target.model.script().when(
                move |request| request.prompt() == format!("{name} {depth}"),
                crate::harness::Reply::Json(value.clone()),
            );
            let agent = json!({"id": "a", "type": "agent", "config": {"agent": "once", "output_schema": schema,
                "prompt": format!("{name} {depth}")}});
            let answer = json!({"definition": {"name": name, "nodes": [agent]}, "input": {}});
            for body in [input, answer] {
                let api = api.clone();
                let request = api
                    .client
                    .post(format!("{}/api/v1/runs", api.url))
                    .json(&body)
                    .timeout(Duration::from_secs(15));
                asking.spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) });
            }
        }
        if Instant::now() > until {
            break;
        }
    }
    while asking.join_next().await.is_some() {}
}

type Form = (&'static str, fn(usize) -> Value, fn(usize) -> Value);

/// Schemas whose cost doubles with each level, with a value that reaches all of it.
pub fn forms() -> Vec<Form> {
    let flat: fn(usize) -> Value = |_| json!({"a": 1});
    let objects: fn(usize) -> Value = |n| (0..n).fold(json!({}), |inner, _| json!({"a": inner}));
    let lists: fn(usize) -> Value = |n| (0..n).fold(json!([1]), |inner, _| json!([inner]));
    vec![
        ("allOf", |n| lattice(n, |next| json!({"allOf": [next, next]})), flat),
        ("anyOf", |n| lattice(n, |next| json!({"anyOf": [next, next]})), flat),
        ("oneOf", |n| lattice(n, |next| json!({"oneOf": [next, next, next]})), flat),
        ("if", |n| lattice(n, |next| json!({"if": next, "then": next, "else": next})), flat),
        ("not", |n| lattice(n, |next| json!({"not": {"allOf": [{"not": next}, {"not": next}]}})), flat),
        (
            "dependentSchemas",
            |n| lattice(n, |next| json!({"dependentSchemas": {"a": next}, "allOf": [next]})),
            flat,
        ),
        (
            "children",
            |n| lattice(n, |next| json!({"properties": {"a": next}, "patternProperties": {"a": next}})),
            objects,
        ),
        ("items", |n| lattice(n, |next| json!({"items": next, "contains": next})), lists),
        (
            "unevaluated",
            |n| lattice(n, |next| json!({"allOf": [next], "unevaluatedProperties": next})),
            objects,
        ),
        ("circle", |n| lattice(n, |_| json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]})), flat),
        (
            "itself",
            |_| json!({"$id": "urn:x", "properties": {"a": {"$ref": "#"}}, "patternProperties": {"^a": {"$ref": "#"}}}),
            objects,
        ),
    ]
}

/// `depth` levels, each made of references to the next; nothing fits the last.
pub fn lattice(depth: usize, level: fn(Value) -> Value) -> Value {
    let name = |n: usize| format!("a{n}");
    let mut all: serde_json::Map<String, Value> =
        (0..depth).map(|n| (name(n), level(json!({"$ref": format!("#/$defs/{}", name(n + 1))})))).collect();
    all.insert(name(depth), json!({"type": "integer"}));
    json!({"$defs": all, "$ref": "#/$defs/a0"})
}

/// Runs that fetch large answers, 64 at once.
async fn answers(target: &Target, zeros: &Zeros, runs: usize) {
    let get = json!({"id": "get", "type": "http", "config": {"url": format!("http://{}/zeros", zeros.0)},
        "retry": {"max_retries": 0}, "on_error": {"default": null}});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "range(64) | list", "parallel": 64,
        "body": {"nodes": [get], "output": 1}}});
    let body = json!({"definition": {"name": "zeros", "nodes": [each]}, "input": {}});
    for _ in 0..runs {
        let url = format!("{}/api/v1/runs?wait=4s", target.api.url);
        let _ = target.api.client.post(url).json(&body).send().await;
    }
}

/// Definitions of 4 MB that are millions of values.
async fn drafts(target: &Target, count: usize) {
    let text = format!("{{\"name\":\"draft\",\"metadata\":{{\"a\":[{}[]]}}}}", "[],".repeat(1_390_000));
    let text = Bytes::from(text);
    let mut posting = JoinSet::new();
    for _ in 0..count {
        let url = format!("{}/api/v1/workflows?draft=true", target.api.url);
        let request = http().post(url).header("content-type", "application/json").body(text.clone());
        posting.spawn(request.timeout(Duration::from_secs(10)).send());
    }
    while posting.join_next().await.is_some() {}
}

/// Bodies of 3.9 MB that stand in the sidecar, each without its last byte.
async fn bodies(target: &Target, count: usize) {
    let port = target.dev.dapr_http_port;
    let part = Bytes::from(vec![b'['; 3_900_000]);
    let mut holding = JoinSet::new();
    for _ in 0..count {
        let part = part.clone();
        holding.spawn(async move {
            use tokio::io::AsyncWriteExt;
            let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            let head = format!("POST /v1.0/state/statestore HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", part.len() + 1);
            let sending = async {
                socket.write_all(head.as_bytes()).await?;
                socket.write_all(&part).await
            };
            // A server that reads no further holds no more of it.
            let _ = tokio::time::timeout(Duration::from_secs(3), sending).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            std::io::Result::Ok(())
        });
    }
    while holding.join_next().await.is_some() {}
}

/// A server whose every answer is 200 kB on the wire, and 16 MB of JSON.
struct Zeros(SocketAddr);

impl Zeros {
    async fn start() -> Self {
        let packed = Bytes::from(packed(&format!("[{}0]", "0,".repeat(8_000_000 - 2))));
        let answer = move || async move {
            [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")]
                .into_response()
                .map(|_| axum::body::Body::from(packed))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/zeros", get(answer))).await });
        Self(addr)
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut gzip =
        Command::new("gzip").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("gzip");
    let mut input = gzip.stdin.take().expect("a pipe");
    let text = text.to_owned();
    let writing = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = gzip.wait_with_output().expect("gzip ends");
    writing.join().expect("it writes").expect("all of it");
    output.stdout
}
