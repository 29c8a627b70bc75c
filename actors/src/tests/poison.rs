//! A run that kills the process whenever it is read. The process is this test's own program, started again and again.

use super::*;
use std::{
    path::PathBuf,
    process::{Command, Output},
};

const FOLDER: &str = "CALLBOARD_TEST_POISON";
const WAITS: usize = 8;

/// A life of the process: it sweeps what is there, until it is killed or everything else has ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the test below"]
async fn a_life() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let world = World::start(&folder, Settings { marks: Some(folder.clone()), ..Settings::default() }).await;
    for n in 0..WAITS {
        world.call(&format!("w{n}"), "start", waits()).await;
    }
    world.call("poison", "start", waits()).await;
    // Alive until here: the run is set aside, or lets itself be read.
    let mut seen = Vec::new();
    for n in 0..WAITS {
        let run = format!("w{n}");
        world.call(&run, "signal", json!({"name": "go", "data": 1})).await;
        seen.push(world.until(&run, "completed").await["status"].clone());
    }
    let poison = world.call("poison", "status", json!({})).await;
    println!("LIVED {}", json!({"others": seen, "poison": poison}));
    if std::env::var_os("CALLBOARD_TEST_RESUME").is_some() {
        println!("RESUMED {}", world.call("poison", "resume", json!({})).await);
    }
    world.stop().await;
}

fn waits() -> Value {
    let node = json!({"id": "s", "type": "signal", "config": {"name": "go"}});
    json!({"op": "once", "definition": {"name": "w", "nodes": [node]}})
}

fn live(folder: &Path, poisoned: bool, resume: bool) -> Output {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", "tests::poison::a_life", "--ignored", "--nocapture"]).env(FOLDER, folder);
    if poisoned {
        command.env("CB_FAILPOINTS", "turn.of.poison=kill@1");
    }
    if resume {
        command.env("CALLBOARD_TEST_RESUME", "1");
    }
    command.output().expect("a process")
}

fn said(output: &Output, what: &str) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.split_once(what)).unwrap_or_else(|| {
        panic!("nothing {what}: {:?}\n{text}\n{}", output.status, String::from_utf8_lossy(&output.stderr))
    });
    serde_json::from_str(line.1).expect("JSON")
}

#[test]
fn a_run_that_kills_every_start_is_set_aside_and_the_others_go_on() {
    let folder = tempfile::tempdir().expect("a folder");
    // It is begun in good health, as an older version may have begun it.
    assert!(live_until_begun(folder.path()));
    // It is gone at once each time, which counts for little.
    for start in 1..=9 {
        let killed = live(folder.path(), true, false);
        assert!(!killed.status.success(), "start {start} is killed: {killed:?}");
    }
    let lived = live(folder.path(), true, false);
    let said_ = said(&lived, "LIVED ");
    assert_eq!(said_["others"], json!(vec!["completed"; WAITS]), "{said_:#}");
    assert_eq!(said_["poison"]["status"], "paused", "{said_:#}");
    assert_eq!(said_["poison"]["error"]["code"], "quarantined", "{said_:#}");
    // It stays so over another start; once what was wrong is mended, somebody resumes it.
    let resumed = said(&live(folder.path(), false, true), "RESUMED ");
    assert_eq!(resumed["status"], "waiting", "{resumed:#}");
    let lives = said(&live(folder.path(), false, false), "LIVED ");
    assert_eq!(lives["poison"]["status"], "waiting", "{lives:#}");
}

/// Starts the run without the poison and lets the process end in order.
fn live_until_begun(folder: &Path) -> bool {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let world = World::start(folder, Settings::default()).await;
        let begun = world.call("poison", "start", waits()).await;
        for _ in 0..200 {
            if world.catalog.run(&run_id("poison")).await.expect("a catalog").is_some() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.stop().await;
        begun["status"] == "waiting"
    })
}
