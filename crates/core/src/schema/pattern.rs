//! How much a regular expression can cost, read off its source.
//!
//! The engine takes linear time in the text, but at worst each place of the pattern is looked at with each byte, and
//! `[ab]{1000}` has a thousand places. Compiled, a place takes memory.

use std::collections::BTreeMap;

/// Patterns of one schema.
const PATTERNS: usize = 500;
/// Bytes that all of them may come to when they are compiled, by our estimate.
const BYTES: u64 = 8 << 20;
/// Bytes of a place that takes one of few characters, and of one that takes a class of Unicode's.
const PLACE: u64 = 256;
const CLASS: u64 = 32 << 10;

/// The patterns of one schema so far.
#[derive(Default)]
pub(super) struct Measured {
    known: BTreeMap<String, u64>,
    bytes: u64,
}

impl Measured {
    /// Returns the places of a pattern, unless there are too many patterns, or too large ones.
    pub fn take(&mut self, source: &str) -> Result<u64, String> {
        if let Some(places) = self.known.get(source) {
            return Ok(*places);
        }
        let (places, classes) = places(source);
        let bytes = places.saturating_mul(PLACE).saturating_add(classes.saturating_mul(CLASS));
        // A larger one is not compiled at all, so it counts no more than the largest that is.
        self.bytes = self.bytes.saturating_add(bytes.min(super::PATTERN_LIMIT as u64));
        if self.known.len() >= PATTERNS {
            return Err(format!("the schema has more than {PATTERNS} patterns"));
        }
        if self.bytes > BYTES {
            return Err(
                "the schema's patterns are too large: repeat less often (`{n}`), or less (`\\p{…}`)".into()
            );
        }
        self.known.insert(source.to_owned(), places);
        Ok(places)
    }
}

/// Counts the places of a pattern, and those of them that are classes of Unicode's. What repeats counts as often.
fn places(source: &str) -> (u64, u64) {
    // What stands before each open bracket.
    let mut open: Vec<[u64; 2]> = vec![];
    let (mut sum, mut last) = ([0u64; 2], [0u64; 2]);
    let mut rest = source.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '(' => {
                // The bracket becomes the last piece when it closes, so that a number behind it repeats all of it.
                sum = add(sum, last);
                open.push(sum);
                (sum, last) = ([0; 2], [0; 2]);
            }
            ')' => {
                last = add(sum, last);
                sum = open.pop().unwrap_or([0; 2]);
            }
            '{' => {
                let text: String = std::iter::from_fn(|| rest.next_if(|c| *c != '}')).collect();
                rest.next();
                // The upper bound counts; `{3,}` has only the lower.
                let most = text.split(',').filter_map(|n| n.trim().parse::<u64>().ok()).max();
                match most {
                    Some(most) => last = last.map(|n| n.saturating_mul(most.max(1))),
                    // No number: the engine takes it for text.
                    None => last = add(last, [text.len() as u64 + 2, 0]),
                }
            }
            '*' | '+' | '?' | '|' | '^' | '$' => {}
            _ => {
                sum = add(sum, last);
                last = [1, 0];
                if c == '\\' {
                    last[1] = u64::from(escaped(&mut rest));
                } else if c == '[' {
                    last = class(&mut rest);
                }
            }
        }
    }
    // Brackets that never close are a mistake; what is in them counts all the same.
    let all = open.iter().fold(add(sum, last), |all, before| add(all, *before));
    (all[0], all[1])
}

/// Reads what follows a backslash, and returns whether it is a class of Unicode's.
fn escaped(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let named = rest.next();
    let class = matches!(named, Some('p' | 'P'));
    if (class || named == Some('u')) && rest.next_if_eq(&'{').is_some() {
        while rest.next().is_some_and(|c| c != '}') {}
    }
    class
}

/// Reads a class in brackets: one place, and each class of Unicode's in it.
fn class(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> [u64; 2] {
    let (mut classes, mut depth, mut size) = (0, 1u32, 0u64);
    while let Some(c) = rest.next() {
        size += 1;
        match c {
            '\\' => classes += u64::from(escaped(rest)),
            '[' => depth += 1,
            ']' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            _ => {}
        }
    }
    [1 + size / 8, classes]
}

fn add(a: [u64; 2], b: [u64; 2]) -> [u64; 2] {
    [a[0].saturating_add(b[0]), a[1].saturating_add(b[1])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_as_often_as_they_repeat() {
        for (source, expected) in [
            ("", (0, 0)),
            ("abc", (3, 0)),
            ("^[a-z]+@[a-z]+$", (3, 0)),
            ("[ab]*a[ab]{1000}c", (1003, 0)),
            ("((ab){10}c){10,20}", (420, 0)),
            (r"\d{4}-\d{2}-\d{2}", (10, 0)),
            (r"\p{L}{50}", (50, 50)),
            (r"(\p{Lu}|x){3}[\p{L}\]]", (7, 4)),
            (r"\{{3}", (3, 0)),
            ("a{,}", (4, 0)),
            ("((((", (0, 0)),
        ] {
            assert_eq!(places(source), expected, "{source}");
        }
    }

    #[test]
    fn patterns_of_a_schema_are_bounded_together() {
        let mut measured = Measured::default();
        assert_eq!(measured.take("abc"), Ok(3));
        let refused = (0..100).find(|n| measured.take(&format!(r"\p{{L}}{{300}}{n}")).is_err());
        assert_eq!(refused, Some(7));
        let mut measured = Measured::default();
        let refused = (0..1000).find(|n| measured.take(&format!("a{n}")).is_err());
        assert_eq!(refused, Some(PATTERNS));
        assert_eq!(measured.take("a1"), Ok(2), "a known one is no more");
    }
}
