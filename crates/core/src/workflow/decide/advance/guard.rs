//! What an approval guards: shown with the question, and compared with what is sent in the end.

use super::{Decision, Halt, Prepared};
use crate::{
    call::CallError,
    workflow::{
        decide::context::Scope,
        event::StepKey,
        kinds::Branch,
        plan::NodeIx,
        run::{Step, StepState},
    },
};
use serde_json::{Value, json};

type Tried = Result<Prepared, CallError>;

impl Decision<'_> {
    /// Adds to an approval what the node it guards will send; lets a guarded node start only with what was approved.
    pub(super) fn guarded(&self, scope: &Scope, ix: NodeIx, prepared: Tried) -> Result<Tried, Halt> {
        let plan = self.plan.clone();
        let node = plan.node(ix);
        let prepared = match (prepared, node.guards) {
            (Ok(Prepared::Open { input, deadline }), Some(guarded)) => match self.sends(scope, guarded)? {
                Ok(sends) => {
                    let mut input = input;
                    input["guards"] = json!({"node": plan.node(guarded).node.id, "sends": sends});
                    Ok(Prepared::Open { input, deadline })
                }
                Err(error) => Err(error),
            },
            (prepared @ (Ok(Prepared::Open { .. } | Prepared::Ended { .. }) | Err(_)), _) => prepared,
        };
        let Ok(Prepared::Open { input, deadline }) = prepared else { return Ok(prepared) };
        // What is compared is the input that will be recorded and sent, so whatever changed it since the question
        // voids the approval.
        for approval in &node.guarded_by {
            if !self.was_approved(scope, *approval, &input)? {
                let message = format!(
                    "what {} would send is not what was approved in {}: nothing was sent",
                    node.node.id,
                    plan.node(*approval).node.id
                );
                // Permanent: the question is not asked again, so another attempt would meet the same answer.
                return Ok(Err(CallError::permanent("approval_void", message)));
            }
        }
        Ok(Ok(Prepared::Open { input, deadline }))
    }

    /// Returns what a node would send if it started now.
    fn sends(&self, scope: &Scope, ix: NodeIx) -> Result<Result<Value, CallError>, Halt> {
        let plan = self.plan.clone();
        let node = plan.node(ix);
        let context = Value::Object(self.context(scope, &node.reads)?);
        let wrong = |error: CallError| {
            let message =
                format!("guards: what {} would send can't be made: {}", node.node.id, error.message);
            CallError { message, ..error }
        };
        Ok(match self.prepare(&node.node.kind, &context) {
            Ok(Prepared::Open { input, .. }) => Ok(input),
            // `Plan::compile` lets an approval guard only nodes that call outside, and those never end at once.
            Ok(Prepared::Ended { .. }) => Ok(Value::Null),
            Err(error) => Err(wrong(error)),
        })
    }

    /// Whether the approval was given, and given for exactly this input.
    fn was_approved(&self, scope: &Scope, approval: NodeIx, sends: &Value) -> Result<bool, Halt> {
        let Some((_, step)) = self.step_of(approval, &scope.path) else { return Ok(false) };
        let StepState::Completed { branch: Some(branch), .. } = &step.state else { return Ok(false) };
        let Some(asked) = &step.input else { return Ok(false) };
        let asked = self.values.get(asked)?;
        Ok(Branch::named(branch) == Some(Branch::Approved) && asked["guards"]["sends"] == *sends)
    }

    /// Whether an approval of this step must name what it approves.
    pub(in crate::workflow::decide) fn asks_for_hash(&self, key: &StepKey, step: &Step) -> bool {
        let node = self.plan.by_id.get(&*key.node).map(|ix| self.plan.node(*ix));
        // Without `guards` the question shows no input to be bound to.
        node.is_some_and(|node| node.guards.is_some()) && matches!(step.state, StepState::Started { .. })
    }
}
