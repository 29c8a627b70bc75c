//! Clients that do not give up: every call carries its operation's key and is made again until it is answered.

use super::workload::Job;
use serde_json::{Value, json};
use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

/// Where the service is just now; it moves when it is restarted.
pub type Address = Arc<RwLock<String>>;

/// How long a client tries; longer than any campaign.
const PATIENCE: Duration = Duration::from_secs(400);

/// What a client saw of its run.
#[derive(Debug, Clone)]
pub struct Seen {
    pub run: String,
    /// Operations answered with success, as the history names what they leave.
    pub acknowledged: Vec<&'static str>,
}

/// Starts a run and does what it needs from outside.
pub async fn drive(client: reqwest::Client, address: Address, n: usize, job: Job) -> Seen {
    let caller = Caller { client, address };
    let body = json!({"definition": job.definition, "input": job.input});
    let began = caller.call("/runs", &body, &format!("start-{n}")).await;
    let run = began["run_id"].as_str().or(began["id"].as_str()).expect("a run id").to_owned();
    let mut acknowledged = vec!["run.created"];
    if job.signal {
        let body = json!({"name": "go", "data": {"n": n}});
        caller.call(&format!("/runs/{run}/signal"), &body, &format!("signal-{n}")).await;
        acknowledged.push("run.signal_received");
    }
    if job.approve {
        let body = json!({"node": "ask", "approved": true});
        caller.call(&format!("/runs/{run}/approve"), &body, &format!("approve-{n}")).await;
        acknowledged.push("approval");
    }
    Seen { run, acknowledged }
}

struct Caller {
    client: reqwest::Client,
    address: Address,
}

impl Caller {
    /// Makes one call until it is answered with success. A broken connection is neither success nor failure.
    async fn call(&self, path: &str, body: &Value, key: &str) -> Value {
        let began = Instant::now();
        let mut last = String::from("nothing");
        while began.elapsed() < PATIENCE {
            let base = self.address.read().expect("no panic while held").clone();
            let request = self.client.post(format!("{base}/api/v1{path}"));
            let request = request.header("idempotency-key", key).timeout(Duration::from_secs(10)).json(body);
            match request.send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    let text = answer.text().await.unwrap_or_default();
                    match status {
                        200 | 201 => match serde_json::from_str(&text) {
                            Ok(value) => return value,
                            Err(error) => last = error.to_string(),
                        },
                        // The run has not come so far, or the service can't now.
                        404 | 409 | 429 | 500 | 502 | 503 => last = text,
                        other => panic!("POST {path}: {other} {text}"),
                    }
                }
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("POST {path} ({key}) was not answered with success; last: {last}");
    }
}
