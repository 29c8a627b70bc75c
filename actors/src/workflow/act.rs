//! The acts of a turn: everything pending that nobody here works on yet, in tasks outside the mutex.

use super::{
    Workflows,
    actor::{Actor, Mem},
    alarms::Alarm,
    attempts::{Attempt, Handle, PUBLISH},
    http_step::HttpStep,
    nodes::output_schema,
    offer::Offer,
    reason::Turn,
};
use crate::{
    events,
    failpoint::failpoint,
    mutant::rule,
    protocol::{
        Fault, Unanswered,
        agent::{Cancel, TaskReady},
        ask, sealed,
    },
};
use bytes::Bytes;
use callboard_core::{
    Datum, Machine, Span, Timestamp,
    agent::task::Task as AgentTask,
    id::RunId,
    workflow::{Effect, Run, StepKey},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The end of an ended run's retention gets a timer in this process only if it is nearer than this. Else the sweeper
/// comes.
const NEAR: Span = Span::secs(30);
/// How soon an unanswered task is published again: while its attempt is young, and later.
const REPUBLISH: (Span, Span) = (Span::secs(25), Span::secs(300));
/// How long an attempt is young.
const YOUNG: Span = Span::secs(600);
/// A task on its way to an agent.
struct Task {
    attempt: Attempt,
    agent: String,
    input: Datum,
    at_most_once: bool,
    /// No task of this attempt was published before.
    is_first: bool,
    handle: Handle,
}

impl Workflows {
    /// Performs everything pending that nobody works on yet. `begun`: the attempts that this turn began.
    pub(super) async fn act(
        &self,
        actor: &mut Actor,
        run: &RunId,
        mem: &mut Mem,
        turn: &Turn,
        begun: &BTreeSet<Attempt>,
    ) -> Result<(), Fault> {
        // Nothing else matters for a run whose keys are about to go.
        if mem.run.purging {
            return self.purge(actor, run, mem).await;
        }
        // What is asked for now. Attempts that are not among it are over.
        let (mut wanted, mut tasks) = (BTreeSet::new(), Vec::new());
        for effect in mem.run.pending() {
            match effect {
                Effect::StartAgent { step, attempt, agent, input, at_most_once } => {
                    let attempt = (step, attempt);
                    wanted.insert(attempt.clone());
                    if let Some(handle) = self.is_to_be_published(actor, &attempt, turn) {
                        let is_first = begun.contains(&attempt);
                        tasks.push(Task { attempt, agent, input, at_most_once, is_first, handle });
                    }
                }
                Effect::OfferTask { step, attempt, agent, input, at_most_once } => {
                    let attempt = (step, attempt);
                    wanted.insert(attempt.clone());
                    if let Some(handle) = self.is_to_be_offered(actor, &attempt, turn, at_most_once) {
                        self.offer(run, Offer::new(&mem.run, attempt, agent, input, at_most_once, handle));
                    }
                }
                Effect::CallHttp { step, attempt, input, expect, at_most_once } => {
                    let attempt = (step, attempt);
                    wanted.insert(attempt.clone());
                    if actor.attempts.begin_here(&attempt, self.services.clock.steady())
                        && let Some(call) = HttpStep::new(run, &mem.run, attempt, input, expect, at_most_once)
                    {
                        self.call_http(run, call);
                    }
                }
                Effect::CancelAgent { step, attempt } => {
                    if rule!(CancelAgent, !actor.told.lock().contains(&(step.clone(), attempt))) {
                        self.tell_agent(run, step, attempt, Arc::clone(&actor.told));
                    }
                }
                Effect::Continue => self.go_on(run),
                Effect::Purge => {}
            }
        }
        actor.attempts.retain(&wanted);
        self.publish_tasks(run, &mem.run, tasks);
        self.set_alarm(actor, run, mem);
        if mem.run.ended.is_some() {
            self.clean(actor, run, mem).await;
        }
        Ok(())
    }

    /// Returns a handle if the task is to be published now: when it is new, when it could not be published, and on a
    /// wake again after a while. The message may be lost, or the agent's process.
    fn is_to_be_published(&self, actor: &mut Actor, attempt: &Attempt, turn: &Turn) -> Option<Handle> {
        let (settings, now) = (&self.services.settings, self.services.clock.steady());
        actor.attempts.publish(attempt, now, true, |since, last| {
            let pace = if now < since + settings.paced(YOUNG) { REPUBLISH.0 } else { REPUBLISH.1 };
            turn.is_wake() && now >= last + settings.paced(pace)
        })
    }

    /// Returns a handle if the task is to be offered now. Workers take minutes, and an offer that is repeated may be
    /// work done twice. So it is repeated late, and an `at_most_once` one never.
    fn is_to_be_offered(
        &self,
        actor: &mut Actor,
        attempt: &Attempt,
        turn: &Turn,
        at_most_once: bool,
    ) -> Option<Handle> {
        let now = self.services.clock.steady();
        let pace = self.services.settings.paced(REPUBLISH.1);
        let is_due = |_, last| turn.is_wake() && now >= last + pace && !at_most_once;
        actor.attempts.publish(attempt, now, false, is_due)
    }

    /// Publishes tasks in a task of its own. What fails is published again by the next wake.
    fn publish_tasks(&self, run: &RunId, state: &Run, tasks: Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        let now = self.services.clock.now();
        let messages = self.messages(run, state, &tasks, now);
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            let mut tries = PUBLISH;
            while tries.climb().await {
                failpoint!("tasks.before_publish");
                match events::send(&this.services, events::TASKS, messages.clone()).await {
                    Ok(()) => {
                        failpoint!("tasks.after_publish");
                        return;
                    }
                    Err(error) => tracing::warn!(%run, %error, "tasks are not published yet"),
                }
                // The next process publishes them again. A shutdown does not wait for a bus that is away.
                if this.tasks.is_stopping() {
                    break;
                }
            }
            tasks.iter().for_each(|task| task.handle.failed());
        });
    }

    /// Returns the messages of tasks, as agents read them.
    fn messages(&self, run: &RunId, state: &Run, tasks: &[Task], now: Timestamp) -> Vec<Bytes> {
        let plan = state.plan.as_ref();
        let budgeted = plan.is_some_and(|p| p.definition.settings.budget.is_some());
        let secrets = plan.map(|plan| self.secrets_of(plan)).unwrap_or_default();
        let pin = plan.and_then(|plan| plan.pin.as_ref()).map(|pin| pin.agents);
        let workflow = state.created.as_ref().and_then(|created| created.workflow_id.as_ref());
        let message = |task: &Task| {
            let (step, attempt) = &task.attempt;
            let id = format!("{run}/{step}/{attempt}");
            let data = TaskReady {
                run: Some(run.clone()),
                step: Some(step.clone()),
                workflow: workflow.cloned(),
                first: task.is_first.then_some(now),
                task: AgentTask {
                    agent: task.agent.clone(),
                    input: task.input.clone(),
                    key: id.clone(),
                    attempt: *attempt,
                    output_schema: output_schema(state, step).cloned(),
                    at_most_once: task.at_most_once,
                    budgeted,
                    origin: None,
                    secrets: secrets.clone(),
                    pin,
                },
            };
            // Its keys are texts, so it always serializes.
            let data = serde_json::to_value(data).unwrap_or_default();
            let mac = sealed::seal_task(&self.services.keyring, &step.agent(run), &data);
            events::task(&id, run, now, &data, &mac)
        };
        tasks.iter().map(message).collect()
    }

    /// Publishes again, after a while, the tasks of all runs here that agents work on. An agent that is at work knows
    /// the task and goes on.
    pub(crate) fn ask_again(&self, after: Duration) {
        let this = self.clone();
        self.tasks.spawn_until_stop(async move {
            tokio::time::sleep(after).await;
            for run in this.boxes.names() {
                let Ok(actor) = this.boxes.enter(&run).await else { continue };
                let waiting = actor.attempts.ask_agents_again();
                drop(actor);
                if waiting && let Err(fault) = this.turn(&run, Turn::Go).await {
                    tracing::debug!(
                        %run,
                        detail = fault.detail,
                        "its tasks are published again at its next wake"
                    );
                }
            }
        });
    }

    /// Tells an agent that its answer is not wanted any more.
    fn tell_agent(
        &self,
        run: &RunId,
        step: StepKey,
        attempt: u32,
        told: Arc<parking_lot::Mutex<BTreeSet<(StepKey, u32)>>>,
    ) {
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            let cancel = Cancel { attempt: Some(attempt) };
            match ask(&this.services, &step.agent(&run), &cancel).await {
                Ok(_) | Err(Unanswered::Refused(_)) => {
                    told.lock().insert((step, attempt));
                    this.settle(&run).await;
                }
                // An agent that did not hear it is told again by the next turn.
                Err(error) => tracing::debug!(%run, %step, %error, "the agent is not told yet"),
            }
        });
    }

    /// Takes another turn.
    fn go_on(&self, run: &RunId) {
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            if let Err(fault) = this.turn(&run, Turn::Go).await {
                tracing::debug!(%run, detail = fault.detail, "the next turn did not go through");
            }
        });
    }

    /// Sets the alarm of the nearest deadline, one millisecond late: instants are whole milliseconds, and a turn just
    /// before one would find nothing due.
    fn set_alarm(&self, actor: &mut Actor, run: &RunId, mem: &mut Mem) {
        self.tell_time(actor, run, mem);
        let left = mem.run.deadline().map(|deadline| deadline.since(mem.now));
        let near = self.services.settings.paced(NEAR);
        let left = left.filter(|left| rule!(Timer, mem.run.ended.is_none() || *left <= near));
        let (wall, steady) = (self.services.clock.now(), self.services.clock.steady());
        let alarm = left.map(|left| Alarm {
            at: steady + Span(left.0.saturating_add(1)),
            wall: wall + left,
            ahead: actor.ahead.unwrap_or_default(),
        });
        self.alarms.set(run, alarm);
    }

    /// Cleans up if the run has ended and everything of it is on record.
    pub(super) async fn settle(&self, run: &RunId) {
        let Ok(mut actor) = self.boxes.enter(run).await else { return };
        if let Some(mem) = actor.mem.take() {
            if mem.run.ended.is_some() && !mem.run.purging {
                self.clean(&mut actor, run, &mem).await;
            }
            actor.mem = Some(mem);
        }
        // The follower of what is still on its way out settles the run once more.
        let idle = actor.mem.as_ref().is_none_or(|m| m.run.ended.is_some())
            && actor.reminder.registered().is_none()
            && !actor.outgoing.has_work();
        drop(actor);
        if idle {
            self.boxes.forget_if(run, |actor| !actor.is_bound());
        }
    }

    /// Removes the reminder of an ended run and marks it as cleaned. This comes last, since then nobody looks at the
    /// run until its retention is over.
    async fn clean(&self, actor: &mut Actor, run: &RunId, mem: &Mem) {
        if rule!(DisarmLast, !actor.outgoing.is_done(mem.doc.seq)) {
            // The follower calls `settle` when it is through.
            if actor.outgoing.has_work() {
                self.follow(run, Arc::clone(&actor.outgoing));
            }
            return;
        }
        if rule!(CancelAgent, has_untold(actor, &mem.run)) {
            return;
        }
        if let Err(error) = self.count_usage(run, mem).await {
            // The run stays unmarked, and the sweeper comes back.
            tracing::debug!(%run, %error, "what the run used is not counted yet");
            return;
        }
        // If the reminder can't be removed now, the run stays unmarked and the sweeper comes back.
        if self.disarm(actor, run).await {
            failpoint!("clean.before_mark");
            if let Err(error) = self.services.catalog.mark_cleaned(run, mem.doc.seq).await {
                tracing::debug!(%run, %error, "the run is not marked as cleaned up yet");
            }
            failpoint!("clean.after_mark");
        }
    }
}

/// Whether an agent is still to be told that its answer is not wanted.
fn has_untold(actor: &Actor, run: &Run) -> bool {
    let told = actor.told.lock();
    run.pending().into_iter().any(|effect| match effect {
        Effect::CancelAgent { step, attempt } => !told.contains(&(step, attempt)),
        Effect::StartAgent { .. }
        | Effect::OfferTask { .. }
        | Effect::CallHttp { .. }
        | Effect::Continue
        | Effect::Purge => false,
    })
}
