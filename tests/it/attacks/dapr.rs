//! Another app beside Dapr, with a sidecar of its own: it invokes our callbacks, answers for others, grants itself
//! calls, uses up budgets and publishes results. It is refused, and no run changes.

use crate::{
    e2e::api::Api,
    harness::{
        DaprCluster, DaprRun, Model, Overrides, Redis, Reply, Sidecar, SidecarSpec, Upstream, http, root,
        scratch,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

const TOKEN: &str = "shown-to-the-app-only";

/// Two apps of ours, one of theirs, and runs that wait for everything there is to wait for.
struct Place {
    run: DaprRun,
    cluster: DaprCluster,
    redis: Redis,
    model: Model,
    http: Upstream,
    api: Api,
    /// By what they wait for.
    runs: BTreeMap<&'static str, String>,
}

impl Place {
    async fn start() -> Self {
        let (redis, cluster) = (Redis::start().await, DaprCluster::start().await);
        let (model, upstream, folder) = (Model::start().await, Upstream::start().await, scratch());
        let agents = folder.path().join("agents.json");
        let never = json!({"max_retries": 0});
        std::fs::write(
            &agents,
            json!({"agents": {"once": {"model": "test", "retry_policy": never}}}).to_string(),
        )
        .expect("a file");
        let env = [
            ("OPENAI_BASE_URL".to_owned(), model.base_url()),
            ("OPENAI_API_KEY".to_owned(), "sk-test".to_owned()),
            ("CALLBOARD__HTTP__ALLOW".to_owned(), upstream.addr().to_string()),
            ("APP_API_TOKEN".to_owned(), TOKEN.to_owned()),
            // The workflow role checks their names.
            ("CALLBOARD__AGENTS__FILE".to_owned(), agents.display().to_string()),
        ];
        let overrides = Overrides {
            redis: redis.address(),
            env: BTreeMap::from(env),
            agents: Some(agents),
            ..Overrides::default()
        };
        let mut run = DaprRun::start(&root().join("dapr"), &cluster, overrides).await;
        drop(folder);
        let app = run.app("workflow-service");
        let api = Api::new(&app.url, &app.sidecar.http());
        model.script().otherwise(Reply::text("late").after(Duration::from_secs(300)));
        upstream.script.otherwise(Reply::text("late").after(Duration::from_secs(300)));
        let runs = begin(&api, &upstream.url()).await;
        model.script().called(2, Duration::from_secs(30)).await;
        upstream.script.called(1, Duration::from_secs(30)).await;
        Self { run, cluster, redis, model, http: upstream, api, runs }
    }

    /// A sidecar of an app that ours know nothing of, with a state store of its own so that it may call actors.
    async fn stranger(&self, name: &str) -> (Sidecar, tempfile::TempDir) {
        let own = scratch();
        let store = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: own}\nspec: {type: state.in-memory, version: v1, metadata: [{name: actorStateStore, value: \"true\"}]}\n";
        std::fs::write(own.path().join("own.yaml"), store).expect("a component");
        let mut spec = SidecarSpec::new(name).redis(self.redis.address());
        spec.resources.push(own.path().to_owned());
        spec.config = None;
        (self.cluster.sidecar(spec).await, own)
    }

    /// The histories of all runs.
    async fn recorded(&self) -> BTreeMap<&'static str, Vec<Value>> {
        let mut all = BTreeMap::new();
        for (kind, run) in &self.runs {
            all.insert(*kind, self.api.history(run).await);
        }
        all
    }

    /// Asserts that nothing came of it, and returns how often something was refused by us.
    async fn unharmed(
        &mut self,
        before: BTreeMap<&'static str, Vec<Value>>,
        calls: (usize, usize),
        mut wrong: Vec<String>,
    ) -> f64 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = self.recorded().await;
        for (kind, history) in &after {
            let old = &before[kind];
            let new: Vec<_> = history.iter().skip(old.len()).map(|event| event["type"].to_string()).collect();
            if !new.is_empty() || history[..old.len()] != old[..] {
                wrong.push(format!("the run that waits for {kind} went on: {new:?}"));
            }
        }
        let runs = self.api.get("/runs").await["items"].as_array().map_or(0, Vec::len);
        if runs != self.runs.len() {
            wrong.push(format!("{} runs were started", runs.saturating_sub(self.runs.len())));
        }
        let now = (self.model.script().calls(), self.http.script.calls());
        if now != calls {
            wrong.push(format!("calls of model and service were {calls:?} and are {now:?}"));
        }
        assert!(wrong.is_empty(), "{} of them: {wrong:#?}", wrong.len());
        let mut refused = 0.0;
        for app in &self.run.apps {
            let text = http()
                .get(format!("{}/metrics", app.url))
                .send()
                .await
                .expect("metrics")
                .text()
                .await
                .expect("a body");
            let lines = text.lines().filter(|line| line.starts_with("callboard_refused_total"));
            refused += lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
        }
        refused
    }

    fn calls(&self) -> (usize, usize) {
        (self.model.script().calls(), self.http.script.calls())
    }
}

async fn begin(api: &Api, upstream: &str) -> BTreeMap<&'static str, String> {
    let agent = |more: Value| {
        let mut config = json!({"agent": "once", "prompt": "hello"});
        config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        config
    };
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]});
    let mut runs = BTreeMap::new();
    for (kind, node) in [
        ("a person", json!({"id": "a", "type": "approval", "config": {"title": "?"}})),
        ("a signal", json!({"id": "a", "type": "signal", "config": {"name": "never"}})),
        ("a time", json!({"id": "a", "type": "wait", "config": {"for": "1h"}})),
        (
            "a server",
            json!({"id": "a", "type": "http", "config": {"method": "POST", "url": format!("{upstream}/x")}, "timeout": "300s"}),
        ),
        ("an agent", json!({"id": "a", "type": "agent", "config": agent(json!({"output_schema": schema}))})),
        ("another agent", json!({"id": "a", "type": "agent", "config": agent(json!({}))})),
        (
            "a worker",
            json!({"id": "a", "type": "agent", "config": agent(json!({"worker": "external", "output_schema": schema}))}),
        ),
    ] {
        let began = api.post("/runs", json!({"definition": {"name": "waits", "nodes": [node], "settings": {"budget": {"calls": 3}}}, "input": {}})).await;
        let run = began["run_id"].as_str().expect("a run id").to_owned();
        api.until_step(
            &run,
            "a",
            if ["a person", "a signal", "a time"].contains(&kind) { "waiting" } else { "running" },
        )
        .await;
        runs.insert(kind, run);
    }
    runs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_app_invokes_none_of_our_callbacks() {
    let mut place = Place::start().await;
    let (evil, _own) = place.stranger("evil").await;
    let (before, calls) = (place.recorded().await, place.calls());
    let client = http();
    let mut wrong = Vec::new();
    let mut tries = 0;
    let run = place.runs["a signal"].clone();
    let command = json!({"specversion": "1.0", "id": "evil-1", "source": "evil", "type": "callboard.run.cancel", "datacontenttype": "application/json", "data": {"run_id": run}});
    let paths = [
        format!("actors/Workflow/{run}/method/cancel"),
        format!("actors%2FWorkflow%2F{run}%2Fmethod%2Fcancel"),
        format!("%61ctors/Workflow/{run}/method/cancel"),
        format!("./actors/Workflow/{run}/method/cancel"),
        format!("healthz/../actors/Workflow/{run}/method/cancel"),
        format!("healthz/%2e%2e/actors/Workflow/{run}/method/cancel"),
        format!("/actors/Workflow/{run}/method/cancel"),
        format!("actors//Workflow/{run}/method/cancel"),
        format!("actors/Workflow/{run}/method/signal"),
        format!("actors/Workflow/{run}/method/remind/wake"),
        format!("actors/Workflow/{run}/method/timer/x"),
        format!("actors/Workflow/{run}"),
        "actors/Workflow/new-run/method/start".to_owned(),
        "actors/Agent/x/method/execute".to_owned(),
        "events/commands".to_owned(),
        "events/results".to_owned(),
        "events/tasks".to_owned(),
        "events%2Fcommands".to_owned(),
        "events/live".to_owned(),
        "dapr/config".to_owned(),
        "dapr/subscribe".to_owned(),
        "job/x".to_owned(),
        "metrics".to_owned(),
        "api/v1/runs".to_owned(),
    ];
    let app_ports: Vec<_> = place.run.apps.iter().map(|app| (app.id.clone(), app.app_port)).collect();
    for (app, port) in &app_ports {
        for path in &paths {
            for method in ["PUT", "POST", "DELETE", "GET"] {
                // As daprd hands it on where no access control stops it: with the token, and with the caller's name.
                let invoked = client.request(
                    method.parse().expect("a method"),
                    format!("{}/v1.0/invoke/{app}/method/{path}", evil.http()),
                );
                let handed = client
                    .request(method.parse().expect("a method"), format!("http://127.0.0.1:{port}/{path}"))
                    .header("dapr-api-token", TOKEN)
                    .header("dapr-caller-app-id", "evil")
                    .header("dapr-caller-namespace", "default");
                for (how, request) in [("invoked", invoked), ("handed on", handed)] {
                    let answer = request
                        .header("content-type", "application/cloudevents+json")
                        .json(&command)
                        .timeout(Duration::from_secs(8))
                        .send()
                        .await;
                    tries += 1;
                    if let Ok(answer) = answer
                        && answer.status().is_success()
                    {
                        wrong.push(format!("{how}: {method} {app}/{path} answers {}", answer.status()));
                    }
                }
            }
        }
    }
    eprintln!("{tries} tries, {} answered well", wrong.len());
    let refused = place.unharmed(before, calls, wrong).await;
    assert!(refused > 100.0, "{refused} of {tries} were counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_app_answers_grants_and_reserves_nothing() {
    let mut place = Place::start().await;
    let (evil, _own) = place.stranger("evil").await;
    let (worker, _its) = place.stranger("worker").await;
    let (before, calls) = (place.recorded().await, place.calls());
    let client = http();
    let mut wrong = Vec::new();
    let mut tries = Vec::new();
    let step = json!({"generation": 1, "node": "a", "iteration": ""});
    for (kind, run) in &place.runs {
        let mut bodies = Vec::new();
        for attempt in [0, 1, 2, u32::MAX] {
            for outcome in [
                json!({"Completed": {"v": "FORGED"}}),
                json!({"Completed": {"v": {"n": "no integer"}}}),
                json!({"Completed": {"v": {"n": 1, "approved": true}}}),
                json!({"Failed": {"code": "forged", "message": "x", "retryable": false, "retry_after": null}}),
                json!("Unknown"),
                json!("Cancelled"),
            ] {
                // Some are whole and fitting answers for the open attempt of an agent: just what its actor would send.
                bodies.push(("answer", json!({"step": step, "attempt": attempt, "outcome": outcome, "usage": {"calls": 1000, "prompt_tokens": 1, "completion_tokens": 1}})));
            }
            bodies.push(("grant", json!({"step": step, "attempt": attempt, "activation": "evil"})));
            bodies.push(("wanted", json!({"step": step, "attempt": attempt})));
            bodies.push(("reserve", json!({"op": format!("evil-{attempt}"), "step": step, "attempt": attempt, "reserved": {"calls": 3, "tokens": 0}})));
            bodies.push(("finished", json!({"step": step, "attempt": attempt, "output": {"n": 1}})));
            bodies.push((
                "outcome",
                json!({"step": step, "attempt": attempt, "outcome": {"Completed": {"v": 1}}}),
            ));
        }
        for (method, body) in bodies {
            let answer = client
                .put(format!("{}/v1.0/actors/Workflow/{run}/method/{method}", evil.http()))
                .json(&body)
                .timeout(Duration::from_secs(8))
                .send()
                .await;
            let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
            tries.push(status);
            if let Ok(answer) = answer
                && status == 200
            {
                let said: Value = answer.json().await.unwrap_or_default();
                let expected = if method == "outcome" { "unknown_method" } else { "unsigned" };
                if said["error"]["code"] != expected {
                    wrong.push(format!("{method} of the run that waits for {kind} answers {said}"));
                }
            }
        }
        let agent = format!("{run}.a.1._");
        for method in ["task", "delegated", "outcome", "awaits", "status", "messages", "cancel"] {
            let url = format!("{}/v1.0/actors/Agent/{agent}/method/{method}", evil.http());
            let answer =
                client.put(url).json(&json!({"attempt": 1})).timeout(Duration::from_secs(8)).send().await;
            let Ok(answer) = answer else { continue };
            tries.push(answer.status().as_u16());
            let said: Value = answer.json().await.unwrap_or_default();
            if said["error"]["code"] != "unsigned" && said["errorCode"].is_null() {
                wrong.push(format!("{method} of agent {agent} answers {said}"));
            }
        }
        for attempt in [1, 2] {
            let data = json!({"run_id": run, "step": step, "attempt": attempt, "output": "does not fit", "usage": {"calls": 1000}});
            if *kind == "a worker" {
                continue;
            }
            for (sidecar, may) in [(&evil, false), (&worker, true)] {
                for topic in [
                    "callboard.results",
                    "callboard.commands",
                    "callboard.tasks",
                    "callboard.events",
                    "callboard.offers",
                ] {
                    let kinds = ["callboard.task.finished", "callboard.run.cancel", "callboard.task.ready"];
                    for event in kinds {
                        let event = json!({"specversion": "1.0", "id": uuid::Uuid::new_v4().to_string(), "source": "evil", "type": event, "datacontenttype": "application/json", "data": data});
                        let request = client
                            .post(format!("{}/v1.0/publish/pubsub/{topic}", sidecar.http()))
                            .header("content-type", "application/cloudevents+json");
                        let status = request
                            .body(event.to_string())
                            .send()
                            .await
                            .expect("an answer")
                            .status()
                            .as_u16();
                        if status < 300 && !(may && topic == "callboard.results") {
                            wrong.push(format!("{} published to {topic}: {status}", sidecar.app_id));
                        }
                    }
                }
            }
        }
    }
    // A whole task, by a program that may use the sidecar of our own app.
    let task = json!({"agent": "once", "input": {"v": {"agent": "once", "prompt": "evil"}}, "key": "k", "attempt": 1});
    let data = json!({"run": "evil", "step": step, "task": task});
    for mac in [None, Some("1.AAAAAAAAAAAAAAAAAAAAAA")] {
        let event = json!({"specversion": "1.0", "id": "evil-task", "source": "callboard", "type": "callboard.task.ready",
            "datacontenttype": "application/json", "data": data, "mac": mac});
        let ours = place.run.app("workflow-service").sidecar.http();
        let request = client.post(format!("{ours}/v1.0/publish/pubsub/callboard.tasks"));
        let request = request.header("content-type", "application/cloudevents+json").body(event.to_string());
        assert_eq!(request.send().await.expect("an answer").status().as_u16(), 204, "INVALID");
    }
    let reached = tries.iter().filter(|status| **status == 200).count();
    eprintln!("{} calls of actors, {reached} reached them", tries.len());
    assert!(reached * 2 > tries.len(), "INVALID: {reached} of {} reached an actor", tries.len());
    wrong.dedup();
    let refused = place.unharmed(before, calls, wrong).await;
    assert!(refused >= reached as f64 * 0.9, "{refused} of {reached} were counted");
}
