//! Tokens, a database that fails, and an application that dies (`dapr-contract` 1.4 and 0.1): on the second
//! server, whose application nobody else needs.

use std::time::Duration;

use serde_json::json;
use tonic::Code;

use crate::conformance::app::{Answer, Gate};
use crate::conformance::case::Case;
use crate::conformance::releases::{CALL_OF_A_DEAD_APP, DeadApp, Server};
use crate::conformance::start::connect;
use crate::conformance::target::{API_TOKEN, APP_TOKEN, Second};
use crate::harness::{eventually, when};

pub async fn tokens_are_asked_for_and_a_dead_app_is_told(case: &Case) {
    let second = case.second.lock().await;
    tokens(case, &second).await;
    if let Some(redis) = &second.redis {
        out_of_memory(case, &second, redis).await;
    } else {
        case.same("a server of its own has no Redis", case.server, Server::Embedded);
    }
    dead_app(case, &second).await;
}

async fn tokens(case: &Case, second: &Second) {
    let url = |path: &str| format!("{}{path}", second.http);
    for headers in [&[][..], &[("dapr-api-token", "wrong")]] {
        let reply = case.send("GET", &url("/v1.0/metadata"), headers, "").await;
        case.same("without the token", (reply.status, reply.text().trim_end()), (401, "invalid api token"));
    }
    for path in ["/v1.0/healthz", "/v1.0/healthz/outbound"] {
        let reply = eventually(Duration::from_secs(20), || async {
            when(case.send("GET", &url(path), &[], "").await.status, |status| *status == 204)
        });
        case.same(path, reply.await, 204);
    }
    let token = [("dapr-api-token", API_TOKEN)];
    case.same("with it", case.send("GET", &url("/v1.0/metadata"), &token, "").await.status, 200);
    for (given, expected) in
        [(None, Code::Unauthenticated), (Some("wrong"), Code::Unauthenticated), (Some(API_TOKEN), Code::Ok)]
    {
        let answer = connect(&second.grpc, given).metadata().await;
        let code = answer.as_ref().err().map_or(Code::Ok, |error| error.status().code());
        case.same(format!("{given:?} over gRPC"), code, expected);
    }
    let call = url("/v1.0/actors/Second/s/method/m");
    case.same("a call", case.send("POST", &call, &token, "").await.status, 200);
    let asked = second.app.called("/actors/Second/s/method/m", 1).await.remove(0);
    case.same("the app's token", asked.header("dapr-api-token").as_deref(), Some(APP_TOKEN));
    let publish = case.send("POST", &url("/v1.0/publish/pubsub/second"), &token, "1").await;
    case.same("publish", publish.status, 204);
    let asked = second.app.called("/on/second", 1).await.remove(0);
    case.same("the app's token", asked.header("dapr-api-token").as_deref(), Some(APP_TOKEN));
    let invoke = case.send("GET", &url("/v1.0/invoke/workflow-service/method/seen"), &token, "").await;
    case.same("invoke", invoke.status, 200);
    let asked = second.app.called("/seen", 1).await.remove(0);
    case.same("the app's token, not the API's", asked.header("dapr-api-token").as_deref(), Some(APP_TOKEN));
}

/// Any failure of a fenced save looks like a conflict: whoever gets one has to read again.
async fn out_of_memory(case: &Case, second: &Second, redis: &crate::harness::Redis) {
    let token = [("dapr-api-token", API_TOKEN), ("content-type", "application/json")];
    let save = |etag: Option<&'static str>| {
        let body = json!([{"key": "full", "value": "x", "etag": etag}]).to_string();
        let url = format!("{}/v1.0/state/statestore", second.http);
        async move { case.send("POST", &url, &token, body).await }
    };
    case.same("before", save(None).await.status, 204);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).expect("redis answers");
    case.same("with an etag", save(Some("1")).await.refusal(), (409, "ERR_STATE_SAVE".to_owned()));
    case.same("without", save(None).await.status, 500);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).expect("redis answers");
    case.same("after", save(Some("1")).await.status, 204);
}

async fn dead_app(case: &Case, second: &Second) {
    let url = format!("{}/v1.0/actors/Second/s/method", second.http);
    let token = [("dapr-api-token", API_TOKEN)];
    // It dies in the middle of a turn.
    let never = Gate::new();
    second.app.always("/actors/Second/s/method/stuck", Answer::default().after(&never));
    let stuck = format!("{url}/stuck");
    let kill = async {
        second.app.called("/actors/Second/s/method/stuck", 1).await;
        second.serving.abort();
        never.open(0);
    };
    let (turn, ()) = tokio::join!(
        tokio::time::timeout(Duration::from_secs(3), case.try_send("POST", &stuck, &token, "")),
        kill
    );
    // Whoever serves a connection outlives its listener: the turn's request may simply stay open.
    if let Ok(Ok(reply)) = turn {
        case.same("the turn", reply.refusal(), (500, "ERR_ACTOR_INVOKE_METHOD".to_owned()));
    }
    let call = format!("{url}/m");
    let limit = Duration::from_secs(6);
    let answer = tokio::time::timeout(limit, case.try_send("POST", &call, &token, "")).await;
    match (case.row(&CALL_OF_A_DEAD_APP), answer) {
        (DeadApp::Fails, Ok(Ok(reply))) => case.same("a call", reply.refusal().0, 500),
        (DeadApp::Waits, Err(_)) => {}
        (expected, answer) => case.holds(format!("{expected:?}"), false, answer),
    }
}
