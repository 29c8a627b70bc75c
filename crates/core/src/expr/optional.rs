//! Paths that may lead nowhere.
//!
//! What is undefined is an error where it is used, but asking for it is none, however deep it lies: `a.b.c` is undefined
//! where `a` has no `b`. minijinja can be told to allow that, but is then lenient in all else, too. So the steps of a path
//! behind its first are the arguments of a filter.

use super::kinds::given;
use minijinja::{
    Error,
    value::{Rest, Value},
};

/// Filters of minijinja's that take what is missing for an empty text or list, or do not say that it is missing.
pub(super) const UNASKING: [&str; 12] = [
    "abs", "dictsort", "e", "escape", "format", "fromjson", "indent", "lines", "list", "round", "split",
    "zip",
];

/// Goes on as far as it leads.
pub(super) fn path(value: &Value, steps: Rest<Value>) -> Result<Value, Error> {
    let mut at = value.clone();
    for step in steps.iter() {
        if at.is_undefined() {
            return Ok(Value::UNDEFINED);
        }
        at = at.get_item(step)?;
    }
    Ok(at)
}

/// Minijinja's, but what is missing is neither.
pub(super) fn sequence(value: &Value) -> bool {
    !value.is_undefined() && minijinja::tests::is_sequence(value)
}

pub(super) fn iterable(value: &Value) -> bool {
    !value.is_undefined() && minijinja::tests::is_iterable(value)
}

pub(super) fn needed(value: &Value) -> Result<Value, Error> {
    given(value).map(|()| value.clone())
}

/// Whether a source asks for a path wherever it names it (`path | default(…)`, `path is defined`), so that it may be missing.
pub(super) fn is_asked(source: &str, path: &str) -> bool {
    source.match_indices(path).all(|(at, _)| {
        let rest = source[at + path.len()..].trim_start();
        let word = |text: &str, word: &str| {
            text.strip_prefix(word)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        };
        word(rest, "is")
            || rest
                .strip_prefix('|')
                .is_some_and(|rest| word(rest.trim_start(), "default") || word(rest.trim_start(), "d"))
    })
}
