//! Paths, methods, queries, headers: ids that nothing can have, pages that do not exist.

use super::{refused, well};
use crate::e2e::world::{Case, World, cases, example};
use reqwest::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        odd_ids_are_unknown_everywhere,
        other_methods_are_refused_everywhere,
        unknown_paths_are_refused,
        odd_queries_are_refused,
        odd_headers_are_refused,
        what_is_not_http_is_refused,
    ]
}

/// Sends a request line as it is: clients clean paths.
async fn raw(w: &World, text: impl AsRef<[u8]>) -> String {
    let address = w.api.url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    // The server may answer before it has read everything.
    let _ = stream.write_all(text.as_ref()).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut answer));
    let _ = read.await.expect("an answer, or the end of the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

async fn odd_ids_are_unknown_everywhere(w: World) {
    let long = "a".repeat(65);
    let longer = "a".repeat(6000);
    let ids = [
        "..",
        ".",
        "%2e%2e",
        "%2E%2E%2f%2e%2e",
        "|",
        "%7C",
        "a||b",
        "%00",
        "a%2Fb",
        "a.b",
        "a%20b",
        "%ff",
        "%",
        "%zz",
        "{run}",
        "*",
        "~",
        "a;b",
        "a:b",
        "%E2%80%AE",
        "-%0d%0a",
        &long,
        &longer,
    ];
    let shapes = [
        ("GET", "/runs/ID"),
        ("GET", "/runs/ID/steps"),
        ("GET", "/runs/ID/history"),
        ("POST", "/runs/ID/cancel"),
        ("POST", "/runs/ID/signal"),
        ("POST", "/runs/ID/rerun"),
        ("GET", "/workflows/ID"),
        ("PUT", "/workflows/ID"),
        ("DELETE", "/workflows/ID"),
        ("POST", "/workflows/ID/start"),
    ];
    for (method, shape) in shapes {
        for id in ids {
            let path = shape.replace("ID", id);
            let text = format!(
                "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{{}}"
            );
            let answer = raw(&w, text).await;
            assert!((400..500).contains(&status(&answer)), "{method} {path:.100}: {answer:.400}");
        }
    }
    well(&w).await;
}

async fn other_methods_are_refused_everywhere(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let paths = [
        ("/workflows".to_owned(), vec!["GET", "POST"]),
        ("/workflows/x".to_owned(), vec!["GET", "PUT", "PATCH", "DELETE"]),
        ("/workflows/x/start".to_owned(), vec!["POST"]),
        ("/runs".to_owned(), vec!["GET", "POST"]),
        (format!("/runs/{run}"), vec!["GET"]),
        (format!("/runs/{run}/steps"), vec!["GET"]),
        (format!("/runs/{run}/history"), vec!["GET"]),
        (format!("/runs/{run}/cancel"), vec!["POST"]),
        (format!("/runs/{run}/approve"), vec!["POST"]),
        ("/health".to_owned(), vec!["GET"]),
    ];
    for (path, fine) in paths {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"] {
            if fine.contains(&method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).expect("a method");
            let request = w.api.client.request(method.clone(), format!("{}/api/v1{path}", w.api.url));
            let problem = refused(&format!("{method} {path}"), request, &[405]).await;
            assert_eq!(problem["code"], "method_not_allowed");
        }
    }
}

async fn unknown_paths_are_refused(w: World) {
    let paths = [
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/runs/",
        "/api/v1/runs/x/steps/1",
        "/api/v1/nothing",
        "/api/v2/runs",
        "/API/V1/RUNS",
        "//api/v1/runs",
        "/dapr/config",
        "/actors/Workflow/x/method/status",
        "/events/commands",
        "/v1.0/metadata",
        "/.env",
        "/api/v1/workflows/x/stop",
    ];
    for path in paths {
        refused(path, w.api.client.get(format!("{}{path}", w.api.url)), &[404]).await;
    }
}

