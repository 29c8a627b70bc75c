//! The agent's turn. A commit of unknown outcome drops the cache; the etag decides between two activations.

use super::{Actor, Agents, Document, Mem, delegate::Before, job::Job, perform::past, reason::Turn};
use crate::{
    AGENT, Busy,
    document::{self, Said},
    failpoint::failpoint,
    kernel::{Fenced, reminder::Armed},
    marks::Work,
    mutant::rule,
    pins::Unpinned,
    protocol::Fault,
    stored_values,
};
use callboard_core::{
    Code, Datum, Machine, Timestamp, Values,
    agent::{
        run::{Ending, Event, Input, Phase, Run},
        task::{Profile, Task},
    },
    id::AgentId,
};
use callboard_sidecar::client::{Error, Ttl};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long an answer stays, to answer late duplicates.
const TOMBSTONE: u32 = 24 * 3600;
const TRIES: u32 = 6;

/// Why an agent's document was not loaded.
enum Unloaded {
    Store(Error),
    /// Another process may go on with it; this one must not write over it.
    Newer(document::Unreadable),
}

/// What applying events has come to.
struct Applied {
    /// What goes under keys of its own before the document is saved.
    made: Vec<stored_values::NewValue>,
    /// One of the events must not be lost.
    save: bool,
    /// The task has ended.
    ended: bool,
}

