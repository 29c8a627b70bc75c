//! What is said of a trigger, kind by kind: read with all its mistakes at once.

use super::calendar::{Calendar, LONGEST, SHORTEST, UTC};
use callboard_core::{Problem, Span, Timestamp, expr, schema};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// A schedule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSettings {
    /// A cron of 5 fields, or of 6 that begin with the seconds; either this or `every`.
    #[serde(default)]
    pub cron: Option<String>,
    /// The zone of the cron by its IANA name, such as `Europe/Berlin`; UTC unless it is given.
    #[serde(default)]
    pub zone: Option<String>,
    /// A duration from `1s` to 366 days, counted from when the trigger was last enabled or changed.
    #[serde(default)]
    pub every: Option<Span>,
    /// What becomes of occasions that nobody was there for.
    #[serde(default)]
    pub missed: Missed,
    /// What happens while the run before goes on.
    #[serde(default)]
    pub overlap: Overlap,
    /// The run's input, a template that sees `scheduled_at`; `{}` unless it is given.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// The version that runs; the latest unless it is given.
    #[serde(default)]
    pub version: Option<u32>,
}

/// What becomes of occasions that nobody was there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Missed {
    /// Nothing.
    #[default]
    Skip,
    /// The last of them starts one run.
    Last,
}

/// What happens while the run before goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// Another one begins beside it.
    #[default]
    Allow,
    /// The occasion is left out.
    Skip,
    /// One occasion waits for its end.
    QueueOne,
}

/// Reads settings of a type, and says everything that its schema says is wrong with them.
pub fn read<T: DeserializeOwned + JsonSchema>(settings: &Map<String, Value>) -> Result<T, Vec<Problem>> {
    let settings = Value::Object(settings.clone());
    let problems = schema::check(&schema::of::<T>(), &settings);
    if !problems.is_empty() {
        return Err(problems);
    }
    serde_json::from_value(settings).map_err(|error| vec![Problem::new("", "wrong_type", error.to_string())])
}

/// What is wrong with a template, or with its parts.
pub fn template(path: &str, template: Option<&Value>) -> Option<Problem> {
    let error = expr::check_template(template?).err()?;
    Some(Problem::new(path, "invalid_template", error.to_string()))
}

/// Tells null from nothing, for fields that any JSON fits.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

// === impl ScheduleSettings ===

impl ScheduleSettings {
    /// Reads what is said of a schedule, or everything that is wrong with it.
    pub fn read(settings: &Map<String, Value>) -> Result<Self, Vec<Problem>> {
        let read: Self = read(settings)?;
        let mut problems: Vec<Problem> = template("input", read.input.as_ref()).into_iter().collect();
        problems.extend(read.calendar(Timestamp(0)).err().into_iter().flatten());
        if problems.is_empty() { Ok(read) } else { Err(problems) }
    }

    /// Returns when it is due, as it is since an instant.
    pub fn calendar(&self, since: Timestamp) -> Result<Calendar, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong =
            |path: &str, code: &str, message: String| problems.push(Problem::new(path, code, message));
        if self.zone.is_some() && self.every.is_some() {
            wrong("zone", "invalid_zone", "an interval has no zone".to_owned());
        }
        let name = self.zone.as_deref().unwrap_or(UTC);
        let zone = TimeZone::get(name).map_err(|_| format!("`{name}` is no zone such as Europe/Berlin"));
        let calendar = match (&self.cron, self.every) {
            (Some(text), None) => match zone {
                Ok(zone) => {
                    Calendar::cron(text, zone).map_err(|message| wrong("cron", "invalid_cron", message))
                }
                Err(message) => {
                    wrong("zone", "invalid_zone", message);
                    let cron = Calendar::cron(text, TimeZone::UTC);
                    cron.map_err(|message| wrong("cron", "invalid_cron", message))
                }
            },
            (None, Some(every)) => {
                if !(SHORTEST..=LONGEST).contains(&every) {
                    wrong("every", "out_of_range", format!("an interval is from {SHORTEST} to {LONGEST}"));
                }
                Ok(Calendar::Every { every, since })
            }
            (None, None) | (Some(_), Some(_)) => {
                wrong("cron", "invalid", "either `cron` or `every` is given".to_owned());
                Err(())
            }
        };
        match calendar {
            Ok(calendar) if problems.is_empty() => Ok(calendar),
            Ok(_) | Err(()) => Err(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wrong(settings: Value) -> Vec<(String, String)> {
        let problems =
            ScheduleSettings::read(settings.as_object().expect("an object")).expect_err("mistakes");
        let mut found: Vec<_> = problems.into_iter().map(|problem| (problem.path, problem.code)).collect();
        found.sort();
        found
    }

    fn found(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(path, code)| ((*path).to_owned(), (*code).to_owned())).collect()
    }

    #[test]
    fn every_mistake_of_a_schedule_is_told() {
        assert_eq!(wrong(json!({})), found(&[("cron", "invalid")]));
        assert_eq!(wrong(json!({"cron": "* * * * *", "every": "1h"})), found(&[("cron", "invalid")]));
        assert_eq!(
            wrong(json!({"cron": "x", "zone": "Mars/Olympus", "input": {"a": "{{ b"}})),
            found(&[("cron", "invalid_cron"), ("input", "invalid_template"), ("zone", "invalid_zone")])
        );
        assert_eq!(wrong(json!({"every": "900ms"})), found(&[("every", "out_of_range")]));
        assert_eq!(wrong(json!({"every": "400d"})), found(&[("every", "out_of_range")]));
        assert_eq!(wrong(json!({"every": "1h", "zone": "UTC"})), found(&[("zone", "invalid_zone")]));
        let mistaken = wrong(json!({"every": "soon", "missed": "all", "overlap": 1, "x": 1, "version": -1}));
        let paths: Vec<&str> = mistaken.iter().map(|(path, _)| &**path).collect();
        assert_eq!(paths, ["every", "missed", "overlap", "version", "x"]);
    }

    #[test]
    fn what_is_not_said_is_usual() {
        let read =
            |settings: Value| ScheduleSettings::read(settings.as_object().expect("an object")).expect("fine");
        let read_ = read(json!({"cron": "0 3 * * *"}));
        assert_eq!((read_.missed, read_.overlap, read_.input), (Missed::Skip, Overlap::Allow, None));
        let read_ = read(json!({"every": "15m", "missed": "last", "overlap": "queue_one", "input": null}));
        assert_eq!(
            (read_.missed, read_.overlap, read_.input),
            (Missed::Last, Overlap::QueueOne, Some(Value::Null))
        );
    }
}
