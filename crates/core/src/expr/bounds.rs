//! What a source text may be before minijinja sees it.
//!
//! minijinja bounds how deep a source nests by brackets, but a chain (`a|e|e|e…`, `a.b.b.b…`) makes a tree as deep
//! as it is long, and both compiling and dropping such a tree recurse. So the number of tokens is bounded here.

use super::{
    Error,
    scan::{Kind, Piece, Token, pieces, tokens},
};

/// Bytes of one expression.
const EXPRESSION_LIMIT: usize = 64 << 10;
/// Bytes of one template.
const TEMPLATE_LIMIT: usize = 1 << 20;
/// Tokens of one expression or tag.
const TAG_TOKENS: usize = 1_000;
/// Tokens of all tags of one template.
const ALL_TOKENS: usize = 4_000;

/// Blocks we do without, and what to do instead.
const REFUSED: [(&str, &str); 3] = [
    // Its arguments are missing in minijinja's list of variables, so they could not be loaded.
    ("filter", "use `|` instead"),
    ("autoescape", "use the filter `escape`"),
    ("do", "there is nothing to do without a result"),
];

/// Checks the length and the number of tokens of an expression.
pub(super) fn expression(source: &str) -> Result<(), Error> {
    if source.len() > EXPRESSION_LIMIT {
        return Err(Error::Limit(format!("the expression is longer than {EXPRESSION_LIMIT} bytes")));
    }
    if tokens(source, None).0.len() > TAG_TOKENS {
        return Err(Error::Limit(format!("the expression has more than {TAG_TOKENS} tokens")));
    }
    Ok(())
}

/// Checks the same of every tag of a template, and that it uses no block we do without.
pub(super) fn template(source: &str) -> Result<(), Error> {
    if source.len() > TEMPLATE_LIMIT {
        return Err(Error::Limit(format!("the template is longer than {TEMPLATE_LIMIT} bytes")));
    }
    let mut all = 0;
    for piece in pieces(source) {
        let Piece::Tag { block, body, .. } = piece else { continue };
        let (found, _) = tokens(body, None);
        all += found.len();
        if found.len() > TAG_TOKENS {
            return Err(Error::Limit(format!("a tag of the template has more than {TAG_TOKENS} tokens")));
        }
        let name = if block { block_name(body, &found) } else { "" };
        if let Some((name, hint)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(Error::Syntax(format!("the block `{{% {name} %}}` is not available, {hint}")));
        }
    }
    if all > ALL_TOKENS {
        return Err(Error::Limit(format!("the template's tags have more than {ALL_TOKENS} tokens")));
    }
    Ok(())
}

/// Returns the word that a block begins with.
pub(super) fn block_name<'a>(body: &'a str, tokens: &[Token]) -> &'a str {
    tokens.iter().find(|t| t.kind == Kind::Word).map_or("", |t| &body[t.start..t.end])
}
