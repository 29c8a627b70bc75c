//! A step's new id in the sources that name it.
//!
//! Names are found as everywhere (`References`), their places by the tokens of the language, and what was written is looked
//! at once more: it must name what was named before, with the new id, and nothing else.

use super::{
    Error, References,
    path::unquoted,
    scan::{Kind, Piece, pieces, tokens},
};

/// What became of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Renamed {
    /// The source with the new id; none where it did not name the step.
    pub source: Option<String>,
    /// It may mean the step by a name that is computed, or it can't be read.
    pub is_unsure: bool,
}

/// A language of a text: expressions, or templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Expression,
    Template,
}

/// Gives the step `from` the id `to` in a source.
pub(crate) fn renamed(text: Text, source: &str, from: &str, to: &str) -> Renamed {
    let same = |is_unsure| Renamed { source: None, is_unsure };
    let Ok(before) = text.references(source) else {
        return same(text.words(source).any(|word| word == from));
    };
    if !before.steps().contains_key(from) {
        return same(before.looks_at_all_steps());
    }
    let expected = before.renamed(from, to);
    // A name such as `in` or `2nd` can't stand behind a dot everywhere.
    for quoted in [false, true] {
        let written = text.write(source, from, to, quoted);
        if text.references(&written).is_ok_and(|found| found == expected) {
            return Renamed { source: Some(written), is_unsure: before.looks_at_all_steps() };
        }
    }
    same(true)
}

// === impl Text ===

impl Text {
    fn references(self, source: &str) -> Result<References, Error> {
        match self {
            Self::Expression => References::of_expression(source),
            Self::Template => References::of_template(source),
        }
    }

    /// Returns what in a source can be the name of a step.
    fn words(self, source: &str) -> impl Iterator<Item = &str> {
        let bodies = match self {
            Self::Expression => vec![source],
            Self::Template => pieces(source)
                .into_iter()
                .filter_map(|piece| match piece {
                    Piece::Inert(_) => None,
                    Piece::Tag { body, .. } => Some(body),
                })
                .collect(),
        };
        bodies.into_iter().flat_map(|body| {
            let tokens = tokens(body, None).0;
            tokens.into_iter().filter_map(move |token| unquoted(&body[token.start..token.end]))
        })
    }

    fn write(self, source: &str, from: &str, to: &str, quoted: bool) -> String {
        match self {
            Self::Expression => write(source, from, to, quoted),
            Self::Template => {
                let mut out = String::with_capacity(source.len() + to.len());
                for piece in pieces(source) {
                    match piece {
                        Piece::Inert(text) => out.push_str(text),
                        Piece::Tag { open, body, close, .. } => {
                            out.push_str(open);
                            out.push_str(&write(body, from, to, quoted));
                            out.push_str(close);
                        }
                    }
                }
                out
            }
        }
    }
}

/// Writes `to` wherever `from` stands behind `steps`.
fn write(source: &str, from: &str, to: &str, quoted: bool) -> String {
    let (tokens, _) = tokens(source, None);
    let text = |at: usize| tokens.get(at).map_or("", |token| &source[token.start..token.end]);
    let (mut out, mut done) = (String::with_capacity(source.len() + to.len()), 0);
    for at in 0..tokens.len() {
        // Behind a dot it is a field of something else.
        if text(at) != "steps" || at > 0 && matches!(text(at - 1), "." | "|") {
            continue;
        }
        let (first, last, written) = match text(at + 1) {
            "." if text(at + 2) == from && quoted => (at + 1, at + 2, format!("[\"{to}\"]")),
            "." if text(at + 2) == from => (at + 2, at + 2, to.to_owned()),
            "[" if text(at + 3) == "]"
                && is_quoted(tokens.get(at + 2).map(|t| t.kind), text(at + 2), from) =>
            {
                (at + 2, at + 2, format!("\"{to}\""))
            }
            _ => continue,
        };
        out.push_str(&source[done..tokens[first].start]);
        out.push_str(&written);
        done = tokens[last].end;
    }
    out.push_str(&source[done..]);
    out
}

fn is_quoted(kind: Option<Kind>, text: &str, name: &str) -> bool {
    kind == Some(Kind::Text) && unquoted(text) == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expression(source: &str, to: &str) -> (Option<String>, bool) {
        let Renamed { source, is_unsure } = renamed(Text::Expression, source, "a", to);
        (source, is_unsure)
    }

    #[test]
    fn the_id_is_written_where_the_step_is_named() {
        for (source, to, written) in [
            ("steps.a.output", "b", "steps.b.output"),
            ("steps . a .output ~ steps.a.status", "b", "steps . b .output ~ steps.b.status"),
            ("steps['a'].output[steps.a.output]", "b", "steps[\"b\"].output[steps.b.output]"),
            (
                "steps.a.output | default(steps.c.output)",
                "my-id",
                "steps[\"my-id\"].output | default(steps.c.output)",
            ),
            ("steps.a", "2nd", "steps[\"2nd\"]"),
            // What is named alike and is no step stays.
            (
                "'steps.a' ~ a.steps.a ~ steps.a.a ~ steps.c.a",
                "b",
                "'steps.a' ~ a.steps.a ~ steps.b.a ~ steps.c.a",
            ),
        ] {
            assert_eq!(expression(source, to), (Some(written.to_owned()), false), "{source}");
        }
        for source in ["input.a", "'steps.a'", "steps.ab.output", "input.steps.a", "item.a + 1", "{'a': 1}.a"]
        {
            assert_eq!(expression(source, "b"), (None, false), "{source}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_said() {
        assert_eq!(expression("steps | list", "b"), (None, true));
        assert_eq!(expression("steps[input.which]", "b"), (None, true));
        assert_eq!(
            expression("steps.a.output ~ (steps | length)", "b"),
            (Some("steps.b.output ~ (steps | length)".to_owned()), true)
        );
        assert_eq!(expression("steps.a +", "b"), (None, true), "it does not parse");
        assert_eq!(expression("1 +", "b"), (None, false));
    }

    #[test]
    fn templates_are_changed_in_their_tags_only() {
        let template = |source: &str| renamed(Text::Template, source, "a", "b").source;
        let source = "steps.a {{ steps.a.output }}{# steps.a #}{% raw %}{{ steps.a }}{% endraw %}\
             {% for row in steps.a.output %}{{ row.a }}{% endfor %}{%- if steps['a'] -%}x{% endif %}";
        let written = "steps.a {{ steps.b.output }}{# steps.a #}{% raw %}{{ steps.a }}{% endraw %}\
             {% for row in steps.b.output %}{{ row.a }}{% endfor %}{%- if steps[\"b\"] -%}x{% endif %}";
        assert_eq!(template(source).as_deref(), Some(written));
        // Another thing of that name.
        assert_eq!(template("{% set steps = {'a': 1} %}{{ steps.a }}"), None);
        assert_eq!(template("no tag, steps.a"), None);
    }
}
