//! What is done about a schedule when somebody looks at it. Pure: the time is an argument, and so is whether the run before goes on.

use super::{Calendar, Missed, Overlap, calendar::Over};
use callboard_catalog::Course;
use callboard_core::{Span, Timestamp};

/// An occasion that is as late as this was missed: nobody looked.
pub const LATE: Span = Span::secs(30);
/// How often it is looked whether the run before has ended, while an occasion waits for that.
pub const AGAIN: Span = Span::secs(1);

/// What counts of a schedule's settings.
#[derive(Debug, Clone)]
pub struct Plan {
    pub calendar: Calendar,
    pub missed: Missed,
    pub overlap: Overlap,
}

/// An occasion, and how many before it nobody looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasion {
    pub at: Timestamp,
    pub missed: u32,
}

/// Why nothing is started for an occasion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    Missed,
    Overlap,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// A run is started for it.
    pub start: Option<Occasion>,
    /// None is.
    pub skip: Option<(Occasion, Why)>,
    /// Where the schedule stands then.
    pub next_at: Option<Timestamp>,
    pub queued: Option<Timestamp>,
}

// === impl Plan ===

impl Plan {
    /// Whether it matters if the run before goes on.
    pub fn asks_for_the_run_before(&self) -> bool {
        self.overlap != Overlap::Allow
    }

    /// Decides about a schedule that stands there now. `goes_on` says whether its last run does.
    pub fn look(&self, course: &Course, goes_on: bool, now: Timestamp) -> Look {
        let still = Look { start: None, skip: None, next_at: course.next_at, queued: course.queued };
        if let Some(queued) = course.queued.filter(|_| !goes_on) {
            return Look { start: Some(Occasion { at: queued, missed: 0 }), queued: None, ..still };
        }
        let Some(first) = course.next_at.filter(|next| *next <= now) else { return still };
        let Over { last, before } = self.calendar.over(first, now);
        let occasion = Occasion { at: last, missed: before };
        let moved = Look { next_at: self.calendar.after(last), ..still };
        if now.since(last) > LATE && self.missed == Missed::Skip {
            return Look { skip: Some((occasion, Why::Missed)), ..moved };
        }
        match self.overlap {
            Overlap::Skip if goes_on => Look { skip: Some((occasion, Why::Overlap)), ..moved },
            Overlap::QueueOne if goes_on && moved.queued.is_none() => Look { queued: Some(last), ..moved },
            Overlap::QueueOne if goes_on => Look { skip: Some((occasion, Why::Overlap)), ..moved },
            Overlap::Allow | Overlap::Skip | Overlap::QueueOne => Look { start: Some(occasion), ..moved },
        }
    }
}

// === impl Look ===

impl Look {
    /// Returns when to look again.
    pub fn again(&self, now: Timestamp) -> Option<Timestamp> {
        match (self.queued, self.next_at) {
            (Some(_), Some(next)) => Some(next.min(now + AGAIN)),
            (Some(_), None) => Some(now + AGAIN),
            (None, next) => next,
        }
    }
}

