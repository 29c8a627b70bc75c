//! Warnings that come over and over, as on a full disk, are said once a second for each cause, with how many were not said:
//! the log is often on the same disk, and nobody reads a thousand equal lines.
//!
//! A cause is the place in a program that says it. A few at once are all said: they may be of different runs.

use callboard_actors::Clock;
use serde_json::json;
use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tracing::{Event, Level, Metadata, Subscriber, callsite::Identifier};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Lines of one cause that are said at once.
const AT_ONCE: u32 = 10;
/// Then one is said in this time.
const PERIOD: Duration = Duration::from_secs(1);

/// A format of lines, bounded.
pub struct Bounded<F> {
    inner: F,
    /// The lines are JSON.
    is_json: bool,
    causes: Mutex<HashMap<Identifier, Cause>>,
}

/// What was said of one cause.
struct Cause {
    /// How many may be said now, as of `since`.
    left: u32,
    since: Instant,
    unsaid: u64,
}

// === impl Bounded ===

impl<F> Bounded<F> {
    pub fn text(inner: F) -> Self {
        Self { inner, is_json: false, causes: Mutex::default() }
    }

    pub fn json(inner: F) -> Self {
        Self { is_json: true, ..Self::text(inner) }
    }

    /// Whether a line is to be said: then how many of its kind were not since the last one.
    fn admit(&self, line: &Metadata<'_>, now: Instant) -> Option<u64> {
        if *line.level() > Level::WARN {
            return Some(0);
        }
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Cause { left: AT_ONCE, since: now, unsaid: 0 };
        causes.entry(line.callsite()).or_insert_with(new).admit(now)
    }

    fn tell(&self, writer: &mut Writer<'_>, line: &Metadata<'_>, unsaid: u64) -> fmt::Result {
        let at = Clock::system().now().to_string();
        let (level, target) = (line.level().as_str(), line.target());
        let message = "lines like the next one were left out";
        if self.is_json {
            let line = json!({"timestamp": at, "level": level, "message": message, "left_out": unsaid, "target": target});
            return writeln!(writer, "{line}");
        }
        writeln!(writer, "{at} {level:>5} {target}: {unsaid} {message}")
    }
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(unsaid) = self.admit(event.metadata(), Instant::now()) else { return Ok(()) };
        if unsaid > 0 {
            self.tell(&mut writer, event.metadata(), unsaid)?;
        }
        self.inner.format_event(ctx, writer, event)
    }
}

// === impl Cause ===

impl Cause {
    fn admit(&mut self, now: Instant) -> Option<u64> {
        let periods = u32::try_from(now.duration_since(self.since).as_millis() / PERIOD.as_millis());
        let periods = periods.unwrap_or(u32::MAX);
        if periods > 0 {
            self.left = self.left.saturating_add(periods).min(AT_ONCE);
            self.since = now;
        }
        if self.left == 0 {
            self.unsaid += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io, sync::Arc};
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("paper").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is on paper after so many warnings at once, and some other lines.
    fn written(is_json: bool) -> Vec<String> {
        let paper = Paper::default();
        let sheet = paper.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || sheet.clone());
        let say = || {
            for n in 0..500 {
                tracing::warn!(n, "the disk is full");
                tracing::info!(n, "a line of no trouble");
            }
            tracing::error!("another cause");
        };
        let registry = tracing_subscriber::registry();
        match is_json {
            true => {
                let layer = layer.json().flatten_event(true).map_event_format(Bounded::json);
                tracing::subscriber::with_default(registry.with(layer), say);
            }
            false => {
                let layer = layer.map_event_format(Bounded::text);
                tracing::subscriber::with_default(registry.with(layer), say);
            }
        }
        let bytes = paper.0.lock().expect("paper").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_warning_over_and_over_is_said_a_few_times_and_others_as_ever() {
        for is_json in [false, true] {
            let lines = written(is_json);
            let count = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
            // A second may pass on a busy machine.
            assert!((10..=13).contains(&count("the disk is full")), "{}", count("the disk is full"));
            assert_eq!((count("a line of no trouble"), count("another cause")), (500, 1));
            if is_json {
                let read = |line: &String| serde_json::from_str::<serde_json::Value>(line).is_ok();
                assert!(lines.iter().all(read), "{lines:#?}");
            }
        }
    }

    #[test]
    fn one_a_second_is_said_with_what_was_left_out() {
        let began = Instant::now();
        let mut cause = Cause { left: AT_ONCE, since: began, unsaid: 0 };
        let mut said = |ms: u64| cause.admit(began + Duration::from_millis(ms));
        assert!((0..10).all(|n| said(n) == Some(0)));
        assert_eq!([said(20), said(500), said(999)], [None; 3]);
        assert_eq!([said(1000), said(1001), said(1500), said(2000)], [Some(3), None, None, Some(2)]);
        assert_eq!(said(60_000), Some(0));
        assert!((0..9).all(|n| said(60_001 + n) == Some(0)), "it was quiet for long");
        assert_eq!(said(60_100), None);
    }
}
