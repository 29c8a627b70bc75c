//! `Idempotency-Key`: every route that changes something keeps the promise, each in the way that this table names.

use super::*;
use std::collections::BTreeSet;

/// Who remembers that something was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The catalog, in the transaction of the change.
    Catalog,
    /// The run, beside its last operations.
    Run,
    /// Each of several runs.
    Each,
    /// The run's id, which is made of the key; what it was started with is compared.
    Start,
    /// What is made: its id is made of the key, and what it was made with is compared.
    Name,
}

const PROMISES: [(&str, &str, By); 19] = [
    ("post", "/api/v1/workflows", By::Catalog),
    ("put", "/api/v1/workflows/{id}", By::Catalog),
    ("delete", "/api/v1/workflows/{id}", By::Catalog),
    ("post", "/api/v1/workflows/import", By::Catalog),
    ("post", "/api/v1/workflows/{id}/publish", By::Catalog),
    ("post", "/api/v1/workflows/{id}/versions/{n}/restore", By::Catalog),
    ("post", "/api/v1/workflows/{id}/duplicate", By::Catalog),
    ("post", "/api/v1/workflows/{id}/start", By::Start),
    ("post", "/api/v1/runs", By::Start),
    ("post", "/api/v1/runs/{id}/cancel", By::Run),
    ("post", "/api/v1/runs/{id}/pause", By::Run),
    ("post", "/api/v1/runs/{id}/resume", By::Run),
    ("post", "/api/v1/runs/{id}/signal", By::Run),
    ("post", "/api/v1/runs/{id}/approve", By::Run),
    ("post", "/api/v1/runs/{id}/rerun", By::Run),
    ("post", "/api/v1/runs/cancel", By::Each),
    ("post", "/api/v1/runs/rerun", By::Each),
    ("post", "/api/v1/triggers", By::Name),
    ("post", "/api/v1/triggers/{id}/fire", By::Name),
];

/// These only ask, with a body.
const CHANGES_NOTHING: [&str; 5] = [
    "/api/v1/workflows/check",
    "/api/v1/expressions/evaluate",
    "/api/v1/definitions/scope",
    "/api/v1/definitions/rename",
    "/api/v1/triggers/preview",
];

/// Their answers hold a secret, which is kept nowhere, or their callers name what is made, changed or deleted, or what it is made on:
/// a second time is told, or changes nothing. A delivery is named by what signs it. A `PATCH` sets what it names, twice as well as once.
const TAKE_NO_KEY: [&str; 14] = [
    "/api/v1/workflows/{id}/draft",
    "/api/v1/keys",
    "/api/v1/keys/{id}",
    "/api/v1/keys/{id}/rotate",
    "/api/v1/projects",
    "/api/v1/projects/{id}",
    "/api/v1/projects/{id}/limits",
    "/api/v1/projects/{id}/pause",
    "/api/v1/projects/{id}/resume",
    "/api/v1/triggers/{id}",
    "/api/v1/triggers/{id}/enable",
    "/api/v1/triggers/{id}/disable",
    "/api/v1/triggers/{id}/secret",
    "/hooks/{project}/{trigger}",
];

/// What is sent, and something else that may be sent there as well.
fn bodies(path: &str) -> (Value, Value) {
    let definition = |name: &str| json!({"name": name, "nodes": []});
    match path.rsplit('/').next().unwrap_or_default() {
        "workflows" | "{id}" | "import" => (definition("one"), definition("two")),
        "publish" => (json!({"note": "one"}), json!({"note": "two"})),
        "duplicate" => (json!({"name": "one"}), json!({"name": "two"})),
        "start" => (json!({"input": {"a": 1}}), json!({"input": {"a": 2}})),
        "runs" => (json!({"definition": definition("one")}), json!({"definition": definition("two")})),
        "signal" => (json!({"name": "go", "data": 1}), json!({"name": "go", "data": 2})),
        "approve" => (json!({"node": "ok", "approved": true}), json!({"node": "ok", "approved": false})),
        "rerun" => (json!({"from": "a"}), json!({"from": "b"})),
        _ => (json!({}), json!({})),
    }
}

