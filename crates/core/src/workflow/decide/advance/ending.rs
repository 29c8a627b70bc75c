//! The end of a graph: its output, and what that ends.

use super::{Decision, Halt, within};
use crate::{
    Datum,
    call::{CallError, Spent},
    expr,
    workflow::{
        decide::context::Scope,
        event::{RunError, StepKey, What},
        plan::NodeIx,
        run::{NodeState, StepState},
    },
};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a graph ends with.
enum Last {
    /// The output of its last step.
    Of(StepKey, Datum),
    /// An output that no single step has.
    Made(Datum),
}

impl Decision<'_> {
    /// Ends a graph in which everything has ended, and with it the iteration or the run.
    pub(super) fn end_scope(&mut self, scope: &Scope) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let graph = &plan.graphs[scope.graph as usize];
        let output = match (self.tried_output(scope), &graph.output) {
            (Some(output), _) => Ok(Last::Made(output)),
            (None, Some(template)) => {
                let context = Value::Object(self.context(scope, &graph.output_reads)?);
                match expr::render_under(self.meter, template, &context) {
                    Ok(output) => Ok(Last::Made(Datum::inline(output))),
                    // A run that wraps up skipped nodes that the output may read. It ends with the outputs that there
                    // are.
                    Err(_) if self.run.wrap_up => Ok(self.last_outputs(scope)?),
                    Err(e) => Err(CallError::permanent("output_error", format!("output: {e}"))),
                }
            }
            (None, None) => Ok(self.last_outputs(scope)?),
        };
        // A value that is too large is refused here: nobody could read it again.
        let output = output.and_then(|last| match &last {
            Last::Made(made) => within("output", made).map(|()| last),
            Last::Of(..) => Ok(last),
        });
        match (graph.owner, output) {
            (None, Ok(Last::Made(output) | Last::Of(_, output))) => self.put(What::RunCompleted { output }),
            (None, Err(e)) => {
                self.put(What::RunFailed { error: RunError { code: e.code, message: e.message, node: None } })
            }
            (Some(owner), output) => {
                let Some((outer, index)) = scope.split() else { return Ok(()) };
                let key = StepKey::new(self.run.generation(), &plan.node(owner).node.id, outer);
                match output {
                    Ok(Last::Made(output)) => {
                        self.put(What::IterationEnded { step: key, index, output: Some(output), of: None });
                    }
                    // The output is recorded with that step. It is named here, not written twice.
                    Ok(Last::Of(step, _)) => {
                        self.put(What::IterationEnded { step: key, index, output: None, of: Some(step) });
                    }
                    Err(e) => self.fail(&key, 1, e, Spent::default()),
                }
            }
        }
        Ok(())
    }

    /// Returns the output of the last completed node, or an object by node id if several were last.
    fn last_outputs(&self, scope: &Scope) -> Result<Last, Halt> {
        let done = |ix: NodeIx| {
            let (key, step) = self.step_of(ix, &scope.path)?;
            let StepState::Completed { output, .. } = &step.state else { return None };
            Some((key, output.clone()))
        };
        let graph = &self.plan.graphs[scope.graph as usize];
        let mut last: Vec<(StepKey, Datum)> = Vec::new();
        for ix in &graph.nodes {
            let Some(ended) = done(*ix) else { continue };
            // A skipped or failed node does not hide the output before it.
            if !self.is_followed(*ix, &scope.path) {
                last.push(ended);
            }
        }
        match last.as_slice() {
            [] => Ok(Last::Made(Datum::null())),
            [(key, only)] => Ok(Last::Of(key.clone(), only.clone())),
            several => {
                let mut out = Map::new();
                for (key, output) in several {
                    out.insert(key.node.to_string(), (*self.values.get(output)?).clone());
                }
                Ok(Last::Made(Datum::inline(Value::Object(out))))
            }
        }
    }

    /// Whether anything behind a node completed. What stands behind a disabled node stands behind the one before it, too.
    fn is_followed(&self, ix: NodeIx, path: &str) -> bool {
        let mut through = BTreeSet::from([ix]);
        let mut next = vec![ix];
        while let Some(ix) = next.pop() {
            for link in &self.plan.node(ix).children {
                if matches!(self.node_state(link.node, path), NodeState::Completed(_)) {
                    return true;
                }
                if self.plan.node(link.node).node.disabled && through.insert(link.node) {
                    next.push(link.node);
                }
            }
        }
        false
    }
}
