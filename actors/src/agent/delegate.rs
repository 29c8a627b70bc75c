//! Delegation between agents: a task for an actor of its own, whose answer comes back as a call of `delegated`.
//!
//! The other actor's id derives from the call, so that a call made again finds the one that works on it, or its
//! answer. Nobody waits in a turn: the agent that delegated has its own wake, and asks again while nothing comes. Where it
//! cannot be called, because somebody outside waits for it, it looks after the answer itself.

use super::{Actor, Agents, Mem, Target, home, perform::Answer};
use crate::{
    AGENT,
    mutant::{Rule, holds},
    reply::{Fault, Reply},
    tasks::pause,
    values,
};
use callboard_core::{
    Datum, Hash,
    agent::{
        delegate,
        message::ToolCall,
        run::{Ending, Input, Phase, Run},
        task::{Origin, Task},
    },
    call::{CallError, Usage},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// After so long a delegated task may be handed over again.
const REPEAT: Duration = Duration::from_secs(25);

/// What came of a delegated task.
#[derive(Deserialize)]
pub(super) struct Delegated {
    attempt: u32,
    iteration: u32,
    call: String,
    from: String,
    outcome: Ending,
    usage: Usage,
}

/// A delegated part of a task.
#[derive(Deserialize)]
pub(super) struct Part {
    attempt: u32,
    iteration: u32,
    call: String,
}

/// Returns the name of the effect, among those under way.
pub(super) fn name(iteration: u32, call: &str) -> String {
    format!("delegate {iteration} {call}")
}

/// Returns the id of the actor that performs a delegated task. Whatever the depth, ids stay short.
fn child(id: &str, attempt: u32, iteration: u32, call: &str) -> String {
    let (attempt, iteration) = (attempt.to_le_bytes(), iteration.to_le_bytes());
    let hash = Hash::chain(&[id.as_bytes(), &attempt, &iteration, call.as_bytes()]);
    // Iterations are numbers, so no step's agent has such an end.
    let own = id.rsplit_once('.').and_then(|(rest, _)| rest.strip_suffix(".sub"));
    format!("{}.sub.{hash}", own.unwrap_or(id))
}

fn answer(id: &str, origin: &Origin, run: &Run, outcome: &Ending) -> Value {
    let attempt = run.task.as_ref().map_or(0, |t| t.attempt);
    json!({
        "attempt": attempt, "iteration": origin.iteration, "call": origin.call, "from": id,
        "outcome": outcome, "usage": run.usage,
    })
}

impl Agents {
    /// Hands a part of the task over, again if nothing has come of it after a while.
    pub(super) async fn delegate(
        &self,
        id: &str,
        run: &Run,
        target: Option<&Target>,
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
        let part = Task {
            agent: request.agent.clone(),
            input: Datum::inline(delegate::input(&request, profile)),
            key: format!("{}/{iteration}/{}", task.key, call.id),
            // The run knows its attempts only.
            attempt,
            output_schema: None,
            at_most_once: false,
            budgeted: task.budgeted,
            origin: Some(Origin {
                depth: delegate::depth(task) + 1,
                agent: id.to_owned(),
                iteration,
                call: call.id.clone(),
            }),
            secrets: task.secrets.clone(),
        };
        let body = json!({
            "run": target.map(|t| &t.run), "step": target.map(|t| &t.step), "task": part,
        });
        let child = child(id, attempt, iteration, &call.id);
        for wait in [0, 100, 500, 2000] {
            pause(Duration::from_millis(wait)).await;
            let Some(answer) = self.ask(AGENT, &child, "task", &body).await else { continue };
            if let Some(detail) = answer["error"]["detail"].as_str() {
                let error = CallError::permanent("delegate_refused", detail);
                let input =
                    Input::ToolAnswered { attempt, iteration, id: call.id.clone(), result: Err(error) };
                return self.report(id, input).await;
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
        self.land(id, &name(iteration, &call.id)).await;
    }

    /// Looks after the answer; returns what to report instead if it can't be had. Whoever called `execute` holds this
    /// actor's turn at the sidecar until the end, so nobody else can call it.
    async fn fetch_outcome(
        &self,
        id: &str,
        child: &str,
        part: &Task,
        iteration: u32,
        call: &str,
    ) -> Option<Input> {
        let (mut wait, body) = (Duration::from_millis(50), json!({ "attempt": part.attempt }));
        loop {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(2));
            let Some(answer) = self.ask(AGENT, child, "outcome", &body).await else { continue };
            if answer["works"] == false {
                // It has lost the task: it is handed over again.
                return None;
            }
            if let Ok(done) = serde_json::from_value::<Delegated>(answer) {
                match self.delegated(id, done).await {
                    Ok(_) => return None,
                    Err(fault) if matches!(fault.status, 429 | 500..) => {}
                    Err(fault) => {
                        let result = Err(CallError::permanent(&fault.code, &fault.detail));
                        return Some(Input::ToolAnswered {
                            attempt: part.attempt,
                            iteration,
                            id: call.to_owned(),
                            result,
                        });
                    }
                }
            }
        }
    }

    /// Answers what came of a delegated task, nothing while it is under way.
    pub(super) async fn outcome(&self, id: &str) -> Reply {
        let run = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        let origin = run.task.as_ref().and_then(|t| t.origin.clone());
        match (&run.phase, origin) {
            (Phase::Done { outcome }, Some(origin)) => Ok(answer(id, &origin, &run, outcome)),
            (Phase::Done { .. }, None)
            | (Phase::Idle | Phase::Reserving | Phase::Thinking { .. } | Phase::Acting { .. }, _) => {
                Ok(json!({ "works": run.works() }))
            }
        }
    }

    /// Answers whether this agent waits for what it delegated by a call.
    pub(super) async fn awaits(&self, id: &str, part: Part) -> Reply {
        let now = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        let is_it = now.task.as_ref().is_some_and(|t| t.attempt == part.attempt);
        Ok(json!({ "awaits": is_it && now.delegated().contains(&(part.iteration, part.call)) }))
    }

    /// Takes the answer of an agent that a part of this one's task was delegated to.
    pub(super) async fn delegated(&self, id: &str, body: Delegated) -> Reply {
        let Delegated { attempt, iteration, call, from, outcome, usage } = body;
        if from != child(id, attempt, iteration, &call) {
            self.services.metrics.refused("delegated");
            let message = format!("agent {id} has delegated nothing to this one");
            tracing::warn!(id, "what nobody was asked for is refused");
            return Err(Fault::new(409, "not_asked", message));
        }
        let now = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        let waits = now.task.as_ref().is_some_and(|t| t.attempt == attempt)
            && now.delegated().contains(&(iteration, call.clone()));
        if !waits {
            return Ok(json!({}));
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
        self.turn(id, Input::Delegated { attempt, iteration, id: call, from, result, usage }, None).await?;
        Ok(json!({}))
    }

    /// Reads an answer that another agent saved.
    async fn adopted(&self, id: &str, output: &Datum) -> Result<Arc<Value>, Fault> {
        let reference = match output {
            Datum::Inline(value) => return Ok(value.clone()),
            Datum::Stored(reference) => reference,
        };
        let wanted = [(reference.key.clone(), reference.size)];
        let found = values::load(&self.services, home(id), &wanted).await;
        let found = found.map_err(|_| Fault::unavailable("the answer can't be read now"))?;
        let data = found.get(&reference.key).filter(|data| Hash::of(data) == reference.hash);
        let value = data.and_then(|data| serde_json::from_slice(data).ok()).map(Arc::new);
        value.ok_or_else(|| Fault::new(410, "value_lost", "the answer's value is not in the store"))
    }

    /// What is told to the agent that delegated a task.
    pub(super) fn answer_to(&self, id: &str, origin: &Origin, run: &Run, outcome: &Ending) -> Answer {
        let body = answer(id, origin, run, outcome);
        Answer { kind: AGENT, id: origin.agent.clone(), method: "delegated", body }
    }

    /// Tells the agents that work for a task which is not under way any more.
    pub(super) fn abandon(&self, id: &str, attempt: u32, calls: Vec<(u32, String)>) {
        for (iteration, call) in calls {
            let (this, child) = (self.clone(), child(id, attempt, iteration, &call));
            self.tasks.spawn_until_stop(async move {
                // Best effort: one that is not told works for nobody, and its answer changes nothing.
                this.ask(AGENT, &child, "cancel", &json!({ "attempt": attempt })).await;
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

    pub(super) fn tell(self, agents: &Agents, id: &str, mem: &Mem) {
        let other = mem.run.task.as_ref().is_none_or(|t| t.attempt != self.attempt);
        if !self.calls.is_empty() && (other || !mem.run.works()) && holds(Rule::CancelAgent) {
            agents.abandon(id, self.attempt, self.calls);
        }
    }
}

impl Actor {
    /// Whether a delegated part is under way.
    pub(super) fn waits_for_others(&self) -> bool {
        self.in_flight.iter().any(|(_, name)| name.starts_with("delegate "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delegates_id_is_the_calls_and_does_not_grow() {
        let first = child("run.ask.1._", 1, 2, "call_0");
        assert_eq!(first, child("run.ask.1._", 1, 2, "call_0"));
        assert_ne!(first, child("run.ask.1._", 2, 2, "call_0"));
        assert!(first.starts_with("run.ask.1._.sub."));
        let second = child(&first, 1, 1, "call_0");
        assert!(second.starts_with("run.ask.1._.sub.") && second != first);
        assert_eq!(second.len(), first.len());
        assert!(child("outside", 1, 1, "x").starts_with("outside.sub."));
    }
}
