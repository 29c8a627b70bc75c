//! Bytes as text, without loss: by their byte order mark, else by the charset that is declared, else as UTF-8. What has no
//! meaning there is an error that says where; nothing is replaced.

use encoding_rs::{DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// How bytes stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    Of(&'static Encoding),
    /// The labels of WHATWG read these as windows-1252; bytes that ASCII does not have would be guesses.
    Ascii,
    /// WHATWG does not have them, and some programs write them.
    Utf32 {
        big: bool,
    },
}

/// Bytes that are no text in their charset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undecodable {
    /// Nobody knows the charset.
    Unknown(String),
    At {
        charset: &'static str,
        /// Where, and what stands there; nothing where the text ends in the middle of a character.
        at: usize,
        byte: Option<u8>,
        declared: bool,
    },
}

/// Decodes all of `bytes`; `declared` is the label of a charset. JSON begins with characters of ASCII, so that UTF-16 and
/// UTF-32 can be told by their zeros.
pub(crate) fn decode<'t>(
    bytes: &'t [u8],
    declared: Option<&str>,
    is_json: bool,
) -> Result<Cow<'t, str>, Undecodable> {
    if let Some((charset, mark)) = marked(bytes) {
        return charset.read(bytes, mark, true);
    }
    let known = declared.map(|label| (label, Charset::of(label)));
    match known {
        Some((label, Some(_))) if is_json && is_open(label) => match zeros(bytes) {
            Some(charset) => charset.read(bytes, 0, true),
            None => Charset::of(label).unwrap_or(Charset::Of(UTF_8)).read(bytes, 0, true),
        },
        Some((_, Some(charset))) => charset.read(bytes, 0, true),
        // Whatever it is, nearly every charset has ASCII in it. Those of seven bits spell others with it.
        Some((label, None)) => match std::str::from_utf8(bytes) {
            Ok(text) if text.is_ascii() && !label.to_ascii_lowercase().contains("utf") => Ok(text.into()),
            _ => Err(Undecodable::Unknown(label.chars().take(40).collect())),
        },
        None if is_json => zeros(bytes).unwrap_or(Charset::Of(UTF_8)).read(bytes, 0, false),
        None => Charset::Of(UTF_8).read(bytes, 0, false),
    }
}

/// Returns the charset that a byte order mark names, and the mark's length.
pub(crate) fn marked(bytes: &[u8]) -> Option<(Charset, usize)> {
    Some(match bytes {
        [0xef, 0xbb, 0xbf, ..] => (Charset::Of(UTF_8), 3),
        [0x00, 0x00, 0xfe, 0xff, ..] => (Charset::Utf32 { big: true }, 4),
        // In UTF-16 it would be a text that begins with a zero.
        [0xff, 0xfe, 0x00, 0x00, ..] if bytes.len().is_multiple_of(4) => (Charset::Utf32 { big: false }, 4),
        [0xfe, 0xff, ..] => (Charset::Of(UTF_16BE), 2),
        [0xff, 0xfe, ..] => (Charset::Of(UTF_16LE), 2),
        _ => return None,
    })
}

/// Whether a label leaves the order of bytes open.
fn is_open(label: &str) -> bool {
    matches!(label.to_ascii_lowercase().replace('_', "-").as_str(), "utf-16" | "utf16" | "utf-32" | "utf32")
}

/// Tells the charset of JSON by where the zeros of its first two characters stand.
fn zeros(bytes: &[u8]) -> Option<Charset> {
    match bytes {
        [0, 0, 0, last, ..] if *last != 0 => Some(Charset::Utf32 { big: true }),
        [first, 0, 0, 0, ..] if *first != 0 => Some(Charset::Utf32 { big: false }),
        [0, last, ..] if *last != 0 => Some(Charset::Of(UTF_16BE)),
        [first, 0, ..] if *first != 0 => Some(Charset::Of(UTF_16LE)),
        _ => None,
    }
}

// === impl Charset ===

