//! Actor state (`dapr-contract` 3.1, 3.2, 3.4).

use dapr::dapr::proto::runtime::v1::*;
use serde_json::json;
use tonic::Code;

use crate::conformance::case::Case;
use crate::conformance::releases::{
    ACTOR_ETAG_IS_CHECKED, ACTOR_TRANSACTION_IS_TORN, STATE_OF_AN_INACTIVE_ACTOR,
};
use crate::conformance::target::code;

fn api(id: &str, rest: &str) -> String {
    format!("/v1.0/actors/Probe/{id}/{rest}")
}

pub async fn an_active_actor_keeps_state(case: &Case) {
    let missing = case.get(&api("keeper", "state/doc")).await;
    let (status, error) = case.row(&STATE_OF_AN_INACTIVE_ACTOR);
    case.same("not active", missing.refusal(), (status, error.to_owned()));
    let upsert = json!([{"operation": "upsert", "request": {"key": "doc", "value": {"n": 1}}}]);
    let refused = case.post(&api("keeper", "state"), &upsert).await;
    case.same("not active", refused.refusal(), (400, "ERR_ACTOR_INSTANCE_MISSING".to_owned()));
    case.send("POST", &api("keeper", "method/wake"), &[], "").await;
    case.same("active", case.post(&api("keeper", "state"), &upsert).await.status, 204);
    let read = case.get(&api("keeper", "state/doc")).await;
    case.same("read", (read.status, read.json()), (200, json!({"n": 1})));
    let both = json!([
        {"operation": "delete", "request": {"key": "doc"}},
        {"operation": "upsert", "request": {"key": "other", "value": "x"}},
    ]);
    case.same("PUT", case.send("PUT", &api("keeper", "state"), &[], both.to_string()).await.status, 204);
    case.same("deleted", case.get(&api("keeper", "state/doc")).await.status, 204);
    case.same("written", case.get(&api("keeper", "state/other")).await.json(), json!("x"));
    let unknown = json!([{"operation": "rename", "request": {"key": "doc"}}]);
    let refused = case.post(&api("keeper", "state"), &unknown).await;
    case.holds("an unknown operation is refused", refused.status >= 400, refused.text());
    let refused = case.send("POST", &api("keeper", "state"), &[], "[{").await;
    case.same("no JSON", refused.refusal(), (400, "ERR_MALFORMED_REQUEST".to_owned()));
}

pub async fn etags_guard_transactions_over_http(case: &Case) {
    case.send("POST", &api("fenced", "method/wake"), &[], "").await;
    for value in [1, 2] {
        case.post(
            &api("fenced", "state"),
            &json!([{"operation": "upsert", "request": {"key": "doc", "value": value}}]),
        )
        .await;
    }
    let fenced = |etag: &str| {
        json!([
            {"operation": "upsert", "request": {"key": "beside", "value": etag}},
            {"operation": "upsert", "request": {"key": "doc", "value": 3, "etag": etag}},
        ])
    };
    case.same("the right etag", case.post(&api("fenced", "state"), &fenced("2")).await.status, 204);
    let stale = case.post(&api("fenced", "state"), &fenced("1")).await;
    if case.row(&ACTOR_ETAG_IS_CHECKED) {
        case.same("a stale etag", stale.refusal(), (500, "ERR_ACTOR_STATE_TRANSACTION_SAVE".to_owned()));
    } else {
        case.same("a stale etag", stale.status, 204);
    }
    let beside = case.get(&api("fenced", "state/beside")).await.json();
    let torn = beside == json!("1");
    case.same("the key beside it", torn, case.row(&ACTOR_TRANSACTION_IS_TORN));
}

pub async fn state_over_grpc_is_what_was_sent(case: &Case) {
    let state = |key: &str| GetActorStateRequest {
        actor_type: "Probe".into(),
        actor_id: "proto".into(),
        key: key.into(),
    };
    let upsert = |key: &str| ExecuteActorStateTransactionRequest {
        actor_type: "Probe".into(),
        actor_id: "proto".into(),
        operations: vec![TransactionalActorStateOperation {
            operation_type: "upsert".into(),
            key: key.into(),
            value: Some(prost_types::Any { type_url: String::new(), value: b"{\"n\":1}".to_vec() }),
            metadata: Default::default(),
        }],
    };
    let mut client = case.sidecar.raw();
    let refused = client.execute_actor_state_transaction(upsert("doc")).await;
    case.same("not active", code(&refused), Code::Internal);
    case.send("POST", &api("proto", "method/wake"), &[], "").await;
    case.same("active", code(&client.execute_actor_state_transaction(upsert("doc")).await), Code::Ok);
    let read = client.get_actor_state(state("doc")).await.expect("it is there").into_inner();
    case.same("read", read.data, b"{\"n\":1}".to_vec());
    case.same("read over HTTP", case.get(&api("proto", "state/doc")).await.json(), json!({"n": 1}));
    let missing = client.get_actor_state(state("none")).await.expect("no error").into_inner();
    case.same("missing", missing.data, Vec::new());
}
