//! A run's record, read as users read it, and the rules it must keep whatever happened on the way.

use super::world::World;
use crate::harness::{eventually, when};
use callboard_catalog::{Entry, Journal};
use callboard_core::{Hash, id::RunId};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// What ends a step for good.
const OUTCOMES: [&str; 4] = ["step.completed", "step.failed", "step.skipped", "step.cancelled"];
/// What ends a run's generation.
const ENDS: [&str; 3] = ["run.completed", "run.failed", "run.cancelled"];

impl World {
    /// Waits for the run's end and returns the run and its steps; its record must keep every rule.
    #[track_caller]
    pub fn ended<'a>(
        &'a self,
        run: &'a str,
        status: &'a str,
    ) -> impl Future<Output = (Value, Vec<Value>)> + 'a {
        let seen = self.api.until(run, status);
        async move {
            let seen = seen.await;
            let history = self.recorded(run).await;
            let last = history.last().expect("a history that ends");
            assert_eq!(last["type"], format!("run.{status}"), "{last:#}");
            (seen, self.api.steps(run).await)
        }
    }

    /// Waits for the end of a large run.
    #[track_caller]
    pub fn ends<'a>(&'a self, run: &'a str, status: &'a str) -> impl Future<Output = Value> + 'a {
        eventually(Duration::from_secs(120), move || async move {
            when(self.api.get(&format!("/runs/{run}")).await, |seen| seen["status"] == status)
        })
    }

    /// Returns the whole history through the API once it has everything; it must keep every rule.
    pub async fn recorded(&self, run: &str) -> Vec<Value> {
        let ended =
            |items: &Vec<Value>| items.last().is_some_and(|item| ENDS.iter().any(|end| item["type"] == *end));
        let is_over = |run: &Value| ["completed", "failed", "cancelled"].iter().any(|s| run["status"] == *s);
        let history = eventually(Duration::from_secs(20), || async {
            let now = self.api.get(&format!("/runs/{run}")).await;
            when(self.api.history(run).await, |items| !is_over(&now) || ended(items))
        })
        .await;
        keeps_order(&history);
        keeps_outcomes(&history);
        self.keeps_chain(run, &history).await;
        history
    }

    /// The hashes are those of the events as stored: nobody has touched what was recorded before.
    async fn keeps_chain(&self, run: &str, history: &[Value]) {
        let id: RunId = run.parse().expect("a run's id");
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let after = entries.last().map_or(0, |entry| entry.seq);
            let more = self.catalog.history(&id, after, 1000).await.expect("the catalog's rows");
            if more.is_empty() {
                break;
            }
            entries.extend(more);
        }
        let mut hash = Hash::default();
        for (entry, item) in entries.iter().zip(history) {
            hash = Hash::chain(&[&hash.0, entry.event.as_bytes()]);
            assert_eq!(entry.hash, hash, "run {run}: the hash of event {}", entry.seq);
            assert_eq!(item["hash"], hash.to_string(), "run {run}: {item:#}");
        }
        assert!(entries.len() >= history.len(), "run {run}: {} of {}", entries.len(), history.len());
    }
}

fn keeps_order(history: &[Value]) {
    let seqs: Vec<_> = history.iter().map(|item| item["seq"].as_u64().expect("a seq")).collect();
    assert_eq!(seqs, (1..=history.len() as u64).collect::<Vec<_>>());
    assert_eq!(history[0]["type"], "run.created");
}

/// One start for each attempt, one outcome for each step, one end for each generation.
fn keeps_outcomes(history: &[Value]) {
    let mut outcomes = BTreeSet::new();
    let mut attempts: BTreeMap<String, u64> = BTreeMap::new();
    let mut over = false;
    for item in history {
        let kind = item["type"].as_str().expect("a type");
        let step = format!("{}/{}/{}", item["generation"], item["node"], item["iteration"]);
        assert!(!over || kind == "run.rerun" || kind == "run.purging", "after the end: {item:#}");
        match kind {
            "run.rerun" => over = false,
            "step.started" => {
                let last = attempts.entry(step.clone()).or_default();
                assert_eq!(item["attempt"], *last + 1, "each attempt starts once: {item:#}");
                *last += 1;
                assert!(!outcomes.contains(&step), "started after its end: {item:#}");
            }
            _ if OUTCOMES.contains(&kind) => {
                assert!(outcomes.insert(step), "a second outcome: {item:#}")
            }
            _ => over |= ENDS.contains(&kind),
        }
    }
}

/// Returns the steps as `node[iteration] status`, sorted.
pub fn lines(steps: &[Value]) -> Vec<String> {
    let line = |step: &Value| {
        let text = |name: &str| step[name].as_str().expect("a text").to_owned();
        let place = match text("iteration").as_str() {
            "" => text("node"),
            path => format!("{}[{path}]", text("node")),
        };
        format!("{place} {}", text("status"))
    };
    let mut lines: Vec<_> = steps.iter().map(line).collect();
    lines.sort();
    lines
}

/// Returns the types of a history's events.
pub fn types(history: &[Value]) -> Vec<&str> {
    history.iter().map(|item| item["type"].as_str().expect("a type")).collect()
}
