//! Where a server is: its URL, and what of it may be one.

use reqwest::Url;
use std::{fmt, net::IpAddr, str::FromStr};

/// The base URL of a server; a path before the API's own is kept, as behind a gateway.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

/// Why a text is no address of a server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    #[error("a server is named by its URL, such as https://callboard.example or http://127.0.0.1:8080")]
    NoUrl,
    #[error(
        "a server's URL holds no user and no key: keep the key by `callboard login`, or set CALLBOARD_API_KEY"
    )]
    Key,
    #[error("a server's URL ends with its path: it has no ? and no #")]
    Query,
}

// === impl Address ===

impl Address {
    /// Where a server is unless somebody says otherwise.
    pub const USUAL: &str = "http://127.0.0.1:8080";

    /// Returns the URL of a path of the API.
    pub fn at(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = self.0.clone();
        let (path, own) = path.split_once('?').map_or((path, None), |(path, own)| (path, Some(own)));
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url.set_query(own);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        match ip {
            Ok(ip) => ip.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }

    /// Whether others on the way can read what is sent.
    pub fn is_open(&self) -> bool {
        self.0.scheme() == "http" && !self.is_loopback()
    }

    /// Returns host and port, as a name for it.
    pub fn name(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        self.0.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let url = Url::parse(text.trim()).map_err(|_| NoAddress::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(NoAddress::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NoAddress::Key);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(NoAddress::Query);
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_path_before_the_apis_own_is_kept() {
        for (base, expected) in [
            ("http://a", "http://a/api/v1/runs?limit=1"),
            ("https://a:9/", "https://a:9/api/v1/runs?limit=1"),
            ("https://a/callboard/", "https://a/callboard/api/v1/runs?limit=1"),
        ] {
            assert_eq!(address(base).at("/api/v1/runs", &[("limit", "1".into())]).as_str(), expected);
        }
        assert_eq!(address("http://a/").at("/w?draft=true", &[]).as_str(), "http://a/w?draft=true");
        assert_eq!(address("http://a/x/").to_string(), "http://a/x");
    }

    #[test]
    fn what_is_no_server_is_refused_and_a_key_in_it_is_not_repeated() {
        let refused = |text: &str| text.parse::<Address>().expect_err(text);
        for text in ["", "localhost:8080", "a.example", "file:///etc", "ftp://a", "http://"] {
            assert_eq!(refused(text), NoAddress::NoUrl, "{text}");
        }
        for text in ["https://cbk_secret@a", "https://u:cbk_secret@a"] {
            assert!(!refused(text).to_string().contains("cbk_secret"), "{text}");
        }
        assert_eq!(refused("http://a/?key=1"), NoAddress::Query);
    }

    #[test]
    fn only_this_machine_is_safe_without_tls() {
        for here in ["http://127.0.0.1:8080", "http://[::1]:1", "http://localhost", "http://127.9.9.9"] {
            assert!(address(here).is_loopback() && !address(here).is_open(), "{here}");
        }
        for there in ["http://10.0.0.1", "http://localhost.evil.example", "http://127.0.0.1.evil.example"] {
            assert!(address(there).is_open(), "{there}");
        }
        assert!(!address("https://callboard.example").is_open());
        assert_eq!(
            (address("http://[::1]:9").name(), address("https://a").name()),
            ("[::1]:9".into(), "a".into())
        );
    }
}
