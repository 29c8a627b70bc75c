//! When a schedule is due: by the wall clock of a zone, or every so often.
//!
//! What a cron matches is a time on a wall. A cron that names its hours means these times: one that the clocks leave out is when
//! they jump, and one that comes twice is the first. A cron with `*` or a step in its hours means time as it goes by: what is left
//! out is left out, and what comes twice comes twice.

use callboard_core::{Span, Timestamp};
use chrono::{DateTime, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// The zone of a cron that names none.
pub const UTC: &str = "UTC";
/// The shortest and the longest interval.
pub const SHORTEST: Span = Span::secs(1);
pub const LONGEST: Span = Span::secs(366 * 24 * 3600);
/// Occasions that are counted one by one; of more it is only known that there were more.
const COUNTED: u32 = 1000;
/// Changes of a zone's clocks that a search passes. No cron of ours waits for so many.
const CHANGES: usize = 400;
/// The first span in which the last occasion is looked for.
const BACK: Span = Span::secs(3600);

/// When a schedule is due.
#[derive(Debug, Clone)]
pub enum Calendar {
    Cron {
        cron: Box<Cron>,
        zone: TimeZone,
        /// Its hours are `*`, or have a step.
        goes_by: bool,
    },
    /// So often after that instant.
    Every { every: Span, since: Timestamp },
}

/// Occasions that are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// The last of them.
    pub last: Timestamp,
    /// How many came before it.
    pub before: u32,
}

// === impl Calendar ===

impl Calendar {
    /// Reads a cron of 5 fields, or of 6 that begin with the seconds.
    pub fn cron(text: &str, zone: TimeZone) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let hours = match fields[..] {
            [_, hours, _, _, _] | [_, _, hours, _, _, _] => hours,
            _ => return Err(format!("a cron has 5 fields, or 6 with seconds; this has {}", fields.len())),
        };
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(&fields.join(" ")).map_err(|error| error.to_string())?;
        let goes_by = hours.contains(['*', '/', '?']);
        Ok(Self::Cron { cron: Box::new(cron), zone, goes_by })
    }

    /// Returns the next occasion after an instant; nothing if there is none.
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every { every, since } => {
                let (every, passed) = (i64::try_from(every.0).ok()?.max(1), at.0.saturating_sub(since.0));
                let n = if passed < 0 { 1 } else { passed / every + 1 };
                Some(Timestamp(since.0.checked_add(n.checked_mul(every)?)?))
            }
            Self::Cron { cron, zone, goes_by: true } => as_it_goes_by(cron, zone, at),
            Self::Cron { cron, zone, goes_by: false } => on_the_wall(cron, zone, at),
        }
    }

    /// Returns up to `n` occasions after an instant.
    pub fn following(&self, at: Timestamp, n: usize) -> Vec<Timestamp> {
        std::iter::successors(self.after(at), |at| self.after(*at)).take(n).collect()
    }

    /// Returns what is over by now of the occasions from `first` on, which is one.
    pub fn over(&self, first: Timestamp, now: Timestamp) -> Over {
        if let Self::Every { every, .. } = self {
            let n = now.since(first).0 / every.0.max(1);
            return Over { last: first + Span(n * every.0), before: u32::try_from(n).unwrap_or(u32::MAX) };
        }
        let mut over = Over { last: first, before: 0 };
        while let Some(next) = self.after(over.last).filter(|next| *next <= now) {
            over = Over { last: next, before: over.before + 1 };
            if over.before == COUNTED {
                return Over { last: self.last(over.last, now), ..over };
            }
        }
        over
    }

    /// Returns the last occasion by now, of those from `known` on.
    fn last(&self, known: Timestamp, now: Timestamp) -> Timestamp {
        let mut back = BACK;
        loop {
            let from = Timestamp(now.0.saturating_sub(i64::try_from(back.0).unwrap_or(i64::MAX)));
            let from = from.max(known);
            let found = std::iter::successors(self.after(from), |at| self.after(*at));
            match found.take_while(|at| *at <= now).last() {
                Some(last) => return last,
                None if from == known => return known,
                None => back = Span(back.0.saturating_mul(24)),
            }
        }
    }
}

