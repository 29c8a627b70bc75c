//! Ordinary calls, redirects, limits.

use super::*;
use crate::{
    http::node::{self, Call},
    secret::{Hosts, Secret, Secrets},
};
use async_trait::async_trait;
use axum::{
    body::Body,
    extract::Request as Incoming,
    http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION, RETRY_AFTER},
    response::IntoResponse,
    routing::{any, get as on_get},
};
use callboard_core::{
    Span,
    request::{self, Template},
};
use flate2::{Compression, write::GzEncoder};
use http::HeaderName;
use serde_json::{Value, json};
use std::io::Write;

/// Answers with what it was asked.
async fn echo(request: Incoming) -> axum::Json<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let headers: BTreeMap<_, _> =
        parts.headers.iter().map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned())).collect();
    axum::Json(json!({
        "method": parts.method.as_str(), "uri": parts.uri.to_string(), "headers": headers,
        "body": String::from_utf8_lossy(&body),
    }))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn start() -> (SocketAddr, Guarded) {
    let zipped = |bytes: Vec<u8>| ([(CONTENT_ENCODING, "gzip"), (CONTENT_TYPE, "text/plain")], bytes);
    let small = zipped(gzip(b"hello"));
    // 8 MiB of nothing, and 17 MiB that compress to an ordinary degree.
    let bomb = zipped(gzip(&vec![0; 8 << 20]));
    let line: Vec<u8> = (0..256u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let lines: Vec<u8> =
        (0..(17u32 << 10)).flat_map(|n| [n.to_le_bytes().to_vec(), line.clone()].concat()).collect();
    let wide = zipped(gzip(&lines));
    let app = Router::new()
        .route("/echo", any(echo))
        .route("/see-other", any(|| async { (StatusCode::SEE_OTHER, [(LOCATION, "/echo")]) }))
        .route("/keep", any(|| async { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/echo?kept")]) }))
        .route("/gzip", on_get(|| async { small }))
        .route("/bomb", on_get(|| async { bomb }))
        .route("/wide", on_get(|| async { wide }))
        .route("/brotli", on_get(|| async { ([(CONTENT_ENCODING, "br")], "x") }))
        .route("/broken", on_get(|| async { ([(CONTENT_ENCODING, "gzip")], "not gzip") }))
        .route("/large", on_get(|| async { vec![b'x'; BODY + 1] }))
        .route("/exact", on_get(|| async { vec![b'x'; BODY] }))
        .route(
            "/endless",
            on_get(|| async {
                Body::from_stream(futures::stream::repeat_with(|| Ok::<_, std::io::Error>("x".repeat(65536))))
            }),
        )
        .route("/silent", on_get(futures::future::pending::<()>))
        .route("/headers", on_get(|| async { [("x-large", "x".repeat(HEADERS))] }))
        .route(
            "/busy",
            on_get(|| async { (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "7")]).into_response() }),
        );
    let server = serve(app).await;
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    (server, guarded)
}

#[tokio::test]
async fn limits_hold_before_and_after_decompression() {
    let (server, guarded) = start().await;
    for (path, expected) in [
        ("gzip", "status 200"),
        ("exact", "status 200"),
        ("large", "http_too_large"),
        ("endless", "http_too_large"),
        ("bomb", "http_too_large"),
        ("wide", "http_too_large"),
        ("headers", "http_too_large"),
        ("brotli", "http_invalid_response"),
        ("broken", "http_invalid_response"),
        ("busy", "status 429"),
    ] {
        let request = Request { max_body: Some(LARGEST_BODY), ..get(format!("http://{server}/{path}")) };
        assert_eq!(code(&guarded, request).await, expected, "{path}");
    }
    assert_eq!(code(&guarded, get(format!("http://{server}/exact"))).await, "http_too_large");
    let most = Request { max_body: Some(u64::MAX), ..get(format!("http://{server}/large")) };
    assert_eq!(code(&guarded, most).await, "http_too_large");
    let zipped = guarded.call(get(format!("http://{server}/gzip"))).await.unwrap();
    assert_eq!(&zipped.body[..], b"hello");
    let quick =
        Request { timeout: Some(Duration::from_millis(50)), ..get(format!("http://{server}/silent")) };
    let late = guarded.call(quick).await.err().unwrap();
    assert_eq!((late.code.as_str(), late.retryable), ("http_timeout", true));
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let guarded = Guarded::new(vec![closed.to_string().parse().unwrap()], vec![]);
    let refused = guarded.call(get(format!("http://{closed}/"))).await.err().unwrap();
    assert_eq!((refused.code.as_str(), refused.retryable), ("http_connect", true));
}

#[tokio::test]
async fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = tokio::io::AsyncReadExt::read(&mut socket, &mut [0; 4096]).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", USUAL_BODY + 1);
        tokio::io::AsyncWriteExt::write_all(&mut socket, head.as_bytes()).await.unwrap();
        futures::future::pending::<()>().await;
    });
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    assert_eq!(code(&guarded, get(format!("http://{server}/"))).await, "http_too_large");
}

