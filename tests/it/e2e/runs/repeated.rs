//! Requests with a key, sent again: over all routes that the server says it has, and what a key does not forgive.

use crate::e2e::{
    history::types,
    world::{Case, World, cases, example},
};
use futures::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};

pub fn all() -> Vec<(&'static str, Case)> {
    cases![
        every_route_that_changes_something_does_it_once,
        starts_under_one_key_are_one_start_and_another_is_refused,
        a_repeated_start_outlives_its_workflow,
        a_key_of_a_run_names_one_request,
        requests_at_once_under_one_key_are_one,
    ]
}

/// What a test knows of an answer.
struct Answer {
    status: u16,
    replayed: bool,
    body: Value,
}

impl Answer {
    async fn of(response: Response) -> Self {
        let replayed = response.headers().get("idempotency-replayed").is_some_and(|value| value == "true");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        Self { status, replayed, body: serde_json::from_str(&text).unwrap_or(Value::Null) }
    }

    #[track_caller]
    fn is_reused(&self) {
        assert_eq!(
            (self.status, &self.body["code"]),
            (422, &json!("idempotency_key_reused")),
            "{:#}",
            self.body
        );
    }
}

async fn send(w: &World, method: &str, path: &str, key: &str, body: &Value) -> Answer {
    let url = format!("{}/api/v1{path}", w.api.url);
    let request = w.api.client.request(method.to_uppercase().parse().expect("a method"), url);
    let request = request.header("idempotency-key", key);
    let request = if body.is_null() { request } else { request.json(body) };
    Answer::of(request.send().await.expect("an answer")).await
}

/// A change that the catalog remembers: its repetition is answered as it was, and the key is nobody else's.
async fn is_done_once(w: &World, (method, path): (&str, &str), key: &str, (body, other): (&Value, &Value)) {
    let first = send(w, method, path, key, body).await;
    let again = send(w, method, path, key, body).await;
    assert!((200..300).contains(&first.status), "{method} {path}: {:#}", first.body);
    assert_eq!((first.replayed, again.replayed), (false, true), "{method} {path}");
    assert_eq!((again.status, &again.body), (first.status, &first.body), "{method} {path}");
    if !other.is_null() {
        send(w, method, path, key, other).await.is_reused();
    }
}

/// A run that waits at an approval, in the state in which an operation may be done.
async fn ready(w: &World, operation: &str) -> String {
    let definition =
        json!({"name": "keyed", "nodes": [{"id": "ok", "type": "approval", "config": {"title": "ok?"}}]});
    let run = w.api.run(&definition, json!({})).await;
    w.api.until(&run, "waiting").await;
    match operation {
        "resume" => drop(w.api.operate(&run, "pause", json!({})).await),
        "rerun" => drop(w.api.operate(&run, "cancel", json!({})).await),
        _ => {}
    }
    run
}

/// The event that an operation leaves behind, once.
fn left_by(operation: &str) -> &'static str {
    match operation {
        "cancel" => "run.cancelled",
        "pause" => "run.paused",
        "resume" => "run.resumed",
        "signal" => "run.signal_received",
        "approve" => "step.completed",
        "rerun" => "run.rerun",
        other => panic!("{other} is a new operation: say what it leaves behind"),
    }
}

