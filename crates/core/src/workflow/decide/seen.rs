//! What the expressions of a run would see, for whoever wants to try one: the same as the run's own decisions see.

use super::{Decision, Halt, context::Scope};
use crate::{
    Code, Timestamp, Values,
    expr::{Meter, Reads},
    workflow::{Refusal, Run},
};
use serde_json::Value;

/// Where an expression stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place<'a> {
    /// A node's id; none for the workflow's own output.
    pub node: Option<&'a str>,
    /// The iteration, of a node in a body: `"2"`, or `"2.0"` in a body within a body.
    pub iteration: &'a str,
}

impl Run {
    /// Returns the object that an expression at `place` would see now, with what it `reads`.
    ///
    /// Errs with `Stop::Missing` if stored values have to be loaded first, and with `Stop::Refused` if there is no such
    /// place.
    pub fn seen(
        &self,
        meter: &Meter<'_>,
        at: Timestamp,
        place: Place<'_>,
        reads: &Reads,
        values: &Values,
    ) -> Result<Value, Halt> {
        let decision = Decision::new(self.clone(), at, values, meter)?;
        let scope = decision.scope_at(place)?;
        decision.context(&scope, reads).map(Value::Object)
    }
}

impl Decision<'_> {
    fn scope_at(&self, place: Place<'_>) -> Result<Scope, Refusal> {
        let Some(node) = place.node else { return Ok(Scope::root()) };
        let Some(ix) = self.plan.by_id.get(node) else {
            return Err(Refusal::invalid(Code::UnknownNode, format!("there is no node {node}")));
        };
        let graph = self.plan.node(*ix).graph;
        // One index for each body around the node.
        let owner = |graph: &u32| self.plan.graphs[*graph as usize].owner.map(|o| self.plan.node(o).graph);
        let bodies = std::iter::successors(Some(graph), owner).count() - 1;
        let mut indices = place.iteration.split('.').skip_while(|index| index.is_empty());
        if indices.clone().count() != bodies || indices.any(|index| index.parse::<u32>().is_err()) {
            let wanted = match bodies {
                0 => "it is in no body, so it has no iteration".to_owned(),
                1 => "its iteration is one index, such as \"0\"".to_owned(),
                n => format!("its iteration is {n} indices with dots, the outermost first"),
            };
            return Err(Refusal::invalid(Code::UnknownNode, format!("node {node}: {wanted}")));
        }
        Ok(Scope { graph, path: place.iteration.to_owned() })
    }
}