/// The next occasion of a cron that means times on the wall. Later times on the wall are never earlier instants, and those up to
/// the one that the wall shows are over.
fn on_the_wall(cron: &Cron, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let mut wall = wall(zone, at)?;
    loop {
        wall = next(cron, wall, false)?;
        let instant = instant(zone, wall)?;
        if instant > at {
            return Some(instant);
        }
    }
}

/// The next occasion of a cron that means time as it goes by: between two changes of the clocks the wall is as far from UTC.
fn as_it_goes_by(cron: &Cron, zone: &TimeZone, at: Timestamp) -> Option<Timestamp> {
    let (mut from, mut inclusive) = (at, false);
    for _ in 0..CHANGES {
        let found = next(cron, wall(zone, from)?, inclusive).map(|found| found - offset(zone, from));
        let moment = jiff::Timestamp::from_millisecond(from.0).ok()?;
        let change = zone.following(moment).next().map(|change| change.timestamp().as_millisecond());
        match (found, change) {
            // What stands at the change itself is of the clocks after it.
            (Some(found), Some(change)) if found < change => return Some(Timestamp(found)),
            (Some(found), None) => return Some(Timestamp(found)),
            (Some(_), Some(change)) => (from, inclusive) = (Timestamp(change), true),
            (None, _) => return None,
        }
    }
    None
}

/// Returns the next time on a wall that a cron matches, whatever the zone: milliseconds, as if it were in UTC.
fn next(cron: &Cron, wall: i64, inclusive: bool) -> Option<i64> {
    let wall: DateTime<Utc> = DateTime::from_timestamp_millis(wall)?;
    cron.find_next_occurrence(&wall, inclusive).ok().map(|found| found.timestamp_millis())
}

/// Returns what the wall shows at an instant.
fn wall(zone: &TimeZone, at: Timestamp) -> Option<i64> {
    at.0.checked_add(offset(zone, at))
}

/// Returns how far the wall is ahead of UTC, in milliseconds.
fn offset(zone: &TimeZone, at: Timestamp) -> i64 {
    let at = jiff::Timestamp::from_millisecond(at.0);
    at.map_or(0, |at| i64::from(zone.to_offset(at).seconds()) * 1000)
}

