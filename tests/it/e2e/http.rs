//! HTTP as it is, seen from outside: what becomes of odd answers, what goes out, and what a failure tells a branch.

use super::{
    api::Api,
    world::{Stage, Where, World, cases},
};
use crate::harness::{Callboard, Reply};
use axum::{
    Router,
    extract::Request,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
    routing::any,
};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};

/// The bytes of a file with every value in it.
fn all_bytes() -> Vec<u8> {
    (0..=255).collect()
}

/// Sends back what came, under the type that it came with.
async fn mirror(request: Request) -> impl IntoResponse {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 32 << 20).await.expect("a body");
    let mut headers = HeaderMap::new();
    headers.extend(parts.headers.get(header::CONTENT_TYPE).map(|kind| (header::CONTENT_TYPE, kind.clone())));
    headers.insert("x-uri", parts.uri.to_string().parse().expect("a value"));
    (headers, body)
}

/// A server with the oddities of real ones.
async fn oddities() -> SocketAddr {
    let typed = |kind: &'static str, body: Vec<u8>| {
        any(move || async move { ([(header::CONTENT_TYPE, kind)], body) })
    };
    let refused = || async {
        let headers = [("x-request-id", "r-7"), ("set-cookie", "session=1")];
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            headers,
            axum::Json(json!({"field": "sku", "why": "é".repeat(900)})),
        )
    };
    let page =
        || async { (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "application/json")], "<html>502") };
    let app = Router::new()
        .route("/latin", typed("Text/Plain; Charset=\"ISO-8859-1\"", b"caf\xe9 \xf1".to_vec()))
        .route("/json9", typed("application/json;charset=ISO-8859-15", b"{\"name\":\"caf\xe9\"}".to_vec()))
        .route("/marked", typed("application/json", b"\xef\xbb\xbf{\"ok\":true,\"n\":1.0}".to_vec()))
        .route("/image", typed("image/png", all_bytes()))
        .route("/garbled", typed("text/plain", b"caf\xe9".to_vec()))
        .route("/page", typed("application/json", b"<html>".to_vec()))
        .route("/nan", typed("application/json", b"[NaN]".to_vec()))
        .route("/empty", typed("application/json", Vec::new()))
        .route("/refused", any(refused))
        .route("/gateway", any(page))
        .fallback(any(mirror));
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_taken_whole_or_refused_with_a_reason() {
    let server = oddities().await;
    let mut dev = Callboard::with().env("CALLBOARD__HTTP__ALLOW", server.to_string()).start().await;
    let api = Api::new(&dev.url, &dev.dapr_http());
    let get = |path: &str| {
        json!({"name": "get", "output": "{{ steps.get.output.body }}", "nodes": [{"id": "get", "type": "http",
            "retry": {"max_retries": 0}, "config": {"url": format!("http://{server}{path}")}}]})
    };
    for (path, expected) in [
        ("/latin", json!("café ñ")),
        ("/json9", json!({"name": "café"})),
        ("/marked", json!({"ok": true, "n": 1.0})),
        ("/empty", Value::Null),
    ] {
        let run = api.run(&get(path), json!({})).await;
        assert_eq!(api.until(&run, "completed").await["output"], expected, "{path}");
    }
    for (path, code) in [
        ("/garbled", "http_undecodable"),
        ("/page", "http_invalid_json"),
        ("/nan", "http_invalid_json"),
        ("/gateway", "http_status"),
    ] {
        let run = api.run(&get(path), json!({})).await;
        assert_eq!(api.until(&run, "failed").await["error"]["code"], code, "{path}");
    }
    a_file_goes_through_unchanged(&api, server).await;
    a_refusal_reaches_the_branch_and_who_looks(&api, server).await;
    dev.stop().await;
}

