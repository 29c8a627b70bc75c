//! A stop in the middle of work: calls under way are waited for and their answers kept, none is made again, and no
//! step that must not repeat needs a person afterwards.

use super::target::Target;
use crate::harness::{Reply, Script, eventually, when};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Calls of each kind.
const CALLS: usize = 24;
const LASTING: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_makes_no_call_again_and_leaves_no_outcome_unknown() {
    let mut target = Target::with().env("CALLBOARD__SERVER__DRAIN", "20s").start().await;
    target.model.script().otherwise(Reply::text("done").after(LASTING));
    target.upstream().otherwise(Reply::text("done").after(LASTING));
    let mut runs = Vec::new();
    for n in 0..CALLS {
        for kind in ["agent", "http"] {
            runs.push((kind, target.begin(&definition(kind, n, &target.http.url()), json!({})).await));
        }
    }
    eventually(LASTING, || async {
        let begun = (target.model.script().calls(), target.upstream().calls());
        when(begun, |begun| *begun == (CALLS, CALLS))
    })
    .await;
    let began = Instant::now();
    target.dev.stop().await;
    let took = began.elapsed();
    target.restart().await;
    let mut ended = BTreeMap::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    for (kind, run) in &runs {
        let status = loop {
            let steps = target.api.steps(run).await;
            let status = steps.first().map_or(Value::Null, |step| step["status"].clone());
            if status == "completed" || status == "unknown" || Instant::now() > deadline {
                break status.as_str().unwrap_or_default().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        *ended.entry((*kind, status)).or_insert(0) += 1;
    }
    let again = |script: &Script| script.calls() - CALLS;
    let (model, http) = (again(target.model.script()), again(target.upstream()));
    eprintln!("stopped after {took:.1?}; {model} model and {http} http calls again; {ended:?}");
    let all = ["agent", "http"].map(|kind| ((kind, "completed".to_owned()), CALLS));
    assert_eq!((ended, model, http), (BTreeMap::from(all), 0, 0), "steps by end, calls again");
    assert!(took < Duration::from_secs(20), "it stopped after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_begins_nothing_new_and_is_over_when_its_time_is() {
    let mut target = Target::with().env("CALLBOARD__SERVER__DRAIN", "2s").start().await;
    // The first of two calls ends within the stop, another one never does.
    target
        .model
        .script()
        .when(|request| request.prompt() == "first", Reply::text("first").after(Duration::from_secs(1)));
    target
        .model
        .script()
        .when(|request| request.prompt() == "long", Reply::text("long").after(Duration::from_secs(300)));
    let ask = |id: &str| json!({"id": id, "type": "agent", "config": {"agent": "once", "prompt": id}});
    let two = json!({"name": "two", "nodes": [ask("first"), ask("second")], "edges": [{"source": "first", "target": "second"}]});
    let two = target.begin(&two, json!({})).await;
    target.begin(&json!({"name": "long", "nodes": [ask("long")]}), json!({})).await;
    target.model.script().called(2, Duration::from_secs(10)).await;
    let began = Instant::now();
    target.dev.stop().await;
    let took = began.elapsed();
    let asked =
        |prompt: &str| target.model.script().requests().iter().filter(|r| r.prompt() == prompt).count();
    assert_eq!((asked("first"), asked("second")), (1, 0), "nothing begins while it stops");
    assert!(took < Duration::from_secs(8), "it stopped after {took:?}");
    target.restart().await;
    target.api.until(&two, "completed").await;
    let asked =
        |prompt: &str| target.model.script().requests().iter().filter(|r| r.prompt() == prompt).count();
    assert_eq!((asked("first"), asked("second")), (1, 1), "what was answered is not asked again");
}

/// One step; every second one must not repeat.
fn definition(kind: &str, n: usize, upstream: &str) -> Value {
    let config = match kind {
        "agent" => json!({"agent": "once", "prompt": format!("call {n}")}),
        _ => json!({"method": "POST", "url": format!("{upstream}/call/{n}")}),
    };
    let effect = if n.is_multiple_of(2) { "at_most_once" } else { "retry" };
    json!({"name": "call", "nodes": [{"id": "call", "type": kind, "config": config, "timeout": "60s", "effect": effect,
        "retry": {"max_retries": 3, "initial": "100ms"}}]})
}
