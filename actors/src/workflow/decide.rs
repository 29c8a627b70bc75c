//! The decision of a turn: the core is asked, with the values it misses, and asked again where its answer could rest on
//! an old state.

use super::{
    Workflows,
    actor::{Actor, Mem},
    commit::Refused,
    contents::{Adopted, Unadopted},
    reason::{Cut, Source, Turn},
};
use crate::{marks::Work, mutant::rule, protocol::Fault};
use callboard_core::{
    Code, Stop, Timestamp,
    expr::{Brake, Meter},
    id::RunId,
    workflow::{Event, Input, Refusal, StepKey, What},
};
use std::collections::BTreeSet;

/// Units of work on expressions that a decision may do on the reactor. They take about a millisecond.
const WORK_HERE: u64 = 25_000;

/// What a turn decided, and the state it was decided on.
pub(super) struct Decided {
    pub mem: Mem,
    pub events: Vec<Event>,
    pub adopted: Option<Adopted>,
}

/// Why nothing was decided.
enum Undecided {
    Refused(Fault),
    Unknown,
}

type Decision = Result<(Vec<Event>, Option<Adopted>), Undecided>;

impl Workflows {
    /// Decides, and decides again on what is in the store where the answer would rest on memory alone. A commit is
    /// fenced by the etag; a refusal, and finding nothing to do, are not: another host may have gone on since this
    /// one read the run.
    pub(super) async fn decide_surely(
        &self,
        actor: &mut Actor,
        run: &RunId,
        turn: &Turn,
        mut mem: Mem,
        source: Source,
        refused: &mut Vec<Refused>,
    ) -> Result<Decided, Cut> {
        let mut decision = self.decide_with_value(actor, run, &mut mem, turn).await;
        let writes_nothing = match &decision {
            Ok((events, _)) => events.is_empty(),
            Err(Undecided::Refused(_)) => true,
            Err(Undecided::Unknown) => false,
        };
        if rule!(DecideAgain, writes_nothing) && source == Source::Memory && turn.is_asked() {
            mem = self.obtain(actor, run, turn, Source::Store, refused).await?;
            decision = self.decide_with_value(actor, run, &mut mem, turn).await;
        }
        let (events, adopted) = match decision {
            Ok(decided) => decided,
            Err(Undecided::Refused(fault)) => {
                // Without an etag nothing was ever saved, so there is nothing to keep.
                actor.mem = mem.saved.etag.is_some().then_some(mem);
                return Err(fault.into());
            }
            Err(Undecided::Unknown) => return Err(Cut::Unknown),
        };
        // The document of a run that nobody was told of must expire; the document of a run that somebody relies on
        // must not. Where the catalog can't say which this is, nothing is written over it.
        if mem.saved.unsure && !events.is_empty() {
            return Err(Cut::Unknown);
        }
        Ok(Decided { mem, events, adopted })
    }

    /// Decides, with an answer's value at hand.
    async fn decide_with_value(
        &self,
        actor: &mut Actor,
        run: &RunId,
        mem: &mut Mem,
        turn: &Turn,
    ) -> Decision {
        self.tell_time(actor, run, mem);
        let adopted = match self.adopt(run, mem, turn).await {
            Ok(adopted) => adopted,
            Err(Unadopted::Unknown) => return Err(Undecided::Unknown),
            Err(Unadopted::Lost) => {
                let message = format!("the answer's value is not in the store of run {run}");
                return Err(Undecided::Refused(Fault::new(410, Code::ValueLost, message)));
            }
        };
        Ok((self.decide(run, mem, turn).await?, adopted))
    }

    /// Asks the core, and brings the values that it misses until it has all of them.
    async fn decide(&self, run: &RunId, mem: &mut Mem, turn: &Turn) -> Result<Vec<Event>, Undecided> {
        let tick = Input::Tick;
        let input = match turn {
            Turn::Input(input) => input,
            Turn::Start { input, .. } => input,
            Turn::Tick | Turn::Sweep | Turn::Go => &tick,
            Turn::Look => return Ok(Vec::new()),
        };
        let at = mem.now;
        let mut apart = false;
        loop {
            // Once a decision was too much for the reactor, it is made apart from then on.
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
                    // A value that is in neither of them may come back with the store, so this is no refusal.
                    if missing.0.iter().any(|r| !found.contains_key(&r.key)) {
                        tracing::error!(%run, ?missing, "values are in neither store nor catalog");
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
        let name = &mem.run.id;
        // A suspect waits for its turn before it takes a place in the pool, so that no run holds a place while it
        // waits for another.
        let suspect = self.marks.is_suspect(name);
        let _alone = if suspect { Some(self.marks.enter(name, Work::Decide).await) } else { None };
        let place = self.tasks.pool.place().await.map_err(Fault::busy)?;
        let _under_way = if suspect { None } else { Some(self.marks.enter(name, Work::Decide).await) };
        let (run, values, input) = (mem.run.clone(), mem.values.clone(), input.clone());
        let decide = move |brake: &Brake| run.decide_under(&Meter::new(Some(brake)), at, &input, &values);
        self.tasks.pool.decide(place, decide).await.map_err(Fault::busy)
    }

    /// Tells a run what time it is. Time never goes backwards along a history. After the wall clock was set back, a
    /// run's own time goes on from its last event, at the speed of the steady clock, until the wall clock has caught
    /// up. So a wait lasts as long as it should.
    pub(super) fn tell_time(&self, actor: &mut Actor, run: &RunId, mem: &mut Mem) {
        let (wall, steady) = (self.services.clock.now(), self.services.clock.steady());
        let last = mem.doc.tail.last().map_or(Timestamp(0), |kept| kept.event.at);
        let known = actor.ahead.or_else(|| self.alarms.ahead(run)).unwrap_or(i64::MIN);
        let ahead = known.max(last.0.saturating_sub(steady.0));
        actor.ahead = Some(ahead);
        mem.now = wall.max(Timestamp(steady.0.saturating_add(ahead)));
        mem.run.ahead = mem.now.since(wall);
    }
}

/// Decides on the reactor, if that takes little work: most decisions evaluate next to nothing, and another thread
/// would cost them more than they do. Returns nothing if it was too much; then nothing of it is used.
fn decide_here(mem: &Mem, at: Timestamp, input: &Input) -> Option<Result<Vec<Event>, Stop<Refusal>>> {
    let meter = Meter::up_to(WORK_HERE);
    let decided = mem.run.decide_under(&meter, at, input, &mem.values);
    (!meter.is_over()).then_some(decided)
}

/// Returns the attempts that these events begin.
pub(super) fn begun(events: &[Event]) -> BTreeSet<(StepKey, u32)> {
    let begun = events.iter().filter(|event| matches!(event.what, What::StepStarted { .. }));
    begun.filter_map(|event| event.what.step().map(|(step, n)| (step.clone(), n.unwrap_or(1)))).collect()
}
