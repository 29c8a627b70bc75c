//! When a run is woken by its reminder: the way back to a run whose process died, or whose messages were lost.

use super::{Workflows, actor::Actor};
use crate::{
    WORKFLOW,
    kernel::{Reminder, reminder::Armed},
    wake,
};
use callboard_core::{Machine, Span, Timestamp, id::RunId, workflow::Run};

/// A deadline that moved by no more than this is not worth a call: the timer in this process is exact.
const CLOSE: Span = Span::secs(5);

impl Workflows {
    /// Registers `wake` if the run wants it sooner than it is, or, on a wake, otherwise than it is.
    pub(super) async fn arm(&self, actor: &mut Actor, run: &RunId, state: &Run, on_wake: bool) {
        let (services, settings) = (&self.services, &self.services.settings);
        let now = services.clock.now();
        let seldom = Span(settings.pause(wake::SELDOM).as_millis() as u64);
        // An ended run wants no other reminder than it has until it is cleaned up.
        let Some(want) = wanted(state, now, seldom) else { return };
        let close = settings.paced(CLOSE);
        if !is_worth_a_call(&actor.reminder, want, on_wake, now, close) || actor.reminder.cools(services) {
            return;
        }
        if actor.reminder.is_none() && !on_wake {
            self.arm_later(actor, run);
            return;
        }
        actor.reminder.register(services, WORKFLOW, run.as_str(), want).await;
    }

    /// A run that just began gets its reminder a little later: most that only call agents have ended by then. If this
    /// process ends before, the sweeper of the next one wakes the run.
    fn arm_later(&self, actor: &mut Actor, run: &RunId) {
        let (this, run) = (self.clone(), run.clone());
        let pause = self.services.settings.pause(wake::FIRST);
        let task = self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = this.tasks.stopped() => return,
            }
            let Ok(mut actor) = this.boxes.enter(&run).await else { return };
            actor.reminder.redeem();
            if let Some(mem) = actor.mem.take() {
                this.arm(&mut actor, &run, &mem.run, false).await;
                actor.mem = Some(mem);
            }
        });
        actor.reminder.promise(task.abort_handle());
    }

    /// Registers `wake` for a run that the catalog may never have heard of. The sweeper would not find it.
    pub(super) async fn arm_at_once(&self, actor: &mut Actor, run: &RunId) {
        actor.reminder.forget_promise();
        let want = Armed { due: self.services.clock.now(), often: true };
        let is_often = actor.reminder.registered().is_some_and(|armed| armed.often);
        if !is_often && !actor.reminder.cools(&self.services) {
            actor.reminder.register(&self.services, WORKFLOW, run.as_str(), want).await;
        }
    }

    /// Removes `wake`, and tells whether it is gone.
    pub(super) async fn disarm(&self, actor: &mut Actor, run: &RunId) -> bool {
        actor.reminder.remove(&self.services, WORKFLOW, run.as_str()).await
    }
}

/// Returns how a run wants to be woken. An ended one keeps the reminder that it has until it is cleaned up.
fn wanted(run: &Run, now: Timestamp, seldom: Span) -> Option<Armed> {
    if run.purging || !run.pending().is_empty() {
        return Some(Armed { due: now, often: true });
    }
    if run.ended.is_some() {
        return None;
    }
    // The reminder goes by the wall clock, the deadline by the run's own time.
    let due = run.deadline().map_or(now + seldom, |deadline| now + deadline.since(now + run.ahead));
    Some(Armed { due, often: false })
}

/// Whether the reminder as it is known differs enough from the one that is wanted.
fn is_worth_a_call(known: &Reminder, want: Armed, on_wake: bool, now: Timestamp, close: Span) -> bool {
    match known.registered() {
        None => !known.is_promised() || on_wake,
        Some(have) if want.often != have.often => want.often || on_wake,
        Some(have) => {
            let differs = want.due.0.abs_diff(have.due.0) > close.0 && want.due.since(now).0 > close.0;
            !want.often && differs
        }
    }
}
