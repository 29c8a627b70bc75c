//! Reading definitions: all mistakes at once, and back again.

use super::*;
use crate::{
    Problem,
    schema::Validator,
    workflow::{Plan, plan::Surroundings},
};
use proptest::prelude::*;
use serde_json::json;

const EXAMPLE: &str = include_str!("../../../tests/corpus/valid/design.yaml");

#[test]
fn the_example_of_the_design_reads_the_same_in_yaml_and_json() {
    let yaml = Definition::read(EXAMPLE, Format::Yaml).expect("a definition");
    let json = serde_json::to_string(&yaml).expect("json");
    assert_eq!(Definition::read(&json, Format::Json), Ok(yaml.clone()));
    assert_eq!(Definition::read(&json, Format::Yaml), Ok(yaml.clone()));
    assert_eq!(serde_json::from_str::<Definition>(&json).expect("a definition"), yaml);
    let packed = serde_json::to_value(&yaml).expect("json");
    assert_eq!(Definition::from_value(packed), Ok(yaml));
}

#[test]
fn the_published_schema_takes_what_is_read_and_refuses_what_is_not() {
    let published = Validator::new(&Definition::schema()).expect("a schema");
    let example =
        serde_json::to_value(Definition::read(EXAMPLE, Format::Yaml).expect("a definition")).expect("json");
    assert_eq!(published.validate(&example), Ok(()));
    assert!(published.is_valid(&json!({"name": "x", "nodes": []})));
    for wrong in [
        json!({"nodes": []}),
        json!({"name": "x", "nodes": [], "more": 1}),
        json!({"name": "x", "nodes": [{"id": "a", "type": "signal", "config": {"name": "go"}, "more": 1}]}),
        json!({"name": "x", "nodes": [{"id": "a b", "type": "signal", "config": {"name": "go"}}]}),
        json!({"name": "x", "nodes": [{"id": "a", "type": "nope", "config": {}}]}),
    ] {
        assert!(!published.is_valid(&wrong), "{wrong}");
        assert!(Definition::from_value(wrong.clone()).is_err(), "{wrong}");
        // What serde reads by itself (from our own stores) is as strict, but for ids.
        let by_serde = serde_json::from_value::<Definition>(wrong.clone());
        assert!(by_serde.is_err() || wrong["nodes"][0]["id"] == "a b", "{wrong}");
    }
}

#[test]
fn syntax_mistakes_say_where() {
    let found = |text: &str, format| Definition::read(text, format).expect_err("a problem").remove(0);
    let problem = |path: &str, message: &str| Problem::new(path, "syntax", message);
    assert_eq!(
        found("{\"name\": \"x\",\n \"name\": \"y\"}", Format::Json),
        problem("2:13", "line 2, column 13: duplicate key `name`")
    );
    assert_eq!(found("{\"name\": }", Format::Json), problem("1:10", "line 1, column 10: expected value"));
    assert_eq!(found("name: x\nname: y\n", Format::Yaml).path, "2:1");
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(found(&deep, Format::Json).code, "syntax");
    assert_eq!(found(&deep, Format::Yaml).code, "syntax");
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(SIZE_LIMIT));
    assert_eq!(found(&long, Format::Json).code, "too_large");
}

#[test]
fn depth_is_bounded_in_json_too() {
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    let problems =
        Definition::from_value(json!({"name": "x", "metadata": {"deep": deep}})).expect_err("a problem");
    assert_eq!(problems[0].code, "too_deep");
}

#[test]
fn words_of_old_yaml_stay_words() {
    let text = "{name: x, nodes: [{id: n, type: signal, config: {name: yes}}, {id: y, type: signal, config: {name: on}}], edges: [{source: n, target: y}]}";
    let definition = Definition::read(text, Format::Yaml).expect("a definition");
    assert_eq!((definition.nodes[0].id.as_str(), definition.edges[0].target.as_str()), ("n", "y"));
}

#[test]
fn a_mistake_is_explained_with_what_was_likely_meant() {
    let text =
        "{name: x, nodes: [{id: a, type: agent, config: {agent: a, prompt: p}, on_eror: fail, timeout: 5}]}";
    let problems = Definition::read(text, Format::Yaml).expect_err("problems");
    let messages: Vec<_> = problems.iter().map(|p| p.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the field `on_eror` is unknown here; did you mean `on_error`?",
            "must be a text, not a number; write it in quotes: \"5\"",
        ]
    );
}

