//! The rest of the API: service invocation, secrets, metadata, health (`dapr-contract` 3.1, 3.2, 3.7).

use base64::prelude::{BASE64_STANDARD, Engine};
use dapr::dapr::proto::common::v1::{HttpExtension, InvokeRequest, http_extension::Verb};
use dapr::dapr::proto::runtime::v1::*;
use serde_json::json;
use tonic::Code;

use crate::conformance::app::Answer;
use crate::conformance::case::Case;
use crate::conformance::documents::APP_ID;
use crate::conformance::releases::*;
use crate::conformance::target::code;

pub async fn the_app_is_called_by_its_id(case: &Case) {
    let answer = Answer::status(418).body("short and stout").header("x-own", "back");
    case.app.always("/tea/pot", answer);
    let path = format!("/v1.0/invoke/{APP_ID}/method/tea/pot?sugar=2&milk");
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        let body = if method == "GET" { "" } else { "water" };
        let reply = case.send(method, &path, &[("x-mine", "there"), ("content-type", "text/x")], body).await;
        case.same(method, (reply.status, reply.text()), (418, "short and stout".to_owned()));
        case.same("header back", reply.header("x-own"), Some("back"));
        let asked = case.app.asked("/tea/pot").pop().expect("it was called");
        case.same(method, (asked.method.as_str(), asked.text().as_str()), (method, body));
        case.same("query", asked.query.as_str(), "sugar=2&milk");
        case.same("header there", asked.header("x-mine").as_deref(), Some("there"));
    }
    let reply = case.send("POST", "/tea/pot", &[("dapr-app-id", APP_ID)], "by header").await;
    case.same("by header", reply.status, 418);
    case.same(
        "by header",
        case.app.asked("/tea/pot").pop().map(|asked| asked.text()),
        Some("by header".to_owned()),
    );
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("dapr-app-id:{APP_ID}")));
    let reply = case.send("GET", "/tea/pot", &[("authorization", &basic)], "").await;
    case.same("by user name", reply.status, 418);
    let request = InvokeServiceRequest {
        id: APP_ID.into(),
        message: Some(InvokeRequest {
            method: "plain".into(),
            data: Some(prost_types::Any { type_url: String::new(), value: b"over gRPC".to_vec() }),
            content_type: "text/plain".into(),
            http_extension: Some(HttpExtension { verb: Verb::Put.into(), querystring: "q=1".into() }),
        }),
    };
    case.app.always("/plain", Answer::text("yes").header("content-type", "text/x-own"));
    #[allow(deprecated, reason = "SDKs call it still")]
    let answer = case.sidecar.raw().invoke_service(request.clone()).await.expect("an answer").into_inner();
    case.same("over gRPC", answer.data.map(|data| data.value), Some(b"yes".to_vec()));
    case.same("content type", answer.content_type.as_str(), "text/x-own");
    let asked = case.app.asked("/plain").pop().expect("it was called");
    case.same(
        "over gRPC",
        (asked.method.as_str(), asked.query.as_str(), asked.text().as_str()),
        ("PUT", "q=1", "over gRPC"),
    );
    let mut failing = request;
    failing.message.as_mut().expect("it has one").method = "tea/pot".into();
    #[allow(deprecated, reason = "SDKs call it still")]
    let answer = case.sidecar.raw().invoke_service(failing).await;
    case.holds("a failed call is an error", answer.is_err(), code(&answer));
}

pub async fn another_app_is_not_found(case: &Case) {
    let reply = case.get("/v1.0/invoke/nobody/method/x").await;
    case.same("an unknown app", reply.refusal(), (500, "ERR_DIRECT_INVOKE".to_owned()));
}

