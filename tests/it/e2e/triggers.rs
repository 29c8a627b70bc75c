//! Triggers from outside: schedules by the clock of the machine, deliveries as their senders sign them.

use super::api::{Api, PATIENCE};
use crate::harness::{Callboard, eventually, when};
use callboard_core::Timestamp;
use ring::hmac;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Schedules that are due in the same second.
const MANY: usize = 1000;
/// By then all of them are started.
const SOON: i64 = 5_000;

async fn dev() -> (Callboard, Api) {
    let server = Callboard::dev([""; 0]).await;
    let api = Api::new(&server.url, &server.dapr_http());
    (server, api)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(since.as_millis()).expect("a clock of our days")
}

fn instant(text: &Value) -> i64 {
    text.as_str().and_then(Timestamp::parse).expect("an instant").0
}

async fn echo(api: &Api) -> String {
    api.create(&json!({"name": "echo", "nodes": [], "output": {"got": "{{ input }}"}})).await
}

async fn made(api: &Api, workflow: &str, kind: &str, settings: Value) -> Value {
    api.post("/triggers", json!({"workflow_id": workflow, "kind": kind, "settings": settings})).await
}

fn id(of: &Value) -> &str {
    of["id"].as_str().expect("an id")
}

async fn fires(api: &Api, trigger: &str) -> Vec<Value> {
    api.get(&format!("/triggers/{trigger}/fires")).await["items"].as_array().expect("fires").clone()
}