#[tokio::test]
async fn a_redirect_keeps_or_changes_the_request_as_its_status_says() {
    let (server, guarded) = start().await;
    let post = |path: &str| Request {
        method: Method::POST,
        body: "data".into(),
        ..get(format!("http://{server}/{path}"))
    };
    let asked = |response: Response| serde_json::from_slice::<Value>(&response.body).unwrap();
    let changed = asked(guarded.call(post("see-other")).await.unwrap());
    assert_eq!((&changed["method"], &changed["body"]), (&json!("GET"), &json!("")));
    let kept = asked(guarded.call(post("keep")).await.unwrap());
    assert_eq!(
        (&kept["method"], &kept["body"], &kept["uri"]),
        (&json!("POST"), &json!("data"), &json!("/echo?kept"))
    );
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin() {
    let (server, _) = start().await;
    let target = format!("http://{server}/echo");
    let app =
        Router::new().route("/", any(|| async { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target)]) }));
    let first = serve(app).await;
    let exempt = [first, server].map(|address| address.to_string().parse().unwrap()).to_vec();
    let guarded = Guarded::new(exempt, vec![]);
    let mut request = get(format!("http://{first}/"));
    for name in ["authorization", "cookie", "x-key", "x-plain", "idempotency-key", "content-type", "accept"] {
        let mut value = http::HeaderValue::from_static("v");
        value.set_sensitive(name == "x-key");
        request.headers.insert(name, value);
    }
    let answer: Value = serde_json::from_slice(&guarded.call(request).await.unwrap().body).unwrap();
    let headers = answer["headers"].as_object().unwrap();
    let left: Vec<&str> = headers.keys().map(String::as_str).collect();
    assert_eq!(left, ["accept", "accept-encoding", "host", "user-agent"]);
    let mut hidden = get(format!("http://{first}/"));
    let mut accept = http::HeaderValue::from_static("text/x-s3cr3t");
    accept.set_sensitive(true);
    hidden.headers.insert("accept", accept);
    assert!(!String::from_utf8_lossy(&guarded.call(hidden).await.unwrap().body).contains("s3cr3t"));
    let confidential = Request { confidential: true, ..get(format!("http://{first}/")) };
    assert_eq!(code(&guarded, confidential).await, "http_forbidden_url");
    let post = Request { method: Method::POST, body: "data".into(), ..get(format!("http://{first}/")) };
    assert_eq!(code(&guarded, post).await, "http_forbidden_url");
}

