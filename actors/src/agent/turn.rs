//! The agent's turn. A commit of unknown outcome drops the cache; the etag decides between two activations.

use super::{Actor, Agents, Document, Mem, Target, document_key, home, perform::past};
use crate::{
    AGENT, Busy,
    document::{self, Said},
    failpoint::failpoint,
    marks::Work,
    mutant::{Rule, holds},
    reply::Fault,
    values, wake,
};
use bytes::Bytes;
use callboard_core::{
    Datum, Machine, Timestamp, Values,
    agent::{
        delegate,
        run::{Effect, Event, Input, Phase, Profile, Run, Task},
    },
};
use callboard_sidecar::client::{Error, Fence, Save, Ttl};
use std::{sync::Arc, time::Duration};

/// How long an answer stays, to answer late duplicates.
const TOMBSTONE: u32 = 24 * 3600;
const TRIES: u32 = 6;

/// Why an agent's document was not loaded.
enum Unloaded {
    Store(Error),
    /// Another process may go on with it; this one must not write over it.
    Newer(document::Unreadable),
}

impl Agents {
    /// Takes a turn in a task of its own and returns the agent's state after it.
    pub(super) async fn turn(&self, id: &str, input: Input, target: Option<Target>) -> Result<Run, Fault> {
        self.turn_on(id, input, target, false).await
    }

    /// The same; of a `new` agent nothing was ever saved.
    pub(super) async fn turn_on(
        &self,
        id: &str,
        input: Input,
        target: Option<Target>,
        new: bool,
    ) -> Result<Run, Fault> {
        let (this, id) = (self.clone(), id.to_owned());
        let task = self.tasks.spawn(async move {
            let mut actor = this.boxes.enter(&id).await.map_err(|_| {
                Fault::new(429, "mailbox_full", format!("too many calls wait for agent {id} already"))
            })?;
            this.services.metrics.turns.inc();
            let result = this.take(&mut actor, &id, &input, target, new).await;
            let idle = actor.mem.as_ref().is_none_or(|m| !m.run.works() && m.run.pending().is_empty());
            let forget = idle && !actor.armed && actor.in_flight.is_empty();
            drop(actor);
            if forget {
                this.ended.lock().insert(&id);
                this.boxes.forget(&id);
            }
            result
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an agent's turn panicked");
            Err(Fault::new(500, "internal", "the turn failed unexpectedly"))
        })
    }

