//! What comes back of a step's call: its answer, and on the way the grant and the reservations it asks for.
//!
//! A late or repeated one yields nothing. One that nobody can have been asked for is refused: it is not late, it is forged.

use super::{Decision, Halt};
use crate::{
    Code,
    call::{Spent, Usage},
    id::OperationId,
    schema::Validator,
    workflow::{
        Plan,
        definition::{AgentNode, EffectMode, Node},
        event::{Reserved, StepKey, What},
        input::{Outcome, Refusal},
        run::StepState,
    },
};

/// Longest name of a reservation, in bytes. It has the task's name, and a round for each agent that passed the task
/// on.
const OP_LIMIT: usize = 4096;

impl Decision<'_> {
    /// Takes an answer to the attempt that is open. Any other is late and yields nothing.
    pub(super) fn answer(&mut self, key: &StepKey, attempt: u32, outcome: &Outcome, spent: Spent) {
        if !self.is_open_for(key, attempt) {
            return;
        }
        match outcome {
            Outcome::Done(output) => self.complete(key, attempt, output.clone(), None, spent),
            Outcome::Failed(error) if !(error.leaves_unknown() && self.is_at_most_once(key)) => {
                self.fail(key, attempt, error.clone(), spent);
            }
            // The call may have been performed, and may not be performed again: only a person can say what follows.
            Outcome::Failed(_) | Outcome::Unknown => {
                if !self.run.steps.get(key).is_some_and(|step| step.state == StepState::Unknown) {
                    self.put(What::StepUnknown { step: key.clone(), attempt });
                }
            }
        }
    }

    /// Takes an answer that came as a message, from an agent or from anybody who can call the run. It is checked more
    /// than our own, and refused as `not_asked` or `output_invalid`.
    pub(super) fn agent_answer(
        &mut self,
        key: &StepKey,
        attempt: u32,
        outcome: &Outcome,
        spent: Spent,
    ) -> Result<(), Halt> {
        let plan = self.plan.clone();
        // This comes before the look at the state: what nobody can have been asked for is refused even where a late
        // answer would be ignored.
        let (node, agent) = self.agent_of(&plan, key)?;
        if !self.is_open_for(key, attempt) {
            return Ok(());
        }
        match outcome {
            Outcome::Done(output) => {
                // The schema was checked when the run began. Where a later version does not accept it any more, the
                // answer is taken unchecked.
                let schema = agent.output_schema.as_ref().and_then(|schema| Validator::new(schema).ok());
                if let Some(schema) = schema {
                    let value = self.values.get(output)?;
                    if !schema.is_valid(&value) {
                        let message =
                            format!("the answer does not fit the output schema of node {}", key.node);
                        return Err(Refusal::invalid(Code::OutputInvalid, message).into());
                    }
                }
            }
            Outcome::Unknown if node.effect != EffectMode::AtMostOnce => {
                let message =
                    format!("node {} is not performed at most once: its outcome is known", key.node);
                return Err(Refusal::conflict(Code::NotAsked, message).into());
            }
            Outcome::Failed(_) | Outcome::Unknown => {}
        }
        self.answer(key, attempt, outcome, spent);
        Ok(())
    }

    /// Whether an answer to the attempt counts.
    fn is_open_for(&self, key: &StepKey, attempt: u32) -> bool {
        self.run.ended.is_none()
            && self.run.steps.get(key).is_some_and(|step| {
                // An answer that comes after the step was given up as unknown still settles it.
                matches!(step.state, StepState::Started { .. } | StepState::Unknown)
                    && step.attempt == attempt
                    // A step with a body is ended by its iterations.
                    && step.iterations.is_none()
            })
    }

    /// Returns the node of a step that is asked of an agent of ours. No other has an answer from outside: a person's comes
    /// by `approve`, a worker's by `finished`, and what this process does itself it knows itself.
    fn agent_of<'p>(&self, plan: &'p Plan, key: &StepKey) -> Result<(&'p Node, &'p AgentNode), Refusal> {
        let node = plan.by_id.get(&*key.node).map(|ix| &plan.node(*ix).node);
        node.and_then(|node| Some((node, node.kind.asks_agent()?))).ok_or_else(|| {
            let (run, node) = (&self.run.id, &key.node);
            let message =
                format!("node {node} of run {run} is not asked of an agent: none may answer for it");
            Refusal::conflict(Code::NotAsked, message)
        })
    }

    fn is_at_most_once(&self, key: &StepKey) -> bool {
        let ix = self.plan.by_id.get(&*key.node);
        ix.is_some_and(|ix| self.plan.node(*ix).node.effect == EffectMode::AtMostOnce)
    }

    /// Grants an attempt that is performed at most once to the activation that asks first. When another one asks, the
    /// first may have died in the middle of the call, so the step becomes unknown.
    pub(super) fn grant(&mut self, key: &StepKey, attempt: u32, activation: &str) {
        let Some(step) = self.run.steps.get(key) else { return };
        let StepState::Started { granted } = &step.state else { return };
        if step.attempt != attempt || self.run.ended.is_some() || !self.is_at_most_once(key) {
            return;
        }
        match granted {
            None => {
                self.put(What::StepGranted { step: key.clone(), attempt, activation: activation.to_owned() })
            }
            // The holder asks again because it did not hear the answer. The shell reads the grant from the state.
            Some(holder) if holder == activation => {}
            Some(_) => self.put(What::StepUnknown { step: key.clone(), attempt }),
        }
    }

    /// Sets aside one more call for an agent that loops. If the budget does not allow it, nothing is recorded: the
    /// shell answers with whether the run knows `op` afterwards. Errs with `not_asked` if no agent of ours can ask
    /// this.
    pub(super) fn reserve(
        &mut self,
        op: &OperationId,
        key: &StepKey,
        attempt: u32,
        reserved: Reserved,
    ) -> Result<(), Refusal> {
        let plan = self.plan.clone();
        self.agent_of(&plan, key)?;
        // The name of the operation begins with the task's, so the agent of one step can't spend for another.
        let task = format!("{}/{key}/{attempt}/", self.run.id);
        // An agent asks for one call at a time. More would take the budget away from the other steps.
        let one =
            reserved.calls == 1 && u32::try_from(reserved.tokens).is_ok() && reserved.cost <= Usage::LIMIT;
        let budget = plan.definition.settings.budget.as_ref();
        // Without a budget of money none is set aside: the agent does not know of it.
        let has_cost = budget.is_some_and(|budget| budget.cost.is_some());
        let reserved = Reserved { cost: if has_cost { reserved.cost } else { 0 }, ..reserved };
        if budget.is_none() || !one || !op.as_str().starts_with(&task) || op.as_str().len() > OP_LIMIT {
            let message = format!("this is no reservation that an agent of step {key} asks for");
            return Err(Refusal::conflict(Code::NotAsked, message));
        }
        let Some(step) = self.run.steps.get(key) else { return Ok(()) };
        let started = matches!(step.state, StepState::Started { .. }) && self.run.ended.is_none();
        if self.run.knows(op) || step.attempt != attempt || !started || self.breach(reserved).is_some() {
            return Ok(());
        }
        self.put(What::BudgetReserved { step: key.clone(), attempt, reserved, op: op.clone() });
        Ok(())
    }
}
