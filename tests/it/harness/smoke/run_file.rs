//! `dapr/dapr.yaml`, started as `dapr run -f dapr` would.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// Waits for the lines that the stand-in for an app prints: where it runs, how, and with what.
async fn lines(run: &mut DaprRun, app: &str) -> Vec<String> {
    let complete = |log: &str| log.ends_with("end\n").then(|| log.lines().map(str::to_owned).collect());
    run.app(app).process().until_logged(SOON, complete).await
}

#[tokio::test]
async fn an_app_gets_the_command_and_environment_that_the_cli_would_give_it() {
    let cluster = DaprCluster::start().await;
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("app");
    fs::write(&program, "#!/bin/sh\necho \"in $PWD\"; echo \"args $*\"; env | grep -E '^(APP|DAPR|CALLBOARD__)'; echo end; exec sleep 60\n")
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let overrides =
        Overrides { program: Some(program), args: vec!["--more".to_owned()], ..Overrides::default() };

    let mut run = DaprRun::spawn(&root().join("dapr"), &cluster, overrides);
    let seen = lines(&mut run, "ai-service").await;
    let catalog = format!("CALLBOARD__CATALOG__URL=sqlite:{}/data/catalog.db", run.dir().display());
    let app = run.app("ai-service");

    let has = |line: String| assert!(seen.contains(&line), "{line:?} is not in {seen:#?}");
    let dapr = root().join("dapr").canonicalize().unwrap();
    has(format!("in {}", dapr.parent().unwrap().display()));
    has(format!(
        "args serve --role ai --agents config/agents.yaml --listen {} --more",
        app.url.trim_start_matches("http://")
    ));
    has(format!("APP_PORT={}", app.app_port));
    has(format!("DAPR_HTTP_PORT={}", app.sidecar.http_port));
    has(format!("DAPR_GRPC_PORT={}", app.sidecar.grpc_port));
    has("APP_ID=ai-service".to_owned());
    has(catalog);
}

#[tokio::test]
async fn the_run_file_starts_both_roles_and_they_reach_each_other() {
    let redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let overrides = Overrides { redis: redis.address(), apps_in_process: true, ..Overrides::default() };
    let mut run = DaprRun::spawn(&root().join("dapr"), &cluster, overrides);
    let workflow = Upstream::on(run.app("workflow-service").app_port).await;
    let ai = Upstream::on(run.app("ai-service").app_port).await;
    app(&workflow, "Workflow", "results");
    app(&ai, "Agent", "tasks");
    for app in &mut run.apps {
        app.ready().await;
    }
    let client = http();
    let workflow_sidecar = run.app("workflow-service").sidecar.http();

    let publish = format!("{workflow_sidecar}/v1.0/publish/pubsub/tasks.pubsub");
    assert_eq!(post(&client, publish, json!({"task": 1})).await, 204);
    assert_eq!(called(&ai, "POST", "/on/pubsub").await.json()["data"], json!({"task": 1}));
    let invoke = format!("{}/v1.0/actors/Workflow/r1/method/finish", run.app("ai-service").sidecar.http());
    assert_eq!(post(&client, invoke, json!({"task": 1})).await, 200);
    called(&workflow, "PUT", "/actors/Workflow/r1/method/finish").await;
    called(&workflow, "GET", "/healthz").await;
}
