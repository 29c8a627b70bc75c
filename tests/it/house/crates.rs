//! Dependencies point one way, each technology stands behind one door, and what is declared is used.

use super::{none, root, sources::code, texts};
use serde_json::Value;
use std::{collections::BTreeMap, env, process::Command};

/// Which of our crates each of our crates may use. A new crate needs a line here.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("callboard-core", &[]),
    ("callboard-listener", &[]),
    ("callboard-sidecar", &["callboard-listener"]),
    ("callboard-catalog", &["callboard-core"]),
    ("callboard-connectors", &["callboard-core"]),
    (
        "callboard-actors",
        &["callboard-core", "callboard-sidecar", "callboard-catalog", "callboard-connectors"],
    ),
    (
        "callboard",
        &[
            "callboard-core",
            "callboard-sidecar",
            "callboard-catalog",
            "callboard-connectors",
            "callboard-actors",
            "callboard-listener",
        ],
    ),
];
/// They drive all of them from outside, so they may use what they want.
const SUITES: [&str; 2] = ["callboard-tests", "callboard-sim"];

/// Technologies, and the crates behind whose types they hide.
const DOORS: [(&str, &[&str]); 4] = [
    ("dapr", &["callboard-sidecar"]),
    ("sqlx", &["callboard-catalog"]),
    ("rusqlite", &["callboard-sidecar"]),
    ("async-openai", &["callboard-connectors"]),
];

/// Dependencies that the product stands on: some crate of ours declares them and calls them.
const FOUNDATION: [(&str, &str); 10] = [
    ("callboard-sidecar", "dapr"),
    ("callboard-sidecar", "tonic"),
    ("callboard-sidecar", "prost"),
    ("callboard-actors", "tokio"),
    ("callboard-actors", "tracing"),
    ("callboard-core", "serde"),
    ("callboard-connectors", "async-openai"),
    ("callboard-catalog", "sqlx"),
    ("callboard", "opentelemetry-otlp"),
    ("callboard", "config"),
];

/// Would bring clock, randomness, I/O or threads into the core.
const NOT_IN_CORE: [&str; 8] =
    ["tokio", "futures", "rand", "tracing", "uuid", "reqwest", "parking_lot", "async-trait"];

struct Member {
    /// From the root.
    folder: String,
    manifest: String,
    dependencies: Vec<Value>,
}

fn members() -> BTreeMap<String, Member> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let manifest = package["manifest_path"].as_str().expect("a manifest").to_owned();
            let folder = std::path::Path::new(&manifest).parent().expect("a folder");
            let folder = folder.strip_prefix(root()).expect("a member lies below the root");
            let member = Member {
                folder: folder.display().to_string(),
                dependencies: package["dependencies"].as_array().cloned().unwrap_or_default(),
                manifest,
            };
            (package["name"].as_str().expect("a name").to_owned(), member)
        })
        .collect()
}

impl Member {
    fn names(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter_map(|d| d["name"].as_str())
    }

    /// Of the crate itself, not of its tests.
    fn own(&self, name: &str) -> Option<&Value> {
        self.dependencies.iter().find(|d| d["name"] == name && d["kind"].is_null())
    }
}

#[test]
fn dependencies_between_our_crates_point_one_way() {
    let members = members();
    let mut wrong = Vec::new();
    for (name, member) in members.iter().filter(|(name, _)| !SUITES.contains(&name.as_str())) {
        let Some((_, may)) = MAY_USE.iter().find(|(known, _)| known == name) else {
            wrong.push(format!("{name} has no place in the house"));
            continue;
        };
        let ours = member.names().filter(|d| members.contains_key(*d));
        wrong.extend(ours.filter(|d| !may.contains(d)).map(|d| format!("{name} must not use {d}")));
    }
    none(wrong);
}

#[test]
fn each_technology_stands_behind_its_door() {
    let mut wrong = Vec::new();
    for (name, member) in members().iter().filter(|(name, _)| !SUITES.contains(&name.as_str())) {
        for (technology, doors) in DOORS {
            if member.names().any(|d| d == technology) && !doors.contains(&name.as_str()) {
                wrong.push(format!("{name} must not use {technology}: that is for {}", doors.join(" and ")));
            }
        }
    }
    none(wrong);
}

#[test]
fn what_the_product_stands_on_is_declared_and_called() {
    let members = members();
    let mut wrong = Vec::new();
    for (name, dependency) in FOUNDATION {
        let member = &members[name];
        if member.own(dependency).is_none() {
            wrong.push(format!("{name} does not declare {dependency}"));
            continue;
        }
        let folder = format!("{}/src/", member.folder);
        let sources = texts(|path| path.starts_with(&folder) && path.ends_with(".rs"));
        if !sources.iter().any(|source| calls(&code(&source.text), dependency)) {
            wrong.push(format!("{name} declares {dependency} and never names it"));
        }
    }
    none(wrong);
}

#[test]
fn dapr_comes_without_its_default_features() {
    for (name, member) in members() {
        for dependency in member.dependencies.iter().filter(|d| d["name"] == "dapr") {
            assert_eq!(
                dependency["uses_default_features"], false,
                "{name}: its macros and server are not ours"
            );
        }
    }
}

#[test]
fn the_core_declares_nothing_that_reaches_outside() {
    let core = &members()["callboard-core"];
    none(
        core.names().filter(|d| NOT_IN_CORE.contains(d)).map(|d| format!("core must not use {d}")).collect(),
    );
}

#[test]
fn every_crate_takes_the_workspaces_lints() {
    let mut wrong = Vec::new();
    for (name, member) in members() {
        let manifest = std::fs::read_to_string(&member.manifest).expect("a manifest");
        let mut lines = manifest.lines().skip_while(|line| line.trim() != "[lints]").skip(1);
        if lines.next().map(str::trim) != Some("workspace = true") {
            wrong.push(format!("{name} lacks `[lints] workspace = true`"));
        }
    }
    none(wrong);
}

/// Whether a path in the code begins with the crate: `name::`, not `other::name::`.
fn calls(code: &str, dependency: &str) -> bool {
    let start = format!("{}::", dependency.replace('-', "_"));
    code.match_indices(&start).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn a_path_is_told_from_a_part_of_one() {
    assert!(calls("use config::File;", "config") && calls("let a = [async_openai::X];", "async-openai"));
    assert!(!calls("use crate::config::File; reconfig::a()", "config"));
}
