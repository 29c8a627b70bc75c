//! What a working directory may say that nobody has vouched for: it may have been cloned or unpacked a minute ago.
//!
//! Only what can't send anything out, open anything or name another file. A setting that is in no list needs trust, so
//! a new one is safe before anybody has thought about it.

use super::address;
use crate::trust::REMEDY;
use config::{Map, Value, ValueKind};

/// Settings that anybody may set: how much at once, how long, how loud.
const HARMLESS: [&str; 8] = [
    "server.concurrency",
    "server.streams",
    "server.drain",
    "runs.dispatch",
    "runs.retention",
    "telemetry.level",
    "telemetry.format",
    "telemetry.service_name",
];
/// Harmless as long as it is an address of this machine alone.
const LISTEN: &str = "server.listen";

/// Returns the settings of a table that need trust, and takes out what only repeats the defaults: that must not win
/// over what the user set elsewhere.
pub fn take(table: &mut Value, defaults: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk(table, Some(defaults), "", &mut found);
    found
}

pub fn refusal(path: &str) -> String {
    let variable = path.replace('.', "__").to_ascii_uppercase();
    format!(
        "a file of the working directory may not set this, since it may be anybody's; {REMEDY}, or set it yourself: \
         CALLBOARD__{variable}, a file in ~/.config/callboard, or --config FILE"
    )
}

fn walk(value: &mut Value, defaults: Option<&Value>, path: &str, found: &mut Vec<String>) {
    if is_harmless(path, value) {
        return;
    }
    let known = defaults.map(|defaults| &defaults.kind);
    match (&mut value.kind, known) {
        // What no setting is called is reported as that.
        (ValueKind::Table(table), Some(ValueKind::Table(known))) => {
            let open = super::load::OPEN.contains(&path);
            table.retain(|key, value| keep(key, value, known, path, open, found));
        }
        _ => found.push(path.to_owned()),
    }
}

/// Looks at one entry; false if it says what is so anyway.
fn keep(
    key: &str,
    value: &mut Value,
    known: &Map<String, Value>,
    path: &str,
    open: bool,
    found: &mut Vec<String>,
) -> bool {
    let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match known.get(key) {
        Some(default) if says_the_same(default, value) => is_harmless(&path, value),
        Some(default) => {
            walk(value, Some(default), &path, found);
            true
        }
        None => {
            if open {
                found.push(path);
            }
            true
        }
    }
}

/// Whether both say the same, wherever they stand; sections are looked into.
fn says_the_same(one: &Value, other: &Value) -> bool {
    match (&one.kind, &other.kind) {
        (ValueKind::Table(_), _) => false,
        (ValueKind::Array(one), ValueKind::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| says_the_same(one, other))
        }
        (one, other) => one == other,
    }
}

fn is_harmless(path: &str, value: &Value) -> bool {
    if path == LISTEN {
        let address = value.clone().into_string().ok().and_then(|text| address::read(&text).ok());
        // What is no address at all is reported as that.
        return address.is_none_or(|address| address.ip().is_loopback());
    }
    HARMLESS.contains(&path)
}