/// Fetched, stored, sent as bytes and as a part of a form: the same bytes with the same type.
async fn a_file_goes_through_unchanged(api: &Api, server: SocketAddr) {
    let url = |path: &str| format!("http://{server}{path}");
    let definition = json!({
        "name": "file",
        "nodes": [
            {"id": "get", "type": "http", "config": {"url": url("/image")}},
            {"id": "bytes", "type": "http", "config": {"method": "PUT", "url": url("/a b/{{ input.name }}"), "bytes": "{{ steps.get.output.body }}",
                "query": {"tag": "{{ input.tags }}"}}},
            {"id": "parts", "type": "http", "config": {"method": "POST", "url": url("/parts"), "answer": {"as": "bytes"},
                "multipart": {"file": "{{ steps.get.output.body }}"}}},
            {"id": "form", "type": "http", "config": {"method": "POST", "url": url("/form"), "form": {"n": "{{ input.tags }}", "x": "{{ input.name }}"}}},
        ],
        "edges": [{"source": "get", "target": "bytes"}, {"source": "bytes", "target": "parts"}, {"source": "parts", "target": "form"}],
        "output": {"got": "{{ steps.get.output.body }}", "back": "{{ steps.bytes.output }}", "parts": "{{ steps.parts.output.body }}",
            "form": "{{ steps.form.output.body }}"},
    });
    let run = api.run(&definition, json!({"name": "../x?y#z", "tags": ["a&b", 2]})).await;
    let output = api.until(&run, "completed").await["output"].clone();
    assert_eq!((&output["got"]["type"], &output["got"]["size"]), (&json!("image/png"), &json!(256)));
    assert_eq!(output["back"]["body"], output["got"]);
    assert_eq!(output["back"]["headers"]["x-uri"], "/a%20b/..%2Fx%3Fy%23z?tag=a%26b&tag=2");
    assert_eq!(output["form"], "n=a%26b&n=2&x=..%2Fx%3Fy%23z");
    use base64::{Engine, prelude::BASE64_STANDARD};
    let parts = BASE64_STANDARD.decode(output["parts"]["base64"].as_str().expect("base64")).expect("base64");
    assert!(parts.windows(256).any(|window| window == all_bytes()), "the file stands in it");
}

async fn a_refusal_reaches_the_branch_and_who_looks(api: &Api, server: SocketAddr) {
    let definition = json!({
        "name": "refused",
        "nodes": [
            {"id": "post", "type": "http", "on_error": "branch", "config": {"method": "POST", "url": format!("http://{server}/refused")}},
            {"id": "why", "type": "transform", "config": {"input": "[steps.post.error.details]", "rules": [
                {"source": ".", "target": "told", "type": "map", "config": {"value": "[item.status, item.body.field, item.headers]"}}]}},
        ],
        "edges": [{"source": "post", "target": "why", "config": {"branch": "error"}}],
    });
    let run = api.run(&definition, json!({})).await;
    let output = api.until(&run, "completed").await["output"].clone();
    let told = &output["told"][0];
    assert_eq!((&told[0], &told[1], &told[2]["x-request-id"]), (&json!(422), &json!("sku"), &json!("r-7")));
    assert_eq!(told[2].get("set-cookie"), None);
    let steps = api.steps(&run).await;
    let step = steps.iter().find(|step| step["node"] == "post").expect("it");
    assert_eq!(
        (&step["error"]["code"], &step["error"]["details"]["body"]["field"]),
        (&json!("http_status"), &json!("sku"))
    );
    let history = api.history(&run).await;
    let failed = history.iter().find(|event| event["type"] == "step.failed").expect("it failed");
    assert_eq!(failed["data"]["error"]["details"]["status"], 422, "{failed:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_told_before_it_is() {
    let stage = Stage::start(Where::Embedded).await;
    stage
        .play(cases![
            mistakes_are_told_at_once,
            data_that_breaks_out_stops_its_call,
            a_model_is_told_what_came,
            a_coding_that_nobody_asked_for_is_named_and_not_guessed
        ])
        .await;
}

async fn mistakes_are_told_at_once(w: World) {
    let config = json!({"url": "https://h.example/", "body": 1, "form": [1], "headers": {"Host": "x", "a b": "y", "ok": "a\nb"}});
    let definition = json!({"name": "x", "nodes": [{"id": "a", "type": "http", "config": config}]});
    let refused = w.api.refused("/runs", json!({"definition": definition}), 422, "invalid_definition").await;
    let mut found: Vec<String> = refused["problems"]
        .as_array()
        .unwrap_or_else(|| panic!("{refused:#}"))
        .iter()
        .map(|problem| format!("{} {}", problem["path"].as_str().unwrap(), problem["code"].as_str().unwrap()))
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "nodes[0].config.form conflicting_body",
            "nodes[0].config.form invalid_body",
            "nodes[0].config.headers.Host reserved_header",
            "nodes[0].config.headers.a b invalid_header",
            "nodes[0].config.headers.ok invalid_header",
        ]
    );
}

