//! The acts of a turn: everything pending that nobody here works on yet, in tasks outside the mutex.

use super::{
    Workflows,
    actor::{Actor, InFlight, Mem},
    agent_id,
    alarms::Alarm,
    http_step::HttpStep,
    offer::Offer,
    turn::Turn,
};
use crate::{
    AGENT, events,
    failpoint::failpoint,
    mutant::{Rule, holds},
    reply::Fault,
    trace,
};
use bytes::Bytes;
use callboard_core::{
    Datum, Machine, Span, Timestamp,
    workflow::{Effect, Node, Run, StepKey},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// The end of an ended run's retention gets an in-process timer where it is nearer than this: else the sweeper comes.
const NEAR: Span = Span::secs(30);
/// How often an unanswered task is published again while its attempt is young, and later.
const REPUBLISH: (Span, Span) = (Span::secs(25), Span::secs(300));
const YOUNG: Span = Span::secs(600);

/// A task on its way to an agent.
struct Task {
    step: StepKey,
    attempt: u32,
    agent: String,
    input: Datum,
    at_most_once: bool,
    first: bool,
    published: Arc<AtomicI64>,
}

/// The same as the message says it.
#[derive(Serialize)]
struct Ready<'a> {
    run: &'a str,
    step: &'a StepKey,
    /// When it was published, of a message that no other came before.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Timestamp>,
    task: Described<'a>,
}

/// An agent's task: [`callboard_core::agent::task::Task`] reads it.
#[derive(Serialize)]
struct Described<'a> {
    agent: &'a str,
    input: &'a Datum,
    key: &'a str,
    attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_schema: Option<&'a Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    at_most_once: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    budgeted: bool,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    secrets: &'a BTreeSet<String>,
}

impl Workflows {
    pub(super) async fn act(
        &self,
        actor: &mut Actor,
        run: &str,
        mem: &mut Mem,
        turn: &Turn,
        begun: &BTreeSet<(StepKey, u32)>,
    ) -> Result<(), Fault> {
        if mem.run.purging {
            return self.purge(actor, run, mem).await;
        }
        let settings = &self.services.settings;
        let now = self.services.clock.steady();
        let pending = mem.run.pending();
        let mut wanted: BTreeSet<(StepKey, u32)> = BTreeSet::new();
        let mut tasks = Vec::new();
        for effect in pending {
            match effect {
                Effect::StartAgent { step, attempt, agent, input, at_most_once } => {
                    let key = (step.clone(), attempt);
                    wanted.insert(key.clone());
                    let fresh = InFlight { since: now, published: Arc::default(), agent: true };
                    let entry = actor.in_flight.entry(key).or_insert(fresh);
                    let last = Timestamp(entry.published.load(Ordering::Acquire));
                    let pace =
                        if now < entry.since + settings.paced(YOUNG) { REPUBLISH.0 } else { REPUBLISH.1 };
                    let pace = settings.paced(pace);
                    if last.0 == 0
                        || turn.is_wake() && now >= last + pace && holds(Rule::Republish)
                        || !holds(Rule::InFlight)
                    {
                        entry.published.store(now.0, Ordering::Release);
                        let published = entry.published.clone();
                        let first = begun.contains(&(step.clone(), attempt));
                        tasks.push(Task { step, attempt, agent, input, at_most_once, first, published });
                    }
                }
                Effect::OfferTask { step, attempt, agent, input, at_most_once } => {
                    let key = (step.clone(), attempt);
                    wanted.insert(key.clone());
                    let fresh = InFlight { since: now, published: Arc::default(), agent: false };
                    let entry = actor.in_flight.entry(key).or_insert(fresh);
                    let last = Timestamp(entry.published.load(Ordering::Acquire));
                    // Workers take minutes, and an offer repeated may be work done twice: it is not repeated soon.
                    let due = turn.is_wake() && now >= last + settings.paced(REPUBLISH.1);
                    if last.0 == 0 || due && !at_most_once && holds(Rule::Republish) {
                        entry.published.store(now.0, Ordering::Release);
                        let published = entry.published.clone();
                        let node = node_of(&mem.run, &step);
                        let output_schema = node.and_then(|n| n.kind.output_schema()).cloned();
                        let deadline = mem.run.steps.get(&step).and_then(|s| s.deadline);
                        self.offer(
                            run,
                            Offer {
                                step,
                                attempt,
                                agent,
                                input,
                                at_most_once,
                                output_schema,
                                deadline,
                                published,
                            },
                        );
                    }
                }
                Effect::CallHttp { step, attempt, input, expect, at_most_once } => {
                    let key = (step.clone(), attempt);
                    wanted.insert(key.clone());
                    if !actor.in_flight.contains_key(&key) || !holds(Rule::InFlight) {
                        let fresh = InFlight { since: now, published: Arc::default(), agent: false };
                        actor.in_flight.insert(key, fresh);
                        if let (Some(plan), Some(node)) = (&mem.run.plan, node_of(&mem.run, &step)) {
                            let (plan, timeout) = (Arc::clone(plan), node.timeout);
                            self.call_http(
                                run,
                                HttpStep { step, attempt, input, expect, at_most_once, plan, timeout },
                            );
                        }
                    }
                }
                Effect::CancelAgent { step, attempt } => {
                    if !actor.told.lock().contains(&(step.clone(), attempt)) && holds(Rule::CancelAgent) {
                        self.tell_agent(run, step, attempt, Arc::clone(&actor.told));
                    }
                }
                Effect::Continue => self.go_on(run),
                Effect::Purge => {}
            }
        }
        actor.in_flight.retain(|key, _| wanted.contains(key));
        self.publish_tasks(run, &mem.run, tasks);
        self.set_alarm(actor, run, mem);
        if mem.run.ended.is_some() {
            self.clean(actor, run, mem).await;
        }
        Ok(())
    }

