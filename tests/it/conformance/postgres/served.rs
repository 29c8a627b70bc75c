//! A whole server with its catalog on Postgres: who may ask, what is asked twice, and what the audit says of it.

use super::Database;
use crate::harness::{Callboard, callboard, eventually, http, scratch};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use std::{path::Path, process::Command, time::Duration};

/// Runs `callboard keys …` on a catalog, and returns what it prints.
#[track_caller]
fn keys(folder: &Path, url: &str, args: &[&str]) -> String {
    let own = folder.join("user");
    let mut command = Command::new(callboard());
    command.arg("keys").args(args).current_dir(folder);
    command.env("XDG_CONFIG_HOME", &own).env("XDG_STATE_HOME", &own).env("CALLBOARD__CATALOG__URL", url);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

async fn body(answer: Response) -> Value {
    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_on_it_asks_who_comes_and_does_nothing_twice() {
    let database = Database::make().await;
    let folder = scratch();
    let admin = keys(folder.path(), &database.url, &["create", "--admin", "--name", "first"]);
    let server = Callboard::with().env("CALLBOARD__CATALOG__URL", &database.url).start().await;
    let workflows = format!("{}/api/v1/workflows", server.url);
    let client = http();

    let unknown = client.get(&workflows).send().await.unwrap();
    assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    let create = || {
        let workflow =
            json!({"name": "once", "nodes": [{"id": "a", "type": "wait", "config": {"for": "0s"}}]});
        client.post(&workflows).bearer_auth(&admin).header("Idempotency-Key", "k-1").json(&workflow).send()
    };
    let (first, second) = tokio::join!(create(), create());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.status(), second.status()), (StatusCode::CREATED, StatusCode::CREATED));
    assert_eq!(body(first).await, body(second).await, "the same workflow");
    let listed = body(client.get(&workflows).bearer_auth(&admin).send().await.unwrap()).await;
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");

    let ready = client.get(format!("{}/ready", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
    eventually(Duration::from_secs(10), || async {
        let audit = client.get(format!("{}/api/v1/audit", server.url)).bearer_auth(&admin).send().await;
        let audit = body(audit.map_err(|error| error.to_string())?).await;
        let says = |route: &str| {
            audit["items"].as_array().is_some_and(|rows| {
                rows.iter().any(|row| row["route"].as_str().is_some_and(|said| said.contains(route)))
            })
        };
        match says("callboard keys create") && says("POST /api/v1/workflows") {
            true => Ok(()),
            false => Err(audit.to_string()),
        }
    })
    .await;

    let id = admin.split('_').nth(1).unwrap();
    keys(folder.path(), &database.url, &["revoke", id]);
    eventually(Duration::from_secs(10), || async {
        let refused = client.get(&workflows).bearer_auth(&admin).send().await.unwrap();
        match refused.status() {
            StatusCode::UNAUTHORIZED => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
}
