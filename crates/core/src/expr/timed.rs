//! Filters of instants and durations. Instants are RFC 3339, in UTC where they are made here; a day has 24 hours.
//!
//! There is no clock among them: `now` is a name that is there where a recorded time is.

use super::kinds::{Kind, given, shown};
use crate::{Span, Timestamp, time};
use minijinja::{Error, ErrorKind, State, value::Value};

/// Bytes of a pattern.
const PATTERN: usize = 256;
/// Nobody means more than ten thousand years.
const MOST_SECONDS: f64 = 315_576_000_000.0;

/// `now | add('2h')`, `input.at | add(-90)`.
pub(super) fn add(at: &Value, by: &Value) -> Result<String, Error> {
    let (at, by) = (instant(at)?, milliseconds(by)?);
    let sum = at.0.checked_add(by).map(Timestamp).filter(|sum| sum.is_printable());
    sum.map(|sum| sum.to_string()).ok_or_else(|| failed("the instant is out of range".into()))
}

/// Seconds from another instant to this one; negative if this one is earlier.
pub(super) fn since(at: &Value, other: &Value) -> Result<Value, Error> {
    Ok(seconds_of(instant(at)?.0 - instant(other)?.0))
}

/// Seconds of a duration.
pub(super) fn seconds(value: &Value) -> Result<Value, Error> {
    milliseconds(value).map(seconds_of)
}

/// Writes an instant by a pattern of `strftime`.
pub(super) fn date(state: &State<'_, '_>, at: &Value, pattern: Option<&str>) -> Result<String, Error> {
    let (at, pattern) = (instant(at)?, pattern.unwrap_or("%Y-%m-%d"));
    if pattern.len() > PATTERN {
        return Err(failed(format!("the pattern is longer than {PATTERN} bytes")));
    }
    let wrong = |e: jiff::Error| failed(format!("`{pattern}` is not a pattern such as `%Y-%m-%d`: {e}"));
    let at = jiff::Timestamp::from_millisecond(at.0).map_err(wrong)?;
    let text = jiff::fmt::strtime::format(pattern, at).map_err(wrong)?;
    state.consume_fuel(text.len() as u64 / 8 + 4)?;
    Ok(text)
}

fn instant(value: &Value) -> Result<Timestamp, Error> {
    given(value)?;
    value
        .as_str()
        .and_then(|text| Timestamp::parse(text.trim()))
        .ok_or_else(|| failed(format!("{} is not an instant such as \"2027-01-01T00:00:00Z\"", shown(value))))
}

/// A number is one of seconds.
fn milliseconds(value: &Value) -> Result<i64, Error> {
    given(value)?;
    let found = match Kind::of(value) {
        Kind::Text => value.as_str().and_then(|text| time::milliseconds(text.trim())),
        Kind::Number => f64::try_from(value.clone())
            .ok()
            .filter(|s| s.abs() <= MOST_SECONDS)
            .map(|s| (s * 1000.0).round() as i64),
        Kind::Missing | Kind::Null | Kind::Truth | Kind::List | Kind::Object | Kind::Other => None,
    };
    found.ok_or_else(|| {
        failed(format!("{} is not a duration such as {}, or a number of seconds", shown(value), Span::FORMS))
    })
}

fn seconds_of(ms: i64) -> Value {
    if ms % 1000 == 0 { (ms / 1000).into() } else { (ms as f64 / 1000.0).into() }
}

fn failed(message: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}