async fn every_route_that_changes_something_does_it_once(w: World) {
    let described = w.api.get("/openapi.json").await;
    let mut walked = 0;
    for (template, methods) in described["paths"].as_object().expect("paths") {
        for (method, described) in methods.as_object().expect("methods") {
            let mut parameters = described["parameters"].as_array().into_iter().flatten();
            if !parameters.any(|parameter| parameter["name"] == "Idempotency-Key") {
                continue;
            }
            walked += 1;
            let short = template.strip_prefix("/api/v1").unwrap_or(template);
            let what = format!("{method} {short}");
            let named = |name: &str| json!({"name": name, "nodes": []});
            match what.as_str() {
                "post /workflows" | "put /workflows/{id}" | "delete /workflows/{id}" => {
                    let id = w.api.create(&named("before")).await;
                    let path = short.replace("{id}", &id);
                    let (body, other) = match method.as_str() {
                        "delete" => (Value::Null, Value::Null),
                        _ => (named("after"), named("other")),
                    };
                    is_done_once(&w, (method, &path), &format!("walk-{walked}"), (&body, &other)).await;
                    let (status, seen) = w.api.request("GET", &format!("/workflows/{id}"), None).await;
                    match method.as_str() {
                        "post" => assert_eq!((status, &seen["version"]), (200, &json!(1))),
                        "put" => assert_eq!((status, &seen["version"]), (200, &json!(2))),
                        _ => assert_eq!(status, 404),
                    }
                }
                "post /workflows/{id}/start" | "post /runs" => {
                    let id = w.api.create(&named("started")).await;
                    let path = short.replace("{id}", &id);
                    let body = |n: u32| match short {
                        "/runs" => json!({"definition": named("inline"), "input": {"n": n}}),
                        _ => json!({"input": {"n": n}}),
                    };
                    let key = format!("walk-{id}");
                    let first = send(&w, method, &path, &key, &body(1)).await;
                    let again = send(&w, method, &path, &key, &body(1)).await;
                    assert_eq!((first.status, first.replayed, again.replayed), (200, false, true), "{what}");
                    assert_eq!(first.body["run_id"], again.body["run_id"], "{what}");
                    send(&w, method, &path, &key, &body(2)).await.is_reused();
                }
                "post /workflows/import"
                | "post /workflows/{id}/publish"
                | "post /workflows/{id}/duplicate"
                | "post /workflows/{id}/versions/{n}/restore" => {
                    let id = w.api.create(&named("before")).await;
                    let operation = short.rsplit('/').next().unwrap_or_default();
                    let (body, other) = match operation {
                        "import" => (named("after"), named("other")),
                        "publish" => (json!({"note": "one"}), json!({"note": "two"})),
                        "duplicate" => (json!({"name": "after"}), json!({"name": "other"})),
                        _ => (json!({}), Value::Null),
                    };
                    if operation == "publish" {
                        let draft = format!("/workflows/{id}?draft=true");
                        assert_eq!(w.api.request("PUT", &draft, Some(named("after"))).await.0, 200);
                    }
                    let path = short.replace("{id}", &id).replace("{n}", "1");
                    is_done_once(&w, (method, &path), &format!("walk-{walked}"), (&body, &other)).await;
                }
                "post /triggers" | "post /triggers/{id}/fire" => {
                    let id = w.api.create(&named("nightly")).await;
                    let of = |name: &str| json!({"workflow_id": id, "kind": "schedule", "name": name, "settings": {"every": "1h"}});
                    let trigger = w.api.post("/triggers", of("before")).await;
                    let path = short.replace("{id}", trigger["id"].as_str().expect("an id"));
                    let (body, other) = match short {
                        "/triggers" => (of("after"), of("other")),
                        _ => (json!({"input": {"n": 1}}), json!({"input": {"n": 2}})),
                    };
                    let key = format!("walk-{walked}");
                    let first = send(&w, method, &path, &key, &body).await;
                    let again = send(&w, method, &path, &key, &body).await;
                    assert!((200..300).contains(&first.status), "{what}: {:#}", first.body);
                    assert_eq!((first.replayed, again.replayed), (false, true), "{what}");
                    for id in ["id", "run_id"] {
                        assert_eq!(first.body[id], again.body[id], "{what}");
                    }
                    send(&w, method, &path, &key, &other).await.is_reused();
                }
                // Of many runs each does it once, and says so of itself.
                "post /runs/cancel" | "post /runs/rerun" => {
                    let operation = short.rsplit('/').next().unwrap_or_default();
                    let run = ready(&w, operation).await;
                    let body = match operation {
                        "rerun" => json!({"ids": [run], "from": "ok"}),
                        _ => json!({"ids": [run]}),
                    };
                    let first = send(&w, method, short, "k", &body).await;
                    let again = send(&w, method, short, "k", &body).await;
                    assert_eq!((first.status, again.status), (200, 200), "{what}: {:#}", again.body);
                    assert_eq!((first.replayed, again.replayed), (false, true), "{what}: {:#}", again.body);
                    assert_eq!(again.body["items"][0]["id"], json!(run), "{what}");
                    if operation == "rerun" {
                        let other = json!({"ids": [run], "from": "ok", "input": 1});
                        let other = send(&w, method, short, "k", &other).await.body;
                        assert_eq!(other["items"][0]["error"]["code"], "idempotency_key_reused", "{other:#}");
                    }
                    let (left, history) = (left_by(operation), w.api.history(&run).await);
                    let count = types(&history).iter().filter(|kind| **kind == left).count();
                    assert_eq!(count, 1, "{what}: {:?}", types(&history));
                }
                _ => {
                    let operation = short.rsplit('/').next().unwrap_or_default();
                    let left = left_by(operation);
                    let run = ready(&w, operation).await;
                    let path = short.replace("{id}", &run);
                    let (body, other) = match operation {
                        "signal" => (json!({"name": "go", "data": {"a": 1, "b": 2}}), json!({"name": "go"})),
                        "approve" => (
                            json!({"node": "ok", "approved": true}),
                            json!({"node": "ok", "approved": false}),
                        ),
                        "rerun" => (json!({"from": "ok"}), json!({"from": "ok", "input": 1})),
                        _ => (json!({}), Value::Null),
                    };
                    let first = send(&w, method, &path, "k", &body).await;
                    let again = send(&w, method, &path, "\"k\"", &body).await;
                    assert_eq!((first.status, again.status), (200, 200), "{what}: {:#}", again.body);
                    assert_eq!((first.replayed, again.replayed), (false, true), "{what}");
                    assert_eq!(
                        (again.body.get("replayed"), &again.body["id"]),
                        (None, &json!(run)),
                        "{what}"
                    );
                    if !other.is_null() {
                        send(&w, method, &path, "k", &other).await.is_reused();
                    }
                    let elsewhere = if operation == "pause" { "cancel" } else { "pause" };
                    send(&w, method, &format!("/runs/{run}/{elsewhere}"), "k", &json!({})).await.is_reused();
                    let history = w.api.history(&run).await;
                    let count = types(&history).iter().filter(|kind| **kind == left).count();
                    assert_eq!(count, 1, "{what}: {:?}", types(&history));
                }
            }
        }
    }
    assert!(walked >= 11, "{walked} routes");
}

