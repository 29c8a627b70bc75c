//! The image, the Compose file and the manifests of a cluster, without an engine or a cluster.
//!
//! `tests/manifests` renders and reads them and holds them to each other, to Kubernetes' and Dapr's own sources and to the
//! documents; here are the suites of it, one by one, and what only the program itself can say: whether it takes the
//! arguments, variables and settings that it is given there, and works with the components of a cluster.

#![allow(clippy::panic, reason = "what the program refuses is a failed test")]

mod beside;
mod programs;

use super::harness::root;
use serde::Deserialize;
use serde_json::Value;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// A program or folder that `scripts/manifests-ensure` makes.
fn made(name: &str) -> PathBuf {
    let path = root().join(".cache/manifests").join(name);
    assert!(path.exists(), "there is no {}: run scripts/manifests-ensure", path.display());
    path
}

/// Runs a program to its end and returns what it printed.
fn run(command: &mut Command) -> String {
    let ended = command.stdin(Stdio::null()).output().expect("the program starts");
    let (said, errors) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{command:?}\n{said}\n{errors}");
    format!("{said}{errors}")
}

/// Runs one file of `tests/manifests`.
fn suite(name: &str) {
    let mut command = Command::new(made("python/bin/python"));
    command.args(["-m", "unittest", "-v", name]).current_dir(root().join("tests/manifests"));
    let said = run(command.env("PYTHONDONTWRITEBYTECODE", "1"));
    // A file in which nothing is found passes, too.
    let ran = said.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(ran.is_some_and(|ran| ran > 0), "{said}");
    println!("{said}");
}

/// The documents of an overlay, as `kubectl apply -k` would send them.
fn rendered(overlay: &str) -> Vec<Value> {
    let text = run(Command::new(made("kustomize")).arg("build").arg(root().join(overlay)));
    serde_saphyr::from_multiple(&text).expect("kustomize writes YAML")
}

/// A service of the Compose file, as far as a program sees it.
#[derive(Debug, Deserialize)]
struct Service {
    image: String,
    #[serde(default)]
    command: Option<Vec<String>>,
    #[serde(default)]
    environment: std::collections::BTreeMap<String, Option<String>>,
}

fn services() -> std::collections::BTreeMap<String, Service> {
    let mut command = Command::new(made("compose"));
    command.arg(root().join("compose.yaml"));
    for name in ["POSTGRES_PASSWORD", "REDIS_PASSWORD", "DAPR_API_TOKEN", "APP_API_TOKEN"] {
        command.env(name, "given");
    }
    let all: Value = serde_json::from_str(&run(&mut command)).expect("the loader writes JSON");
    serde_json::from_value(all["services"].clone()).expect("services")
}

#[test]
fn policies_of_the_network_let_through_what_the_page_says_and_each_is_needed() {
    suite("test_flows");
}

#[test]
fn every_pod_keeps_to_restricted_and_each_broken_rule_is_noticed() {
    suite("test_restricted");
}

#[test]
fn every_manifest_is_valid_and_what_it_names_is_there() {
    suite("test_schemas");
}

#[test]
fn sidecars_and_components_are_the_same_on_one_machine_in_compose_and_in_a_cluster() {
    suite("test_dapr");
}

#[test]
fn compose_and_kong_start_what_they_say_and_show_it_to_nobody_else() {
    suite("test_compose");
}

#[test]
fn images_are_pinned_and_built_from_what_is_there() {
    suite("test_images");
}

#[test]
fn commands_of_the_pages_are_ones_that_the_files_support() {
    suite("test_pages");
}

#[test]
fn mistakes_that_are_easily_made_are_each_noticed() {
    suite("test_edits");
}