#[tokio::test]
async fn a_nodes_secrets_do_not_follow_either_and_nothing_is_followed_for_long() {
    let (server, _) = start().await;
    let (target, hits) = (format!("http://{server}/echo"), Arc::new(AtomicUsize::new(0)));
    let counted = hits.clone();
    let round = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { (StatusCode::FOUND, [(LOCATION, "/round")]) }
    };
    let app = Router::new()
        .route("/", any(|| async { (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target)]) }))
        .route("/round", any(round));
    let first = serve(app).await;
    let exempt = [first, server].map(|address| address.to_string().parse().unwrap()).to_vec();
    let guarded = Guarded::new(exempt, vec![]);
    let url = format!("http://{first}/");
    // A header that goes along, but not with a secret in it.
    let accept = json!({"url": url, "headers": {"accept": "text/x, secret://key"}});
    let output = perform(&guarded, &two_secrets(), accept, json!({}), &[]).await.unwrap();
    assert_eq!(output["body"]["headers"]["accept"], "*/*");
    let query = json!({"url": url, "query": {"k": "secret://key"}});
    let error = perform(&guarded, &two_secrets(), query, json!({}), &[]).await.unwrap_err();
    assert_eq!(error.code, "http_forbidden_url");
    assert_eq!(code(&guarded, get(format!("http://{first}/round"))).await, "http_redirects");
    assert_eq!(hits.load(Ordering::SeqCst), 1 + REDIRECTS);
    let small = json!({"url": format!("http://{server}/echo"), "max_body": 10});
    let error = perform(&guarded, &two_secrets(), small, json!({}), &[]).await.unwrap_err();
    assert_eq!(error.code, "http_too_large");
}

#[tokio::test]
async fn reserved_headers_are_refused() {
    let (server, guarded) = start().await;
    for name in [
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        let mut request = get(format!("http://{server}/echo"));
        request.headers.insert(HeaderName::from_static(name), http::HeaderValue::from_static("1"));
        assert_eq!(code(&guarded, request).await, "http_invalid_request", "{name}");
    }
}

fn node(config: Value) -> Template {
    serde_json::from_value(config).unwrap()
}

/// Renders and performs, as a step and a tool do.
async fn perform(
    guarded: &Guarded,
    secrets: &dyn Secrets,
    config: Value,
    context: Value,
    others: &[&str],
) -> Result<Value, CallError> {
    let node = node(config);
    let others = others.iter().map(|name| (*name).to_owned()).collect();
    let call = Call {
        node: &node,
        request: &request::render(&node, &context).unwrap(),
        secrets: &others,
        idempotency_key: "run/step/1",
        timeout: Some(Span::secs(5)),
    };
    node::perform(guarded, secrets, call).await.map(|answer| answer.output)
}

fn two_secrets() -> BTreeMap<String, Secret> {
    ["key", "other"].map(|name| (name.to_owned(), Secret::new(format!("s3cr3t {name}/")))).into()
}

#[tokio::test]
async fn a_node_sends_its_secret_and_gives_none_of_it_back() {
    let (server, guarded) = start().await;
    let config = json!({
        "method": "POST", "url": format!("http://{server}/echo"),
        "headers": {"Authorization": "Bearer secret://key", "X-Data": "{{ input.x }}"},
        "query": {"k": "secret://key", "n": 1, "x": "{{ input.x }}", "list": ["secret://key"]},
        "body": {"token": "secret://key", "nested": ["secret://key!", "{{ input.x }}"], "x/~": {"y": "secret://key"}}
    });
    let context = json!({"input": {"x": "secret://key"}});
    let output = perform(&guarded, &two_secrets(), config, context, &[]).await.unwrap();
    let asked = &output["body"];
    assert_eq!(output["status"], 200);
    assert_eq!(asked["headers"]["authorization"], "Bearer ***");
    assert_eq!(asked["headers"]["idempotency-key"], "run/step/1");
    assert_eq!(asked["headers"]["x-data"], "secret://key", "data may not name secrets");
    assert_eq!(asked["uri"], "/echo?k=***&n=1&x=secret%3A%2F%2Fkey&list=***");
    let sent: Value = serde_json::from_str(asked["body"].as_str().unwrap()).unwrap();
    assert_eq!(sent, json!({"nested": ["***!", "secret://key"], "token": "***", "x/~": {"y": "***"}}));
    assert!(!output.to_string().contains("s3cr3t"));
}

