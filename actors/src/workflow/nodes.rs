//! What a run's plan says of a step.

use callboard_core::workflow::{Node, Run, StepKey};
use serde_json::Value;

/// Returns the schema that the answer of a step's agent must fit, if there is one.
pub(super) fn output_schema<'a>(run: &'a Run, step: &StepKey) -> Option<&'a Value> {
    node_of(run, step)?.kind.output_schema()
}

/// Returns the definition of a step's node.
pub(super) fn node_of<'a>(run: &'a Run, step: &StepKey) -> Option<&'a Node> {
    let plan = run.plan.as_ref()?;
    plan.by_id.get(&*step.node).map(|ix| &plan.node(*ix).node)
}