fn keyed(method: &str, path: &str, keys: &[&str], body: &Value) -> Request<Body> {
    let mut request = Request::builder().method(method.to_uppercase().as_str()).uri(path);
    for key in keys {
        request = request.header("idempotency-key", *key);
    }
    let body = if method == "delete" { String::new() } else { body.to_string() };
    if !body.is_empty() {
        request = request.header(header::CONTENT_TYPE, "application/json");
    }
    request.body(Body::from(body)).expect("a request")
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[test]
fn every_route_that_changes_something_says_how_it_keeps_the_promise() {
    let document = openapi::document();
    let mut changing = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let path_has_none =
                CHANGES_NOTHING.contains(&path.as_str()) || TAKE_NO_KEY.contains(&path.as_str());
            if method == "get" || method == "patch" || path_has_none {
                continue;
            }
            changing.insert((method.clone(), path.clone()));
            let parameters = operation["parameters"].as_array().expect("parameters");
            assert!(parameters.iter().any(|p| p["name"] == "Idempotency-Key"), "{method} {path}");
            let responses = operation["responses"].as_object().expect("responses");
            for status in ["400", "422"] {
                assert!(responses.contains_key(status), "{method} {path} does not say {status}");
            }
            let well = responses.iter().find(|(status, _)| status.starts_with('2')).expect("an answer").1;
            assert!(well["headers"]["Idempotency-Replayed"].is_object(), "{method} {path}");
        }
    }
    let promised = PROMISES.iter().map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()));
    assert_eq!(promised.collect::<BTreeSet<_>>(), changing);
}

