//! Everything in one process with its catalog on Postgres: the process is killed, and the database stopped at once, in turn.

use super::{
    campaign::killed,
    checker::Fault,
    clients::Address,
    effects::Effects,
    full,
    load::Load,
    verdict::{Campaign, now, still_serves},
};
use crate::harness::{Callboard, Postgres, callboard, http, root, scratch};
use serde_json::json;
use std::{
    collections::BTreeMap,
    process::Command,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_the_process_and_its_database_die_in_turn() {
    let (runs, rounds) = if full() { (300, 40) } else { (40, 6) };
    let effects = Effects::start().await;
    let mut server = Postgres::start().await;
    let url = server.url(&server.database().await);
    let agents = root().join("config/agents.yaml").display().to_string();
    let dev = || {
        let dev = Callboard::with().args(["--agents", &agents]).env("CALLBOARD__CATALOG__URL", &url);
        dev.env("OPENAI_BASE_URL", &effects.url).env("OPENAI_API_KEY", "none")
    };

    let (mut refused, _dir) = dev().spawn();
    let ended = refused.wait(Duration::from_secs(40)).await;
    assert!(!ended.success() && refused.log().contains("callboard migrate"), "{ended}: {}", refused.tail());
    migrate(&url);

    let mut dev = dev().start().await;
    let address: Address = Arc::new(RwLock::new(dev.url.clone()));
    let mut load = Load::new(11, runs, 0, address.clone());
    let mut faults = Vec::new();
    for round in 0..rounds {
        load.begin_up_to(runs * (round + 1) / rounds);
        let before = effects.calls();
        let began = Instant::now();
        while load.open() > 0 && effects.calls() == before && began.elapsed() < Duration::from_secs(10) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if round % 2 == 0 {
            let from = now();
            server.stop_at_once().await;
            let stopped = Instant::now();
            says_that_it_can_not_now(&dev.url).await;
            tokio::time::sleep(AWAY.saturating_sub(stopped.elapsed())).await;
            server.restart().await;
            faults.push(Fault { from, to: now() });
        } else {
            faults.push(killed(&mut dev));
            dev.restart().await;
            *address.write().expect("no panic while held") = dev.url.clone();
        }
    }
    let healed = Instant::now();
    let seen = load.finish().await;
    assert_eq!(seen.len(), runs);
    let name = "kill -9 of the process, immediate stops of its database";
    let campaign =
        Campaign { name, url: &dev.url, seen, earlier: BTreeMap::new(), effects: &effects, faults, healed };
    let dumps = campaign.verdict().await;
    assert_eq!(dumps.len(), runs, "every run that was acknowledged is there");
    still_serves(&dev.url).await;
    dev.stop().await;
}

/// Without the catalog what needs it is refused for now, and the process lives.
async fn says_that_it_can_not_now(url: &str) {
    let client = http();
    let list = client.get(format!("{url}/api/v1/runs")).send();
    let start = client
        .post(format!("{url}/api/v1/runs"))
        .json(&json!({"definition": {"name": "n", "nodes": []}}))
        .send();
    let ready = client.get(format!("{url}/ready")).send();
    let (list, start, ready) = tokio::join!(list, start, ready);
    for (what, answer) in [("the list", list), ("a start", start), ("ready", ready)] {
        let answer = answer.expect("an answer");
        assert_eq!(answer.status().as_u16(), 503, "{what}");
        assert!(answer.headers().contains_key("retry-after"), "{what} says when to come again");
    }
    let alive = client.get(format!("{url}/health")).send().await.expect("an answer");
    assert_eq!(alive.status().as_u16(), 200);
}

fn migrate(url: &str) {
    let dir = scratch();
    let migrated = Command::new(callboard())
        .arg("migrate")
        .current_dir(dir.path())
        .env("XDG_CONFIG_HOME", dir.path())
        .env("XDG_STATE_HOME", dir.path())
        .env("CALLBOARD__CATALOG__URL", url)
        .output()
        .expect("callboard starts");
    let said = String::from_utf8_lossy(&migrated.stderr).into_owned();
    assert!(migrated.status.success() && said.contains("the catalog is up to date"), "{said}");
}
