//! Killed again and again under load, wherever it is just then.

use crate::e2e::{
    history::lines,
    places::Place,
    world::{Stage, Where, World},
};
use crate::harness::{Reply, eventually};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const RUNS: usize = 24;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_survive_many_kills_over_the_embedded_sidecar() {
    storm(Where::Embedded, 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_survive_many_kills_beside_real_dapr() {
    storm(Where::Beside, 3).await;
}

/// Kills when so many calls more have been seen: each kill is in the middle of work.
async fn storm(place: Where, kills: usize) {
    let mut stage = Stage::start(place).await;
    let w = stage.world.clone();
    w.says("storm", Reply::Echo.after(Duration::from_millis(120)));
    w.serves("/storm", Reply::Echo.after(Duration::from_millis(80)));
    let workflow = w.api.create(&definition(&w.http_url)).await;
    let mut runs = Vec::new();
    for n in 0..RUNS {
        runs.push(w.api.start(&workflow, json!({ "n": n })).await);
    }
    let calls = || w.model.calls() + w.http.calls();
    // 8 calls a run.
    let step = RUNS * 8 / (kills + 1);
    for n in 1..=kills {
        eventually(Duration::from_secs(90), || async {
            let seen = calls();
            if seen >= n * step { Ok(()) } else { Err(format!("{seen} calls of {}", n * step)) }
        })
        .await;
        let mut before = BTreeMap::new();
        if n == kills {
            for run in &runs {
                before.insert(run.clone(), w.recorded(run).await);
            }
        }
        stage.place.crash().await;
        for (run, history) in before {
            let after = w.recorded(&run).await;
            assert_eq!(after[..history.len()], history, "the record of {run} was rewritten");
        }
    }
    for (n, run) in runs.iter().enumerate() {
        let seen = w.ends(run, "completed").await;
        assert_eq!(seen["output"], expected(n), "{run}");
        let steps = w.api.steps(run).await;
        assert!(steps.iter().all(|step| step["status"] == "completed"), "{:#?}", lines(&steps));
        w.recorded(run).await;
    }
    bounded(&w, &runs, kills).await;
    still_works(&stage.place, &w).await;
}

fn definition(url: &str) -> Value {
    let ask = |id: &str, prompt: &str| json!({"id": id, "type": "agent", "config": {"agent": "once", "prompt": format!("storm {prompt}")}});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "[1, 2, 3]", "parallel": 2, "body": {
        "nodes": [ask("item", "{{ input.n }} item {{ item }}")], "output": "{{ item }}"}}});
    let get = json!({"id": "get", "type": "http", "config": {"url": format!("{url}/storm"), "query": {"n": "{{ input.n }}"}}});
    let gap = json!({"id": "gap", "type": "wait", "config": {"for": "300ms"}});
    let again = json!({"id": "again", "type": "loop", "config": {"until": "index >= 1", "max": 3, "body": {
        "nodes": [ask("round", "{{ input.n }} round {{ index }}")], "output": "{{ index }}"}}});
    let edge = |source: &str, target: &str| json!({"source": source, "target": target});
    json!({"name": "storm", "nodes": [ask("first", "{{ input.n }} first"), each, get, gap, again, ask("last", "{{ input.n }} last")],
        "edges": [edge("first", "each"), edge("first", "get"), edge("first", "gap"), edge("each", "again"),
            edge("get", "again"), edge("gap", "again"), edge("again", "last")],
        "output": ["{{ steps.first.output }}", "{{ steps.each.output }}", "{{ steps.get.output.body.query }}",
            "{{ steps.again.output }}", "{{ steps.last.output }}"]})
}

fn expected(n: usize) -> Value {
    json!([format!("storm {n} first"), [1, 2, 3], format!("n={n}"), 1, format!("storm {n} last")])
}

/// Each call belongs to a step that was recorded as started, and was made at most once more for each kill.
async fn bounded(w: &World, runs: &[String], kills: usize) {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for request in w.model.requests().iter().chain(&w.http.requests()) {
        if let Some(key) = request.idempotency_key() {
            *times.entry(key.to_owned()).or_default() += 1;
        }
    }
    let mut started = BTreeSet::new();
    for run in runs {
        for item in w.recorded(run).await.iter().filter(|item| item["type"] == "step.started") {
            let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
            started.insert(format!(
                "{run}/{}/{}/{}/{}",
                item["generation"],
                text("node"),
                text("iteration"),
                item["attempt"]
            ));
        }
    }
    let (mut more, mut most) = (0, 0);
    for (key, times) in &times {
        let step = started.iter().any(|step| key == step || key.starts_with(&format!("{step}/")));
        assert!(step, "a call that no record knows: {key}");
        more += usize::from(*times > 1);
        most = most.max(*times);
        assert!(*times <= 1 + kills, "{key} was called {times} times");
    }
    eprintln!(
        "{kills} kills: {} calls in {}, {more} made again, at most {most} times",
        times.values().sum::<usize>(),
        times.len()
    );
}

async fn still_works(place: &Place, w: &World) {
    for n in 0..5 {
        let run = w.api.run(&definition(&w.http_url), json!({"n": 100 + n})).await;
        w.ends(&run, "completed").await;
    }
    assert_eq!(place.panics(), Vec::<String>::new());
}
