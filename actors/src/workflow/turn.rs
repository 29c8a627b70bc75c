//! The turn of a run: load, decide, commit, arm, journal, act, answer. Nothing else changes a run.
//!
//! `pass` is the turn, from top to bottom; `run_turn` repeats it while the outcome of a write is unknown.

use super::{
    Workflows,
    actor::{Actor, Mem},
    commit::Refused,
    contents::Unread,
    decide::{Decided, begun},
    journal::Haste,
    load::Loaded,
    reason::{Cut, Done, Source, Turn},
};
use crate::{
    failpoint::failpoint,
    mutant::{mutant, rule},
    protocol::Fault,
    stored_values,
};
use callboard_core::{
    Code, Machine, Span,
    id::RunId,
    workflow::{Input, Plan, Run, view::Summary},
};
use std::{sync::Arc, time::Duration};

/// How often a turn decides again while the outcome of its write is unknown. Then it leaves the run to `wake`.
const TRIES: u32 = 6;
/// A tick that comes so soon after one that went well is answered at once.
const TICK_SKIP: Span = Span::secs(5);
/// Contents kept in memory between turns, in bytes.
const VALUES_KEPT: usize = 4 << 20;
/// Panics after which a run is set aside until the restart.
const PANICS: u32 = 5;

impl Workflows {
    /// Takes a turn in a task of its own, so that a caller that goes away cuts nothing.
    pub async fn turn(&self, run: &RunId, turn: Turn) -> Result<Done, Fault> {
        self.admit(run, &turn)?;
        let (this, id) = (self.clone(), run.clone());
        let task = self.tasks.spawn(async move {
            let mut actor = this.boxes.enter(&id).await.map_err(|_| {
                Fault::new(429, Code::MailboxFull, format!("too many calls wait for run {id} already"))
            })?;
            this.services.metrics.turns.inc();
            let done = this.run_turn(&mut actor, &id, &turn).await;
            let gone = actor.mem.is_none() && done.is_err();
            // The place is left before it is forgotten: `forget_if` keeps a place that somebody is in.
            drop(actor);
            if gone {
                this.boxes.forget_if(&id, |actor| actor.mem.is_none() && !actor.is_bound());
            }
            done
        });
        task.await.unwrap_or_else(|error| {
            tracing::error!(%error, "a turn panicked");
            // This is counted outside the task, which ended by the panic.
            *self.panics.lock().entry(run.clone()).or_default() += 1;
            Err(Fault::new(500, Code::Internal, "the turn failed unexpectedly"))
        })
    }

    /// Refuses turns of a run that is set aside, so that it harms no other.
    fn admit(&self, run: &RunId, turn: &Turn) -> Result<(), Fault> {
        // Loading may be what kills the process, so not even a look is let in. A cancel is let in, at the risk of the
        // one who asks.
        if self.marks.is_set_aside(run) && !matches!(turn, Turn::Input(Input::Cancel { .. })) {
            let message = format!(
                "run {run} is set aside: the process died again and again while a turn of it was under way; \
                 resume it, or cancel it"
            );
            return Err(Fault::new(409, Code::Quarantined, message));
        }
        if self.is_quarantined(run) && !turn.is_look() {
            let message = format!(
                "run {run} is set aside: its turns failed unexpectedly; it is tried again after a restart"
            );
            return Err(Fault::new(409, Code::Quarantined, message));
        }
        Ok(())
    }

    /// Whether the run's turns are refused, for panics here or for deaths of the process.
    pub(super) fn is_quarantined(&self, run: &RunId) -> bool {
        self.panics.lock().get(run).is_some_and(|n| *n >= PANICS) || self.marks.is_set_aside(run)
    }

