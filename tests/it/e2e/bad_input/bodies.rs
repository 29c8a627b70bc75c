//! Bodies: malformed, of the wrong shape or type, too large, too deep.

use super::{refused, well};
use crate::e2e::world::{Case, World, cases, example};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        a_malformed_body_is_refused_everywhere,
        a_body_of_another_shape_is_refused_everywhere,
        a_body_of_another_type_is_refused_everywhere,
        a_body_too_large_is_refused_everywhere,
        a_body_too_deep_is_refused_everywhere,
        a_body_that_stops_early_harms_nobody,
        an_input_that_does_not_fit_its_schema_is_refused,
        the_largest_body_is_taken,
    ]
}

/// Everything that takes a body: method, path, and one field with a value of the wrong type.
async fn routes(w: &World) -> Vec<(Method, String, &'static str)> {
    let workflow = w.api.create(&example("agent")).await;
    let run = w.api.run(&example("signal"), json!({})).await;
    w.api.until_step(&run, "payment", "waiting").await;
    vec![
        (Method::POST, "/workflows".into(), r#"{"name": 7, "nodes": []}"#),
        (Method::PUT, format!("/workflows/{workflow}"), r#"{"name": "x", "nodes": {}}"#),
        (Method::POST, format!("/workflows/{workflow}/start"), r#"{"inputs": {}}"#),
        (Method::POST, "/runs".into(), r#"{"definition": 3}"#),
        (Method::POST, format!("/runs/{run}/cancel"), r#"{"why": 1}"#),
        (Method::POST, format!("/runs/{run}/pause"), r#"{"why": 1}"#),
        (Method::POST, format!("/runs/{run}/resume"), r#"{"why": 1}"#),
        (Method::POST, format!("/runs/{run}/signal"), r#"{"name": ["go"]}"#),
        (Method::POST, format!("/runs/{run}/approve"), r#"{"node": "payment", "approved": "yes"}"#),
        (Method::POST, format!("/runs/{run}/rerun"), r#"{"from": {"node": "payment"}}"#),
    ]
}

fn send(
    w: &World,
    method: &Method,
    path: &str,
    kind: Option<&str>,
    body: impl Into<reqwest::Body>,
) -> RequestBuilder {
    let request = w.api.client.request(method.clone(), format!("{}/api/v1{path}", w.api.url)).body(body);
    match kind {
        Some(kind) => request.header("content-type", kind),
        None => request,
    }
}

const JSON: Option<&str> = Some("application/json");

async fn a_malformed_body_is_refused_everywhere(w: World) {
    let wrong: [(&str, &[u8]); 9] = [
        ("an open object", b"{\"input\":"),
        ("a single quote", b"{'input': 1}"),
        ("a comma", b"{\"input\": 1,}"),
        ("two documents", b"{} {}"),
        ("no UTF-8", b"{\"input\": \"\xff\xfe\"}"),
        ("a control character", b"{\"input\": \"\x01\"}"),
        ("half a pair", b"{\"input\": \"\\ud800\"}"),
        ("a number too large", b"{\"input\": 1e999}"),
        ("a zero byte", b"\0"),
    ];
    for (method, path, _) in routes(&w).await {
        for (what, body) in wrong {
            let problem =
                refused(&format!("{what} to {path}"), send(&w, &method, &path, JSON, body), &[400]).await;
            assert_eq!(problem["code"], "malformed_json", "{what} to {path}: {problem:#}");
        }
    }
    well(&w).await;
}

async fn a_body_of_another_shape_is_refused_everywhere(w: World) {
    for (method, path, wrong) in routes(&w).await {
        for body in ["[]", "7", "\"text\"", "null", "true", wrong, "{\"no_such_field\": 1}"] {
            let problem =
                refused(&format!("{body} to {path}"), send(&w, &method, &path, JSON, body), &[422]).await;
            let problems = problem["problems"].as_array().expect("problems");
            assert!(!problems.is_empty(), "{body} to {path}: {problem:#}");
            for each in problems {
                assert!(each["code"].is_string() && each["message"].is_string(), "{each:#}");
            }
        }
    }
}

async fn a_body_of_another_type_is_refused_everywhere(w: World) {
    let kinds = [
        None,
        Some("text/plain"),
        Some("application/xml"),
        Some("application/json; charset=latin1"),
        Some("multipart/form-data; boundary=x"),
        Some("application/x-www-form-urlencoded"),
        Some(";;;"),
        Some("application/json, text/plain"),
    ];
    for (method, path, _) in routes(&w).await {
        for kind in kinds {
            let problem =
                refused(&format!("{kind:?} to {path}"), send(&w, &method, &path, kind, "{\"a\": 1}"), &[415])
                    .await;
            assert_eq!(problem["code"], "unsupported_media_type");
        }
    }
}

async fn a_body_too_large_is_refused_everywhere(w: World) {
    for (method, path, _) in routes(&w).await {
        let body = format!("{{\"input\": \"{}\"}}", "x".repeat(5 << 20));
        refused(&format!("5 MiB to {path}"), send(&w, &method, &path, JSON, body.clone()), &[413]).await;
        // In pieces, without a length.
        let pieces =
            futures::stream::iter(body.into_bytes().chunks(1 << 16).map(<[u8]>::to_vec).collect::<Vec<_>>());
        let pieces = futures::StreamExt::map(pieces, Ok::<_, std::io::Error>);
        let pieces = reqwest::Body::wrap_stream(pieces);
        refused(&format!("5 MiB in pieces to {path}"), send(&w, &method, &path, JSON, pieces), &[413]).await;
    }
    well(&w).await;
}

async fn a_body_too_deep_is_refused_everywhere(w: World) {
    for (method, path, _) in routes(&w).await {
        for depth in [65, 200, 100_000] {
            let lists = format!("{{\"input\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
            let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            for body in [lists, objects] {
                let what = format!("{depth} levels to {path}");
                let problem = refused(&what, send(&w, &method, &path, JSON, body), &[400]).await;
                assert_eq!(problem["code"], "too_deep", "{what}: {problem:#}");
            }
        }
    }
    let yaml = format!("name: x\nmetadata: {}{}", "[".repeat(20_000), "]".repeat(20_000));
    refused("deep YAML", send(&w, &Method::POST, "/workflows", Some("application/yaml"), yaml), &[400, 422])
        .await;
}

async fn a_body_that_stops_early_harms_nobody(w: World) {
    use tokio::io::AsyncWriteExt;
    let address = w.api.url.trim_start_matches("http://").to_owned();
    for (method, path, _) in routes(&w).await {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("a connection");
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"a\":"
        );
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.shutdown().await.expect("shut");
    }
    well(&w).await;
}

async fn an_input_that_does_not_fit_its_schema_is_refused(w: World) {
    let workflow = w.api.create(&example("transform")).await;
    let path = format!("/workflows/{workflow}/start");
    let wrong = json!({"input": {"orders": [{"name": 3}, "x"]}});
    let problem = w.api.refused(&path, wrong, 422, "invalid_input").await;
    let paths: Vec<_> =
        problem["problems"].as_array().expect("problems").iter().map(|p| p["path"].clone()).collect();
    assert!(
        paths.len() >= 3 && paths.iter().all(|p| p.as_str().is_some_and(|p| p.starts_with("input.orders"))),
        "{paths:?}"
    );
    for input in [json!({}), json!(null), json!([]), json!("text")] {
        w.api.refused(&path, json!({ "input": input }), 422, "invalid_input").await;
    }
    w.api.refused(&path, json!({}), 422, "invalid_input").await;
}

async fn the_largest_body_is_taken(w: World) {
    let definition = json!({"name": "large-input", "nodes": [], "output": "{{ input.text | length }}"});
    let workflow = w.api.create(&definition).await;
    let text = "é".repeat(500_000);
    let run = w.api.start(&workflow, json!({ "text": text })).await;
    let (seen, _) = w.ended(&run, "completed").await;
    assert_eq!((&seen["output"], &seen["input"]["text"]), (&json!(500_000), &json!(text)));
}
