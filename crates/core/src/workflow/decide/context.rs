//! What expressions and templates see: `input`, `steps`, `run`, and inside bodies `item`, `index`, `last`.
//!
//! Only what the text reads is loaded; a stored value that is not there yet is reported as missing.

use super::{Decision, Halt, missing_all};
use crate::{
    Datum, Missing,
    expr::Reads,
    workflow::{
        kinds::Holds,
        plan::{GraphIx, NodeIx},
        run::{NodeState, Step, StepKey, StepState},
    },
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The graph in which nodes are looked at: the workflow's own, or one iteration of a body.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scope {
    pub graph: GraphIx,
    /// Path of the iteration; `""` for the workflow.
    pub path: String,
}

impl Scope {
    /// The workflow's own graph.
    pub fn root() -> Self {
        Self { graph: 0, path: String::new() }
    }

    /// Returns the path of the enclosing scope and this iteration's index; nothing for the workflow's own graph.
    pub fn split(&self) -> Option<(&str, u32)> {
        let (outer, index) = self.path.rsplit_once('.').unwrap_or(("", &self.path));
        index.parse().ok().map(|index| (outer, index))
    }
}

impl Decision<'_> {
    /// Returns the step of a node in the current generation, or the kept one of an earlier.
    pub(super) fn step_of(&self, ix: NodeIx, path: &str) -> Option<(StepKey, &Step)> {
        self.run.step_of(&self.plan, ix, path)
    }

    /// Returns where a node stands in a scope.
    pub(super) fn node_state(&self, ix: NodeIx, path: &str) -> NodeState {
        if path.is_empty() {
            return self.run.node_state(ix);
        }
        self.step_of(ix, path).map_or(NodeState::None, |(_, step)| NodeState::of(&step.state))
    }

    /// Builds the object that expressions see, with only what `reads` names. Errs with all stored values that are
    /// missing.
    pub(super) fn context(&self, scope: &Scope, reads: &Reads) -> Result<Map<String, Value>, Halt> {
        let mut missing = Vec::new();
        let mut load = |datum: &Datum| match self.values.get(datum) {
            // A decision whose meter is over is thrown away, so a large value need not be copied for it.
            Ok(value) => {
                let _ = self.meter.enter(&value);
                if self.meter.is_over() { Arc::new(Value::Null) } else { value }
            }
            // The rest is built all the same, to name all missing values at once.
            Err(Missing(refs)) => {
                missing.extend(refs);
                Arc::new(Value::Null)
            }
        };
        let mut out = Map::new();
        out.insert("run".into(), json!({"id": &self.run.id, "generation": self.run.generation()}));
        // The time of the decision, which its events carry: what was rendered is never rendered again.
        out.insert("now".into(), self.at.to_string().into());
        if reads.input
            && let Some(input) = self.run.input()
        {
            out.insert("input".into(), (*load(input)).clone());
        }
        let mut steps = Map::new();
        for (id, ix) in &self.plan.by_id {
            if !reads.all_steps && !reads.steps.contains(id) {
                continue;
            }
            let Some(path) = self.visible(*ix, scope) else { continue };
            let Some((_, step)) = self.step_of(*ix, &path) else { continue };
            let mut seen = Map::new();
            match &step.state {
                StepState::Completed { output, .. } => {
                    seen.insert("status".into(), "completed".into());
                    seen.insert("output".into(), (*load(output)).clone());
                }
                StepState::Failed => drop(seen.insert("status".into(), "failed".into())),
                StepState::Skipped => {
                    seen.insert("status".into(), "skipped".into());
                    // What follows a disabled node reads it as one that gave nothing.
                    if self.plan.node(*ix).node.disabled {
                        seen.insert("output".into(), Value::Null);
                    }
                }
                StepState::Cancelled => drop(seen.insert("status".into(), "cancelled".into())),
                // An open step is not there yet: `steps.a` is undefined until it has ended.
                StepState::Started { .. } | StepState::Retrying { .. } | StepState::Unknown => continue,
            }
            // A step that completed with a default output has its error, too.
            if let Some(error) = &step.error {
                let mut told = json!({"code": error.code, "message": error.message});
                if let Some(details) = &error.details {
                    told["details"] = (*load(details)).clone();
                }
                seen.insert("error".into(), told);
            }
            steps.insert(id.clone(), Value::Object(seen));
        }
        out.insert("steps".into(), Value::Object(steps));
        self.body_names(scope, reads, &mut out, &mut load);
        if missing.is_empty() { Ok(out) } else { Err(missing_all(missing)) }
    }

    /// Adds `item`, `index` and `last` of the enclosing bodies. The walk goes outwards, and a name that is there
    /// stays: the innermost wins.
    fn body_names(
        &self,
        scope: &Scope,
        reads: &Reads,
        out: &mut Map<String, Value>,
        load: &mut impl FnMut(&Datum) -> Arc<Value>,
    ) {
        let mut here = scope.clone();
        while let (Some(owner), Some((outer, index))) =
            (self.plan.graphs[here.graph as usize].owner, here.split())
        {
            let outer = outer.to_owned();
            let key = StepKey::new(self.run.generation(), &self.plan.node(owner).node.id, &outer);
            let step = self.run.steps.get(&key);
            out.entry("index").or_insert_with(|| index.into());
            match self.plan.node(owner).node.kind.holds() {
                Some(Holds::Loop(_)) if reads.last && !out.contains_key("last") => {
                    // In the first iteration there is no output yet, and `last` is null.
                    let previous = index.checked_sub(1);
                    let last = previous
                        .and_then(|i| {
                            step.and_then(|s| s.iterations.as_ref()).and_then(|n| n.outputs.get(&i))
                        })
                        .map_or(Value::Null, |last| (*load(last)).clone());
                    out.insert("last".into(), last);
                }
                Some(Holds::ForEach(_)) if reads.item && !out.contains_key("item") => {
                    // Only the one item is taken out of what may be a long list.
                    let items = step.and_then(|s| s.input.as_ref()).map(&mut *load);
                    let item = items.and_then(|items| items.get(index as usize).cloned());
                    out.insert("item".into(), item.unwrap_or(Value::Null));
                }
                Some(Holds::Loop(_) | Holds::ForEach(_)) | None => {}
            }
            here = Scope { graph: self.plan.node(owner).graph, path: outer };
        }
    }

    /// Returns the path under which a node is seen from `scope`: its own, or that of an enclosing scope.
    fn visible(&self, ix: NodeIx, scope: &Scope) -> Option<String> {
        let graph = self.plan.node(ix).graph;
        let mut here = scope.clone();
        loop {
            if here.graph == graph {
                return Some(here.path);
            }
            let owner = self.plan.graphs[here.graph as usize].owner?;
            let outer = here.split().map(|(outer, _)| outer.to_owned())?;
            here = Scope { graph: self.plan.node(owner).graph, path: outer };
        }
    }
}