    async fn take(
        &self,
        actor: &mut Actor,
        id: &str,
        input: &Input,
        target: Option<Target>,
        mut new: bool,
    ) -> Result<Run, Fault> {
        if matches!(input, Input::Tick) && holds(Rule::AgentDisarm) {
            // Whoever registered the reminder may be gone: this tick tells that there is one, to be removed when nothing
            // is pending, or nothing was ever saved.
            actor.armed = true;
        }
        let certain = new;
        for attempt in 0..TRIES {
            if attempt > 0 {
                let wait = (4u64 << attempt) + self.services.clock.spread(8 << attempt);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            let mut mem = match actor.mem.take() {
                Some(mem) => mem,
                // A wrong guess shows when its first save is refused; then the store is asked.
                None if std::mem::take(&mut new) => Mem::empty(),
                None => match self.load(id).await {
                    Ok(Some(mem)) => mem,
                    Ok(None) => Mem::empty(),
                    Err(Unloaded::Store(error)) => {
                        tracing::debug!(id, %error, "the agent can't be read now");
                        continue;
                    }
                    Err(Unloaded::Newer(error)) => {
                        let message = format!("the document of agent {id} can't be read: {error}");
                        return Err(Fault::new(503, "newer_version", message));
                    }
                },
            };
            if mem.run.profile.is_none() {
                mem.run.profile = mem.run.task.as_ref().and_then(|t| self.profile(t));
            }
            let before = super::delegate::Before::of(&mem);
            if let Input::Task(task) = input {
                if mem.run.task.as_ref().is_none_or(|t| t.attempt < task.attempt) {
                    mem.target = target.clone();
                    mem.asks = mem.etag.is_none() && !certain;
                    actor.in_flight.clear();
                    actor.activation = None;
                    actor.ahead = Some(self.services.clock.now().0 - self.services.clock.steady().0);
                    if let Some(call) = actor.call.take() {
                        call.abort();
                    }
                }
                mem.run.profile = self.profile(task);
            }
            let now = self.time(actor, &mem.run);
            let Ok(events) = self.decide(id, &mem.run, now, input).await else {
                actor.mem = Some(mem);
                continue;
            };
            let told = matches!(input, Input::Delivered { .. } | Input::Tick);
            if let Err(error) = self.commit(id, &mut mem, events, told).await {
                // Somebody else may have committed this answer; what counts is what is saved.
                tracing::debug!(id, %error, "the agent's save is refused or unknown");
                self.services.metrics.conflicts.inc();
                continue;
            }
            before.tell(self, id, &mem);
            self.act(actor, id, &mem).await;
            let run = mem.run.clone();
            actor.mem = Some(mem);
            return Ok(run);
        }
        Err(Fault::unavailable(format!("agent {id} could not be saved now: try again")))
    }

    /// The agent's machine refuses nothing and misses nothing. An answer with a schema is checked on a thread for that.
    async fn decide(&self, id: &str, run: &Run, now: Timestamp, input: &Input) -> Result<Vec<Event>, Busy> {
        let schema = run.task.as_ref().is_some_and(|t| t.output_schema.is_some())
            || run.profile.as_ref().is_some_and(|p| p.spec.output_schema.is_some());
        if !(schema && matches!(input, Input::Replied { reply: Ok(_), .. })) {
            return Ok(run.decide(now, input, &Values::default()).unwrap_or_default());
        }
        let _under_way = self.marks.enter(home(id), Work::Check).await;
        let (run, input) = (run.clone(), input.clone());
        let decide = move || run.decide(now, &input, &Values::default()).unwrap_or_default();
        self.tasks.pool.check(decide).await
    }

    async fn load(&self, id: &str) -> Result<Option<Mem>, Unloaded> {
        let entry = self.services.sidecar.get(&self.services.settings.statestore, &document_key(id)).await;
        let entry = entry.map_err(Unloaded::Store)?;
        let Some(entry) = entry else { return Ok(None) };
        let mem = match document::versioned::<Document>(&entry.data) {
            Ok(doc) => {
                let etag = Some(entry.etag);
                Mem { run: doc.run, target: doc.target, etag, version: doc.v, ..Mem::empty() }
            }
            Err(error @ document::Unreadable::Newer(_)) => return Err(Unloaded::Newer(error)),
            Err(error @ document::Unreadable::Damaged(_)) => {
                // The run's task brings everything that is needed to begin again.
                tracing::error!(id, %error, "the agent's document can't be read: it starts again");
                Mem { etag: Some(entry.etag), ..Mem::empty() }
            }
        };
        Ok(Some(mem))
    }

    /// Who performs a task, and with what: the agents' file says, and the task whom it may be passed on to.
    fn profile(&self, task: &Task) -> Option<Arc<Profile>> {
        let agents = &self.services.agents;
        let spec = agents.agents.get(&task.agent)?.clone();
        let tools =
            spec.tools.iter().filter_map(|name| Some((name.clone(), agents.tools.get(name)?.clone())));
        let others = spec.delegate_to.iter().filter(|name| {
            spec.allow_delegation && **name != task.agent && delegate::leaves_open(task, name)
        });
        let peers =
            others.filter_map(|name| Some((name.clone(), agents.agents.get(name)?.summary()))).collect();
        Some(Arc::new(Profile { tools: tools.collect(), spec, peers }))
    }

    /// Applies the events, and saves the agent where one of them must not be lost, or what was put off is `told`.
    async fn commit(&self, id: &str, mem: &mut Mem, events: Vec<Event>, told: bool) -> Result<(), Error> {
        let services = &self.services;
        let turn = format!("a{:x}", services.clock.id());
        let mut made = Vec::new();
        let (mut save, mut ended) = (told && mem.unsaved, false);
        for mut event in events {
            match &mut event {
                // Messages are stored once, under keys of their own, however small.
                Event::ModelReplied { message, .. }
                | Event::ToolAnswered { message, .. }
                | Event::DelegateAnswered { message, .. } => {
                    keep(message, &turn, &mut made);
                    save = true;
                }
                Event::AnswerRejected { message, complaint, .. } => {
                    keep(message, &turn, &mut made);
                    keep(complaint, &turn, &mut made);
                    save = true;
                }
                Event::TaskEnded { outcome, .. } => {
                    if let callboard_core::agent::run::Ending::Completed(output) = outcome {
                        values::move_out(vec![output], &turn, &mut made);
                    }
                    save = holds(Rule::Tombstone);
                    ended = true;
                }
                Event::TaskAccepted { .. }
                | Event::ModelFailed { .. }
                | Event::CallGranted { .. }
                | Event::AnswerDelivered {} => {}
            }
            mem.run.apply(&event);
        }
        if !save {
            return Ok(());
        }
        failpoint!("agent.before_values");
        values::save(services, home(id), &made).await?;
        failpoint!("agent.after_values");
        for value in made {
            if let Some(content) = value.value {
                mem.contents.insert(value.key, content);
            }
        }
        if ended && mem.target.is_some() {
            // Nobody waits for this save: the run, or the agent, that asked commits the answer itself.
            mem.unsaved = true;
            return Ok(());
        }
        let done = matches!(mem.run.phase, Phase::Done { .. });
        let ttl = Ttl::Seconds(if done {
            services.settings.expiry(TOMBSTONE)
        } else {
            services.settings.value_ttl
        });
        let fence = mem.etag.clone().map_or(Fence::FirstWrite, Fence::Etag);
        let fence = if holds(Rule::AgentFence) { fence } else { Fence::None };
        // As if it had not been told: whoever finds it tells it again.
        let run = Run { delivered: false, ..mem.run.clone() };
        mem.version =
            mem.version.max(document::version_for(Said::Agent(&run))).max(services.settings.version());
        let doc = Document { v: mem.version, run, target: mem.target.clone() };
        let data = Bytes::from(document::encode(&doc, doc.v));
        let save = Save { key: document_key(id), data, fence, ttl };
        services.sidecar.save(&services.settings.statestore, vec![save]).await?;
        failpoint!("agent.after_document");
        mem.unsaved = false;
        mem.etag = match mem.etag.as_deref().map(str::parse::<u64>) {
            None => Some("1".into()),
            Some(Ok(n)) => Some((n + 1).to_string()),
            Some(Err(_)) => {
                let entry = services.sidecar.get(&services.settings.statestore, &document_key(id)).await?;
                entry.map(|e| e.etag)
            }
        };
        Ok(())
    }

    /// Performs what is pending and not under way here, and keeps the agent's own `wake` in order.
    async fn act(&self, actor: &mut Actor, id: &str, mem: &Mem) {
        let attempt = mem.run.task.as_ref().map_or(0, |t| t.attempt);
        let mut wanted = std::collections::BTreeSet::new();
        for effect in mem.run.pending() {
            let name = match &effect {
                Effect::Reserve { iteration } => format!("reserve {iteration}"),
                Effect::CallModel { iteration, .. } => {
                    format!("model {iteration} {} {}", mem.run.failures, mem.run.model)
                }
                Effect::CallTool { iteration, call } => format!("tool {iteration} {}", call.id),
                Effect::Delegate { iteration, call } => super::delegate::name(*iteration, &call.id),
                Effect::Deliver { .. } => "deliver".to_owned(),
            };
            let key = (attempt, name);
            wanted.insert(key.clone());
            if actor.in_flight.insert(key) || !holds(Rule::InFlight) {
                self.perform(actor, id, mem, effect);
            }
        }
        actor.in_flight.retain(|key| wanted.contains(key));
        self.watch_limit(actor, id, mem);
        let long = mem.run.iterations > 1 || actor.waits_for_others();
        let loops = mem.run.works() && mem.etag.is_some() && long;
        if loops && !actor.armed {
            let often = self.services.settings.pause(wake::OFTEN);
            failpoint!("agent.before_arm");
            match wake::arm(&self.services, AGENT, id, often, often).await {
                Ok(()) => actor.armed = true,
                // Without it, the run's own wake is the way back.
                Err(error) => tracing::debug!(id, %error, "the agent's wake is not registered"),
            }
        }
        if mem.run.pending().is_empty() && actor.armed {
            failpoint!("agent.before_disarm");
            match wake::disarm(&self.services, AGENT, id).await {
                Ok(()) => actor.armed = false,
                Err(error) => tracing::debug!(id, %error, "the agent's wake is not removed yet"),
            }
        }
        if matches!(mem.run.phase, Phase::Done { .. }) {
            actor.ended.notify_waiters();
        }
    }
}

impl Agents {
    /// The task's own time limit binds whatever it is doing: asking the model, using tools, waiting for others.
    fn watch_limit(&self, actor: &mut Actor, id: &str, mem: &Mem) {
        let Some(limit) = mem.run.deadline() else {
            if let Some((_, watch)) = actor.limit.take() {
                watch.abort();
            }
            return;
        };
        if actor.limit.as_ref().is_some_and(|(at, _)| *at == limit) {
            return;
        }
        let left = limit.since(self.time(actor, &mem.run));
        let (this, id) = (self.clone(), id.to_owned());
        let watch = self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = this.tasks.stopped() => {}
                () = past(Some(left)) => this.report(&id, Input::Tick).await,
            }
        });
        if let Some((_, before)) = actor.limit.replace((limit, watch.abort_handle())) {
            before.abort();
        }
    }
}

/// Moves a message out under a key of its own.
fn keep(datum: &mut Datum, turn: &str, made: &mut Vec<values::Made>) {
    if let Datum::Inline(value) = datum {
        *datum = values::store(value.clone(), turn, made);
    }
}
