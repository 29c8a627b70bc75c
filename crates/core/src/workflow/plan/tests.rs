//! Compiling definitions: graphs, references, limits, and the corpus of wrong ones.

use super::*;

fn surroundings() -> Surroundings {
    Surroundings { agents: ["research".to_owned(), "analysis".to_owned()].into(), ..Surroundings::default() }
}

fn plan(yaml: &str) -> Plan {
    let options = serde_saphyr::options! { strict_booleans: true };
    let definition: Definition = serde_saphyr::from_str_with_options(yaml, options).expect("a definition");
    Plan::compile(definition, &surroundings()).expect("a plan")
}

#[test]
fn the_example_of_the_design_compiles() {
    let plan = plan(include_str!("../../../tests/corpus/valid/design.yaml"));
    assert_eq!(plan.graphs.len(), 3);
    let order: Vec<_> = plan.graphs[0].nodes.iter().map(|ix| plan.node(*ix).node.id.as_str()).collect();
    let at = |id| order.iter().position(|o| *o == id);
    assert!(at("research") < at("score") && at("good") < at("get"), "{order:?}");
    let get = plan.node(plan.by_id["get"]);
    assert_eq!(get.parents.len(), 2);
    assert_eq!(get.parents[0], Link { node: plan.by_id["good"], branch: Some(Branch::True) });
    let score = plan.node(plan.by_id["score"]);
    assert_eq!(score.reads.steps, BTreeSet::from(["research".to_owned()]));
    assert_eq!(score.children, [Link { node: plan.by_id["good"], branch: None }]);
    let one = plan.node(plan.by_id["one"]);
    assert_eq!(one.reads, Reads { item: true, ..Reads::default() });
    assert_eq!(plan.graphs[one.graph as usize].owner, Some(plan.by_id["each"]));
    assert!(plan.node(plan.by_id["again"]).until_reads.last);
    assert!(plan.graphs[0].output_reads.steps.contains("get"));
}

#[test]
fn approvals_know_whom_they_guard() {
    let plan = plan(include_str!("../../../tests/corpus/valid/guards.yaml"));
    let ix = |id: &str| plan.by_id[id];
    assert_eq!(plan.node(ix("ok")).guards, Some(ix("send")));
    assert_eq!(plan.node(ix("send")).guarded_by, [ix("ok")]);
    assert_eq!(plan.node(ix("wipe")).guarded_by, [ix("first"), ix("second")]);
    assert_eq!((plan.node(ix("ask")).guards, plan.node(ix("read")).guards), (Some(ix("do")), None));
}

#[test]
fn an_empty_workflow_is_a_plan() {
    let plan = plan("{name: x, nodes: []}");
    assert!(plan.nodes.is_empty() && plan.graphs.len() == 1);
}

