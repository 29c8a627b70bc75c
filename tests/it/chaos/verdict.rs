//! What a campaign comes to: every run read and checked, the stalls and repetitions counted, and the tail check.

use super::{
    checker::{self, Dump, Fault},
    clients::{self, Address, Seen},
    effects::Effects,
    workload::{Dice, job},
};
use crate::harness::{eventually, http};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant, SystemTime},
};

/// After the last fault everything must have ended within this.
pub const HEALED: Duration = Duration::from_secs(60);

/// A campaign whose faults are over.
pub struct Campaign<'a> {
    pub name: &'a str,
    pub url: &'a str,
    pub seen: Vec<Seen>,
    /// Dumps taken while it was under way.
    pub earlier: BTreeMap<String, Dump>,
    pub effects: &'a Effects,
    pub faults: Vec<Fault>,
    /// When the last fault was over.
    pub healed: Instant,
}

impl Campaign<'_> {
    /// Waits until every run has ended, checks each, and that the service still works. Returns the dumps.
    pub async fn verdict(self) -> Vec<Dump> {
        let mut wrong = Vec::new();
        let mut dumps = Vec::new();
        let mut stalls = Vec::new();
        let client = http();
        let mut runs = Vec::new();
        let mut last = 0;
        for seen in &self.seen {
            let patience = HEALED.saturating_sub(self.healed.elapsed()).max(Duration::from_secs(2));
            let mut dump = read(&client, self.url, &seen.run).await;
            let began = Instant::now();
            while dump.as_ref().is_none_or(|d| d.run["ended_at"].is_null()) && began.elapsed() < patience {
                tokio::time::sleep(Duration::from_millis(100)).await;
                dump = read(&client, self.url, &seen.run).await;
            }
            runs.push((seen, dump));
        }
        let log = self.effects.log();
        for (seen, dump) in runs {
            wrong.extend(checker::check(seen, dump.as_ref(), self.earlier.get(&seen.run), &log));
            if let Some(dump) = dump {
                last = last.max(checker::ended(&dump));
                wrong.extend(checker::calls(&seen.run, &dump, &log, &self.faults));
                stalls.push(checker::longest_stall(&seen.run, &dump, &self.faults));
                dumps.push(dump);
            }
        }
        stalls.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
        for (length, what) in stalls.iter().take(3) {
            println!("longest stalls: {:.1} s, {what}", *length as f64 / 1e3);
        }
        let over = self.faults.iter().map(|f| f.to).max().unwrap_or(last);
        println!(
            "{}: {} runs, {} faults, {} calls, {} of them repeated; the last ended {:.1} s after the last fault",
            self.name,
            self.seen.len(),
            self.faults.len(),
            log.values().map(Vec::len).sum::<usize>(),
            checker::repeated_calls(&log),
            (last - over).max(0) as f64 / 1e3,
        );
        assert!(wrong.is_empty(), "{}: {} violations:\n{}", self.name, wrong.len(), wrong.join("\n"));
        dumps
    }
}

/// The tail check: a service that came through must still serve.
pub async fn still_serves(url: &str) {
    let address: Address = Arc::new(RwLock::new(url.to_owned()));
    let client = http();
    for n in 0..5 {
        let job = job(&mut Dice::new(1000 + n));
        let fresh = clients::drive(client.clone(), address.clone(), 1_000_000 + n as usize, job).await;
        eventually(Duration::from_secs(20), || async {
            let dump = read(&client, url, &fresh.run).await;
            dump.filter(|d| d.run["status"] == "completed").ok_or("not completed")
        })
        .await;
    }
}

/// Reads a run and its whole history; nothing if there is no such run, or the service is away.
pub async fn read(client: &reqwest::Client, url: &str, run: &str) -> Option<Dump> {
    let get = |path: String| async move {
        let answer = client.get(format!("{url}/api/v1/runs/{run}{path}")).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        answer.json::<Value>().await.ok()
    };
    let row = get(String::new()).await?;
    let mut history: Vec<Value> = Vec::new();
    loop {
        let after = history.last().map_or(0, |i| i["seq"].as_u64().unwrap_or(0));
        let page = get(format!("/history?limit=1000&after={after}")).await?;
        let items = page["items"].as_array()?.clone();
        if items.is_empty() {
            return Some(Dump { run: row, history });
        }
        history.extend(items);
    }
}

/// Dumps some runs, to see later that nothing of them was rewritten.
pub async fn collect(url: &str, dumps: &mut BTreeMap<String, Dump>, limit: usize) {
    let client = http();
    let Ok(answer) = client.get(format!("{url}/api/v1/runs?limit={limit}")).send().await else { return };
    let Ok(list) = answer.json::<Value>().await else { return };
    for item in list["items"].as_array().into_iter().flatten() {
        let Some(id) = item["id"].as_str() else { continue };
        if let Some(dump) = read(&client, url, id).await {
            dumps.insert(id.to_owned(), dump);
        }
    }
}

/// Reads a counter of a process; 0 if it is not there.
pub async fn counter(client: &reqwest::Client, url: &str, name: &str) -> f64 {
    let Ok(answer) = client.get(format!("{url}/metrics")).send().await else { return 0.0 };
    let text = answer.text().await.unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// The time in milliseconds since the epoch, as histories have it.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970");
    since.as_millis() as i64
}
