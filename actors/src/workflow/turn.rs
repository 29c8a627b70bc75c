//! The turn: load, decide, arm, commit, journal, act, answer. Nothing else changes a run.

use super::{
    Workflows,
    actor::{Actor, Mem},
    commit::Unadopted,
    load::{Loaded, Unread},
    tail::NotJournaled,
};
use crate::{
    failpoint::failpoint,
    marks::Work,
    mutant::{Rule, holds},
    reply::Fault,
    values,
};
use bytes::Bytes;
use callboard_core::{
    Machine, Span, Stop, Timestamp,
    expr::{Brake, Meter},
    workflow::{Event, Input, Plan, Run, StepKey, What, event::Refusal, view::Summary},
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How often a turn whose write is unknown decides again before it leaves the run to `wake`.
const TRIES: u32 = 6;
/// Ticks so soon after a good one answer at once.
const TICK_SKIP: Span = Span::secs(5);

/// Contents kept in memory between turns, in bytes.
const VALUES_KEPT: usize = 4 << 20;

/// Work on expressions that a decision may do on the reactor: a millisecond, about.
const WORK_HERE: u64 = 25_000;

/// So many panics set a run aside.
const PANICS: u32 = 5;

/// Why a turn is taken.
#[derive(Debug, Clone)]
pub enum Turn {
    /// The run is to begin, with its compiled plan. The `first` start of an id finds nothing of it.
    Start { input: Box<Input>, plan: Arc<Plan>, first: bool },
    /// Something reached the run.
    Input(Input),
    /// The reminder fired.
    Tick,
    /// The sweeper found the run due.
    Sweep,
    /// A deadline came, or a decision was cut.
    Go,
    /// Somebody looks.
    Look,
}

/// The run after a turn.
#[derive(Debug, Clone)]
pub struct Done {
    pub run: Run,
    /// Of its last event.
    pub seq: u64,
    pub summary: Option<Summary>,
}

/// A turn that was refused a write: what it made, to be cleaned up once the document has moved on.
pub(super) struct Refused {
    pub etag: Option<String>,
    pub made: Vec<(String, u64)>,
}

impl Turn {
    pub(super) fn is_wake(&self) -> bool {
        matches!(self, Turn::Tick | Turn::Sweep)
    }

    /// Somebody waits for what becomes of it.
    fn is_asked(&self) -> bool {
        matches!(self, Turn::Start { .. } | Turn::Input(_))
    }

    fn is_start(&self) -> bool {
        matches!(self, Turn::Start { .. })
    }

    /// Whether somebody outside asked for it, and may look at the history next.
    pub(super) fn is_operation(&self) -> bool {
        match self {
            Turn::Input(input) => input.is_operation(),
            Turn::Start { .. } | Turn::Tick | Turn::Sweep | Turn::Go | Turn::Look => false,
        }
    }
}

impl Workflows {
    /// Takes a turn in a task of its own, so that a caller that goes away cuts nothing.
    pub async fn turn(&self, run: &str, turn: Turn) -> Result<Done, Fault> {
        // Loading it may be what kills, so that not even a look is had; a cancel is somebody's own risk.
        if self.marks.is_set_aside(run) && !matches!(turn, Turn::Input(Input::Cancel { .. })) {
            let message = format!(
                "run {run} is set aside: the process died again and again while a turn of it was under way; \
                 resume it, or cancel it"
            );
            return Err(Fault::new(409, "quarantined", message));
        }
        if self.is_quarantined(run) && !matches!(turn, Turn::Look) {
            let message = format!(
                "run {run} is set aside: its turns failed unexpectedly; it is tried again after a restart"
            );
            return Err(Fault::new(409, "quarantined", message));
        }
        let name = run.to_owned();
        let (this, run) = (self.clone(), run.to_owned());
        let task = self.tasks.spawn(async move {
            let place = if holds(Rule::Mailbox) {
                run.clone()
            } else {
                format!("{run} {}", this.services.clock.id())
            };
            let mut actor = this.boxes.enter(&place).await.map_err(|_| {
                Fault::new(429, "mailbox_full", format!("too many calls wait for run {run} already"))
            })?;
            this.services.metrics.turns.inc();
            let done = this.take(&mut actor, &run, &turn).await;
            let gone = actor.mem.is_none() && done.is_err();
            drop(actor);
            if gone {
                this.boxes.forget(&run);
            }
            done
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a turn panicked");
            self.panicked(&name);
            Err(Fault::new(500, "internal", "the turn failed unexpectedly"))
        })
    }

    /// A run whose turns panic again and again is set aside, so that it harms no other.
    fn panicked(&self, run: &str) {
        *self.panics.lock().entry(run.to_owned()).or_default() += 1;
    }

    pub(super) fn is_quarantined(&self, run: &str) -> bool {
        self.panics.lock().get(run).is_some_and(|n| *n >= PANICS) || self.marks.is_set_aside(run)
    }

    async fn take(&self, actor: &mut Actor, run: &str, turn: &Turn) -> Result<Done, Fault> {
        let services = &self.services;
        if matches!(turn, Turn::Tick) && holds(Rule::TickSkip) && self.is_repeated_tick(actor, run) {
            return Ok(done(actor.mem.as_ref(), run));
        }
        let mut past = turn.is_wake() && holds(Rule::WakePast);
        let mut refused: Vec<Refused> = Vec::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                // The cache is gone: whatever happened to the write, the next look is at the store.
                tokio::time::sleep(self.backoff(attempt)).await;
                past = holds(Rule::DropCache);
            }
            if actor.tail.take_fork() {
                past = true;
            }
            let cached = actor.mem.as_ref().is_some_and(|m| is_usable(m, past));
            let first = match turn {
                // A wrong guess shows at the first save, or in the history; then the store is asked.
                Turn::Start { plan, first: true, .. } if attempt == 0 && !cached => Some(plan),
                _ => None,
            };
            let mem = match first {
                Some(plan) => Some(begin(actor, run, plan)),
                None => self.obtain(actor, run, turn, past, &mut refused).await?,
            };
            let Some(mut mem) = mem else { continue };
            failpoint!("turn.loaded");
            self.clean_refused(run, &mem, &mut refused).await;
            let purging = mem.run.purging;
            if purging && !turn.is_wake() && !matches!(turn, Turn::Look) {
                actor.mem = Some(mem);
                return Err(Fault::new(409, "run_archived", format!("run {run} is being archived")));
            }
            let mut asked = self.ask(actor, run, &mut mem, turn).await;
            // A commit is fenced, a refusal is not, nor is finding nothing to do: another host may have gone on since
            // this one read the run. What would be answered without a write is decided on what is there now.
            let writes_nothing = match &asked {
                Ok((events, _)) => events.is_empty(),
                Err(Undecided::Refused(_)) => true,
                Err(Undecided::Unknown) => false,
            };
            if cached && writes_nothing && turn.is_asked() && holds(Rule::DecideAgain) {
                let Some(read) = self.obtain(actor, run, turn, true, &mut refused).await? else { continue };
                mem = read;
                asked = self.ask(actor, run, &mut mem, turn).await;
            }
            let (events, adopted) = match asked {
                Ok(asked) => asked,
                Err(Undecided::Refused(fault)) => {
                    actor.mem = mem.etag.is_some().then_some(mem);
                    return Err(fault);
                }
                Err(Undecided::Unknown) => {
                    actor.mem = None;
                    continue;
                }
            };
            // A run that nobody was told of is to expire, one that somebody relies on is not. Where the catalog can't say which
            // this is, nothing is written over it.
            if mem.unsure && !events.is_empty() {
                actor.mem = None;
                continue;
            }
            let rested = mem.run.pending().is_empty();
            let begun = begun(&events);
            if !events.is_empty() {
                match self.commit(actor, run, &mut mem, events, adopted).await {
                    Ok(()) => {}
                    Err(lost) => {
                        services.metrics.conflicts.inc();
                        refused.extend(lost);
                        actor.mem = (!holds(Rule::DropCache)).then_some(mem);
                        if !holds(Rule::Retry) {
                            break;
                        }
                        if !holds(Rule::UnknownIsFailed) {
                            return Err(Fault::new(409, "not_saved", "the save was refused"));
                        }
                        continue;
                    }
                }
            } else if !matches!(turn, Turn::Look) {
                self.arm(actor, run, &mem.run, turn.is_wake()).await;
            }
            if matches!(turn, Turn::Look) {
                let seen = done(Some(&mem), run);
                actor.mem = Some(mem);
                return Ok(seen);
            }
            // A run that rested is looked at seldom: that it has work again must not be news to the catalog after a crash.
            let woken = rested && !mem.run.pending().is_empty();
            let at_once = services.settings.strict
                || turn.is_wake()
                || actor.tail.journaled() == 0 && holds(Rule::FirstJournaled)
                || woken && holds(Rule::WokenJournaled)
                || mem.run.purging;
            if !holds(Rule::JournalFirst) {
                self.act(actor, run, &mut mem, turn, &begun).await?;
            }
            match self.record(actor, run, &mem, at_once, turn).await {
                Ok(()) => {}
                Err(NotJournaled::Gap) => {
                    actor.mem = None;
                    return Err(Fault::new(
                        500,
                        "history_gap",
                        format!("the history of run {run} lacks events"),
                    ));
                }
                Err(NotJournaled::Conflict | NotJournaled::Unavailable) => {
                    if actor.tail.journaled() == 0 && holds(Rule::Reminders) {
                        self.arm_at_once(actor, run).await;
                    }
                    actor.mem = None;
                    continue;
                }
            }
            if holds(Rule::JournalFirst) {
                failpoint!("turn.before_act");
                self.act(actor, run, &mut mem, turn, &begun).await?;
            }
            failpoint!("turn.before_answer");
            if matches!(turn, Turn::Tick) {
                actor.ticked = Some(services.clock.steady());
            }
            let end = done(Some(&mem), run);
            mem.values.forget_over(VALUES_KEPT);
            // The sweeper comes to every run that waits: none of them is worth memory for that.
            let rests = matches!(turn, Turn::Sweep)
                && holds(Rule::WakePast)
                && mem.run.ended.is_none()
                && mem.run.pending().is_empty()
                && actor.in_flight.is_empty();
            actor.mem = (!rests).then_some(mem);
            return Ok(end);
        }
        if turn.is_start() {
            return Err(Fault::unavailable(format!("run {run} could not be started now: try again")));
        }
        Err(Fault::unavailable(format!("run {run} could not be saved now: try again")))
    }

    /// Missed ticks are replayed in a burst after a pause; one is enough.
    fn is_repeated_tick(&self, actor: &mut Actor, run: &str) -> bool {
        let now = self.services.clock.steady();
        if actor.ticked.is_none_or(|t| now >= t + self.services.settings.paced(TICK_SKIP)) {
            return false;
        }
        let Some(mut mem) = actor.mem.take() else { return true };
        self.tell_time(actor, run, &mut mem);
        let due = mem.run.deadline().is_some_and(|deadline| deadline <= mem.now);
        actor.mem = Some(mem);
        !due
    }

    fn backoff(&self, attempt: u32) -> Duration {
        let most = 4u64 << attempt.min(8);
        Duration::from_millis(1 + most / 2 + self.services.clock.spread(most))
    }

    /// Returns the run's state; `None` means that it could not be read now. What ends the turn at once is an error.
    async fn obtain(
        &self,
        actor: &mut Actor,
        run: &str,
        turn: &Turn,
        past: bool,
        refused: &mut Vec<Refused>,
    ) -> Result<Option<Mem>, Fault> {
        if let Some(mem) = actor.mem.take().filter(|m| is_usable(m, past)) {
            return Ok(Some(mem));
        }
        match self.load(actor, run).await {
            Ok(Loaded::Run(mut mem)) => {
                actor.unarmed = false;
                self.tell_time(actor, run, &mut mem);
                // What the load found unjournaled goes out also when this turn only looks.
                actor.tail.describe(self.projection(&mem), self.next_check(&mem.run));
                if actor.tail.has_work() {
                    self.follow(run, Arc::clone(&actor.tail));
                }
                Ok(Some(*mem))
            }
            Ok(Loaded::Unknown) if let Turn::Start { plan, .. } = turn => Ok(Some(begin(actor, run, plan))),
            Ok(Loaded::Unknown) => {
                if turn.is_wake() {
                    self.disarm(actor, run).await;
                }
                Err(Fault::not_found(run))
            }
            Ok(Loaded::Purged { found }) => {
                for lost in refused.drain(..) {
                    let _ = values::delete(&self.services, run, &lost.made).await;
                }
                self.look_at_purged(actor, run, turn, found).await;
                Err(Fault::new(409, "run_archived", format!("run {run} is archived: its state is gone")))
            }
            Ok(Loaded::Stopped(fault)) => Err(fault),
            Err(Unread::Newer(message)) => Err(Fault::new(503, "newer_version", message)),
            Err(error) => {
                tracing::debug!(run, %error, "the run can't be read now");
                Ok(None)
            }
        }
    }

    /// Decides, with an answer's value at hand.
    async fn ask(
        &self,
        actor: &mut Actor,
        run: &str,
        mem: &mut Mem,
        turn: &Turn,
    ) -> Result<(Vec<Event>, Option<(String, Bytes)>), Undecided> {
        self.tell_time(actor, run, mem);
        let adopted = match self.adopt(run, mem, turn).await {
            Ok(adopted) => adopted,
            Err(Unadopted::Unknown) => return Err(Undecided::Unknown),
            Err(Unadopted::Lost) => {
                let message = format!("the answer's value is not in the store of run {run}");
                return Err(Undecided::Refused(Fault::new(410, "value_lost", message)));
            }
        };
        Ok((self.decide(run, mem, turn).await?, adopted))
    }

    /// Asks the core, bringing the values it misses.
    async fn decide(&self, run: &str, mem: &mut Mem, turn: &Turn) -> Result<Vec<Event>, Undecided> {
        let tick = Input::Tick;
        let input = match turn {
            Turn::Input(input) => input,
            Turn::Start { input, .. } => input,
            Turn::Tick | Turn::Sweep | Turn::Go => &tick,
            Turn::Look => return Ok(Vec::new()),
        };
        let at = mem.now;
        #[cfg(feature = "mutants")]
        let changed = self.mutate(mem, input);
        #[cfg(feature = "mutants")]
        let input = &changed;
        let mut apart = false;
        loop {
            let decided = if apart { None } else { decide_here(mem, at, input) };
            apart = decided.is_none();
            let decided = match decided {
                Some(decided) => decided,
                None => self.decide_apart(mem, at, input).await.map_err(Undecided::Refused)?,
            };
            match decided {
                Ok(events) => return Ok(events),
                Err(Stop::Refused(refusal)) => return Err(Undecided::Refused(refusal.into())),
                Err(Stop::Missing(missing)) => {
                    let found = self.fetch(run, &missing.0).await.map_err(|_| Undecided::Unknown)?;
                    if missing.0.iter().any(|r| !found.contains_key(&r.key)) {
                        tracing::error!(run, ?missing, "values are in neither store nor catalog");
                        return Err(Undecided::Unknown);
                    }
                    for (key, value) in found {
                        mem.values.insert(key, value);
                    }
                }
            }
        }
    }

    /// Decides on a thread for what only computes, with all the work a decision may do.
    async fn decide_apart(
        &self,
        mem: &Mem,
        at: Timestamp,
        input: &Input,
    ) -> Result<Result<Vec<Event>, Stop<Refusal>>, Fault> {
        let name = mem.run.id.to_string();
        // A suspect waits for its turn before it takes a place, so that none holds one while it waits for another. Nobody
        // else is marked for waiting.
        let suspect = self.marks.is_suspect(&name);
        let _alone = if suspect { Some(self.marks.enter(&name, Work::Decide).await) } else { None };
        let place = self.tasks.pool.place().await.map_err(Fault::busy)?;
        let _under_way = if suspect { None } else { Some(self.marks.enter(&name, Work::Decide).await) };
        let (run, values, input) = (mem.run.clone(), mem.values.clone(), input.clone());
        let decide = move |brake: &Brake| run.decide_under(&Meter::new(Some(brake)), at, &input, &values);
        self.tasks.pool.decide(place, decide).await.map_err(Fault::busy)
    }

    #[cfg(feature = "mutants")]
    fn mutate(&self, mem: &Mem, input: &Input) -> Input {
        let mut input = input.clone();
        if !holds(Rule::AttemptFence)
            && let Input::Answer { step, attempt, .. } | Input::AgentAnswer { step, attempt, .. } = &mut input
            && let Some(known) = mem.run.steps.get(step)
        {
            *attempt = known.attempt;
        }
        if !holds(Rule::OperationIds)
            && let Input::Signal { op, .. }
            | Input::Rerun { op, .. }
            | Input::Pause { op }
            | Input::Resume { op } = &mut input
        {
            *op = format!("{op}-{}", self.services.clock.id());
        }
        input
    }

    /// Tells a run what time it is. Along a history time does not go backwards, whatever the wall clock says: after it was
    /// set back, a run's own time goes on from the last event, at the speed of time, until the wall clock has caught up.
    /// A wait lasts as long as it should, neither less nor as much longer as the clock was wrong.
    pub(super) fn tell_time(&self, actor: &mut Actor, run: &str, mem: &mut Mem) {
        let (wall, steady) = (self.services.clock.now(), self.services.clock.steady());
        let last = mem.doc.tail.last().map_or(Timestamp(0), |kept| kept.event.at);
        let known = actor.ahead.or_else(|| self.alarms.ahead(run)).unwrap_or(i64::MIN);
        let ahead = known.max(last.0.saturating_sub(steady.0));
        actor.ahead = Some(ahead);
        mem.now = wall.max(Timestamp(steady.0.saturating_add(ahead)));
        mem.run.ahead = mem.now.since(wall);
    }
}

