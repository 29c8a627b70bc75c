//! Proves the harness, `components/redis` and `dapr/` on the real daprd, without `callboard`:
//! the app is a faked HTTP service that answers Dapr's callbacks.

mod buses;
mod recovery;
mod run_file;

use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{
    Components, DaprCluster, DaprRun, Overrides, Recorded, Redis, Reply, Sidecar, SidecarSpec, Upstream,
    eventually, http, root, when,
};

const SOON: Duration = Duration::from_secs(20);

/// An app that hosts the actor type `type`, and subscribes to `{topic}.{bus}` on both buses.
fn app(server: &Upstream, actor_type: &str, topic: &str) {
    let at = |path: &'static str| move |request: &Recorded| request.target == path;
    server.script.when(at("/dapr/config"), Reply::Json(json!({"entities": [actor_type]})));
    let subscription = |bus: &str| json!({"pubsubname": bus, "topic": format!("{topic}.{bus}"), "route": format!("/on/{bus}"), "deadLetterTopic": "dead"});
    let subscriptions = json!([subscription("pubsub"), subscription("broadcast")]);
    server.script.when(at("/dapr/subscribe"), Reply::Json(subscriptions));
}

/// Waits for the first request with this method and the beginning of a path.
async fn called(server: &Upstream, method: &str, path: &str) -> Recorded {
    eventually(SOON, || async {
        let seen = server.script.requests();
        let found = seen.iter().find(|request| request.method == method && request.target.starts_with(path));
        found.cloned().ok_or(seen.into_iter().map(|request| request.target).collect::<Vec<_>>())
    })
    .await
}

async fn post(client: &Client, url: String, body: Value) -> StatusCode {
    client.post(url).json(&body).send().await.expect("the sidecar answers").status()
}

async fn state(client: &Client, base: &str, key: &str) -> Result<(String, Value), String> {
    let answer = client
        .get(format!("{base}/v1.0/state/statestore/{key}"))
        .send()
        .await
        .map_err(|error| error.to_string())?;
    let etag =
        answer.headers().get("etag").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let (status, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
    if status.is_success() {
        Ok((etag, serde_json::from_str(&text).unwrap_or_default()))
    } else {
        Err(format!("{status} {text}"))
    }
}

#[tokio::test]
async fn a_real_sidecar_keeps_state_and_delivers_events_calls_and_reminders() {
    let mut redis = Redis::start().await;
    let cluster = DaprCluster::start().await;
    let server = Upstream::start().await;
    app(&server, "Counter", "smoke");
    let spec = SidecarSpec::new("workflow-service")
        .app_port(server.addr().port())
        .redis(redis.address())
        .app_health_check();
    let sidecar = cluster.sidecar(spec.env("CALLBOARD_SECRET_token", "shh")).await;
    sidecar.hosts_actors().await;
    let (client, base) = (http(), sidecar.http());

    // State: one value, its etag, the key's name in Redis.
    let save = || format!("{base}/v1.0/state/statestore");
    assert_eq!(post(&client, save(), json!([{"key": "{r1}.doc", "value": 1}])).await, 204);
    let (etag, value) = state(&client, &base, "{r1}.doc").await.expect("a saved key is found");
    assert_eq!((etag.as_str(), value), ("1", json!(1)));
    assert_eq!(post(&client, save(), json!([{"key": "{r1}.doc", "value": 2, "etag": etag}])).await, 204);
    assert_eq!(post(&client, save(), json!([{"key": "{r1}.doc", "value": 3, "etag": "1"}])).await, 409);
    assert_eq!(redis.command(&["EXISTS", "statestore||{r1}.doc"]).expect("redis answers"), "1");

    // Events on both buses.
    for bus in ["pubsub", "broadcast"] {
        assert_eq!(
            post(&client, format!("{base}/v1.0/publish/{bus}/smoke.{bus}"), json!({"bus": bus})).await,
            204
        );
        let event = called(&server, "POST", &format!("/on/{bus}")).await.json();
        assert_eq!((&event["pubsubname"], &event["data"]), (&json!(bus), &json!({"bus": bus})));
    }

    // An actor's method, and a reminder of it.
    let actor = format!("{base}/v1.0/actors/Counter/c1");
    assert_eq!(post(&client, format!("{actor}/method/add"), json!({"by": 2})).await, 200);
    assert_eq!(called(&server, "PUT", "/actors/Counter/c1/method/add").await.json(), json!({"by": 2}));
    let reminder = json!({"dueTime": "0s", "period": "1h"});
    assert_eq!(post(&client, format!("{actor}/reminders/wake"), reminder).await, 204);
    called(&server, "PUT", "/actors/Counter/c1/method/remind/wake").await;

    // Secrets: what is meant for definitions, and nothing else.
    let secret = |name: &str| client.get(format!("{base}/v1.0/secrets/{name}")).send();
    let token =
        secret("secrets/token").await.expect("the sidecar answers").json::<Value>().await.expect("json");
    assert_eq!(token, json!({"token": "shh"}));
    assert_eq!(secret("environment/PATH").await.expect("the sidecar answers").status(), 403);

    // A Redis that was killed has what it acknowledged.
    redis.kill();
    redis.restart().await;
    let kept = || async {
        when(state(&client, &base, "{r1}.doc").await, |kept| {
            kept.as_ref().is_ok_and(|(_, value)| *value == 2)
        })
    };
    eventually(SOON, kept).await.expect("it is there");
    assert_eq!(post(&client, save(), json!([{"key": "{r1}.doc", "value": 4, "etag": "2"}])).await, 204);

    // And subscriptions go on.
    assert_eq!(post(&client, format!("{base}/v1.0/publish/pubsub/smoke.pubsub"), json!("later")).await, 204);
    let later = |request: &Recorded| request.target == "/on/pubsub" && request.json()["data"] == "later";
    eventually(SOON, || async { when(server.script.requests().iter().any(later), |seen| *seen) }).await;
}
