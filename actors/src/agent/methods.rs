//! The methods of the `Agent` actor.

use super::{Agents, Target, reason::Turn};
use crate::pins::Pinned;
use crate::protocol::{
    Fault, Message as _, Reply, Taken, Unanswered,
    agent::{AgentStatus, AgentView, AskOutcome, Cancel, Delegated, DoesAwait, Execute, Messages, TaskReady},
    ask, parse, reply,
    run::IsWanted,
};
use callboard_core::{
    Code, Datum,
    agent::{
        message::{Message, Role},
        run::{Ending, Input, Phase, Run, echo},
        task::Task,
    },
    id::AgentId,
    workflow::event::Failure,
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

impl Agents {
    pub(super) async fn call_method(&self, id: &AgentId, method: &str, body: &[u8]) -> Reply {
        match method {
            TaskReady::METHOD => {
                let body: TaskReady = parse(body)?;
                let target = body.run.zip(body.step).map(|(run, step)| Target { run, step });
                if target.is_none() && body.task.origin.is_none() {
                    return Err(Fault::bad_request("a task is a run's, or an agent's"));
                }
                if target.as_ref().is_some_and(|target| target.run.project() != id.home().project()) {
                    return Err(Fault::bad_request("a task is of a run of the agent's own project"));
                }
                // Only an agent's first attempt: the document of an earlier one is the next one's, too.
                let is_new = body.task.attempt == 1 && body.first.is_some_and(|at| self.is_new(id, at));
                let (task, workflow) = (Box::new(body.task), body.workflow);
                self.turn(id, Turn::Task { task, target, workflow, is_new }).await?;
                reply(Ok(Taken {}))
            }
            Delegated::METHOD => reply(self.delegated(id, parse(body)?).await),
            AskOutcome::METHOD => reply(self.outcome(id).await),
            DoesAwait::METHOD => reply(self.awaits(id, parse(body)?).await),
            Execute::METHOD => reply(self.execute(id, parse(body)?).await),
            "status" => {
                let run = self.turn(id, Turn::Look).await?;
                reply(self.show(id, &run).await)
            }
            "messages" => reply(self.messages(id).await),
            Cancel::METHOD => {
                let body: Cancel = parse(body)?;
                reply(self.cancel(id, body.attempt).await)
            }
            _ => Err(Fault::new(404, Code::UnknownMethod, format!("Agent has no method {method}"))),
        }
    }

    /// The reminder fired.
    pub(super) async fn tick(&self, id: &AgentId) -> Reply {
        self.turn(id, Turn::Input(Box::new(Input::Tick))).await?;
        reply(Ok(Taken {}))
    }

    /// Performs one task for an outside caller and waits for its end.
    async fn execute(&self, id: &AgentId, body: Execute) -> Result<AgentView, Fault> {
        if !id.is_outside() {
            return Err(Fault::bad_request("an agent's id must match [A-Za-z0-9_-]{1,64}"));
        }
        if !self.services.agents.agents.contains_key(&body.agent) {
            let known: Vec<&str> = self.services.agents.agents.keys().map(String::as_str).collect();
            let message = format!("there is no agent {}; there is {}", body.agent, known.join(", "));
            return Err(Fault::new(422, Code::UnknownAgent, message));
        }
        let agents = Pinned::of(self.services.agents.resolved([&body.agent]));
        if let Some(agents) = &agents {
            self.pins
                .keep(id.home().project(), agents)
                .await
                .map_err(|error| Fault::unavailable(error.to_string()))?;
        }
        let before = self.turn(id, Turn::Look).await?;
        if before.works() {
            return Err(Fault::new(409, Code::AgentBusy, format!("agent {id} is at work already")));
        }
        let attempt = before.task.as_ref().map_or(0, |t| t.attempt) + 1;
        let task = Task {
            agent: body.agent.clone(),
            input: Datum::inline(Value::from_iter([("agent", body.agent), ("prompt", body.prompt)])),
            key: format!("{id}/{attempt}"),
            attempt,
            output_schema: body.output_schema,
            at_most_once: false,
            budgeted: false,
            origin: None,
            secrets: BTreeSet::new(),
            pin: agents.map(|agents| agents.hash),
        };
        let ended = match self.boxes.enter(id).await {
            Ok(actor) => Arc::clone(&actor.ended),
            Err(_) => return Err(mailbox_full()),
        };
        let task = Turn::Task { task: Box::new(task), target: None, workflow: None, is_new: false };
        // Registered before the task begins, so that no end is missed.
        let mut notified = Box::pin(ended.notified());
        notified.as_mut().enable();
        let mut run = self.turn(id, task).await?;
        while run.works() {
            tokio::select! {
                () = &mut notified => {}
                // The place may have been forgotten and made anew: then the notice never comes.
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
            notified.set(ended.notified());
            notified.as_mut().enable();
            run = self.turn(id, Turn::Look).await?;
        }
        self.show(id, &run).await
    }

    /// Ends a task that nobody wants any more. Of what a run still waits for, the run is asked to end it: it would wait on.
    async fn cancel(&self, id: &AgentId, attempt: Option<u32>) -> Result<Taken, Fault> {
        let now = self.turn(id, Turn::Look).await?;
        let current = now.task.as_ref().map_or(0, |t| t.attempt);
        if !now.works() || attempt.is_some_and(|a| a != current) {
            return Ok(Taken {});
        }
        let target = match self.boxes.enter(id).await {
            Ok(actor) => actor.mem.as_ref().and_then(|mem| mem.target.clone()),
            Err(_) => return Err(mailbox_full()),
        };
        if let Some(target) = target
            && self.is_waited_for(&now, &target).await?
        {
            let Target { run, step } = target;
            let message = format!(
                "agent {id} works for run {run}, which waits for its answer in step {step}: cancel the run, or give the \
                 node a `timeout`"
            );
            return Err(Fault::new(409, Code::WorksForRun, message));
        }
        if self.turn(id, Turn::Input(Box::new(Input::Cancel { attempt: current }))).await?.works() {
            return Ok(Taken {});
        }
        if let Ok(mut actor) = self.boxes.enter(id).await
            && let Some(call) = actor.call.take()
        {
            call.abort();
        }
        Ok(Taken {})
    }

    /// Whether the run, and the agent that passed the task on, wait for its answer.
    async fn is_waited_for(&self, now: &Run, target: &Target) -> Result<bool, Fault> {
        let Some(task) = &now.task else { return Ok(false) };
        let silent =
            || Fault::unavailable("whoever waits for the agent's answer can't be asked now: try again");
        let question = IsWanted { step: target.step.clone(), attempt: task.attempt };
        let wanted = match ask(&self.services, &target.run, &question).await {
            Ok(answer) => answer.wanted,
            // There is no such run any more.
            Err(Unanswered::Refused(_)) => false,
            Err(Unanswered::Silent(_)) => return Err(silent()),
        };
        let Some(origin) = task.origin.as_ref().filter(|_| wanted) else { return Ok(wanted) };
        let (iteration, call) = (origin.iteration, origin.call.clone());
        let question = DoesAwait { attempt: task.attempt, iteration, call };
        match ask(&self.services, &origin.agent, &question).await {
            Ok(answer) => Ok(answer.awaits),
            Err(Unanswered::Refused(_)) => Ok(false),
            Err(Unanswered::Silent(_)) => Err(silent()),
        }
    }

    async fn messages(&self, id: &AgentId) -> Result<Messages, Fault> {
        let unread = || Fault::unavailable("the messages can't be read now");
        let run = self.turn(id, Turn::Look).await?;
        let wanted: Vec<&Datum> = run.messages.iter().collect();
        let found = self.contents(id.home(), &wanted, &BTreeMap::new()).await.ok_or_else(unread)?;
        let said = found.iter().map(|value| serde_json::from_value((**value).clone()));
        let mut said = said.collect::<Result<Vec<Message>, _>>().map_err(|_| unread())?;
        echo(&mut said);
        // What a provider hid in its answer is between it and us.
        said.iter_mut().for_each(|message| message.extras = None);
        let mut items = Vec::new();
        if let Some(task) = &run.task
            && let Some(input) = self.content(id, &task.input).await
        {
            let prompt = input["prompt"].as_str().unwrap_or_default();
            items.push(Message::new(Role::User, prompt));
        }
        items.extend(said);
        Ok(Messages { items })
    }

    async fn content(&self, id: &AgentId, datum: &Datum) -> Option<Arc<Value>> {
        self.contents(id.home(), &[datum], &BTreeMap::new()).await?.into_iter().next()
    }

    async fn show(&self, id: &AgentId, run: &Run) -> Result<AgentView, Fault> {
        let (mut output, mut error) = (Value::Null, None);
        let status = match &run.phase {
            Phase::Idle => AgentStatus::Idle,
            Phase::Reserving | Phase::Thinking { .. } | Phase::Acting { .. } => AgentStatus::Running,
            Phase::Done { outcome: Ending::Completed(answer) } => {
                output = self.content(id, answer).await.map(|v| (*v).clone()).unwrap_or_default();
                AgentStatus::Completed
            }
            Phase::Done { outcome: Ending::Failed(why) } => {
                error = Some(Failure::from(why.clone()));
                AgentStatus::Failed
            }
            Phase::Done { outcome: Ending::Unknown } => AgentStatus::Unknown,
            Phase::Done { outcome: Ending::Cancelled } => AgentStatus::Cancelled,
        };
        let agent = run.task.as_ref().map(|t| t.agent.clone());
        Ok(AgentView {
            status,
            output,
            error,
            agent,
            usage: run.usage.into(),
            fallbacks: run.fallbacks.clone(),
        })
    }
}

fn mailbox_full() -> Fault {
    Fault::new(429, Code::MailboxFull, "too many calls wait for this agent already")
}
