//! How a character may be spelled where servers encode texts: percent-encoding, escapes of JSON and of programming
//! languages, entities of HTML, quoted-printable; each of them, or one inside the other.
//!
//! A text is read as a graph: from each byte lead edges to later ones, each with the bytes that it may stand for. A
//! value is found where a path spells it, whatever its encoder left as it was.

/// Encodings one inside the other.
const LEVELS: usize = 3;
/// An edge is no longer than this, in bytes.
pub(super) const LONGEST: usize = 120;
/// The longest name of an entity.
const ENTITY: usize = 31;

/// What a text may say between two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    bytes: [u8; 4],
    len: u8,
    /// Where it leads.
    pub to: usize,
}

/// What an encoder had before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Byte(u8),
    Char(char),
}

impl Edge {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    fn new(bytes: &[u8], to: usize) -> Self {
        let mut edge = Self { bytes: [0; 4], len: bytes.len() as u8, to };
        edge.bytes[..bytes.len()].copy_from_slice(bytes);
        edge
    }
}

/// Whether more than the byte itself may be meant where it stands.
pub(super) fn is_starter(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=' | b'+' | b'"' | b'\'' | 0 | 0x80..)
}

/// Calls `f` with every edge from `at` but the one of the byte itself.
pub(super) fn edges(text: &[u8], at: usize, f: &mut impl FnMut(Edge)) {
    let Some(&byte) = text.get(at) else { return };
    match byte {
        b'+' => f(Edge::new(b" ", at + 1)),
        // The other half of UTF-16.
        0 => f(Edge::new(b"", at + 1)),
        b'"' | b'\'' => {
            // Tables and SQL write a quote twice; for a shell it stands between quotes of the other kind, or escaped.
            if text.get(at + 1) == Some(&byte) {
                f(Edge::new(&[byte], at + 2));
            }
            for quoted in [br#"'"'"'"#.as_slice(), br"'\''"] {
                if text[at..].starts_with(quoted) {
                    f(Edge::new(b"'", at + quoted.len()));
                }
            }
        }
        0x80.. => {
            // Latin-1, or UTF-8 that was taken for Latin-1.
            each(Unit::Byte(byte), at + 1, f);
            if let (0xc2 | 0xc3, Some(&next @ 0x80..=0xbf)) = (byte, text.get(at + 1)) {
                f(Edge::new(&[(byte & 0x03) << 6 | next & 0x3f], at + 2));
            }
            // The same for windows-1252, which is what most readers take for Latin-1.
            if matches!(byte, 0xc5 | 0xc6 | 0xcb | 0xe2)
                && let Some((byte, length)) = of_windows(&text[at..])
            {
                f(Edge::new(&[byte], at + length));
            }
        }
        b'%' | b'\\' | b'&' | b'=' => {
            if byte == b'=' {
                // A line that quoted-printable breaks.
                match text.get(at + 1..) {
                    Some([b'\r', b'\n', ..]) => f(Edge::new(b"", at + 3)),
                    Some([b'\n', ..]) => f(Edge::new(b"", at + 2)),
                    _ => {}
                }
            }
            let mut last = (Unit::Byte(byte), at + 1);
            for level in 0..LEVELS {
                // What is no beginning of an escape stays what it is.
                let Some(found) = (Below { text, level }).decoded(last) else { continue };
                if found.1 - at > LONGEST {
                    break;
                }
                f(edge(found.0, found.1));
                each(found.0, found.1, f);
                if !ascii(found.0).is_some_and(opens) {
                    break;
                }
                last = found;
            }
        }
        _ => {}
    }
}

