//! State: keys, etags, fences, transactions, expiry (`dapr-contract` 3.1 to 3.3 and 0.1).

use std::collections::HashMap;
use std::time::Duration;

use dapr::dapr::proto::common::v1::{Etag, StateItem, StateOptions, state_options::StateConcurrency};
use dapr::dapr::proto::runtime::v1::*;
use serde_json::{Value, json};
use tonic::Code;

use crate::conformance::case::Case;
use crate::conformance::releases::{BIG_NUMBER, ETAG_ON_A_MISSING_KEY, TRANSACTION_IS_TORN};
use crate::conformance::target::code;
use crate::harness::{eventually, when};

const STORE: &str = "/v1.0/state/statestore";

fn key(name: &str) -> String {
    format!("{STORE}/{name}")
}

fn item(key: &str, value: &str, etag: Option<&str>, concurrency: StateConcurrency) -> StateItem {
    StateItem {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        etag: etag.map(|value| Etag { value: value.to_owned() }),
        metadata: HashMap::new(),
        options: Some(StateOptions { concurrency: concurrency.into(), consistency: 0 }),
    }
}

async fn grpc_save(case: &Case, item: StateItem) -> Code {
    let request = SaveStateRequest { store_name: "statestore".into(), states: vec![item] };
    code(&case.sidecar.raw().save_state(request).await)
}

async fn value(case: &Case, name: &str) -> (u16, String) {
    let reply = case.get(&key(name)).await;
    (reply.status, reply.text())
}

pub async fn a_value_is_saved_read_and_deleted(case: &Case) {
    for (method, value) in [("POST", json!({"n": 1.5, "list": [null, true]})), ("PUT", json!("text"))] {
        let body = json!([{"key": "crud", "value": value}]).to_string();
        let reply = case.send(method, STORE, &[("content-type", "application/json")], body).await;
        case.same(method, (reply.status, reply.text()), (204, String::new()));
        let reply = case.get(&key("crud")).await;
        case.same("read", (reply.status, reply.json()), (200, value));
        case.same("content type", reply.header("content-type"), Some("application/json"));
    }
    case.same("slashes are cleaned", case.get("/v1.0//state/statestore/crud/").await.status, 200);
    case.same("delete", case.delete(&key("crud")).await.status, 204);
    let reply = case.get(&key("crud")).await;
    case.same("missing", (reply.status, reply.text(), reply.header("etag")), (204, String::new(), None));
    case.same("delete a missing key", case.delete(&key("crud")).await.status, 204);
    let request =
        GetStateRequest { store_name: "statestore".into(), key: "crud".into(), ..Default::default() };
    let answer = case.sidecar.raw().get_state(request).await.expect("a missing key is no error").into_inner();
    case.same("missing over gRPC", (answer.data, answer.etag), (Vec::new(), String::new()));
    let big = json!([{"key": "big", "value": 9_007_199_254_740_993_i64}]);
    case.same("a big number", case.post(STORE, &big).await.status, 204);
    case.same("a big number", value(case, "big").await.1.as_str(), case.row(&BIG_NUMBER));
    case.same("null", case.post(STORE, &json!([{"key": "null", "value": null}])).await.status, 204);
    case.same("an empty save", case.post(STORE, &json!([])).await.status, 204);
}

pub async fn etags_count_up_by_one(case: &Case) {
    let save = |value: i32, etag: Option<&'static str>| async move {
        case.post(STORE, &json!([{"key": "counted", "value": value, "etag": etag}])).await.status
    };
    case.same("first", save(1, None).await, 204);
    case.same(
        "etag",
        case.get(&key("counted")).await.header("etag").map(str::to_owned),
        Some("1".to_owned()),
    );
    case.same("predicted", (save(2, Some("1")).await, save(3, Some("2")).await), (204, 204));
    case.same("without", save(4, None).await, 204);
    let first = item("counted", "5", Some("4"), StateConcurrency::ConcurrencyFirstWrite);
    case.same("over gRPC", grpc_save(case, first).await, Code::Ok);
    let request =
        GetStateRequest { store_name: "statestore".into(), key: "counted".into(), ..Default::default() };
    let answer = case.sidecar.raw().get_state(request).await.expect("it is there").into_inner();
    case.same("over gRPC", (answer.data, answer.etag), (b"5".to_vec(), "5".to_owned()));
}

