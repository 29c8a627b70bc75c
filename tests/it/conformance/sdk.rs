//! The unmodified Dapr client of another language, against each server and against Callboard itself.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

use super::app::Answer;
use super::case::Case;
use super::documents::APP_ID;
use crate::harness::{Callboard, root};

/// Returns the interpreter that has the client, and the validator of [`super::openapi`].
pub fn python() -> PathBuf {
    if let Some(named) = std::env::var_os("CALLBOARD_PYTHON") {
        return named.into();
    }
    let python = root().join(".cache/python/bin/python");
    assert!(python.is_file(), "there is no {}: run scripts/python-ensure", python.display());
    python
}

/// Runs the program and returns what it printed.
async fn run(http: &str, grpc: &str, wanted: &Value) -> Value {
    let port = |url: &str| url.rsplit(':').next().expect("a URL with a port").to_owned();
    let mut command = Command::new(python());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("DAPR_") || name.to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
    let child = command
        .arg(root().join("tests/it/conformance/sdk.py"))
        .arg(wanted.to_string())
        .env("DAPR_HTTP_PORT", port(http))
        .env("DAPR_GRPC_PORT", port(grpc))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("python starts");
    let output = tokio::time::timeout(Duration::from_secs(45), child.wait_with_output()).await;
    let output = output.expect("the program ends in time").expect("it can be waited for");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the program failed: {text}\n{errors}");
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}\n{errors}"))
}

fn expected_state() -> Value {
    json!({
        "value": "one", "etag": "1", "stale": "ABORTED", "bulk": {"py": "", "py-a": "a"}, "deleted": "",
    })
}

fn expected_pubsub() -> Value {
    json!({
        "pulled": {"data": {"n": 1}, "type": "com.dapr.event.sent", "topic": "py-pulled"},
        "in time": true,
        "handled": ["text", "text"],
    })
}

/// A case like the others: its actor is the test application's.
pub async fn a_python_program_uses_every_part(case: &Case) {
    case.app.always("/actors/Probe/py/method/add", Answer::json(&json!({"sum": 5})));
    case.app.always("/hello/py", Answer::text("hello"));
    let wanted = json!({
        "actor": {"type": "Probe", "id": "py", "method": "add", "body": {"a": 2, "b": 3}},
        "app": {"app_id": APP_ID, "path": "hello/py"},
    });
    let seen = run(&case.http, &case.grpc, &wanted).await;
    case.same("state", seen["state"].clone(), expected_state());
    case.same("pubsub", seen["pubsub"].clone(), expected_pubsub());
    case.same("id", seen["id"].as_str(), Some(APP_ID));
    case.same("app", seen["app"].as_str(), Some("hello"));
    case.same("actor", seen["actor"].clone(), json!({"sum": 5}));
    let asked = case.app.asked("/actors/Probe/py/method/add").remove(0);
    case.same("what the actor was sent", asked.json(), json!({"a": 2, "b": 3}));
}

#[tokio::test]
async fn a_python_program_starts_a_workflow_of_ours() {
    let callboard = Callboard::dev::<&str>([]).await;
    let definition = json!({"name": "from-python", "nodes": [
        {"id": "one", "type": "transform", "config": {"input": "input", "rules": [
            {"source": "n", "target": "n", "type": "map", "config": {"value": "item + 1"}},
        ]}},
    ]});
    let body = json!({"definition": definition, "input": {"n": [1]}});
    let wanted = json!({"actor": {"type": "Workflow", "id": "from-python", "method": "start", "body": body}});
    let seen = run(&callboard.dapr_http(), &callboard.dapr_grpc(), &wanted).await;
    assert_eq!(seen["state"], expected_state());
    assert_eq!(seen["pubsub"], expected_pubsub());
    assert_eq!(seen["actor"]["run_id"], "from-python", "{}", seen["actor"]);
    let run = format!("{}/api/v1/runs/from-python", callboard.url);
    let ended = crate::harness::eventually(Duration::from_secs(20), || async {
        let answer = crate::harness::http().get(&run).send().await.map_err(|error| error.to_string())?;
        let run: Value = answer.json().await.map_err(|error| error.to_string())?;
        if run["status"] == "completed" { Ok(run) } else { Err(run.to_string()) }
    })
    .await;
    assert_eq!(ended["output"], json!({"n": [2]}));
}
