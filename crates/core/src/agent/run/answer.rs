//! JSON in what a model wrote: bare, in a fence, between sentences, as a text of its own.
//!
//! It is taken where only one value can be meant. Several that fit are as good as none: which of them is the answer only
//! the model knows.

use crate::json;
use serde_json::Value;

/// Values that are looked at.
const VALUES: usize = 32;
/// Brackets that end nowhere: each costs a look at the rest of the text.
const OPEN: usize = 32;
const FENCES: [&str; 2] = ["```", "~~~"];

/// Returns the value that `fits`, or what is wrong, for the model to read.
pub(super) fn find(text: &str, fits: impl Fn(&Value) -> Result<(), String>) -> Result<Value, String> {
    let bare = trimmed(text);
    let whole = match read(inside_fence(bare).unwrap_or(bare)) {
        Ok(value) => match fits(&value) {
            Ok(()) => return Ok(value),
            // Some print the JSON as a text of JSON.
            Err(wrong) => match value.as_str().and_then(|inner| read(trimmed(inner)).ok()) {
                Some(inner) => return fits(&inner).map(|()| inner),
                None => return Err(wrong),
            },
        },
        Err(error) => error,
    };
    let bare = behind_thinking(bare);
    let found: Vec<Value> =
        fenced(bare).chain(brackets(bare)).take(VALUES).filter_map(|t| read(t).ok()).collect();
    let mut wrong = None;
    let mut fitting: Vec<Value> = Vec::new();
    for value in found {
        match fits(&value) {
            Ok(()) if fitting.contains(&value) => {}
            Ok(()) => fitting.push(value),
            Err(why) => wrong = wrong.or(Some(why)),
        }
    }
    match (fitting.len(), wrong) {
        (1, _) => Ok(fitting.swap_remove(0)),
        (0, Some(wrong)) => Err(wrong),
        (0, None) => Err(match whole {
            json::Error::Syntax { .. } => format!("it is not JSON ({whole})"),
            json::Error::TooMany(_) | json::Error::TooDeep(_) => whole.to_string(),
        }),
        (several, _) => Err(format!("it holds {several} values that fit, and one is wanted")),
    }
}

fn read(text: &str) -> Result<Value, json::Error> {
    json::read(text.as_bytes(), &json::Limits::default())
}

/// Without white space, marks of byte order and other characters that nobody sees.
fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\u{200b}' | '\u{2060}' | '\0'))
}

/// What stands behind the last thought, of a model that thinks between its sentences.
fn behind_thinking(text: &str) -> &str {
    match text.rsplit_once("</think>") {
        Some((_, rest)) if rest.contains(['{', '[']) => rest,
        Some(_) | None => text,
    }
}

/// The content of a fence that is all there is.
fn inside_fence(text: &str) -> Option<&str> {
    let fence = FENCES.into_iter().find(|fence| text.starts_with(fence))?;
    let inside = text.strip_prefix(fence)?.strip_suffix(fence)?;
    let inside = trimmed(inside.trim_start_matches(|c: char| c.is_alphanumeric()));
    // `true` is no name of a language.
    (!inside.is_empty() && !inside.contains(fence)).then_some(inside)
}

/// The contents of fences, in their order.
fn fenced(text: &str) -> impl Iterator<Item = &str> {
    FENCES.into_iter().flat_map(|fence| text.split(fence).skip(1).step_by(2)).filter_map(|block| {
        // What stands behind the fence in its line names the language.
        let (_, content) = block.split_once('\n')?;
        let content = trimmed(content);
        // Lists and objects are found by their brackets.
        (!content.is_empty() && !content.starts_with(['{', '['])).then_some(content)
    })
}

/// The outermost lists and objects, in their order.
fn brackets(text: &str) -> impl Iterator<Item = &str> {
    let (mut at, mut open) = (0, 0);
    std::iter::from_fn(move || {
        while open < OPEN {
            let start = at + text[at..].find(['{', '['])?;
            match end(&text[start..]) {
                // What is inside of one that can't be read is a part of an answer, and no answer.
                Some(length) => {
                    at = start + length;
                    if read(&text[start..at]).is_ok() {
                        return Some(&text[start..at]);
                    }
                }
                None if text[start + 1..].trim_start().starts_with(['"', '{', '[']) => return None,
                None => {
                    open += 1;
                    at = start + 1;
                }
            }
        }
        None
    })
}

/// Returns the length of the list or object that a text begins with.
fn end(text: &str) -> Option<usize> {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(text: &str) -> Result<Value, String> {
        find(text, |value| match value["answer"].is_string() {
            true => Ok(()),
            false => Err("no answer".into()),
        })
    }

    #[test]
    fn an_answer_is_found_in_its_usual_wrappings() {
        for text in [
            r#"{"answer":"yes"}"#,
            "\u{feff}{\"answer\":\"yes\"}",
            "```json\n{\"answer\":\"yes\"}\n```",
            "```JSON\n{\"answer\":\"yes\"}\n```",
            "```\n{\"answer\":\"yes\"}\n```\n",
            "~~~\n{\"answer\":\"yes\"}\n~~~",
            "Here you go:\n\n```json\n{\"answer\":\"yes\"}\n```",
            "```json\n{\"answer\":\"yes\"}\n```\nI hope that helps (or {not}).",
            "Sure [as ever], {\"answer\":\"yes\"} is it.",
            "Well. <think>{\"answer\":\"no\"}?</think> {\"answer\":\"yes\"}",
            "<answer>{\"answer\":\"yes\"}</answer>",
            "First {\"a\": 1}, so {\"answer\":\"yes\"}; once more {\"answer\": \"yes\"}",
            r#""{\"answer\":\"yes\"}""#,
        ] {
            assert_eq!(answer(text), Ok(json!({"answer": "yes"})), "{text}");
        }
        let number = |text: &str| find(text, |v| if v.is_u64() { Ok(()) } else { Err("no".into()) });
        assert_eq!(number("```json\n7\n```"), Ok(json!(7)));
        assert_eq!(number("It is\n```json\n7\n```\nof them"), Ok(json!(7)));
        let quoting = r#"{"answer": "use ```json\n{}\n``` and \"}\""}"#;
        assert_eq!(answer(quoting).unwrap()["answer"], "use ```json\n{}\n``` and \"}\"");
    }

    #[test]
    fn what_is_not_one_answer_is_none() {
        for (text, complaint) in [
            ("yes", "it is not JSON"),
            ("", "it is not JSON"),
            (r#"{"answer": "it is a very lo"#, "it is not JSON"),
            (r#"Look: {"answer": 1}"#, "no answer"),
            (r#"{"result": {"answer": "yes"}}"#, "no answer"),
            (r#"{"all": [{"answer": "yes"}, {"ans"#, "it is not JSON"),
            (r#"{"all": {"answer": "yes"},}"#, "it is not JSON"),
            (r#"{"answer":"yes"} or {"answer":"no"}"#, "2 values"),
        ] {
            let found = answer(text).unwrap_err();
            assert!(found.contains(complaint), "{text}: {found}");
        }
        let many = "{".repeat(1 << 20);
        assert!(answer(&many).is_err());
    }
}
