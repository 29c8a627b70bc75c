//! The time formats of Dapr's reminder API (`dapr-contract` 4.5): Go durations, ISO 8601 durations, RFC 3339.
//!
//! Decides exactly what daprd refuses: fractions in ISO durations, and periods of days or longer.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Nothing is repeated more often: daprd takes periods of a millisecond, and a single reminder of that kind would keep
/// the actor, the store and us busy for nothing.
pub(crate) const SHORTEST: Duration = Duration::from_millis(100);
/// No time is written longer.
const WRITTEN: usize = 128;

/// A parsed `dueTime` or `ttl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    After(Duration),
    /// Milliseconds since the epoch.
    At(i64),
}

/// A parsed `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Period {
    pub every: Duration,
    /// Total firings, from an `Rn/` prefix.
    pub times: Option<u32>,
}

/// Reads a Go duration: `1h30m`, `500ms`, `1.5s`, `0`. Negative ones are no durations here.
pub(crate) fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.len() > WRITTEN {
        return None;
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (number, after) = rest.split_at(digits);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let size: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(scaled(number, size)?)?;
        rest = next;
    }
    // Go's durations end at about 292 years.
    i64::try_from(total).ok().map(|nanos| Duration::from_nanos(nanos.unsigned_abs()))
}

/// `number` may have a fraction; digits beyond what `size` resolves are cut.
fn scaled(number: &str, size: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let mut total = if whole.is_empty() { 0 } else { whole.parse::<u128>().ok()?.checked_mul(size)? };
    let mut place = size;
    for digit in fraction.bytes() {
        place /= 10;
        total = total.checked_add(place * u128::from(digit - b'0'))?;
    }
    Some(total)
}

/// An ISO 8601 duration with its calendar and clock parts apart, in seconds.
struct Iso {
    calendar: u64,
    clock: u64,
}

/// Reads `PnYnMnWnDTnHnMnS`, integers only.
fn iso(text: &str) -> Option<Iso> {
    if text.len() > WRITTEN {
        return None;
    }
    let mut rest = text.strip_prefix('P')?;
    let (mut clock_part, mut seen) = (false, false);
    let mut found = Iso { calendar: 0, clock: 0 };
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            if clock_part || after.is_empty() {
                return None;
            }
            (clock_part, rest) = (true, after);
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| (1..=9).contains(at))?;
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let unit = after.chars().next()?;
        let seconds = match (unit, clock_part) {
            ('Y', false) => 365 * 86_400,
            ('M', false) => 30 * 86_400,
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3_600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return None,
        };
        let part = if clock_part { &mut found.clock } else { &mut found.calendar };
        *part = part.checked_add(number.checked_mul(seconds)?)?;
        seen = true;
        rest = after.strip_prefix(unit)?;
    }
    seen.then_some(found)
}

/// Reads a `dueTime` or `ttl`.
pub(crate) fn when(text: &str) -> Option<When> {
    if let Some(duration) = go_duration(text) {
        return Some(When::After(duration));
    }
    if let Some(found) = iso(text) {
        return Some(When::After(Duration::from_secs(found.calendar.checked_add(found.clock)?)));
    }
    text.parse::<jiff::Timestamp>().ok().map(|at| When::At(at.as_millisecond()))
}

/// Reads a `period`, which is [`SHORTEST`] at least; ISO ones with years, months, weeks or days are refused as the
/// Scheduler refuses them.
pub(crate) fn period(text: &str) -> Option<Period> {
    let (times, text) = match text.strip_prefix('R') {
        Some(rest) => {
            let (count, after) = rest.split_once('/').unwrap_or((rest, ""));
            (Some(count.parse::<u32>().ok()?), after)
        }
        None => (None, text),
    };
    let every = match (go_duration(text), iso(text)) {
        (Some(every), _) => every,
        (None, Some(Iso { calendar: 0, clock })) => Duration::from_secs(clock),
        (None, _) => return None,
    };
    (every > Duration::ZERO).then_some(Period { every: every.max(SHORTEST), times })
}

impl When {
    /// Returns the instant in milliseconds since the epoch.
    pub(crate) fn from(self, now: i64) -> i64 {
        match self {
            Self::After(duration) => {
                now.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
            }
            Self::At(at) => at,
        }
    }
}

/// Returns what the wall clock would say if nobody had set it since this process began: what expires lives for as long as
/// it was given, and one wrong hour of the clock takes nothing away.
pub(crate) fn steady() -> i64 {
    static BEGAN: OnceLock<(i64, Instant)> = OnceLock::new();
    let (wall, since) = BEGAN.get_or_init(|| (now(), Instant::now()));
    wall.saturating_add(i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX))
}

/// Returns [`SHORTEST`] in milliseconds.
pub(crate) fn shortest() -> i64 {
    i64::try_from(SHORTEST.as_millis()).unwrap_or(i64::MAX)
}

/// Returns the wall clock in milliseconds since the epoch.
pub(crate) fn now() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_as_go_reads_them() {
        let table = [
            ("0", Some(0)),
            ("0s", Some(0)),
            ("500ms", Some(500_000_000)),
            ("1h30m", Some(5_400_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5s", Some(500_000_000)),
            ("3µs", Some(3_000)),
            ("", None),
            ("5", None),
            ("-5s", None),
            ("s", None),
            ("1d", None),
            ("1..5s", None),
            (".s", None),
            ("99999999999999999999h", None),
            ("9999999h", None),
            (
                "0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s0s",
                None,
            ),
        ];
        for (text, nanos) in table {
            assert_eq!(go_duration(text).map(|d| d.as_nanos()), nanos, "{text}");
        }
    }

    #[test]
    fn due_times_take_three_formats_and_no_fractions() {
        let secs = |s| Some(When::After(Duration::from_secs(s)));
        assert_eq!(when("PT1H"), secs(3600));
        assert_eq!(when("P1DT1S"), secs(86_401));
        assert_eq!(when("1m"), secs(60));
        assert_eq!(when("1970-01-01T00:00:01Z"), Some(When::At(1000)));
        for text in ["PT0.5S", "P", "PT", "P1H", "soon", "R2/PT1S", "PT1S2", "P1é"] {
            assert_eq!(when(text), None, "{text}");
        }
    }

    #[test]
    fn periods_refuse_days_and_count_repetitions() {
        assert_eq!(period("R3/PT2S"), Some(Period { every: Duration::from_secs(2), times: Some(3) }));
        assert_eq!(period("2s"), Some(Period { every: Duration::from_secs(2), times: None }));
        assert_eq!(period("1ms"), Some(Period { every: SHORTEST, times: None }));
        assert_eq!(period("R5/20ms"), Some(Period { every: SHORTEST, times: Some(5) }));
        for text in ["P1D", "P1W", "PT0.5S", "", "0s", "Rx/PT1S", "R3"] {
            assert_eq!(period(text), None, "{text}");
        }
    }
}