/// Any JSON, with the words of definitions in it more often than chance has it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "name",
        "nodes",
        "edges",
        "id",
        "type",
        "config",
        "agent",
        "prompt",
        "transform",
        "rules",
        "for_each",
        "loop",
        "items",
        "body",
        "source",
        "target",
        "branch",
        "join",
        "n",
        "on_error",
        "default",
        "settings",
        "budget",
        "{{ steps.a.output }}",
        "{% if %}",
        "item",
        "until",
        "a",
        "wait",
        "for",
        "10s",
        "http",
        "url",
        "https://x",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(word.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Definitions whose shape is right, whatever they mean.
fn any_definition() -> impl Strategy<Value = Definition> {
    let id = || prop::sample::select(vec!["a", "b", "c", "d-e", "f"]).prop_map(str::to_owned);
    let text = prop::sample::select(vec![
        "{{ steps.a.output }}",
        "{{ item }}",
        "plain",
        "input.x",
        "last",
        "1 +",
        "{{",
    ]);
    let kind = (0..9usize, text.clone(), id()).prop_map(|(kind, text, id)| {
        let config = match kind {
            0 => json!({"type": "agent", "config": {"agent": id, "prompt": text, "output_schema": {"type": "object"}}}),
            1 => json!({"type": "transform", "config": {"input": text, "rules": [{"source": ".", "target": id, "type": "map", "config": {"value": text}}]}}),
            2 => json!({"type": "condition", "config": {"if": text}}),
            3 => json!({"type": "for_each", "config": {"items": text, "parallel": 2, "body": {"nodes": [{"id": format!("{id}1"), "type": "condition", "config": {"if": text}}]}}}),
            4 => json!({"type": "loop", "config": {"until": text, "max": 3, "body": {"nodes": [], "output": text}}}),
            5 => json!({"type": "wait", "config": {"for": "1m30s"}}),
            6 => json!({"type": "signal", "config": {"name": text, "timeout": "250ms"}}),
            7 => json!({"type": "approval", "config": {"title": text, "detail": {"a": [text]}}}),
            _ => json!({"type": "http", "config": {"method": "POST", "url": text, "headers": {"A": text}, "expect": [200, 404]}}),
        };
        config.as_object().cloned().unwrap_or_default()
    });
    let join = prop::sample::select(vec![json!("all"), json!("any"), json!({"n": 2}), json!("settle")]);
    let on_error = prop::sample::select(vec![
        json!("fail"),
        json!("branch"),
        json!({"default": null}),
        json!({"default": {"a": 1}}),
    ]);
    let node = (id(), kind, join, on_error, any::<Option<bool>>()).prop_map(
        |(id, mut node, join, on_error, retry)| {
            node.extend([
                ("id".to_owned(), json!(id)),
                ("join".to_owned(), join),
                ("on_error".to_owned(), on_error),
            ]);
            if let Some(jitter) = retry {
                node.insert(
                    "retry".to_owned(),
                    json!({"max_retries": 2, "jitter": jitter, "initial": "1500ms"}),
                );
            }
            Value::Object(node)
        },
    );
    let edge = (id(), id(), prop::option::of(prop::sample::select(vec!["true", "approved", "error"])))
        .prop_map(|(source, target, branch)| json!({"source": source, "target": target, "config": {"branch": branch}}));
    (prop::collection::vec(node, 0..6), prop::collection::vec(edge, 0..8), text).prop_map(|(nodes, edges, text)| {
        let value = json!({"name": "x", "nodes": nodes, "edges": edges, "output": text, "settings": {"parallel": 3}});
        serde_json::from_value(value).expect("a definition")
    })
}

fn surroundings() -> Surroundings {
    Surroundings { agents: ["a".to_owned()].into(), ..Surroundings::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_ends_whatever_comes(value in any_json()) {
        let read = Definition::from_value(value.clone());
        let compiled = Plan::compile_value(value, &surroundings());
        prop_assert!(read.is_ok() || compiled.is_err());
        for problem in read.err().into_iter().flatten().chain(compiled.err().into_iter().flatten()) {
            prop_assert!(!problem.code.is_empty() && !problem.message.is_empty());
        }
    }

    #[test]
    fn reading_ends_whatever_stands_in_a_node(kind in prop::sample::select(NodeKind::names().collect::<Vec<_>>()), config in any_json()) {
        let value = json!({"name": "x", "nodes": [{"id": "a", "type": kind, "config": config}]});
        if let Err(problems) = Definition::from_value(value.clone()) {
            prop_assert!(problems.iter().all(|p| p.node.as_deref() == Some("a")), "{problems:?}");
        }
        let _ = Plan::compile_value(value, &surroundings());
    }

    #[test]
    fn what_is_printed_reads_as_the_same(definition in any_definition()) {
        let json = serde_json::to_string(&definition).expect("json");
        prop_assert_eq!(Definition::read(&json, Format::Json), Ok(definition.clone()));
        prop_assert_eq!(Definition::read(&json, Format::Yaml), Ok(definition));
    }

    #[test]
    fn compiling_ends_in_an_ordered_plan_or_in_problems(definition in any_definition()) {
        match Plan::compile(definition.clone(), &surroundings()) {
            Err(problems) => prop_assert!(!problems.is_empty()),
            Ok(plan) => {
                prop_assert_eq!(&*plan.definition, &definition);
                for graph in &plan.graphs {
                    for (at, ix) in graph.nodes.iter().enumerate() {
                        let before = &graph.nodes[..at];
                        prop_assert!(plan.node(*ix).parents.iter().all(|p| before.contains(&p.node)));
                    }
                }
            }
        }
    }

    #[test]
    fn reading_ends_whatever_the_text(text in "[a-z:{}\\[\\]&*\\- \n\"',|>#!?<%@0-9]{0,80}") {
        let _ = Definition::read(&text, Format::Yaml);
        let _ = Definition::read(&text, Format::Json);
    }
}

#[test]
fn a_document_of_too_many_values_is_refused_before_it_is_built() {
    // Both formats have the same bound, so that neither is the way around it.
    let json = format!(r#"{{"metadata": {{"a": [{}[]]}}}}"#, "[],".repeat(1_200_000));
    let start = std::time::Instant::now();
    let problem = document::parse(&json, Format::Json).expect_err("too many");
    assert_eq!((problem.code.as_str(), problem.path.as_str()), ("too_large", ""), "{problem}");
    assert!(start.elapsed() < std::time::Duration::from_secs(3));
    assert!(document::parse(&json, Format::Yaml).is_err());
}
