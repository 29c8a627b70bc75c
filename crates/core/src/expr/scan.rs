//! Finds the tags of a template and the tokens of an expression, as minijinja's lexer does, in one pass.

/// A piece of a template.
pub(super) enum Piece<'a> {
    /// Text, comment or raw block: nothing in it is evaluated.
    Inert(&'a str),
    /// `{{ … }}` or `{% … %}`.
    Tag { block: bool, open: &'a str, body: &'a str, close: &'a str },
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    Text,
    Open,
    Close,
    Sign,
}

/// A token by the bytes where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// Returns whether `text` has a tag or comment at all.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| text.contains(open))
}

/// Splits a template into pieces that together are the whole of it.
pub(super) fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut rest, mut from) = (source, 0);
    while let Some(at) = source[from..].find('{').map(|n| from + n) {
        let open = source.get(at..at + 2).unwrap_or("");
        let block = open == "{%";
        if !matches!(open, "{{" | "{%" | "{#") {
            from = at + 1;
            continue;
        }
        let inside = &source[at + 2..];
        let inert = match open {
            "{#" => Some(inside.find("#}").map_or(source.len(), |n| at + 4 + n)),
            "{%" => basic_tag(inside, "raw", false).map(|n| end_of_raw(source, at + 2 + n)),
            _ => None,
        };
        if let Some(end) = inert {
            from = end;
            continue;
        }
        let close = if block { "%}" } else { "}}" };
        let len = tokens(inside, Some(close)).1;
        pieces.push(Piece::Inert(&rest[..at - (source.len() - rest.len())]));
        let (body, after) = inside.split_at(len);
        // A tag that is never closed has nothing to close it.
        let (close, after) = after.split_at(after.len().min(2));
        pieces.push(Piece::Tag { block, open, body, close });
        rest = after;
        from = source.len() - rest.len();
    }
    pieces.push(Piece::Inert(rest));
    pieces
}

/// Returns the length of ` name %}` at the start of what follows `{%`.
fn basic_tag(text: &str, name: &str, marker: bool) -> Option<usize> {
    let space = |s: &'_ str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_whitespace()).len();
    let mut at = usize::from(marker && text.starts_with(['-', '+']));
    at += space(&text[at..]);
    text[at..].strip_prefix(name)?;
    at += name.len();
    at += space(&text[at..]);
    at += usize::from(text[at..].starts_with(['-', '+']));
    text[at..].starts_with("%}").then_some(at + 2)
}

/// Returns where a raw block ends whose content begins at `from`.
fn end_of_raw(source: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(n) = source[at..].find("{%") {
        at += n + 2;
        if let Some(len) = basic_tag(&source[at..], "endraw", true) {
            return at + len;
        }
    }
    source.len()
}

/// Reads tokens up to `close` outside of brackets and texts; returns them and where they end.
pub(super) fn tokens(source: &str, close: Option<&str>) -> (Vec<Token>, usize) {
    let bytes = source.as_bytes();
    // Below zero where brackets do not match; such a source does not parse.
    let (mut at, mut depth, mut tokens) = (0, 0isize, Vec::new());
    while let Some(&byte) = bytes.get(at) {
        if depth == 0 && close.is_some_and(|close| bytes[at..].starts_with(close.as_bytes())) {
            break;
        }
        let (kind, len) = match byte {
            b'"' | b'\'' => (Kind::Text, text_len(&bytes[at..])),
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b if b.is_ascii_digit() => (Kind::Number, number_len(bytes, at)),
            b if is_word(b) => (Kind::Word, bytes[at..].iter().take_while(|b| is_word(**b)).count()),
            b'(' | b'[' | b'{' => {
                depth += 1;
                (Kind::Open, 1)
            }
            b')' | b']' | b'}' => {
                depth -= 1;
                (Kind::Close, 1)
            }
            _ => {
                let two = bytes.get(at..at + 2).unwrap_or(b"");
                let double = [b"==", b"!=", b"<=", b">=", b"**", b"//"].iter().any(|s| two == *s);
                (Kind::Sign, 1 + usize::from(double))
            }
        };
        tokens.push(Token { kind, start: at, end: at + len });
        at += len;
    }
    (tokens, at.min(source.len()))
}

/// Bytes above ASCII are parts of words, so a token always ends between characters.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn number_len(bytes: &[u8], at: usize) -> usize {
    let run = |from: usize| bytes[from..].iter().take_while(|b| is_word(**b)).count();
    let whole = run(at);
    // After a dot a number is an index and has no fraction.
    let fraction = (at == 0 || bytes[at - 1] != b'.')
        && bytes.get(at + whole) == Some(&b'.')
        && bytes.get(at + whole + 1).is_some_and(u8::is_ascii_digit);
    if fraction { whole + 1 + run(at + whole + 1) } else { whole }
}

/// Returns the length of the quoted text at the start, its quotes included.
fn text_len(bytes: &[u8]) -> usize {
    let mut at = 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 1,
            b if b == bytes[0] => return at + 1,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}
