//! The in-process timer of every run's nearest deadline, whatever its distance and whether the run is in memory.
//!
//! An alarm is a wake-up and nothing else: one that rings early finds nothing due, and one that is lost is made good
//! by `wake` and the sweeper. It also remembers how far a run's own time is from the steady one, for as long as the
//! run has something to wait for.

use super::{Workflows, reason::Turn};
use crate::{protocol, tasks::Tasks};
use callboard_core::{Span, Timestamp, id::RunId};
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};

/// Runs woken at once.
const AT_ONCE: usize = 256;
/// How often the wall clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Milliseconds that are no jump: the clocks are read one after the other, and are slewed.
const NO_JUMP: i64 = 500;

/// When a run is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alarm {
    /// In steady time.
    pub at: Timestamp,
    /// By the wall clock, as it was when this was set.
    pub wall: Timestamp,
    /// How far the run's own time is ahead of the steady clock, in milliseconds.
    pub ahead: i64,
}

/// The alarms of this process.
#[derive(Default)]
pub(super) struct Alarms {
    index: Mutex<Index>,
    changed: Notify,
}

/// The alarms by run, and in the order in which they ring.
#[derive(Default)]
struct Index {
    /// Every run that waits, also while its alarm rings.
    of: HashMap<RunId, Alarm>,
    /// Those that have not rung.
    line: BTreeSet<(Timestamp, RunId)>,
}

// === impl Alarms ===

impl Alarms {
    /// Sets a run's alarm, or takes it away.
    pub fn set(&self, run: &RunId, alarm: Option<Alarm>) {
        let mut index = self.index.lock();
        let first = index.line.first().map(|(at, _)| *at);
        let known = index.of.remove_entry(run);
        if let Some((name, old)) = &known {
            index.line.remove(&(old.at, name.clone()));
        }
        let Some(alarm) = alarm else { return };
        let name = known.map_or_else(|| run.clone(), |(name, _)| name);
        index.line.insert((alarm.at, name.clone()));
        index.of.insert(name, alarm);
        drop(index);
        // Only a sooner alarm shortens the wait of the loop.
        if first.is_none_or(|first| alarm.at < first) {
            self.changed.notify_one();
        }
    }

    /// Returns how far the time of a run that waits is ahead of the steady clock, in milliseconds.
    pub fn ahead(&self, run: &RunId) -> Option<i64> {
        self.index.lock().of.get(run).map(|alarm| alarm.ahead)
    }

    /// Takes a run whose alarm rings, or tells when the next one does.
    fn due(&self, now: Timestamp) -> Result<(RunId, Timestamp), Option<Timestamp>> {
        let mut index = self.index.lock();
        match index.line.first() {
            Some((at, _)) if *at > now => Err(Some(*at)),
            Some(_) => index.line.pop_first().map(|(at, run)| (run, at)).ok_or(None),
            None => Err(None),
        }
    }

    /// Forgets an alarm that rang, unless another was set meanwhile.
    fn spent(&self, run: &RunId, at: Timestamp) {
        let mut index = self.index.lock();
        if index.of.get(run).is_some_and(|alarm| alarm.at == at) && !index.line.contains(&(at, run.clone())) {
            index.of.remove(run);
        }
    }

    /// The wall clock was set: what is due by it now rings now. An alarm never becomes later.
    fn jumped(&self, steady: Timestamp, wall: Timestamp) {
        let mut index = self.index.lock();
        let sooner: Vec<(RunId, Alarm)> = index
            .line
            .iter()
            .filter_map(|(at, run)| {
                let alarm = index.of.get(run)?;
                let by_wall = steady + alarm.wall.since(wall);
                (by_wall < *at).then(|| (run.clone(), Alarm { at: by_wall, ..*alarm }))
            })
            .collect();
        for (run, alarm) in sooner {
            let old = index.of.insert(run.clone(), alarm);
            if let Some(old) = old {
                index.line.remove(&(old.at, run.clone()));
            }
            index.line.insert((alarm.at, run));
        }
    }
}

