//! Whether a step may start now: the budget's reservation, and how many run at once.

use super::Decision;
use crate::{
    Datum,
    workflow::{
        event::{Reserved, StepKey, What},
        plan::NodeIx,
        run::StepState,
    },
};

impl Decision<'_> {
    /// Returns what to set aside for a step's call: zero for what is no agent's, or where there is no budget. Returns
    /// `None` if the budget does not allow the call; then the breach is recorded, and what became of the step.
    pub(super) fn reservation(
        &mut self,
        key: &StepKey,
        ix: NodeIx,
        input: Option<&Datum>,
    ) -> Option<Reserved> {
        let plan = self.plan.clone();
        let Some(agent) = plan.node(ix).node.kind.agent() else { return Some(Reserved::default()) };
        let Some(budget) = &plan.definition.settings.budget else { return Some(Reserved::default()) };
        let mut reserved = Reserved { calls: 1, ..Reserved::default() };
        if budget.tokens.is_some() || budget.cost.is_some() {
            let settings = self.run.created.as_ref().map(|c| &c.settings);
            // The server pinned the agents' largest answers when the run began. An agent that it did not know (a
            // worker outside) has none set aside.
            let answer = settings.and_then(|s| s.max_tokens.get(&agent.agent)).copied().unwrap_or(0);
            let prompt = match input {
                Some(Datum::Inline(v)) => crate::value::json_len(v) as u64,
                Some(Datum::Stored(r)) => r.size,
                None => 0,
            };
            // About four characters are a token.
            let (answer, prompt) = (u64::from(answer), prompt.div_ceil(4));
            if budget.tokens.is_some() {
                reserved.tokens = answer.saturating_add(prompt);
            }
            // What a worker outside costs nobody knows.
            if let Some(price) = settings.and_then(|s| s.prices.get(&agent.agent))
                && budget.cost.is_some()
            {
                reserved.cost = price.of(prompt, 0, answer);
            }
        }
        let Some(limit) = self.breach(reserved) else { return Some(reserved) };
        self.breached(limit, Some(&key.node));
        // The run wraps up, without this step.
        if self.run.ended.is_none() {
            // A retry has a step that can be cancelled; a first attempt has none yet.
            let done = self.run.steps.contains_key(key);
            self.put(if done {
                What::StepCancelled { step: key.clone() }
            } else {
                What::StepSkipped { step: key.clone() }
            });
        }
        None
    }

    /// Whether another step may be dispatched.
    pub(super) fn has_room(&self) -> bool {
        // Each node that is ready asks. The answer changes only with an event, so it is kept until the next one.
        match self.room.get() {
            Some((made, room)) if made == self.events.len() => room,
            Some(_) | None => {
                let room = self.count_room();
                self.room.set(Some((self.events.len(), room)));
                room
            }
        }
    }

    /// Counts the calls under way. A step between two attempts takes no place.
    fn count_room(&self) -> bool {
        let setting = self.run.created.as_ref().map_or(64, |c| c.settings.dispatch);
        // A definition may ask for less than the server allows, not for more.
        let limit = self.plan.definition.settings.parallel.unwrap_or(setting).min(setting).max(1);
        let running = self.run.open.iter().filter(|key| {
            let step = self.run.steps.get(*key);
            step.is_some_and(|s| matches!(s.state, StepState::Started { .. }))
                && self
                    .plan
                    .by_id
                    .get(&*key.node)
                    .is_some_and(|ix| self.plan.node(*ix).node.kind.outside().is_some())
        });
        running.count() < limit as usize
    }
}