/// Returns the byte that a character at the beginning is in windows-1252, where Latin-1 has none, and its length in UTF-8.
fn of_windows(text: &[u8]) -> Option<(u8, usize)> {
    /// From 0x80 on; those that are left out are nothing there.
    const CHARS: [char; 32] = [
        '€', '\0', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\0', 'Ž', '\0', '\0', '‘', '’',
        '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\0', 'ž', 'Ÿ',
    ];
    let length = if text.first() == Some(&0xe2) { 3 } else { 2 };
    let c = std::str::from_utf8(text.get(..length)?).ok()?.chars().next()?;
    let place = CHARS.iter().position(|known| *known == c)?;
    Some((0x80 + place as u8, length))
}

fn edge(unit: Unit, to: usize) -> Edge {
    match unit {
        Unit::Byte(byte) => Edge::new(&[byte], to),
        Unit::Char(c) => Edge::new(c.encode_utf8(&mut [0; 4]).as_bytes(), to),
    }
}

/// The other reading of what is beyond ASCII: a byte as a character of Latin-1, and such a character as a byte.
fn each(unit: Unit, to: usize, f: &mut impl FnMut(Edge)) {
    match unit {
        Unit::Byte(byte @ 0x80..) => f(edge(Unit::Char(char::from(byte)), to)),
        Unit::Char(c @ '\u{80}'..='\u{ff}') => f(Edge::new(&[c as u32 as u8], to)),
        Unit::Byte(_) | Unit::Char(_) => {}
    }
}

/// Reads one unit at `at` after `level` decodings.
fn unit(text: &[u8], at: usize, level: usize) -> Option<(Unit, usize)> {
    let byte = *text.get(at)?;
    let mut found = (Unit::Byte(byte), at + 1);
    if opens(byte) {
        for level in 0..level {
            found = Below { text, level }.decoded(found).unwrap_or(found);
            if !ascii(found.0).is_some_and(opens) {
                break;
            }
        }
    }
    Some(found)
}

/// Whether an escape may begin with it.
fn opens(byte: u8) -> bool {
    matches!(byte, b'%' | b'\\' | b'&' | b'=')
}

fn ascii(unit: Unit) -> Option<u8> {
    match unit {
        Unit::Byte(byte) => byte.is_ascii().then_some(byte),
        Unit::Char(c) => c.is_ascii().then_some(c as u32 as u8),
    }
}

/// A text after some decodings, in which the next one is read.
#[derive(Clone, Copy)]
struct Below<'a> {
    text: &'a [u8],
    level: usize,
}