#[tokio::test]
async fn what_another_step_left_is_scrubbed_too() {
    let (server, guarded) = start().await;
    let kept = json!({"method": "POST", "url": format!("http://{server}/echo"), "body": "{{ input.x }}"});
    let context = json!({"input": {"x": "s3cr3t other/ s3cr3t%20key%2F"}});
    let output = perform(&guarded, &two_secrets(), kept, context, &["key", "other", "gone"]).await.unwrap();
    assert_eq!(output["body"]["body"], "*** ***");
}

struct Bound(BTreeMap<String, Secret>, Hosts);

#[async_trait]
impl Secrets for Bound {
    async fn secret(&self, name: &str) -> Result<Option<Secret>, CallError> {
        self.0.secret(name).await
    }

    fn hosts(&self) -> &Hosts {
        &self.1
    }
}

#[tokio::test]
async fn a_secret_goes_to_its_hosts_only() {
    let (server, guarded) = start().await;
    let hosts =
        |host: &str| Hosts::new(&BTreeMap::from([("key".to_owned(), vec![host.to_owned()])])).unwrap();
    let fixed = format!("http://{server}/echo");
    for (url, host, name, expected) in [
        (fixed.as_str(), "127.0.0.1", "key", ""),
        (fixed.as_str(), "api.example.com", "key", "secret_forbidden_host"),
        ("{{ input.u }}", "127.0.0.1", "key", ""),
        ("{{ input.u }}", "api.example.com", "key", "secret_forbidden_host"),
        ("{{ input.u }}", "127.0.0.1", "other", "secret_forbidden_host"),
        (fixed.as_str(), "127.0.0.1", "other", ""),
    ] {
        let secrets = Bound(two_secrets(), hosts(host));
        for part in ["headers", "query", "body"] {
            let config = json!({"method": "POST", "url": url, part: {"x": format!("secret://{name}")}});
            let result = perform(&guarded, &secrets, config, json!({"input": {"u": fixed}}), &[]).await;
            let code = result.err().map(|e| e.code).unwrap_or_default();
            assert_eq!(code, expected, "{url} {host} {name} {part}");
        }
    }
}

#[tokio::test]
async fn an_unexpected_status_is_an_error_that_says_whether_to_try_again() {
    let (server, guarded) = start().await;
    let perform = async |path: &str, expect: Vec<u16>| {
        let config = json!({"url": format!("http://{server}/{path}"), "expect": expect});
        perform(&guarded, &BTreeMap::new(), config, json!({}), &[]).await
    };
    let busy = perform("busy", vec![]).await.unwrap_err();
    assert_eq!(
        (busy.code.as_str(), busy.retryable, busy.retry_after),
        ("http_status", true, Some(Span::secs(7)))
    );
    let missing = perform("missing", vec![]).await.unwrap_err();
    assert_eq!((missing.code.as_str(), missing.retryable), ("http_status", false));
    assert_eq!(perform("missing", vec![404]).await.unwrap()["status"], 404);
    assert_eq!(perform("gzip", vec![404]).await.unwrap_err().code, "http_status");
}

#[tokio::test]
async fn an_answer_has_its_places_until_it_is_recorded() {
    let (server, guarded) = start().await;
    let all = guarded.room().free();
    let large = Request { max_body: Some(LARGEST_BODY), ..get(format!("http://{server}/exact")) };
    let answer = guarded.call(large).await.unwrap();
    assert_eq!(guarded.room().free().0, all.0 - 4 * BODY);
    // Whoever may call less has no places of its own.
    let other = guarded.exempting(vec![]);
    assert!(other.room().free() == guarded.room().free() && Arc::ptr_eq(&other.calls, &guarded.calls));
    // Four of these are all there is: a fifth waits, small ones do not.
    let others: Vec<_> = futures::future::join_all((0..2).map(|_| {
        guarded.call(Request { max_body: Some(LARGEST_BODY), ..get(format!("http://{server}/exact")) })
    }))
    .await;
    let waits = Request {
        max_body: Some(LARGEST_BODY),
        timeout: Some(Duration::from_millis(300)),
        ..get(format!("http://{server}/exact"))
    };
    let (small, _) = (guarded.call(get(format!("http://{server}/gzip"))).await.unwrap(), &others);
    assert_eq!(guarded.room().free().0, all.0 - 3 * 4 * BODY - 1024);
    drop(small);
    let fourth = guarded.call(get(format!("http://{server}/exact"))).await.err().unwrap();
    assert_eq!(fourth.code, "http_too_large");
    let held =
        guarded.call(Request { max_body: Some(LARGEST_BODY), ..get(format!("http://{server}/exact")) }).await;
    assert_eq!(code(&guarded, waits).await, "http_timeout");
    drop((answer, others, held));
    assert_eq!(guarded.room().free(), all);
}