/// Each file of the corpus says in its first lines what is wrong with it: `# expect: code path node`, with `-` for
/// nothing and `?` for anything.
#[test]
fn every_wrong_definition_of_the_corpus_is_explained() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/definitions");
    let mut wrong = vec![];
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the corpus").map(|f| f.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() >= 40, "{} files", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        let mut expected: Vec<String> =
            text.lines().map_while(|line| line.strip_prefix("# expect: ")).map(str::to_owned).collect();
        let problems = Plan::compile_text(&text, Format::Yaml, &surroundings()).expect_err("problems");
        let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
        let mut found: Vec<String> = problems
            .iter()
            .map(|p| format!("{} {} {}", p.code, dash(&p.path), dash(p.node.as_deref().unwrap_or_default())))
            .collect();
        for (e, f) in expected.iter().zip(&mut found) {
            if let Some((before, after)) = e.split_once('?')
                && f.starts_with(before)
                && f.ends_with(after)
            {
                f.clone_from(e);
            }
        }
        expected.sort();
        found.sort();
        for problem in &problems {
            let m = &problem.message;
            let sentence = !m.is_empty() && !m.ends_with('.') && !m.starts_with(|c: char| c.is_uppercase());
            if !sentence || m.contains("any of the schemas") {
                wrong.push(format!("{}: not a sentence: {m}", file.display()));
            }
        }
        if expected != found {
            let messages: Vec<String> = problems.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "{}\n  expected {expected:#?}\n  found {found:#?}\n  {}",
                file.display(),
                messages.join("\n  ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_bodies_see_is_what_stands_around_them() {
    let plan = plan(
        r#"
name: x
nodes:
  - {id: list, type: signal, config: {name: go}}
  - id: each
    type: for_each
    config:
      items: steps.list.output
      body:
        nodes:
          - id: again
            type: loop
            config:
              until: last.ok and index > 2 and item and steps.list.output
              max: 3
              body:
                nodes:
                  - {id: in, type: condition, config: {if: "item and index and last and steps.list.output and steps.before.output and run.id"}}
          - {id: before, type: signal, config: {name: go}}
        edges: [{source: before, target: again}]
        output: "{{ steps.again.output }} {{ item }}"
  - {id: all, type: condition, config: {if: "steps | length > 1"}}
edges: [{source: list, target: each}]
output: {a: "{{ steps.each.output }}", b: [1, "{{ input.x }}"]}
"#,
    );
    let inner = plan.node(plan.by_id["in"]);
    assert_eq!(inner.reads.steps, BTreeSet::from(["list".to_owned(), "before".to_owned()]));
    assert!(inner.reads.item && inner.reads.last && !inner.reads.input);
    let again = plan.node(plan.by_id["again"]);
    assert!(again.until_reads.last && again.until_reads.item && again.reads == Reads::default());
    assert!(plan.node(plan.by_id["all"]).reads.all_steps);
    assert!(plan.graphs[0].output_reads.input && plan.graphs[0].output_reads.steps.contains("each"));
    let owners: Vec<_> =
        plan.graphs.iter().map(|g| g.owner.map(|ix| plan.node(ix).node.id.as_str())).collect();
    assert_eq!(owners, [None, Some("each"), Some("again")]);
    for (at, graph) in plan.graphs.iter().enumerate() {
        assert!(graph.nodes.iter().all(|ix| plan.node(*ix).graph as usize == at));
    }
}

/// A thousand nodes in layers, five thousand edges, a template in each node.
fn large() -> Value {
    let node = |i: usize| {
        let reads = if i >= 10 { format!("{{{{ steps.n{}.output.text }}}}", i % 10) } else { String::new() };
        serde_json::json!({"id": format!("n{i}"), "type": "agent",
            "config": {"agent": "research", "prompt": format!("Node {i} of {{{{ input.topic }}}} {reads}")}})
    };
    let edge = |from: usize, to: usize| serde_json::json!({"source": format!("n{from}"), "target": format!("n{to}")});
    let mut edges = vec![];
    for i in 10..1000 {
        let above = (i / 10 - 1) * 10;
        edges.extend((0..5).map(|k| edge(above + (i + k) % 10, i)));
    }
    edges.extend((20..70).map(|i| edge(i % 10, i)));
    serde_json::json!({"name": "large", "nodes": (0..1000).map(node).collect::<Vec<_>>(), "edges": edges})
}

#[test]
fn the_largest_definition_compiles_soon() {
    let value = large();
    let start = std::time::Instant::now();
    let definition = Definition::from_value(value).expect("a definition");
    let read = start.elapsed();
    let plan = Plan::compile(definition, &surroundings());
    let all = start.elapsed();
    eprintln!("read {read:?}, compiled {:?}", all - read);
    let plan = plan.expect("a plan");
    assert_eq!((plan.nodes.len(), plan.definition.edges.len()), (1000, 5000));
    // Far above what it takes, as these machines do other things, too.
    assert!(all < std::time::Duration::from_secs(2), "{all:?}");
}

#[test]
fn more_than_the_largest_is_refused() {
    let mut value = large();
    value["nodes"]
        .as_array_mut()
        .expect("nodes")
        .push(serde_json::json!({"id": "more", "type": "signal", "config": {"name": "go"}}));
    let edge = value["edges"][0].clone();
    let edges = value["edges"].as_array_mut().expect("edges");
    edges.resize(5_001, edge);
    let problems = Plan::compile_value(value, &surroundings()).expect_err("problems");
    let found: Vec<_> = problems.iter().map(|p| (p.path.as_str(), p.code.as_str())).collect();
    assert_eq!(found, [("edges", "too_large"), ("nodes", "too_large")]);
}

#[test]
fn a_definition_that_was_recorded_is_not_asked_for_rules_that_came_later() {
    let text = include_str!("../../../tests/corpus/definitions/http_secrets.yaml");
    // The bound of `max_body` came with the field.
    let text = text.replace("max_body: 16777217", "max_body: 1");
    let options = serde_saphyr::options! { strict_booleans: true };
    let definition: Definition = serde_saphyr::from_str_with_options(&text, options).expect("a definition");
    let bound = Surroundings { bound_secrets: ["tok".to_owned()].into(), ..surroundings() };
    let found = Plan::compile(definition.clone(), &bound).expect_err("problems");
    assert_eq!(found.len(), 4, "{found:?}");
    let plan = Plan::pinned(definition).expect("a plan");
    assert_eq!(plan.secrets, BTreeSet::from(["tok".to_owned()]));
}
