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
    for path in [
        "/actors/Workflow/acme~r1/method/start",
        "/actors/Workflow/default~r1/method/start",
        "/actors/Workflow/r1.a/method/start",
        "/actors/Agent/acme~r1.a.1._/method/status",
        "/actors/Agent/acme~me/method/execute",
    ] {
        let (status, answer) = put(&world, path, json!({"definition": chain()})).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert_eq!(answer["error"]["code"], "invalid_id", "{path}: {answer}");
    }
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
    // A reminder and a deactivation are answered as always, and nothing comes of them.
    let (status, _) = put(&world, "/actors/Workflow/acme~r1/method/remind/wake", json!({})).await;
    assert_eq!((status, world.host.active()), (StatusCode::OK, (0, 0)));
    world.stop().await;
}