impl Charset {
    /// Returns the charset of a label, in any case, by any of its names.
    pub fn of(label: &str) -> Option<Self> {
        let label = label.trim().to_ascii_lowercase();
        match label.replace('_', "-").as_str() {
            "us-ascii" | "ascii" | "ansi-x3.4-1968" | "iso646-us" | "iso-646-us" | "iso-ir-6" => {
                return Some(Charset::Ascii);
            }
            "utf8mb3" | "utf8mb4" | "utf-8-sig" | "utf-8" => return Some(Charset::Of(UTF_8)),
            "utf-16le" => return Some(Charset::Of(UTF_16LE)),
            "utf-16be" => return Some(Charset::Of(UTF_16BE)),
            "utf-32" | "utf32" | "utf-32be" => return Some(Charset::Utf32 { big: true }),
            "utf-32le" => return Some(Charset::Utf32 { big: false }),
            _ => {}
        }
        // What stands for no charset in particular, such as `binary`, is not known either.
        Encoding::for_label_no_replacement(label.as_bytes())
            .or_else(|| Encoding::for_label_no_replacement(label.replace('_', "-").as_bytes()))
            .map(Charset::Of)
    }

    pub fn name(self) -> &'static str {
        match self {
            Charset::Of(encoding) => encoding.name(),
            Charset::Ascii => "US-ASCII",
            Charset::Utf32 { big: true } => "UTF-32BE",
            Charset::Utf32 { big: false } => "UTF-32LE",
        }
    }

    /// Decodes what stands behind a mark of `skip` bytes. Places count from the beginning of `bytes`.
    fn read(self, bytes: &[u8], skip: usize, declared: bool) -> Result<Cow<'_, str>, Undecodable> {
        let rest = &bytes[skip..];
        let found = match self {
            Charset::Of(encoding) if encoding == UTF_8 => {
                std::str::from_utf8(rest).map(Cow::Borrowed).map_err(|e| e.valid_up_to())
            }
            Charset::Of(encoding) => by_table(encoding, rest).map(Cow::Owned),
            Charset::Ascii => match rest.iter().position(|byte| !byte.is_ascii()) {
                Some(at) => Err(at),
                None => std::str::from_utf8(rest).map(Cow::Borrowed).map_err(|e| e.valid_up_to()),
            },
            Charset::Utf32 { big } => by_fours(rest, big).map(Cow::Owned),
        };
        found.map_err(|at| {
            let at = at + skip;
            Undecodable::At { charset: self.name(), at, byte: bytes.get(at).copied(), declared }
        })
    }

    /// Writes a text. Errs with the first character that the charset does not have.
    pub fn write(self, text: &str) -> Result<Vec<u8>, char> {
        let of_utf16 = |unit: fn(u16) -> [u8; 2]| Ok(text.encode_utf16().flat_map(unit).collect());
        match self {
            Charset::Of(encoding) if encoding == UTF_16LE => of_utf16(u16::to_le_bytes),
            Charset::Of(encoding) if encoding == UTF_16BE => of_utf16(u16::to_be_bytes),
            Charset::Of(encoding) => {
                let (bytes, _, lossy) = encoding.encode(text);
                let missing = |c: &char| encoding.encode(c.encode_utf8(&mut [0; 4])).2;
                match lossy {
                    false => Ok(bytes.into_owned()),
                    true => Err(text.chars().find(missing).unwrap_or(char::REPLACEMENT_CHARACTER)),
                }
            }
            Charset::Ascii => match text.chars().find(|c| !c.is_ascii()) {
                Some(c) => Err(c),
                None => Ok(text.as_bytes().to_vec()),
            },
            Charset::Utf32 { big } => {
                let unit =
                    |c: char| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
                Ok(text.chars().flat_map(unit).collect())
            }
        }
    }
}