/// Decides where it is asked, if that takes little work: most decisions evaluate nothing, or nearly so, and a way over
/// another thread would cost them more than they do. Nothing of a decision that was too much is used.
fn decide_here(mem: &Mem, at: Timestamp, input: &Input) -> Option<Result<Vec<Event>, Stop<Refusal>>> {
    let meter = Meter::up_to(WORK_HERE);
    let decided = mem.run.decide_under(&meter, at, input, &mem.values);
    (!meter.is_over()).then_some(decided)
}

/// Returns a run of which there is nothing yet.
fn begin(actor: &mut Actor, run: &str, plan: &Arc<Plan>) -> Mem {
    actor.tail.reset(0, Default::default(), 0);
    actor.unarmed = true;
    let mut mem = Mem::new(run);
    mem.run.attach(Arc::clone(plan));
    mem
}

/// Whether a turn may begin from memory. An ended run is always read: a zombie's late save may have brought its
/// document back.
fn is_usable(mem: &Mem, past: bool) -> bool {
    !past && (mem.run.ended.is_none() || !holds(Rule::EndedPast))
}

/// Why nothing was decided.
enum Undecided {
    Refused(Fault),
    Unknown,
}

/// Returns the attempts that these events begin.
fn begun(events: &[Event]) -> BTreeSet<(StepKey, u32)> {
    let begun = events.iter().filter(|event| matches!(event.what, What::StepStarted { .. }));
    begun.filter_map(|event| event.what.step().map(|(step, n)| (step.clone(), n.unwrap_or(1)))).collect()
}

fn done(mem: Option<&Mem>, run: &str) -> Done {
    match mem {
        Some(mem) => Done { run: mem.run.clone(), seq: mem.doc.seq, summary: Summary::of(&mem.run) },
        None => Done { run: Run::new(run), seq: 0, summary: None },
    }
}
