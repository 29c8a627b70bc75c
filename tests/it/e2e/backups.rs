//! Backups: taken under load, restored, verified; and starts on files that are not of one time.

use super::api::Api;
use crate::harness::{Callboard, callboard, eventually, when};
use serde_json::{Value, json};
use std::{
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

/// Waits, then makes enough events that a document no longer has them all, and waits again.
fn long() -> Value {
    json!({"name": "long", "nodes": [
        {"id": "first", "type": "signal", "config": {"name": "first"}},
        {"id": "each", "type": "for_each", "config": {"items": "range(150) | list", "parallel": 8, "body": {"nodes": [
            {"id": "t", "type": "transform", "config": {"input": "[1]", "rules": [
                {"source": ".", "target": "n", "type": "map", "config": {"value": "'xxxxxxxxxxxxxxxxxxxxxxxxxxxx'"}}]}}
        ]}}},
        {"id": "go", "type": "signal", "config": {"name": "go"}}
    ], "edges": [{"source": "first", "target": "each"}, {"source": "each", "target": "go"}],
        "output": "{{ steps.each.output | length }}"})
}

fn command(dev: &Callboard, words: &[&str]) -> Output {
    let folder = dev.data().parent().expect("a folder");
    let own = folder.join("user");
    let mut command = Command::new(callboard());
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CALLBOARD_") {
            command.env_remove(name);
        }
    }
    command.args(words).current_dir(folder).env("XDG_CONFIG_HOME", &own).env("XDG_STATE_HOME", &own);
    command.output().expect("it starts")
}

/// Performs a command and returns its exit code and all that it said.
fn said(dev: &Callboard, words: &[&str]) -> (i32, String) {
    let output = command(dev, words);
    let [out, err] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(!err.contains("panicked"), "{words:?}\n{out}\n{err}");
    (output.status.code().unwrap_or(-1), format!("{out}{err}"))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn api(dev: &Callboard) -> Api {
    Api::new(&dev.url, &dev.dapr_http())
}

async fn all_runs(api: &Api) -> Vec<String> {
    let page = api.get("/runs?limit=1000").await;
    let items = page["items"].as_array().expect("items").clone();
    items.iter().map(|run| run["id"].as_str().expect("an id").to_owned()).collect()
}

/// Ends a run that waits at either of its signals.
async fn ends(api: &Api, run: &str) {
    for name in ["first", "go"] {
        let (status, answer) =
            api.request("POST", &format!("/runs/{run}/signal"), Some(json!({"name": name, "data": 1}))).await;
        assert!(status == 200 || answer["code"] == "run_ended", "{run}: {status} {answer:#}");
    }
    assert_eq!(api.until(run, "completed").await["output"], 150, "{run}");
}

fn remove(data: &Path, database: &str) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(data.join(format!("{database}{end}")));
    }
}

/// Puts a database of a backup in the place of the one of a data folder.
fn put_back(backup: &Path, data: &Path, database: &str) {
    remove(data, database);
    std::fs::copy(backup.join(database), data.join(database)).expect("copied");
}