/// All runs of a workflow.
async fn runs(api: &Api, workflow: &str) -> Vec<Value> {
    let (mut items, mut next) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/runs?workflow_id={workflow}&limit=1000{next}")).await;
        items.extend(page["items"].as_array().expect("items").clone());
        match page["next"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => return items,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_starts_a_run_for_each_occasion_until_it_is_disabled() {
    let (mut server, api) = dev().await;
    let workflow = echo(&api).await;
    let settings = json!({"every": "1s", "input": {"at": "{{ scheduled_at }}"}});
    let trigger = made(&api, &workflow, "schedule", settings).await;
    let trigger = id(&trigger).to_owned();
    eventually(PATIENCE, || async { when(fires(&api, &trigger).await, |fires| fires.len() >= 4) }).await;
    // It goes on after a restart, and nothing that was started is started again.
    server.stop().await;
    server.restart().await;
    let api = Api::new(&server.url, &server.dapr_http());
    eventually(PATIENCE, || async { when(fires(&api, &trigger).await, |fires| fires.len() >= 7) }).await;
    let (status, off) = api.request("POST", &format!("/triggers/{trigger}/disable"), None).await;
    assert_eq!((status, &off["enabled"], &off["next_fires"]), (200, &json!(false), &json!([])));

    let fires = fires(&api, &trigger).await;
    let runs = runs(&api, &workflow).await;
    assert_eq!(runs.len(), fires.len(), "{fires:#?}");
    let occasions: BTreeSet<_> = fires.iter().map(|fire| fire["occasion"].as_str()).collect();
    assert_eq!(occasions.len(), fires.len());
    for fire in &fires {
        assert_eq!(fire["outcome"], "started", "{fire}");
        let run = api.until(fire["run_id"].as_str().expect("a run"), "completed").await;
        assert_eq!(run["output"]["got"]["at"], fire["occasion"]);
        assert!(instant(&fire["at"]) >= instant(&fire["occasion"]), "never early: {fire}");
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(self::runs(&api, &workflow).await.len(), runs.len(), "it is disabled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_schedules_that_are_due_in_one_second_start_within_five_and_none_twice() {
    let (_server, api) = dev().await;
    let workflow = echo(&api).await;
    // All of them are made by then, with time to spare.
    let due = (now() / 1000 + 45) * 1000;
    let (second, minute) = (due / 1000 % 60, due / 60_000 % 60);
    let settings = json!({"cron": format!("{second} {minute} * * * *")});
    for _ in 0..MANY / 50 {
        let made = (0..50).map(|_| made(&api, &workflow, "schedule", settings.clone()));
        for trigger in futures::future::join_all(made).await {
            assert_eq!(instant(&trigger["next_fires"][0]), due, "{trigger}");
        }
    }
    assert!(now() < due - 1000, "the machine is too busy to say anything");
    let found = eventually(Duration::from_secs(90), || async {
        when(runs(&api, &workflow).await, |runs| runs.len() >= MANY)
    });
    let found = found.await;
    let began: Vec<i64> = found.iter().map(|run| instant(&run["created_at"]) - due).collect();
    let (first, last) = (began.iter().min().expect("a run"), began.iter().max().expect("a run"));
    println!("{MANY} schedules: the first after {first} ms, the last after {last} ms");
    assert!(*first >= 0 && *last <= SOON, "from {first} to {last} ms");
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(runs(&api, &workflow).await.len(), MANY, "none is started twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_missed_while_it_stood_still_is_skipped_or_one_run() {
    let (mut server, api) = dev().await;
    let (skips, last, often) = (echo(&api).await, echo(&api).await, echo(&api).await);
    // Due once in ten minutes, and that is while it stands still.
    let due = now() / 1000 + 8;
    let cron = format!("{} {} * * * *", due % 60, due / 60 % 60);
    let skipping = made(&api, &skips, "schedule", json!({"cron": cron})).await;
    let catching = made(&api, &last, "schedule", json!({"cron": cron, "missed": "last"})).await;
    let secondly = made(&api, &often, "schedule", json!({"every": "1s"})).await;
    eventually(PATIENCE, || async { when(runs(&api, &often).await, |runs| !runs.is_empty()) }).await;
    server.process.signal("STOP");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let woken = now();
    server.process.signal("CONT");
    // The connections of before were idle for so long that the server closes them as it wakes.
    let api = Api::new(&server.url, &server.dapr_http());
    let missed =
        eventually(PATIENCE, || async { when(fires(&api, id(&skipping)).await, |fires| fires.len() == 1) });
    let missed = missed.await;
    assert_eq!(
        (&missed[0]["outcome"], &missed[0]["code"]),
        (&json!("skipped"), &json!("missed")),
        "{missed:#?}"
    );
    let caught =
        eventually(PATIENCE, || async { when(fires(&api, id(&catching)).await, |fires| fires.len() == 1) });
    let caught = caught.await;
    assert_eq!((&caught[0]["outcome"], instant(&caught[0]["occasion"])), (&json!("started"), due * 1000));
    let secondly = fires(&api, id(&secondly)).await;
    let after: Vec<_> = secondly.iter().filter(|fire| instant(&fire["at"]) >= woken - 500).collect();
    let first = after.last().expect("it goes on");
    assert!(first["missed"].as_u64().is_some_and(|missed| missed >= 55), "{first}");
    let within = |fire: &&Value| (woken - 58_000..woken - 2_000).contains(&instant(&fire["occasion"]));
    assert_eq!(secondly.iter().filter(within).count(), 0, "none of those in between: {secondly:#?}");
    assert_eq!((runs(&api, &skips).await.len(), runs(&api, &last).await.len()), (0, 1));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_run_before_goes_on_one_occasion_waits_for_its_end() {
    let (_server, api) = dev().await;
    let waits = json!({"name": "waits", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}]});
    let (queues, skips) = (api.create(&waits).await, api.create(&waits).await);
    let queueing = made(&api, &queues, "schedule", json!({"every": "1s", "overlap": "queue_one"})).await;
    let skipping = made(&api, &skips, "schedule", json!({"every": "1s", "overlap": "skip"})).await;
    let queued = eventually(PATIENCE, || async {
        when(api.get(&format!("/triggers/{}", id(&queueing))).await, |trigger| trigger["queued"].is_string())
    });
    let queued = queued.await;
    eventually(PATIENCE, || async { when(fires(&api, id(&skipping)).await, |fires| fires.len() >= 3) }).await;
    assert_eq!((runs(&api, &queues).await.len(), runs(&api, &skips).await.len()), (1, 1));
    let skipped = &fires(&api, id(&skipping)).await[0];
    assert_eq!((&skipped["outcome"], &skipped["code"]), (&json!("skipped"), &json!("overlap")));

    let first = queued["current_run"].as_str().expect("a run");
    api.operate(first, "signal", json!({"name": "go"})).await;
    let both =
        eventually(PATIENCE, || async { when(runs(&api, &queues).await, |runs| runs.len() == 2) }).await;
    let second = both.iter().find(|run| run["id"] != json!(first)).expect("another run");
    let started = fires(&api, id(&queueing)).await;
    let started = started.iter().find(|fire| fire["run_id"] == second["id"]).expect("its fire");
    assert_eq!(started["occasion"], queued["queued"], "the one that waited, not a later one");
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_end_with_their_workflow_and_what_cannot_start_says_why() {
    let (_server, api) = dev().await;
    let strict = json!({"name": "strict", "nodes": [], "input": {"type": "object", "required": ["a"]}});
    let workflow = api.create(&strict).await;
    let trigger = made(&api, &workflow, "schedule", json!({"every": "1s"})).await;
    let refused =
        eventually(PATIENCE, || async { when(fires(&api, id(&trigger)).await, |fires| !fires.is_empty()) })
            .await;
    assert_eq!((&refused[0]["outcome"], &refused[0]["code"]), (&json!("refused"), &json!("invalid_input")));
    assert!(refused[0]["detail"].as_str().is_some_and(|detail| detail.contains('a')), "{refused:#?}");
    let (status, _) = api.request("DELETE", &format!("/workflows/{workflow}"), None).await;
    assert_eq!(status, 204);
    let (status, gone) = api.request("GET", &format!("/triggers/{}", id(&trigger)), None).await;
    assert_eq!((status, &gone["code"]), (404, &json!("unknown_trigger")));
}

/// Sends a delivery as GitHub does.
async fn deliver(url: &str, address: &Value, secret: &str, body: &Value) -> (u16, Value) {
    let text = body.to_string();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let address = address.as_str().expect("an address");
    let request =
        crate::harness::http().post(format!("{url}{address}")).header("content-type", "application/json");
    let request =
        request.header("x-hub-signature-256", format!("sha256={hex}")).header("x-github-event", "push");
    let answer = request.body(text).send().await.expect("an answer");
    (answer.status().as_u16(), answer.json().await.expect("JSON"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_one_run_however_often_it_comes_and_whatever_happens_in_between() {
    let (mut server, api) = dev().await;
    let workflow = echo(&api).await;
    let settings = json!({"scheme": "github", "wait": "20s", "if": "headers['x-github-event'] == 'push'",
        "input": {"branch": "{{ body.ref }}"}});
    let trigger = made(&api, &workflow, "webhook", settings).await;
    let (address, secret) = (&trigger["address"], trigger["secret"].as_str().expect("a secret"));
    let body = json!({"ref": "main"});
    let (status, first) = deliver(&server.url, address, secret, &body).await;
    assert_eq!(
        (status, &first["status"], &first["output"]["got"]),
        (200, &json!("completed"), &json!({"branch": "main"}))
    );
    server.kill();
    server.restart().await;
    let api = Api::new(&server.url, &server.dapr_http());
    // Its settings have changed, too: it is the same delivery.
    let change = json!({"settings": {"scheme": "github", "input": {"all": "{{ body }}"}}});
    let (status, changed) = api.request("PUT", &format!("/triggers/{}", id(&trigger)), Some(change)).await;
    assert_eq!((status, &changed["secret"]), (200, &Value::Null));
    let (status, again) = deliver(&server.url, address, secret, &body).await;
    assert_eq!((status, &again["run_id"]), (202, &first["run_id"]), "{again}");
    let (status, other) = deliver(&server.url, address, secret, &json!({"ref": "next"})).await;
    assert_eq!(status, 202);
    let other = api.until(other["run_id"].as_str().expect("a run"), "completed").await;
    assert_eq!(other["output"]["got"], json!({"all": {"ref": "next"}}));
    let (status, refused) = deliver(&server.url, address, "another", &body).await;
    assert_eq!((status, &refused["code"]), (404, &json!("unknown_trigger")));
    assert_eq!(runs(&api, &workflow).await.len(), 2);
    for file in ["catalog.db", "catalog.db-wal", "sidecar.db", "sidecar.db-wal"] {
        let bytes = std::fs::read(server.data().join(file)).unwrap_or_default();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{file} has the secret");
    }
    server.stop().await;
    assert!(!server.process.log().contains(secret), "no log shows it");
}
