//! What a source text may be before minijinja sees it.
//!
//! minijinja bounds how deep a source nests by brackets, but a chain (`a|e|e|e…`, `a.b.b.b…`) makes a tree as deep
//! as it is long, and both compiling and dropping such a tree recurse. So the number of tokens is bounded here, in
//! one pass over the bytes; that also bounds how deep a value the source can build by itself.

use super::Error;

/// Bytes of one expression.
const EXPRESSION_LIMIT: usize = 64 << 10;
/// Bytes of one template.
const TEMPLATE_LIMIT: usize = 1 << 20;
/// Tokens of one expression or tag.
const TAG_TOKENS: usize = 1_000;
/// Tokens of all tags of one template.
const ALL_TOKENS: usize = 4_000;

/// Checks the length and the number of tokens of an expression.
pub(super) fn expression(source: &str) -> Result<(), Error> {
    if source.len() > EXPRESSION_LIMIT {
        return Err(Error::Limit(format!("the expression is longer than {EXPRESSION_LIMIT} bytes")));
    }
    match scan(source.as_bytes(), None) {
        Scanned { tokens, .. } if tokens > TAG_TOKENS => {
            Err(Error::Limit(format!("the expression has more than {TAG_TOKENS} tokens")))
        }
        _ => Ok(()),
    }
}

/// Checks the same of every tag of a template, and that it uses no block we do without.
pub(super) fn template(source: &str) -> Result<(), Error> {
    if source.len() > TEMPLATE_LIMIT {
        return Err(Error::Limit(format!("the template is longer than {TEMPLATE_LIMIT} bytes")));
    }
    let (mut rest, mut all) = (source, 0);
    while let Some(open) = rest.find('{') {
        let (tag, after) = rest[open..].split_at(rest.len().min(open + 2) - open);
        match tag {
            "{#" => rest = after.split_once("#}").map_or("", |(_, r)| r),
            "{{" | "{%" => {
                let close: &[u8; 2] = if tag == "{{" { b"}}" } else { b"%}" };
                let found = scan(after.as_bytes(), Some(close));
                let inner = &after[..found.end];
                rest = after.get(found.end + 2..).unwrap_or("");
                all += found.tokens;
                if found.tokens > TAG_TOKENS {
                    return Err(Error::Limit(format!(
                        "a tag of the template has more than {TAG_TOKENS} tokens"
                    )));
                }
                if tag == "{%" {
                    match inner.trim_matches(['-', '+', ' ', '\t', '\r', '\n']).split_whitespace().next() {
                        // Its arguments are missing in minijinja's list of variables, so we could not load them.
                        Some("filter") => return Err(refused("filter", "use `|` instead")),
                        Some("autoescape") => return Err(refused("autoescape", "use the filter `escape`")),
                        // Text up to its end; nothing in it is evaluated.
                        Some("raw") => rest = after_raw(rest),
                        _ => {}
                    }
                }
            }
            // A lone brace; the second character may begin a tag.
            _ => rest = &rest[open + 1..],
        }
    }
    if all > ALL_TOKENS {
        return Err(Error::Limit(format!("the template's tags have more than {ALL_TOKENS} tokens")));
    }
    Ok(())
}

fn refused(block: &str, hint: &str) -> Error {
    Error::Syntax(format!("the block `{{% {block} %}}` is not available, {hint}"))
}

fn after_raw(text: &str) -> &str {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("{%") {
        if after.trim_start_matches(['-', '+', ' ', '\t', '\r', '\n']).starts_with("endraw") {
            return after.split_once("%}").map_or("", |(_, r)| r);
        }
        rest = after;
    }
    ""
}

struct Scanned {
    tokens: usize,
    /// Where `close` begins, else the end.
    end: usize,
}

/// Counts words, texts and signs up to `close`, which does not count inside a text or inside brackets.
fn scan(source: &[u8], close: Option<&[u8; 2]>) -> Scanned {
    let (mut at, mut tokens, mut braces) = (0, 0, 0usize);
    while let Some(&byte) = source.get(at) {
        if let Some(close) = close
            && source[at..].starts_with(close)
            && (braces == 0 || close[0] != b'}')
        {
            break;
        }
        at += match byte {
            b'"' | b'\'' => {
                tokens += 1;
                text_len(&source[at..])
            }
            b if b.is_ascii_whitespace() => 1,
            b if b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80 => {
                tokens += 1;
                source[at..]
                    .iter()
                    .take_while(|b| b.is_ascii_alphanumeric() || **b == b'_' || **b >= 0x80)
                    .count()
            }
            b => {
                match b {
                    b'{' => braces += 1,
                    b'}' => braces = braces.saturating_sub(1),
                    _ => {}
                }
                tokens += 1;
                1
            }
        };
    }
    Scanned { tokens, end: at.min(source.len()) }
}

/// Returns the length of the quoted text at the start, its quotes included.
fn text_len(source: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = source.get(at) {
        match byte {
            b'\\' => at += 1,
            b if b == source[0] => return at + 1,
            _ => {}
        }
        at += 1;
    }
    source.len()
}