pub async fn a_stale_etag_is_refused(case: &Case) {
    case.post(STORE, &json!([{"key": "stale", "value": 1}])).await;
    case.post(STORE, &json!([{"key": "stale", "value": 2}])).await;
    let stale = json!([{"key": "stale", "value": 3, "etag": "1"}]);
    let reply = case.post(STORE, &stale).await;
    case.same("save", reply.refusal(), (409, "ERR_STATE_SAVE".to_owned()));
    case.holds("the words", reply.text().contains("possible etag mismatch"), reply.text());
    let first = |etag| item("stale", "3", Some(etag), StateConcurrency::ConcurrencyFirstWrite);
    case.same("save over gRPC", grpc_save(case, first("1")).await, Code::Aborted);
    let last = item("stale", "3", Some("1"), StateConcurrency::ConcurrencyLastWrite);
    case.same("last-write asks for no check", grpc_save(case, last).await, Code::Ok);
    case.same("written", value(case, "stale").await, (200, "3".to_owned()));
    let reply = case.send("DELETE", &key("stale"), &[("if-match", "1")], "").await;
    case.same("delete", reply.refusal(), (409, "ERR_STATE_DELETE".to_owned()));
    let delete = |etag: &str| DeleteStateRequest {
        store_name: "statestore".into(),
        key: "stale".into(),
        etag: Some(Etag { value: etag.into() }),
        ..Default::default()
    };
    case.same("delete over gRPC", code(&case.sidecar.raw().delete_state(delete("1")).await), Code::Aborted);
    case.same("delete over gRPC", code(&case.sidecar.raw().delete_state(delete("3")).await), Code::Ok);
    case.same("deleted", value(case, "stale").await, (204, String::new()));
    case.post(STORE, &json!([{"key": "stale", "value": 1}])).await;
    let reply = case.send("DELETE", &key("stale"), &[("if-match", "1")], "").await;
    case.same("delete with the right etag", reply.status, 204);

    let (status, error) = case.row(&ETAG_ON_A_MISSING_KEY);
    let reply = case.post(STORE, &json!([{"key": "stale-missing", "value": 1, "etag": "7"}])).await;
    case.same("a missing key", reply.refusal(), (status, error.to_owned()));
    case.same("a missing key", case.get(&key("stale-missing")).await.status == 200, status == 204);
    let reply = case.post(STORE, &json!([{"key": "stale-invalid", "value": 1, "etag": "no number"}])).await;
    case.same("an etag that is none", reply.refusal(), (400, "ERR_STATE_SAVE".to_owned()));
    // Several items in one save: each on its own.
    case.post(STORE, &json!([{"key": "stale-many", "value": 1}])).await;
    let many = json!([{"key": "stale-a", "value": 1}, {"key": "stale-many", "value": 2, "etag": "9"}, {"key": "stale-b", "value": 1}]);
    case.same("many", case.post(STORE, &many).await.refusal(), (409, "ERR_STATE_SAVE".to_owned()));
    case.same(
        "the others are written",
        (value(case, "stale-a").await.0, value(case, "stale-b").await.0),
        (200, 200),
    );
}

pub async fn a_first_write_does_not_overwrite(case: &Case) {
    let first =
        |value: i32| json!([{"key": "first", "value": value, "options": {"concurrency": "first-write"}}]);
    case.same("a new key", case.post(STORE, &first(1)).await.status, 204);
    case.same(
        "an existing key",
        case.post(STORE, &first(2)).await.refusal(),
        (500, "ERR_STATE_SAVE".to_owned()),
    );
    let again = item("first", "2", None, StateConcurrency::ConcurrencyFirstWrite);
    case.same("over gRPC", grpc_save(case, again).await, Code::Internal);
    case.same("unchanged", value(case, "first").await, (200, "1".to_owned()));
}

