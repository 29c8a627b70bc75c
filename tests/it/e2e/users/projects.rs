//! What a project keeps from the others while its workflows run: its runs from any app, its calls from what is not granted.

use super::{Guarded, code, id_of};
use crate::harness::{Model, Upstream};
use serde_json::{Value, json};

/// What is granted to whom; `PORT` is that of a server at a private address.
const GRANTS: &str = r#"
[http]
allow = ["127.0.0.1:PORT"]

[projects.acme]
secrets = []

[projects.granted]
http_allow = ["127.0.0.1:PORT"]
secrets = ["token"]
"#;

fn calling(url: &str, secret: bool) -> Value {
    let headers = if secret { json!({"authorization": "Bearer secret://token"}) } else { json!({}) };
    json!({"name": "call", "nodes": [{"id": "call", "type": "http", "config": {"url": url, "headers": headers}}]})
}

/// Runs a definition that is not stored, and returns the run as it ended.
async fn run(api: &super::Api, definition: Value) -> Value {
    let answer = api.post("/runs?wait=30s", json!({"definition": definition})).await;
    assert!(matches!(answer["status"].as_str(), Some("completed" | "failed")), "{answer:#}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_calls_and_knows_what_it_is_granted_and_nothing_else() {
    let upstream = Upstream::start().await;
    let url = upstream.url();
    let port = url.rsplit(':').next().expect("a port").trim_end_matches('/').to_owned();
    let server = Guarded::start(&GRANTS.replace("PORT", &port)).await;
    for project in ["acme", "granted"] {
        server.project(project).await;
    }
    let acme = server.api(&server.key("acme", "editor").await);
    let granted = server.api(&server.key("granted", "editor").await);
    let default = server.api(&server.admin);
    assert_eq!(run(&default, calling(&url, false)).await["status"], "completed", "http.allow is for default");
    assert_eq!(run(&granted, calling(&url, false)).await["status"], "completed");
    let refused = run(&acme, calling(&url, false)).await;
    assert_eq!(refused["error"]["code"], "http_forbidden_address", "{refused:#}");
    let secret = run(&acme, calling("https://example.com/", true)).await;
    assert_eq!(secret["error"]["code"], "secret_unknown", "{secret:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_asks_the_providers_it_is_granted_and_no_others() {
    let model = Model::start().await;
    let settings = format!(
        "[models]\ndefault = \"local\"\n[models.providers.local]\nbase_url = {:?}\n[projects.granted]\nproviders = [\"local\"]\n",
        model.base_url()
    );
    let server = Guarded::start(&settings).await;
    for project in ["acme", "granted"] {
        server.project(project).await;
    }
    let asks = json!({"name": "asks", "nodes": [
        {"id": "ask", "type": "agent", "config": {"agent": "research", "prompt": "Rivers."}}]});
    for (project, code) in
        [("default", Value::Null), ("granted", Value::Null), ("acme", json!("provider_not_allowed"))]
    {
        let api = server.api(&server.key(project, "editor").await);
        let ended = run(&api, asks.clone()).await;
        assert_eq!(ended["error"]["code"], code, "{project}: {ended:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_with_the_key_that_has_opened_it() {
    let server = Guarded::start("").await;
    let (admin, key) = (server.api(&server.admin), server.key("default", "viewer").await);
    let definition =
        json!({"name": "waits", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]});
    let workflow = admin.create(&definition).await;
    let run = admin.start(&workflow, json!({})).await;
    let reader = server.api(&key);
    let stream = reader.client.get(format!("{}/api/v1/runs/{run}/history", reader.url));
    let stream = stream.header("accept", "text/event-stream").send().await.expect("a stream");
    assert_eq!(stream.status(), 200);
    let (status, _) = admin.request("DELETE", &format!("/keys/{}", id_of(&key)), None).await;
    assert_eq!(status, 204);
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), stream.bytes()).await;
    let told = ended.expect("it ends within seconds").expect("the events so far");
    assert!(String::from_utf8_lossy(&told).contains("run.created"));
    let (status, answer) = reader.request("GET", &format!("/runs/{run}"), None).await;
    assert_eq!((status, code(&answer)), (401, "invalid_credential"));
    admin.operate(&run, "cancel", json!({})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_a_project_answer_the_api_and_no_other_app() {
    let server = Guarded::start("").await;
    server.project("acme").await;
    let api = server.api(&server.key("acme", "editor").await);
    let definition = json!({"name": "waits", "nodes": [
        {"id": "go", "type": "signal", "config": {"name": "go"}},
        {"id": "ask", "type": "agent", "config": {"agent": "research", "prompt": "Rivers."}}],
        "edges": [{"source": "go", "target": "ask"}]});
    let workflow = api.create(&definition).await;
    let run = api.start(&workflow, json!({})).await;
    assert!(run.starts_with("acme~"), "{run}");
    api.until(&run, "waiting").await;
    let name = run.strip_prefix("acme~").expect("a name");
    assert_eq!(api.get(&format!("/runs/{name}")).await["id"], json!(run), "by its name, too");

    let dapr = &api.dapr;
    let actor = async |method: &str, body: Value| -> Value {
        let call = api.client.put(format!("{dapr}/v1.0/actors/Workflow/{run}/method/{method}"));
        let answer = call.json(&body).send().await.expect("an answer").text().await.expect("a body");
        serde_json::from_str(&answer).unwrap_or_else(|_| panic!("{answer}"))
    };
    for (method, body) in [("status", json!({})), ("cancel", json!({})), ("signal", json!({"name": "go"}))] {
        let answer = actor(method, body).await;
        assert_eq!(answer["error"]["code"], "unsigned", "{method}: {answer:#}");
    }
    let event = json!({"specversion": "1.0", "id": "1", "source": "test", "type": "callboard.run.cancel",
        "datacontenttype": "application/json", "data": {"run_id": run}});
    let publish = api.client.post(format!("{dapr}/v1.0/publish/pubsub/callboard.commands"));
    let publish = publish.header("content-type", "application/cloudevents+json").body(event.to_string());
    assert!(publish.send().await.expect("an answer").status().is_success());

    let signalled = api.operate(&run, "signal", json!({"name": "go"})).await;
    assert!(signalled["id"].is_string(), "{signalled:#}");
    let ended = api.until(&run, "completed").await;
    assert_eq!(ended["status"], "completed", "the event changed nothing");
    let history = api.history(&run).await;
    assert!(history.iter().all(|event| event["type"] != "run.cancelled"));

    let default = server.api(&server.admin);
    let (status, answer) = default.request("GET", &format!("/runs/{run}"), None).await;
    assert_eq!((status, code(&answer)), (404, "unknown_run"));
    let (status, answer) = default.request("DELETE", "/projects/acme", None).await;
    assert_eq!((status, code(&answer)), (409, "project_not_empty"));
}