async fn starts_under_one_key_are_one_start_and_another_is_refused(w: World) {
    let one = json!({"name": "one", "nodes": []});
    let two = json!({"name": "two", "nodes": []});
    let start = |definition: &Value, input: Value| json!({"definition": definition, "input": input});
    let first = send(&w, "post", "/runs", "compared", &start(&one, json!({"a": 1, "b": [1, 2]}))).await;
    assert_eq!((first.status, first.replayed), (200, false), "{:#}", first.body);
    let same = send(&w, "post", "/runs", "compared", &start(&one, json!({"b": [1, 2], "a": 1}))).await;
    assert_eq!(
        (same.replayed, &same.body["run_id"]),
        (true, &first.body["run_id"]),
        "the order of fields says nothing"
    );
    for other in [
        start(&two, json!({"a": 1, "b": [1, 2]})),
        start(&one, json!({"a": 2, "b": [1, 2]})),
        start(&one, json!({"a": 1, "b": [2, 1]})),
        start(&one, json!({})),
    ] {
        send(&w, "post", "/runs", "compared", &other).await.is_reused();
    }
    // Larger than what stands in an event.
    let large = |order: bool| {
        let text = "x".repeat(5000);
        if order { json!({"text": text, "n": 1}) } else { json!({"n": 1, "text": text}) }
    };
    let first = send(&w, "post", "/runs", "large", &start(&one, large(true))).await;
    for order in [true, false] {
        let same = send(&w, "post", "/runs", "large", &start(&one, large(order))).await;
        assert_eq!((same.replayed, &same.body["run_id"]), (true, &first.body["run_id"]));
    }
    send(&w, "post", "/runs", "large", &start(&one, json!({"n": 2, "text": "x".repeat(5000)})))
        .await
        .is_reused();
}

