//! Reads that never end, data that changes where a request goes, documents that were damaged, and what a server says
//! to whoever speaks HTTP to it.

use super::target::Target;
use crate::harness::{Reply, eventually, when};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_steps_of_a_growing_run_are_read_in_bounded_time() {
    // A debug build grows no faster than it is read: it is a release that could read for ever.
    let target = Target::with().measured().start().await;
    let leaf = json!({"id": "leaf", "type": "condition", "config": {"if": "true"}});
    let each = |id: &str, body: Value| json!({"id": id, "type": "for_each", "config": {"items": "range(10000) | list", "parallel": 64, "body": {"nodes": [body]}}});
    let outer = each("outer", each("inner", leaf));
    let run = target.begin(&json!({"name": "grows", "nodes": [outer]}), json!({})).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut took = Vec::new();
    for query in ["?limit=1", "?limit=1000", ""] {
        let began = Instant::now();
        let url = format!("{}/api/v1/runs/{run}/steps{query}", target.api.url);
        let answer = target.api.client.get(url).timeout(Duration::from_secs(6)).send().await;
        let status = match answer {
            Ok(answer) => answer.status().as_u16(),
            Err(_) => 0,
        };
        took.push((query, status, began.elapsed()));
    }
    let seen = target.api.get(&format!("/runs/{run}")).await;
    target.api.operate(&run, "cancel", json!({})).await;
    assert_eq!(seen["status"], "running", "INVALID: it does not grow any more");
    eprintln!("{took:?}");
    let late = |(_, status, took): &&(&str, u16, Duration)| *status != 200 || *took > Duration::from_secs(4);
    assert_eq!(took.iter().find(late), None, "{took:?}");
}

