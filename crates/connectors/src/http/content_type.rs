//! What an answer says that it is: its media type and charset, and the name of its file.

use http::{HeaderMap, header};

/// How a body is to be read, by what its type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Text,
    /// XML or HTML: a text that may name its charset itself.
    Markup,
    Bytes,
    /// The type does not say: text if its bytes are one.
    Unknown,
}

/// A content type, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ContentType {
    /// `application/json`, in lower case; empty where nothing is said.
    pub essence: String,
    pub charset: Option<String>,
}

/// Types that are text without saying so by their names.
const TEXTS: [&str; 18] = [
    "application/csv",
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/json-seq",
    "application/jsonl",
    "application/jsonlines",
    "application/ld-patch",
    "application/n-triples",
    "application/sql",
    "application/toml",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-sh",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/yaml",
    "message/rfc822",
];
/// Types that are bytes, even where these are those of a text.
const BYTES: [&str; 14] = [
    "application/gzip",
    "application/java-archive",
    "application/msword",
    "application/octet-stream",
    "application/pdf",
    "application/vnd.rar",
    "application/wasm",
    "application/x-7z-compressed",
    "application/x-bzip2",
    "application/x-gzip",
    "application/x-tar",
    "application/x-zip-compressed",
    "application/zip",
    "application/zstd",
];

// === impl ContentType ===

impl ContentType {
    /// Reads the last of the headers that has a type: so do browsers where there are several.
    pub fn of(headers: &HeaderMap) -> Self {
        let all = headers.get_all(header::CONTENT_TYPE).iter();
        let texts = all.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        texts.map(|text| Self::parse(&text)).rfind(|found| !found.essence.is_empty()).unwrap_or_default()
    }

    pub fn parse(text: &str) -> Self {
        let mut parts = outside_quotes(text, ';').into_iter();
        let essence = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let charset = parts.filter_map(|part| part.split_once('=')).find_map(|(name, value)| {
            let value = unquoted(value);
            (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
        });
        Self { essence, charset }
    }

    pub fn kind(&self) -> Kind {
        let is = |part: &str| self.essence.starts_with(part);
        let ends = |suffix: &str| self.essence.ends_with(suffix);
        let json = ["application/json", "text/json", "application/x-json", "text/x-json"];
        if json.contains(&self.essence.as_str()) || ends("+json") {
            return Kind::Json;
        }
        let markup = ["application/xml", "text/xml", "text/html"];
        if markup.contains(&self.essence.as_str()) || ends("+xml") {
            return Kind::Markup;
        }
        if is("text/") || ends("+yaml") || TEXTS.contains(&self.essence.as_str()) {
            return Kind::Text;
        }
        if is("image/") || is("audio/") || is("video/") || is("font/") || ends("+zip") || ends("+gzip") {
            return Kind::Bytes;
        }
        if BYTES.contains(&self.essence.as_str()) {
            return Kind::Bytes;
        }
        // Only a text has a charset.
        if self.charset.is_some() { Kind::Text } else { Kind::Unknown }
    }
}

/// Returns the charset that XML or HTML names at its beginning.
pub(crate) fn named_inside(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(1024)]).to_ascii_lowercase();
    let value = |text: &str, name: &str, within: char| {
        let text = text.split(within).next().unwrap_or_default();
        let (_, rest) = text.split_once(name)?;
        let rest = rest.trim_start().strip_prefix('=')?.trim_start();
        let rest = rest.trim_start_matches(['"', '\'']);
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-_.:".contains(c));
        let label = &rest[..end.unwrap_or(rest.len())];
        (!label.is_empty()).then(|| label.to_owned())
    };
    if let Some(xml) = head.trim_start().strip_prefix("<?xml")
        && let Some(label) = value(xml, "encoding", '>')
    {
        return Some(label);
    }
    // A page that says UTF-16 in letters of ASCII is none.
    let metas = head.match_indices("<meta").filter_map(|(at, _)| value(&head[at..], "charset", '>'));
    metas.into_iter().next().map(|label| if label.starts_with("utf-16") { "utf-8".to_owned() } else { label })
}

/// Returns the name of the file that an answer is, without the folders that it may name.
pub(crate) fn file_name(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_DISPOSITION)?;
    let text = match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => encoding_rs::mem::decode_latin1(value.as_bytes()).into_owned(),
    };
    let parts: Vec<(String, String)> = outside_quotes(&text, ';')
        .into_iter()
        .filter_map(|part| part.split_once('='))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), unquoted(value)))
        .collect();
    let named = |wanted: &str| parts.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let extended = named("filename*").and_then(|value| {
        let (charset, rest) = value.split_once('\'')?;
        let (_, encoded) = rest.split_once('\'')?;
        let bytes = percent_decoded(encoded)?;
        super::charset::decode(&bytes, Some(charset), false).ok().map(|text| text.into_owned())
    });
    let name = extended.or_else(|| named("filename").cloned())?;
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
    (!name.is_empty() && name != "." && name != "..").then_some(name)
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16);
        let (high, low) = (digit(bytes.next()?)?, digit(bytes.next()?)?);
        out.push((high * 16 + low) as u8);
    }
    Some(out)
}