/// Starts it again, which must fail, and returns what it said.
async fn refused(dev: &mut Callboard) -> String {
    dev.process.restart();
    let status = dev.process.wait(Duration::from_secs(40)).await;
    assert!(!status.success(), "{status}\n{}", dev.process.tail());
    dev.process.log()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_backup_under_load_every_run_goes_on() {
    let mut dev = Callboard::dev::<&str>([]).await;
    let place = dev.data().parent().expect("a folder").to_owned();
    let mut workflow = api(&dev).create(&long()).await;
    for round in 0..3 {
        let api = api(&dev);
        let load = tokio::spawn({
            let (api, workflow) = (api.clone(), workflow.clone());
            async move {
                for _ in 0..40 {
                    let run = api.start(&workflow, json!({})).await;
                    api.operate(&run, "signal", json!({"name": "first", "data": 1})).await;
                }
            }
        });
        eventually(Duration::from_secs(30), || async { when(all_runs(&api).await.len(), |n| *n > 5) }).await;
        let backup = place.join(format!("backup{round}"));
        let data = text(dev.data());
        let (code, told) =
            tokio::task::block_in_place(|| said(&dev, &["backup", &text(&backup), "--data", &data]));
        assert_eq!((code, told.trim()), (0, text(&backup).as_str()));
        load.abort();
        let _ = load.await;
        for entry in std::fs::read_dir(&backup).expect("a folder") {
            let entry = entry.expect("a file");
            let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        }
        assert!(backup.join("secrets.key").exists(), "what secrets are sealed with is there, too");

        let (code, told) = tokio::task::block_in_place(|| said(&dev, &["verify", &text(&backup)]));
        assert_eq!(code, 0, "{told}");
        let (code, told) =
            tokio::task::block_in_place(|| said(&dev, &["restore", &text(&backup), "--data", &data]));
        assert!(code == 1 && told.contains("stop it first"), "{code} {told}");
        dev.kill();
        let (code, told) =
            tokio::task::block_in_place(|| said(&dev, &["restore", &text(&backup), "--data", &data]));
        assert!(code == 64 && told.contains("--force") && told.contains("catalog.db"), "{code} {told}");
        if round == 0 {
            std::fs::remove_dir_all(dev.data()).expect("everything is gone");
        }
        let force: &[&str] = if round == 0 { &[] } else { &["--force"] };
        let from = text(&backup);
        let words = [&["restore", &from, "--data", &data], force].concat();
        let (code, told) = tokio::task::block_in_place(|| said(&dev, &words));
        assert_eq!(code, 0, "{told}");
        dev.restart().await;
        let api = self::api(&dev);
        let runs = all_runs(&api).await;
        assert!(runs.len() > 5, "{runs:?}");
        for run in runs {
            ends(&api, &run).await;
        }
        workflow = api.create(&long()).await;
    }
    dev.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_not_of_one_time_are_refused_then_accepted_then_as_documented() {
    let mut dev = Callboard::dev::<&str>([]).await;
    let (place, data) = (dev.data().parent().expect("a folder").to_owned(), dev.data().to_owned());
    let workflow = api(&dev).create(&long()).await;
    let run = api(&dev).start(&workflow, json!({})).await;
    api(&dev).until_step(&run, "first", "waiting").await;
    let backup = place.join("before");
    let (code, told) = said(&dev, &["backup", &text(&backup), "--data", &text(&data)]);
    assert_eq!(code, 0, "{told}");
    dev.stop().await;
    dev.restart().await;
    api(&dev).operate(&run, "signal", json!({"name": "first", "data": 1})).await;
    api(&dev).until_step(&run, "go", "waiting").await;
    let after = place.join("after");
    let (code, told) = said(&dev, &["backup", &text(&after), "--data", &text(&data)]);
    assert_eq!(code, 0, "{told}");
    dev.stop().await;

    // An older sidecar's file, and none: the catalog has it all.
    put_back(&backup, &data, "sidecar.db");
    dev.restart().await;
    api(&dev).until_step(&run, "go", "waiting").await;
    dev.stop().await;
    remove(&data, "sidecar.db");
    dev.restart().await;
    api(&dev).until_step(&run, "go", "waiting").await;
    dev.stop().await;

    // A new catalog, and an older one.
    put_back(&after, &data, "sidecar.db");
    remove(&data, "catalog.db");
    for _ in 0..2 {
        let why = refused(&mut dev).await;
        for part in ["catalog.db is new", "sidecar.db is not", "--accept-loss", "move"] {
            assert!(why.contains(part), "{part}: {why}");
        }
        assert!(!data.join("catalog.db").exists(), "a refused start leaves a catalog");
    }
    put_back(&backup, &data, "catalog.db");
    let why = refused(&mut dev).await;
    assert!(why.contains("catalog.db is older than") && why.contains("--accept-loss"), "{why}");
    let (code, told) = said(&dev, &["verify", &text(&data)]);
    assert!(code == 1 && told.contains(&format!("run {run}: history_gap")), "{code} {told}");

    dev.process.launch.args.push("--accept-loss".into());
    dev.restart().await;
    dev.process.launch.args.pop();
    let api = api(&dev);
    let seen = api.get(&format!("/runs/{run}")).await;
    assert_eq!(
        (&seen["error"]["code"], &seen["status"]),
        (&json!("history_gap"), &json!("waiting")),
        "{seen:#}"
    );
    assert!(api.history(&run).await.len() > 1 && !api.steps(&run).await.is_empty());
    let signal = json!({"name": "go", "data": 1});
    let problem = api.refused(&format!("/runs/{run}/signal"), signal, 500, "history_gap").await;
    assert!(problem["detail"].as_str().is_some_and(|why| why.contains("cancelled")), "{problem:#}");
    api.operate(&run, "cancel", json!({})).await;
    assert_eq!(api.until(&run, "cancelled").await["error"], Value::Null);
    // Run again from its beginning it is a run as any other.
    api.operate(&run, "rerun", json!({"from": "first"})).await;
    ends(&api, &run).await;
    dev.stop().await;
    // What was accepted once is not asked again.
    dev.restart().await;
    dev.stop().await;
    let (code, told) = said(&dev, &["verify", &text(&data)]);
    assert_eq!(code, 0, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_backup_or_a_damaged_one_replaces_nothing() {
    let mut dev = Callboard::dev::<&str>([]).await;
    let (place, data) = (dev.data().parent().expect("a folder").to_owned(), text(dev.data()));
    let workflow = api(&dev).create(&long()).await;
    let run = api(&dev).start(&workflow, json!({})).await;
    let backup = place.join("backup");
    let from = text(&backup);
    assert_eq!(said(&dev, &["backup", &from, "--data", &data]).0, 0);
    let (code, told) = said(&dev, &["backup", &from, "--data", &data]);
    assert!(code == 64 && told.contains("not empty"), "{code} {told}");
    let (code, told) = said(&dev, &["backup", &text(&place.join("b")), "--data", &text(&place.join("c"))]);
    assert!(code == 64 && told.contains("there is no"), "{code} {told}");
    dev.stop().await;
    let before = std::fs::read(dev.data().join("catalog.db")).expect("a catalog");

    let restore = ["restore", &from, "--data", &data, "--force"];
    let note = std::fs::read(backup.join("backup.json")).expect("a note");
    std::fs::remove_file(backup.join("backup.json")).expect("removed");
    let (code, told) = said(&dev, &restore);
    assert!(code == 64 && told.contains("not finished"), "{code} {told}");
    std::fs::write(backup.join("backup.json"), note).expect("written");
    let whole = std::fs::read(backup.join("catalog.db")).expect("a copy");
    std::fs::write(backup.join("catalog.db"), &whole[..whole.len() - 4096]).expect("written");
    let (code, told) = said(&dev, &restore);
    assert!(code == 1 && told.contains("bytes"), "{code} {told}");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 4096 / 2 * 4096;
    damaged[middle..middle + 4096].fill(0x5a);
    std::fs::write(backup.join("catalog.db"), &damaged).expect("written");
    let (code, told) = said(&dev, &restore);
    assert!(code == 1 && told.contains("catalog.db"), "{code} {told}");
    assert_ne!(said(&dev, &["verify", &from]).0, 0);
    assert_eq!(std::fs::read(dev.data().join("catalog.db")).expect("a catalog"), before);
    std::fs::write(backup.join("catalog.db"), &whole).expect("written");
    assert_eq!(said(&dev, &restore).0, 0);
    dev.restart().await;
    ends(&api(&dev), &run).await;
    dev.stop().await;
}