async fn a_repeated_start_outlives_its_workflow(w: World) {
    let definition =
        json!({"name": "gone", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]});
    let id = w.api.create(&definition).await;
    let path = format!("/workflows/{id}/start");
    let body = json!({"input": {"n": 1}});
    let first = send(&w, "post", &path, "outlives", &body).await;
    let narrow = json!({"name": "gone", "nodes": [], "input": {"type": "object", "required": ["m"]}});
    w.api.request("PUT", &format!("/workflows/{id}"), Some(narrow)).await;
    let again = send(&w, "post", &path, "outlives", &body).await;
    assert_eq!(
        (again.status, again.replayed),
        (200, true),
        "the next version wants another input: {:#}",
        again.body
    );
    assert_eq!(w.api.request("DELETE", &format!("/workflows/{id}"), None).await.0, 204);
    let again = send(&w, "post", &path, "outlives", &body).await;
    assert_eq!((again.status, again.replayed), (200, true), "{:#}", again.body);
    assert_eq!(again.body["run_id"], first.body["run_id"]);
    let other = send(&w, "post", &path, "another", &body).await;
    assert_eq!((other.status, &other.body["code"]), (404, &json!("unknown_workflow")));
}

async fn a_key_of_a_run_names_one_request(w: World) {
    let workflow = w.api.create(&example("signal")).await;
    let path = format!("/workflows/{workflow}/start");
    let began = send(&w, "post", &path, "one-for-all", &json!({})).await;
    let run = began.body["run_id"].as_str().expect("a run id").to_owned();
    let signal = format!("/runs/{run}/signal");
    send(&w, "post", &signal, "one-for-all", &json!({"name": "payment", "data": {"amount": 1}}))
        .await
        .is_reused();
    // Through the actor it is the same memory.
    let asked = json!({"op": "by-actor", "name": "payment", "data": {"amount": 2}});
    let done = w.api.actor("Workflow", &run, "signal", asked.clone()).await;
    assert_eq!((done.get("replayed"), done["error"].is_null()), (None, true), "{done:#}");
    assert_eq!(w.api.actor("Workflow", &run, "signal", asked).await["replayed"], true);
    let by_rest =
        send(&w, "post", &signal, "by-actor", &json!({"name": "payment", "data": {"amount": 2}})).await;
    assert_eq!((by_rest.status, by_rest.replayed), (200, true), "{:#}", by_rest.body);
    let other = w.api.actor("Workflow", &run, "signal", json!({"op": "by-actor", "name": "payment"})).await;
    assert_eq!(other["error"]["code"], "idempotency_key_reused", "{other:#}");
    w.ended(&run, "completed").await;
    let late =
        send(&w, "post", &signal, "by-actor", &json!({"name": "payment", "data": {"amount": 2}})).await;
    assert_eq!((late.status, late.replayed), (200, true), "it was done before the run ended");
    let new = send(&w, "post", &signal, "after-the-end", &json!({"name": "payment"})).await;
    assert_eq!((new.status, &new.body["code"]), (409, &json!("run_ended")));
}

async fn requests_at_once_under_one_key_are_one(w: World) {
    let definition = json!({"name": "at-once", "nodes": []});
    let made = join_all((0..8).map(|_| send(&w, "post", "/workflows", "at-once", &definition))).await;
    assert!(made.iter().all(|answer| answer.status == 201 && answer.body == made[0].body));
    assert_eq!(made.iter().filter(|answer| !answer.replayed).count(), 1);
    let run = ready(&w, "signal").await;
    let path = format!("/runs/{run}/signal");
    let body = json!({"name": "go"});
    let sent = join_all((0..8).map(|_| send(&w, "post", &path, "at-once", &body))).await;
    assert!(sent.iter().all(|answer| answer.status == 200));
    assert_eq!(sent.iter().filter(|answer| !answer.replayed).count(), 1);
    let history = w.api.history(&run).await;
    assert_eq!(types(&history).iter().filter(|kind| **kind == "run.signal_received").count(), 1);
}
