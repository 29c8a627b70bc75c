//! `If-Match` and `If-None-Match`: what a change was made on. Tags are those that reads answer: `"d7"` is a draft, `"v3"` or `"3"`
//! the latest version.

use super::Error;
use callboard_catalog::Expected;
use http::{HeaderMap, HeaderName, header};

/// What `If-Match` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// Whatever there is.
    Anything,
    Version(u32),
    Draft(u32),
}

/// Reads `If-Match`.
pub fn named(headers: &HeaderMap) -> Result<Option<Named>, Error> {
    let Some(text) = only(headers, header::IF_MATCH)? else { return Ok(None) };
    let tag = text.trim_start_matches("W/").trim_matches('"');
    let named = match tag.split_at_checked(1) {
        _ if tag == "*" => Some(Named::Anything),
        Some(("d", revision)) => revision.parse().ok().map(Named::Draft),
        Some(("v", version)) => version.parse().ok().map(Named::Version),
        Some(_) | None => tag.parse().ok().map(Named::Version),
    };
    named.map(Some).ok_or_else(|| {
        wrong("If-Match holds the tag of a version, such as \"3\", or of a draft, such as \"d7\"")
    })
}

/// Reads what a draft is expected to be.
pub fn of_draft(headers: &HeaderMap) -> Result<Option<Expected>, Error> {
    let none = only(headers, header::IF_NONE_MATCH)?;
    match (named(headers)?, none) {
        (Some(_), Some(_)) => Err(wrong("give If-Match or If-None-Match, not both")),
        (None, Some("*")) => Ok(Some(Expected::NoDraft)),
        (None, Some(_)) => Err(wrong("If-None-Match is *: there is no draft yet")),
        (Some(Named::Anything), None) => Ok(Some(Expected::Anything)),
        (Some(Named::Draft(revision)), None) => Ok(Some(Expected::Draft(revision))),
        (Some(Named::Version(version)), None) => Ok(Some(Expected::Latest(version))),
        (None, None) => Ok(None),
    }
}

/// Reads which version, or which draft where that is saved, is to be replaced.
pub fn of_version(headers: &HeaderMap, is_draft: bool) -> Result<Option<Expected>, Error> {
    match named(headers)? {
        None | Some(Named::Anything) => Ok(None),
        Some(Named::Version(version)) => Ok(Some(Expected::Version(version))),
        Some(Named::Draft(revision)) if is_draft => Ok(Some(Expected::Draft(revision))),
        Some(Named::Draft(_)) => Err(wrong("If-Match holds a version, such as \"3\"")),
    }
}

/// Reads which revision of something that has no drafts is to be replaced.
pub fn of_revision(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    match named(headers)? {
        None | Some(Named::Anything) => Ok(None),
        Some(Named::Version(revision)) => Ok(Some(revision.into())),
        Some(Named::Draft(_)) => Err(wrong("If-Match holds a revision, such as \"3\"")),
    }
}

/// Everything that the two headers say, for the name of a change.
pub fn bytes(headers: &HeaderMap) -> Vec<u8> {
    let both = [header::IF_MATCH, header::IF_NONE_MATCH];
    let said = both.iter().map(|name| headers.get(name).map_or(&[][..], |value| value.as_bytes()));
    said.collect::<Vec<_>>().join(&b'\n')
}

fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, Error> {
    let mut given = headers.get_all(name).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default().trim())),
        (Some(_), Some(_)) => Err(wrong("there is one If-Match or If-None-Match, with one tag")),
    }
}

fn wrong(detail: &str) -> Error {
    Error::bad_request("invalid_if_match", detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_tag_names_a_version_or_a_draft() {
        for (text, read) in [
            ("\"3\"", Some(Named::Version(3))),
            ("3", Some(Named::Version(3))),
            ("W/\"3\"", Some(Named::Version(3))),
            ("\"v3\"", Some(Named::Version(3))),
            (" \"d7\" ", Some(Named::Draft(7))),
            ("*", Some(Named::Anything)),
            ("\"x7\"", None),
            ("\"d\"", None),
            ("\"d7\", \"d8\"", None),
            ("", None),
        ] {
            let found = named(&headers(&[("if-match", text)]));
            assert_eq!(found.as_ref().ok().copied().flatten(), read, "{text}");
            assert_eq!(found.is_err(), read.is_none(), "{text}");
        }
        assert!(named(&headers(&[("if-match", "\"3\""), ("if-match", "\"3\"")])).is_err());
    }

    #[test]
    fn a_draft_is_expected_to_be_something_or_nothing() {
        let read = |fields: &[(&'static str, &'static str)]| {
            of_draft(&headers(fields)).map_err(|error| error.status.as_u16())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("if-none-match", "*")]), Ok(Some(Expected::NoDraft)));
        assert_eq!(read(&[("if-match", "\"v3\"")]), Ok(Some(Expected::Latest(3))));
        assert_eq!(read(&[("if-match", "\"d3\"")]), Ok(Some(Expected::Draft(3))));
        assert_eq!(read(&[("if-match", "*")]), Ok(Some(Expected::Anything)));
        assert_eq!(read(&[("if-none-match", "\"d3\"")]), Err(400));
        assert_eq!(read(&[("if-match", "*"), ("if-none-match", "*")]), Err(400));
        assert_eq!(
            of_version(&headers(&[("if-match", "\"d3\"")]), false).map_err(|error| error.status.as_u16()),
            Err(400)
        );
        assert_eq!(of_version(&headers(&[("if-match", "*")]), false), Ok(None));
    }
}