async fn odd_queries_are_refused(w: World) {
    let run = w.api.run(&json!({"name": "x", "nodes": []}), json!({})).await;
    w.ended(&run, "completed").await;
    let lists = ["/workflows", "/runs", &format!("/runs/{run}/steps"), &format!("/runs/{run}/history")];
    for list in lists {
        for query in [
            "limit=0",
            "limit=-1",
            "limit=1001",
            "limit=many",
            "limit=99999999999999999999",
            "limit=1.5",
            "limit=",
        ] {
            refused(
                &format!("{list}?{query}"),
                w.api.client.get(format!("{}/api/v1{list}?{query}", w.api.url)),
                &[400],
            )
            .await;
        }
        for query in ["cursor=..", "cursor=%00", "cursor=%27%20or%201=1", "cursor=a%20b"] {
            let problem = refused(
                &format!("{list}?{query}"),
                w.api.client.get(format!("{}/api/v1{list}?{query}", w.api.url)),
                &[400],
            )
            .await;
            assert_eq!(problem["code"], "invalid_cursor", "{list}?{query}");
        }
    }
    let after = w.api.get(&format!("/runs/{run}/history?after=9999999")).await;
    assert_eq!((&after["items"], &after["next"]), (&json!([]), &json!(null)));
    let workflow = w.api.create(&json!({"name": "y", "nodes": []})).await;
    for query in ["wait=soon", "wait=-1s", "wait=", "wait=1000h", "wait=1e9", "wait=%FF", "wait=6m"] {
        let request = w.api.client.post(format!("{}/api/v1/workflows/{workflow}/start?{query}", w.api.url));
        refused(query, request.json(&json!({})), &[400]).await;
    }
    let request = w.api.client.post(format!("{}/api/v1/workflows?draft=perhaps", w.api.url));
    refused("draft=perhaps", request.json(&json!({"name": "z", "nodes": []})), &[400]).await;
    // A status nobody has is nobody's.
    assert_eq!(w.api.get("/runs?status=no-such").await["items"], json!([]));
}

async fn odd_headers_are_refused(w: World) {
    let run = w.api.run(&example("signal"), json!({})).await;
    let history = format!("{}/api/v1/runs/{run}/history", w.api.url);
    for id in ["x", "-1", "1.5", "18446744073709551616", "", "1 2", "0x10"] {
        let request =
            w.api.client.get(&history).header("accept", "text/event-stream").header("last-event-id", id);
        refused(&format!("Last-Event-ID {id:?}"), request, &[400]).await;
    }
    let signal = format!("{}/api/v1/runs/{run}/signal", w.api.url);
    let long = "k".repeat(256);
    for key in [b"".as_slice(), long.as_bytes(), b"\xff\xfe", b"   "] {
        let value = reqwest::header::HeaderValue::from_bytes(key).expect("a value");
        let request = w.api.client.post(&signal).header("idempotency-key", value).json(&json!({"name": "x"}));
        let problem = refused(&format!("Idempotency-Key of {} bytes", key.len()), request, &[400]).await;
        assert_eq!(problem["code"], "invalid_idempotency_key");
    }
    let workflow = w.api.create(&json!({"name": "x", "nodes": []})).await;
    let put = format!("{}/api/v1/workflows/{workflow}", w.api.url);
    for (tag, status) in [("x", 400), ("\"-1\"", 400), ("\"9\"", 409)] {
        let request = w.api.client.put(&put).header("if-match", tag).json(&json!({"name": "x", "nodes": []}));
        refused(&format!("If-Match {tag}"), request, &[status]).await;
    }
    for trace in ["x", "00-00000000000000000000000000000000-0000000000000000-00", "ff-zz", &"0".repeat(4000)]
    {
        let request =
            w.api.client.get(format!("{}/api/v1/runs/{run}", w.api.url)).header("traceparent", trace);
        assert_eq!(request.send().await.expect("an answer").status(), 200, "a trace nobody can read is none");
    }
    for (name, size) in [("one header", 200_000), ("a larger one", 2_000_000)] {
        let text = format!(
            "GET /api/v1/runs/{run} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-large: {}\r\n\r\n",
            "x".repeat(size)
        );
        let answer = raw(&w, text).await;
        assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "{name}: {answer:.200}");
    }
    let many = "x-many: 1\r\n".repeat(5000);
    let answer =
        raw(&w, format!("GET /api/v1/runs/{run} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{many}\r\n"))
            .await;
    assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "many headers: {answer:.200}");
    well(&w).await;
}

async fn what_is_not_http_is_refused(w: World) {
    let texts: [&[u8]; 7] = [
        b"nonsense\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /api/v1/workflows HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /api/v1/workflows HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\nZZ\r\n",
        b"POST /api/v1/workflows HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 7\r\n\r\n{}",
    ];
    for text in texts {
        let address = w.api.url.trim_start_matches("http://");
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
        stream.write_all(text).await.expect("written");
        stream.shutdown().await.expect("shut");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut answer));
        let _ = read.await.expect("an answer, or the end of the connection");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || (400..500).contains(&status(&answer)), "{text:?}: {answer:.200}");
    }
    well(&w).await;
}
