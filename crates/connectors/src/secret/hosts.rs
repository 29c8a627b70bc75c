//! Where secrets may go: a secret that says its hosts is sent to no other, whatever the definition or its data says.

use std::collections::{BTreeMap, BTreeSet};
use url::{Host, Url};

/// Hosts by the name of the secret. Those that are not named here say nothing.
#[derive(Debug, Clone, Default)]
pub struct Hosts(BTreeMap<String, Vec<Pattern>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exact(String),
    /// Every name below this one.
    Below(String),
}

// === impl Hosts ===

impl Hosts {
    pub(super) const fn none() -> Self {
        Self(BTreeMap::new())
    }

    /// Reads lists of `api.example.com` and `*.example.com`; an error says which text is neither.
    pub fn new(lists: &BTreeMap<String, Vec<String>>) -> Result<Self, String> {
        let mut hosts = BTreeMap::new();
        for (name, list) in lists {
            let patterns = list.iter().map(|text| {
                pattern(text).ok_or_else(|| {
                    format!("{name}: `{text}` is neither a host (`api.example.com`) nor all below one (`*.example.com`)")
                })
            });
            hosts.insert(name.clone(), patterns.collect::<Result<_, _>>()?);
        }
        Ok(Self(hosts))
    }

    /// Returns the secrets that say their hosts.
    pub fn bound(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// Returns whether the secret says its hosts, and `url` is at one of them.
    pub fn allows(&self, name: &str, url: &Url) -> Option<bool> {
        let host = url.host_str().unwrap_or_default();
        Some(self.0.get(name)?.iter().any(|pattern| match pattern {
            Pattern::Exact(exact) => host == exact,
            Pattern::Below(parent) => host.strip_suffix(parent.as_str()).is_some_and(|h| h.ends_with('.')),
        }))
    }
}

fn pattern(text: &str) -> Option<Pattern> {
    let text = text.trim();
    // Written as a URL's host is: lower case, punycode.
    let host = |text: &str| Host::parse(text).ok().map(|host| host.to_string());
    match text.strip_prefix("*.") {
        Some(parent) if parent.contains('*') => None,
        Some(parent) => match Host::parse(parent).ok()? {
            Host::Domain(parent) => Some(Pattern::Below(parent)),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        },
        None if text.contains('*') => None,
        None => host(text).map(Pattern::Exact),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_goes_to_its_hosts_only() {
        let lists = BTreeMap::from([
            ("tok".to_owned(), vec!["API.x.com".to_owned(), "*.y.com".to_owned(), "127.0.0.1".to_owned()]),
            ("none".to_owned(), vec![]),
        ]);
        let hosts = Hosts::new(&lists).unwrap();
        let allows = |name, url: &str| hosts.allows(name, &Url::parse(url).unwrap());
        for url in [
            "https://api.x.com/a",
            "https://api.x.com:8443",
            "https://a.y.com",
            "https://b.a.Y.com",
            "http://127.1",
        ] {
            assert_eq!(allows("tok", url), Some(true), "{url}");
        }
        for url in [
            "https://x.com",
            "https://api.x.com.evil.com",
            "https://y.com",
            "https://ay.com",
            "https://api.x.com.",
        ] {
            assert_eq!(allows("tok", url), Some(false), "{url}");
        }
        assert_eq!(allows("none", "https://api.x.com"), Some(false));
        assert_eq!(allows("other", "https://api.x.com"), None);
        for wrong in ["https://x.com", "x.com/a", "a*.x.com", "*.*.com", "*.10.0.0.1", "x.com:443", ""] {
            assert!(
                Hosts::new(&BTreeMap::from([("s".to_owned(), vec![wrong.to_owned()])])).is_err(),
                "{wrong}"
            );
        }
    }
}
