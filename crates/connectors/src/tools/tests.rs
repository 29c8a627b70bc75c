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

#[tokio::test]
async fn an_expression_sees_its_arguments() {
    let add = tool(json!({"type": "expression", "config": {"value": "args.a + args.b"}}));
    let guarded = Guarded::new(vec![], vec![]);
    let call = async |args: Value| perform(&add, &args, &guarded, &BTreeMap::new(), "k", None).await;
    assert_eq!(call(json!({"a": 2, "b": 3})).await.unwrap(), json!(5));
    let failed = call(json!({"a": 2})).await.unwrap_err();
    assert_eq!((failed.code.as_str(), failed.retryable), ("tool_failed", false));
}

#[tokio::test]
async fn an_argument_can_neither_name_a_secret_nor_reach_inside() {
    let get = tool(
        json!({"type": "http", "config": {"url": "{{ args.url }}", "headers": {"X-Key": "secret://key"}}}),
    );
    let guarded = Guarded::new(vec![], vec![]);
    let secrets = BTreeMap::from([("key".to_owned(), Secret::new("value"))]);
    let args = json!({"url": "http://169.254.169.254/latest/"});
    let refused = perform(&get, &args, &guarded, &secrets, "k", None).await.unwrap_err();
    assert_eq!(refused.code, "http_forbidden_address");
}

#[test]
fn only_the_tools_own_references_are_references_after_rendering() {
    let config: HttpNode = serde_json::from_value(json!({
        "url": "https://api.test/{{ args.q }}", "headers": {"A": "Bearer secret://key", "B": "{{ args.q }}"},
        "query": {"q": "{{ args.q }}"}, "body": {"deep": ["secret://key", "{{ args.q }}", "{{ args.n }}"]}
    }))
    .unwrap();
    let context = json!({"args": {"q": "x secret://key", "n": 3}});
    let rendered = render(&config, &context).unwrap();
    assert_eq!(rendered.headers["A"], "Bearer secret://key");
    for text in
        [&rendered.url, rendered.headers["B"].as_str().unwrap(), rendered.query["q"].as_str().unwrap()]
    {
        assert!(secret::references(text).is_empty(), "{text}");
    }
    let body = rendered.body.unwrap();
    assert_eq!((&body["deep"][0], &body["deep"][2]), (&json!("secret://key"), &json!(3)));
    assert!(secret::references(body["deep"][1].as_str().unwrap()).is_empty());
}
