//! The definitions that runs are made of: small, and together every kind of node and operation.

use crate::world::World;
use serde_json::{Value, json};

/// One run's definition and what its client is to do beside starting it.
pub struct Work {
    pub name: &'static str,
    pub definition: Value,
    pub input: Value,
    pub signal: Option<&'static str>,
    pub approve: Option<&'static str>,
    /// Nodes that a rerun may start from.
    pub nodes: &'static [&'static str],
    /// Model calls that the budget allows in one generation.
    pub budget: Option<u64>,
}

pub const KINDS: u64 = 12;

pub fn work(world: &World, kind: u64) -> Work {
    let list: Vec<String> = (0..world.between(3, 6)).map(|n| format!("{n} {}", "y".repeat(400))).collect();
    let base = Work {
        name: "",
        definition: Value::Null,
        input: json!({"list": list, "topic": format!("{:x}", world.draw())}),
        signal: None,
        approve: None,
        nodes: &["a"],
        budget: None,
    };
    match kind {
        0 => Work {
            name: "chain",
            definition: graph(
                "chain",
                vec![say("a"), after("b", "a"), after("c", "b"), after("d", "c")],
                &["a b", "b c", "c d"],
            ),
            nodes: &["a", "b", "c", "d"],
            ..base
        },
        1 => Work {
            name: "fan",
            definition: graph(
                "fan",
                vec![say("a"), after("b", "a"), once("c"), after("d", "a"), after("e", "b")],
                &["a b", "a c", "a d", "b e", "c e", "d e"],
            ),
            nodes: &["a", "b", "e"],
            ..base
        },
        2 => Work {
            name: "retry",
            definition: graph("retry", vec![say("a"), frail("b"), after("c", "a")], &["a b", "b c"]),
            nodes: &["a", "b"],
            ..base
        },
        3 => Work {
            name: "each",
            definition: graph(
                "each",
                vec![
                    json!({"id": "a", "type": "for_each", "config": {"items": "input.list", "parallel": 2, "body": {
                        "nodes": [agent("in", "plain", "{{ item }}"), agent("out", "plain", "{{ steps.in.output }}")],
                        "edges": [{"source": "in", "target": "out"}]}}}),
                    json!({"id": "n", "type": "transform", "config": {"input": "steps.a.output", "rules": [
                        {"source": ".", "target": "n", "type": "reduce", "config": {"initial": 0, "value": "acc + 1"}}]}}),
                ],
                &["a n"],
            ),
            ..base
        },
        4 => Work {
            name: "loop",
            definition: graph(
                "loop",
                vec![
                    json!({"id": "a", "type": "loop", "config": {"until": "index >= 2", "max": 5, "body": {
                        "nodes": [agent("in", "plain", "{{ index }} {{ last }}")]}}}),
                    after("b", "a"),
                ],
                &["a b"],
            ),
            nodes: &["a", "b"],
            ..base
        },
        5 => Work {
            name: "wait",
            definition: graph(
                "wait",
                vec![
                    json!({"id": "a", "type": "wait", "config": {"for": "1200ms"}}),
                    say("b"),
                    json!({"id": "c", "type": "wait", "config": {"for": "3s"}}),
                ],
                &["a b", "b c"],
            ),
            ..base
        },
        6 => Work {
            name: "signal",
            definition: graph(
                "signal",
                vec![
                    say("a"),
                    json!({"id": "go", "type": "signal", "config": {"name": "go"}}),
                    agent("b", "plain", "{{ steps.go.output }}"),
                ],
                &["a b", "go b"],
            ),
            signal: Some("go"),
            nodes: &["a", "b"],
            ..base
        },
        7 => Work {
            name: "approval",
            definition: graph(
                "approval",
                vec![
                    say("a"),
                    json!({"id": "ok", "type": "approval", "config": {"title": "ok?", "timeout": "20s"}}),
                    after("yes", "a"),
                    after("no", "a"),
                ],
                &["a ok", "ok yes approved", "ok no rejected"],
            ),
            approve: Some("ok"),
            ..base
        },
        8 => Work {
            name: "http",
            definition: graph(
                "http",
                vec![
                    json!({"id": "a", "type": "http", "config": {"method": "GET", "url": "http://service/a"}}),
                    json!({"id": "b", "type": "http", "effect": "at_most_once",
                           "config": {"method": "POST", "url": "http://service/once", "body": "{{ steps.a.output.body }}"}}),
                    agent("c", "plain", "{{ steps.b.output.body }}"),
                ],
                &["a b", "b c"],
            ),
            nodes: &["a", "b", "c"],
            ..base
        },
        9 => {
            let mut definition = graph(
                "budget",
                vec![agent("a", "tools", "use tools"), agent("b", "tools", "and again")],
                &["a b"],
            );
            definition["settings"] = json!({"budget": {"calls": 4, "on_breach": "stop"}});
            Work { name: "budget", definition, budget: Some(4), ..base }
        }
        10 => Work {
            name: "tools",
            definition: graph(
                "tools",
                vec![
                    agent("a", "tools", "use tools"),
                    after("b", "a"),
                    agent("c", "tools", "{{ steps.a.output }}"),
                ],
                &["a b", "a c"],
            ),
            nodes: &["a", "c"],
            ..base
        },
        _ => {
            let mut slow = after("b", "a");
            slow["timeout"] = "1500ms".into();
            slow["retry"] = json!({"max_retries": 6, "backoff": "constant", "initial": "100ms", "max": "1s"});
            let mut branch = frail("c");
            branch["on_error"] = json!({"default": "nothing"});
            Work {
                name: "timeouts",
                definition: graph(
                    "timeouts",
                    vec![say("a"), slow, branch, after("d", "a")],
                    &["a b", "a c", "b d", "c d"],
                ),
                nodes: &["a", "b"],
                ..base
            }
        }
    }
}

fn graph(name: &str, nodes: Vec<Value>, edges: &[&str]) -> Value {
    let edges: Vec<Value> = edges
        .iter()
        .map(|edge| {
            let parts: Vec<&str> = edge.split(' ').collect();
            let mut out = json!({"source": parts[0], "target": parts[1]});
            if let Some(branch) = parts.get(2) {
                out["config"] = json!({"branch": branch});
            }
            out
        })
        .collect();
    json!({"name": name, "nodes": nodes, "edges": edges})
}

fn agent(id: &str, agent: &str, prompt: &str) -> Value {
    json!({"id": id, "type": "agent", "config": {"agent": agent, "prompt": prompt}})
}

fn say(id: &str) -> Value {
    agent(id, "plain", "{{ input.topic }}")
}

fn after(id: &str, before: &str) -> Value {
    agent(id, "plain", &format!("{{{{ steps.{before}.output }}}}"))
}

fn once(id: &str) -> Value {
    let mut node = agent(id, "plain", "at most once");
    node["effect"] = "at_most_once".into();
    node
}

fn frail(id: &str) -> Value {
    let mut node = agent(id, "frail", "{{ input.topic }}");
    node["retry"] = json!({"max_retries": 9, "backoff": "exponential", "initial": "100ms", "max": "1s"});
    node
}