/// Rings until the shutdown, and watches the wall clock meanwhile.
pub(crate) fn start(workflows: &Workflows, tasks: &Tasks) {
    let this = workflows.clone();
    tasks.spawn_until_stop(async move {
        let clock = &this.services.clock;
        let look = this.services.settings.pause(LOOK);
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let mut gap = gap(&this);
        loop {
            let now_gap = self::gap(&this);
            if (now_gap - gap).abs() > NO_JUMP {
                said(now_gap - gap);
                this.alarms.jumped(clock.steady(), clock.now());
                gap = now_gap;
            }
            match this.alarms.due(clock.steady()) {
                Ok((run, at)) => {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                    let inner = this.clone();
                    this.tasks.spawn(async move {
                        inner.ring(&run).await;
                        inner.alarms.spent(&run, at);
                        drop(place);
                    });
                }
                Err(next) => {
                    let wait = next.map_or(look, |at| Duration::from_millis(at.since(clock.steady()).0));
                    tokio::select! {
                        () = tokio::time::sleep(wait.min(look)) => {}
                        () = this.alarms.changed.notified() => {}
                    }
                }
            }
        }
    });
}

/// Returns how far the wall clock is ahead of the steady one, in milliseconds.
fn gap(this: &Workflows) -> i64 {
    this.services.clock.now().0 - this.services.clock.steady().0
}

/// Says once for all runs that the clock was set.
fn said(by: i64) {
    let (by, way) = (Span(by.unsigned_abs()), if by > 0 { "forward" } else { "back" });
    tracing::warn!(
        "the wall clock was set {way} by {:.1} s; what has begun goes on at the speed of time",
        by.0 as f64 / 1000.0
    );
}

impl Workflows {
    /// Wakes a run: here if it is here, else through the sidecar, which knows where it is.
    async fn ring(&self, run: &RunId) {
        if self.boxes.knows(run) {
            if let Err(fault) = self.turn(run, Turn::Go).await {
                tracing::debug!(%run, detail = fault.detail, "the timer's turn did not go through");
            }
        } else if let Err(error) = protocol::wake(&self.services, run).await {
            tracing::debug!(%run, %error, "the run is not woken yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::run_id;

    fn alarm(at: i64) -> Alarm {
        Alarm { at: Timestamp(at), wall: Timestamp(at), ahead: 0 }
    }

    #[test]
    fn alarms_ring_in_order_and_the_last_one_set_counts() {
        let alarms = Alarms::default();
        for (run, at) in [("a", 30), ("b", 10), ("c", 20), ("b", 40), ("d", 5)] {
            alarms.set(&run_id(run), Some(alarm(at)));
        }
        alarms.set(&run_id("d"), None);
        assert_eq!(alarms.due(Timestamp(15)), Err(Some(Timestamp(20))));
        let rung: Vec<_> = std::iter::from_fn(|| alarms.due(Timestamp(50)).ok()).collect();
        assert_eq!(rung.iter().map(|(run, _)| run.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    }

    #[test]
    fn an_alarm_that_rang_tells_the_runs_time_until_it_is_spent() {
        let alarms = Alarms::default();
        alarms.set(&run_id("a"), Some(Alarm { ahead: 7, ..alarm(10) }));
        let (run, at) = alarms.due(Timestamp(10)).unwrap();
        assert_eq!(alarms.ahead(&run), Some(7));
        alarms.set(&run_id("a"), Some(Alarm { ahead: 7, ..alarm(90) }));
        alarms.spent(&run, at);
        assert_eq!(alarms.ahead(&run_id("a")), Some(7), "it was set anew");
        let (run, at) = alarms.due(Timestamp(90)).unwrap();
        alarms.spent(&run, at);
        assert_eq!(alarms.ahead(&run_id("a")), None);
    }

    #[test]
    fn what_the_wall_clock_says_is_due_rings_when_it_was_set_forward() {
        let alarms = Alarms::default();
        alarms.set(&run_id("a"), Some(alarm(10_000)));
        alarms.set(&run_id("b"), Some(alarm(20_000)));
        alarms.jumped(Timestamp(1_000), Timestamp(15_000));
        assert_eq!(alarms.due(Timestamp(1_000)).map(|(run, _)| run.to_string()), Ok("a".into()));
        assert_eq!(alarms.due(Timestamp(1_000)), Err(Some(Timestamp(6_000))));
        alarms.jumped(Timestamp(2_000), Timestamp(-90_000));
        assert_eq!(alarms.due(Timestamp(2_000)), Err(Some(Timestamp(6_000))), "back makes nothing later");
    }
}
