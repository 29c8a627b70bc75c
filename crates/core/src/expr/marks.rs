//! Marks around parts of a text while a template is rendered: what is the template's own, and what data printed.
//!
//! A mark begins with a character that texts do not use. Where data has it all the same, it is escaped, so data
//! cannot make a mark.

use crate::secret;
use std::{fmt::Write, ops::Range};

/// A noncharacter of Unicode: no text should have it.
const MARK: char = '\u{fdd0}';
/// What follows it.
const ITSELF: char = '0';
const SECRET: char = 's';
const DATA: char = 'd';
const RAW: char = 'r';
const END: char = 'e';

/// A rendered text, and what stands where in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marked {
    pub text: String,
    /// The template's own references: where each begins, and its name.
    pub secrets: Vec<(usize, String)>,
    /// What data printed; only in a URL.
    pub data: Vec<Printed>,
}

/// What data printed into a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    pub at: Range<usize>,
    /// The template says that it is encoded already.
    pub raw: bool,
}

/// Writes a reference of the template's own.
pub(super) fn reference(name: &str, out: &mut String) {
    out.extend([MARK, SECRET]);
    out.push_str(name);
    out.extend([MARK, END]);
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

/// Writes what data prints into a URL. A text that is encoded already stays as it is.
pub(super) fn in_url(text: &str, encoded: bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    out.extend([MARK, if encoded { RAW } else { DATA }]);
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
pub(super) fn read(text: &str) -> Marked {
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
            Some(kind @ (DATA | RAW)) => open = Some((out.text.len(), kind == RAW)),
            Some(END) => {
                let printed = open.take().map(|(from, raw)| Printed { at: from..out.text.len(), raw });
                out.data.extend(printed);
            }
            Some(_) | None => {}
        }
    }
    out.text.push_str(rest);
    out
}
