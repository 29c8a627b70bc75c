//! Tools over data that tries to be more than data.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::secret::Secret;
use std::collections::BTreeMap;

fn tool(kind: Value) -> Tool {
    let mut tool = json!({"description": "d"});
    tool.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    serde_json::from_value(tool).unwrap()
}

fn around<'a>(guarded: &'a Guarded, secrets: &'a dyn Secrets) -> Around<'a> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    Around { guarded, secrets, names: &NONE, idempotency_key: "k", timeout: None }
}

#[tokio::test]
async fn an_expression_sees_its_arguments() {
    let add = tool(json!({"type": "expression", "config": {"value": "args.a + args.b"}}));
    let guarded = Guarded::new(vec![], vec![]);
    let secrets = BTreeMap::new();
    let call = async |args: Value| perform(&add, &args, around(&guarded, &secrets)).await;
    assert_eq!(call(json!({"a": 2, "b": 3})).await.unwrap().output, json!(5));
    let failed = call(json!({"a": 2})).await.err().unwrap();
    assert_eq!((failed.code.as_str(), failed.retryable), ("tool_failed", false));
}

#[tokio::test]
async fn an_argument_can_neither_name_a_secret_nor_reach_inside() {
    let get = tool(
        json!({"type": "http", "config": {"url": "{{ args.url }}", "headers": {"X-Key": "{{ args.url }}"}}}),
    );
    let guarded = Guarded::new(vec![], vec![]);
    let secrets = BTreeMap::from([("key".to_owned(), Secret::new("value"))]);
    let args = json!({"url": "http://169.254.169.254/latest/"});
    let refused = perform(&get, &args, around(&guarded, &secrets)).await.err().unwrap();
    assert_eq!(refused.code, "http_forbidden_address");
}

#[tokio::test]
async fn a_secret_does_not_go_where_an_argument_says() {
    let get = tool(
        json!({"type": "http", "config": {"url": "{{ args.url }}", "headers": {"X-Key": "secret://key"}}}),
    );
    let guarded = Guarded::new(vec![], vec![]);
    let secrets = BTreeMap::from([("key".to_owned(), Secret::new("value"))]);
    let args = json!({"url": "https://example.com/"});
    let refused = perform(&get, &args, around(&guarded, &secrets)).await.err().unwrap();
    assert_eq!((refused.code.as_str(), refused.retryable), ("secret_forbidden_host", false));
}
