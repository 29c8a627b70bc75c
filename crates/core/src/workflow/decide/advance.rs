//! What follows by itself: ready nodes start, graphs end, until nothing more follows or the decision is long enough.
//!
//! A join fires on the set of ended parents, never on a counter. Steps not yet started have no state: whether a node
//! is ready is read off its parents each time (`ready`). Due instants and signals are in `due`, what a node needs to start
//! in `prepare` and `room`, iterations in `bodies`, outputs in `ending`.

mod bodies;
mod due;
mod ending;
mod guard;
mod prepare;
mod ready;
mod room;
mod tried;

use super::{Decision, Halt, context::Scope, within};
use crate::{
    Datum, Stop,
    call::{CallError, Spent},
    workflow::{
        event::{StepKey, What},
        kinds::{Holds, Work},
        plan::NodeIx,
        run::{NodeState, Step, StepState},
    },
};
use prepare::Prepared;
use ready::Ready;
use serde_json::Value;
use std::collections::BTreeSet;

impl Decision<'_> {
    /// Makes every event that follows without another input, until none follows or the decision is full.
    pub(super) fn advance(&mut self) -> Result<(), Halt> {
        if self.run.ended.is_some() {
            // The one event that is left to an ended run: its state goes when the retention is over.
            if !self.run.purging && self.run.retained_until().is_none_or(|until| self.at >= until) {
                self.put(What::RunPurging {});
            }
            return Ok(());
        }
        // While the run is paused nothing starts and no deadline ends anything. Answers were recorded by `take`.
        if self.run.paused.is_some() {
            return Ok(());
        }
        // The run's wall time comes first: once it is used up, what is due in the same instant must not be started
        // again.
        self.spend_time();
        self.due();
        loop {
            // The state to go back to if this round is only a probe.
            let (before, made) = (self.run.clone(), self.events.len());
            let full = self.is_full();
            if full {
                self.probe();
            }
            if self.run.ended.is_none() {
                // Signals are taken in each round, because a step that started in this decision may wait for one that
                // came before.
                self.take_signals();
                match self.scope(&Scope::root()) {
                    Ok(()) => {}
                    // The decision is made again, from its beginning, once the value is loaded. What was worked out
                    // so far cost too much to do it twice, so it is recorded now.
                    Err(Stop::Missing(_)) if self.is_worth_keeping() => {
                        // The event of a probe is beyond the limit, so it is taken back.
                        if full {
                            self.run = before;
                            self.events.truncate(made);
                        }
                        self.put(What::DecisionCut {});
                        return Ok(());
                    }
                    Err(halt) => return Err(halt),
                }
            }
            if self.events.len() == made {
                return Ok(());
            }
            if full {
                // More would follow: leave it to the next turn.
                self.run = before;
                self.events.truncate(made);
                self.put(What::DecisionCut {});
                return Ok(());
            }
        }
    }

    /// Starts what is ready in one graph, and ends the graph when everything in it has ended.
    fn scope(&mut self, scope: &Scope) -> Result<(), Halt> {
        let plan = self.plan.clone();
        let made = self.events.len();
        let mut all_ended = true;
        // Disabled nodes that were reached. Parents come first, so it is known of all of them.
        let mut passed = BTreeSet::new();
        let part = self.part(scope);
        for ix in &plan.graphs[scope.graph as usize].nodes {
            // A failure of the last node may have ended this body or the run. Nothing more may start in it.
            if self.is_full() || self.run.ended.is_some() || !self.is_open(scope) {
                return Ok(());
            }
            match self.node_state(*ix, &scope.path) {
                NodeState::Open => {
                    all_ended = false;
                    if let Some((key, step)) = self.step_of(*ix, &scope.path).map(|(k, s)| (k, s.clone())) {
                        self.hold(scope, *ix, &key, &step)?;
                    }
                }
                NodeState::Completed(_) | NodeState::Failed | NodeState::Skipped | NodeState::Cancelled => {}
                NodeState::None => {
                    let ready = self.ready_in(&part, *ix, &scope.path, &passed);
                    if matches!(ready, Ready::Wait) {
                        all_ended = false;
                        continue;
                    }
                    let key = StepKey::new(self.run.generation(), &plan.node(*ix).node.id, &scope.path);
                    match ready {
                        Ready::Wait => {}
                        Ready::Skip => self.put(What::StepSkipped { step: key }),
                        // A node that is skipped, unlike one that is left unstarted, lets the graph come to its end.
                        Ready::Start if self.run.wrap_up => self.put(What::StepSkipped { step: key }),
                        // One that is left out neither starts nor fails.
                        Ready::Start | Ready::Never if plan.node(*ix).node.disabled => {
                            self.put(What::StepSkipped { step: key });
                        }
                        Ready::Start => all_ended &= self.start(scope, *ix, &key)?,
                        Ready::Never => {
                            // It never started, but it fails like a first attempt, so that `on_error` applies.
                            let message = "too few of the edges its join waits for were taken";
                            self.fail(
                                &key,
                                1,
                                CallError::permanent("join_unsatisfied", message),
                                Spent::default(),
                            );
                        }
                    }
                }
            }
            if self.is_passed(*ix, &scope.path, &passed) {
                passed.insert(*ix);
            }
        }
        // The scope ends only in a round that changed nothing: an event of this round may have ended it already.
        if all_ended && self.events.len() == made && self.run.ended.is_none() {
            self.end_scope(scope)?;
        }
        Ok(())
    }

    /// Whether the iteration a scope stands for is still open.
    fn is_open(&self, scope: &Scope) -> bool {
        let Some(owner) = self.plan.graphs[scope.graph as usize].owner else { return true };
        let Some((outer, index)) = scope.split() else { return false };
        let key = StepKey::new(self.run.generation(), &self.plan.node(owner).node.id, outer);
        let step = self.run.steps.get(&key);
        step.and_then(|s| s.iterations.as_ref()).is_some_and(|i| i.open.contains(&index))
    }

    /// Goes on with an open step: starts and joins the iterations of its body, or cancels it if the run wraps up.
    fn hold(&mut self, scope: &Scope, ix: NodeIx, key: &StepKey, step: &Step) -> Result<(), Halt> {
        let plan = self.plan.clone();
        // Nobody is at work on a step in these states, so it can be cancelled.
        let rests = matches!(step.state, StepState::Retrying { .. } | StepState::Unknown);
        let ends = match plan.node(ix).node.kind.work() {
            Work::Holds(Holds::ForEach(node)) => return self.for_each(scope, ix, key, node.parallel),
            Work::Holds(Holds::Loop(node)) => return self.repeat(scope, ix, key, &node.until, node.max),
            Work::Waits(_) => true,
            // A call under way is paid for: wrapping up waits for its answer.
            Work::Outside(_) | Work::Decided => rests,
        };
        if ends && self.run.wrap_up {
            self.put(What::StepCancelled { step: key.clone() });
        }
        Ok(())
    }

    /// Starts a node. Returns whether it has ended at once; a node that finds no free place stays unstarted.
    fn start(&mut self, scope: &Scope, ix: NodeIx, key: &StepKey) -> Result<bool, Halt> {
        let plan = self.plan.clone();
        let node = plan.node(ix);
        if let Some((output, branch)) = self.pinned(ix)? {
            self.complete(key, 1, output, branch, Spent::default());
            return Ok(true);
        }
        // Room is looked for before anything is evaluated: a node without room comes here again in each decision.
        if node.node.kind.outside().is_some() && !self.has_room() {
            return Ok(false);
        }
        let context = Value::Object(self.context(scope, &node.reads)?);
        let prepared = self.prepare(&node.node.kind, &context);
        match self.guarded(scope, ix, prepared)? {
            Ok(Prepared::Ended { output, branch }) => {
                self.complete(key, 1, Datum::inline(output), branch, Spent::default());
                Ok(true)
            }
            Ok(Prepared::Open { input, deadline }) => {
                let input = Datum::inline(input);
                if let Err(error) = within("input", &input) {
                    self.fail(key, 1, error, Spent::default());
                    return Ok(true);
                }
                let input = Some(input);
                // The budget did not allow it. What that means is recorded already.
                let Some(reserved) = self.reservation(key, ix, input.as_ref()) else { return Ok(false) };
                let deadline = deadline.or(node.node.timeout.map(|t| self.at + t));
                self.put(What::StepStarted { step: key.clone(), attempt: 1, input, deadline, reserved });
                // A node with a body begins its first iterations in the same decision.
                if let Some((key, step)) = self.step_of(ix, &scope.path).map(|(k, s)| (k, s.clone())) {
                    self.hold(scope, ix, &key, &step)?;
                }
                Ok(false)
            }
            Err(error) => {
                self.fail(key, 1, error, Spent::default());
                Ok(true)
            }
        }
    }
}
