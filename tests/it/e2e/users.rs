//! Who may ask for what, over a really running server with keys and tokens: the matrix of all routes and all credentials,
//! and what a project keeps from the others.

mod credentials;
mod matrix;
mod projects;

use super::api::Api;
use crate::harness::{Callboard, callboard, http_with, scratch};
use callboard_catalog::{Access, SqliteCatalog};
use callboard_core::id::KeyId;
use credentials::Issuer;
use serde_json::Value;
use std::{path::Path, process::Command};
use tempfile::TempDir;

/// A server that asks who comes, and whoever may say so.
pub struct Guarded {
    pub server: Callboard,
    issuer: Issuer,
    /// A key of an admin of `default`, made before the first start.
    pub admin: String,
    /// The catalog's own rows.
    catalog: SqliteCatalog,
    _folder: TempDir,
}

impl Guarded {
    pub async fn start(settings: &str) -> Self {
        let folder = scratch();
        let issuer = Issuer::new(folder.path());
        let config = folder.path().join("settings.toml");
        std::fs::write(&config, format!("{}\n{settings}", issuer.settings())).expect("settings");
        let data = folder.path().join("data");
        let admin = command(
            folder.path(),
            &["keys", "create", "--admin", "--data", "data", "--config", "settings.toml"],
        );
        let server =
            Callboard::with().args(["--config", &config.display().to_string()]).data(&data).start().await;
        let catalog = SqliteCatalog::open(data.join("catalog.db")).await.expect("the catalog");
        Self { server, issuer, admin, catalog, _folder: folder }
    }

    /// The API as somebody with this credential sees it.
    pub fn api(&self, credential: &str) -> Api {
        let mut headers = reqwest::header::HeaderMap::new();
        let mut value: reqwest::header::HeaderValue =
            format!("Bearer {credential}").parse().expect("a header");
        value.set_sensitive(true);
        headers.insert("authorization", value);
        let client = http_with(headers);
        Api { client, ..Api::new(&self.server.url, &self.server.dapr_http()) }
    }

    /// Makes a key by the API, and returns it.
    pub async fn key(&self, project: &str, role: &str) -> String {
        let made =
            self.api(&self.admin).post("/keys", serde_json::json!({"project": project, "role": role})).await;
        made["secret"].as_str().expect("a secret").to_owned()
    }

    pub async fn project(&self, id: &str) {
        self.api(&self.admin).post("/projects", serde_json::json!({"id": id})).await;
    }
}

/// Returns the id in a key.
pub fn id_of(key: &str) -> KeyId {
    key.split('_').nth(1).expect("a key").parse().expect("an id")
}

/// Runs a command in a folder, and returns what it prints.
#[track_caller]
fn command(folder: &Path, args: &[&str]) -> String {
    let own = folder.join("user");
    let mut command = Command::new(callboard());
    command.args(args).current_dir(folder).env("XDG_CONFIG_HOME", &own).env("XDG_STATE_HOME", &own);
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn code(answer: &Value) -> &str {
    answer["code"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_listed_renewed_and_revoked_by_the_command_line() {
    let folder = scratch();
    let folder = folder.path();
    let run = |args: &[&str]| {
        let mut all = args.to_vec();
        all.extend(["--data", "data"]);
        command(folder, &all)
    };
    let key = run(&["keys", "create", "--role", "viewer", "--expires", "90d", "--name", "ci"]);
    let id = id_of(&key);
    assert!(key.starts_with("cb_") && key.lines().count() == 1, "the secret alone: {key}");
    let listed = run(&["keys", "list"]);
    assert!(listed.contains(id.as_str()) && listed.contains("viewer") && listed.contains("ci"), "{listed}");
    assert!(!listed.contains(&key), "{listed}");
    let renewed = run(&["keys", "rotate", id.as_str(), "--keep", "1h"]);
    assert!(renewed != key && id_of(&renewed) == id);
    run(&["keys", "revoke", id.as_str()]);
    assert!(run(&["keys", "list"]).contains("revoked"));
    let catalog = SqliteCatalog::open(folder.join("data/catalog.db")).await.expect("the catalog");
    let rows = catalog.audit(&callboard_core::id::ProjectId::DEFAULT, None, 10).await.expect("the audit");
    let routes: Vec<_> = rows.iter().map(|row| row.entry.route.as_str()).collect();
    assert_eq!(routes, ["callboard keys revoke", "callboard keys rotate", "callboard keys create"]);
}

#[test]
fn a_server_that_asks_nobody_listens_on_loopback_only() {
    let folder = scratch();
    let own = folder.path().join("user");
    let mut command = Command::new(callboard());
    command.args([
        "dev",
        "--listen",
        "0.0.0.0:0",
        "--data",
        "data",
        "--dapr-http-port",
        "0",
        "--dapr-grpc-port",
        "0",
    ]);
    command.current_dir(folder.path()).env("XDG_CONFIG_HOME", &own).env("XDG_STATE_HOME", &own);
    let output = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("nobody is asked who they are"), "{said}");
    assert!(said.contains("callboard keys create --admin"), "it says what helps: {said}");
}
