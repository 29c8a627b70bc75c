//! The HTTP API over the embedded server.

use serde_json::{Value, json};

use super::super::app::Answer;
use super::*;

struct Api {
    channel: Channel,
}

impl Api {
    fn of(server: &Server) -> Self {
        let base = format!("http://{}", server.http_addr().unwrap());
        Self { channel: Channel::new(App::Http(base), None).unwrap() }
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        self.with(method, path, body, &[("content-type", "application/json")]).await
    }

    async fn with(&self, method: &str, path: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = http1::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.channel.call(request.body(Bytes::from(body.to_owned())).unwrap()).await.unwrap()
    }

    async fn status(&self, method: &str, path: &str, body: &str) -> u16 {
        self.call(method, path, body).await.status.as_u16()
    }

    async fn refusal(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let answer = self.call(method, path, body).await;
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status.as_u16(), body["errorCode"].as_str().unwrap().to_owned())
    }
}

fn host() -> (App, mpsc::UnboundedReceiver<Seen>) {
    app(|path, body| async move {
        match path.as_str() {
            "/dapr/config" => (200, r#"{"entities":["A"]}"#.to_owned()),
            "/dapr/subscribe" => (200, r#"[{"pubsubname":"pubsub","topic":"a/b","route":"/in"}]"#.to_owned()),
            "/greet/you" => (203, String::from_utf8_lossy(&body).into_owned()),
            path if path.ends_with("/method/refuses") => (200, "!error no".to_owned()),
            path if path.ends_with("/method/fails") => (500, "why".to_owned()),
            _ => (200, String::new()),
        }
    })
}

#[tokio::test]
async fn state_answers_like_daprd() {
    let place = Place::new();
    let server = place.start(App::None).await;
    let api = Api::of(&server);
    let state = "/v1.0/state/statestore";
    assert_eq!(api.status("GET", &format!("{state}/k"), "").await, 204);
    assert_eq!(api.status("POST", state, r#"[{"key":"k","value":{"a":1}}]"#).await, 204);
    let found = api.call("GET", &format!("{state}/k"), "").await;
    assert_eq!((found.status.as_u16(), &found.body[..]), (200, &br#"{"a":1}"#[..]));
    assert_eq!(found.headers["etag"], "1");
    let stale = r#"[{"key":"k","value":2,"etag":"7"}]"#;
    assert_eq!(api.refusal("POST", state, stale).await, (409, "ERR_STATE_SAVE".into()));
    let first = r#"[{"key":"k","value":2,"options":{"concurrency":"first-write"}}]"#;
    assert_eq!(api.refusal("POST", state, first).await, (500, "ERR_STATE_SAVE".into()));
    assert_eq!(
        api.refusal("POST", state, r#"[{"key":"a||b","value":2}]"#).await,
        (400, "ERR_MALFORMED_REQUEST".into())
    );
    assert_eq!(api.refusal("POST", state, "{").await, (400, "ERR_MALFORMED_REQUEST".into()));
    let bulk = api.call("POST", &format!("{state}/bulk"), r#"{"keys":["k","none"]}"#).await;
    let bulk: Value = serde_json::from_slice(&bulk.body).unwrap();
    assert_eq!(bulk, json!([{"key":"k","data":{"a":1},"etag":"1"},{"key":"none"}]));
    let transaction = r#"{"operations":[{"operation":"upsert","request":{"key":"t","value":1}},
        {"operation":"delete","request":{"key":"k"}}]}"#;
    assert_eq!(api.status("POST", &format!("{state}/transaction"), transaction).await, 204);
    assert_eq!(api.status("GET", &format!("{state}/k"), "").await, 204);
    let header = [("if-match", "9")];
    assert_eq!(api.with("DELETE", &format!("{state}/t"), "", &header).await.status.as_u16(), 409);
    assert_eq!(api.status("DELETE", &format!("{state}/t"), "").await, 204);
    assert_eq!(
        api.refusal("GET", "/v1.0/state/nowhere/k", "").await,
        (400, "ERR_STATE_STORE_NOT_FOUND".into())
    );
    let large = format!(r#"[{{"key":"k","value":"{}"}}]"#, "x".repeat(5 << 20));
    assert_eq!(api.refusal("POST", state, &large).await, (400, "ERR_BAD_REQUEST".into()));
    server.shutdown().await;
}

#[tokio::test]
async fn actors_answer_like_daprd() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let api = Api::of(&server);
    let actor = "/v1.0/actors/A/1";
    assert_eq!(
        api.refusal("PUT", &format!("{actor}/state"), "[]").await,
        (400, "ERR_ACTOR_INSTANCE_MISSING".into())
    );
    let refused = api.call("POST", &format!("{actor}/method/refuses"), "").await;
    assert_eq!((refused.status.as_u16(), &refused.body[..]), (200, &b"no"[..]));
    assert_eq!(refused.headers["x-daprerrorresponseheader"], "true");
    assert_eq!(
        api.refusal("PUT", &format!("{actor}/method/fails"), "").await,
        (500, "ERR_ACTOR_INVOKE_METHOD".into())
    );
    assert_eq!(
        api.refusal("PUT", "/v1.0/actors/B/1/method/x", "").await,
        (500, "ERR_ACTOR_INVOKE_METHOD".into())
    );
    assert_eq!(api.status("PUT", "/v1.0/actors/A/a%2Fb/method/x", "").await, 400);
    let change = r#"[{"operation":"upsert","request":{"key":"k","value":[1]}}]"#;
    assert_eq!(api.status("PUT", &format!("{actor}/state"), change).await, 204);
    assert_eq!(&api.call("GET", &format!("{actor}/state/k"), "").await.body[..], b"[1]");
    assert_eq!(api.status("GET", &format!("{actor}/state/none"), "").await, 204);
    let reminder = format!("{actor}/reminders/r");
    assert_eq!(api.status("PUT", &reminder, r#"{"dueTime":"0s","data":{"n":1}}"#).await, 204);
    let seen = next(&mut calls, "/actors/A/1/method/remind/r").await;
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(body["data"], json!({"n": 1}));
    assert_eq!(api.status("PUT", &reminder, r#"{"dueTime":"1h","period":"R2/PT5S"}"#).await, 204);
    let again = r#"{"dueTime":"1h","overwrite":false}"#;
    assert_eq!(api.refusal("PUT", &reminder, again).await, (409, "ERR_ACTOR_REMINDER_ALREADY_EXISTS".into()));
    let found: Value = serde_json::from_slice(&api.call("GET", &reminder, "").await.body).unwrap();
    assert_eq!((&found["actorID"], &found["period"]), (&json!("1"), &json!("R2/PT5S")));
    assert_eq!(api.status("DELETE", &reminder, "").await, 204);
    assert_eq!(api.refusal("GET", &reminder, "").await, (404, "ERR_ACTOR_REMINDER_NOT_FOUND".into()));
    for bad in [r#"{"dueTime":"PT0.5S"}"#, r#"{"period":"P1D"}"#, "{}"] {
        assert_eq!(api.refusal("PUT", &reminder, bad).await, (500, "ERR_ACTOR_REMINDER_CREATE".into()));
    }
    assert_eq!(
        api.refusal("PUT", "/v1.0/actors/B/1/reminders/r", r#"{"dueTime":"1s"}"#).await,
        (403, "ERR_ACTOR_REMINDER_NON_HOSTED".into())
    );
    let timer = r#"{"dueTime":"10ms","period":"20ms","callback":"cb","data":5}"#;
    assert_eq!(api.status("POST", &format!("{actor}/timers/t"), timer).await, 204);
    for _ in 0..2 {
        let seen = next(&mut calls, "/actors/A/1/method/timer/t").await;
        let body: Value = serde_json::from_slice(&seen.body).unwrap();
        assert_eq!(body, json!({"callback": "cb", "data": 5, "dueTime": "10ms", "period": "20ms"}));
    }
    assert_eq!(api.status("DELETE", &format!("{actor}/timers/t"), "").await, 204);
    server.shutdown().await;
}

#[tokio::test]
async fn publishing_answers_like_daprd() {
    let place = Place::new();
    let (app, mut calls) = host();
    let server = place.start(app).await;
    let api = Api::of(&server);
    assert_eq!(
        api.status("POST", "/v1.0/publish/pubsub/a/b?metadata.cloudevent.id=7", r#"{"x":1}"#).await,
        204
    );
    let seen = next(&mut calls, "/in").await;
    let event: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!((&event["id"], &event["data"]), (&json!("7"), &json!({"x": 1})));
    assert_eq!(api.refusal("POST", "/v1.0/publish/none/a", "1").await, (404, "ERR_PUBSUB_NOT_FOUND".into()));
    assert_eq!(api.refusal("POST", "/v1.0/publish/pubsub", "1").await, (404, "ERR_TOPIC_NAME_EMPTY".into()));
    let bulk = r#"[{"entryId":"1","event":"text","contentType":"text/plain"},
        {"entryId":"2","event":{"n":2},"contentType":"application/json"}]"#;
    assert_eq!(api.status("POST", "/v1.0-alpha1/publish/bulk/pubsub/a/b", bulk).await, 204);
    for wanted in [json!("text"), json!({"n": 2})] {
        let event: Value = serde_json::from_slice(&next(&mut calls, "/in").await.body).unwrap();
        assert_eq!(event["data"], wanted);
    }
    let twice = r#"[{"entryId":"1","event":1},{"entryId":"1","event":2}]"#;
    assert_eq!(api.status("POST", "/v1.0/publish/bulk/pubsub/a/b", twice).await, 400);
    server.shutdown().await;
}

#[tokio::test]
async fn the_rest_answers_like_daprd() {
    let place = Place::new();
    let (app, mut calls) = host();
    let mut config = place.config(app);
    config.app_token = Some("to-app".into());
    let server = Server::start(config).await.unwrap();
    let api = Api::of(&server);
    assert_eq!(api.refusal("GET", "/v1.0/healthz", "").await, (500, "ERR_HEALTH_NOT_READY".into()));
    assert_eq!(api.status("GET", "/v1.0/healthz/outbound/", "").await, 204);
    server.app_ready().await;
    assert_eq!(api.status("GET", "//v1.0/healthz", "").await, 204);
    let hello = api.call("POST", "/v1.0/invoke/app/method/greet/you", "hi").await;
    assert_eq!((hello.status.as_u16(), &hello.body[..]), (203, &b"hi"[..]));
    assert_eq!(next(&mut calls, "/greet/you").await.headers["dapr-api-token"], "to-app");
    let named = api.with("GET", "/greet/you", "", &[("dapr-app-id", "app")]).await;
    assert_eq!(named.status.as_u16(), 203);
    assert_eq!(
        api.refusal("GET", "/v1.0/invoke/other/method/x", "").await,
        (500, "ERR_DIRECT_INVOKE".into())
    );
    assert_eq!(api.status("PUT", "/v1.0/metadata/team", "blue").await, 204);
    let document: Value = serde_json::from_slice(&api.call("GET", "/v1.0/metadata", "").await.body).unwrap();
    assert_eq!(document["extended"]["team"], "blue");
    assert_eq!(document["actorRuntime"]["hostReady"], true);
    assert_eq!(document["subscriptions"][0]["rules"][0]["path"], "/in");
    assert_eq!(
        api.refusal("GET", "/v1.0/secrets/none/x", "").await,
        (401, "ERR_SECRET_STORE_NOT_FOUND".into())
    );
    assert_eq!(api.status("GET", "/v1.0/secrets/secrets/PATH", "").await, 200);
    assert_eq!(api.refusal("POST", "/v1.0/bindings/x", "{}").await, (501, "ERR_UNIMPLEMENTED".into()));
    assert_eq!(api.refusal("GET", "/nothing", "").await, (404, "ERR_DIRECT_INVOKE".into()));
    assert_eq!(api.refusal("PATCH", "/v1.0/state/statestore", "").await, (404, "ERR_DIRECT_INVOKE".into()));
    server.shutdown().await;
}

#[tokio::test]
async fn the_token_is_asked_over_http_but_not_for_health() {
    let place = Place::new();
    let mut config = place.config(App::None);
    config.api_token = Some("s3cret".into());
    let server = Server::start(config).await.unwrap();
    let api = Api::of(&server);
    let refused = api.call("GET", "/v1.0/metadata", "").await;
    assert_eq!((refused.status.as_u16(), &refused.body[..]), (401, &b"invalid api token"[..]));
    assert_eq!(api.status("GET", "/v1.0/healthz", "").await, 204);
    let token = [("dapr-api-token", "s3cret")];
    assert_eq!(api.with("GET", "/v1.0/metadata", "", &token).await.status.as_u16(), 200);
    server.shutdown().await;
}