pub async fn keys_are_read_in_bulk(case: &Case) {
    case.post(STORE, &json!([{"key": "bulk-a", "value": {"a": 1}}, {"key": "bulk-b", "value": "b"}])).await;
    let reply =
        case.post(&key("bulk"), &json!({"keys": ["bulk-b", "bulk-none", "bulk-a"], "parallelism": 2})).await;
    let mut found: Vec<Value> = reply.json().as_array().cloned().unwrap_or_default();
    found.sort_by_key(|item| item["key"].to_string());
    let expected = json!([
        {"key": "bulk-a", "data": {"a": 1}, "etag": "1"},
        {"key": "bulk-b", "data": "b", "etag": "1"},
        {"key": "bulk-none"},
    ]);
    case.same("bulk", (reply.status, Value::Array(found)), (200, expected));
    let request = GetBulkStateRequest {
        store_name: "statestore".into(),
        keys: vec!["bulk-a".into(), "bulk-none".into()],
        parallelism: 2,
        ..Default::default()
    };
    let mut items = case.sidecar.raw().get_bulk_state(request).await.expect("bulk").into_inner().items;
    items.sort_by(|one, other| one.key.cmp(&other.key));
    let items: Vec<_> = items.into_iter().map(|item| (item.key, item.data, item.etag, item.error)).collect();
    let found = ("bulk-a".to_owned(), br#"{"a":1}"#.to_vec(), "1".to_owned(), String::new());
    let missing = ("bulk-none".to_owned(), Vec::new(), String::new(), String::new());
    case.same("bulk over gRPC", items, vec![found, missing]);
    let states = ["bulk-a", "bulk-b"].map(|key| StateItem { key: key.into(), ..Default::default() }).to_vec();
    let request = DeleteBulkStateRequest { store_name: "statestore".into(), states };
    case.same("delete in bulk", code(&case.sidecar.raw().delete_bulk_state(request).await), Code::Ok);
    case.same("deleted", value(case, "bulk-a").await.0, 204);
}

pub async fn transactions_commit_together(case: &Case) {
    let transact = |operations: Value| async move {
        case.post(&key("transaction"), &json!({"operations": operations})).await
    };
    case.post(STORE, &json!([{"key": "tx-old", "value": 1}, {"key": "tx-fence", "value": 1}])).await;
    let reply = transact(json!([
        {"operation": "upsert", "request": {"key": "tx-new", "value": {"n": 1}}},
        {"operation": "delete", "request": {"key": "tx-old"}},
        {"operation": "upsert", "request": {"key": "tx-fence", "value": 2, "etag": "1"}},
    ]))
    .await;
    case.same("a transaction", (reply.status, reply.text()), (204, String::new()));
    case.same("written", value(case, "tx-new").await, (200, r#"{"n":1}"#.to_owned()));
    case.same("deleted", value(case, "tx-old").await.0, 204);

    let reply = transact(json!([
        {"operation": "upsert", "request": {"key": "tx-before", "value": 1}},
        {"operation": "upsert", "request": {"key": "tx-fence", "value": 3, "etag": "1"}},
        {"operation": "upsert", "request": {"key": "tx-after", "value": 1}},
    ]))
    .await;
    case.same("a stale etag is no conflict", reply.refusal(), (500, "ERR_STATE_TRANSACTION".to_owned()));
    let written = value(case, "tx-before").await.0 == 200 && value(case, "tx-after").await.0 == 200;
    case.same("the other keys", written, case.row(&TRANSACTION_IS_TORN));
    case.same("the fenced key", value(case, "tx-fence").await, (200, "2".to_owned()));
    let operation = |key: &str, etag: Option<&str>| TransactionalStateOperation {
        operation_type: "upsert".into(),
        request: Some(item(key, "1", etag, StateConcurrency::ConcurrencyFirstWrite)),
    };
    let grpc = |operations| ExecuteStateTransactionRequest {
        store_name: "statestore".into(),
        operations,
        ..Default::default()
    };
    let good = grpc(vec![operation("tx-grpc-a", None), operation("tx-grpc-b", None)]);
    case.same("over gRPC", code(&case.sidecar.raw().execute_state_transaction(good).await), Code::Ok);
    let stale = grpc(vec![operation("tx-fence", Some("1"))]);
    case.same(
        "stale over gRPC",
        code(&case.sidecar.raw().execute_state_transaction(stale).await),
        Code::Internal,
    );
    let reply = transact(json!([{"operation": "rename", "request": {"key": "tx-new"}}])).await;
    case.same("an unknown operation", reply.refusal(), (400, "ERR_NOT_SUPPORTED_STATE_OPERATION".to_owned()));
    case.same("no operations", transact(json!([])).await.status, 204);
}

pub async fn keys_may_have_braces_but_no_separator(case: &Case) {
    case.same("braces", case.post(STORE, &json!([{"key": "{r1}.doc", "value": 1}])).await.status, 204);
    case.same("braces, encoded", value(case, "%7Br1%7D.doc").await, (200, "1".to_owned()));
    let malformed = (400, "ERR_MALFORMED_REQUEST".to_owned());
    let reply = case.post(STORE, &json!([{"key": "a||b", "value": 1}])).await;
    case.same("save", reply.refusal(), malformed.clone());
    case.same("read", case.get(&key("a%7C%7Cb")).await.refusal(), malformed.clone());
    let bars = item("a||b", "1", None, StateConcurrency::ConcurrencyUnspecified);
    case.same("over gRPC", grpc_save(case, bars).await, Code::InvalidArgument);
    for name in ["with.dots-and_more", "a:b@c", "sp%20ace"] {
        let decoded = name.replace("%20", " ");
        case.same(name, case.post(STORE, &json!([{"key": decoded, "value": 1}])).await.status, 204);
        case.same(name, value(case, name).await, (200, "1".to_owned()));
    }
}

pub async fn large_bodies_are_refused(case: &Case) {
    let large = "x".repeat(5 << 20);
    let reply = case.post(STORE, &json!([{"key": "large", "value": large}])).await;
    // 1.14 says so in plain text.
    case.same("5 MB", reply.status, 400);
    case.same("the connection ends with it", reply.header("connection"), Some("close"));
    let large = item("large", &"x".repeat(5 << 20), None, StateConcurrency::ConcurrencyUnspecified);
    let request = SaveStateRequest { store_name: "statestore".into(), states: vec![large] };
    let refused = case.sidecar.raw().save_state(request).await;
    case.same("5 MB over gRPC", code(&refused), Code::ResourceExhausted);
    let fits = item("fits", &"x".repeat(4_000_000), None, StateConcurrency::ConcurrencyUnspecified);
    case.same("4 MB over gRPC", grpc_save(case, fits).await, Code::Ok);
}

pub async fn values_expire(case: &Case) {
    let save = |key: &'static str, ttl: Option<&'static str>| async move {
        let metadata = ttl.map(|ttl| json!({"ttlInSeconds": ttl}));
        case.post(STORE, &json!([{"key": key, "value": 1, "metadata": metadata}])).await.status
    };
    // All of them expire in seconds, unless what follows takes that back.
    for key in ["ttl-gone", "ttl-kept", "ttl-persisted"] {
        case.same(key, save(key, Some("3")).await, 204);
    }
    let reply = case
        .post(&format!("{STORE}?metadata.ttlInSeconds=1"), &json!([{"key": "ttl-query", "value": 1}]))
        .await;
    case.same("a TTL in the query", reply.status, 204);
    case.same("a save without a TTL", save("ttl-kept", None).await, 204);
    case.same("a save with -1", save("ttl-persisted", Some("-1")).await, 204);
    eventually(Duration::from_secs(10), || async {
        let keys = ["ttl-gone", "ttl-kept", "ttl-query"].map(|key| value(case, key));
        when(futures::future::join_all(keys).await, |found| found.iter().all(|(status, _)| *status == 204))
    })
    .await;
    case.same("persisted", value(case, "ttl-persisted").await.0, 200);
    case.same("a TTL that is no number", save("ttl-bad", Some("soon")).await, 500);
}

pub async fn mistakes_are_named(case: &Case) {
    let reply = case.post("/v1.0/state/nowhere", &json!([])).await;
    case.same("an unknown store", reply.refusal(), (400, "ERR_STATE_STORE_NOT_FOUND".to_owned()));
    case.same("its message", reply.json()["message"].as_str(), Some("state store nowhere is not found"));
    let details = reply.json()["details"].clone();
    case.same("its details", details[0]["reason"].as_str(), Some("DAPR_STATE_NOT_FOUND"));
    case.same("its details", details[0]["domain"].as_str(), Some("dapr.io"));
    case.same("read", case.get("/v1.0/state/nowhere/x").await.refusal().0, 400);
    let request = GetStateRequest { store_name: "nowhere".into(), key: "x".into(), ..Default::default() };
    case.same("over gRPC", code(&case.sidecar.raw().get_state(request).await), Code::InvalidArgument);
    let reply = case.send("POST", STORE, &[], "[{").await;
    case.same("no JSON", reply.refusal(), (400, "ERR_MALFORMED_REQUEST".to_owned()));
    let reply = case.post(STORE, &json!({"key": "a"})).await;
    case.same("no list", reply.refusal(), (400, "ERR_MALFORMED_REQUEST".to_owned()));
    let reply = case.post(STORE, &json!([{"value": 1}])).await;
    case.same("no key", reply.refusal(), (400, "ERR_MALFORMED_REQUEST".to_owned()));
    let reply = case.send("POST", &key("transaction"), &[], "[{").await;
    case.same("no JSON in a transaction", reply.refusal(), (400, "ERR_MALFORMED_REQUEST".to_owned()));
}

pub async fn bytes_pass_unchanged_over_grpc(case: &Case) {
    let bytes: Vec<u8> = (0..=255).collect();
    let request = SaveStateRequest {
        store_name: "statestore".into(),
        states: vec![StateItem { key: "bytes".into(), value: bytes.clone(), ..Default::default() }],
    };
    case.same("save", code(&case.sidecar.raw().save_state(request).await), Code::Ok);
    let request =
        GetStateRequest { store_name: "statestore".into(), key: "bytes".into(), ..Default::default() };
    let answer = case.sidecar.raw().get_state(request).await.expect("it is there").into_inner();
    case.same("read", answer.data, bytes);
}
