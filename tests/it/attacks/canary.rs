//! Somebody who uses the server while it is attacked: asks for its health and runs two steps, again and again.

use super::target::Target;
use crate::harness::http;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{runtime::Runtime, task::JoinHandle};

/// Works beside an attack until it is asked what it saw. It has a thread of its own: on those of the attacker it would see
/// how busy the attacker is.
pub struct Canary {
    runtime: Runtime,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What it saw.
#[derive(Clone, Default, Debug)]
pub struct Seen {
    /// How long an answer of `/health` took; one that did not come counts as an hour.
    health: Vec<Duration>,
    /// How long a run of two steps took, from the request to its end.
    runs: Vec<Duration>,
    pub failures: Vec<String>,
    /// The most resident memory of the process, in bytes.
    pub resident: u64,
}

/// Stands for an answer that did not come.
const NEVER: Duration = Duration::from_secs(3600);

impl Canary {
    pub fn beside(target: &Target) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let process = target.dev.process.id().expect("it runs");
        let (url, tasks) = (target.dev.url.clone(), Vec::new());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let mut canary = Self { runtime: runtime.expect("a runtime"), stop, seen, tasks };
        canary.again(Duration::from_millis(50), move |seen| {
            let now = resident(process);
            let mut seen = seen.lock().unwrap();
            seen.resident = seen.resident.max(now);
            std::future::ready(())
        });
        let (client, health) = (http(), format!("{url}/health"));
        canary.again(Duration::from_millis(50), move |seen| {
            let request = client.get(&health);
            async move {
                let began = Instant::now();
                let answer = request.send().await;
                let took = match &answer {
                    Ok(answer) if answer.status() == 200 => began.elapsed(),
                    _ => NEVER,
                };
                let mut seen = seen.lock().unwrap();
                seen.health.push(took);
                if took == NEVER {
                    seen.failures.push(format!("health: {answer:?}"));
                }
            }
        });
        let (client, runs) = (http(), format!("{url}/api/v1/runs?wait=30s"));
        canary.again(Duration::from_millis(250), move |seen| {
            let request = client.post(&runs).json(&json!({"definition": two_steps(), "input": {"n": 1}}));
            async move {
                let began = Instant::now();
                let (took, failure) = match finished(request).await {
                    Ok(()) => (began.elapsed(), None),
                    Err(error) => (NEVER, Some(error)),
                };
                let mut seen = seen.lock().unwrap();
                seen.runs.push(took);
                seen.failures.extend(failure);
            }
        });
        canary
    }

    /// Repeats something until the end. Each begins at its time, whether or not those before have ended: one that
    /// waited for them would not see how long everybody waits.
    fn again<F, R>(&mut self, every: Duration, act: F)
    where
        F: Fn(Arc<Mutex<Seen>>) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let (stop, seen) = (self.stop.clone(), self.seen.clone());
        let probe = self.runtime.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            let mut under_way = tokio::task::JoinSet::new();
            while !stop.load(Ordering::SeqCst) {
                ticks.tick().await;
                under_way.spawn(act(seen.clone()));
            }
            while let Some(ended) = under_way.join_next().await {
                ended.expect("a probe does not panic");
            }
        });
        self.tasks.push(probe);
    }

    /// Ends it; what is under way is waited for, since it counts.
    pub async fn seen(self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("the canary does not panic");
        }
        self.runtime.shutdown_background();
        self.seen.lock().unwrap().clone()
    }
}

impl Seen {
    /// The 95th percentile of `/health`.
    pub fn health(&self) -> Duration {
        p95(&self.health)
    }

    /// The 95th percentile of the runs.
    pub fn runs(&self) -> Duration {
        p95(&self.runs)
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "health p95 {:.0?} of {}, runs p95 {:.0?} of {}, {} failures, {} MB resident",
            self.health(),
            self.health.len(),
            self.runs(),
            self.runs.len(),
            self.failures.len(),
            self.resident >> 20,
        )
    }

    /// Asserts that nobody was kept waiting for longer, nor more memory taken.
    #[track_caller]
    pub fn within(&self, health: Duration, runs: Duration, resident: u64) {
        let first = self.failures.first();
        assert!(self.health.len() > 3 && !self.runs.is_empty(), "it saw too little: {}", self.line());
        assert!(self.health() <= health, "health was to take {health:?}: {}; {first:?}", self.line());
        assert!(self.runs() <= runs, "runs were to take {runs:?}: {}; {first:?}", self.line());
        assert!(self.resident <= resident, "{} MB were allowed: {}", resident >> 20, self.line());
    }
}

async fn finished(request: reqwest::RequestBuilder) -> Result<(), String> {
    let answer = request.send().await.map_err(|error| format!("run: {error:?}"))?;
    let status = answer.status();
    let run: Value = answer.json().await.map_err(|error| format!("run: {status} {error:?}"))?;
    if run["status"] == "completed" { Ok(()) } else { Err(format!("run: {status} {run}")) }
}

/// Two steps that cost next to nothing.
pub fn two_steps() -> Value {
    let rule = json!([{"source": "numbers", "target": "sum", "type": "reduce", "config": {"initial": 0, "value": "acc + item"}}]);
    json!({"name": "canary", "nodes": [
        {"id": "first", "type": "transform", "config": {"input": "{'numbers': [1, 2, 3]}", "rules": rule}},
        {"id": "second", "type": "condition", "config": {"if": "steps.first.output.sum == 6"}}],
        "edges": [{"source": "first", "target": "second"}]})
}

/// Returns how much memory of a process is resident, in bytes; 0 for one that has ended.
pub fn resident(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

fn p95(all: &[Duration]) -> Duration {
    let mut sorted = all.to_vec();
    sorted.sort();
    sorted.get((sorted.len() * 95).div_ceil(100).saturating_sub(1)).copied().unwrap_or_default()
}

#[test]
fn the_95th_percentile_of_twenty_is_the_last_but_one() {
    let all: Vec<_> = (1..=20).map(Duration::from_secs).collect();
    assert_eq!(p95(&all), Duration::from_secs(19));
}
