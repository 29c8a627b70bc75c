use super::*;

fn surroundings() -> Surroundings {
    Surroundings { agents: ["research".to_owned(), "analysis".to_owned()].into() }
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
    assert_eq!(get.parents[0], Link { node: plan.by_id["good"], branch: Some("true".into()) });
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
fn an_empty_workflow_is_a_plan() {
    let plan = plan("{name: x, nodes: []}");
    assert!(plan.nodes.is_empty() && plan.graphs.len() == 1);
}
