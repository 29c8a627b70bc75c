//! What calls cost: in steps, runs, sums by day, on the command line, and bounded by a run's budget.

use super::{api::Api, client::Desk};
use crate::harness::{Callboard, eventually, http, when};
use serde_json::{Value, json};
use std::{fs, time::Duration};
use tempfile::TempDir;

/// One of the two models has a price.
const PRICES: &str = "[models.prices.\"gpt-4\"]\ninput = 2.5\noutput = \"10.00\"\n";

async fn server() -> (Callboard, Api, TempDir) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("settings.toml");
    fs::write(&file, PRICES).unwrap();
    let server = Callboard::with().args(["--config", &file.display().to_string()]).start().await;
    let api = Api::new(&server.url, &server.dapr_http());
    (server, api, folder)
}

fn ask(id: &str, agent: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": agent, "prompt": "Write."}})
}

/// What the settings above say of a step.
fn cost(usage: &Value) -> Value {
    let tokens = |name: &str| usage[name].as_u64().unwrap();
    // Of each token 2.5 or 10 millionths.
    json!((tokens("prompt_tokens") * 25 + tokens("completion_tokens") * 100 + 5) / 10)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_calls_cost_is_shown_everywhere_and_what_is_not_known_is_no_zero() {
    let (server, api, _folder) = server().await;
    let both = json!({"name": "paid and unknown", "nodes": [ask("paid", "analysis"), ask("unknown", "qa")],
        "edges": [{"source": "paid", "target": "unknown"}]});
    let workflow = api.create(&both).await;
    let run = api.start(&workflow, json!({})).await;
    let usage = api.until(&run, "completed").await["usage"].clone();
    let steps = api.get(&format!("/runs/{run}/steps")).await;
    let (paid, unknown) = (&steps["items"][0]["usage"], &steps["items"][1]["usage"]);
    assert_eq!((&paid["cost"], paid.get("unpriced_calls")), (&cost(paid), None), "{paid}");
    assert!(paid["cost"].as_u64().is_some_and(|cost| cost > 0), "{paid}");
    assert_eq!((&unknown["cost"], &unknown["unpriced_calls"]), (&Value::Null, &json!(1)), "{unknown}");
    assert_eq!((&usage["cost"], &usage["unpriced_calls"]), (&paid["cost"], &json!(1)), "{usage}");
    let listed = api.get("/runs").await;
    assert_eq!(listed["items"][0]["usage"], usage);

    let counted = eventually(Duration::from_secs(20), || async {
        when(api.get("/usage?by=model").await, |sums| sums["total"]["calls"] == 2)
    });
    let sums = counted.await;
    let by =
        |model: &str| sums["items"].as_array().unwrap().iter().find(|sum| sum["model"] == model).unwrap();
    assert_eq!((&by("gpt-4")["cost"], &by("gpt-4")["unpriced_calls"]), (&paid["cost"], &json!(0)));
    let other = by("gpt-3.5-turbo");
    assert_eq!((&other["cost"], &other["unpriced_calls"]), (&Value::Null, &json!(1)), "{other}");
    assert_eq!((&sums["total"]["cost"], &sums["total"]["unpriced_calls"]), (&paid["cost"], &json!(1)));

    let desk = Desk::at(&server.url);
    let micros = paid["cost"].as_u64().unwrap();
    let shown = callboard_core::price::shown(micros);
    let table = desk.prints(&["usage", "--by", "model"]);
    assert!(table.contains("unknown") && table.contains(&shown), "{shown} in {table}");
    let table = desk.prints(&["runs", "show", &run]);
    assert!(table.contains(&format!("cost {shown}+")), "{shown} in {table}");
    let metrics = http().get(format!("{}/metrics", server.url)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains(&format!("llm_cost_micros_total{{model=\"gpt-4\"}} {micros}")), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_money_is_kept_or_its_run_is_not_started() {
    let (_server, api, _folder) = server().await;
    let asked = |agent: &str, cost: u64| {
        json!({"name": "bounded", "nodes": [ask("one", agent), ask("two", agent)],
            "edges": [{"source": "one", "target": "two"}], "settings": {"budget": {"cost": cost}}})
    };
    // 1024 tokens of an answer at 10 millionths, and a prompt.
    let enough = api.run(&asked("analysis", 22_000), json!({})).await;
    let usage = api.until(&enough, "completed").await["usage"].clone();
    assert_eq!(usage["calls"], 2);
    let little = api.run(&asked("analysis", 10_300), json!({})).await;
    let failed = api.until(&little, "failed").await;
    assert_eq!(
        (&failed["error"]["code"], &failed["error"]["node"]),
        (&json!("budget_exceeded"), &json!("two"))
    );
    let none = api.run(&asked("analysis", 1), json!({})).await;
    let failed = api.until(&none, "failed").await;
    assert_eq!((&failed["error"]["node"], &failed["usage"]["calls"]), (&json!("one"), &json!(0)));

    let refused = json!({"definition": asked("qa", 1_000_000)});
    let problem = api.refused("/runs", refused, 409, "price_unknown").await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("gpt-3.5-turbo") && detail.contains("qa"), "{detail}");
    // It may pass on parts to an agent whose model has no price.
    let delegates = json!({"definition": asked("research", 1_000_000)});
    api.refused("/runs", delegates, 409, "price_unknown").await;
}