pub async fn secrets_are_read(case: &Case) {
    let reply = case.get("/v1.0/secrets/files/token").await;
    case.same("a secret", (reply.status, reply.json()), (200, json!({"token": "shh"})));
    case.same("a nested one", case.get("/v1.0/secrets/files/db:user").await.json(), json!({"db:user": "me"}));
    let reply = case.get("/v1.0/secrets/files/bulk").await;
    let all = json!({"token": {"token": "shh"}, "db:user": {"db:user": "me"}});
    case.same("bulk", (reply.status, reply.json()), (200, all));
    let path = std::env::var("PATH").unwrap_or_default();
    case.same("a variable", case.get("/v1.0/secrets/envs/PATH").await.json(), json!({"PATH": path}));
    case.same(
        "a missing variable",
        case.get("/v1.0/secrets/envs/NO_SUCH").await.json(),
        json!({"NO_SUCH": ""}),
    );
    case.same(
        "a token",
        case.get("/v1.0/secrets/envs/APP_API_TOKEN").await.json(),
        json!({"APP_API_TOKEN": ""}),
    );
    let missing = case.get("/v1.0/secrets/files/none").await;
    case.same("a missing one", missing.refusal(), (500, "ERR_SECRET_GET".to_owned()));
    let unknown = case.get("/v1.0/secrets/nowhere/x").await;
    case.same("an unknown store", unknown.refusal(), (401, "ERR_SECRET_STORE_NOT_FOUND".to_owned()));
    let secret = |store: &str, key: &str| GetSecretRequest {
        store_name: store.into(),
        key: key.into(),
        ..Default::default()
    };
    let mut client = case.sidecar.raw();
    let answer = client.get_secret(secret("files", "token")).await.expect("it is there").into_inner();
    case.same("over gRPC", answer.data.get("token").map(String::as_str), Some("shh"));
    let unknown = client.get_secret(secret("nowhere", "x")).await;
    case.same("an unknown store over gRPC", code(&unknown), Code::InvalidArgument);
    let bulk = GetBulkSecretRequest { store_name: "files".into(), ..Default::default() };
    let answer = client.get_bulk_secret(bulk).await.expect("bulk").into_inner();
    case.same("bulk over gRPC", answer.data.len(), 2);
}

pub async fn the_metadata_document_describes_the_sidecar(case: &Case) {
    let reply = case.send("PUT", "/v1.0/metadata/colour", &[], "blue").await;
    case.same("set", (reply.status, reply.text()), (204, String::new()));
    let document = case.get("/v1.0/metadata").await.json();
    case.same("id", document["id"].as_str(), Some(APP_ID));
    case.holds("a version", document["runtimeVersion"].is_string(), &document["runtimeVersion"]);
    case.same("extended", document["extended"]["colour"].as_str(), Some("blue"));
    let names = |list: &serde_json::Value, field: &str| {
        let all = list.as_array().cloned().unwrap_or_default();
        all.iter().filter_map(|entry| entry[field].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    for component in ["statestore", "pubsub", "plain", "broadcast", "envs", "files"] {
        let listed = names(&document["components"], "name");
        case.holds(component, listed.iter().any(|name| name == component), &listed);
    }
    let runtime = &document["actorRuntime"];
    case.same("hostReady", &runtime["hostReady"], &json!(true));
    case.same("placement", runtime["placement"].as_str(), Some("placement: connected"));
    case.same("runtimeStatus", runtime["runtimeStatus"].as_str(), Some("RUNNING"));
    case.send("POST", "/v1.0/actors/Probe/counted/method/m", &[], "").await;
    let document = case.get("/v1.0/metadata").await.json();
    let active = document["actorRuntime"]["activeActors"].as_array().cloned().unwrap_or_default();
    let probe = active.iter().find(|entry| entry["type"] == "Probe").cloned().unwrap_or_default();
    case.holds("active actors", probe["count"].as_i64().is_some_and(|count| count > 0), &active);
    let app = &document["appConnectionProperties"];
    case.same("protocol", app["protocol"].as_str(), Some("http"));
    for path in ["/dapr/config", "/dapr/subscribe"] {
        let asked = case.app.asked(path);
        case.same(path, asked.iter().map(|asked| asked.method.as_str()).collect::<Vec<_>>(), vec!["GET"]);
    }
    let found = case.sidecar.metadata().await.expect("metadata over gRPC");
    case.same("id over gRPC", found.id.as_str(), APP_ID);
    case.same("hostReady over gRPC", found.host_ready, true);
    case.same("extended over gRPC", found.extended.get("colour").map(String::as_str), Some("blue"));
}

pub async fn health_is_told(case: &Case) {
    for path in ["/v1.0/healthz", "/v1.0/healthz/outbound", "/v1.0/healthz?appid=workflow-service"] {
        let reply = case.get(path).await;
        case.same(path, (reply.status, reply.text()), (204, String::new()));
    }
    let reply = case.get("/v1.0/healthz?appid=another").await;
    case.same("another app", reply.refusal(), (500, "ERR_HEALTH_APPID_NOT_MATCH".to_owned()));
}

pub async fn what_there_is_not_is_said(case: &Case) {
    for (method, path) in [("GET", "/v1.0/nothing"), ("PATCH", "/v1.0/state/statestore"), ("POST", "/")] {
        let reply = case.send(method, path, &[], "").await;
        case.same(format!("{method} {path}"), reply.refusal(), (404, "ERR_DIRECT_INVOKE".to_owned()));
    }
    let (status, error) = case.row(&LOCK);
    let lock = json!({"resourceId": "r", "lockOwner": "o", "expiryInSeconds": 1});
    let reply = case.post("/v1.0-alpha1/lock/locks", &lock).await;
    case.same("a lock", reply.refusal(), (status, error.to_owned()));
}