    /// Publishes tasks; the ones that fail are published again by the next wake.
    fn publish_tasks(&self, run: &str, state: &Run, tasks: Vec<Task>) {
        if tasks.is_empty() {
            return;
        }
        let plan = state.plan.clone();
        let budgeted = plan.as_ref().is_some_and(|p| p.definition.settings.budget.is_some());
        let now = self.services.clock.now();
        let secrets = plan.as_ref().map(|plan| self.secrets_of(plan)).unwrap_or_default();
        let messages: Vec<Bytes> = tasks
            .iter()
            .map(|task| {
                let node = node_of(state, &task.step);
                let schema = node.and_then(|n| n.kind.output_schema());
                let id = format!("{run}/{}/{}", task.step, task.attempt);
                let data = Ready {
                    run,
                    step: &task.step,
                    first: task.first.then_some(now),
                    task: Described {
                        agent: &task.agent,
                        input: &task.input,
                        key: &id,
                        attempt: task.attempt,
                        output_schema: schema,
                        at_most_once: task.at_most_once,
                        budgeted,
                        secrets: &secrets,
                    },
                };
                events::envelope(&id, events::TASK_READY, run, now, &data)
            })
            .collect();
        let (this, run) = (self.clone(), run.to_owned());
        self.tasks.spawn(async move {
            for wait in [20, 200, 1000, 2000, 4000, 8000] {
                failpoint!("tasks.before_publish");
                match events::send(&this.services, events::TASKS, messages.clone()).await {
                    Ok(()) => {
                        failpoint!("tasks.after_publish");
                        return;
                    }
                    Err(error) => tracing::warn!(run, %error, "tasks are not published yet"),
                }
                if this.tasks.is_stopping() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            tasks.iter().for_each(|task| task.published.store(0, Ordering::Release));
        });
    }

    /// Publishes the tasks of all runs here that agents work on again, after a while. Whoever works on one is not disturbed:
    /// an agent takes a repeated task for what it is.
    pub(crate) fn ask_again(&self, after: Duration) {
        let this = self.clone();
        self.tasks.spawn_until_stop(async move {
            tokio::time::sleep(after).await;
            for run in this.boxes.names() {
                let Ok(actor) = this.boxes.enter(&run).await else { continue };
                let asked = actor.in_flight.values().filter(|attempt| attempt.agent);
                let waiting = asked.map(|attempt| attempt.published.store(0, Ordering::Release)).count();
                drop(actor);
                if waiting > 0
                    && let Err(fault) = this.turn(&run, Turn::Go).await
                {
                    tracing::debug!(
                        run,
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
        run: &str,
        step: StepKey,
        attempt: u32,
        told: Arc<parking_lot::Mutex<BTreeSet<(StepKey, u32)>>>,
    ) {
        let (this, run) = (self.clone(), run.to_owned());
        self.tasks.spawn(async move {
            let body = Bytes::from(json!({ "attempt": attempt }).to_string());
            match trace::through(&this.services.sidecar)
                .invoke_actor(AGENT, &agent_id(&run, &step), "cancel", body)
                .await
            {
                Ok(answer) => {
                    // One that could not ask whether it is wanted is told again.
                    let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
                    if !matches!(answer["error"]["status"].as_u64(), Some(429 | 500..)) {
                        told.lock().insert((step, attempt));
                        this.settle(&run).await;
                    }
                }
                Err(error) => tracing::debug!(run, %step, %error, "the agent is not told yet"),
            }
        });
    }

    /// Takes another turn.
    fn go_on(&self, run: &str) {
        let (this, run) = (self.clone(), run.to_owned());
        self.tasks.spawn(async move {
            if let Err(fault) = this.turn(&run, Turn::Go).await {
                tracing::debug!(run, detail = fault.detail, "the next turn did not go through");
            }
        });
    }

    /// Sets the alarm of the nearest deadline. One millisecond more: instants are whole milliseconds, and a turn just
    /// before one is a turn for nothing.
    fn set_alarm(&self, actor: &mut Actor, run: &str, mem: &mut Mem) {
        self.tell_time(actor, run, mem);
        let left = mem.run.deadline().map(|deadline| deadline.since(mem.now));
        let near = self.services.settings.paced(NEAR);
        let left = left.filter(|left| holds(Rule::Timer) && (mem.run.ended.is_none() || *left <= near));
        let (wall, steady) = (self.services.clock.now(), self.services.clock.steady());
        let alarm = left.map(|left| Alarm {
            at: steady + Span(left.0.saturating_add(1)),
            wall: wall + left,
            ahead: actor.ahead.unwrap_or_default(),
        });
        self.alarms.set(run, alarm);
    }

    /// Cleans up if the run has ended and everything of it is on record.
    pub(super) async fn settle(&self, run: &str) {
        let Ok(mut actor) = self.boxes.enter(run).await else { return };
        if let Some(mem) = actor.mem.take() {
            if mem.run.ended.is_some() && !mem.run.purging {
                self.clean(&mut actor, run, &mem).await;
            }
            actor.mem = Some(mem);
        }
        // What is still on its way out is cleaned up after, by whoever sees it out.
        let idle = actor.mem.as_ref().is_none_or(|m| m.run.ended.is_some())
            && actor.armed.is_none()
            && !actor.tail.has_work();
        drop(actor);
        if idle {
            self.boxes.forget(run);
        }
    }

    /// Disarming is the last effect; then the catalog need not look until retention.
    async fn clean(&self, actor: &mut Actor, run: &str, mem: &Mem) {
        if !actor.tail.is_done(mem.doc.seq) && holds(Rule::DisarmLast) {
            // The follower calls `settle` when it is through.
            if actor.tail.has_work() {
                self.follow(run, Arc::clone(&actor.tail));
            }
            return;
        }
        {
            let told = actor.told.lock();
            let untold = mem.run.pending().into_iter().any(
                |e| matches!(e, Effect::CancelAgent { step, attempt } if !told.contains(&(step.clone(), attempt))),
            );
            if untold && holds(Rule::CancelAgent) {
                return;
            }
        }
        // Until then the sweeper comes back.
        let disarmed = self.disarm(actor, run).await;
        let mut seq = mem.doc.seq;
        if !holds(Rule::CleanedSeq)
            && let Ok(Some(tip)) = self.services.catalog.tip(run, None).await
        {
            seq = tip.seq;
        }
        if disarmed {
            failpoint!("clean.before_mark");
            if let Err(error) = self.services.catalog.mark_cleaned(run, seq).await {
                tracing::debug!(run, %error, "the run is not marked as cleaned up yet");
            }
            failpoint!("clean.after_mark");
        }
    }
}

/// Returns the definition of a step's node.
fn node_of<'a>(run: &'a Run, step: &StepKey) -> Option<&'a Node> {
    let plan = run.plan.as_ref()?;
    plan.by_id.get(&*step.node).map(|ix| &plan.node(*ix).node)
}
