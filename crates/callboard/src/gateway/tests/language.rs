//! What is asked about the language of definitions.

use super::{
    reads::{ended, entry},
    *,
};
use callboard_core::{
    Datum,
    id::OperationId,
    workflow::{
        Plan, StepKey, What,
        event::{Reserved, RunSettings},
        plan::Surroundings,
    },
};

#[tokio::test]
async fn every_kind_of_node_is_described() {
    let api = Api::new().await;
    let answer = api.get("/api/v1/node-kinds").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let kinds = answer.body["items"].as_array().expect("items");
    let names: Vec<_> = kinds.iter().filter_map(|kind| kind["name"].as_str()).collect();
    assert_eq!(names, callboard_core::workflow::NodeKind::names().collect::<Vec<_>>());
    for kind in kinds {
        assert!(kind["description"].as_str().is_some_and(|text| text.ends_with('.')), "{kind}");
        assert_eq!(kind["config"]["type"], "object", "{kind}");
    }
    let condition = &kinds[names.iter().position(|name| *name == "condition").expect("a condition")];
    assert_eq!((&condition["work"], &condition["branches"]), (&json!("decided"), &json!(["true", "false"])));
}

#[tokio::test]
async fn an_expression_is_evaluated_over_data() {
    let api = Api::new().await;
    let evaluate = async |body: Value| {
        let answer = api.post("/api/v1/expressions/evaluate", body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        (answer.body["value"].clone(), answer.body["type"].as_str().expect("a type").to_owned())
    };
    let data = json!({"input": {"n": 20, "big": 9007199254740993i64, "names": ["a", "b"]}});
    for (asked, value, kind) in [
        (json!({"expression": "input.n + 1"}), json!(21), "number"),
        (json!({"expression": "input.big"}), json!(9007199254740993i64), "number"),
        (json!({"expression": "input.names"}), json!(["a", "b"]), "array"),
        (json!({"expression": "input.n > 5", "condition": true}), json!(true), "boolean"),
        (json!({"expression": "input.nothing", "condition": true}), json!(false), "boolean"),
        (json!({"template": "n is {{ input.n }}"}), json!("n is 20"), "string"),
        (json!({"template": {"a": ["{{ input.names | length }}"]}}), json!({"a": [2]}), "object"),
        (json!({"template": null}), json!(null), "null"),
    ] {
        let mut body = asked.clone();
        body["data"] = data.clone();
        assert_eq!(evaluate(body).await, (value, kind.to_owned()), "{asked}");
    }
    assert_eq!(evaluate(json!({"expression": "1 + 1"})).await.0, json!(2), "without data");
}

#[tokio::test]
async fn what_is_wrong_with_an_expression_is_said() {
    let api = Api::new().await;
    let wrong = async |body: Value| {
        let answer = api.post("/api/v1/expressions/evaluate", body).await;
        is_problem(&answer, 422, "invalid_body");
        let problems = answer.body["problems"].as_array().expect("problems").clone();
        let mut paths: Vec<_> =
            problems.iter().filter_map(|p| p["path"].as_str().map(str::to_owned)).collect();
        paths.sort();
        (paths, problems[0]["message"].as_str().expect("a message").to_owned())
    };
    assert_eq!(wrong(json!({})).await.0, ["expression"]);
    let all = json!({"expression": "1", "template": "x", "condition": true, "data": {}, "run": "r"});
    assert_eq!(wrong(all).await.0, ["condition", "data", "expression"]);
    assert_eq!(wrong(json!({"expression": "1", "node": "a"})).await.0, ["node"]);
    let (paths, message) = wrong(json!({"expression": "input.n > 'a'", "data": {"input": {"n": 1}}})).await;
    assert!(paths == ["expression"] && message.contains("number"), "{message}");
    assert_eq!(wrong(json!({"template": {"a": "{{ 1 +"}})).await.0, ["template"]);
    let (_, message) =
        wrong(json!({"expression": "range(100000) | map('string') | join('x') * 90000"})).await;
    assert!(!message.is_empty());
}

/// A run of `each` over two items, whose body has `work`; then `after`.
async fn recorded(api: &Api) {
    let node = |id: &str| json!({"id": id, "type": "signal", "config": {"name": "go"}});
    let each = json!({"id": "each", "type": "for_each", "config": {"items": "input.list", "body": {
        "nodes": [node("work")], "edges": []}}});
    let definition = json!({"name": "w", "nodes": [each, node("after")], "edges": []});
    let plan = Plan::compile_value(definition, &Surroundings::default()).expect("a plan");
    let completed = |step: StepKey, output: Value| What::StepCompleted {
        step,
        attempt: 1,
        output: Datum::inline(output),
        branch: None,
        usage: None,
        error: None,
        op: None,
        signal: None,
        body: None,
        fallbacks: Vec::new(),
    };
    let started = |step: StepKey, input: Value| What::StepStarted {
        step,
        attempt: 1,
        input: Some(Datum::inline(input)),
        deadline: None,
        reserved: Reserved::default(),
    };
    let list = json!([{"name": "x"}, {"name": "y"}]);
    let entries = [
        What::RunCreated {
            op: OperationId::new("op"),
            workflow_id: None,
            version: 0,
            plan: Datum::inline(plan.document().expect("a document")),
            input: Datum::inline(json!({"list": list})),
            settings: RunSettings {
                dispatch: 64,
                retention: 0,
                max_tokens: Default::default(),
                otherwise: None,
                prices: Default::default(),
            },
            body: None,
        },
        started(StepKey::new(1, "each", ""), list),
        completed(StepKey::new(1, "after", ""), json!({"ok": true})),
    ];
    let entries = (1..).zip(entries).map(|(seq, what)| entry(seq, what)).collect();
    ended(&*api.catalog, "r", entries, "{}").await;
}

#[tokio::test]
async fn an_expression_sees_a_run_as_its_nodes_do() {
    let api = Api::new().await;
    recorded(&api).await;
    let evaluate = async |body: Value| api.post("/api/v1/expressions/evaluate", body).await;
    for (asked, value) in [
        (json!({"expression": "input.list | length"}), json!(2)),
        (json!({"expression": "steps.after.output.ok"}), json!(true)),
        (json!({"expression": "steps.after.status"}), json!("completed")),
        (json!({"expression": "item.name", "node": "work", "iteration": "1"}), json!("y")),
        (json!({"template": "{{ index }}: {{ run.id }}", "node": "work", "iteration": "0"}), json!("0: r")),
    ] {
        let mut body = asked.clone();
        body["run"] = json!("r");
        let answer = evaluate(body).await;
        assert_eq!((answer.status, &answer.body["value"]), (200, &value), "{asked}: {}", answer.body);
    }
    for (node, iteration) in [("gone", ""), ("work", ""), ("work", "a"), ("work", "0.0"), ("after", "1")] {
        let answer =
            evaluate(json!({"expression": "1", "run": "r", "node": node, "iteration": iteration})).await;
        is_problem(&answer, 422, "invalid_body");
        assert_eq!(answer.body["problems"][0]["code"], "unknown_node", "{node} {iteration}");
    }
    is_problem(&evaluate(json!({"expression": "1", "run": "none"})).await, 404, "unknown_run");
    is_problem(&evaluate(json!({"expression": "1", "run": "no/id"})).await, 404, "unknown_run");
}

#[tokio::test]
async fn kinds_say_what_their_fields_hold_and_are_sent_once() {
    let api = Api::new().await;
    let answer = api.get("/api/v1/node-kinds").await;
    let kinds = answer.body["items"].as_array().expect("items");
    let kind = |name: &str| kinds.iter().find(|kind| kind["name"] == name).expect("a kind");
    let holds = |name: &str, field: &str| &kind(name)["config"]["properties"][field]["x-callboard"];
    assert_eq!(holds("agent", "prompt"), &json!(["template"]));
    assert_eq!(holds("condition", "if"), &json!(["expression"]));
    assert_eq!(holds("http", "headers"), &json!(["template", "secret"]));
    assert_eq!((&kind("loop")["family"], &kind("loop")["icon"]), (&json!("flow"), &json!("repeat")));
    assert_eq!(kind("condition")["output_schema"], json!({"type": "boolean"}));
    let tag = answer.headers[header::ETAG].clone();
    let again = async |tag: &str| {
        let mut request = request(Method::GET, "/api/v1/node-kinds", None, "");
        request.headers_mut().insert(header::IF_NONE_MATCH, tag.parse().expect("a value"));
        api.send(request).await
    };
    let tag = tag.to_str().expect("text");
    for known in [tag.to_owned(), format!("\"x\", W/{tag}"), "*".into()] {
        let same = again(&known).await;
        assert_eq!((same.status, &same.body), (304, &Value::Null), "{known}");
        assert_eq!(same.headers[header::ETAG], tag);
    }
    assert_eq!(again("\"x\"").await.status, 200);
}

#[tokio::test]
async fn the_language_says_what_it_is_made_of() {
    let api = Api::new().await;
    let body = api.get("/api/v1/expressions/reference").await.body;
    let names = |part: &str| -> Vec<String> {
        let words = body[part].as_array().expect("words").iter();
        words.filter_map(|word| word["name"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(names("functions"), ["dict", "range"]);
    // Each of them is known to who checks an expression.
    for filter in names("filters") {
        let found = callboard_core::expr::check_expression(&format!("input | {filter}"));
        assert!(found.is_ok(), "{filter}: {found:?}");
    }
    for test in names("tests") {
        let found = callboard_core::expr::check_expression(&format!("input is {test}"));
        assert!(found.is_ok(), "{test}: {found:?}");
    }
}

#[tokio::test]
async fn a_scope_has_the_names_of_a_place() {
    let api = Api::new().await;
    let definition = json!({"name": "x", "input": {"type": "object"}, "nodes": [
        {"id": "a", "type": "condition", "config": {"if": "true"}},
        {"id": "b", "type": "agent", "config": {"agent": "nobody", "prompt": "{{ nothing"}}],
        "edges": [{"source": "a", "target": "b"}]});
    let asked = async |body: Value| api.post("/api/v1/definitions/scope", body).await;
    let seen = asked(json!({"definition": definition, "node": "b"})).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    let names = &seen.body["places"]["config"];
    assert_eq!(names["input"], json!({"type": "object"}));
    assert_eq!(names["steps"]["properties"]["a"]["properties"]["output"], json!({"type": "boolean"}));
    let output = asked(json!({"definition": definition})).await.body;
    assert!(output["places"]["output"]["steps"]["properties"]["b"].is_object(), "{output}");
    let wrong = async |body: Value| {
        let answer = asked(body).await;
        is_problem(&answer, 422, "invalid_body");
        answer.body["problems"][0]["path"].as_str().expect("a path").to_owned()
    };
    assert_eq!(wrong(json!({"definition": definition, "node": "c"})).await, "node");
    assert_eq!(wrong(json!({"definition": 7})).await, "definition");
    assert_eq!(wrong(json!({"definition": definition, "note": "c"})).await, "note");
}

#[tokio::test]
async fn a_node_is_renamed_with_all_that_names_it() {
    let api = Api::new().await;
    let definition = |id: &str| {
        json!({"name": "x", "nodes": [
            {"id": id, "type": "condition", "config": {"if": "true"}},
            {"id": "b", "type": "agent", "config": {"agent": "qa", "prompt": format!("{{{{ steps.{id}.output }}}}")}}],
            "edges": [{"source": id, "target": "b"}]})
    };
    let asked = async |from: &str, to: &str| {
        let body = json!({"definition": definition("a"), "from": from, "to": to});
        api.post("/api/v1/definitions/rename", body).await
    };
    let renamed = asked("a", "first").await;
    assert_eq!((renamed.status, &renamed.body["definition"]), (200, &definition("first")));
    assert_eq!(renamed.body["changed"], json!(["edges[0].source", "nodes[0].id", "nodes[1].config.prompt"]));
    assert_eq!(renamed.body["unsure"], json!([]));
    for (from, to, path, code) in [
        ("a", "b", "to", "duplicate_id"),
        ("z", "y", "from", "unknown_node"),
        ("a", "a b", "to", "invalid_id"),
    ] {
        let answer = asked(from, to).await;
        is_problem(&answer, 422, "invalid_body");
        let problem = &answer.body["problems"][0];
        assert_eq!((&problem["path"], &problem["code"]), (&json!(path), &json!(code)));
    }
    // Counted before it is built.
    let many = format!("{{\"definition\": [{}1], \"from\": \"a\", \"to\": \"b\"}}", "[],".repeat(300_000));
    let many = request(Method::POST, "/api/v1/definitions/rename", Some("application/json"), &many);
    is_problem(&api.send(many).await, 413, "too_many_values");
}
