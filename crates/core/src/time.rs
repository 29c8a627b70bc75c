//! Instants and spans as the machines see them: whole milliseconds, handed in from outside.
//!
//! Reading a clock is the shell's business; this file only parses, prints and adds.

use serde::{Deserialize, Serialize};
use std::{fmt, ops::Add};

/// An instant: milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// A length of time in milliseconds. In documents it is written as people write it: `"10s"`, `"1h30m"`, `"PT5M"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(pub u64);

// === impl Timestamp ===

impl Timestamp {
    /// Reads an instant of RFC 3339, cut to whole milliseconds.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse::<jiff::Timestamp>().ok().map(|t| Self(t.as_millisecond()))
    }

    /// Whether it can be written in RFC 3339.
    pub(crate) fn is_printable(self) -> bool {
        jiff::Timestamp::from_millisecond(self.0).is_ok()
    }

    /// Returns the span since `earlier`, or zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{t:.3}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        // A deadline beyond what an `i64` holds is never due.
        Timestamp(self.0.saturating_add(i64::try_from(span.0).unwrap_or(i64::MAX)))
    }
}

// === impl Span ===

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// Returns a span of whole seconds.
    pub const fn secs(n: u64) -> Self {
        Self(n.saturating_mul(1000))
    }

    /// How a duration is written, for messages.
    pub const FORMS: &str = "\"10s\", \"1h30m\", \"7d\", \"2w\", \"PT90M\" or \"P7D\"";

    /// Reads `"10s"`, `"1h30m"`, `"250ms"`, `"7d"` or ISO 8601 (`"PT10S"`, `"P7D"`), cut to whole milliseconds. A day has 24
    /// hours; months and years have no fixed length. Negative spans are refused.
    pub fn parse(text: &str) -> Option<Self> {
        let ms = milliseconds(text.trim())?;
        u64::try_from(ms).ok().map(Self)
    }
}

/// Reads a length of time, which may be negative.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let duration = match text.parse::<jiff::SignedDuration>() {
        Ok(duration) => duration,
        Err(_) => {
            let span: jiff::Span = text.parse().ok()?;
            span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?
        }
    };
    i64::try_from(duration.as_millis()).ok()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            // In the largest unit that has no rest, so that it reads back as the same span.
            ms if ms % 3_600_000 == 0 && ms > 0 => write!(f, "{}h", ms / 3_600_000),
            ms if ms % 60_000 == 0 && ms > 0 => write!(f, "{}m", ms / 60_000),
            ms if ms % 1000 == 0 => write!(f, "{}s", ms / 1000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Span::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is not a duration such as {}", Span::FORMS))
        })
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A duration such as \"250ms\", \"10s\", \"1h30m\", \"7d\" or \"PT5M\".",
            "examples": ["10s", "1h30m"],
            "x-callboard": ["duration"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_prints_as_it_parses() {
        for text in ["0s", "250ms", "10s", "90s", "2m", "24h"] {
            let span = Span::parse(text).expect("a span");
            assert_eq!(Span::parse(&span.to_string()), Some(span), "{text}");
        }
        for text in [
            "-1s",
            "-P7D",
            "",
            "7",
            "1 fortnight",
            "P1M",
            "1mo",
            "1y",
            "P1Y",
            "d",
            "7d7d",
            "99999999999999999d",
        ] {
            assert_eq!(Span::parse(text), None, "{text}");
        }
        for (text, hours) in [
            ("7d", 168),
            ("P7D", 168),
            ("1w", 168),
            ("P1W", 168),
            ("1d12h", 36),
            ("P1DT12H", 36),
            ("2 days", 48),
            ("PT90H", 90),
        ] {
            assert_eq!(Span::parse(text), Some(Span::secs(hours * 3600)), "{text}");
        }
        assert_eq!(Span::parse("soon"), None);
    }

    #[test]
    fn an_instant_prints_as_rfc_3339() {
        let t = Timestamp::parse("2027-01-01T00:00:00Z").expect("an instant");
        assert_eq!(t.to_string(), "2027-01-01T00:00:00.000Z");
        assert_eq!(t.since(t + Span::secs(1)), Span::ZERO);
    }
}
