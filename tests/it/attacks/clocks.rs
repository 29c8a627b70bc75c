//! A clock that is set: runs in every state go on at once after a restart, and what waits for a time is woken at that
//! time, whether it is half a minute away or three.

use super::{
    full,
    target::{Setup, Target},
};
use crate::harness::{Reply, eventually};
use callboard_core::Timestamp;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_in_every_state_go_on_after_a_kill_though_the_clock_was_set_back() {
    let offsets: &[&str] = if full() { &["-20", "-60", "-3h"] } else { &["-60"] };
    for offset in offsets {
        survives(offset, false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_in_every_state_go_on_after_a_kill_though_the_clock_was_wrong_for_five_seconds() {
    survives("a glitch", true).await;
}

/// Kinds of runs that are over soon: they begin last.
const BRIEF: [&str; 4] = ["retry", "wait", "step", "paused"];
const LASTING: [&str; 6] = ["agent", "http", "signal", "approval", "tool", "loop"];

/// Brings 50 runs into their states, sets the clock, kills, starts again, and waits for all.
async fn survives(name: &str, glitch: bool) {
    let clock = Clock::new();
    let mut target = clock.under(Target::with()).measured().start().await;
    let mut states = runs(&target, &LASTING, 30).await;
    target.model.script().called(15, Duration::from_secs(20)).await;
    if glitch {
        clock.set("+3h");
        // Something happens to each meanwhile, and is recorded as of the future.
        for (_, run) in &states {
            target.api.request("POST", &format!("/runs/{run}/signal"), Some(json!({"name": "noise"}))).await;
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    states.extend(runs(&target, &BRIEF, 20).await);
    clock.set(if glitch { "+0" } else { name });
    target.dev.kill();
    target.restart().await;
    let (ready, within) = (Instant::now(), Duration::from_secs(if full() { 2 } else { 5 }));
    for (kind, run) in &states {
        match *kind {
            "signal" => _ = target.api.operate(run, "signal", json!({"name": "go"})).await,
            "paused" => _ = target.api.operate(run, "resume", json!({})).await,
            "approval" => {
                let step = target.api.step(run, "a").await;
                let body = json!({"node": "a", "approved": true, "args_hash": step["args_hash"]});
                target.api.operate(run, "approve", body).await;
            }
            _ => {}
        }
    }
    let mut late = Vec::new();
    let begun = states.len();
    let mut open = states;
    let patience = within + Duration::from_secs(3);
    while !open.is_empty() && ready.elapsed() < patience {
        let mut still = Vec::new();
        for (kind, run) in open {
            let status = target.api.get(&format!("/runs/{run}")).await["status"].clone();
            let at = ready.elapsed();
            if status != "completed" {
                still.push((kind, run));
            } else if at > within {
                late.push(format!("{kind} after {at:.1?}"));
            }
        }
        open = still;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    eprintln!("{name}: {} of {begun} runs stand {:.1?} after the start", open.len(), ready.elapsed());
    late.extend(open.into_iter().map(|(kind, _)| format!("{kind} not within {patience:?}")));
    late.sort();
    assert!(late.is_empty(), "{name}: {} were late: {late:?}", late.len());
}

/// Begins runs of these kinds and waits until each is in its state.
async fn runs(target: &Target, kinds: &[&'static str], count: usize) -> Vec<(&'static str, String)> {
    let first = |reply: Reply, then: Reply| {
        let turn = AtomicUsize::new(0);
        move || if turn.fetch_add(1, Ordering::SeqCst) == 0 { reply.clone() } else { then.clone() }
    };
    let never = || Reply::text("lost").after(Duration::from_secs(300));
    let mut all = Vec::new();
    for n in 0..count {
        let kind = kinds[n % kinds.len()];
        let marker = format!("clock-{kind}-{n}-");
        let of = marker.clone();
        match kind {
            "agent" | "loop" | "tool" => {
                let next = first(never(), Reply::text("found"));
                target.model.script().answer(move |request| request.prompt().contains(&of), move |_| next());
            }
            "http" | "retry" => {
                let lost = if kind == "http" { never() } else { Reply::Status(503, None) };
                let next = first(lost, Reply::text("found"));
                target.upstream().answer(move |request| request.target.contains(&of), move |_| next());
            }
            _ => {}
        }
        let run = target.begin(&definition(kind, &marker, &target.http.url()), json!({})).await;
        if kind == "paused" {
            target.api.operate(&run, "pause", json!({})).await;
        }
        all.push((kind, run));
    }
    for (kind, run) in &all {
        let expected: &[&str] = match *kind {
            "signal" | "approval" => &["waiting"],
            "wait" => &["waiting", "completed"],
            "retry" => &["pending", "running", "completed"],
            "paused" | "step" => &["waiting", "pending", "running", "completed"],
            _ => &["running"],
        };
        eventually(Duration::from_secs(20), || async {
            let steps = target.api.steps(run).await;
            let there = steps.iter().any(|step| expected.iter().any(|status| step["status"] == *status));
            if there { Ok(()) } else { Err(format!("{kind}: {steps:#?}")) }
        })
        .await;
    }
    all
}

fn definition(kind: &str, marker: &str, upstream: &str) -> Value {
    let agent = json!({"agent": "once", "prompt": marker});
    let soon = json!({"max_retries": 3, "backoff": "constant", "initial": "1s", "jitter": false});
    let node = match kind {
        "agent" | "tool" => json!({"id": "a", "type": "agent", "config": agent}),
        "http" | "retry" => {
            json!({"id": "a", "type": "http", "retry": soon, "config": {"url": format!("{upstream}/{marker}")}})
        }
        "wait" | "step" => json!({"id": "a", "type": "wait", "config": {"for": "1s"}}),
        "approval" => json!({"id": "a", "type": "approval", "config": {"title": "go on?"}}),
        "loop" => json!({"id": "a", "type": "loop", "config": {"until": "true", "max": 2,
            "body": {"nodes": [{"id": "b", "type": "agent", "config": agent}]}}}),
        _ => json!({"id": "a", "type": "signal", "config": {"name": "go"}}),
    };
    let node =
        if kind == "paused" { json!({"id": "a", "type": "wait", "config": {"for": "500ms"}}) } else { node };
    json!({"name": kind, "nodes": [node]})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_waits_for_longer_than_half_a_minute_ends_on_time() {
    let target = Target::with().start().await;
    target.upstream().when(|request| request.target.contains("/fails"), Reply::Status(503, None));
    let seconds: Vec<u64> = if full() { (0..20).map(|n| 31 + n * 149 / 19).collect() } else { vec![31] };
    let mut runs = Vec::new();
    for lasting in &seconds {
        let span = format!("{lasting}s");
        let retry = json!({"max_retries": 1, "backoff": "constant", "initial": span, "jitter": false});
        for (kind, node) in [
            ("wait", json!({"id": "a", "type": "wait", "config": {"for": span}})),
            ("signal", json!({"id": "a", "type": "signal", "config": {"name": "never"}, "timeout": span})),
            ("approval", json!({"id": "a", "type": "approval", "config": {"title": "?"}, "timeout": span})),
            (
                "worker",
                json!({"id": "a", "type": "agent", "config": {"agent": "x", "prompt": "x", "worker": "external"}, "timeout": span, "retry": {"max_retries": 0}}),
            ),
            (
                "retry",
                json!({"id": "a", "type": "http", "retry": retry, "config": {"url": format!("{}/fails", target.http.url())}}),
            ),
        ] {
            let run = target.begin(&json!({"name": kind, "nodes": [node]}), json!({})).await;
            runs.push((kind, *lasting, run));
        }
    }
    let longest = seconds.last().copied().unwrap_or_default();
    tokio::time::sleep(Duration::from_secs(longest + 2)).await;
    let mut late = Vec::new();
    for (kind, lasting, run) in &runs {
        let step = target.api.step(run, "a").await;
        let at = |name: &str| step[name].as_str().and_then(Timestamp::parse).map(|at| at.0);
        match (at("started_at"), at("ended_at")) {
            (Some(from), Some(to)) if to - from <= *lasting as i64 * 1000 + 1000 => {}
            (Some(from), Some(to)) => late.push(format!("{kind} of {lasting} s took {} ms", to - from)),
            _ => late.push(format!("{kind} of {lasting} s is {} after {} s", step["status"], longest + 2)),
        }
    }
    assert!(late.is_empty(), "{} of {} were more than 1 s late: {late:#?}", late.len(), runs.len());
}

/// A clock of the server's own, which the test sets.
struct Clock {
    folder: TempDir,
    library: PathBuf,
}

impl Clock {
    fn new() -> Self {
        let clock = Self { folder: crate::harness::scratch(), library: library() };
        clock.set("+0");
        clock
    }

    /// Sets it to an offset from the right time: `-60`, `+3h`.
    fn set(&self, offset: &str) {
        let (new, file) = (self.folder.path().join("new"), self.file());
        std::fs::write(&new, offset).expect("a file");
        // At once: a file that is read while it is written is no time.
        std::fs::rename(new, file).expect("a file");
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("offset")
    }

    fn under(&self, setup: Setup) -> Setup {
        setup
            .env("LD_PRELOAD", self.library.display().to_string())
            .env("FAKETIME_TIMESTAMP_FILE", self.file().display().to_string())
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("DONT_FAKE_MONOTONIC", "1")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clock_of_a_server_is_what_the_test_says() {
    let clock = Clock::new();
    let target = clock.under(Target::with()).start().await;
    for (offset, expected) in [("-3h", -10_800), ("+60", 60), ("+0", 0)] {
        clock.set(offset);
        let run = target.begin(&super::canary::two_steps(), json!({"n": 1})).await;
        let run = target.api.get(&format!("/runs/{run}")).await;
        let created = Timestamp::parse(run["created_at"].as_str().expect("an instant")).expect("RFC 3339").0;
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970")
            .as_millis() as i64;
        let off = (created - now) as f64 / 1000.0;
        assert!((off - f64::from(expected)).abs() < 5.0, "set by {offset}, it is off by {off} s");
    }
}

fn library() -> PathBuf {
    if let Some(named) = std::env::var_os("CALLBOARD_FAKETIME") {
        return named.into();
    }
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = folders.chain([Path::new("/usr/lib").to_owned(), Path::new("/usr/lib64").to_owned()]);
    let found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|file| file.is_file());
    found.expect("there is no libfaketimeMT.so.1: run scripts/clock-ensure")
}
