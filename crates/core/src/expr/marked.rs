//! Templates of requests: text in which it is known what the definition wrote and what came by data.
//!
//! While such a template is rendered, its own references to secrets and what its tags print stand between `marks`. Data
//! cannot make a mark, so a reference is one only where the template itself has it.

use super::{
    Error, Fuel, Scene, bounds, engine, environment,
    marks::{self, Marked, Printed},
    passed,
    scan::{Kind, Piece, is_template, pieces, tokens},
};
use crate::secret;
use std::ops::Range;

/// What is wrong with the references to secrets in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misplaced {
    /// It begins like a reference, but is none.
    Malformed(String),
    /// The name ends where data begins.
    Open(String),
    /// An expression makes it.
    Computed,
    /// A block `{% set %}` keeps it, and so it is data.
    Captured(String),
}

/// Renders a text and tells where its own references stand.
pub fn render_marked(template: &str, scene: &mut Scene<'_>, fuel: &mut Fuel<'_>) -> Result<Marked, Error> {
    if !is_template(template) {
        let secrets = secret::places(template).map(|(at, name)| (at, name.to_owned())).collect();
        return Ok(Marked { text: template.to_owned(), secrets, data: vec![] });
    }
    bounds::template(template)?;
    let template = marked(template);
    if let Some(text) = passed::text(&template, scene.seen, &mut scene.room, marks::escape) {
        let text = marks::read(&text?);
        fuel.leave(text.text.len());
        return Ok(text);
    }
    let text = marks::read(&engine::printed(&environment::MARKED, &template, scene.context()?, fuel)?);
    scene.made += text.text.len();
    Ok(text)
}

/// Renders a URL: what its tags print is percent-encoded, unless the first one stands at the very start.
pub fn render_url(template: &str, scene: &mut Scene<'_>, fuel: &mut Fuel<'_>) -> Result<Marked, Error> {
    // A block text of YAML ends with a line break, which is no part of an address.
    let template = template.trim_end_matches(['\n', '\r']);
    if captured(&pieces(template)).is_some() {
        let message = "a block `{% set %}` can't stand in a URL; write `{% set name = … %}`";
        return Err(Error::Syntax(message.into()));
    }
    let (base, rest) = split_base(template);
    let mut url = match base {
        Some(source) => {
            // What a tag prints is data, so the base has no references of the template's own.
            let text = engine::text(&format!("{{{{{source}}}}}"), scene.context()?, fuel)?;
            Marked { text, ..Marked::default() }
        }
        None => Marked::default(),
    };
    let rest = if is_template(rest) {
        marks::read(&engine::printed(&environment::URL, &marked(rest), scene.context()?, fuel)?)
    } else {
        render_marked(rest, scene, fuel)?
    };
    // The places in the rest move by the length of the base.
    let from = url.text.len();
    url.text.push_str(&rest.text);
    url.secrets.extend(rest.secrets.into_iter().map(|(at, name)| (at + from, name)));
    let moved = |Printed { at, raw }| Printed { at: at.start + from..at.end + from, raw };
    url.data.extend(rest.data.into_iter().map(moved));
    Ok(url)
}

/// Splits off the source of a tag that stands at the very start: what it prints is the base of the URL. Where the template
/// goes on with its own scheme or host, the tag is a part of these.
fn split_base(template: &str) -> (Option<&str>, &str) {
    let pieces = pieces(template);
    let [Piece::Inert(""), Piece::Tag { block: false, open, body, close }, ..] = pieces.as_slice() else {
        return (None, template);
    };
    let rest = &template[open.len() + body.len() + close.len()..];
    let rest = if body.ends_with('-') { rest.trim_start() } else { rest };
    // A base that data chose could end the URL before what follows: `{{ scheme }}://api.example.com/`.
    if rest.starts_with([':', '.', '@']) { (None, template) } else { (Some(body), rest) }
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

/// Finds what looks like a reference and can't be one.
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
                // The texts are joined, so that a reference made of two is found as well.
                let texts: String = texts.map(|t| body[t.start..t.end].trim_matches(['"', '\''])).collect();
                if texts.to_ascii_lowercase().contains("secret:/") {
                    found.push(Misplaced::Computed);
                }
            }
        }
    }
    found
}

/// Finds the same in a text between tags. `before_data` says that a tag that prints follows it.
fn inert(text: &str, before_data: bool, captured: bool, found: &mut Vec<Misplaced>) {
    let mut last = None;
    for piece in secret::pieces(text) {
        match piece {
            secret::Piece::Name(name) if captured => found.push(Misplaced::Captured(name.to_owned())),
            // A scheme alone in front of a tag is reported below.
            secret::Piece::Malformed(text) if !(before_data && text.len() == secret::SCHEME.len()) => {
                found.push(Misplaced::Malformed(text.to_owned()));
            }
            secret::Piece::Plain(plain) => {
                // Other letters make no reference, but one was meant.
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

/// Returns the pieces from the first block `{% set %}` that keeps text to the end of the last one.
fn captured(pieces: &[Piece<'_>]) -> Option<Range<usize>> {
    let is = |piece: &Piece<'_>, name: &str| match piece {
        Piece::Tag { block: true, body, .. } => {
            let (tokens, _) = tokens(body, None);
            tokens.iter().find(|t| t.kind == Kind::Word).is_some_and(|t| &body[t.start..t.end] == name)
        }
        Piece::Tag { .. } | Piece::Inert(_) => false,
    };
    // What lies between two such blocks is taken as captured, too. That is safe: it only loses marks.
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
                        secret::Piece::Plain(text) | secret::Piece::Malformed(text) => {
                            marks::escape(text, &mut out)
                        }
                        secret::Piece::Name(name) => marks::reference(name, &mut out),
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