    /// Passes through the turn until a pass comes through, or is refused for a reason that the caller should know.
    async fn run_turn(&self, actor: &mut Actor, run: &RunId, turn: &Turn) -> Result<Done, Fault> {
        if rule!(TickSkip, matches!(turn, Turn::Tick)) && self.is_repeated_tick(actor, run) {
            return Ok(done(actor.mem.as_ref(), run));
        }
        let mut refused = Vec::new();
        let mut written = false;
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(self.backoff(attempt)).await;
            }
            let source = source(actor, turn, attempt);
            match self.pass(actor, run, turn, source, &mut refused, &mut written).await {
                // What an earlier pass wrote, of unknown outcome, may be what this one knows.
                Ok(done) => return Ok(Done { replayed: done.replayed && !written, ..done }),
                Err(Cut::Fault(fault)) => return Err(fault),
                Err(Cut::Unknown) => {}
            }
        }
        Err(turn.unsaved(run))
    }

    /// The turn. Each phase happens once, in this order: an event is committed before anybody hears of it, and what follows
    /// from it is done only once it is on record.
    async fn pass(
        &self,
        actor: &mut Actor,
        run: &RunId,
        turn: &Turn,
        source: Source,
        refused: &mut Vec<Refused>,
        written: &mut bool,
    ) -> Result<Done, Cut> {
        // Load.
        let mem = self.obtain(actor, run, turn, source, refused).await?;
        failpoint!("turn.loaded");
        // Values of passes that were refused before are deleted once the document shows that nothing names them.
        self.clean_refused(run, &mem, refused).await;

        // Decide.
        let decided = self.decide_surely(actor, run, turn, mem, source, refused).await?;
        let Decided { mut mem, events, adopted } = decided;
        if turn.is_look() {
            return Ok(self.finish(actor, run, turn, mem));
        }
        // This is looked at before the commit, to see whether the turn wakes a run that rested.
        let rested = mem.run.pending().is_empty();
        let replayed = turn.is_known_to(&mem.run);
        let begun = begun(&events);

        // Commit, and arm the reminder beside it; without events only that.
        if events.is_empty() {
            self.arm(actor, run, &mem.run, turn.is_wake()).await;
        } else if let Err(lost) = self.commit(actor, run, &mut mem, events, adopted).await {
            *written = true;
            // `actor.mem` stays empty: after a write of unknown outcome the state in memory is worth nothing.
            self.services.metrics.conflicts.inc();
            refused.extend(lost);
            mutant!(DropCache, actor.mem = Some(mem));
            mutant!(Retry, return Err(turn.unsaved(run).into()));
            mutant!(
                UnknownIsFailed,
                return Err(Fault::new(409, Code::NotSaved, "the save was refused").into())
            );
            return Err(Cut::Unknown);
        }

        // Journal.
        mutant!(JournalFirst, self.act(actor, run, &mut mem, turn, &begun).await?);
        let woken = rested && !mem.run.pending().is_empty();
        let haste = Haste::of(turn, actor, &mem, woken, self.services.settings.strict);
        self.journal(actor, run, &mem, haste, turn).await?;

        // Act.
        failpoint!("turn.before_act");
        self.act(actor, run, &mut mem, turn, &begun).await?;

        // Answer.
        failpoint!("turn.before_answer");
        Ok(Done { replayed, ..self.finish(actor, run, turn, mem) })
    }

    /// Keeps the state for the next turn and returns what the caller sees.
    fn finish(&self, actor: &mut Actor, run: &RunId, turn: &Turn, mut mem: Mem) -> Done {
        let end = done(Some(&mem), run);
        if matches!(turn, Turn::Tick) {
            actor.ticked = Some(self.services.clock.steady());
        }
        if !turn.is_look() {
            mem.values.forget_over(VALUES_KEPT);
        }
        // The sweeper comes to every run that waits. Such a run does not stay in memory for that.
        let rests = matches!(turn, Turn::Sweep)
            && mem.run.ended.is_none()
            && mem.run.pending().is_empty()
            && actor.attempts.is_empty();
        actor.mem = (!rule!(WakePast, rests)).then_some(mem);
        end
    }

    /// Missed ticks are replayed in a burst after a pause; one is enough.
    fn is_repeated_tick(&self, actor: &mut Actor, run: &RunId) -> bool {
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

    /// Returns a wait that doubles with each attempt and is partly random: two hosts that write over each other must
    /// not meet again.
    fn backoff(&self, attempt: u32) -> Duration {
        let most = 4u64 << attempt.min(8);
        Duration::from_millis(1 + most / 2 + self.services.clock.spread(most))
    }

    /// Returns the run's state from its source. A run that is being purged takes no more operations.
    pub(super) async fn obtain(
        &self,
        actor: &mut Actor,
        run: &RunId,
        turn: &Turn,
        source: Source,
        refused: &mut Vec<Refused>,
    ) -> Result<Mem, Cut> {
        let mem = match (source, actor.mem.take(), turn) {
            (Source::Memory, Some(mem), _) => mem,
            (Source::Nothing, _, Turn::Start { plan, .. }) => begin(actor, run, plan),
            (Source::Memory | Source::Store | Source::Nothing, _, _) => {
                self.read(actor, run, turn, refused).await?
            }
        };
        // Only the turns that delete it, and looks, go on.
        if mem.run.purging && !turn.is_wake() && !turn.is_look() {
            actor.mem = Some(mem);
            return Err(Fault::new(409, Code::RunArchived, format!("run {run} is being archived")).into());
        }
        Ok(mem)
    }

    /// Reads the run from the store.
    async fn read(
        &self,
        actor: &mut Actor,
        run: &RunId,
        turn: &Turn,
        refused: &mut Vec<Refused>,
    ) -> Result<Mem, Cut> {
        match self.load(actor, run, turn.gives_up()).await {
            Ok(Loaded::Run(mut mem)) => {
                actor.reminder.doubt();
                self.tell_time(actor, run, &mut mem);
                // What the load found unjournaled goes out also when this turn only looks.
                actor.outgoing.describe(self.projection(&mem), self.next_check(&mem.run));
                if actor.outgoing.has_work() {
                    self.follow(run, Arc::clone(&actor.outgoing));
                }
                Ok(*mem)
            }
            Ok(Loaded::Unknown) if let Turn::Start { plan, .. } = turn => Ok(begin(actor, run, plan)),
            Ok(Loaded::Unknown) => {
                if turn.is_wake() {
                    self.disarm(actor, run).await;
                }
                Err(Fault::not_found(run).into())
            }
            Ok(Loaded::Purged { came_back }) => {
                // The document is gone for good, so nothing can name what refused passes made.
                for lost in refused.drain(..) {
                    let _ = stored_values::delete(&self.services, run, &lost.made).await;
                }
                self.look_at_purged(actor, run, turn, came_back).await;
                let message = format!("run {run} is archived: its state is gone");
                Err(Fault::new(409, Code::RunArchived, message).into())
            }
            Ok(Loaded::Stopped(fault)) => Err(fault.into()),
            Err(Unread::Newer(message)) => {
                tracing::warn!(%run, message, "the run is left to a newer version");
                Err(Fault::new(503, Code::NewerVersion, message).into())
            }
            Err(Unread::Lost(message)) => {
                tracing::error!(%run, message, "the run can't be read");
                Err(Cut::Unknown)
            }
            Err(error) => {
                tracing::debug!(%run, %error, "the run can't be read now");
                Err(Cut::Unknown)
            }
        }
    }
}

