//! Templates of requests: text in which it is known what the definition wrote and what came by data.
//!
//! While such a template is rendered, its own references to secrets and what its tags print stand between marks. A
//! mark begins with a character that no text has; where data has it nevertheless, it is doubled there. So data cannot
//! make a mark, and a reference is one only where the template itself has it.

use super::{
    Context, Error, Fuel, engine,
    scan::{Kind, Piece, pieces, tokens},
};
use crate::secret;
use std::{fmt::Write, ops::Range};

/// A noncharacter of Unicode.
const MARK: char = '\u{fdd0}';
/// What follows it.
const ITSELF: char = '0';
const SECRET: char = 's';
const DATA: char = 'd';
const END: char = 'e';

/// A rendered text, and what stands where in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    pub text: String,
    /// The template's own references: where each begins, and its name.
    pub secrets: Vec<(usize, String)>,
    /// What data printed; only in a URL.
    pub data: Vec<Range<usize>>,
}

/// What is wrong with the references to secrets in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misplaced {
    Malformed(String),
    /// The name ends where data begins.
    Open(String),
    /// An expression makes it.
    Computed,
    /// A block `{% set %}` keeps it, and so it is data.
    Captured(String),
}

/// Renders a text and tells where its own references stand.
pub fn render_marked(template: &str, context: &Context, fuel: &mut Fuel<'_>) -> Result<Marked, Error> {
    if !engine::is_template(template) {
        let secrets = secret::places(template).map(|(at, name)| (at, name.to_owned())).collect();
        return Ok(Marked { text: template.to_owned(), secrets, data: vec![] });
    }
    Ok(read(&engine::printed(&engine::MARKED, &marked(template), context, fuel)?))
}

/// Renders a URL: what its tags print is percent-encoded, unless the first one stands at the very start.
pub fn render_url(template: &str, context: &Context, fuel: &mut Fuel<'_>) -> Result<Marked, Error> {
    if captured(&pieces(template)).is_some() {
        let message = "a block `{% set %}` can't stand in a URL; write `{% set name = … %}`";
        return Err(Error::Syntax(message.into()));
    }
    let (base, rest) = split_base(template);
    let mut url = match base {
        Some(source) => {
            let text = engine::text(&format!("{{{{{source}}}}}"), context, fuel)?;
            Marked { text, ..Marked::default() }
        }
        None => Marked::default(),
    };
    let rest = if engine::is_template(rest) {
        read(&engine::printed(&engine::URL, &marked(rest), context, fuel)?)
    } else {
        render_marked(rest, context, fuel)?
    };
    let from = url.text.len();
    url.text.push_str(&rest.text);
    url.secrets.extend(rest.secrets.into_iter().map(|(at, name)| (at + from, name)));
    url.data.extend(rest.data.into_iter().map(|range| range.start + from..range.end + from));
    Ok(url)
}

/// Splits off the source of a tag that stands at the very start: what it prints is the base of the URL.
fn split_base(template: &str) -> (Option<&str>, &str) {
    match pieces(template).as_slice() {
        [Piece::Inert(""), Piece::Tag { block: false, open, body, close }, ..] => {
            let rest = &template[open.len() + body.len() + close.len()..];
            (Some(body), if body.ends_with('-') { rest.trim_start() } else { rest })
        }
        _ => (None, template),
    }
}

/// Returns the names that the template itself refers to.
pub fn own_references(template: &str) -> Vec<&str> {
    let pieces = pieces(template);
    let captured = captured(&pieces).unwrap_or(0..0);
    let inert = pieces.iter().enumerate().filter_map(|(i, piece)| match piece {
        Piece::Inert(text) if !captured.contains(&i) => Some(*text),
        Piece::Inert(_) | Piece::Tag { .. } => None,
    });
    inert.flat_map(secret::places).map(|(_, name)| name).collect()
}

/// Returns whether the template has blocks, so that its own text may be printed never or more than once.
pub fn has_blocks(template: &str) -> bool {
    template.contains("{%") || template.contains("{#")
}

/// Finds the references that cannot be ones.
pub fn misplaced(template: &str) -> Vec<Misplaced> {
    let mut found = Vec::new();
    let all = pieces(template);
    let captured = captured(&all).unwrap_or(0..0);
    for (i, piece) in all.iter().enumerate() {
        match piece {
            Piece::Inert(text) => {
                let before_data = matches!(all.get(i + 1), Some(Piece::Tag { block: false, .. }));
                inert(text, before_data, captured.contains(&i), &mut found);
            }
            Piece::Tag { body, .. } => {
                let (tokens, _) = tokens(body, None);
                let texts = tokens.iter().filter(|t| t.kind == Kind::Text);
                let texts: String = texts.map(|t| body[t.start..t.end].trim_matches(['"', '\''])).collect();
                if texts.to_ascii_lowercase().contains("secret:/") {
                    found.push(Misplaced::Computed);
                }
            }
        }
    }
    found
}

