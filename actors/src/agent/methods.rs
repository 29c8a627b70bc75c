//! The methods of the `Agent` actor.

use super::{Agents, Target, home};
use crate::{
    AGENT, WORKFLOW,
    reply::{Fault, Reply, parse},
};
use callboard_core::{
    Datum, Timestamp,
    agent::{
        message::Message,
        run::{Ending, Input, Phase, Run, echo},
        task::Task,
    },
    workflow::StepKey,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A run's task.
#[derive(Deserialize)]
struct TaskBody {
    /// None where an outside caller's agent delegated it.
    run: Option<String>,
    step: Option<StepKey>,
    task: Task,
    /// When it was published for the first time, so that nobody had saved anything for it.
    #[serde(default)]
    first: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Execute {
    agent: String,
    prompt: String,
    #[serde(default)]
    output_schema: Option<Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Cancel {
    attempt: Option<u32>,
}

impl Agents {
    pub async fn call(&self, id: &str, method: &str, body: &[u8]) -> Reply {
        match method {
            "task" => {
                let body: TaskBody = parse(body)?;
                let target = body.run.zip(body.step).map(|(run, step)| Target { run, step });
                if target.is_none() && body.task.origin.is_none() {
                    return Err(Fault::bad_request("a task is a run's, or an agent's"));
                }
                // Only an agent's first attempt: the document of an earlier one is the next one's, too.
                let new = body.task.attempt == 1 && body.first.is_some_and(|at| self.is_new(id, at));
                self.turn_on(id, Input::Task(body.task), target, new).await?;
                Ok(json!({}))
            }
            "delegated" => self.delegated(id, parse(body)?).await,
            "outcome" => self.outcome(id).await,
            "awaits" => self.awaits(id, parse(body)?).await,
            "execute" => self.execute(id, parse(body)?).await,
            "status" => {
                let run = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
                self.show(id, &run).await
            }
            "messages" => self.messages(id).await,
            "cancel" => {
                let body: Cancel = parse(body)?;
                self.cancel(id, body.attempt).await
            }
            _ => Err(Fault::new(404, "unknown_method", format!("Agent has no method {method}"))),
        }
    }

    /// The reminder fired.
    pub async fn wake(&self, id: &str) -> Reply {
        self.turn(id, Input::Tick, None).await?;
        Ok(json!({}))
    }

    /// Performs one task for an outside caller and waits for its end.
    async fn execute(&self, id: &str, body: Execute) -> Reply {
        if !callboard_core::id::is_id(id) {
            return Err(Fault::bad_request("an agent's id must match [A-Za-z0-9_-]{1,64}"));
        }
        if !self.services.agents.agents.contains_key(&body.agent) {
            let known: Vec<&str> = self.services.agents.agents.keys().map(String::as_str).collect();
            let message = format!("there is no agent {}; there is {}", body.agent, known.join(", "));
            return Err(Fault::new(422, "unknown_agent", message));
        }
        let before = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        if before.works() {
            return Err(Fault::new(409, "agent_busy", format!("agent {id} is at work already")));
        }
        let attempt = before.task.as_ref().map_or(0, |t| t.attempt) + 1;
        let task = Task {
            agent: body.agent.clone(),
            input: Datum::inline(json!({"agent": body.agent, "prompt": body.prompt})),
            key: format!("{id}/{attempt}"),
            attempt,
            output_schema: body.output_schema,
            at_most_once: false,
            budgeted: false,
            origin: None,
            secrets: BTreeSet::new(),
        };
        let ended = match self.boxes.enter(id).await {
            Ok(actor) => Arc::clone(&actor.ended),
            Err(_) => return Err(mailbox_full()),
        };
        // Registered before the task begins, so that no end is missed.
        let mut notified = Box::pin(ended.notified());
        notified.as_mut().enable();
        let mut run = self.turn(id, Input::Task(task), None).await?;
        while run.works() {
            tokio::select! {
                () = &mut notified => {}
                // The place may have been forgotten and made anew: then the notice never comes.
                () = tokio::time::sleep(std::time::Duration::from_secs(1)) => {}
            }
            notified.set(ended.notified());
            notified.as_mut().enable();
            run = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        }
        self.show(id, &run).await
    }

    /// Ends a task that nobody wants any more. Of what a run still waits for, the run is asked to end it: it would wait on.
    async fn cancel(&self, id: &str, attempt: Option<u32>) -> Reply {
        let now = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        let current = now.task.as_ref().map_or(0, |t| t.attempt);
        if !now.works() || attempt.is_some_and(|a| a != current) {
            return Ok(json!({}));
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
            return Err(Fault::new(409, "works_for_run", message));
        }
        if self.turn(id, Input::Cancel { attempt: current }, None).await?.works() {
            return Ok(json!({}));
        }
        if let Ok(mut actor) = self.boxes.enter(id).await
            && let Some(call) = actor.call.take()
        {
            call.abort();
        }
        Ok(json!({}))
    }

    /// Whether the run, and the agent that passed the task on, wait for its answer.
    async fn is_waited_for(&self, now: &Run, target: &Target) -> Result<bool, Fault> {
        let Some(task) = &now.task else { return Ok(false) };
        let silent =
            || Fault::unavailable("whoever waits for the agent's answer can't be asked now: try again");
        let body = json!({"step": target.step, "attempt": task.attempt});
        let run = self.ask(WORKFLOW, &target.run, "wanted", &body).await.ok_or_else(silent)?;
        let Some(origin) = task.origin.as_ref().filter(|_| run["wanted"] == true) else {
            return Ok(run["wanted"] == true);
        };
        let body = json!({"attempt": task.attempt, "iteration": origin.iteration, "call": origin.call});
        let asker = self.ask(AGENT, &origin.agent, "awaits", &body).await.ok_or_else(silent)?;
        Ok(asker["awaits"] == true)
    }

    async fn messages(&self, id: &str) -> Reply {
        let run = self.turn(id, Input::Delivered { attempt: 0 }, None).await?;
        let wanted: Vec<&Datum> = run.messages.iter().collect();
        let found = self.contents(home(id), &wanted, &BTreeMap::new()).await;
        let found = found.ok_or_else(|| Fault::unavailable("the messages can't be read now"))?;
        let said: Result<Vec<Message>, _> =
            found.iter().map(|value| serde_json::from_value((**value).clone())).collect();
        let mut said = said.map_err(|_| Fault::unavailable("the messages can't be read now"))?;
        echo(&mut said);
        let mut items: Vec<Value> = Vec::new();
        if let Some(task) = &run.task
            && let Some(input) = self
                .contents(home(id), &[&task.input], &BTreeMap::new())
                .await
                .and_then(|v| v.into_iter().next())
        {
            items.push(json!({"role": "user", "content": input["prompt"]}));
        }
        items.extend(said.iter().map(|message| json!(message)));
        Ok(json!({ "items": items }))
    }

    async fn show(&self, id: &str, run: &Run) -> Reply {
        let agent = run.task.as_ref().map(|t| t.agent.clone());
        let (status, output, error) = match &run.phase {
            Phase::Idle => ("idle", Value::Null, None),
            Phase::Reserving | Phase::Thinking { .. } | Phase::Acting { .. } => {
                ("running", Value::Null, None)
            }
            Phase::Done { outcome } => match outcome {
                Ending::Completed(output) => {
                    let found = self.contents(home(id), &[output], &BTreeMap::new()).await;
                    let value = found.and_then(|v| v.into_iter().next()).map(|v| (*v).clone());
                    ("completed", value.unwrap_or_default(), None)
                }
                Ending::Failed(error) => ("failed", Value::Null, Some(error.clone())),
                Ending::Unknown => ("unknown", Value::Null, None),
                Ending::Cancelled => ("cancelled", Value::Null, None),
            },
        };
        let error = error.map(|e| json!({"code": e.code, "message": e.message}));
        Ok(json!({"status": status, "output": output, "error": error, "agent": agent, "usage": run.usage}))
    }
}

fn mailbox_full() -> Fault {
    Fault::new(429, "mailbox_full", "too many calls wait for this agent already")
}
