//! The journal's part of a turn: what goes into the catalog before the answer, and what follows behind.

use super::{
    Workflows,
    actor::{Actor, Mem},
    outgoing::{NotJournaled, OUTSTANDING, Outgoing},
    reason::{Cut, Turn},
};
use crate::{mutant::rule, protocol::Fault};
use callboard_catalog::{Asking, RunProjection};
use callboard_core::{
    Code, Machine, Span, Timestamp,
    id::RunId,
    workflow::{
        Run,
        view::{Asked, Summary},
    },
};
use std::{sync::Arc, time::Duration};

/// Questions of one run that are listed. A run that asks more at once shows the others as these are answered.
const ASKED: usize = 200;

/// How long committed events wait for more before they are journaled, where nothing waits for that, and published.
const GATHER: Duration = Duration::from_millis(20);

/// Whether a turn's events are in the catalog before its answer, or follow behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Haste {
    Now,
    Behind,
}

impl Haste {
    /// `woken` says that a run that rested has work again. The sweeper rarely checks an idle run, so its new work
    /// must be journaled before the answer: after a crash nobody would look.
    pub fn of(turn: &Turn, actor: &Actor, mem: &Mem, woken: bool, strict: bool) -> Self {
        let never_journaled = actor.outgoing.journaled() == 0;
        let now = strict
            || turn.is_wake()
            || rule!(FirstJournaled, never_journaled)
            || rule!(WokenJournaled, woken)
            || mem.run.purging;
        if now { Self::Now } else { Self::Behind }
    }
}

/// As the catalog keeps it.
fn asking(asked: &Asked) -> Asking {
    let step = &asked.step;
    Asking {
        step: format!("{}.{}.{}", step.generation, step.node, step.iteration),
        since: asked.since,
        asked: serde_json::to_string(asked).unwrap_or_default(),
    }
}

impl Workflows {
    /// Brings what the turn committed into the catalog: before its answer, or behind it.
    pub(super) async fn journal(
        &self,
        actor: &mut Actor,
        run: &RunId,
        mem: &Mem,
        haste: Haste,
        turn: &Turn,
    ) -> Result<(), Cut> {
        actor.outgoing.describe(self.projection(mem), self.next_check(&mem.run));
        if turn.is_operation() {
            // Somebody who asked for it may read the history next.
            actor.outgoing.hurry();
        }
        // A queue that is too long is journaled by the turn itself, which bounds it.
        if haste == Haste::Now || actor.outgoing.outstanding() > OUTSTANDING {
            match actor.outgoing.journal(&self.services, run, turn.is_wake()).await {
                Ok(()) => {}
                Err(NotJournaled::Gap) => {
                    let message = format!("the history of run {run} lacks events");
                    return Err(Fault::new(500, Code::HistoryGap, message).into());
                }
                Err(NotJournaled::Conflict | NotJournaled::Unavailable) => {
                    // A run that the catalog never heard of is found by nobody but its reminder.
                    if actor.outgoing.journaled() == 0 {
                        self.arm_at_once(actor, run).await;
                    }
                    return Err(Cut::Unknown);
                }
            }
        }
        if actor.outgoing.has_work() {
            self.follow(run, Arc::clone(&actor.outgoing));
        }
        Ok(())
    }

    /// Returns what the catalog's row shows of the run.
    pub(super) fn projection(&self, mem: &Mem) -> RunProjection {
        let Some(summary) = Summary::of(&mem.run) else { return RunProjection::default() };
        let status = serde_json::to_value(summary.status).unwrap_or_default();
        RunProjection {
            workflow_id: summary.workflow_id.clone(),
            version: Some(summary.version),
            status: status.as_str().unwrap_or_default().to_owned(),
            summary: serde_json::to_string(&summary).unwrap_or_default(),
            name: mem.run.plan.as_ref().map(|plan| plan.definition.name.clone()).unwrap_or_default(),
            error: summary.error.as_ref().map(|error| format!("{} {}", error.code, error.message)),
            asks: Asked::of(&mem.run, ASKED).iter().map(asking).collect(),
            created_at: summary.created_at,
            ended_at: summary.ended_at,
            retain_until: mem.run.retained_until(),
            purging: mem.run.purging,
        }
    }

    /// Returns when the sweeper should look at the run if nobody else did.
    pub(super) fn next_check(&self, run: &Run) -> Timestamp {
        let now = self.services.clock.now();
        let paced = |seconds| self.services.settings.paced(Span::secs(seconds));
        let soon = now + paced(45);
        // Effects may be lost with this process, and an ended run has to be cleaned up.
        let busy = run.ended.is_some() || !run.pending().is_empty();
        if busy {
            return soon;
        }
        let left = run.deadline().map(|deadline| deadline.since(now + run.ahead));
        let deadline = left.map_or(now + paced(900), |left| now + left + paced(15));
        deadline.min(now + paced(24 * 3600))
    }

    /// Journals and publishes behind the turns of a run; at most one such worker for each.
    pub(super) fn follow(&self, run: &RunId, outgoing: Arc<Outgoing>) {
        if !outgoing.begin_following() {
            return;
        }
        let (this, run) = (self.clone(), run.clone());
        self.tasks.spawn(async move {
            let mut failures = 0;
            while outgoing.has_work() && failures < 5 {
                tokio::select! {
                    biased;
                    () = this.tasks.stopped() => {}
                    () = outgoing.gather(this.services.settings.pause(GATHER)) => {}
                }
                let journaled = outgoing.journal(&this.services, &run, false).await;
                let published = journaled.is_ok() && outgoing.publish(&this.services, &run).await;
                if matches!(journaled, Err(NotJournaled::Conflict | NotJournaled::Gap)) {
                    outgoing.end_following();
                    // This process was overtaken. The next turn reads past the cache and follows the history.
                    let _ = this.turn(&run, Turn::Sweep).await;
                    return;
                }
                if !published {
                    failures += 1;
                    if this.tasks.is_stopping() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50 << failures)).await;
                }
            }
            outgoing.end_following();
            // What came between the last look and `end_following` needs a worker: another one, or this one again.
            if outgoing.has_work() && failures == 0 && !this.tasks.is_stopping() {
                this.follow(&run, outgoing);
                return;
            }
            this.settle(&run).await;
        });
    }
}
