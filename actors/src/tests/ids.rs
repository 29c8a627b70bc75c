//! Whom somebody outside can name.

use super::*;
use crate::{
    AGENT,
    protocol::sealed::{self, To},
};
use http::{Request, StatusCode};

/// Calls as a sidecar does that lets every id through.
async fn put(world: &World, path: &str, body: Value) -> (StatusCode, Value) {
    let request = Request::put(path).header("content-type", "application/json");
    let request = request.body(axum::body::Body::from(body.to_string())).expect("a request");
    let response = world.host.router(None).oneshot(request).await.expect("an answer");
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
    (parts.status, serde_json::from_slice(&body).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_outside_reaches_another_projects_run_or_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::start(folder.path(), Settings::default()).await;
    for (path, code) in [
        ("/actors/Workflow/acme~r1/method/start", "unsigned"),
        ("/actors/Workflow/acme~r1/method/status", "unsigned"),
        ("/actors/Workflow/default~r1/method/start", "invalid_id"),
        ("/actors/Workflow/r1.a/method/start", "invalid_id"),
        ("/actors/Agent/acme~r1.a.1._/method/status", "unsigned"),
        ("/actors/Agent/acme~me/method/execute", "unsigned"),
    ] {
        for required in [true, false] {
            if !required {
                world.keyring.let_unsigned_pass();
            }
            let (status, answer) = put(&world, path, json!({"definition": chain()})).await;
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(answer["error"]["code"], code, "{path}: {answer}");
        }
    }
    assert_eq!(world.host.active(), (0, 0));
    let waits = json!({"name": "waits", "nodes": [{"id": "a", "type": "wait", "config": {"for": "0s"}}]});
    let ours = world.call("acme~r1", "start", json!({"definition": waits})).await;
    assert_eq!(ours["run_id"], "acme~r1", "what our processes sign is done: {ours}");
    world.until("acme~r1", "completed").await;
    let task = |run: &str| {
        let task = json!({"agent": "a", "input": {"v": {"prompt": "p"}}, "key": "k", "attempt": 1});
        json!({"run": run, "step": {"generation": 1, "node": "a", "iteration": ""}, "task": task})
    };
    for run in ["acme~r1", "../r1"] {
        let to = To { actor: AGENT, id: "r1.a.1._", method: "task" };
        let (body, _) = sealed::seal(&world.keyring, to, task(run).to_string().into());
        let body = serde_json::from_slice(&body).expect("JSON");
        let (_, answer) = put(&world, "/actors/Agent/r1.a.1._/method/task", body).await;
        assert_eq!(answer["error"]["code"], "bad_request", "{run}: {answer}");
    }
    // A reminder is only a wake-up.
    let (status, _) = put(&world, "/actors/Workflow/acme~r2/method/remind/wake", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let unknown = world.call("acme~r2", "status", json!({})).await;
    assert_eq!(unknown["error"]["code"], "unknown_run", "{unknown}");
    world.stop().await;
}
