//! A local program that plays an agent, while an installation is updated and after it: what nobody signed counts until the
//! update is finished, and never again.

use super::target::Target;
use crate::harness::{Reply, callboard, eventually, http, when};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{path::Path, process::Command, time::Duration};

/// A process learns within seconds what a command has changed.
const LEARNS: Duration = Duration::from_secs(30);

fn ask(prompt: &str) -> Value {
    json!({"name": prompt, "nodes": [{"id": "a", "type": "agent", "config": {"agent": "once", "prompt": prompt}}]})
}

/// What the agent of a run's step would answer.
fn fitting() -> Value {
    json!({"step": {"generation": 1, "node": "a", "iteration": ""}, "attempt": 1,
        "outcome": {"Completed": {"v": {"text": "FORGED"}}}, "usage": {"calls": 1, "prompt_tokens": 1, "completion_tokens": 1}})
}

fn command(data: &Path, words: &[&str]) -> String {
    let mut command = Command::new(callboard());
    let done = command.args(words).arg("--data").arg(data).current_dir(data).output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{words:?}: {said}");
    said
}

async fn counted(url: &str, name: &str) -> f64 {
    let text =
        http().get(format!("{url}/metrics")).send().await.expect("metrics").text().await.expect("a body");
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_signed_counts_until_the_update_is_finished_and_never_again() {
    let mut target = Target::start().await;
    target.model.script().when(|request| request.prompt() == "soon", Reply::text("well"));
    target.model.script().otherwise(Reply::text("late").after(Duration::from_secs(300)));
    let at_work = |target: &Target| {
        let api = target.api.clone();
        async move {
            let began = api.post("/runs", json!({"definition": ask("slow"), "input": {}})).await;
            let run = began["run_id"].as_str().expect("a run id").to_owned();
            api.until_step(&run, "a", "running").await;
            run
        }
    };
    // New, it refuses at once.
    let run = at_work(&target).await;
    let answer = target.api.actor("Workflow", &run, "answer", fitting()).await;
    assert_eq!(answer["error"]["code"], "unsigned", "{answer:#}");
    assert_eq!(target.api.get(&format!("/runs/{run}")).await["status"], "running");

    // As an update of the release before finds it, with history of that.
    target.dev.kill();
    let file = SqliteConnectOptions::new().filename(target.dev.data().join("catalog.db"));
    let mut catalog = SqliteConnection::connect_with(&file).await.expect("the catalog opens");
    // What marks the installation came with a later one.
    let before = "drop table installation; drop table internal_keys; delete from _sqlx_migrations where version in (3, 10)";
    sqlx::raw_sql(before).execute(&mut catalog).await.expect("the catalog of the release before");
    catalog.close().await.expect("closed");
    let file = SqliteConnectOptions::new().filename(target.dev.data().join("sidecar.db"));
    let mut sidecar = SqliteConnection::connect_with(&file).await.expect("the sidecar's file opens");
    sqlx::raw_sql("drop table mark").execute(&mut sidecar).await.expect("the file of the release before");
    sidecar.close().await.expect("closed");
    target.restart().await;
    let said = command(target.dev.data(), &["migrate"]);
    assert!(said.contains("need no signature yet") && said.contains("migrate --finish"), "{said}");
    target.api.until_step(&run, "a", "running").await;
    let answer = target.api.actor("Workflow", &run, "answer", fitting()).await;
    assert_eq!(answer, json!({}), "as an agent of the release before answers");
    assert_eq!(target.api.until(&run, "completed").await["output"], json!({"text": "FORGED"}));
    assert!(counted(&target.dev.url, "callboard_unsigned_total").await > 0.0);

    // Nobody of the release before is left.
    let run = at_work(&target).await;
    let history = target.api.history(&run).await;
    let said = command(target.dev.data(), &["migrate", "--finish"]);
    assert!(said.contains("must be signed"), "{said}");
    let api = &target.api;
    let wanted = json!({"step": {"generation": 1, "node": "a", "iteration": ""}, "attempt": 1});
    eventually(LEARNS, || async {
        let answer = api.actor("Workflow", &run, "wanted", wanted.clone()).await;
        when(answer, |answer| answer["error"]["code"] == "unsigned")
    })
    .await;
    let answer = target.api.actor("Workflow", &run, "answer", fitting()).await;
    assert_eq!((&answer["error"]["code"], &answer["error"]["status"]), (&json!("unsigned"), &json!(403)));
    for method in ["status", "messages", "cancel"] {
        let answer = target.api.actor("Agent", &format!("{run}.a.1._"), method, json!({})).await;
        assert_eq!(answer["error"]["code"], "unsigned", "{method}: {answer:#}");
    }
    assert_eq!(target.api.history(&run).await, history);
    assert!(counted(&target.dev.url, "callboard_refused_total{what=\"unsigned\"}").await >= 5.0);

    // A new key signs what is begun after it, over a restart, too.
    let said = command(target.dev.data(), &["keys", "rotate-internal"]);
    assert!(said.starts_with("key 2 "), "{said}");
    target.restart().await;
    let began = target.api.post("/runs", json!({"definition": ask("soon"), "input": {}})).await;
    target.api.until(began["run_id"].as_str().expect("a run id"), "completed").await;
    let answer = target.api.actor("Workflow", &run, "answer", fitting()).await;
    assert_eq!(answer["error"]["code"], "unsigned", "it stays so");
}
