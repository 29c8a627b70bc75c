//! What is asked over all runs of a project: lists by words and times, what waits for a person, operations on many, exports, usage, and
//! what the server says of itself.

use super::{
    api::Api,
    client::{ASKS, Desk, WAITS},
};
use crate::harness::{Callboard, eventually, when};
use serde_json::{Value, json};
use std::time::Duration;

async fn server() -> (Callboard, Api) {
    let server = Callboard::dev([] as [&str; 0]).await;
    let api = Api::new(&server.url, &server.dapr_http());
    (server, api)
}

fn definition(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// Fails at once: nobody may call this address.
fn failing() -> Value {
    json!({"name": "doomed voyage", "nodes": [{"id": "sink", "type": "http", "config": {"method": "POST", "url": "http://127.0.0.1:9/"}}]})
}

fn ids(page: &Value) -> Vec<&str> {
    page["items"].as_array().expect("items").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_found_by_words_statuses_and_times() {
    let (_server, api) = server().await;
    let waits = api.create(&definition(WAITS)).await;
    let (first, second) = (api.start(&waits, json!({})).await, api.start(&waits, json!({})).await);
    let failed = api.run(&failing(), json!({})).await;
    api.until(&failed, "failed").await;
    for run in [&first, &second] {
        api.until(run, "waiting").await;
    }
    assert_eq!(ids(&api.get("/runs?text=DOOM+voy").await), [&failed]);
    assert_eq!(ids(&api.get(&format!("/runs?text={failed}")).await), [&failed]);
    assert_eq!(ids(&api.get(&format!("/runs?text={waits}")).await), [&second, &first]);
    assert_eq!(ids(&api.get("/runs?text=waits&status=waiting&status=paused&limit=1").await), [&second]);
    assert_eq!(ids(&api.get("/runs?text=waits&status=failed").await), [] as [&str; 0]);
    assert_eq!(ids(&api.get("/runs?status=failed&status=waiting").await), [&failed, &second, &first]);
    assert_eq!(ids(&api.get("/runs?order=oldest&limit=2").await), [&first, &second]);
    let error =
        api.get(&format!("/runs/{failed}")).await["error"]["code"].as_str().expect("a code").to_owned();
    assert_eq!(ids(&api.get(&format!("/runs?text={error}")).await), [&failed]);

    let began = api.get(&format!("/runs/{second}")).await["created_at"].as_str().expect("a time").to_owned();
    let at = api.get(&format!("/runs?at={began}&limit=1")).await;
    assert_eq!(ids(&at), [&second]);
    let next = at["next"].as_str().expect("a next page");
    assert_eq!(ids(&api.get(&format!("/runs?cursor={next}")).await), [&first]);
    let from = api.get(&format!("/runs?from={began}")).await;
    assert!(ids(&from).contains(&&*second) && !ids(&from).contains(&&*first));
    assert_eq!(ids(&api.get(&format!("/runs?to={began}")).await), [&first]);
    for wrong in ["text=--", "text=waits&order=oldest", "from=yesterday", "order=cost", "at=1&at=2"] {
        let (status, problem) = api.request("GET", &format!("/runs?{wrong}"), None).await;
        assert_eq!((status, &problem["code"]), (400, &json!("invalid_query")), "{wrong}: {problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_person_is_one_list_over_all_runs() {
    let (_server, api) = server().await;
    let asks = api.create(&definition(ASKS)).await;
    assert_eq!(api.get("/approvals").await, json!({"items": [], "next": null, "total": 0}));
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = api.start(&asks, json!({})).await;
        api.until(&run, "waiting").await;
        runs.push(run);
    }
    let list = api.get("/approvals?limit=2").await;
    let of = |list: &Value| {
        let items = list["items"].as_array().expect("items");
        items.iter().map(|item| item["run_id"].as_str().expect("a run").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of(&list), &list["total"]), (runs[..2].to_vec(), &json!(3)), "the longest first");
    let next = list["next"].as_str().expect("a next page");
    assert_eq!(of(&api.get(&format!("/approvals?cursor={next}")).await), runs[2..]);
    let item = &list["items"][0];
    let step = api.step(&runs[0], "ask").await;
    assert_eq!((&item["title"], &item["detail"]), (&json!("Publish?"), &json!({"text": "a note"})));
    assert_eq!((&item["args_hash"], &item["since"]), (&step["args_hash"], &step["started_at"]));
    assert_eq!(
        (&item["kind"], &item["workflow_name"], &item["workflow_id"]),
        (&json!("approval"), &json!("asks"), &json!(asks))
    );
    assert_eq!((&item["on_approve"], &item["on_reject"]), (&json!(["done"]), &json!([])));

    let answer = json!({"node": "ask", "approved": true, "args_hash": item["args_hash"]});
    api.operate(&runs[0], "approve", answer).await;
    api.until(&runs[0], "completed").await;
    api.operate(&runs[1], "cancel", json!({})).await;
    let rest = api.get("/approvals").await;
    assert_eq!((of(&rest), &rest["total"]), (runs[2..].to_vec(), &json!(1)));
    let (status, _) = api.request("GET", "/approvals?cursor=nonsense", None).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_are_cancelled_and_run_again_at_once() {
    let (_server, api) = server().await;
    let waits = api.create(&definition(WAITS)).await;
    let mut runs = Vec::new();
    for _ in 0..3 {
        let run = api.start(&waits, json!({})).await;
        api.until(&run, "waiting").await;
        runs.push(run);
    }
    let (status, done) = api.keyed("/runs/cancel", "k1", json!({"ids": [runs[0], "nobody"]})).await;
    assert_eq!((status, &done["left"]), (200, &json!(0)), "{done}");
    assert_eq!(
        (&done["items"][0]["status"], &done["items"][0]["id"]),
        (&json!("cancelled"), &json!(runs[0]))
    );
    assert_eq!(
        (&done["items"][1]["error"]["code"], &done["items"][1]["status"]),
        (&json!("unknown_run"), &Value::Null)
    );
    let again = api.client.post(format!("{}/api/v1/runs/cancel", api.url)).header("idempotency-key", "k1");
    let again = again.json(&json!({"ids": [runs[0]]})).send().await.expect("an answer");
    assert!(again.headers().get("idempotency-replayed").is_some_and(|value| value == "true"));
    let over = api.post("/runs/cancel", json!({"ids": [runs[0]]})).await;
    assert_eq!(over["items"][0]["error"]["code"], "run_ended");

    let done = api.post("/runs/cancel", json!({"workflow_id": waits, "status": ["waiting"]})).await;
    assert_eq!((ids(&done), &done["left"]), (vec![&*runs[2], &*runs[1]], &json!(0)));
    let done = api.post("/runs/cancel", json!({"workflow_id": waits})).await;
    assert_eq!((ids(&done), &done["left"]), (Vec::new(), &json!(0)), "none is open");

    let doomed = api.run(&failing(), json!({})).await;
    api.until(&doomed, "failed").await;
    let done = api.post("/runs/rerun", json!({"status": ["failed"]})).await;
    assert_eq!(ids(&done), [&doomed]);
    let twice = eventually(Duration::from_secs(20), || async {
        when(api.get(&format!("/runs/{doomed}")).await, |run| {
            run["generation"] == 2 && run["status"] == "failed"
        })
    });
    twice.await;
    let nowhere = api.post("/runs/rerun", json!({"ids": [runs[0]]})).await;
    assert_eq!(nowhere["items"][0]["error"]["code"], "unknown_node", "it failed nowhere");
    let named = api.post("/runs/rerun", json!({"ids": [runs[0]], "from": "go"})).await;
    assert_eq!(named["items"][0]["error"], Value::Null, "{named}");
    for wrong in [json!({}), json!({"ids": ["a"], "workflow_id": "b"}), json!({"status": ["done"]})] {
        api.refused("/runs/cancel", wrong, 422, "invalid_body").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_exported_with_its_whole_history() {
    let (_server, api) = server().await;
    let large = "x".repeat(400 << 10);
    let id = api.create(&definition(super::client::ECHO)).await;
    let run = api.start(&id, json!({ "a": large })).await;
    api.until(&run, "completed").await;
    let response =
        api.client.get(format!("{}/api/v1/runs/{run}/export", api.url)).send().await.expect("an answer");
    let name = response.headers()["content-disposition"].to_str().expect("text").to_owned();
    assert_eq!(name, format!("attachment; filename=\"{run}.json\""));
    let file: Value = response.json().await.expect("JSON");
    assert_eq!((&file["format"], &file["run"]["output"]["got"]), (&json!("callboard.run.1"), &json!(large)));
    assert_eq!(file["events"], json!(api.history(&run).await));
    let (status, problem) = api.request("GET", "/runs/nobody/export", None).await;
    assert_eq!((status, &problem["code"]), (404, &json!("unknown_run")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_used_is_summed_up_when_they_end() {
    let (server, api) = server().await;
    let asked = json!({"name": "asks an agent", "nodes": [{"id": "each", "type": "for_each", "config": {"items": "[1, 2]", "body": {
        "nodes": [{"id": "write", "type": "agent", "config": {"agent": "research", "prompt": "Write."}}]}}}]});
    let workflow = api.create(&asked).await;
    let run = api.start(&workflow, json!({})).await;
    let usage = api.until(&run, "completed").await["usage"].clone();
    assert_eq!(usage["calls"], 2);
    let counted = eventually(Duration::from_secs(20), || async {
        when(api.get("/usage?by=workflow&by=agent&by=model").await, |sums| sums["total"]["calls"] == 2)
    });
    let sums = counted.await;
    let sum = &sums["items"][0];
    assert_eq!(
        (&sum["workflow_id"], &sum["agent"], sums["items"].as_array().map(Vec::len)),
        (&json!(workflow), &json!("research"), Some(1))
    );
    assert!(sum["model"].as_str().is_some_and(|model| !model.is_empty()), "{sum}");
    assert_eq!(sum["prompt_tokens"], usage["prompt_tokens"]);
    assert_eq!(sums["total"]["completion_tokens"], usage["completion_tokens"]);
    assert_eq!(sum.get("day"), None);

    // A second generation adds what it used, and nothing twice.
    api.operate(&run, "rerun", json!({"from": "each"})).await;
    let counted = eventually(Duration::from_secs(20), || async {
        when(api.get("/usage").await, |sums| sums["total"]["calls"] == 4)
    });
    let by_day = counted.await;
    assert_eq!(by_day["items"][0]["calls"], 4);
    let desk = Desk::at(&server.url);
    let table = desk.prints(&["usage", "--by", "workflow,agent"]);
    assert!(table.contains("asks an agent") && table.contains("research"), "{table}");
    for wrong in ["by=cost", "from=today", "from=2027-02-01&to=2027-01-01"] {
        let (status, _) = api.request("GET", &format!("/usage?{wrong}"), None).await;
        assert_eq!(status, 400, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_is_and_what_may_be_named() {
    let server = Callboard::with().env("CALLBOARD_SECRET_token", "s3cret-value").start().await;
    let api = Api::new(&server.url, &server.dapr_http());
    let about = api.get("/about").await;
    assert_eq!((&about["roles"], &about["models"]["scripted"]), (&json!(["workflow", "ai"]), &json!(true)));
    assert_eq!(
        (&about["health"]["catalog"], &about["limits"]["definition"]),
        (&json!("ok"), &json!(4 << 20))
    );
    assert!(about["now"].as_i64().is_some_and(|now| now > 1_700_000_000_000));
    let secrets = api.get("/secrets").await;
    assert_eq!(secrets, json!({"items": [{"name": "token", "bound": false}], "complete": true}));
    let models = api.get("/ai/models").await;
    assert_eq!(
        (&models["items"][0]["provider"], &models["items"][0]["is_default"]),
        (&json!("scripted"), &json!(true))
    );
    let agents = api.get("/ai/agents?limit=1").await;
    let name = agents["items"][0]["name"].as_str().expect("a name").to_owned();
    assert_eq!(api.get(&format!("/ai/agents/{name}")).await["name"], json!(name));
    let (status, problem) = api.request("GET", "/ai/agents/nobody", None).await;
    assert_eq!((status, &problem["code"]), (404, &json!("unknown_agent")));
    assert!(api.get("/tools").await["items"].is_array());

    let page = api.client.get(format!("{}/docs", api.url)).send().await.expect("an answer");
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text().await.expect("a page");
    for file in ["/docs/explorer.css", "/docs/explorer.js"] {
        assert!(text.contains(file));
        let file = api.client.get(format!("{}{file}", api.url)).send().await.expect("an answer");
        assert!(file.status().is_success());
    }
    assert!(!text.contains("://"), "nothing comes from elsewhere");
}
