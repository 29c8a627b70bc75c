//! Messages between the actors with and without signatures, over a sidecar and a catalog.

use super::{said::slow, *};
use crate::{
    AGENT, keyring,
    protocol::{Message, run::Finished},
};
use axum::body::{Body, to_bytes};
use callboard_core::{id::AgentId, workflow::StepKey};
use http::Request;

/// Two agents at work, each of a run of its own, and a worker that was offered a task.
async fn world(folder: &Path) -> World {
    world_with(folder, Settings::default()).await
}

async fn world_with(folder: &Path, settings: Settings) -> World {
    let agents = json!({"agents": {"a": {"model": "scripted"}}});
    let world = World::with(folder, settings, agents, slow()).await;
    for run in ["r1", "r2"] {
        let definition = json!({"name": "waits", "nodes": [agent("one", "slow"),
            {"id": "out", "type": "agent", "config": {"agent": "w", "prompt": "p", "worker": "external"}}]});
        let began = world.call(run, "start", json!({"definition": definition})).await;
        assert!(began["error"].is_null(), "{began:#}");
        let id = format!("{run}.one.1._");
        while world.invoke(AGENT, &id, "status", json!({})).await["status"] != "running" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    world
}

impl World {
    /// Ends the runs, for a stop waits for their agents' calls.
    async fn leave(self) {
        for run in ["r1", "r2"] {
            self.call(run, "cancel", json!({})).await;
        }
        self.stop().await;
    }

    /// How many events a run has.
    async fn recorded(&self, run: &str) -> u64 {
        self.call(run, "status", json!({})).await["seq"].as_u64().expect("a seq")
    }

    /// Delivers an event as the sidecar does; returns the verdict.
    async fn deliver(&self, route: &str, event: Value) -> String {
        let request = Request::post(route).header("content-type", "application/cloudevents+json");
        let request = request.body(Body::from(event.to_string())).expect("a request");
        let answer = self.host.router(None).oneshot(request).await.expect("an answer");
        let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
        serde_json::from_slice::<Value>(&body).expect("JSON")["status"]
            .as_str()
            .expect("a verdict")
            .to_owned()
    }
}

fn step(node: &str) -> Value {
    json!({"generation": 1, "node": node, "iteration": ""})
}

/// What the agent of a run's step would answer.
fn fitting() -> Value {
    let usage = json!({"calls": 1, "prompt_tokens": 1, "completion_tokens": 1});
    json!({"step": step("one"), "attempt": 1, "outcome": {"Completed": {"v": "FORGED"}}, "usage": usage})
}

fn task(prompt: &str) -> Value {
    let task =
        json!({"agent": "a", "input": {"v": {"agent": "a", "prompt": prompt}}, "key": "k", "attempt": 1});
    json!({"run": "r9", "step": step("one"), "task": task})
}

fn ready(data: &Value, mac: Option<&str>) -> Value {
    json!({"specversion": "1.0", "id": "x", "source": "x", "type": "callboard.task.ready", "data": data, "mac": mac})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_our_actors_send_is_refused_and_counted_where_it_is_not_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    let before = world.recorded("r1").await;
    let calls = [
        (WORKFLOW, "r1", "answer", fitting()),
        (WORKFLOW, "r1", "grant", json!({"step": step("one"), "attempt": 1, "activation": "evil"})),
        (
            WORKFLOW,
            "r1",
            "reserve",
            json!({"op": "x", "step": step("one"), "attempt": 1, "reserved": {"calls": 1, "tokens": 0}}),
        ),
        (WORKFLOW, "r1", "wanted", json!({"step": step("one"), "attempt": 1})),
        (WORKFLOW, "r1", "finished", json!({"step": step("out"), "attempt": 1, "output": "FORGED"})),
        (WORKFLOW, "r1", "sweep", json!({})),
        (AGENT, "r1.one.1._", "task", task("evil")),
        (AGENT, "own", "task", task("evil")),
        (AGENT, "r1.one.1._", "delegated", json!({})),
        (AGENT, "r1.one.1._", "outcome", json!({"attempt": 1})),
        (AGENT, "r1.one.1._", "awaits", json!({"attempt": 1, "iteration": 1, "call": "0"})),
        (AGENT, "r1.one.1._", "status", json!({})),
        (AGENT, "r1.one.1._", "messages", json!({})),
        (AGENT, "r1.one.1._", "cancel", json!({})),
        (AGENT, "own.sub.0", "execute", json!({"agent": "a", "prompt": "evil"})),
    ];
    let stranger = Keyring::alone(keyring::fresh(), true);
    for (n, (actor, id, method, body)) in calls.iter().enumerate() {
        let to = To { actor, id, method };
        let body = Bytes::from(body.to_string());
        let answer = world.send(to, body.clone()).await;
        assert_eq!(answer["error"]["code"], "unsigned", "{to:?}: {answer:#}");
        let (forged, _) = sealed::seal(&stranger, to, body);
        let answer = world.send(to, forged).await;
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["status"]),
            (&json!("wrong_mac"), &json!(403))
        );
        assert_eq!((world.refused("unsigned"), world.refused("wrong_mac")), (n as u64 + 1, n as u64 + 1));
    }
    assert_eq!(world.recorded("r1").await, before);
    assert_eq!(world.call("r1", "status", json!({})).await["status"], "running");
    assert_eq!(world.invoke(AGENT, "own", "status", json!({})).await["status"], "idle");

    // Signed by whoever has the key, the same answer counts: nothing but the signature was wrong with it.
    let answer = world.call("r1", "answer", fitting()).await;
    assert_eq!(answer, json!({}));
    assert!(world.recorded("r1").await > before);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_message_does_nothing_for_another_run_or_method_and_nothing_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    let to = To { actor: WORKFLOW, id: "r1", method: "answer" };
    let (overheard, _) = sealed::seal(&world.keyring, to, Bytes::from(fitting().to_string()));
    let before = (world.recorded("r1").await, world.recorded("r2").await);
    for elsewhere in
        [To { id: "r2", ..to }, To { method: "grant", ..to }, To { actor: AGENT, method: "task", ..to }]
    {
        let answer = world.send(elsewhere, overheard.clone()).await;
        assert_eq!(answer["error"]["code"], "wrong_mac", "{elsewhere:?}");
    }
    assert_eq!((world.recorded("r1").await, world.recorded("r2").await), before);
    assert!(world.send(to, overheard.clone()).await["mac"].is_string(), "an answer of our actors is signed");
    let after = world.recorded("r1").await;
    assert!(after > before.0);
    assert!(world.send(to, overheard).await["mac"].is_string(), "late, and acknowledged");
    assert_eq!((world.recorded("r1").await, world.recorded("r2").await), (after, before.1));
    world.leave().await;
}

