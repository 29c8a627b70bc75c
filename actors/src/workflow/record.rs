//! The journal's part of a turn: what goes into the catalog before the answer, and what follows behind.

use super::{
    Workflows,
    actor::{Actor, Mem},
    tail::{NotJournaled, OUTSTANDING, Tail},
    turn::Turn,
};
use callboard_catalog::RunProjection;
use callboard_core::{
    Machine, Span, Timestamp,
    workflow::{Run, view::Summary},
};
use std::{sync::Arc, time::Duration};

/// How long committed events wait for more before they are journaled, where nothing waits for that, and published.
const GATHER: Duration = Duration::from_millis(20);

impl Workflows {
    /// Journals the whole unjournaled tail: at once, or behind the turn.
    pub(super) async fn record(
        &self,
        actor: &mut Actor,
        run: &str,
        mem: &Mem,
        at_once: bool,
        turn: &Turn,
    ) -> Result<(), NotJournaled> {
        actor.tail.describe(self.projection(mem), self.next_check(&mem.run));
        if turn.is_operation() {
            actor.tail.hurry();
        }
        let full = actor.tail.outstanding() > OUTSTANDING;
        if at_once || full {
            actor.tail.journal(&self.services, run, turn.is_wake()).await?;
        }
        if actor.tail.has_work() {
            self.follow(run, Arc::clone(&actor.tail));
        }
        Ok(())
    }

    pub(super) fn projection(&self, mem: &Mem) -> RunProjection {
        let Some(summary) = Summary::of(&mem.run) else { return RunProjection::default() };
        let status = serde_json::to_value(summary.status).unwrap_or_default();
        RunProjection {
            workflow_id: summary.workflow_id.clone(),
            version: Some(summary.version),
            status: status.as_str().unwrap_or_default().to_owned(),
            summary: serde_json::to_string(&summary).unwrap_or_default(),
            created_at: summary.created_at,
            ended_at: summary.ended_at,
            retain_until: mem.run.retained_until(),
            purging: mem.run.purging,
        }
    }

    /// When the sweeper should look if nobody else did.
    pub(super) fn next_check(&self, run: &Run) -> Timestamp {
        let now = self.services.clock.now();
        let paced = |seconds| self.services.settings.paced(Span::secs(seconds));
        let soon = now + paced(45);
        let busy = run.ended.is_some() || !run.pending().is_empty();
        if busy {
            return soon;
        }
        let left = run.deadline().map(|deadline| deadline.since(now + run.ahead));
        let deadline = left.map_or(now + paced(900), |left| now + left + paced(15));
        deadline.min(now + paced(24 * 3600))
    }

    /// Journals and publishes behind the turns of a run; at most one such worker for each.
    pub(super) fn follow(&self, run: &str, tail: Arc<Tail>) {
        if !tail.begin_following() {
            return;
        }
        let (this, run) = (self.clone(), run.to_owned());
        self.tasks.spawn(async move {
            let mut failures = 0;
            while tail.has_work() && failures < 5 {
                tokio::select! {
                    biased;
                    () = this.tasks.stopped() => {}
                    () = tail.gather(this.services.settings.pause(GATHER)) => {}
                }
                let journaled = tail.journal(&this.services, &run, false).await;
                let published = journaled.is_ok() && tail.publish(&this.services, &run).await;
                if matches!(journaled, Err(NotJournaled::Conflict | NotJournaled::Gap)) {
                    tail.end_following();
                    // The next turn reads past the cache and follows the history.
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
            tail.end_following();
            // What came between the last look and the mark has its own worker, or this one again.
            if tail.has_work() && failures == 0 && !this.tasks.is_stopping() {
                this.follow(&run, tail);
                return;
            }
            this.settle(&run).await;
        });
    }
}