/// What data tries to make of one segment of a path.
const SEGMENTS: [&str; 16] = [
    "1/../../admin/users?delete=all#",
    "..",
    ".",
    "../admin",
    "%2e%2e",
    "%2E%2E/admin",
    "..%2fadmin",
    "?delete=all",
    "#x",
    "a b",
    "\\..\\admin",
    "//evil.example/x",
    "@evil.example",
    ";a=b",
    "a\tb",
    "é/ü",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_in_a_path_stays_one_segment_of_it() {
    let agents = json!({"clerk": {"model": "test", "tools": ["order"], "limits": {"repeats": 100, "iterations": 50}, "retry_policy": {"max_retries": 0}}});
    let target = Target::with().agents(agents).tools(|upstream| {
        let parameters = json!({"type": "object", "properties": {"id": {"type": "string"}}});
        json!({"order": {"description": "Reads.", "parameters": parameters, "type": "http", "config": {"url": format!("{upstream}/orders/{{{{ args.id }}}}/lines")}}})
    });
    let target = target.start().await;
    let url = format!("{}/orders/{{{{ input.id }}}}/lines", target.http.url());
    for id in SEGMENTS {
        let get = json!({"id": "get", "type": "http", "config": {"url": url}, "retry": {"max_retries": 0}, "on_error": {"default": null}});
        let run = target.begin(&json!({"name": "get", "nodes": [get]}), json!({"id": id})).await;
        target.api.until(&run, "completed").await;
    }
    let script = target.model.script();
    script
        .then(SEGMENTS.iter().map(|id| Reply::tool("order", json!({"id": id}))).chain([Reply::text("done")]));
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "clerk", "prompt": "read"}, "on_error": {"default": null}});
    let run = target.begin(&json!({"name": "ask", "nodes": [ask]}), json!({})).await;
    target.api.until(&run, "completed").await;
    let requests = target.upstream().requests();
    assert!(requests.len() >= SEGMENTS.len(), "INVALID: {} requests", requests.len());
    let stays = |target: &str| {
        target
            .strip_prefix("/orders/")
            .and_then(|rest| rest.strip_suffix("/lines"))
            .is_some_and(|one| !one.is_empty() && !one.contains(['/', '?', '#', '\\', ';', '@']))
    };
    let wrong: Vec<_> =
        requests.iter().map(|request| request.target.clone()).filter(|target| !stays(target)).collect();
    assert!(wrong.is_empty(), "{} of {} went elsewhere: {wrong:#?}", wrong.len(), requests.len());
    // What may stand in a path as it is arrives as it is.
    assert_eq!(requests.iter().filter(|request| request.target.contains("a%20b")).count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_document_is_repaired_from_the_history() {
    let target = Target::start().await;
    let waits = json!({"name": "waits", "nodes": [{"id": "a", "type": "signal", "config": {"name": "go"}}]});
    let mut wrong = Vec::new();
    for value in [
        json!("rubbish"),
        json!({}),
        json!(1),
        json!([]),
        json!(""),
        json!([1, 9, 3]),
        json!("\u{1}\u{2}\u{3}\u{4}"),
        json!("x".repeat(100_000)),
    ] {
        let run = target.begin(&waits, json!({})).await;
        target.api.until(&run, "waiting").await;
        let (key, url) = (format!("{{{run}}}.doc"), format!("{}/v1.0/state/statestore", target.api.dapr));
        let there = target
            .api
            .client
            .get(format!("{url}/{}", key.replace('{', "%7B").replace('}', "%7D")))
            .send()
            .await;
        assert_eq!(there.expect("an answer").status(), 200, "INVALID: its document is not {key}");
        let saved = target.api.client.post(url).json(&json!([{"key": key, "value": value}])).send().await;
        assert_eq!(saved.expect("an answer").status(), 204);
        let shown: String = value.to_string().chars().take(20).collect();
        let began = Instant::now();
        let (mut status, mut answer) = (0, Value::Null);
        while began.elapsed() < Duration::from_secs(4) && status != 200 {
            (status, answer) =
                target.api.request("POST", &format!("/runs/{run}/signal"), Some(json!({"name": "go"}))).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if status != 200 {
            wrong.push(format!("{shown}: {status} {}", answer["code"]));
            continue;
        }
        let seen = eventually(Duration::from_secs(5), || async {
            when(target.api.get(&format!("/runs/{run}")).await, |run| run["status"] != "waiting")
        })
        .await;
        if seen["status"] != "completed" && seen["status"] != "running" {
            wrong.push(format!("{shown}: {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_one_right_host_are_refused_on_every_port() {
    let target = Target::start().await;
    let api: u16 = target.dev.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    let mut wrong = Vec::new();
    for (port, path) in [(api, "/api/v1/runs"), (target.dev.dapr_http_port, "/v1.0/secrets/secretstore/bulk")]
    {
        for (what, hosts, allowed) in [
            ("its own", vec![format!("127.0.0.1:{port}")], true),
            ("localhost", vec![format!("localhost:{port}")], true),
            ("loopback of six", vec![format!("[::1]:{port}")], true),
            ("none", vec![], false),
            ("two", vec![format!("127.0.0.1:{port}"), "evil.example".to_owned()], false),
            ("two that are alike", vec![format!("127.0.0.1:{port}"), format!("127.0.0.1:{port}")], false),
            ("another", vec![format!("evil.example:{port}")], false),
            ("one below localhost's name", vec![format!("localhost.evil.example:{port}")], false),
            ("one that begins like loopback", vec![format!("127.0.0.1.evil.example:{port}")], false),
            ("one with a user", vec![format!("127.0.0.1@evil.example:{port}")], false),
            ("empty", vec![String::new()], false),
            ("any address", vec![format!("0.0.0.0:{port}")], false),
        ] {
            let lines: String = hosts.iter().map(|host| format!("host: {host}\r\n")).collect();
            let status =
                raw(port, &format!("GET {path} HTTP/1.1\r\n{lines}connection: close\r\n\r\n")).await.0;
            if (status == 200) != allowed {
                wrong.push(format!("{path} with host {what}: {status}"));
            }
        }
        // A target that names another host than the header.
        let status = raw(port, &format!("GET http://evil.example:{port}{path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n")).await.0;
        if status == 200 {
            wrong.push(format!("{path} with another host in its target: {status}"));
        }
        for header in [
            "origin: https://evil.example",
            "origin: null",
            "sec-fetch-site: cross-site",
            "sec-fetch-site: same-site",
            "origin: http://127.0.0.1:1",
        ] {
            let status = raw(
                port,
                &format!(
                    "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n{header}\r\nconnection: close\r\n\r\n"
                ),
            )
            .await
            .0;
            if status != 403 {
                wrong.push(format!("{path} with {header}: {status}"));
            }
        }
        let (_, head) =
            raw(port, &format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\n\r\n"))
                .await;
        for header in ["x-content-type-options: nosniff", "cross-origin-resource-policy: same-origin"] {
            if !head.to_lowercase().contains(header) {
                wrong.push(format!("{path} is answered without {header}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
}

/// Sends a request as it is; returns the status and the head.
async fn raw(port: u16, request: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    socket.write_all(request.as_bytes()).await.expect("a request");
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), socket.read_to_end(&mut answer)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
    (status, text.split("\r\n\r\n").next().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_sent_is_a_mistake_of_the_definition() {
    let target = Target::start().await;
    let mut taken = Vec::new();
    for (name, value) in [
        ("host", "evil.example"),
        ("content-length", "1"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
        ("keep-alive", "1"),
        ("proxy-connection", "x"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("x", "secret://../x"),
        ("x", "secret://"),
        ("x", "{{ 'secret://tok' }}"),
    ] {
        let get = json!({"id": "get", "type": "http", "config": {"url": "https://shop.example/", "headers": {name: value}}});
        let body = json!({"name": "get", "nodes": [get]});
        let (status, _) = target.api.request("POST", "/workflows", Some(body)).await;
        if status != 422 {
            taken.push(format!("{name}: {value} ({status})"));
        }
    }
    assert!(taken.is_empty(), "{taken:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_and_values_inside_have_their_bounds() {
    let target = Target::start().await;
    let waits = json!({"name": "waits", "nodes": [{"id": "a", "type": "signal", "config": {"name": "go"}}]});
    let run = target.begin(&waits, json!({})).await;
    target.api.until(&run, "waiting").await;
    let long = "x".repeat(3_400_000);
    let mut taken = Vec::new();
    for (method, body) in [
        ("pause", json!({"op": long})),
        ("resume", json!({"op": long})),
        ("signal", json!({"name": long})),
        ("signal", json!({"name": "x", "op": long})),
        ("approve", json!({"node": "a", "approved": true, "iteration": long})),
        ("rerun", json!({"from": long})),
    ] {
        let answer = target.api.actor("Workflow", &run, method, body).await;
        if !answer["error"]["status"].as_u64().is_some_and(|status| (400..500).contains(&status)) {
            taken.push(method.to_owned());
        }
    }
    let before = super::canary::resident(target.dev.process.id().expect("it runs"));
    let mut kept = 0;
    for n in 0..40 {
        let url = format!("{}/v1.0/metadata/name-{n}", target.api.dapr);
        if let Ok(answer) = target.api.client.put(url).body("x".repeat(3_900_000)).send().await {
            kept += usize::from(answer.status().is_success());
        }
    }
    let more =
        super::canary::resident(target.dev.process.id().expect("it runs")).saturating_sub(before) >> 20;
    assert!(
        taken.is_empty() && kept == 0,
        "{taken:?}; {kept} of 40 metadata values of 3.9 MB were kept, {more} MB more"
    );
}