async fn data_that_breaks_out_stops_its_call(w: World) {
    let url = format!("{}/breaks-out", w.http_url);
    for (config, input, code) in [
        (
            json!({"url": url, "headers": {"x": "{{ input.v }}"}}),
            json!({"v": "a\r\nb: c"}),
            "http_invalid_request",
        ),
        (
            json!({"url": url, "method": "POST", "bytes": "{{ input.v }}"}),
            json!({"v": "%"}),
            "http_invalid_request",
        ),
        (json!({"url": format!("{url}/{{{{ input.v }}}}/x")}), json!({"v": ".."}), "template_error"),
        (json!({"url": format!("{url}/{{{{ input.v }}}}")}), json!({"v": ""}), "template_error"),
    ] {
        let definition = json!({"name": "x", "nodes": [{"id": "a", "type": "http", "config": config}]});
        let run = w.api.run(&definition, input).await;
        assert_eq!(w.ended(&run, "failed").await.0["error"]["code"], code, "{definition}");
    }
    assert!(!w.http.requests().iter().any(|request| request.target.starts_with("/breaks-out")));
}

async fn a_model_is_told_what_came(w: World) {
    w.serves("/broken", Reply::Refused(422, json!({"field": "q", "why": "it is too short"})));
    w.says_in_turn("tool-is-told", vec![Reply::tool("broken", json!({"q": "x"})), Reply::text("I see.")]);
    let definition = json!({"name": "told", "nodes": [
        {"id": "ask", "type": "agent", "config": {"agent": "hurried-tools", "prompt": "tool-is-told"}}]});
    let run = w.api.run(&definition, json!({})).await;
    w.ended(&run, "completed").await;
    let asked = w.asked("tool-is-told");
    let messages = asked[1].json()["messages"].as_array().cloned().unwrap_or_default();
    let told = messages.iter().find(|message| message["role"] == "tool").expect("an answer");
    assert!(told["content"].to_string().contains("it is too short"), "{told:#}");
}

/// `{"ok":true}` under the codings of today, as their encoders write it.
const GZIP: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xabV\xca\xcfV\xb2*)*M\xad\x05\0\x90_\xd4\xa7\x0b\0\0\0";
const BROTLI: &[u8] = b"\x0b\x05\x80{\"ok\":true}\x03";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd\x04\x58\x59\0\0{\"ok\":true}\x6a\xbe\x13\xc7";

async fn a_coding_that_nobody_asked_for_is_named_and_not_guessed(w: World) {
    w.serves("/gzip", Reply::Coded("gzip", GZIP.to_vec()));
    w.serves("/br", Reply::Coded("br", BROTLI.to_vec()));
    w.serves("/zstd", Reply::Coded("zstd", ZSTD.to_vec()));
    let get = |path: &str| {
        json!({"name": "get", "output": "{{ steps.get.output.body }}", "nodes": [
            {"id": "get", "type": "http", "config": {"url": format!("{}{path}", w.http_url)}}]})
    };
    let run = w.api.run(&get("/gzip"), json!({})).await;
    assert_eq!(w.ended(&run, "completed").await.0["output"], json!({"ok": true}));
    for (path, coding) in [("/br", "br"), ("/zstd", "zstd")] {
        let run = w.api.run(&get(path), json!({})).await;
        let error = w.ended(&run, "failed").await.0["error"].clone();
        let message =
            format!("the body has the content coding `{coding}`; only gzip, deflate were asked for");
        assert_eq!((&error["code"], &error["message"]), (&json!("http_invalid_response"), &json!(message)));
        let served = w.served(path);
        assert_eq!(served.len(), 1, "{path}: asked again it would answer the same");
        assert_eq!(served[0].header("accept-encoding"), Some("gzip, deflate"));
    }
}
