//! The `Idempotency-Key` of a request.

use super::Error;
use crate::operations::Key;
use http::{HeaderMap, HeaderName};

const NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// Reads the one `Idempotency-Key` of a request, if it has one.
pub fn key(headers: &HeaderMap) -> Result<Option<Key>, Error> {
    let mut given = headers.get_all(NAME).iter();
    let Some(value) = given.next() else { return Ok(None) };
    match (value.to_str().ok().and_then(Key::parse), given.next()) {
        (Some(key), None) => Ok(Some(key)),
        (Some(_) | None, _) => {
            let detail = "there is one Idempotency-Key, of 1 to 255 visible ASCII characters";
            Err(Error::bad_request("invalid_idempotency_key", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_request_has_one_key_or_none() {
        let key = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(NAME, HeaderValue::from_str(value).expect("a value"));
            }
            let key = super::key(&headers).map(|key| key.map(|key| key.as_str().to_owned()));
            key.map_err(|error| (error.status.as_u16(), error.code))
        };
        assert_eq!(
            (key(&[]), key(&[" k "]), key(&["\"k\""])),
            (Ok(None), Ok(Some("k".into())), Ok(Some("k".into())))
        );
        for wrong in [
            &[""][..],
            &["  "],
            &["k", "k"],
            &["k", "l"],
            &["k", ""],
            &["k, l"],
            &["\u{e9}"],
            &[&"x".repeat(256)],
        ] {
            assert_eq!(key(wrong), Err((400, "invalid_idempotency_key".into())), "{wrong:?}");
        }
    }
}