/// Chooses where the pass takes the state from. A wake and a repeated pass look past the cache, because something may
/// have been missed. So does a turn of an ended run: a zombie's late save may have brought its document back.
fn source(actor: &Actor, turn: &Turn, attempt: u32) -> Source {
    let forked = actor.outgoing.take_fork();
    let doubted = forked || rule!(WakePast, turn.is_wake()) || rule!(DropCache, attempt > 0);
    let is_over = |mem: &Mem| rule!(EndedPast, mem.run.ended.is_some());
    let cached = actor.mem.as_ref().is_some_and(|mem| !is_over(mem));
    match turn {
        _ if cached && !doubted => Source::Memory,
        Turn::Start { first: true, .. } if attempt == 0 => Source::Nothing,
        Turn::Start { .. } | Turn::Input(_) | Turn::Tick | Turn::Sweep | Turn::Go | Turn::Look => {
            Source::Store
        }
    }
}

/// Returns a run of which there is nothing yet.
fn begin(actor: &mut Actor, run: &RunId, plan: &Arc<Plan>) -> Mem {
    actor.outgoing.reset(0, Default::default(), 0);
    actor.reminder.begin();
    let mut mem = Mem::new(run);
    mem.run.attach(Arc::clone(plan));
    mem
}

/// Returns what a caller sees of a run; without a state an empty one.
fn done(mem: Option<&Mem>, run: &RunId) -> Done {
    match mem {
        Some(mem) => {
            let summary = Summary::of(&mem.run);
            Done { run: mem.run.clone(), seq: mem.doc.seq, summary, replayed: false }
        }
        None => Done { run: Run::new(run), seq: 0, summary: None, replayed: false },
    }
}
