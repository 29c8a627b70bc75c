//! Triggers as a client makes them, and deliveries as their senders sign them.

use super::*;
use callboard_catalog::{NewTrigger, Outcome, TriggerKind};
use callboard_core::{Span, id::TriggerId};
use ring::hmac;

/// A sidecar whose runs begin.
fn begins(calls: &wire::Calls) -> Sidecar {
    wire::sidecar(calls.clone(), |_| json!({"id": "r", "status": "running", "output": null}))
}

async fn api(calls: &wire::Calls) -> (Api, String) {
    let api = Api::over(begins(calls), Limits::new(8, 8)).await;
    let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await.body;
    let id = made["id"].as_str().expect("an id").to_owned();
    (api, id)
}

async fn made(api: &Api, workflow: &str, kind: &str, settings: Value) -> Value {
    let body = json!({"workflow_id": workflow, "kind": kind, "name": "t", "settings": settings});
    let made = api.post("/api/v1/triggers", body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body
}

fn path(trigger: &Value) -> String {
    format!("/api/v1/triggers/{}", trigger["id"].as_str().expect("an id"))
}

async fn put(api: &Api, path: &str, tag: Option<&str>, body: &Value) -> Answer {
    let mut request = request(Method::PUT, path, Some("application/json"), &body.to_string());
    if let Some(tag) = tag {
        request.headers_mut().insert(header::IF_MATCH, tag.parse().expect("a value"));
    }
    api.send(request).await
}

fn paths(answer: &Answer) -> Vec<&str> {
    let problems = answer.body["problems"].as_array().expect("problems");
    let mut paths: Vec<_> = problems.iter().filter_map(|problem| problem["path"].as_str()).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn a_schedule_is_made_shown_changed_disabled_and_deleted() {
    let (api, workflow) = api(&wire::Calls::default()).await;
    let settings = json!({"cron": "0 3 * * *", "zone": "Europe/Berlin"});
    let trigger = made(&api, &workflow, "schedule", settings.clone()).await;
    assert_eq!(
        (&trigger["revision"], &trigger["secret"], &trigger["address"]),
        (&json!(1), &Value::Null, &Value::Null)
    );
    assert_eq!(trigger["next_fires"].as_array().map(Vec::len), Some(5));
    let path = path(&trigger);
    let read = api.get(&path).await;
    assert_eq!(
        (read.headers[header::ETAG].to_str().ok(), &read.body["settings"]),
        (Some("\"1\""), &settings)
    );
    let listed = api.get(&format!("/api/v1/triggers?workflow_id={workflow}")).await.body;
    assert_eq!(listed["items"][0]["id"], trigger["id"]);
    assert_eq!(api.get("/api/v1/triggers?workflow_id=another").await.body["items"], json!([]));

    let change = json!({"name": "hourly", "settings": {"every": "1h"}});
    let changed = put(&api, &path, Some("\"1\""), &change).await;
    assert_eq!(
        (changed.status, &changed.body["revision"], &changed.body["name"]),
        (200, &json!(2), &json!("hourly"))
    );
    is_problem(&put(&api, &path, Some("\"1\""), &change).await, 409, "version_conflict");
    let again = put(&api, &path, None, &json!({"name": "renamed", "settings": {"every": "1h"}})).await.body;
    assert_eq!(again["since"], changed.body["since"], "a name moves no schedule");

    let off = api.send(request(Method::POST, &format!("{path}/disable"), None, "")).await.body;
    assert_eq!((&off["enabled"], &off["next_fires"]), (&json!(false), &json!([])));
    let on = api.send(request(Method::POST, &format!("{path}/enable"), None, "")).await.body;
    assert_eq!((&on["enabled"], on["next_fires"].as_array().map(Vec::len)), (&json!(true), Some(5)));
    is_problem(&api.send(request(Method::POST, &format!("{path}/secret"), None, "")).await, 409, "no_secret");
    assert_eq!(api.send(request(Method::DELETE, &path, None, "")).await.status, 204);
    is_problem(&api.get(&path).await, 404, "unknown_trigger");

    let rows = api.get("/api/v1/audit").await.body["items"].as_array().expect("rows").clone();
    let rows: Vec<_> = rows.iter().filter(|row| row["object"] == trigger["id"]).collect();
    let routes: Vec<_> = rows.iter().rev().map(|row| row["route"].as_str().expect("a route")).collect();
    assert_eq!(
        routes,
        [
            "POST /api/v1/triggers",
            "PUT /api/v1/triggers/{id}",
            "PUT /api/v1/triggers/{id}",
            "POST /api/v1/triggers/{id}/disable",
            "POST /api/v1/triggers/{id}/enable",
            "DELETE /api/v1/triggers/{id}"
        ]
    );
    for pair in rows.windows(2) {
        assert_eq!(pair[0]["before"], pair[1]["after"], "{pair:?}");
    }
}

#[tokio::test]
async fn a_trigger_that_makes_no_sense_is_not_made() {
    let (api, workflow) = api(&wire::Calls::default()).await;
    let of =
        |kind: &str, settings: Value| json!({"workflow_id": workflow, "kind": kind, "settings": settings});
    let post = async |body: Value| api.post("/api/v1/triggers", body).await;
    let wrong =
        post(json!({"kind": "schedule", "name": "n".repeat(201), "settings": {"cron": "x"}, "x": 1})).await;
    is_problem(&wrong, 422, "invalid_body");
    assert_eq!(paths(&wrong), ["name", "settings.cron", "workflow_id", "x"]);
    let wrong = post(of("schedule", json!({"cron": "0 0 30 2 *"}))).await;
    assert_eq!(paths(&wrong), ["settings.cron"]);
    let wrong = post(of("schedule", json!({"every": "1h", "version": 7}))).await;
    assert_eq!(paths(&wrong), ["settings.version"]);
    let unknown = json!({"workflow_id": "nothing-here", "kind": "schedule", "settings": {"every": "1h"}});
    is_problem(&post(unknown).await, 404, "unknown_workflow");
    assert_eq!(api.get("/api/v1/triggers").await.body["items"], json!([]));
}

#[tokio::test]
async fn a_preview_says_when_it_fires_or_what_is_wrong() {
    let api = Api::new().await;
    let preview = async |kind: &str, settings: Value| {
        api.post("/api/v1/triggers/preview", json!({"kind": kind, "settings": settings})).await
    };
    let fine = preview("schedule", json!({"cron": "0 12 1 1 *"})).await.body;
    let next = fine["next_fires"].as_array().expect("fires");
    assert_eq!((next.len(), &fine["problems"]), (5, &json!([])));
    assert!(
        next.iter().all(|at| at.as_str().is_some_and(|at| at.ends_with("-01-01T12:00:00.000Z"))),
        "{next:?}"
    );
    let wrong = preview("schedule", json!({"cron": "0 12 1", "zone": "Nowhere"})).await;
    assert_eq!((wrong.status, paths(&wrong)), (200, vec!["settings.cron", "settings.zone"]));
    assert_eq!(
        paths(&preview("schedule", json!({"cron": "0 0 30 2 *"})).await),
        ["settings.cron"],
        "it never comes"
    );
    let hook = preview("webhook", json!({"scheme": "github"})).await.body;
    assert_eq!(hook, json!({"next_fires": [], "problems": []}));
}

#[tokio::test]
async fn a_trigger_that_is_made_under_a_key_is_made_once() {
    let (api, workflow) = api(&wire::Calls::default()).await;
    let send = async |key: &str, rate: u32| {
        let settings = json!({"scheme": "bearer", "rate": rate});
        let body = json!({"workflow_id": workflow, "kind": "webhook", "settings": settings}).to_string();
        let mut request = request(Method::POST, "/api/v1/triggers", Some("application/json"), &body);
        request.headers_mut().insert("idempotency-key", key.parse().expect("a value"));
        api.send(request).await
    };
    let first = send("k", 5).await;
    assert!(first.status == 201 && first.body["secret"].is_string(), "{}", first.body);
    let again = send("k", 5).await;
    assert_eq!(
        (again.status, &again.body["id"], &again.body["secret"]),
        (201, &first.body["id"], &Value::Null)
    );
    assert_eq!(again.headers["idempotency-replayed"], "true");
    is_problem(&send("k", 6).await, 422, "idempotency_key_reused");
    assert_ne!(send("l", 5).await.body["id"], first.body["id"]);
    assert_eq!(api.get("/api/v1/triggers").await.body["items"].as_array().map(Vec::len), Some(2));
    assert_eq!(api.send(request(Method::DELETE, &path(&first.body), None, "")).await.status, 204);
    assert!(send("k", 6).await.body["secret"].is_string(), "what is gone can be made again");
}

#[tokio::test]
async fn a_trigger_that_is_fired_names_its_run_by_the_key() {
    let calls = wire::Calls::default();
    let (api, workflow) = api(&calls).await;
    let trigger =
        made(&api, &workflow, "schedule", json!({"every": "1h", "input": {"at": "{{ scheduled_at }}"}}))
            .await;
    let fire = async |key: Option<&str>, body: &str| {
        let mut request =
            request(Method::POST, &format!("{}/fire", path(&trigger)), Some("application/json"), body);
        if let Some(key) = key {
            request.headers_mut().insert("idempotency-key", key.parse().expect("a value"));
        }
        api.send(request).await
    };
    let first = fire(Some("k"), "").await;
    assert_eq!(first.status, 200, "{}", first.body);
    let second = fire(Some("k"), r#"{"input": null}"#).await;
    assert_eq!(first.body["run_id"], second.body["run_id"]);
    assert_ne!(fire(None, "").await.body["run_id"], first.body["run_id"]);
    let sent: Vec<Value> = calls.lock().expect("calls").iter().map(|call| call.2.clone()).collect();
    let id = trigger["id"].as_str().expect("an id");
    assert_eq!(sent[0]["op"], json!(format!("trigger {id} now:k")));
    assert_eq!((&sent[0]["workflow_id"], &sent[0]["first"]), (&json!(workflow), &Value::Null));
    assert!(sent[0]["input"]["at"].as_str().is_some_and(|at| Timestamp::parse(at).is_some()), "{sent:?}");
    assert_eq!(sent[1]["input"], Value::Null);
    let fires = api.get(&format!("{}/fires", path(&trigger))).await.body["items"].clone();
    assert_eq!(fires.as_array().map(Vec::len), Some(2), "{fires}");
    assert_eq!((&fires[1]["occasion"], &fires[1]["outcome"]), (&json!("now:k"), &json!("started")));
    is_problem(&api.post("/api/v1/triggers/nothing/fire", json!({})).await, 404, "unknown_trigger");
}

/// A delivery as GitHub sends it.
fn signed(address: &Value, secret: &str, body: &str) -> Request<Body> {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), body.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut request =
        request(Method::POST, address.as_str().expect("an address"), Some("application/json"), body);
    request.headers_mut().insert("x-hub-signature-256", format!("sha256={hex}").parse().expect("a value"));
    request
}

#[tokio::test]
async fn a_signed_delivery_starts_a_run_and_comes_again_as_the_same() {
    let calls = wire::Calls::default();
    let (api, workflow) = api(&calls).await;
    let settings =
        json!({"scheme": "github", "if": "body.ref != 'skip'", "input": {"branch": "{{ body.ref }}"}});
    let trigger = made(&api, &workflow, "webhook", settings).await;
    let secret = trigger["secret"].as_str().expect("a secret");
    let address = &trigger["address"];
    assert!(!api.get(&path(&trigger)).await.body.to_string().contains(secret), "it is shown once");
    let first = api.send(signed(address, secret, r#"{"ref": "main"}"#)).await;
    assert_eq!((first.status, &first.body["status"]), (202, &json!("running")), "{}", first.body);
    let again = api.send(signed(address, secret, r#"{"ref": "main"}"#)).await;
    assert_eq!(again.body["run_id"], first.body["run_id"]);
    let other = api.send(signed(address, secret, r#"{"ref": "next"}"#)).await;
    assert_ne!(other.body["run_id"], first.body["run_id"]);
    let skipped = api.send(signed(address, secret, r#"{"ref": "skip"}"#)).await;
    assert_eq!(
        (skipped.status, &skipped.body),
        (202, &json!({"run_id": null, "status": "skipped", "output": null}))
    );
    let sent: Vec<Value> = calls.lock().expect("calls").iter().map(|call| call.2.clone()).collect();
    assert_eq!(
        (sent.len(), &sent[0]["input"], &sent[0]["op"]),
        (3, &json!({"branch": "main"}), &sent[1]["op"])
    );
    let fires = api.get(&format!("{}/fires", path(&trigger))).await.body["items"].clone();
    let outcomes: Vec<_> =
        fires.as_array().expect("fires").iter().map(|fire| fire["outcome"].clone()).collect();
    assert_eq!(outcomes, ["skipped", "started", "started"]);
    is_problem(&api.send(signed(address, secret, "{")).await, 400, "malformed_json");
}

#[tokio::test]
async fn whoever_has_no_secret_does_not_learn_whether_there_is_a_trigger() {
    let (api, workflow) = api(&wire::Calls::default()).await;
    let trigger = made(&api, &workflow, "webhook", json!({"scheme": "github"})).await;
    let schedule = made(&api, &workflow, "schedule", json!({"every": "1h"})).await;
    let secret = trigger["secret"].as_str().expect("a secret").to_owned();
    let address = &trigger["address"];
    let nowhere = json!("/hooks/default/0197a5e0-0000-7000-8000-000000000000");
    let unknown = api.send(signed(&nowhere, &secret, "{}")).await;
    is_problem(&unknown, 404, "unknown_trigger");
    let elsewhere = json!(address.as_str().expect("an address").replace("default", "acme"));
    let of_a_schedule = json!(format!("/hooks/default/{}", schedule["id"].as_str().expect("an id")));
    for refused in [
        api.send(signed(address, "another", "{}")).await,
        api.send(signed(address, "another", "{")).await,
        api.send(request(Method::POST, address.as_str().expect("an address"), None, "{}")).await,
        api.send(signed(&elsewhere, &secret, "{}")).await,
        api.send(signed(&of_a_schedule, &secret, "{}")).await,
        api.send(signed(&json!("/hooks/NOT/a%20b"), &secret, "{}")).await,
    ] {
        assert_eq!((refused.status, &refused.body), (unknown.status, &unknown.body));
    }
    let disable = format!("{}/disable", path(&trigger));
    assert_eq!(api.send(request(Method::POST, &disable, None, "")).await.status, 200);
    assert_eq!(
        api.send(signed(address, &secret, "{}")).await.body,
        unknown.body,
        "also while it is disabled"
    );
    let large = format!("\"{}\"", "x".repeat(1 << 20));
    is_problem(&api.send(signed(address, &secret, &large)).await, 413, "too_large");
    let rows = api.get("/api/v1/audit").await.body["items"].clone();
    let refused =
        rows.as_array().expect("rows").iter().filter(|row| row["code"] == "unknown_trigger").count();
    assert!((1..=2).contains(&refused), "one row a minute: {rows}");
}

#[tokio::test]
async fn a_secret_that_was_renewed_is_the_only_one_and_a_reference_is_looked_up() {
    let (api, workflow) = api(&wire::Calls::default()).await;
    let trigger = made(&api, &workflow, "webhook", json!({"scheme": "github"})).await;
    let before = trigger["secret"].as_str().expect("a secret").to_owned();
    let renewed = api.send(request(Method::POST, &format!("{}/secret", path(&trigger)), None, "")).await;
    assert_eq!(
        (renewed.status, &renewed.headers[header::CACHE_CONTROL]),
        (200, &"no-store".parse().expect("a value"))
    );
    let secret = renewed.body["secret"].as_str().expect("a secret");
    let address = &trigger["address"];
    assert_eq!(api.send(signed(address, &before, "{}")).await.status, 404);
    assert_eq!(api.send(signed(address, secret, "{}")).await.status, 202);
    // A change of its settings leaves it as it is.
    let change = json!({"settings": {"scheme": "github", "rate": 100}});
    assert_eq!(put(&api, &path(&trigger), None, &change).await.body["secret"], Value::Null);
    assert_eq!(api.send(signed(address, secret, "{}")).await.status, 202);

    let named =
        made(&api, &workflow, "webhook", json!({"scheme": "github", "secret": "secret://hook"})).await;
    assert_eq!(named["secret"], Value::Null);
    assert_eq!(api.send(signed(&named["address"], "hush", "{}")).await.status, 202);
    is_problem(
        &api.send(request(Method::POST, &format!("{}/secret", path(&named)), None, "")).await,
        409,
        "no_secret",
    );
    let lost = made(&api, &workflow, "webhook", json!({"scheme": "github", "secret": "secret://lost"})).await;
    assert_eq!(
        api.send(signed(&lost["address"], "", "{}")).await.status,
        404,
        "what is not there is no secret"
    );
}

#[tokio::test]
async fn a_trigger_takes_so_many_deliveries_a_minute() {
    let (api, workflow) = api(&wire::Calls::default()).await;
    let trigger = made(&api, &workflow, "webhook", json!({"scheme": "github", "rate": 2})).await;
    let secret = trigger["secret"].as_str().expect("a secret");
    for _ in 0..5 {
        // What nobody has signed uses nothing up.
        assert_eq!(api.send(signed(&trigger["address"], "another", "{}")).await.status, 404);
    }
    let mut statuses = Vec::new();
    for n in 0..3 {
        let answer = api.send(signed(&trigger["address"], secret, &n.to_string())).await;
        statuses.push(answer.status);
        if n == 2 {
            is_problem(&answer, 429, "too_many_deliveries");
            assert!(answer.headers.contains_key(header::RETRY_AFTER));
        }
    }
    assert_eq!(statuses, [202, 202, 429]);
}

/// Makes a schedule whose next occasion is at that time.
async fn due(api: &Api, workflow: &str, next_at: Timestamp, settings: Value) -> TriggerId {
    let new = NewTrigger {
        project: ProjectId::DEFAULT,
        id: uuid::Uuid::now_v7().to_string().parse().expect("an id"),
        workflow_id: workflow.parse().expect("an id"),
        kind: TriggerKind::Schedule,
        name: String::new(),
        settings,
        enabled: true,
        secret: None,
        made_of: None,
        at: Timestamp(next_at.0 - 60_000),
        by: "test".to_owned(),
        next_at: Some(next_at),
    };
    api.operations.triggers.store.make_trigger(new).await.expect("a trigger").id
}

const NOW: Timestamp = Timestamp(1_800_000_000_000);

#[tokio::test]
async fn two_processes_that_look_at_once_start_each_occasion_once() {
    let calls = wire::Calls::default();
    let (api, workflow) = api(&calls).await;
    let mut ids = Vec::new();
    for _ in 0..120 {
        ids.push(due(&api, &workflow, NOW, json!({"every": "60s"})).await);
    }
    let look = async || while api.operations.look_at_schedules(NOW).await.expect("it answers") > 0 {};
    futures::join!(look(), look(), look());
    let started: Vec<String> = calls
        .lock()
        .expect("calls")
        .iter()
        .map(|call| call.2["op"].as_str().unwrap_or_default().to_owned())
        .collect();
    let once: std::collections::BTreeSet<_> = started.iter().collect();
    assert_eq!((started.len(), once.len()), (120, 120));
    for id in ids {
        let store = &api.operations.triggers.store;
        let trigger = store.trigger(&ProjectId::DEFAULT, &id).await.expect("it answers").expect("a trigger");
        assert_eq!((trigger.course.next_at, trigger.course.last_at), (Some(NOW + Span::secs(60)), Some(NOW)));
        let fires = store.fires(&ProjectId::DEFAULT, &id, 10).await.expect("it answers");
        assert_eq!(fires.iter().map(|fire| &*fire.occasion).collect::<Vec<_>>(), [NOW.to_string()]);
    }
}

#[tokio::test]
async fn what_cannot_be_started_now_is_looked_at_again_and_what_never_can_is_told() {
    // A sidecar that does not answer.
    let api = Api::new().await;
    let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await.body;
    let workflow = made["id"].as_str().expect("an id").to_owned();
    let id = due(&api, &workflow, NOW, json!({"every": "60s"})).await;
    let look =
        async |secs| api.operations.look_at_schedules(NOW + Span::secs(secs)).await.expect("it answers");
    assert_eq!((look(0).await, look(1).await, look(9).await), (1, 0, 0), "others leave it alone for a while");
    assert_eq!(look(10).await, 1);
    let store = &api.operations.triggers.store;
    let trigger = store.trigger(&ProjectId::DEFAULT, &id).await.expect("it answers").expect("a trigger");
    assert_eq!(
        (trigger.course.next_at, store.fires(&ProjectId::DEFAULT, &id, 10).await.expect("it answers")),
        (Some(NOW), vec![])
    );

    let refuses: fn(&str) -> Value =
        |_| json!({"error": {"code": "invalid_input", "status": 422, "detail": "it does not fit"}});
    let api = Api::over(wire::sidecar(wire::Calls::default(), refuses), Limits::new(8, 8)).await;
    let made = api.post("/api/v1/workflows", json!({"name": "a", "nodes": []})).await.body;
    let id = due(&api, made["id"].as_str().expect("an id"), NOW, json!({"every": "60s"})).await;
    assert_eq!(api.operations.look_at_schedules(NOW).await.expect("it answers"), 1);
    let store = &api.operations.triggers.store;
    let fires = store.fires(&ProjectId::DEFAULT, &id, 10).await.expect("it answers");
    assert_eq!(
        (fires.len(), fires[0].outcome, fires[0].code.as_deref()),
        (1, Outcome::Refused, Some("invalid_input"))
    );
    let trigger = store.trigger(&ProjectId::DEFAULT, &id).await.expect("it answers").expect("a trigger");
    assert_eq!(trigger.course.next_at, Some(NOW + Span::secs(60)));
}
