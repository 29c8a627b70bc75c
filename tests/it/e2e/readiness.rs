//! `/ready` tells what can't be written, although everything can be read.

use crate::harness::{Callboard, eventually, http, when};
use serde_json::{Value, json};
use std::{process::Command, time::Duration};

async fn ready(dev: &Callboard) -> (u16, Value) {
    let response = http().get(format!("{}/ready", dev.url)).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

/// Lets a process write no file beyond so many bytes.
fn limit(pid: u32, bytes: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--fsize={bytes}:unlimited")])
        .status();
    assert!(status.expect("prlimit").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_no_write_is_told_and_one_that_does_again_too() {
    // A program that is told of it by a signal ends, unless it was started to ignore that.
    let mut dev =
        Callboard::with().under(["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\" 2>/dev/null"]).start().await;
    let (status, body) = ready(&dev).await;
    assert_eq!(
        (status, &body["checks"]["catalog"], &body["checks"]["state"]),
        (200, &json!("ok"), &json!("ok")),
        "{body:#}"
    );
    let pid = dev.process.id().expect("it runs");
    limit(pid, "1");
    let (_, body) = eventually(Duration::from_secs(20), || async {
        when(ready(&dev).await, |(status, _)| *status == 503)
    })
    .await;
    assert_eq!(body["code"], "not_ready");
    for what in ["catalog", "state"] {
        let said = body["checks"][what].as_str().unwrap_or_default();
        assert!(said.contains("can't be written"), "{what}: {body:#}");
    }
    assert_eq!(body["checks"]["server"], "ok");
    let list = http().get(format!("{}/api/v1/workflows", dev.url)).send().await.expect("an answer");
    assert_eq!(list.status(), 200, "it can be read");
    limit(pid, "unlimited");
    eventually(Duration::from_secs(20), || async { when(ready(&dev).await, |(status, _)| *status == 200) })
        .await;
    dev.stop().await;
}
