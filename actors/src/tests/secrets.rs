//! Runs whose data tries to get at a secret: by naming it, by the address it goes to, by what a server left behind.

use super::*;
use axum::{Router, body::Bytes as Body, http::Uri, routing::any};
use parking_lot::Mutex;

const VALUE: &str = "S3CR3T/tok+en~\"q";

/// A server that keeps what it is sent, and gives it to whoever asks later.
async fn server() -> (String, Arc<Mutex<Vec<String>>>) {
    let kept: Arc<Mutex<Vec<String>>> = Arc::default();
    let (put, get) = (kept.clone(), kept.clone());
    let app = Router::new()
        .route(
            "/store",
            any(move |uri: Uri, headers: http::HeaderMap, body: Body| async move {
                let authorization = headers.get("authorization").and_then(|v| v.to_str().ok()).unwrap_or("-");
                put.lock().push(format!("{uri} {authorization} {}", String::from_utf8_lossy(&body)));
                "thanks"
            }),
        )
        .route(
            "/kept",
            any(move || async move { get.lock().join("\n").replace('/', "%2f").replace('"', "&quot;") }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address.to_string(), kept)
}

async fn world(folder: &Path, server: &str) -> World {
    let secrets = BTreeMap::from([("tok".to_owned(), Secret::new(VALUE))]);
    let exempt = vec![server.parse().expect("an origin")];
    World::reaching(folder, Settings::default(), exempt, secrets).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_neither_names_a_secret_nor_brings_one_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, kept) = server().await;
    let world = world(folder.path(), &server).await;
    let definition = json!({
        "name": "note",
        "nodes": [
            {"id": "store", "type": "http", "config": {
                "method": "POST", "url": format!("http://{server}/store?x={{{{ input.note }}}}"),
                "headers": {"authorization": "Bearer secret://tok"},
                "body": {"note": "{{ input.note }}"}}},
            {"id": "kept", "type": "http", "config": {"url": format!("http://{server}/kept")}}
        ],
        "edges": [{"source": "store", "target": "kept"}]
    });
    world.call("r1", "start", json!({"definition": definition, "input": {"note": "secret://tok"}})).await;
    let done = world.until("r1", "completed").await;
    let seen = kept.lock().clone();
    assert_eq!(
        seen,
        [format!("/store?x=secret%3A%2F%2Ftok Bearer {VALUE} {{\"note\":\"secret://tok\"}}")],
        "the server got the token in the header only"
    );
    assert!(done.to_string().contains("Bearer ***"), "another step brings it back: {done:#}");
    let history = world.catalog.history(&run_id("r1"), 0, 100).await.expect("a history");
    let history = format!("{history:?}");
    assert!(!history.contains("S3CR3T"), "{history}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_does_not_go_where_data_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (server, kept) = server().await;
    let world = world(folder.path(), &server).await;
    let definition = json!({"name": "anywhere", "nodes": [{"id": "go", "type": "http", "config": {
        "url": "{{ input.u }}/store", "headers": {"authorization": "Bearer secret://tok"}}}]});
    let input = json!({"u": format!("http://{server}")});
    let refused = world.call("r1", "start", json!({"definition": definition, "input": input})).await;
    assert_eq!(refused["error"]["code"], "invalid_definition", "{refused:#}");
    assert!(refused.to_string().contains("secret_without_hosts"), "{refused:#}");
    assert!(kept.lock().is_empty());
    world.stop().await;
}