fn inert(text: &str, before_data: bool, captured: bool, found: &mut Vec<Misplaced>) {
    let mut last = None;
    for piece in secret::pieces(text) {
        match piece {
            secret::Piece::Name(name) if captured => found.push(Misplaced::Captured(name.to_owned())),
            secret::Piece::Malformed(text) if !(before_data && text.len() == secret::SCHEME.len()) => {
                found.push(Misplaced::Malformed(text.to_owned()));
            }
            secret::Piece::Plain(plain) => {
                let lower = plain.to_ascii_lowercase();
                if let Some(at) = lower.find(secret::SCHEME) {
                    found.push(Misplaced::Malformed(plain[at..at + secret::SCHEME.len()].to_owned()));
                }
            }
            secret::Piece::Name(_) | secret::Piece::Malformed(_) => {}
        }
        last = Some(piece);
    }
    if !before_data {
        return;
    }
    match last {
        Some(secret::Piece::Name(name)) => found.push(Misplaced::Open(name.to_owned())),
        Some(secret::Piece::Malformed(_)) => found.push(Misplaced::Computed),
        Some(secret::Piece::Plain(plain)) if plain.ends_with("secret:") || plain.ends_with("secret:/") => {
            found.push(Misplaced::Computed);
        }
        Some(secret::Piece::Plain(_)) | None => {}
    }
}

/// Returns the pieces from the first block `{% set %}` that keeps text to the end of the last.
fn captured(pieces: &[Piece<'_>]) -> Option<Range<usize>> {
    let is = |piece: &Piece<'_>, name: &str| match piece {
        Piece::Tag { block: true, body, .. } => {
            let (tokens, _) = tokens(body, None);
            tokens.iter().find(|t| t.kind == Kind::Word).is_some_and(|t| &body[t.start..t.end] == name)
        }
        Piece::Tag { .. } | Piece::Inert(_) => false,
    };
    let end = pieces.iter().rposition(|piece| is(piece, "endset"))?;
    let start = pieces.iter().position(|piece| is(piece, "set"))?;
    Some(start..end)
}

/// Puts marks around a template's own references.
fn marked(template: &str) -> String {
    let pieces = pieces(template);
    let captured = captured(&pieces).unwrap_or(0..0);
    let mut out = String::with_capacity(template.len() + 64);
    for (i, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Inert(text) if captured.contains(&i) => out.push_str(text),
            Piece::Inert(text) => {
                for piece in secret::pieces(text) {
                    match piece {
                        secret::Piece::Plain(text) | secret::Piece::Malformed(text) => escape(text, &mut out),
                        secret::Piece::Name(name) => {
                            out.extend([MARK, SECRET]);
                            out.push_str(name);
                            out.extend([MARK, END]);
                        }
                    }
                }
            }
            Piece::Tag { open, body, close, .. } => {
                [open, body, close].into_iter().for_each(|s| out.push_str(s))
            }
        }
    }
    out
}

/// Writes a text such that it has no marks.
pub(super) fn escape(text: &str, out: &mut String) {
    for (i, part) in text.split(MARK).enumerate() {
        if i > 0 {
            out.extend([MARK, ITSELF]);
        }
        out.push_str(part);
    }
}

/// Writes what data prints into a URL: as it is where it is encoded already.
pub(super) fn in_url(text: &str, encoded: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    out.extend([MARK, DATA]);
    if encoded {
        escape(text, &mut out)
    } else {
        percent_encode(text, &mut out)
    }
    out.extend([MARK, END]);
    out
}

/// Encodes everything but unreserved characters.
pub(super) fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

/// Takes the marks out and notes where they stood.
fn read(text: &str) -> Marked {
    let mut out = Marked { text: String::with_capacity(text.len()), ..Marked::default() };
    let mut open = None;
    let mut rest = text;
    while let Some((plain, after)) = rest.split_once(MARK) {
        out.text.push_str(plain);
        let mut chars = after.chars();
        let kind = chars.next();
        rest = chars.as_str();
        match kind {
            Some(ITSELF) => out.text.push(MARK),
            Some(SECRET) => {
                let (name, after) = rest.split_once(MARK).unwrap_or((rest, ""));
                out.secrets.push((out.text.len(), name.to_owned()));
                out.text.push_str(secret::SCHEME);
                out.text.push_str(name);
                rest = after.strip_prefix(END).unwrap_or(after);
            }
            Some(DATA) => open = Some(out.text.len()),
            Some(END) => out.data.extend(open.take().map(|from| from..out.text.len())),
            Some(_) | None => {}
        }
    }
    out.text.push_str(rest);
    out
}
