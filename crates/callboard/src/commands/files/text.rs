//! How a definition differs from another, as lines that people read.

use super::folder::Source;
use crate::terminal::{Tone, plain_lines};
use callboard_core::{
    document::{Format, write},
    workflow::content,
};
use serde_json::{Map, Value};
use similar::TextDiff;

/// Unchanged lines that are shown around a change.
const AROUND: usize = 3;

/// Writes what a file changes as a unified diff. Both sides are written by the same rules, the fields of the new one in the order
/// of the old one, so that only what differs is in it.
pub fn difference(source: &Source, was: Option<&Value>) -> String {
    let file = source.file.display().to_string();
    let new = content::exported(&source.value);
    match was {
        Some(was) => between((&format!("{} (server)", source.name), &content::exported(was)), (&file, &new)),
        None => unified(("(none)", String::new()), (&file, write(&new, Format::Yaml))),
    }
}

/// Writes how an export differs from another one, by the same rules; each with its name.
pub fn between((from, old): (&str, &Value), (to, new): (&str, &Value)) -> String {
    unified((from, write(old, Format::Yaml)), (to, write(&ordered(new, old), Format::Yaml)))
}

fn unified((from, old): (&str, String), (to, new): (&str, String)) -> String {
    let diff = TextDiff::from_lines(&old, &new);
    let text = diff.unified_diff().context_radius(AROUND).header(from, to).to_string();
    plain_lines(text.trim_end())
}

/// Puts the fields of an object in the order of another one, those that it does not have at the end.
fn ordered(value: &Value, like: &Value) -> Value {
    match (value, like) {
        (Value::Object(fields), Value::Object(like)) => {
            let known = like.iter().filter_map(|(name, old)| Some((name, ordered(fields.get(name)?, old))));
            let new = fields.iter().filter(|(name, _)| !like.contains_key(*name));
            let new = new.map(|(name, value)| (name, value.clone()));
            Value::Object(known.chain(new).map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>())
        }
        (Value::Array(items), Value::Array(like)) => {
            let of = |(n, item): (usize, &Value)| {
                like.get(n).map_or_else(|| item.clone(), |old| ordered(item, old))
            };
            Value::Array(items.iter().enumerate().map(of).collect())
        }
        _ => value.clone(),
    }
}

/// Colours the lines of a diff.
pub fn toned(diff: &str) -> String {
    let lines = diff.lines().map(|line| match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => line.to_owned(),
        Some(b'+') => Tone::Good.colour(line),
        Some(b'-') => Tone::Bad.colour(line),
        Some(b'@') => Tone::Busy.colour(line),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_shown_and_acts_on_nothing() {
        let was = json!({"name": "haiku", "nodes": [{"id": "a", "type": "wait", "config": {"for": "1s"}}], "output": 1});
        let file = "output: 1\nnodes:\n  - {type: wait, config: {for: 2s}, id: a}\nname: haiku\ndescription: \"x\\e[2J\"\n";
        let source = Source::of("haiku.yaml".into(), file.into()).expect("a definition");
        let text = difference(&source, Some(&was));
        let changed: Vec<_> = text
            .lines()
            .skip(2)
            .filter(|line| line.starts_with(['+', '-']))
            .map(|line| line.trim_end())
            .collect();
        assert_eq!(changed.len(), 3, "{text}");
        assert!(changed[0].contains("for: 1s") && changed[1].contains("for: 2s"), "{text}");
        assert!(text.starts_with("--- haiku (server)\n+++ haiku.yaml\n"), "{text}");
        assert!(!text.contains('\u{1b}') && changed[2].contains("description"), "{text}");
        let new = difference(&source, None);
        assert!(new.lines().skip(3).all(|line| line.starts_with('+')), "{new}");
    }
}
