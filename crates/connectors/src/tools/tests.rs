//! Tools over data that tries to be more than data.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::secret::Secret;

fn tool(kind: Value) -> Tool {
    let mut tool = json!({"description": "d"});
    tool.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
    serde_json::from_value(tool).unwrap()
}

fn tools(secrets: BTreeMap<String, Secret>) -> Tools {
    Tools::new(Arc::new(Guarded::new(vec![], vec![])), Arc::new(secrets))
}

/// Makes the whole call of a tool that reaches out.
async fn called(tools: &Tools, tool: &Tool, args: &Value) -> Result<Answer, CallError> {
    match prepare(tool, args)? {
        Prepared::Request(outbound) => tools.send(&outbound, around()).await,
        Prepared::Answered(_) => panic!("it reaches out"),
    }
}

fn around() -> Around<'static> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    Around { names: &NONE, idempotency_key: "k", timeout: None }
}

#[test]
fn a_model_is_told_of_each_tool_what_its_file_says() {
    let add = tool(json!({"type": "expression", "config": {"value": "1"}}));
    let told = tools(BTreeMap::new()).specs(&BTreeMap::from([("add".to_owned(), add)]));
    let parameters = json!({"type": "object"});
    assert_eq!(told, [ToolSpec { name: "add".into(), description: "d".into(), parameters }]);
}

#[test]
fn an_expression_sees_its_arguments() {
    let add = tool(json!({"type": "expression", "config": {"value": "args.a + args.b"}}));
    let Ok(Prepared::Answered(sum)) = prepare(&add, &json!({"a": 2, "b": 3})) else {
        panic!("it only computes")
    };
    assert_eq!(sum.output, json!(5));
    let failed = prepare(&add, &json!({"a": 2})).err().unwrap();
    assert_eq!((failed.code.as_str(), failed.retryable), ("tool_failed", false));
}

#[tokio::test]
async fn an_argument_can_neither_name_a_secret_nor_reach_inside() {
    let get = tool(
        json!({"type": "http", "config": {"url": "{{ args.url }}", "headers": {"X-Key": "{{ args.url }}"}}}),
    );
    let tools = tools(BTreeMap::from([("key".to_owned(), Secret::new("value"))]));
    let args = json!({"url": "http://169.254.169.254/latest/"});
    let refused = called(&tools, &get, &args).await.err().unwrap();
    assert_eq!(refused.code, "http_forbidden_address");
}

#[tokio::test]
async fn a_secret_does_not_go_where_an_argument_says() {
    let get = tool(
        json!({"type": "http", "config": {"url": "{{ args.url }}", "headers": {"X-Key": "secret://key"}}}),
    );
    let tools = tools(BTreeMap::from([("key".to_owned(), Secret::new("value"))]));
    let args = json!({"url": "https://example.com/"});
    let refused = called(&tools, &get, &args).await.err().unwrap();
    assert_eq!((refused.code.as_str(), refused.retryable), ("secret_forbidden_host", false));
}
