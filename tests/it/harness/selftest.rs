//! Proves the parts of the harness that need no Dapr.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, abort};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    Callboard, Launch, Model, Process, Recorded, Reply, Upstream, eventually, free_port, http, when,
};

const SOON: Duration = Duration::from_secs(10);

async fn ask(model: &Model, prompt: &str, stream: bool) -> reqwest::Result<reqwest::Response> {
    let body = json!({"model": "m", "stream": stream, "stream_options": {"include_usage": true},
                      "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": prompt}]});
    http()
        .post(format!("{}/chat/completions", model.base_url()))
        .header("Idempotency-Key", "k1")
        .json(&body)
        .send()
        .await
}

#[tokio::test]
async fn a_model_says_what_its_script_says() {
    let model = Model::start().await;
    model.script().then([
        Reply::text("one"),
        Reply::too_many(7),
        Reply::tool("search", json!({"q": 1})),
        Reply::Status(500, None),
    ]);

    let said: Value = ask(&model, "hi", false).await.unwrap().json().await.unwrap();
    let limited = ask(&model, "hi", false).await.unwrap();
    let tools: Value = ask(&model, "hi", false).await.unwrap().json().await.unwrap();
    let failed = ask(&model, "hi", false).await.unwrap();
    let echoed: Value = ask(&model, "echo me", false).await.unwrap().json().await.unwrap();

    assert_eq!(said["choices"][0]["message"]["content"], "one");
    assert_eq!((limited.status().as_u16(), &limited.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert_eq!(
        tools["choices"][0]["message"]["tool_calls"][0]["function"],
        json!({"name": "search", "arguments": "{\"q\":1}"})
    );
    assert_eq!(failed.status(), 500);
    assert_eq!(echoed["choices"][0]["message"]["content"], "echo me");
    assert_eq!(model.script().called(5, SOON).await[0].idempotency_key(), Some("k1"));
}

#[tokio::test]
async fn a_model_streams_and_breaks_off() {
    let model = Model::start().await;
    let cut = |request: &Recorded| request.prompt() == "cut";
    model.script().otherwise(Reply::text("a b c")).when(cut, Reply::Cut);
    model.script().when(|request| request.prompt() == "huge", Reply::Huge(50 << 20));

    let text = ask(&model, "go", true).await.unwrap().text().await.unwrap();
    let words: Vec<Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let said: String =
        words.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();

    assert_eq!(said, "a b c");
    assert!(text.ends_with("data: [DONE]\n\n") && text.contains("\"completion_tokens\""), "{text}");
    assert!(ask(&model, "cut", true).await.unwrap().text().await.is_err());
    assert!(ask(&model, "cut", false).await.unwrap().text().await.is_err());
    assert!(ask(&model, "huge", false).await.unwrap().bytes().await.unwrap().len() > 50 << 20);
}

#[tokio::test]
async fn an_upstream_reflects_and_waits() {
    let upstream = Upstream::start().await;
    upstream.script.then([Reply::Echo.after(Duration::from_millis(50)), Reply::Garbage]);
    let url = format!("{}/a/b?c=d", upstream.url());

    let started = Instant::now();
    let echo: Value = http().put(&url).json(&json!({"n": 1})).send().await.unwrap().json().await.unwrap();
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert_eq!(
        (&echo["method"], &echo["path"], &echo["query"], &echo["body"]),
        (&json!("PUT"), &json!("/a/b"), &json!("c=d"), &json!({"n": 1}))
    );
    assert!(http().get(&url).send().await.unwrap().json::<Value>().await.is_err());
    assert_eq!(upstream.script.calls(), 2);
}

#[tokio::test]
#[should_panic(expected = "last seen: 3")]
async fn eventually_tells_what_it_saw_last() {
    eventually(Duration::from_millis(100), || async { when(3, |number| *number == 4) }).await;
}

#[tokio::test]
async fn a_process_can_be_stopped_and_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let launch = Launch::new("loop", "sh")
        .args(["-c", "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done"]);
    let mut process = Process::start(launch, dir.path());
    process.until_logged(SOON, |log| log.contains("up\n").then_some(())).await;
    assert_eq!(process.terminate(SOON).await.code(), Some(3));
    assert!(process.log().ends_with("bye\n") && !process.is_running());
    process.restart();
    process.until_logged(SOON, |log| (log == "up\n").then_some(())).await;
}

#[tokio::test]
async fn callboard_keeps_its_ports_and_ends_on_sigterm() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("callboard");
    let script = r#"#!/bin/sh
trap 'exit 0' TERM
[ "$1 $2 $4 $6 $8" = "dev --listen --dapr-http-port --dapr-grpc-port --data" ] || exit 9
echo "ready http://$3 dapr http=$5 grpc=$7"
while :; do sleep 0.05; done
"#;
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();

    let mut callboard = Callboard::with().program(&program).start().await;
    let before = (callboard.url.clone(), callboard.dapr_http(), callboard.dapr_grpc());
    callboard.restart().await;

    assert_eq!((callboard.url.clone(), callboard.dapr_http(), callboard.dapr_grpc()), before);
    callboard.stop().await;
}

#[test]
fn ports_are_given_out_once() {
    let mut ports: Vec<u16> = (0..120).map(|_| free_port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 120);
}

/// Starts this very test again as a program that aborts while its child runs.
#[tokio::test]
async fn no_process_outlives_the_test_binary() {
    const ME: &str = "harness::selftest::no_process_outlives_the_test_binary";
    if let Some(dir) = std::env::var_os("CALLBOARD_HARNESS_ABORTS") {
        let process = Process::start(Launch::new("sleep", "sleep").arg("300"), dir.as_ref());
        std::fs::write(std::path::Path::new(&dir).join("id"), process.id().unwrap().to_string()).unwrap();
        abort();
    }
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ME])
        .env("CALLBOARD_HARNESS_ABORTS", dir.path())
        .output();
    assert!(!status.unwrap().status.success());
    let id = std::fs::read_to_string(dir.path().join("id")).unwrap();
    let gone = || async { when(std::path::Path::new("/proc").join(&id).exists(), |alive| !alive) };
    eventually(SOON, gone).await;
}
