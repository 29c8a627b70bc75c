//! Documents that people write, in YAML or JSON: read to JSON, with bounds on what a text may unfold to.

use crate::{Problem, json};
use serde_json::Value;

/// Bytes of a document.
pub const SIZE_LIMIT: usize = 4 << 20;
/// Levels of lists and objects in a document.
pub(crate) const DEPTH_LIMIT: usize = 64;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Yaml,
    Json,
}

/// Parses a document of either format into JSON, within bounds. Errs with one problem, which names line and column.
pub fn parse(text: &str, format: Format) -> Result<Value, Problem> {
    if text.len() > SIZE_LIMIT {
        let message = format!("the document has {} bytes, more than {SIZE_LIMIT}", text.len());
        return Err(Problem::new("", "too_large", message));
    }
    match format {
        Format::Json => {
            let limits = json::Limits { repeated_keys: false, ..json::Limits::default() };
            json::read(text.as_bytes(), &limits).map_err(|e| match e {
                json::Error::Syntax { line, column, message } => syntax(line as u64, column as u64, &message),
                json::Error::TooMany(_) => {
                    Problem::new("", "too_large", format!("the document is too large: {e}"))
                }
                json::Error::TooDeep(_) => {
                    Problem::new("", "syntax", format!("the document can't be read: {e}"))
                }
            })
        }
        Format::Yaml => serde_saphyr::from_str_with_options(text, yaml_options()).map_err(|e| {
            let at = e.location();
            // A snippet would repeat a part of the document in the message.
            let message = e.without_snippet().to_string();
            syntax(at.map_or(0, |l| l.line()), at.map_or(0, |l| l.column()), &message)
        }),
    }
}

/// Writes a value as a document that reads as the same value. What YAML can't hold is written as JSON, which is YAML, too.
pub fn write(value: &Value, format: Format) -> String {
    let json = || serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    match format {
        Format::Json => json(),
        Format::Yaml => {
            let written = serde_saphyr::to_string(value).ok();
            let same = |text: &String| parse(text, Format::Yaml).is_ok_and(|read| read == *value);
            written.filter(same).unwrap_or_else(json)
        }
    }
}

/// Bounds on what a YAML text may unfold to; anchors and aliases are the danger.
fn yaml_options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_LIMIT,
            max_documents: 1,
            max_events: 500_000,
            max_nodes: json::VALUES,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_merge_keys: 1_000,
            max_recorded_anchor_events: 100_000,
            max_recorded_anchor_bytes: SIZE_LIMIT,
            max_total_scalar_bytes: SIZE_LIMIT,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 16,
            max_alias_expansions_per_anchor: 1_000,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::Error,
        // `n` and `yes` are words.
        strict_booleans: true,
    }
}

/// Makes a problem of a parser's message: the first line of it, without the place that is told already.
fn syntax(line: u64, column: u64, message: &str) -> Problem {
    let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let first =
        first.trim_start_matches(&format!("line {line} column {column}")).trim_start_matches([':', ' ']);
    // What follows is the place once more, or advice for programs.
    let first =
        [" at line ", ", set "].iter().fold(first, |text, end| text.split(end).next().unwrap_or(text));
    let message = format!("line {line}, column {column}: {}", first.trim_end_matches('.'));
    Problem::new(format!("{line}:{column}"), "syntax", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_as_the_same() {
        let words = [
            "yes",
            "no",
            "null",
            "~",
            "1",
            "1e3",
            "0x1f",
            "12:30",
            "2027-01-01",
            "- a",
            "a: b",
            "# c",
            " x ",
            "",
            "a\nb",
            "a\n",
            "\n\na\n\n",
            "tab\tand \u{1b}[31m",
            "\u{9b}31m",
            "😀",
            "{{ input.a }}",
            "!t",
            "&a",
            "*a",
            "'",
            "\"",
            "%",
            "@",
            "`",
            "[",
            "}",
            "trailing \nspace",
            "  indented\n    more\n",
            "\u{2028}",
            "a\r\nb",
        ];
        let long = "word ".repeat(60);
        for word in words.into_iter().chain([&*long]) {
            for value in
                [json!(word), json!({word: [word, {"a": word}]}), json!([[word], {}, [], null, 1, 1.5, true])]
            {
                for format in [Format::Yaml, Format::Json] {
                    let text = write(&value, format);
                    assert_eq!(parse(&text, format).ok().as_ref(), Some(&value), "{text}");
                }
            }
        }
        // As YAML, and not by way of JSON.
        let text =
            write(&json!({"name": "haiku", "nodes": [{"id": "a", "n": 1}], "t": "one\ntwo\n"}), Format::Yaml);
        assert!(text.starts_with("name: haiku\nnodes:\n"), "{text}");
    }
}
