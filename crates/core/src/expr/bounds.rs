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

/// Words that are operators wherever `measure` meets them.
const OPERATORS: [&str; 8] = ["and", "or", "not", "in", "is", "if", "else", "recursive"];

/// Checks the length and the number of tokens of an expression.
pub(super) fn expression(source: &str) -> Result<(), Error> {
    if source.len() > EXPRESSION_LIMIT {
        return Err(Error::Limit(format!("the expression is longer than {EXPRESSION_LIMIT} bytes")));
    }
    let (found, end) = tokens(source, Some("}}"));
    // It must not end the tag that is put around it.
    if end < source.len() {
        return Err(Error::Syntax("an expression is written without {{ and }}".into()));
    }
    if found.len() > TAG_TOKENS {
        return Err(Error::Limit(format!("the expression has more than {TAG_TOKENS} tokens")));
    }
    names(source, &found)
}

/// Names are ASCII. minijinja finds that out late, or not at all at the end of an expression.
fn names(source: &str, tokens: &[Token]) -> Result<(), Error> {
    let words = tokens.iter().filter(|t| t.kind == Kind::Word).map(|t| &source[t.start..t.end]);
    match words.into_iter().find(|word| !word.is_ascii()) {
        Some(word) => Err(Error::Syntax(format!("`{word}` can't be a name here; a text stands in quotes"))),
        None => Ok(()),
    }
}

/// Checks the same of every tag of a template, and that it uses no block that is refused.
pub(super) fn template(source: &str) -> Result<(), Error> {
    if source.len() > TEMPLATE_LIMIT {
        return Err(Error::Limit(format!("the template is longer than {TEMPLATE_LIMIT} bytes")));
    }
    let mut all = 0;
    for piece in pieces(source) {
        let Piece::Tag { block, body, .. } = piece else { continue };
        let (found, _) = tokens(body, None);
        names(body, &found)?;
        all += found.len();
        if found.len() > TAG_TOKENS {
            return Err(Error::Limit(format!("a tag of the template has more than {TAG_TOKENS} tokens")));
        }
        if block && let Some(word) = named_as_operator(body, &found) {
            return Err(Error::Syntax(format!(
                "`{word}` is an operator and can't be the name of a variable"
            )));
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

/// Finds a target of `for`, `set` or `with` that has the name of an operator: `measure` would take it for the
/// operator.
fn named_as_operator<'a>(body: &'a str, tokens: &[Token]) -> Option<&'a str> {
    let text = |t: &Token| &body[t.start..t.end];
    let is_operator = |t: &&Token| OPERATORS.contains(&text(t));
    let targets = match block_name(body, tokens) {
        "for" => tokens.iter().position(|t| text(t) == "in")?,
        "set" => tokens.iter().position(|t| text(t) == "=").unwrap_or(tokens.len()),
        "with" => {
            let mut pairs = tokens.windows(2).filter(|pair| text(&pair[1]) == "=").map(|pair| &pair[0]);
            return pairs.find(is_operator).map(text);
        }
        _ => return None,
    };
    tokens[..targets].iter().find(is_operator).map(text)
}