impl Below<'_> {
    /// Decodes once more what begins with a unit, if that begins an escape.
    fn decoded(self, (first, next): (Unit, usize)) -> Option<(Unit, usize)> {
        match ascii(first)? {
            b'%' => self.percent(next),
            b'\\' => self.escape(next),
            b'&' => self.entity(next),
            b'=' => self.hex(next, 2, 2).map(|(n, next)| (Unit::Byte(n as u8), next)),
            _ => None,
        }
    }

    fn ascii(self, at: usize) -> Option<(u8, usize)> {
        let (unit, next) = unit(self.text, at, self.level)?;
        Some((ascii(unit)?, next))
    }

    /// Reads digits of base 16.
    fn hex(self, at: usize, least: usize, most: usize) -> Option<(u32, usize)> {
        self.digits(at, 16, least, most)
    }

    fn digits(self, mut at: usize, base: u32, least: usize, most: usize) -> Option<(u32, usize)> {
        let (mut n, mut count) = (0u32, 0);
        while count < most
            && let Some((byte, next)) = self.ascii(at)
            && let Some(digit) = char::from(byte).to_digit(base)
        {
            n = n.wrapping_mul(base).wrapping_add(digit);
            (at, count) = (next, count + 1);
        }
        (count >= least).then_some((n, at))
    }

    /// After `%`: `41`, or JavaScript's `u0041`.
    fn percent(self, at: usize) -> Option<(Unit, usize)> {
        if let Some((b'u' | b'U', next)) = self.ascii(at) {
            return self.hex(next, 4, 4).and_then(|(n, next)| Some((Unit::Char(char::from_u32(n)?), next)));
        }
        self.hex(at, 2, 2).map(|(n, next)| (Unit::Byte(n as u8), next))
    }

    /// After `\`.
    fn escape(self, at: usize) -> Option<(Unit, usize)> {
        let (unit, next) = unit(self.text, at, self.level)?;
        let Some(byte) = ascii(unit) else { return Some((unit, next)) };
        let braced = |next| {
            let (b'{', next) = self.ascii(next)? else { return None };
            let (n, next) = self.hex(next, 1, 6)?;
            let (b'}', next) = self.ascii(next)? else { return None };
            Some((Unit::Char(char::from_u32(n)?), next))
        };
        match byte {
            b'u' => braced(next).or_else(|| self.utf16(next)),
            b'U' => {
                let (n, next) = self.hex(next, 8, 8)?;
                Some((Unit::Char(char::from_u32(n)?), next))
            }
            b'x' => {
                braced(next).or_else(|| self.hex(next, 2, 2).map(|(n, next)| (Unit::Byte(n as u8), next)))
            }
            b'0'..=b'3' => match self.digits(at, 8, 3, 3) {
                Some((n, next)) => Some((Unit::Byte(n as u8), next)),
                None => (byte == b'0').then_some((Unit::Byte(0), next)),
            },
            b'n' => Some((Unit::Byte(b'\n'), next)),
            b'r' => Some((Unit::Byte(b'\r'), next)),
            b't' => Some((Unit::Byte(b'\t'), next)),
            b'b' => Some((Unit::Byte(8), next)),
            b'f' => Some((Unit::Byte(12), next)),
            b'a' => Some((Unit::Byte(7), next)),
            b'v' => Some((Unit::Byte(11), next)),
            _ if byte.is_ascii_alphanumeric() => None,
            _ => Some((Unit::Byte(byte), next)),
        }
    }

    /// After `\u`: four digits, or two times four.
    fn utf16(self, at: usize) -> Option<(Unit, usize)> {
        let (first, next) = self.hex(at, 4, 4)?;
        if let Some(c) = char::from_u32(first) {
            return Some((Unit::Char(c), next));
        }
        let (b'\\', at) = self.ascii(next)? else { return None };
        let (b'u', at) = self.ascii(at)? else { return None };
        let (second, next) = self.hex(at, 4, 4)?;
        let pair = [u16::try_from(first).ok()?, u16::try_from(second).ok()?];
        let c = char::decode_utf16(pair).next()?.ok()?;
        Some((Unit::Char(c), next))
    }

    /// After `&`: `#34;`, `#x22;` or `quot;`. Browsers do without some semicolons.
    fn entity(self, at: usize) -> Option<(Unit, usize)> {
        let end = |next| match self.ascii(next) {
            Some((b';', next)) => (next, true),
            _ => (next, false),
        };
        if let Some((b'#', next)) = self.ascii(at) {
            let (n, next) = match self.ascii(next) {
                Some((b'x' | b'X', next)) => self.hex(next, 1, 8)?,
                _ => self.digits(next, 10, 1, 9)?,
            };
            return Some((Unit::Char(char::from_u32(n)?), end(next).0));
        }
        let (mut name, mut len, mut next) = ([0; ENTITY], 0, at);
        while let Some((byte, after)) = self.ascii(next)
            && byte.is_ascii_alphanumeric()
        {
            *name.get_mut(len)? = byte;
            len += 1;
            next = after;
        }
        let name = &name[..len];
        let (next, closed) = end(next);
        let c = match name {
            b"amp" => '&',
            b"lt" => '<',
            b"gt" => '>',
            b"quot" => '"',
            b"" => return None,
            _ if !closed => return None,
            name => {
                let name = format!("&{};", std::str::from_utf8(name).ok()?);
                let decoded = html_escape::decode_html_entities(&name);
                let mut chars = decoded.chars();
                chars.next().filter(|_| chars.next().is_none())?
            }
        };
        Some((Unit::Char(c), next))
    }
}
