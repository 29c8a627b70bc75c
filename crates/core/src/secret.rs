//! References to secrets: `secret://name` in the text of a definition or of the agents' file.
//!
//! This file decides what a reference is, and where the references of a template stand. Text that comes in by data is
//! never a reference, even if it looks like one. The core never sees the values of secrets.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a reference begins with.
pub const SCHEME: &str = "secret://";
/// Bytes of the longest name.
const LONGEST_NAME: usize = 128;

/// A reference in a rendered request, put there by the definition itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// JSON pointer to the text, from the request: `/headers/authorization`.
    pub at: String,
    /// Byte of that text at which `secret://` begins.
    pub from: usize,
    pub name: String,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    Plain(&'a str),
    /// The name of a reference.
    Name(&'a str),
    /// The scheme without a name that could be one, and what stands in the name's place.
    Malformed(&'a str),
}

/// Splits a text into references and what stands between them. The pieces together are the whole text.
pub fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let at = rest.find(SCHEME).unwrap_or(rest.len());
        if at > 0 {
            let (plain, after) = rest.split_at(at);
            rest = after;
            return Some(Piece::Plain(plain));
        }
        let tail = &rest[SCHEME.len()..];
        let end = tail.find(|c: char| !is_name(c)).unwrap_or(tail.len());
        // A full stop ends the sentence, not the name.
        let name = tail[..end].trim_end_matches('.');
        if name.is_empty() || name.len() > LONGEST_NAME {
            let piece = &rest[..SCHEME.len() + end];
            rest = &tail[end..];
            return Some(Piece::Malformed(piece));
        }
        rest = &tail[name.len()..];
        Some(Piece::Name(name))
    })
}

/// Returns the names of all references in a text. It does not ask who wrote them.
pub fn references(text: &str) -> BTreeSet<String> {
    places(text).map(|(_, name)| name.to_owned()).collect()
}

/// Returns where the references of a text begin, and their names.
pub fn places(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    pieces(text).filter_map(move |piece| {
        let from = at;
        at += match piece {
            Piece::Plain(text) | Piece::Malformed(text) => text.len(),
            Piece::Name(name) => SCHEME.len() + name.len(),
        };
        match piece {
            Piece::Name(name) => Some((from, name)),
            Piece::Plain(_) | Piece::Malformed(_) => None,
        }
    })
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_wherever_they_stand() {
        let names = |text| references(text).into_iter().collect::<Vec<_>>();
        assert_eq!(names("secret://key"), ["key"]);
        assert_eq!(names("Bearer secret://a.b-c_1, secret://key."), ["a.b-c_1", "key"]);
        assert_eq!(names("secret:// secret:/key SECRET://key secret://../x"), Vec::<String>::new());
        assert_eq!(names("secret://secret://x"), ["secret"]);
        assert_eq!(names("é secret://käse"), ["k"]);
        assert_eq!(places("é secret://k secret://key").collect::<Vec<_>>(), [(3, "k"), (14, "key")]);
    }

    #[test]
    fn the_pieces_are_the_whole_text() {
        let long = format!("secret://{} x", "n".repeat(129));
        for text in ["", "a secret://b. c secret://", "secret://../x", "secret://.secret://a", &long] {
            let whole: String = pieces(text)
                .map(|piece| match piece {
                    Piece::Plain(text) | Piece::Malformed(text) => text.to_owned(),
                    Piece::Name(name) => format!("{SCHEME}{name}"),
                })
                .collect();
            assert_eq!(whole, text);
        }
        assert_eq!(pieces("secret://../x").next(), Some(Piece::Malformed("secret://..")));
        assert!(matches!(pieces(&long).next(), Some(Piece::Malformed(_))));
    }
}