#[tokio::test]
async fn the_values_of_an_answer_have_their_places_too() {
    let app = Router::new()
        .route("/json", on_get(|| async { axum::Json(vec![0; 1_000]) }))
        .route("/text", on_get(|| async { "[0,0]".repeat(1_000) }));
    let server = serve(app).await;
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    let all = guarded.room().free().1;
    for (path, values) in [("json", 1_001), ("text", 0)] {
        let node = node(json!({"url": format!("http://{server}/{path}")}));
        let request = request::render(&node, &json!({})).unwrap();
        let (secrets, key, timeout) = (&Default::default(), "k", None);
        let call = Call { node: &node, request: &request, secrets, idempotency_key: key, timeout };
        let answer = node::perform(&guarded, &BTreeMap::new(), call).await.ok().unwrap();
        assert_eq!(guarded.room().free().1, all - values, "{path}");
        drop(answer);
        assert_eq!(guarded.room().free().1, all);
    }
}

#[tokio::test]
async fn a_recorded_request_names_no_secret_but_its_definitions() {
    let (server, guarded) = start().await;
    let node = node(json!({"url": format!("http://{server}/echo"), "headers": {"a": "secret://key"}}));
    let mut request = request::render(&node, &json!({})).unwrap();
    request.headers["a"] = json!("secret://other");
    request.secrets.as_mut().unwrap()[0].name = "other".to_owned();
    let (secrets, key, timeout) = (&Default::default(), "k", None);
    let call = Call { node: &node, request: &request, secrets, idempotency_key: key, timeout };
    let error = node::perform(&guarded, &two_secrets(), call).await.err().unwrap();
    assert_eq!(error.code, "http_invalid_request");
    assert!(error.message.contains("names the secret other"), "{}", error.message);
}

#[tokio::test]
async fn many_streams_of_nothing_and_many_values_are_refused() {
    let nothing = ([(CONTENT_ENCODING, "gzip")], gzip(b"").repeat(200_000));
    let halves =
        ([(CONTENT_ENCODING, "gzip"), (CONTENT_TYPE, "text/plain")], [gzip(b"he"), gzip(b"llo")].concat());
    let zeros = |n: usize| ([(CONTENT_TYPE, "application/json")], format!("[{}0]", "0,".repeat(n)));
    let (many, most) = (zeros(250_000), zeros(249_998));
    let app = Router::new()
        .route("/nothing", on_get(|| async { nothing }))
        .route("/halves", on_get(|| async { halves }))
        .route("/many", on_get(|| async { many }))
        .route("/most", on_get(|| async { most }));
    let server = serve(app).await;
    let guarded = Guarded::new(vec![server.to_string().parse().unwrap()], vec![]);
    let call = async |path: &str| {
        let config = json!({"url": format!("http://{server}/{path}"), "max_body": LARGEST_BODY});
        perform(&guarded, &BTreeMap::new(), config, json!({}), &[]).await.map(|o| o["body"].clone())
    };
    assert_eq!(call("nothing").await.unwrap_err().code, "http_too_large");
    assert_eq!(call("halves").await.unwrap(), "hello");
    let error = call("many").await.unwrap_err();
    assert_eq!(error.code, "http_too_large");
    assert!(error.message.contains("250000 values"), "{}", error.message);
    assert_eq!(call("most").await.unwrap().as_array().unwrap().len(), 249_999);
}
