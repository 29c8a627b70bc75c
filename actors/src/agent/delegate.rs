//! Delegation between agents: a task for an actor of its own, whose answer comes back as a call of `delegated`.
//!
//! The other actor's id derives from the call, so that a call made again finds the one that works on it, or its
//! answer. Nobody waits in a turn: the agent that delegated has its own wake, and asks again while nothing comes. Where it
//! cannot be called, because somebody outside waits for it, it looks after the answer itself.

use super::{Agents, Mem, Target, job::Job, reason::Turn};
use crate::{
    kernel::Ladder,
    line::Owner,
    mutant::rule,
    protocol::{
        Fault, Taken, Unanswered,
        agent::{AskOutcome, Awaits, Cancel, Delegated, DoesAwait, Outcome, TaskReady},
        ask,
    },
    stored_values,
};
use callboard_core::{
    Code, Datum, Hash,
    agent::{
        delegate,
        message::ToolCall,
        run::{Ending, Input, Phase, Run},
        task::{Origin, Task},
    },
    call::CallError,
    id::AgentId,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// Waits before the tries to hand a task over.
const HAND_OVER: Ladder = Ladder::of(&[0, 100, 500, 2000]);
/// After so long a delegated task may be handed over again.
const REPEAT: Duration = Duration::from_secs(25);

/// Returns what is told to the agent that delegated a task.
pub(super) fn outcome_of(id: &AgentId, origin: &Origin, run: &Run, outcome: &Ending) -> Delegated {
    Delegated {
        attempt: run.task.as_ref().map_or(0, |t| t.attempt),
        iteration: origin.iteration,
        call: origin.call.clone(),
        from: id.clone(),
        outcome: outcome.clone(),
        usage: run.usage,
    }
}

/// Returns the part of a task that another agent is to do.
fn part_of(task: &Task, origin: Origin, agent: String, input: Value) -> Task {
    Task {
        agent,
        input: Datum::inline(input),
        key: format!("{}/{}/{}", task.key, origin.iteration, origin.call),
        // The run knows its attempts only.
        attempt: task.attempt,
        output_schema: None,
        at_most_once: false,
        budgeted: task.budgeted,
        origin: Some(origin),
        secrets: task.secrets.clone(),
        pin: task.pin,
    }
}

impl Agents {
    /// Hands a part of the task over, again if nothing has come of it after a while.
    pub(super) async fn delegate(
        &self,
        id: &AgentId,
        run: &Run,
        (target, owner): (Option<&Target>, &Owner),
        iteration: u32,
        call: &ToolCall,
    ) {
        let (Some(task), Some(profile)) = (&run.task, run.profile.as_deref()) else { return };
        let attempt = task.attempt;
        let request = match delegate::check(profile, call) {
            Ok(request) => request,
            Err(error) => {
                let input =
                    Input::ToolAnswered { attempt, iteration, id: call.id.clone(), result: Err(error) };
                return self.report(id, input).await;
            }
        };
        let origin =
            Origin { depth: delegate::depth(task) + 1, agent: id.clone(), iteration, call: call.id.clone() };
        let part = part_of(task, origin, request.agent.clone(), delegate::input(&request, profile));
        let ready = TaskReady {
            run: target.map(|t| t.run.clone()),
            step: target.map(|t| t.step.clone()),
            workflow: owner.workflow.clone(),
            first: None,
            task: part.clone(),
        };
        let child = id.delegate(attempt, iteration, &call.id);
        let mut tries = HAND_OVER;
        while tries.climb().await {
            match ask(&self.services, &child, &ready).await {
                Ok(_) => {}
                Err(Unanswered::Silent(_)) => continue,
                Err(Unanswered::Refused(fault)) => {
                    let result = Err(CallError::permanent("delegate_refused", &fault.detail));
                    let input = Input::ToolAnswered { attempt, iteration, id: call.id.clone(), result };
                    return self.report(id, input).await;
                }
            }
            match target {
                Some(_) => tokio::time::sleep(self.services.settings.pause(REPEAT)).await,
                None => {
                    let input = self.fetch_outcome(id, &child, &part, iteration, &call.id).await;
                    if let Some(input) = input {
                        return self.report(id, input).await;
                    }
                }
            }
            break;
        }
        let job = Job::Delegate { iteration, call: call.id.clone() };
        self.forget_jobs(id, |known| *known == job).await;
    }

    /// Looks after the answer; returns what to report instead if it can't be had. Whoever called `execute` holds this
    /// actor's turn at the sidecar until the end, so nobody else can call it.
    async fn fetch_outcome(
        &self,
        id: &AgentId,
        child: &AgentId,
        part: &Task,
        iteration: u32,
        call: &str,
    ) -> Option<Input> {
        let (mut wait, question) = (Duration::from_millis(50), AskOutcome { attempt: part.attempt });
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
            let done = match ask(&self.services, child, &question).await {
                // It has lost the task: it is handed over again.
                Ok(Outcome::Open { works: false }) => return None,
                Ok(Outcome::Done(done)) => done,
                Ok(Outcome::Open { works: true }) | Err(_) => continue,
            };
            match self.delegated(id, done).await {
                Ok(_) => return None,
                Err(fault) if fault.is_transient() => {}
                Err(fault) => {
                    let (attempt, id) = (part.attempt, call.to_owned());
                    let result = Err(CallError::permanent(fault.code.as_str(), &fault.detail));
                    return Some(Input::ToolAnswered { attempt, iteration, id, result });
                }
            }
        }
    }

    /// Answers what came of a delegated task, nothing while it is under way.
    pub(super) async fn outcome(&self, id: &AgentId) -> Result<Outcome, Fault> {
        let run = self.turn(id, Turn::Look).await?;
        let origin = run.task.as_ref().and_then(|t| t.origin.clone());
        match (&run.phase, origin) {
            (Phase::Done { outcome }, Some(origin)) => {
                Ok(Outcome::Done(outcome_of(id, &origin, &run, outcome)))
            }
            (Phase::Done { .. }, None)
            | (Phase::Idle | Phase::Reserving | Phase::Thinking { .. } | Phase::Acting { .. }, _) => {
                Ok(Outcome::Open { works: run.works() })
            }
        }
    }

    /// Answers whether this agent waits for what it delegated by a call.
    pub(super) async fn awaits(&self, id: &AgentId, part: DoesAwait) -> Result<Awaits, Fault> {
        let now = self.turn(id, Turn::Look).await?;
        let is_it = now.task.as_ref().is_some_and(|t| t.attempt == part.attempt);
        Ok(Awaits { awaits: is_it && now.delegated().contains(&(part.iteration, part.call)) })
    }

    /// Takes the answer of an agent that a part of this one's task was delegated to.
    pub(super) async fn delegated(&self, id: &AgentId, body: Delegated) -> Result<Taken, Fault> {
        let Delegated { attempt, iteration, call, from, outcome, usage } = body;
        if from != id.delegate(attempt, iteration, &call) {
            self.services.metrics.refused("delegated");
            let message = format!("agent {id} has delegated nothing to this one");
            tracing::warn!(%id, "what nobody was asked for is refused");
            return Err(Fault::new(409, Code::NotAsked, message));
        }
        let now = self.turn(id, Turn::Look).await?;
        let waits = now.task.as_ref().is_some_and(|t| t.attempt == attempt)
            && now.delegated().contains(&(iteration, call.clone()));
        if !waits {
            return Ok(Taken {});
        }
        let result = match outcome {
            Ending::Completed(output) => Ok((*self.adopted(id, &output).await?).clone()),
            Ending::Failed(error) => Err(error),
            Ending::Unknown => {
                Err(CallError::permanent("unknown_outcome", "nobody knows whether it was performed"))
            }
            Ending::Cancelled => Err(CallError::permanent("cancelled", "the task was cancelled")),
        };
        let usage = usage.believed();
        self.turn(
            id,
            Turn::Input(Box::new(Input::Delegated { attempt, iteration, id: call, from, result, usage })),
        )
        .await?;
        Ok(Taken {})
    }

    /// Reads an answer that another agent saved.
    async fn adopted(&self, id: &AgentId, output: &Datum) -> Result<Arc<Value>, Fault> {
        let reference = match output {
            Datum::Inline(value) => return Ok(value.clone()),
            Datum::Stored(reference) => reference,
        };
        let wanted = [(reference.key.clone(), reference.size)];
        let found = stored_values::load(&self.services, id.home(), &wanted).await;
        let found = found.map_err(|_| Fault::unavailable("the answer can't be read now"))?;
        let data = found.get(&reference.key).filter(|data| Hash::of(data) == reference.hash);
        let value = data.and_then(|data| serde_json::from_slice(data).ok()).map(Arc::new);
        value.ok_or_else(|| Fault::new(410, Code::ValueLost, "the answer's value is not in the store"))
    }

    /// Tells the agents that work for a task which is not under way any more.
    pub(super) fn abandon(&self, id: &AgentId, attempt: u32, calls: Vec<(u32, String)>) {
        for (iteration, call) in calls {
            let (this, child) = (self.clone(), id.delegate(attempt, iteration, &call));
            self.tasks.spawn_until_stop(async move {
                // Best effort: one that is not told works for nobody, and its answer changes nothing.
                let _ = ask(&this.services, &child, &Cancel { attempt: Some(attempt) }).await;
            });
        }
    }
}

/// What a task delegated before a turn, to be told if the turn ends it.
pub(super) struct Before {
    attempt: u32,
    calls: Vec<(u32, String)>,
}

impl Before {
    pub(super) fn of(mem: &Mem) -> Self {
        Self { attempt: mem.run.task.as_ref().map_or(0, |t| t.attempt), calls: mem.run.delegated() }
    }

    pub(super) fn tell(self, agents: &Agents, id: &AgentId, mem: &Mem) {
        let other = mem.run.task.as_ref().is_none_or(|t| t.attempt != self.attempt);
        if !self.calls.is_empty() && rule!(CancelAgent, other || !mem.run.works()) {
            agents.abandon(id, self.attempt, self.calls);
        }
    }
}