impl Why {
    /// Returns it as a code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Overlap => "overlap",
        }
    }

    pub fn sentence(self) -> &'static str {
        match self {
            Self::Missed => "nobody looked in time",
            Self::Overlap => "the run before goes on",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: i64 = 1_000_000;

    fn at(secs: i64) -> Timestamp {
        Timestamp(FIRST + secs * 1000)
    }

    /// Every minute, from `at(0)` on.
    fn plan(missed: Missed, overlap: Overlap) -> Plan {
        let calendar = Calendar::Every { every: Span::secs(60), since: at(-60) };
        Plan { calendar, missed, overlap }
    }

    fn course(next: i64, queued: Option<i64>) -> Course {
        Course { next_at: Some(at(next)), queued: queued.map(at), ..Course::default() }
    }

    fn started(at_: i64, missed: u32, next: i64) -> Look {
        let start = Some(Occasion { at: at(at_), missed });
        Look { start, skip: None, next_at: Some(at(next)), queued: None }
    }

    fn skipped(at_: i64, missed: u32, why: Why, next: i64) -> Look {
        let skip = Some((Occasion { at: at(at_), missed }, why));
        Look { start: None, skip, next_at: Some(at(next)), queued: None }
    }

    #[test]
    fn what_is_not_due_waits_and_what_is_due_starts() {
        let plan = plan(Missed::Skip, Overlap::Allow);
        let waits = plan.look(&course(0, None), false, at(-1));
        assert_eq!((waits.start, waits.next_at, waits.again(at(-1))), (None, Some(at(0)), Some(at(0))));
        for late in [0, 1, 29, 30] {
            assert_eq!(plan.look(&course(0, None), true, at(late)), started(0, 0, 60), "{late}");
        }
    }

    #[test]
    fn what_was_missed_is_skipped_or_its_last_starts_once() {
        let (skip, last) = (plan(Missed::Skip, Overlap::Allow), plan(Missed::Last, Overlap::Allow));
        let stands = course(0, None);
        assert_eq!(skip.look(&stands, false, at(31)), skipped(0, 0, Why::Missed, 60));
        assert_eq!(last.look(&stands, false, at(31)), started(0, 0, 60));
        // Nobody looked for ten minutes and 45 seconds.
        assert_eq!(skip.look(&stands, false, at(645)), skipped(600, 10, Why::Missed, 660));
        assert_eq!(last.look(&stands, false, at(645)), started(600, 10, 660));
        // The last of them is on time: only those before it were missed.
        assert_eq!(skip.look(&stands, false, at(605)), started(600, 10, 660));
    }

    #[test]
    fn a_process_that_stood_still_for_a_minute_starts_one_run_at_most() {
        let secondly = |missed| Plan {
            calendar: Calendar::Every { every: Span::secs(1), since: at(-1) },
            ..plan(missed, Overlap::Allow)
        };
        for missed in [Missed::Skip, Missed::Last] {
            assert_eq!(secondly(missed).look(&course(0, None), false, at(60)), started(60, 60, 61));
        }
        let in_between = Plan {
            calendar: Calendar::Every { every: Span::secs(3600), since: at(-3580) },
            ..plan(Missed::Skip, Overlap::Allow)
        };
        assert_eq!(in_between.look(&course(20, None), false, at(60)), skipped(20, 0, Why::Missed, 3620));
    }

    #[test]
    fn while_the_run_before_goes_on_an_occasion_is_left_out_or_waits() {
        let stands = course(0, None);
        assert_eq!(plan(Missed::Skip, Overlap::Allow).look(&stands, true, at(0)), started(0, 0, 60));
        let skip = plan(Missed::Skip, Overlap::Skip);
        assert_eq!(skip.look(&stands, true, at(0)), skipped(0, 0, Why::Overlap, 60));
        assert_eq!(skip.look(&stands, false, at(0)), started(0, 0, 60));

        let queue = plan(Missed::Skip, Overlap::QueueOne);
        let waits = queue.look(&stands, true, at(0));
        assert_eq!((waits.start, waits.skip, waits.queued), (None, None, Some(at(0))));
        assert_eq!(waits.again(at(0)), Some(at(1)), "it is looked at the run before");
        assert_eq!(queue.look(&course(60, Some(0)), true, at(5)).again(at(5)), Some(at(6)));
        let second = queue.look(&course(60, Some(0)), true, at(60));
        assert_eq!(second, Look { queued: Some(at(0)), ..skipped(60, 0, Why::Overlap, 120) }, "one waits");
        let freed = queue.look(&course(60, Some(0)), false, at(40));
        assert_eq!(freed, started(0, 0, 60), "however late it is by now");
        // The one that is due meanwhile is looked at next.
        let freed = queue.look(&course(60, Some(0)), false, at(60));
        assert_eq!((freed.start.map(|o| o.at), freed.again(at(60))), (Some(at(0)), Some(at(60))));
    }

    #[test]
    fn a_schedule_that_ends_is_looked_at_no_more() {
        let once = Plan {
            calendar: Calendar::Every { every: Span(u64::MAX), since: at(0) },
            ..plan(Missed::Skip, Overlap::Allow)
        };
        let look = once.look(&course(0, None), false, at(0));
        assert_eq!((look.start.map(|o| o.at), look.next_at, look.again(at(0))), (Some(at(0)), None, None));
        let nothing = once.look(&Course::default(), false, at(0));
        assert_eq!((nothing.start, nothing.again(at(0))), (None, None));
    }
}
