//! Callboard's REST API and its sidecar's HTTP API as a caller sees them; each call asserts its status.

use crate::harness::{eventually, http, when};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a run of a few steps may take, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// Where to call.
#[derive(Clone)]
pub struct Api {
    pub client: reqwest::Client,
    pub url: String,
    /// The HTTP API of the sidecar beside the workflow role.
    pub dapr: String,
}

impl Api {
    pub fn new(url: &str, dapr: &str) -> Self {
        Self { client: http(), url: url.to_owned(), dapr: dapr.to_owned() }
    }

    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}/api/v1{path}", self.url));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, None).await;
        assert_eq!(status, 200, "GET {path}: {body:#}");
        body
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.request("POST", path, Some(body)).await;
        assert!(status == 200 || status == 201, "POST {path}: {status} {answer:#}");
        answer
    }

    /// Creates a workflow and returns its id.
    pub async fn create(&self, definition: &Value) -> String {
        let made = self.post("/workflows", definition.clone()).await;
        assert_eq!(made["problems"], json!([]), "{made:#}");
        made["id"].as_str().expect("an id").to_owned()
    }

    /// Starts a run and returns its id.
    pub async fn start(&self, workflow: &str, input: Value) -> String {
        let began = self.post(&format!("/workflows/{workflow}/start"), json!({ "input": input })).await;
        began["run_id"].as_str().expect("a run id").to_owned()
    }

    /// Creates a workflow and starts it.
    pub async fn run(&self, definition: &Value, input: Value) -> String {
        let id = self.create(definition).await;
        self.start(&id, input).await
    }

    /// Waits until the run has the status.
    #[track_caller]
    pub fn until<'a>(&'a self, run: &'a str, status: &'a str) -> impl Future<Output = Value> + 'a {
        eventually(PATIENCE, move || async move {
            let (code, seen) = self.request("GET", &format!("/runs/{run}"), None).await;
            when(seen, |seen| code == 200 && seen["status"] == status)
        })
    }

    /// Returns all steps of a run.
    pub async fn steps(&self, run: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let page = self.get(&format!("/runs/{run}/steps?limit=1000{next}")).await;
            items.extend(page["items"].as_array().expect("items").clone());
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return items,
            }
        }
    }

    /// Returns a run's whole history.
    pub async fn history(&self, run: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let page = self.get(&format!("/runs/{run}/history?limit=1000{next}")).await;
            items.extend(page["items"].as_array().expect("items").clone());
            match page["next"].as_str() {
                Some(cursor) => next = format!("&cursor={cursor}"),
                None => return items,
            }
        }
    }

    /// Performs an operation on a run; panics unless it is accepted.
    pub async fn operate(&self, run: &str, operation: &str, body: Value) -> Value {
        self.post(&format!("/runs/{run}/{operation}"), body).await
    }

    /// Performs an operation that must be refused with this status and code; returns the problem.
    pub async fn refused(&self, path: &str, body: Value, status: u16, code: &str) -> Value {
        let (got, problem) = self.request("POST", path, Some(body)).await;
        assert_eq!((got, &problem["code"]), (status, &json!(code)), "POST {path}: {problem:#}");
        assert_eq!(problem["status"], status, "{problem:#}");
        problem
    }

    /// Sends a request with an Idempotency-Key.
    pub async fn keyed(&self, path: &str, key: &str, body: Value) -> (u16, Value) {
        let request = self.client.post(format!("{}/api/v1{path}", self.url)).header("idempotency-key", key);
        let response = request.json(&body).send().await.expect("an answer");
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    /// Waits until a step has the status; returns it.
    #[track_caller]
    pub fn until_step<'a>(
        &'a self,
        run: &'a str,
        node: &'a str,
        status: &'a str,
    ) -> impl Future<Output = Value> + 'a {
        eventually(PATIENCE, move || async move {
            let steps = self.steps(run).await;
            let of_node: Vec<_> = steps.into_iter().filter(|step| step["node"] == node).collect();
            match of_node.iter().find(|step| step["status"] == status) {
                Some(step) => Ok(step.clone()),
                None => Err(of_node),
            }
        })
    }

    /// Returns one step of a run.
    pub async fn step(&self, run: &str, node: &str) -> Value {
        let steps = self.steps(run).await;
        steps.into_iter().find(|s| s["node"] == node).unwrap_or(Value::Null)
    }

    /// Publishes on the commands topic through the sidecar.
    pub async fn command(&self, kind: &str, data: Value) {
        let url =
            format!("{}/v1.0/publish/pubsub/callboard.commands?metadata.cloudevent.type={kind}", self.dapr);
        let response = self.client.post(url).json(&data).send().await.expect("an answer");
        assert_eq!(response.status(), 204, "publish {kind}");
    }

    /// Calls a method of an actor through the sidecar.
    pub async fn actor(&self, kind: &str, id: &str, method: &str, body: Value) -> Value {
        let url = format!("{}/v1.0/actors/{kind}/{id}/method/{method}", self.dapr);
        let response = self.client.put(url).json(&body).send().await.expect("an answer");
        let status = response.status().as_u16();
        let text = response.text().await.expect("a body");
        assert_eq!(status, 200, "{kind}/{id}/{method}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }
}
