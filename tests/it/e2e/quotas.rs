//! What may begin in a project: nothing while it is paused, and no more than its limits say.

use super::{
    api::Api,
    client::{Desk, WAITS},
};
use crate::harness::{Callboard, eventually, when};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tempfile::TempDir;

/// Longer than a process goes by what it knew before.
const SOON: Duration = Duration::from_millis(1300);

async fn server() -> (Callboard, Api, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("settings.toml");
    fs::write(&file, "[models.prices.\"gpt-4\"]\ninput = 2.5\noutput = 10\n").unwrap();
    let server = Callboard::with().args(["--config", &file.display().to_string()]).start().await;
    let api = Api::new(&server.url, &server.dapr_http());
    (server, api, folder)
}

fn echo() -> Value {
    json!({"name": "echo", "nodes": [{"id": "a", "type": "wait", "config": {"for": "0s"}}]})
}

async fn limit(api: &Api, limits: Value) {
    let (status, project) = api.request("PUT", "/projects/default/limits", Some(limits.clone())).await;
    assert_eq!((status, &project["limits"]), (200, &limits), "{project}");
    tokio::time::sleep(SOON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_in_a_project_that_is_paused_and_what_has_begun_goes_on() {
    let (server, api, _folder) = server().await;
    let (waits, echo) = (api.create(&serde_json::from_str(WAITS).unwrap()).await, api.create(&echo()).await);
    let run = api.start(&waits, json!({})).await;
    api.until(&run, "waiting").await;
    let (status, first) = api.keyed(&format!("/workflows/{echo}/start"), "once", json!({})).await;
    assert_eq!(status, 200, "{first}");
    let ended = first["run_id"].as_str().unwrap().to_owned();
    api.until(&ended, "completed").await;
    let trigger = json!({"workflow_id": echo, "kind": "schedule", "settings": {"every": "1s"}});
    let trigger = api.post("/triggers", trigger).await;
    let id = trigger["id"].as_str().unwrap();

    let paused = api.post("/projects/default/pause", json!({})).await;
    assert!(paused["paused_at"].is_string(), "{paused}");
    tokio::time::sleep(SOON).await;
    let start = format!("/workflows/{echo}/start");
    let problem = api.refused(&start, json!({}), 409, "project_paused").await;
    assert!(problem["detail"].as_str().unwrap().contains("default"), "{problem}");
    api.refused("/runs", json!({"definition": json!({"name": "x", "nodes": []})}), 409, "project_paused")
        .await;
    api.refused(&format!("/runs/{ended}/rerun"), json!({"from": "a"}), 409, "project_paused").await;
    api.refused(&format!("/triggers/{id}/fire"), json!({}), 409, "project_paused").await;
    let (_, again) = api.keyed(&start, "once", json!({})).await;
    assert_eq!(again["run_id"], first["run_id"], "what has begun is told again: {again}");
    let seen =
        api.actor("Workflow", "by-hand", "start", json!({"definition": {"name": "x", "nodes": []}})).await;
    assert_eq!(seen["error"]["code"], "project_paused", "no way leads around it");
    let runs = async || api.get("/runs?limit=100").await["items"].as_array().unwrap().len();
    let before = runs().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(runs().await, before, "its schedule is due every second");
    api.operate(&run, "signal", json!({"name": "go"})).await;
    api.until(&run, "completed").await;

    let desk = Desk::at(&server.url);
    assert!(desk.prints(&["projects", "list"]).contains("paused"));
    assert_eq!(desk.prints(&["projects", "resume", "default"]), "default is open");
    let begun = eventually(Duration::from_secs(30), || async { when(runs().await, |now| *now > before) });
    begun.await;
    let lines = api.get("/audit?limit=20").await;
    let routes: Vec<&str> =
        lines["items"].as_array().unwrap().iter().filter_map(|l| l["route"].as_str()).collect();
    for route in ["POST /api/v1/projects/{id}/pause", "POST /api/v1/projects/{id}/resume"] {
        assert!(routes.contains(&route), "{route} in {routes:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_has_no_more_runs_at_once_than_it_may() {
    let (server, api, _folder) = server().await;
    let waits = api.create(&serde_json::from_str(WAITS).unwrap()).await;
    limit(&api, json!({"runs": 2})).await;
    let first = api.start(&waits, json!({})).await;
    api.start(&waits, json!({})).await;
    let start = format!("/workflows/{waits}/start");
    let response =
        api.client.post(format!("{}/api/v1{start}", server.url)).json(&json!({})).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), &response.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    tokio::time::sleep(SOON).await;
    api.refused(&start, json!({}), 429, "too_many_runs").await;
    api.operate(&first, "cancel", json!({})).await;
    api.until(&first, "cancelled").await;
    let third = eventually(Duration::from_secs(10), || async {
        let (status, _) = api.request("POST", &start, Some(json!({}))).await;
        when(status, |status| *status == 200)
    });
    third.await;
    let desk = Desk::at(&server.url);
    assert_eq!(desk.prints(&["projects", "limit", "default"]), "default has no limits");
    tokio::time::sleep(SOON).await;
    api.start(&waits, json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_has_spent_what_it_may_begins_nothing_until_tomorrow() {
    let (server, api, _folder) = server().await;
    let asks = json!({"name": "asks", "nodes": [
        {"id": "one", "type": "agent", "config": {"agent": "analysis", "prompt": "Write."}}]});
    let workflow = api.create(&asks).await;
    let desk = Desk::at(&server.url);
    let said = desk.prints(&[
        "projects",
        "limit",
        "default",
        "--cost-per-day",
        "0.000001",
        "--tokens-per-day",
        "1000000",
    ]);
    assert_eq!(said, "default has 1000000 tokens a day, 0.000001 a day");
    tokio::time::sleep(SOON).await;
    let run = api.start(&workflow, json!({})).await;
    api.until(&run, "completed").await;
    let start = format!("/workflows/{workflow}/start");
    // What was used counts when its run has ended.
    let refused = eventually(Duration::from_secs(20), || async {
        let response =
            api.client.post(format!("{}/api/v1{start}", server.url)).json(&json!({})).send().await.unwrap();
        when(response, |response| response.status() == 429)
    });
    let refused = refused.await;
    let wait: u32 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    let problem: Value = refused.json().await.unwrap();
    assert_eq!(problem["code"], "project_budget_reached");
    assert!(problem["detail"].as_str().unwrap().contains("0.000001"), "{problem}");
    api.refused(&format!("/runs/{run}/rerun"), json!({"from": "one"}), 429, "project_budget_reached").await;
    limit(&api, json!({"tokens_per_day": 1})).await;
    let problem = api.refused(&start, json!({}), 429, "project_budget_reached").await;
    assert!(problem["detail"].as_str().unwrap().contains("tokens"), "{problem}");
    limit(&api, json!({})).await;
    api.start(&workflow, json!({})).await;
    for wrong in
        [json!({"runs": -1}), json!({"runs": "many"}), json!({"rums": 1}), json!({"cost_per_day": 0.5})]
    {
        let (status, _) = api.request("PUT", "/projects/default/limits", Some(wrong.clone())).await;
        assert_eq!(status, 422, "{wrong}");
    }
    let (status, problem) = api.request("PUT", "/projects/nobody/limits", Some(json!({}))).await;
    assert_eq!((status, &problem["code"]), (404, &json!("unknown_project")));
}