impl Agents {
    /// Takes a turn in a task of its own and returns the agent's state after it.
    pub(super) async fn turn(&self, id: &AgentId, turn: Turn) -> Result<Run, Fault> {
        let (this, id) = (self.clone(), id.clone());
        let task = self.tasks.spawn(async move {
            let mut actor = this.boxes.enter(&id).await.map_err(|_| {
                Fault::new(429, Code::MailboxFull, format!("too many calls wait for agent {id} already"))
            })?;
            this.services.metrics.turns.inc();
            let result = this.run_turn(&mut actor, &id, &turn).await;
            let idle = actor.mem.as_ref().is_none_or(|m| !m.run.works() && m.run.pending().is_empty());
            let forget = idle && actor.reminder.registered().is_none() && actor.in_flight.is_empty();
            drop(actor);
            if forget {
                this.ended.lock().insert(&id);
                this.boxes.forget(&id);
            }
            result
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "an agent's turn panicked");
            Err(Fault::new(500, Code::Internal, "the turn failed unexpectedly"))
        })
    }

    /// Passes through the turn until the outcome of its save is known.
    async fn run_turn(&self, actor: &mut Actor, id: &AgentId, turn: &Turn) -> Result<Run, Fault> {
        if rule!(AgentDisarm, turn.is_tick()) {
            // Whoever registered the reminder may be gone: this tick tells that there is one, to be removed when nothing
            // is pending, or nothing was ever saved.
            actor.reminder.note(self.often());
        }
        for attempt in 0..TRIES {
            if attempt > 0 {
                let wait = (4u64 << attempt) + self.services.clock.spread(8 << attempt);
                tokio::time::sleep(Duration::from_millis(wait)).await;
            }
            if let Some(run) = self.pass(actor, id, turn, attempt == 0).await? {
                return Ok(run);
            }
        }
        Err(Fault::unavailable(format!("agent {id} could not be saved now: try again")))
    }

    /// The turn: load, decide, commit, act. Nothing comes of it where the outcome of a read or a save is unknown.
    async fn pass(
        &self,
        actor: &mut Actor,
        id: &AgentId,
        turn: &Turn,
        is_first: bool,
    ) -> Result<Option<Run>, Fault> {
        // Load.
        let profile = match turn {
            Turn::Task { task, .. } => match self.profile(id, task).await {
                Some(profile) => profile,
                None => return Ok(None),
            },
            Turn::Input(_) | Turn::Look => None,
        };
        let Some(mut mem) = self.obtain(actor, id, turn, is_first).await? else { return Ok(None) };
        let before = Before::of(&mem);
        self.take_on(actor, &mut mem, turn, profile);

        // Decide.
        let now = self.time(actor, &mem.run);
        let Ok(events) = self.decide(id, &mem.run, now, turn).await else {
            actor.mem = Some(mem);
            return Ok(None);
        };

        // Commit.
        if let Err(error) = self.commit(id, &mut mem, events, turn.saves()).await {
            // Somebody else may have committed this answer; what counts is what is saved.
            tracing::debug!(%id, %error, "the agent's save is refused or unknown");
            self.services.metrics.conflicts.inc();
            return Ok(None);
        }

        // Act.
        before.tell(self, id, &mem);
        self.act(actor, id, &mem).await;
        let run = mem.run.clone();
        actor.mem = Some(mem);
        Ok(Some(run))
    }

    /// Returns the agent's state: from memory, as one of which there is nothing yet, or from the store.
    async fn obtain(
        &self,
        actor: &mut Actor,
        id: &AgentId,
        turn: &Turn,
        is_first: bool,
    ) -> Result<Option<Mem>, Fault> {
        // A wrong guess shows when its first save is refused; then the store is asked.
        let is_new = is_first && matches!(turn, Turn::Task { is_new: true, .. });
        let mut mem = match actor.mem.take() {
            Some(mem) => return Ok(Some(mem)),
            None if is_new => return Ok(Some(Mem::empty())),
            None => match self.load(id).await {
                Ok(found) => found.unwrap_or_else(Mem::empty),
                Err(Unloaded::Store(error)) => {
                    tracing::debug!(%id, %error, "the agent can't be read now");
                    return Ok(None);
                }
                Err(Unloaded::Newer(error)) => {
                    let message = format!("the document of agent {id} can't be read: {error}");
                    return Err(Fault::new(503, Code::NewerVersion, message));
                }
            },
        };
        if let Some(task) = &mem.run.task {
            let Some(profile) = self.profile(id, task).await else { return Ok(None) };
            mem.run.profile = profile;
        }
        Ok(Some(mem))
    }

    /// Lets go of an earlier attempt's work where a later attempt comes, and says who performs that. What comes again is
    /// performed by whoever took it on, also if the release before sends it and names nobody.
    fn take_on(&self, actor: &mut Actor, mem: &mut Mem, turn: &Turn, profile: Option<Arc<Profile>>) {
        let Turn::Task { task, target, workflow, is_new } = turn else { return };
        actor.workflow.clone_from(workflow);
        if mem.run.task.as_ref().is_none_or(|t| t.attempt < task.attempt) {
            mem.target.clone_from(target);
            mem.asks = mem.etag.is_none() && !is_new;
            actor.in_flight.clear();
            actor.activation = None;
            actor.ahead = Some(self.services.clock.now().0 - self.services.clock.steady().0);
            if let Some(call) = actor.call.take() {
                call.abort();
            }
            mem.run.profile = profile;
        }
    }

    /// The agent's machine refuses nothing and misses nothing. An answer with a schema is checked on a thread for that.
    async fn decide(&self, id: &AgentId, run: &Run, now: Timestamp, turn: &Turn) -> Result<Vec<Event>, Busy> {
        let task;
        let input = match turn {
            Turn::Input(input) => input,
            Turn::Task { task: given, .. } => {
                task = Input::Task((**given).clone());
                &task
            }
            Turn::Look => return Ok(Vec::new()),
        };
        let schema = run.task.as_ref().is_some_and(|t| t.output_schema.is_some())
            || run.profile.as_ref().is_some_and(|p| p.spec.output_schema.is_some());
        if !(schema && matches!(input, Input::Replied { reply: Ok(_), .. })) {
            return Ok(run.decide(now, input, &Values::default()).unwrap_or_default());
        }
        let _under_way = self.marks.enter(id.home(), Work::Check).await;
        let (run, input) = (run.clone(), input.clone());
        let decide = move || run.decide(now, &input, &Values::default()).unwrap_or_default();
        self.tasks.pool.check(decide).await
    }

    async fn load(&self, id: &AgentId) -> Result<Option<Mem>, Unloaded> {
        let entry = Fenced::new(&self.services, id.document_key()).read().await;
        let Some(entry) = entry.map_err(Unloaded::Store)? else { return Ok(None) };
        let mem = match document::versioned::<Document>(&entry.data) {
            Ok(doc) => {
                let etag = Some(entry.etag);
                Mem { run: doc.run, target: doc.target, etag, version: doc.v, ..Mem::empty() }
            }
            Err(error @ document::Unreadable::Newer(_)) => return Err(Unloaded::Newer(error)),
            Err(error @ document::Unreadable::Damaged(_)) => {
                // The run's task brings everything that is needed to begin again.
                tracing::error!(%id, %error, "the agent's document can't be read: it starts again");
                Mem { etag: Some(entry.etag), ..Mem::empty() }
            }
        };
        Ok(Some(mem))
    }

    /// Finds who performs a task, and with what. The task's pin says so, whatever this process has in its own file; a task
    /// of the release before has none, and the file says so. Nothing where that can't be read now; inside, nothing where
    /// there is no such agent.
    async fn profile(&self, id: &AgentId, task: &Task) -> Option<Option<Arc<Profile>>> {
        let pinned = match task.pin {
            Some(hash) => self.pins.get(id.home().project(), hash).await,
            None => Ok(Arc::clone(&self.services.agents)),
        };
        match pinned {
            Ok(agents) => Some(Profile::of(&agents, task).map(Arc::new)),
            // Waiting would not bring it back, and nobody else takes the place of a lost agent.
            Err(Unpinned::Lost(_)) => Some(None),
            Err(error @ (Unpinned::Store(_) | Unpinned::Catalog(_) | Unpinned::Newer(..))) => {
                tracing::warn!(%id, %error, "who performs the task can't be read now");
                None
            }
        }
    }

    /// Applies the events, and saves the agent where one of them must not be lost, or what was put off is `told`.
    async fn commit(&self, id: &AgentId, mem: &mut Mem, events: Vec<Event>, told: bool) -> Result<(), Error> {
        let put_off = told && mem.unsaved;
        let Applied { made, save, ended } = self.apply(id, mem, events);
        if !save && !put_off {
            return Ok(());
        }
        failpoint!("agent.before_values");
        stored_values::save(&self.services, id.home(), &made).await?;
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
        self.save(id, mem).await
    }

    /// Applies the events, and moves out what is stored under keys of its own.
    fn apply(&self, id: &AgentId, mem: &mut Mem, events: Vec<Event>) -> Applied {
        let turn = format!("a{:x}", self.services.clock.id());
        let mut applied = Applied { made: Vec::new(), save: false, ended: false };
        let Applied { made, save, ended } = &mut applied;
        for mut event in events {
            self.note_fallback(id, &mem.run, &event);
            match &mut event {
                // Messages are stored once, under keys of their own, however small.
                Event::ModelReplied { message, .. }
                | Event::ToolAnswered { message, .. }
                | Event::DelegateAnswered { message, .. } => {
                    keep(message, &turn, made);
                    *save = true;
                }
                Event::AnswerRejected { message, complaint, .. } => {
                    keep(message, &turn, made);
                    keep(complaint, &turn, made);
                    *save = true;
                }
                Event::TaskEnded { outcome, .. } => {
                    if let Ending::Completed(output) = outcome {
                        stored_values::move_out(vec![output], &turn, made);
                    }
                    *save = rule!(Tombstone, true);
                    *ended = true;
                }
                Event::TaskAccepted { .. }
                | Event::ModelFailed { .. }
                | Event::CallGranted { .. }
                | Event::AnswerDelivered {} => {}
            }
            mem.run.apply(&event);
        }
        applied
    }

    /// Saves the agent's document.
    async fn save(&self, id: &AgentId, mem: &mut Mem) -> Result<(), Error> {
        let services = &self.services;
        let done = matches!(mem.run.phase, Phase::Done { .. });
        let ttl = Ttl::Seconds(if done {
            services.settings.expiry(TOMBSTONE)
        } else {
            services.settings.value_ttl
        });
        // As if it had not been told: whoever finds it tells it again.
        let mut run = Run { delivered: false, ..mem.run.clone() };
        let pin = run.task.as_mut().and_then(|task| task.pin.take());
        mem.version =
            mem.version.max(document::version_for(Said::Agent(&run))).max(services.settings.version());
        // A tombstone has no use for the pin, and without it the release before reads it.
        if let Some(task) = run.task.as_mut().filter(|_| !done) {
            task.pin = pin;
        }
        let v = mem.version.max(document::version_for(Said::Agent(&run)));
        let doc = Document { v, run, target: mem.target.clone() };
        let place = Fenced::new(services, id.document_key());
        place.save(document::encode(&doc, doc.v), mem.etag.as_deref(), ttl).await?;
        failpoint!("agent.after_document");
        mem.unsaved = false;
        mem.etag = place.next_etag(mem.etag.as_deref()).await?;
        Ok(())
    }

    /// Performs what is pending and not under way here, and keeps the agent's own `wake` in order.
    async fn act(&self, actor: &mut Actor, id: &AgentId, mem: &Mem) {
        let attempt = mem.run.task.as_ref().map_or(0, |t| t.attempt);
        let mut wanted = BTreeSet::new();
        for effect in mem.run.pending() {
            let key = (attempt, Job::of(&effect, &mem.run));
            wanted.insert(key.clone());
            let is_under_way = !actor.in_flight.insert(key);
            if !rule!(InFlight, is_under_way) {
                self.perform(actor, id, mem, effect);
            }
        }
        actor.in_flight.retain(|key| wanted.contains(key));
        self.watch_limit(actor, id, mem);
        self.keep_reminder(actor, id, mem).await;
        if matches!(mem.run.phase, Phase::Done { .. }) {
            actor.ended.notify_waiters();
        }
    }

    /// An agent that loops has a reminder of its own. Without it, the run's own wake is the way back.
    async fn keep_reminder(&self, actor: &mut Actor, id: &AgentId, mem: &Mem) {
        let long = mem.run.iterations > 1 || actor.waits_for_others();
        let loops = mem.run.works() && mem.etag.is_some() && long;
        let is_registered = actor.reminder.registered().is_some();
        if loops && !is_registered && !actor.reminder.cools(&self.services) {
            failpoint!("agent.before_arm");
            actor.reminder.register(&self.services, AGENT, id.as_str(), self.often()).await;
        }
        if mem.run.pending().is_empty() && actor.reminder.registered().is_some() {
            failpoint!("agent.before_disarm");
            actor.reminder.remove(&self.services, AGENT, id.as_str()).await;
        }
    }

    fn often(&self) -> Armed {
        Armed { due: self.services.clock.now(), often: true }
    }
    /// The task's own time limit binds whatever it is doing: asking the model, using tools, waiting for others.
    fn watch_limit(&self, actor: &mut Actor, id: &AgentId, mem: &Mem) {
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
        let (this, id) = (self.clone(), id.clone());
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
fn keep(datum: &mut Datum, turn: &str, made: &mut Vec<stored_values::NewValue>) {
    if let Datum::Inline(value) = datum {
        *datum = stored_values::store(value.clone(), turn, made);
    }
}