/// Splits at a sign that stands in no quotes.
fn outside_quotes(text: &str, sign: char) -> Vec<&str> {
    let (mut parts, mut from, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == sign && !quoted => {
                parts.push(&text[from..at]);
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

/// Takes the quotes off a value, and the backslashes inside them.
fn unquoted(value: &str) -> String {
    let value = value.trim();
    let Some(rest) = value.strip_prefix('"') else { return value.trim_matches('\'').to_owned() };
    let (mut out, mut escaped) = (String::new(), false);
    for c in rest.chars() {
        match c {
            _ if escaped => {
                out.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            _ => out.push(c),
        }
    }
    out.trim().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_type_is_read_in_any_case_with_any_parameters() {
        for (text, essence, charset) in [
            ("application/json", "application/json", None),
            ("Application/JSON;Charset=ISO-8859-15", "application/json", Some("ISO-8859-15")),
            ("text/plain; charset=\"utf-8\"", "text/plain", Some("utf-8")),
            ("text/plain ; version=1 ; CHARSET = \"a\\\"b\" ;", "text/plain", Some("a\"b")),
            ("text/plain; x=\"; charset=no\"; charset=latin1", "text/plain", Some("latin1")),
            ("text/plain; charset='latin1'", "text/plain", Some("latin1")),
            ("text/plain; charset=; charset=utf-8", "text/plain", Some("utf-8")),
            ("text/plain;;charset=utf-8;charset=latin1", "text/plain", Some("utf-8")),
            ("", "", None),
        ] {
            let expected = ContentType { essence: essence.to_owned(), charset: charset.map(str::to_owned) };
            assert_eq!(ContentType::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_type_says_what_its_bytes_are() {
        for (kind, texts) in [
            (
                Kind::Json,
                &[
                    "application/json",
                    "text/json",
                    "application/problem+json",
                    "application/VND.api+JSON; v=1",
                ][..],
            ),
            (Kind::Markup, &["text/html", "application/xml", "image/svg+xml", "application/soap+xml"]),
            (
                Kind::Text,
                &[
                    "text/csv",
                    "text/plain",
                    "application/x-ndjson",
                    "application/x-foo; charset=utf-8",
                    "text/event-stream",
                ],
            ),
            (
                Kind::Bytes,
                &[
                    "image/png",
                    "application/pdf",
                    "application/octet-stream",
                    "application/zip",
                    "audio/mpeg",
                    "application/epub+zip",
                ],
            ),
            (
                Kind::Unknown,
                &[
                    "",
                    "application/vnd.foo",
                    "multipart/mixed; boundary=x",
                    "nonsense",
                    "application/jsonish",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(ContentType::parse(text).kind(), kind, "{text}");
            }
        }
    }

    #[test]
    fn markup_may_name_its_charset_itself() {
        for (text, expected) in [
            ("<?xml version=\"1.0\" encoding='ISO-8859-1'?><a/>", Some("iso-8859-1")),
            ("<!doctype html><META charset=windows-1251>", Some("windows-1251")),
            ("<meta http-equiv=\"content-type\" content=\"text/html; charset=euc-jp\">", Some("euc-jp")),
            ("<meta charset=\"utf-16\">", Some("utf-8")),
            ("<?xml version=\"1.0\"?><a encoding=\"x\"/>", None),
            ("<p>charset=x</p>", None),
            ("", None),
        ] {
            assert_eq!(named_inside(text.as_bytes()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_file_has_the_name_that_it_is_given_and_no_folder() {
        for (text, expected) in [
            ("attachment; filename=\"a b.pdf\"", Some("a b.pdf")),
            ("attachment; filename=plain.txt; filename*=UTF-8''na%C3%AFve%20.txt", Some("naïve .txt")),
            ("inline; filename*=iso-8859-1'en'%A3.txt", Some("£.txt")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"C:\\\\x\\\\y.doc\"", Some("y.doc")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename*=UTF-8''%ff; filename=kept.txt", Some("kept.txt")),
            ("inline", None),
        ] {
            let headers =
                HeaderMap::from_iter([(header::CONTENT_DISPOSITION, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(file_name(&headers).as_deref(), expected, "{text}");
        }
    }
}