/// Returns when the wall shows this: of two instants the first, and where the clocks jump over it, their jump.
fn instant(zone: &TimeZone, wall: i64) -> Option<Timestamp> {
    let millis = |offset: Offset| i64::from(offset.seconds()) * 1000;
    let shown = jiff::Timestamp::from_millisecond(wall).ok()?;
    let found = match zone.to_ambiguous_timestamp(Offset::UTC.to_datetime(shown)).offset() {
        AmbiguousOffset::Unambiguous { offset } => wall - millis(offset),
        AmbiguousOffset::Fold { before, .. } => wall - millis(before),
        AmbiguousOffset::Gap { before, .. } => {
            // With the clocks of before it would be just after the jump, or at it.
            let just_after = jiff::Timestamp::from_millisecond(wall - millis(before) + 1).ok()?;
            zone.preceding(just_after).next()?.timestamp().as_millisecond()
        }
    };
    Some(Timestamp(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("an instant")
    }

    fn calendar(cron: &str, zone: &str) -> Calendar {
        Calendar::cron(cron, TimeZone::get(zone).expect("a zone")).expect("a cron")
    }

    /// The occasions after an instant, as UTC has them.
    fn following(cron: &str, zone: &str, after: &str, n: usize) -> Vec<String> {
        let found = calendar(cron, zone).following(at(after), n);
        found.into_iter().map(|at| at.to_string().replace(".000Z", "Z")).collect()
    }

    #[test]
    fn a_cron_has_five_fields_or_six_with_seconds() {
        let of = |cron: &str| following(cron, UTC, "2026-01-01T00:00:00Z", 3);
        assert_eq!(
            of("*/15 * * * *"),
            ["2026-01-01T00:15:00Z", "2026-01-01T00:30:00Z", "2026-01-01T00:45:00Z"]
        );
        assert_eq!(
            of("*/20 * * * * *"),
            ["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z", "2026-01-01T00:01:00Z"]
        );
        assert_eq!(
            of("0 9 * * MON-FRI"),
            ["2026-01-01T09:00:00Z", "2026-01-02T09:00:00Z", "2026-01-05T09:00:00Z"]
        );
        assert_eq!(
            of("0 0 29 2 *"),
            ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z", "2036-02-29T00:00:00Z"]
        );
        for wrong in ["", "* * * *", "* * * * * * *", "61 * * * *", "x * * * *", "@daily"] {
            assert!(Calendar::cron(wrong, TimeZone::UTC).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_never_comes_is_found_out() {
        assert_eq!(calendar("0 0 30 2 *", "Europe/Berlin").after(at("2026-01-01T00:00:00Z")), None);
        assert_eq!(calendar("0 */2 30 2 *", "Europe/Berlin").after(at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn berlin_loses_an_hour_and_a_cron_of_that_hour_comes_when_the_clocks_jump() {
        // 2026-03-29: 02:00 is 03:00, which is 01:00 UTC.
        let before = "2026-03-28T12:00:00Z";
        let of = |cron: &str, n| following(cron, "Europe/Berlin", before, n);
        assert_eq!(
            of("30 2 * * *", 3),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
        );
        assert_eq!(
            of("*/20 2 * * *", 2),
            ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"],
            "once for all of them"
        );
        assert_eq!(of("0 3 * * *", 2), ["2026-03-29T01:00:00Z", "2026-03-30T01:00:00Z"]);
        assert_eq!(
            of("0 1,2,3 * * *", 3),
            ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T23:00:00Z"]
        );
    }

    #[test]
    fn berlin_has_an_hour_twice_and_a_cron_of_that_hour_comes_once() {
        // 2026-10-25: 03:00 is 02:00 again, which is 01:00 UTC.
        let of = |cron: &str, before: &str, n| following(cron, "Europe/Berlin", before, n);
        let noon = "2026-10-24T12:00:00Z";
        assert_eq!(of("30 2 * * *", noon, 2), ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        // Also if nobody looked until the hour came again.
        assert_eq!(of("30 2 * * *", "2026-10-25T00:30:00Z", 1), ["2026-10-26T01:30:00Z"]);
        assert_eq!(of("30 2 * * *", "2026-10-25T01:10:00Z", 1), ["2026-10-26T01:30:00Z"]);
        assert_eq!(
            of("*/30 2 * * *", noon, 3),
            ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:00:00Z"]
        );
        assert_eq!(of("0 3 * * *", noon, 1), ["2026-10-25T02:00:00Z"]);
    }

    #[test]
    fn in_new_york_it_is_the_same_by_its_own_days() {
        let of = |cron: &str, before: &str, n| following(cron, "America/New_York", before, n);
        // 2026-03-08: 02:00 is 03:00, which is 07:00 UTC. 2026-11-01: 02:00 is 01:00 again, which is 06:00 UTC.
        assert_eq!(
            of("30 2 * * *", "2026-03-08T00:00:00Z", 2),
            ["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]
        );
        assert_eq!(
            of("30 1 * * *", "2026-11-01T00:00:00Z", 2),
            ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
        );
        assert_eq!(of("30 1 * * *", "2026-11-01T06:15:00Z", 1), ["2026-11-02T06:30:00Z"]);
    }

    #[test]
    fn what_names_no_hour_follows_the_time_as_it_goes_by() {
        let of = |cron: &str, zone: &str, before: &str, n| following(cron, zone, before, n);
        let spring = of("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 4);
        assert_eq!(
            spring,
            ["2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z", "2026-03-29T03:00:00Z"]
        );
        let autumn = of("30 * * * *", "Europe/Berlin", "2026-10-25T00:00:00Z", 3);
        assert_eq!(
            autumn,
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
            "02:30 twice"
        );
        // Every second hour of the wall: 02:00 is left out in spring, and comes twice in autumn.
        let spring = of("0 */2 * * *", "Europe/Berlin", "2026-03-28T22:30:00Z", 2);
        assert_eq!(spring, ["2026-03-28T23:00:00Z", "2026-03-29T02:00:00Z"]);
        let autumn = of("0 */2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z", 3);
        assert_eq!(autumn, ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z", "2026-10-25T03:00:00Z"]);
        let autumn = of("*/30 * * * *", "America/New_York", "2026-11-01T04:45:00Z", 5);
        assert_eq!(
            autumn,
            [
                "2026-11-01T05:00:00Z",
                "2026-11-01T05:30:00Z",
                "2026-11-01T06:00:00Z",
                "2026-11-01T06:30:00Z",
                "2026-11-01T07:00:00Z"
            ]
        );
        let spring = of("15 * * * *", "America/New_York", "2026-03-08T06:00:00Z", 2);
        assert_eq!(spring, ["2026-03-08T06:15:00Z", "2026-03-08T07:15:00Z"]);
    }

    #[test]
    fn every_second_of_an_odd_day_comes_once_in_order() {
        for (zone, day) in [
            ("Europe/Berlin", "2026-10-25"),
            ("America/New_York", "2026-03-08"),
            ("Australia/Lord_Howe", "2026-04-05"),
        ] {
            for cron in ["*/7 * * * *", "*/7 0-4 * * *", "59 59 23 * * *"] {
                let calendar = calendar(cron, zone);
                let (mut from, end) =
                    (at(&format!("{day}T00:00:00Z")), at(&format!("{day}T00:00:00Z")) + Span::secs(86_400));
                while from < end {
                    let next = calendar.after(from).expect("there is always a next");
                    assert!(next > from, "{zone} {cron}");
                    // Whoever looks in between sees the same next one.
                    let between = Timestamp(from.0 + (next.0 - from.0) / 2);
                    assert_eq!(calendar.after(between), Some(next), "{zone} {cron} after {between}");
                    from = next;
                }
            }
        }
    }

    #[test]
    fn an_interval_counts_from_its_beginning() {
        let since = at("2026-01-01T00:00:10Z");
        let every = |secs| Calendar::Every { every: Span::secs(secs), since };
        assert_eq!(every(90).after(since), Some(at("2026-01-01T00:01:40Z")));
        assert_eq!(every(90).after(at("2026-01-01T00:01:39.999Z")), Some(at("2026-01-01T00:01:40Z")));
        assert_eq!(every(90).after(at("2026-01-01T00:01:40Z")), Some(at("2026-01-01T00:03:10Z")));
        assert_eq!(every(90).after(at("2025-01-01T00:00:00Z")), Some(at("2026-01-01T00:01:40Z")));
        let over = every(1).over(at("2026-01-01T00:00:11Z"), at("2027-01-01T00:00:10.500Z"));
        assert_eq!(over, Over { last: at("2027-01-01T00:00:10Z"), before: 31_535_999 });
    }

    #[test]
    fn what_is_over_is_counted_and_its_last_is_found() {
        let hourly = calendar("0 * * * *", UTC);
        let first = at("2026-01-01T01:00:00Z");
        assert_eq!(hourly.over(first, first), Over { last: first, before: 0 });
        assert_eq!(hourly.over(first, at("2026-01-01T01:59:59Z")), Over { last: first, before: 0 });
        let over = hourly.over(first, at("2026-01-01T04:10:00Z"));
        assert_eq!(over, Over { last: at("2026-01-01T04:00:00Z"), before: 3 });
        let years = hourly.over(first, at("2029-06-01T12:34:56Z"));
        assert_eq!(years, Over { last: at("2029-06-01T12:00:00Z"), before: COUNTED });
        let nightly = calendar("0 0 3 * * *", "Europe/Berlin");
        let years = nightly.over(at("2020-01-01T02:00:00Z"), at("2026-07-01T12:00:00Z"));
        assert_eq!(years, Over { last: at("2026-07-01T01:00:00Z"), before: COUNTED });
    }
}