#[tokio::test]
async fn a_key_that_is_none_is_refused_everywhere_and_nothing_is_done() {
    let api = Api::new().await;
    let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await.body;
    let id = made["id"].as_str().expect("an id");
    for (method, path, _) in PROMISES {
        let at = path.replace("{id}", id).replace("{n}", "1");
        for keys in [&[""][..], &[" "], &["a b"], &["\"\""], &["k", "k"], &[&"x".repeat(256)]] {
            let answer = api.send(keyed(method, &at, keys, &bodies(path).0)).await;
            is_problem(&answer, 400, "invalid_idempotency_key");
        }
    }
    assert_eq!(api.get("/api/v1/workflows").await.body["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.get(&format!("/api/v1/workflows/{id}")).await.body["version"], 1);
}

#[tokio::test]
async fn what_the_catalog_remembers_is_answered_again_and_done_once() {
    for (method, path, _) in PROMISES.into_iter().filter(|(.., by)| *by == By::Catalog) {
        let api = Api::new().await;
        let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await.body;
        let id = made["id"].as_str().expect("an id").to_owned();
        let at = path.replace("{id}", &id).replace("{n}", "1");
        let (body, other) = bodies(path);
        if path.ends_with("/publish") {
            let body = json!({"name": "a", "nodes": [], "output": 1}).to_string();
            let draft = request(
                Method::PUT,
                &format!("/api/v1/workflows/{id}?draft=true"),
                Some("application/json"),
                &body,
            );
            assert_eq!(api.send(draft).await.status, 200);
        }
        let first = api.send(keyed(method, &at, &["k-1"], &body)).await;
        assert!((200..300).contains(&first.status) && !is_replayed(&first), "{}", first.body);
        for key in ["k-1", "\"k-1\"", " k-1 "] {
            let again = api.send(keyed(method, &at, &[key], &body)).await;
            assert!(is_replayed(&again), "{method} {path}");
            assert_eq!((again.status, &again.body), (first.status, &first.body), "{method} {path}");
            for name in [header::LOCATION, header::ETAG, header::CONTENT_TYPE] {
                assert_eq!(again.headers.get(&name), first.headers.get(&name), "{method} {path} {name}");
            }
        }
        // Everything that decides counts: the body, the path, the query, the version that is expected.
        let elsewhere = at.replace(&id, "another");
        let mut expecting = keyed(method, &at, &["k-1"], &body);
        expecting.headers_mut().insert(header::IF_MATCH, "\"1\"".parse().expect("a value"));
        let is_definition = matches!(path, "/api/v1/workflows" | "/api/v1/workflows/import");
        let mut others = Vec::new();
        if other != body && method != "delete" {
            others.push(keyed(method, &at, &["k-1"], &other));
        }
        if is_definition {
            others.push(keyed(method, &format!("{at}?draft=true"), &["k-1"], &body));
        } else {
            others.push(keyed(method, &elsewhere, &["k-1"], &body));
        }
        if !is_definition && method != "delete" {
            others.push(expecting);
        }
        for other in others {
            is_problem(&api.send(other).await, 422, "idempotency_key_reused");
        }
        let listed = api.get("/api/v1/workflows").await.body;
        let versions: Vec<&Value> =
            listed["items"].as_array().expect("items").iter().map(|item| &item["version"]).collect();
        let expected: &[u32] = match path.rsplit('/').next().expect("a part") {
            "workflows" | "import" | "duplicate" => &[1, 1],
            "{id}" if method == "delete" => &[],
            "{id}" | "publish" => &[2],
            _ => &[1],
        };
        assert_eq!(json!(versions), json!(expected), "{method} {path}");
    }
}

#[tokio::test]
async fn a_refused_change_is_not_remembered_and_an_answer_outlives_what_it_was_about() {
    let api = Api::new().await;
    let wrong = json!({"name": "w", "nodes": [{"id": "a", "type": "nothing"}]});
    let refused = api.send(keyed("post", "/api/v1/workflows", &["k"], &wrong)).await;
    is_problem(&refused, 422, "invalid_definition");
    // The mistake is mended and sent again under the same key.
    let made = api.send(keyed("post", "/api/v1/workflows", &["k"], &bodies("workflows").0)).await;
    assert_eq!((made.status, is_replayed(&made)), (201, false));
    let path = format!("/api/v1/workflows/{}", made.body["id"].as_str().expect("an id"));

    let mut change = keyed("put", &path, &["p"], &bodies("workflows").1);
    change.headers_mut().insert(header::IF_MATCH, "\"1\"".parse().expect("a value"));
    let again = || {
        let mut change = keyed("put", &path, &["p"], &bodies("workflows").1);
        change.headers_mut().insert(header::IF_MATCH, "\"1\"".parse().expect("a value"));
        change
    };
    assert_eq!(api.send(change).await.body["version"], 2);
    let replayed = api.send(again()).await;
    assert_eq!(
        (replayed.status, &replayed.body["version"]),
        (200, &json!(2)),
        "the version it expects is gone"
    );
    assert_eq!(api.send(keyed("delete", &path, &["d"], &json!({}))).await.status, 204);
    let replayed = api.send(again()).await;
    assert_eq!((replayed.status, is_replayed(&replayed)), (200, true), "the workflow is gone");
    is_problem(&api.send(keyed("delete", &path, &["e"], &json!({}))).await, 404, "unknown_workflow");
}

#[tokio::test]
async fn who_asks_at_once_under_one_key_gets_one_answer() {
    let api = Arc::new(Api::new().await);
    let asked = (0..8).map(|_| {
        let api = api.clone();
        async move { api.send(keyed("post", "/api/v1/workflows", &["k"], &bodies("workflows").0)).await }
    });
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    assert_eq!(answers.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    assert_eq!(api.get("/api/v1/workflows").await.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn what_the_run_remembers_is_asked_of_it_under_the_key_and_told_in_a_header() {
    for (method, path, by) in PROMISES.into_iter().filter(|(.., by)| matches!(by, By::Run | By::Start)) {
        for (before, key) in [(false, Some("k")), (true, Some("k")), (true, None)] {
            let calls = wire::Calls::default();
            let answer: fn(&str) -> Value = match before {
                true => |_| json!({"id": "r", "status": "running", "output": null, "replayed": true}),
                false => |_| json!({"id": "r", "status": "running", "output": null}),
            };
            let api = Api::over(wire::sidecar(calls.clone(), answer), Limits::new(8, 8)).await;
            let at = path.replace("{id}", "r");
            let answer = api.send(keyed(method, &at, key.as_slice(), &bodies(path).0)).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            assert_eq!(is_replayed(&answer), before && key.is_some(), "{path} {before} {key:?}");
            assert_eq!(answer.body.get("replayed"), None, "{path}: it stands in the header");
            let op = calls.lock().expect("calls")[0].2["op"].clone();
            match key {
                Some(key) => assert_eq!(op, key, "{path}"),
                None => assert!(op.as_str().is_some_and(|op| op.starts_with("once ")), "{path}: {op}"),
            }
            let first = calls.lock().expect("calls")[0].2.get("first").cloned();
            assert_eq!(first, (by == By::Start && key.is_none()).then_some(json!(true)), "{path}");
        }
        let reused: fn(&str) -> Value =
            |_| json!({"error": {"code": "idempotency_key_reused", "status": 422, "detail": "another"}});
        let api = Api::over(wire::sidecar(wire::Calls::default(), reused), Limits::new(8, 8)).await;
        let answer = api.send(keyed(method, &path.replace("{id}", "r"), &["k"], &bodies(path).0)).await;
        is_problem(&answer, 422, "idempotency_key_reused");
    }
}
