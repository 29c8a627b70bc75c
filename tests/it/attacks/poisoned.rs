//! A run that kills its server: recorded by an older build, it is set aside by the third start at the latest, and
//! everybody else's runs go on.

use super::{canary, limits::gibibyte, target::Target};
use crate::harness::{Callboard, Model, Process, Reply, http, root, scratch};
use serde_json::{Value, json};
use std::{
    process::Command,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_its_server_is_set_aside_by_the_third_start() {
    let folder = scratch();
    let archive = root().join("tests/fixtures/poisoned/data.tar.gz");
    let unpacked = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(folder.path()).status();
    assert!(unpacked.is_ok_and(|status| status.success()), "{} can be unpacked", archive.display());
    let model = Model::start().await;
    // What the poisoned agent's schema is asked about, and what the others' answer is.
    model.script().when(|request| request.prompt() == "poison", Reply::Json(json!({"a": 1})));
    model.script().when(|request| request.prompt() == "fine", Reply::Json(json!("fine")));
    let agents = folder.path().join("agents.json");
    std::fs::write(
        &agents,
        json!({"agents": {"once": {"model": "test", "retry_policy": {"max_retries": 0}}}}).to_string(),
    )
    .expect("a file");
    let dev = || {
        Callboard::with()
            .args(["--agents", &agents.display().to_string()])
            .env("OPENAI_BASE_URL", model.base_url())
            .env("OPENAI_API_KEY", "sk-test")
            .data(folder.path().join("data"))
            .under(["prlimit", gibibyte()])
    };
    let mut starts = 0;
    let mut lived = None;
    while starts < 4 && lived.is_none() {
        let (mut process, dir) = dev().spawn();
        starts += 1;
        let began = Instant::now();
        while process.is_running() && began.elapsed() < Duration::from_secs(15) && !is_over(&process).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if process.is_running() {
            lived = Some((process, dir));
        } else {
            eprintln!(
                "start {starts} ended after {:.1?}: {}",
                began.elapsed(),
                process.log().lines().last().unwrap_or_default()
            );
        }
    }
    let Some((mut process, _dir)) = lived else { panic!("it ended {starts} times") };
    eprintln!("start {starts} lives");
    assert!(starts <= 3, "it was start {starts}");
    let log = process.log();
    let line = log.lines().find(|line| line.starts_with("ready ")).expect("it is ready");
    let url = line.split(' ').nth(1).expect("an address").to_owned();
    let api = crate::e2e::api::Api::new(&url, "");
    let poisoned = api.get("/runs/poisoned").await;
    let aside = poisoned["status"] == "paused" && poisoned["error"]["code"] == "quarantined";
    assert!(aside || poisoned["status"] == "failed", "{poisoned:#}");
    let answer = api.post("/runs?wait=20s", json!({"definition": canary::two_steps(), "input": {}})).await;
    assert_eq!(answer["status"], "completed");
    // One that was recorded beside it.
    api.until("bystander", "completed").await;
    if aside {
        let (status, cancelled) = api.request("POST", "/runs/poisoned/cancel", Some(json!({}))).await;
        assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")), "{cancelled:#}");
    }
    process.kill();
}

/// Whether the run that kills is set aside or has ended.
async fn is_over(process: &Process) -> bool {
    let log = process.log();
    let Some(url) = log.lines().find_map(|line| line.strip_prefix("ready ")?.split(' ').next()) else {
        return false;
    };
    let request = http().get(format!("{url}/api/v1/runs/poisoned")).timeout(Duration::from_secs(2));
    let Ok(answer) = request.send().await else { return false };
    let run: Value = answer.json().await.unwrap_or_default();
    run["status"] == "paused" || run["status"] == "failed"
}

/// Makes the fixture with a build of that time: `CALLBOARD_BIN=… CALLBOARD_ATTACKS=fixture`, see `tests/fixtures/poisoned/make`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fixture_is_made_where_it_is_asked_for() {
    if !std::env::var("CALLBOARD_ATTACKS").is_ok_and(|v| v == "fixture") {
        return;
    }
    let mut target = Target::start().await;
    target.model.script().otherwise(Reply::text("late").after(Duration::from_secs(300)));
    let schema = super::limits::lattice(28, |next| json!({"allOf": [next, next]}));
    let ask = |prompt: &str, schema| {
        json!({"name": prompt, "nodes": [{"id": "a", "type": "agent",
        "config": {"agent": "once", "prompt": prompt, "output_schema": schema}}]})
    };
    for (run, definition) in
        [("poisoned", ask("poison", schema)), ("bystander", ask("fine", json!({"type": "string"})))]
    {
        target.api.actor("Workflow", run, "start", json!({"definition": definition, "input": {}})).await;
    }
    target.model.script().called(2, Duration::from_secs(10)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    target.dev.kill();
    let into = std::env::var("CALLBOARD_FIXTURE").expect("CALLBOARD_FIXTURE names the file to write");
    let parent = target.dev.data().parent().expect("a folder");
    let packed = Command::new("tar").args(["czf", &into, "-C"]).arg(parent).arg("data").status();
    assert!(packed.is_ok_and(|status| status.success()), "tar writes {into}");
}
