//! The agents' file is edited while runs are under way: a run goes on with the agents it began with, whatever file the
//! process has that performs its steps; one that begins takes those of now.

use super::{
    api::{Api, PATIENCE},
    places::Place,
    world::Where,
};
use crate::harness::{Model, Recorded, Reply, eventually, scratch, when};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_agents_file_changes_no_run_under_way_over_the_embedded_sidecar() {
    edit(Where::Embedded).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_agents_file_changes_no_run_under_way_beside_real_dapr() {
    edit(Where::Beside).await;
}

/// One edition of the operator's file.
fn write(file: &Path, edition: &str) {
    let patient = json!({"max_retries": 100, "backoff": "constant", "initial": "500ms", "jitter": false});
    let agents = json!({
        "agents": {"clerk": {"model": format!("{edition}-model"), "instructions": format!("The {edition} way."),
            "tools": [format!("{edition}_count")], "retry_policy": patient}},
        "tools": {format!("{edition}_count"):
            {"description": "Counts.", "type": "expression", "config": {"value": "1"}}}
    });
    std::fs::write(file, agents.to_string()).expect("the agents' file");
}

/// What a model's call says of the agent: model, system text, tool.
fn told(request: &Recorded) -> [String; 3] {
    let body = request.json();
    [&body["model"], &body["messages"][0]["content"], &body["tools"][0]["function"]["name"]]
        .map(|value| value.as_str().unwrap_or_default().to_owned())
}

fn as_of(edition: &str) -> [String; 3] {
    [format!("{edition}-model"), format!("The {edition} way."), format!("{edition}_count")]
}

fn is_about(request: &Recorded, marker: &str) -> bool {
    request.json()["messages"][1]["content"].to_string().contains(marker)
}

fn asked(model: &Model, marker: &str) -> Vec<[String; 3]> {
    model.script().requests().iter().filter(|request| is_about(request, marker)).map(told).collect()
}

/// Asks the clerk, at once or after a signal.
fn ask(marker: &str, waits: bool) -> Value {
    let mut nodes =
        vec![json!({"id": "ask", "type": "agent", "config": {"agent": "clerk", "prompt": marker}})];
    let mut edges = Vec::new();
    if waits {
        nodes.push(json!({"id": "go", "type": "signal", "config": {"name": "go"}}));
        edges.push(json!({"source": "go", "target": "ask"}));
    }
    json!({"name": marker, "nodes": nodes, "edges": edges})
}

/// A model that calls the tool it is offered, and is away from then on until `back`.
fn teach(model: &Model, back: Arc<AtomicBool>) {
    model.script().answer(
        |_| true,
        move |request| {
            let body = request.json();
            let messages = body["messages"].as_array().cloned().unwrap_or_default();
            let is_told = messages.iter().any(|message| message["role"] == "tool");
            match (is_told, back.load(Ordering::SeqCst)) {
                (false, _) => Reply::tool(told(request)[2].clone(), json!({})),
                (true, false) => Reply::Status(503, None),
                (true, true) => Reply::text("one"),
            }
        },
    );
}

async fn edit(at: Where) {
    let (model, folder, back) = (Model::start().await, scratch(), Arc::new(AtomicBool::new(false)));
    let (file, base) = (folder.path().join("agents.json"), model.base_url());
    write(&file, "old");
    teach(&model, Arc::clone(&back));
    let name = file.display().to_string();
    let env = [
        ("OPENAI_BASE_URL", base.as_str()),
        ("OPENAI_API_KEY", "sk-test"),
        ("CALLBOARD__AGENTS__FILE", name.as_str()),
    ];
    let mut place = match at {
        Where::Embedded => Place::embedded_with(&env, &file).await,
        Where::Beside => Place::beside_with(&env, Some(&file)).await,
    };
    let api = place.api();
    let under_way = api.run(&ask("under-way", false), json!({})).await;
    let waiting = api.run(&ask("still-waits", true), json!({})).await;
    api.until(&waiting, "waiting").await;
    eventually(PATIENCE, || async { when(asked(&model, "under-way"), |asked| asked.len() >= 2) }).await;

    write(&file, "new");
    if let Place::Beside(beside) = &mut place {
        // The ai role has another file than the role in which runs begin.
        let ai = beside.run.app("ai-service");
        ai.process().kill();
        ai.process().restart();
        ai.ready().await;
        back.store(true, Ordering::SeqCst);
        let elsewhere = api.run(&ask("begins-elsewhere", false), json!({})).await;
        api.until(&elsewhere, "completed").await;
        assert_eq!(asked(&model, "begins-elsewhere"), [as_of("old"), as_of("old")]);
    }
    place.crash().await;
    back.store(true, Ordering::SeqCst);
    let api: Api = place.api();
    api.until(&under_way, "completed").await;
    api.operate(&waiting, "signal", json!({"name": "go", "data": 1})).await;
    api.until(&waiting, "completed").await;
    for marker in ["under-way", "still-waits"] {
        let asked = asked(&model, marker);
        assert!(asked.len() >= 2 && asked.iter().all(|told| *told == as_of("old")), "{marker}: {asked:?}");
    }
    let fresh = api.run(&ask("begins-now", false), json!({})).await;
    api.until(&fresh, "completed").await;
    assert_eq!(asked(&model, "begins-now"), [as_of("new"), as_of("new")]);
    assert_eq!(place.panics(), Vec::<String>::new(), "the processes' logs");
}
