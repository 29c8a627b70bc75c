//! Sources that are one path and nothing else, taken apart.

use super::{
    passed::WORDS,
    scan::{Kind, tokens},
};

/// Returns the parts of a path such as `steps["my-id"].output.rows.0`; nothing of any other source.
pub(crate) fn path(source: &str) -> Option<Vec<String>> {
    let (tokens, _) = tokens(source, None);
    let text = |at: usize| tokens.get(at).map_or("", |token| &source[token.start..token.end]);
    let kind = |at: usize| tokens.get(at).map(|token| token.kind);
    let mut parts = match kind(0)? {
        Kind::Word if !WORDS.contains(&text(0)) => vec![text(0).to_owned()],
        Kind::Word | Kind::Number | Kind::Text | Kind::Open | Kind::Close | Kind::Sign => return None,
    };
    let mut at = 1;
    while at < tokens.len() {
        let next = kind(at + 1)?;
        if text(at) == "." && matches!(next, Kind::Word | Kind::Number) {
            parts.push(text(at + 1).to_owned());
            at += 2;
        } else if text(at) == "[" && matches!(next, Kind::Text | Kind::Number) && text(at + 2) == "]" {
            parts.push(unquoted(text(at + 1))?.to_owned());
            at += 3;
        } else {
            return None;
        }
    }
    Some(parts)
}

/// Returns what stands between quotes, or a number as it is; nothing where something is escaped.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    if text.contains('\\') {
        return None;
    }
    match text.chars().next()? {
        quote @ ('"' | '\'') => text.strip_prefix(quote)?.strip_suffix(quote),
        _ => Some(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_and_nothing_else_is_one() {
        for (source, parts) in [
            ("input", vec!["input"]),
            (" input.a.0 ", vec!["input", "a", "0"]),
            ("steps[\"my-id\"].output['x y']", vec!["steps", "my-id", "output", "x y"]),
            ("item[2]", vec!["item", "2"]),
        ] {
            assert_eq!(path(source), Some(parts.into_iter().map(str::to_owned).collect()), "{source}");
        }
        for source in
            ["", "1", "'a'", "none", "a | b", "a.b + 1", "a[b]", "a[1:2]", "a(1)", "a.", "a b", "-a"]
        {
            assert_eq!(path(source), None, "{source}");
        }
    }
}