fn agent_id(text: &str) -> AgentId {
    text.parse().expect("an agent's id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_nobody_signed_is_dropped_and_reaches_no_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    let data = task("hello");
    let mac = sealed::seal_task(&world.keyring, &agent_id("r9.one.1._"), &data);
    let others = sealed::seal_task(&world.keyring, &agent_id("r8.one.1._"), &data);
    let forged = sealed::seal_task(&Keyring::alone(keyring::fresh(), true), &agent_id("r9.one.1._"), &data);
    for (mac, data) in
        [(None, &data), (Some(&others), &data), (Some(&forged), &data), (Some(&mac), &task("evil"))]
    {
        let refused = world.refused("unsigned") + world.refused("wrong_mac");
        assert_eq!(world.deliver("/events/tasks", ready(data, mac.map(String::as_str))).await, "DROP");
        assert_eq!(world.refused("unsigned") + world.refused("wrong_mac"), refused + 1);
    }
    assert_eq!(world.invoke(AGENT, "r9.one.1._", "status", json!({})).await["status"], "idle");
    assert_eq!(world.deliver("/events/tasks", ready(&data, Some(&mac))).await, "SUCCESS");
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_the_release_before_what_is_not_signed_counts_until_the_update_is_finished() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = world(folder.path()).await;
    world.keyring.let_unsigned_pass();
    let answer = To { actor: WORKFLOW, id: "r1", method: "answer" };
    assert_eq!(world.send(answer, fitting().to_string()).await, json!({}), "unsigned, as its question was");
    assert_eq!(world.deliver("/events/tasks", ready(&task("hello"), None)).await, "SUCCESS");
    let finished = To { method: Finished::METHOD, ..answer };
    let result = json!({"step": step("out"), "attempt": 1, "output": "done"});
    assert_eq!(world.send(finished, result.to_string()).await, json!({}));
    world.until("r1", "completed").await;
    assert_eq!(world.refused("unsigned"), 0);

    while !world.keyring.is_required() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.keyring.refresh(&*world.catalog).await;
    }
    let to = To { id: "r2", ..answer };
    assert_eq!(world.send(to, fitting().to_string()).await["error"]["code"], "unsigned");
    world.leave().await;
}

/// What a worker says of the task that a run has offered.
fn result(run: &str, token: Option<&str>) -> Value {
    let mut data = json!({"run_id": run, "step": step("out"), "attempt": 1, "output": "done"});
    if let Some(token) = token {
        data["token"] = token.into();
    }
    json!({"specversion": "1.0", "id": "w", "source": "w", "type": "callboard.task.finished", "data": data})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workers_result_counts_with_the_token_of_its_offer_or_where_that_is_allowed_with_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let strict = world_with(folder.path(), Settings { require_token: true, ..Settings::default() }).await;
    let out: StepKey = serde_json::from_value(step("out")).expect("a step");
    let token = |world: &World, run: &str, attempt| {
        sealed::offer_token(&world.keyring, &run_id(run), &out, attempt).expect("a token")
    };
    let before = strict.recorded("r1").await;
    let wrong =
        [None, Some(token(&strict, "r2", 1)), Some(token(&strict, "r1", 2)), Some("rubbish".to_owned())];
    for (n, wrong) in wrong.iter().enumerate() {
        // It is off the topic, as a dead letter that says why.
        assert_eq!(
            strict.deliver("/events/results", result("r1", wrong.as_deref())).await,
            "SUCCESS",
            "{wrong:?}"
        );
        assert_eq!((strict.refused("unsigned"), strict.refused("wrong_mac")), (1, n as u64));
    }
    assert_eq!(strict.recorded("r1").await, before);
    let right = token(&strict, "r1", 1);
    assert_eq!(strict.deliver("/events/results", result("r1", Some(&right))).await, "SUCCESS");
    assert!(strict.recorded("r1").await > before);
    strict.leave().await;

    let folder = tempfile::tempdir().expect("a folder");
    let usual = world(folder.path()).await;
    let wrong = token(&usual, "r1", 2);
    let before = usual.recorded("r1").await;
    assert_eq!(usual.deliver("/events/results", result("r1", Some(&wrong))).await, "SUCCESS");
    assert_eq!((usual.refused("wrong_mac"), usual.recorded("r1").await), (1, before));
    assert_eq!(usual.deliver("/events/results", result("r1", None)).await, "SUCCESS");
    assert!(usual.recorded("r1").await > before);
    usual.leave().await;
}
