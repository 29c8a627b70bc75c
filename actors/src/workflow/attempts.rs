//! Attempts of a run's steps that somebody works on: a call made in this process, or a task that was published.
//!
//! A task's message may be lost, so it is published again after a while; a call is never made twice by one process.

use crate::{kernel::Ladder, mutant::rule};
use callboard_core::{Timestamp, workflow::StepKey};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Waits before the tries to publish a task.
pub const PUBLISH: Ladder = Ladder::of(&[0, 20, 200, 1000, 2000, 4000]);

/// A step and the number of its attempt.
pub type Attempt = (StepKey, u32);

/// Attempts under way, by step and attempt.
#[derive(Default)]
pub struct Attempts(BTreeMap<Attempt, UnderWay>);

struct UnderWay {
    /// In steady time.
    since: Timestamp,
    /// One of our own agents works on it.
    by_agent: bool,
    state: Handle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Performed in this process.
    Here,
    /// Its task went out, or is going out, since this steady time.
    Published { at: Timestamp },
    /// Its task could not be published, or is to be published anew.
    Unpublished,
}

/// What becomes of one attempt's message: shared with the task that publishes it outside the run's turn.
#[derive(Clone)]
pub struct Handle(Arc<Mutex<State>>);

impl Handle {
    /// The message did not go out: the next wake publishes it.
    pub fn failed(&self) {
        *self.0.lock() = State::Unpublished;
    }
}

impl Attempts {
    /// Notes a call that is about to be made here. Returns false if one is under way.
    pub fn begin_here(&mut self, attempt: &Attempt, now: Timestamp) -> bool {
        // A call is never made twice by one process, however often the turn finds it pending.
        if rule!(InFlight, self.0.contains_key(attempt)) {
            return false;
        }
        let under_way =
            UnderWay { since: now, by_agent: false, state: Handle(Arc::new(Mutex::new(State::Here))) };
        self.0.insert(attempt.clone(), under_way);
        true
    }

    /// Returns a handle if the attempt's task is to be published now: for the first time, after it could not be, or
    /// because it `is_due` again, given since when it is under way and when it was published last.
    pub fn publish(
        &mut self,
        attempt: &Attempt,
        now: Timestamp,
        by_agent: bool,
        is_due: impl FnOnce(Timestamp, Timestamp) -> bool,
    ) -> Option<Handle> {
        let fresh =
            || UnderWay { since: now, by_agent, state: Handle(Arc::new(Mutex::new(State::Unpublished))) };
        let under_way = self.0.entry(attempt.clone()).or_insert_with(fresh);
        let mut state = under_way.state.0.lock();
        let wanted = match *state {
            State::Unpublished => true,
            State::Published { at } => is_due(under_way.since, at),
            State::Here => false,
        };
        if rule!(InFlight, !wanted) {
            return None;
        }
        // The task is marked before it is sent, so that the next turn does not send it, too.
        *state = State::Published { at: now };
        drop(state);
        Some(under_way.state.clone())
    }

    /// Nobody here works on this attempt any more: the next wake may.
    pub fn forget(&mut self, attempt: &Attempt) {
        self.0.remove(attempt);
    }

    /// Forgets every attempt that the run does not ask for any more.
    pub fn retain(&mut self, wanted: &BTreeSet<Attempt>) {
        self.0.retain(|attempt, _| wanted.contains(attempt));
    }

    /// Whether nobody here works on anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a call is made in this process. A host that loaded the run elsewhere would make it a second time.
    pub fn are_here(&self) -> bool {
        self.0.values().any(|under_way| *under_way.state.0.lock() == State::Here)
    }

    /// Lets the tasks of our own agents be published again. Returns whether there are any.
    pub fn ask_agents_again(&self) -> bool {
        let asked = self.0.values().filter(|under_way| under_way.by_agent);
        asked.map(|under_way| under_way.state.failed()).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(n: u32) -> Attempt {
        (StepKey::new(1, "a", ""), n)
    }

    #[test]
    fn a_call_is_made_once_and_keeps_the_run_here() {
        let mut attempts = Attempts::default();
        assert!(!attempts.are_here());
        assert!(attempts.begin_here(&attempt(1), Timestamp(5)));
        assert!(!attempts.begin_here(&attempt(1), Timestamp(6)));
        assert!(attempts.begin_here(&attempt(2), Timestamp(6)), "the next attempt is another");
        assert!(attempts.are_here());
        attempts.retain(&BTreeSet::from([attempt(2)]));
        attempts.forget(&attempt(2));
        assert!(attempts.is_empty() && !attempts.are_here());
    }

    #[test]
    fn a_task_is_published_again_when_it_is_due_or_could_not_be() {
        let mut attempts = Attempts::default();
        let never = |_, _| false;
        let first = attempts.publish(&attempt(1), Timestamp(5), true, never).expect("the first time");
        assert!(attempts.publish(&attempt(1), Timestamp(6), true, never).is_none());
        let due = |since: Timestamp, at: Timestamp| (since.0, at.0) == (5, 5);
        assert!(attempts.publish(&attempt(1), Timestamp(40), true, due).is_some());
        let later = |since: Timestamp, at: Timestamp| (since.0, at.0) == (5, 40);
        assert!(attempts.publish(&attempt(1), Timestamp(50), true, later).is_some());
        first.failed();
        assert!(attempts.publish(&attempt(1), Timestamp(51), true, never).is_some());
        assert!(
            !attempts.are_here(),
            "whoever loads the run elsewhere publishes it again, which does no harm"
        );
    }

    #[test]
    fn only_agents_are_asked_again() {
        let mut attempts = Attempts::default();
        let never = |_, _| false;
        attempts.publish(&attempt(1), Timestamp(5), false, never).expect("an offer");
        assert!(!attempts.ask_agents_again());
        attempts.publish(&attempt(2), Timestamp(5), true, never).expect("a task");
        assert!(attempts.ask_agents_again());
        assert!(attempts.publish(&attempt(1), Timestamp(6), false, never).is_none());
        assert!(attempts.publish(&attempt(2), Timestamp(6), true, never).is_some());
    }
}