/// Decodes by a table of WHATWG's, else returns where that ends.
fn by_table(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let most = decoder.max_utf8_buffer_length_without_replacement(bytes.len()).unwrap_or(bytes.len());
    let mut text = String::with_capacity(most);
    match decoder.decode_to_string_without_replacement(bytes, &mut text, true) {
        (DecoderResult::InputEmpty, _) => {
            text.shrink_to_fit();
            Ok(text)
        }
        (DecoderResult::Malformed(bad, after), read) => {
            Err(read.saturating_sub(usize::from(bad) + usize::from(after)))
        }
        // There was room for all of it.
        (DecoderResult::OutputFull, read) => Err(read),
    }
}

fn by_fours(bytes: &[u8], big: bool) -> Result<String, usize> {
    let mut text = String::with_capacity(bytes.len() / 2);
    let (whole, rest) = bytes.as_chunks::<4>();
    for (n, four) in whole.iter().enumerate() {
        let code = if big { u32::from_be_bytes(*four) } else { u32::from_le_bytes(*four) };
        text.push(char::from_u32(code).ok_or(n * 4)?);
    }
    if rest.is_empty() { Ok(text) } else { Err(whole.len() * 4) }
}

// === impl Undecodable ===

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Undecodable::Unknown(label) => write!(f, "the charset `{label}` is not known"),
            Undecodable::At { charset, at, byte, declared } => {
                if !declared {
                    f.write_str("no charset is declared, and ")?;
                }
                write!(f, "the body is not {charset}: ")?;
                match byte {
                    Some(byte) => write!(f, "byte {at} (0x{byte:02X}) has no meaning there"),
                    None => write!(f, "it ends at byte {at} within a character"),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(found: &Result<Cow<'_, str>, Undecodable>) -> Option<(&'static str, usize)> {
        match found {
            Err(Undecodable::At { charset, at, .. }) => Some((charset, *at)),
            Err(Undecodable::Unknown(_)) | Ok(_) => None,
        }
    }

    #[test]
    fn a_declared_charset_is_read_by_any_of_its_names() {
        for (label, bytes, text) in [
            ("ISO-8859-1", &b"caf\xe9 \xf1"[..], "café ñ"),
            ("iso_8859-1", b"caf\xe9", "café"),
            ("latin1", b"caf\xe9", "café"),
            ("ISO-8859-15", b"caf\xe9 \xa4", "café €"),
            ("windows-1252", b"\x80 \x93x\x94", "€ “x”"),
            ("cp1251", b"\xcf\xf0\xe8", "При"),
            ("KOI8-R", b"\xf0\xd2\xc9", "При"),
            ("Shift_JIS", b"\x93\xfa\x96{", "日本"),
            ("EUC-JP", b"\xc6\xfc\xcb\xdc", "日本"),
            ("iso-2022-jp", b"\x1b$BF|K\\\x1b(B", "日本"),
            ("GB2312", b"\xc4\xe3\xba\xc3", "你好"),
            ("big5", b"\xa7A\xa6n", "你好"),
            ("EUC-KR", b"\xc7\xd1", "한"),
            ("utf8", "é€😀".as_bytes(), "é€😀"),
            ("utf8mb4", "é".as_bytes(), "é"),
            ("UTF-16LE", b"h\0\xe9\0", "hé"),
            ("utf-16be", b"\0h\0\xe9", "hé"),
            ("utf-32be", b"\0\0\0h\0\x01\xf6\0", "h😀"),
            ("US-ASCII", b"plain", "plain"),
            ("x-of-nobody", b"plain", "plain"),
        ] {
            assert_eq!(decode(bytes, Some(label), false).as_deref(), Ok(text), "{label}");
        }
    }

    #[test]
    fn a_mark_wins_over_what_is_declared_and_is_no_part_of_the_text() {
        for (bytes, text) in [
            (&b"\xef\xbb\xbfh\xc3\xa9"[..], "hé"),
            (b"\xff\xfeh\0\xe9\0", "hé"),
            (b"\xfe\xff\0h\0\xe9", "hé"),
            (b"\xff\xfe\0\0h\0\0\0", "h"),
            (b"\0\0\xfe\xff\0\0\0h", "h"),
            (b"\xef\xbb\xbf", ""),
            (b"\xef\xbb\xbf\xef\xbb\xbf", "\u{feff}"),
        ] {
            for label in [None, Some("iso-8859-1"), Some("utf-8"), Some("x-of-nobody")] {
                for is_json in [false, true] {
                    assert_eq!(decode(bytes, label, is_json).as_deref(), Ok(text), "{label:?}");
                }
            }
        }
    }

    #[test]
    fn json_is_told_by_its_zeros() {
        for bytes in [&b"{\0}\0"[..], b"\0{\0}", b"{\0\0\0}\0\0\0", b"\0\0\0{\0\0\0}", b"{}"] {
            assert_eq!(decode(bytes, None, true).as_deref(), Ok("{}"), "{bytes:?}");
        }
        for bytes in [&b"{\0}\0"[..], b"\0{\0}"] {
            assert_eq!(decode(bytes, Some("UTF-16"), true).as_deref(), Ok("{}"), "{bytes:?}");
        }
        assert_eq!(decode(b"\0{\0}", None, false).as_deref(), Ok("\0{\0}"), "only JSON is");
    }

    #[test]
    fn what_has_no_meaning_is_told_with_its_place() {
        for (label, bytes, expected) in [
            (None, &b"caf\xe9"[..], ("UTF-8", 3)),
            (Some("utf-8"), b"ab\xff", ("UTF-8", 2)),
            (Some("utf-8"), b"ab\xe2\x82", ("UTF-8", 2)),
            (Some("utf-8"), b"\xed\xa0\x80", ("UTF-8", 0)),
            (Some("us-ascii"), b"caf\xc3\xa9", ("US-ASCII", 3)),
            (Some("utf-16le"), b"h\0\0\xd8", ("UTF-16LE", 2)),
            (Some("utf-16le"), b"h\0x", ("UTF-16LE", 2)),
            (Some("utf-32be"), b"\0\0\0h\0\x11\0\0", ("UTF-32BE", 4)),
            (Some("utf-32le"), b"h\0\0\0h", ("UTF-32LE", 4)),
            (Some("shift_jis"), b"ok\x93\xff", ("Shift_JIS", 2)),
            (Some("windows-1253"), b"ok\xd2", ("windows-1253", 2)),
            (None, b"\xef\xbb\xbfab\xff", ("UTF-8", 5)),
            (None, b"\xff\xfeh\0\0\xd8", ("UTF-16LE", 4)),
        ] {
            let found = decode(bytes, label, false);
            assert_eq!(at(&found), Some(expected), "{label:?} {found:?}");
        }
        for label in ["x-of-nobody", "utf-7", "EBCDIC-US", "hz-gb-2312"] {
            assert!(
                matches!(decode(b"caf\xe9", Some(label), false), Err(Undecodable::Unknown(_))),
                "{label}"
            );
        }
        assert!(decode(b"+AGE-", Some("utf-7"), false).is_err(), "it spells others with ASCII");
        let told = decode(b"caf\xe9", None, false).expect_err("no text").to_string();
        assert_eq!(
            told,
            "no charset is declared, and the body is not UTF-8: byte 3 (0xE9) has no meaning there"
        );
    }

    #[test]
    fn a_text_is_written_in_its_charset_or_not_at_all() {
        let write = |label: &str, text: &str| Charset::of(label).expect("a charset").write(text);
        assert_eq!(write("iso-8859-15", "€é").as_deref(), Ok(&b"\xa4\xe9"[..]));
        assert_eq!(write("utf-16le", "é").as_deref(), Ok(&b"\xe9\0"[..]));
        assert_eq!(write("shift_jis", "日本").as_deref(), Ok(&b"\x93\xfa\x96{"[..]));
        assert_eq!(write("iso-8859-1", "a日b"), Err('日'));
        assert_eq!(write("us-ascii", "é"), Err('é'));
        for label in ["utf-16be", "utf-32le", "gb18030", "koi8-r", "utf-8"] {
            let bytes = write(label, "При").expect("all of it");
            assert_eq!(decode(&bytes, Some(label), false).as_deref(), Ok("При"), "{label}");
        }
    }
}
