//! The same workflow of four agents, started in four ways: a file, the REST API, an event, the actor API.

use super::{api::Api, places::Place};
use crate::harness::root;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_agents_run_over_the_embedded_sidecar_however_they_are_started() {
    let mut place = Place::embedded(&[]).await;
    four_ways(&place.api()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_agents_run_beside_real_dapr_however_they_are_started() {
    let mut place = Place::beside(&[]).await;
    four_ways(&place.api()).await;
}

async fn four_ways(api: &Api) {
    let text =
        std::fs::read_to_string(root().join("config/examples/research-crew.yaml")).expect("the example");
    let definition: Value = serde_saphyr::from_str(&text).expect("YAML");

    let workflow = api.create(&definition).await;
    assert_eq!(api.get(&format!("/workflows/{workflow}")).await["status"], "draft");
    let run = api.start(&workflow, json!({"topic": "by REST"})).await;
    check(api, &run, "by REST").await;
    assert_eq!(api.get(&format!("/workflows/{workflow}")).await["status"], "completed");

    let start = json!({"run_id": "by-event", "workflow_id": workflow, "input": {"topic": "by event"}});
    api.command("callboard.workflow.start", start.clone()).await;
    check(api, "by-event", "by event").await;
    let whole = json!({"run_id": "by-event-2", "definition": definition, "input": {"topic": "by event"}});
    api.command("callboard.workflow.start", whole).await;
    check(api, "by-event-2", "by event").await;

    let body = json!({"workflow_id": workflow, "input": {"topic": "by actor"}});
    let began = api.actor("Workflow", "by-actor", "start", body.clone()).await;
    assert_eq!(began["run_id"], "by-actor", "{began:#}");
    check(api, "by-actor", "by actor").await;
    let again = api.actor("Workflow", "by-actor", "start", body).await;
    assert_eq!(again["status"], "completed", "the same start is the same run: {again:#}");

    let refused = api.actor("Workflow", "no.such", "status", json!({})).await;
    assert_eq!(refused["error"]["code"], "invalid_id", "{refused:#}");
    let unknown = api.actor("Workflow", "nobody", "status", json!({})).await;
    assert_eq!(unknown["error"]["status"], 404, "{unknown:#}");

    let asked =
        api.actor("Agent", "somebody", "execute", json!({"agent": "qa", "prompt": "a question"})).await;
    assert_eq!(asked["status"], "completed", "{asked:#}");
}

/// Four steps in sequence, each recorded once, the last one's answer the run's output.
async fn check(api: &Api, run: &str, topic: &str) {
    let done = api.until(run, "completed").await;
    assert!(done["output"].to_string().contains(topic), "{done:#}");
    assert_eq!(done["usage"]["calls"], 4);
    let steps = api.steps(run).await;
    let nodes: Vec<_> =
        steps.iter().map(|s| (s["node"].as_str().unwrap(), s["status"].as_str().unwrap())).collect();
    let expected = ["research", "analysis", "implementation", "qa"].map(|node| (node, "completed"));
    assert_eq!(nodes, expected, "{steps:#?}");
    let history = api.get(&format!("/runs/{run}/history?limit=1000")).await;
    let seqs: Vec<_> =
        history["items"].as_array().expect("items").iter().map(|i| i["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
}
