//! What comes back of a step's call: its answer, and on the way the grant and the reservations it asks for.
//!
//! A late or repeated one yields nothing. One that nobody can have been asked for is refused: it is not late, it is forged.

use super::{Decision, Halt};
use crate::{
    Code,
    call::Usage,
    id::OperationId,
    schema::Validator,
    workflow::{
        Plan,
        definition::{AgentNode, EffectMode, Node},
        event::{Outcome, Refusal, Reserved, StepKey, What},
        run::StepState,
    },
};

/// An operation's name in bytes: it names the task, and the round of each agent that passed it on.
const OP_LIMIT: usize = 4096;

impl Decision<'_> {
    /// An answer counts only for the attempt that is open; anything else is late and yields nothing.
    pub(super) fn answer(&mut self, key: &StepKey, attempt: u32, outcome: &Outcome, usage: Usage) {
        if !self.is_open_for(key, attempt) {
            return;
        }
        match outcome {
            Outcome::Done(output) => self.complete(key, attempt, output.clone(), None, Some(usage)),
            Outcome::Failed(error) if !(error.leaves_unknown() && self.is_at_most_once(key)) => {
                self.fail(key, attempt, error.clone(), Some(usage));
            }
            Outcome::Failed(_) | Outcome::Unknown => {
                if !self.run.steps.get(key).is_some_and(|step| step.state == StepState::Unknown) {
                    self.put(What::StepUnknown { step: key.clone(), attempt });
                }
            }
        }
    }

    /// The same, said by an agent, or by somebody in its name.
    pub(super) fn agent_answer(
        &mut self,
        key: &StepKey,
        attempt: u32,
        outcome: &Outcome,
        usage: Usage,
    ) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let (node, agent) = self.agent_of(&plan, key)?;
        if !self.is_open_for(key, attempt) {
            return Ok(());
        }
        match outcome {
            Outcome::Done(output) => {
                // A schema that can't be used any more was no mistake when the run began.
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
        self.answer(key, attempt, outcome, usage);
        Ok(())
    }

    /// Whether an answer to the attempt counts.
    fn is_open_for(&self, key: &StepKey, attempt: u32) -> bool {
        self.run.ended.is_none()
            && self.run.steps.get(key).is_some_and(|step| {
                matches!(step.state, StepState::Started { .. } | StepState::Unknown)
                    && step.attempt == attempt
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
            Some(holder) if holder == activation => {}
            Some(_) => self.put(What::StepUnknown { step: key.clone(), attempt }),
        }
    }

    /// One more call of an agent's, where the run has a budget. Its operation is named after the task.
    pub(super) fn reserve(
        &mut self,
        op: &OperationId,
        key: &StepKey,
        attempt: u32,
        reserved: Reserved,
    ) -> Result<(), Refusal> {
        let plan = self.plan.clone();
        self.agent_of(&plan, key)?;
        let task = format!("{}/{key}/{attempt}/", self.run.id);
        let one = reserved.calls == 1 && u32::try_from(reserved.tokens).is_ok();
        if plan.definition.settings.budget.is_none()
            || !one
            || !op.as_str().starts_with(&task)
            || op.as_str().len() > OP_LIMIT
        {
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
