//! What each place sees, and of which kind.

use super::*;

fn names(definition: &Value, node: Option<&str>) -> Value {
    json!(Plan::names(definition.clone(), node).expect("names"))
}

fn agent(id: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": "a", "prompt": "p"}})
}

fn keys(names: &Value) -> Vec<&str> {
    names.as_object().expect("names").keys().map(String::as_str).collect()
}

/// A list is asked for, each of its items is looked at, and what comes of it is counted.
fn example() -> Value {
    json!({"name": "x", "input": {"type": "object", "properties": {"topic": {"type": "string"}}}, "nodes": [
        {"id": "my-list", "type": "agent", "config": {"agent": "a", "prompt": "p", "output_schema": {"type": "object",
            "properties": {"rows": {"type": "array", "items": {"$ref": "#/$defs/row"}}},
            "$defs": {"row": {"type": "object", "properties": {"price": {"type": "number"}}}}}}},
        {"id": "each", "type": "for_each", "config": {"items": "steps[\"my-list\"].output.rows", "body": {
            "nodes": [agent("look")], "output": {"price": "{{ item.price }}", "text": "{{ steps.look.output }}", "n": 1}}}},
        {"id": "count", "type": "transform", "config": {"input": "steps.each.output", "rules": [
            {"source": ".", "target": "n", "type": "map", "config": {"value": "item.price"}}]}},
        {"id": "again", "type": "loop", "config": {"until": "last.done", "max": 3, "body": {
            "nodes": [agent("try")], "output": {"done": true}}}}],
        "edges": [{"source": "my-list", "target": "each"}, {"source": "each", "target": "count"}]})
}

#[test]
fn a_node_sees_what_is_upstream_and_of_which_kind() {
    let seen = names(&example(), Some("count"));
    assert_eq!(keys(&seen), ["config", "config.rules"]);
    let config = &seen["config"];
    assert_eq!(keys(config), ["input", "now", "run", "steps"]);
    assert_eq!(config["input"]["properties"]["topic"], json!({"type": "string"}));
    let steps = &config["steps"]["properties"];
    assert_eq!(keys(steps), ["each", "my-list"], "and neither itself nor what stands in bodies");
    assert_eq!(
        steps["each"]["properties"]["output"],
        json!({"type": "array", "items": {"type": "object", "required": ["price", "text", "n"], "properties": {
            "price": {"type": "number"}, "text": {"type": "string"}, "n": {"type": "number"}}}})
    );
    assert_eq!(keys(&seen["config.rules"]), ["acc", "data", "index", "item"]);
}

#[test]
fn bodies_give_their_own_names() {
    let example = example();
    let look = names(&example, Some("look"));
    assert_eq!(keys(&look["config"]), ["index", "input", "item", "now", "run", "steps"]);
    assert_eq!(look["config"]["item"]["properties"]["price"], json!({"type": "number"}));
    assert_eq!(keys(&look["config"]["steps"]["properties"]), ["my-list"]);
    let each = names(&example, Some("each"));
    assert_eq!(keys(&each), ["config", "config.body.output"]);
    assert_eq!(keys(&each["config.body.output"]["steps"]["properties"]), ["look", "my-list"]);
    let again = names(&example, Some("again"));
    assert_eq!(keys(&again), ["config", "config.body.output", "config.until"]);
    assert_eq!(again["config.until"]["last"]["properties"]["done"], json!({"type": "boolean"}));
    assert_eq!(names(&example, Some("try"))["config"]["last"]["anyOf"][1], json!({"type": "null"}));
    let all = names(&example, None);
    assert_eq!(keys(&all["output"]["steps"]["properties"]), ["again", "count", "each", "my-list"]);
}

#[test]
fn a_definition_with_mistakes_has_names() {
    let mut broken = example();
    broken["nodes"][1]["config"]["items"] = 7.into();
    broken["nodes"][2]["config"]["rules"] = "none".into();
    broken["edges"].as_array_mut().expect("edges").push(json!({"source": "ghost", "target": "count"}));
    let seen = names(&broken, Some("count"));
    assert_eq!(keys(&seen["config"]["steps"]["properties"]), ["each", "my-list"]);
    assert_eq!(seen["config"]["steps"]["properties"]["each"]["properties"]["output"], json!({}));
    let code = |found: Result<Places, Vec<Problem>>| found.expect_err("a problem").remove(0).code;
    assert_eq!(code(Plan::names(example(), Some("nope"))), "unknown_node");
    assert_eq!(code(Plan::names(json!([]), None)), "wrong_type");
}

#[test]
fn what_leads_back_to_itself_or_grows_without_end_is_left_open() {
    let each = |id: &str, items: &str, output: Value| json!({"id": id, "type": "for_each", "config": {"items": items, "body": {"nodes": [], "output": output}}});
    let circle = json!({"name": "x", "nodes": [
        each("a", "steps.b.output", json!("{{ steps.b.output }}")), each("b", "steps.a.output", json!("{{ steps.a.output }}"))],
        "edges": [{"source": "a", "target": "b"}, {"source": "b", "target": "a"}]});
    assert!(names(&circle, Some("a"))["config"]["steps"].is_object());
    // Each node doubles the one before it.
    let nodes: Vec<Value> = (0..60)
        .map(|n: u32| {
            let before = format!("{{{{ steps.n{}.output }}}}", n.saturating_sub(1));
            each(
                &format!("n{n}"),
                "[]",
                if n == 0 { json!({"a": 1}) } else { json!({"a": before, "b": before}) },
            )
        })
        .collect();
    let edges: Vec<Value> =
        (1..60).map(|n| json!({"source": format!("n{}", n - 1), "target": format!("n{n}")})).collect();
    let doubled = json!({"name": "x", "nodes": nodes, "edges": edges});
    let seen = names(&doubled, Some("n59"));
    assert!(seen.to_string().len() < 2 << 20);
    assert_eq!(seen["config"]["steps"]["properties"]["n1"]["properties"]["output"]["type"], "array");
}
