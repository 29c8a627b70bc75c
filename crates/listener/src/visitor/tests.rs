//! Who passes and who does not, header by header.

use super::*;

fn here() -> Address {
    let at = |text: &str| Some(text.parse().unwrap());
    Address { listened: at("0.0.0.0:8080"), called: at("10.1.2.3:8080"), peer: None }
}

fn doors() -> Doors {
    Doors {
        hosts: ["callboard.internal", "192.168.1.9"].map(|text| host(text).unwrap()).into(),
        origins: ["https://ui.example.com".to_owned()].into(),
        ..Doors::default()
    }
}

/// Returns the refusal's code, or `open`.
fn tried(uri: &str, sent: &[(&'static str, &str)]) -> &'static str {
    let mut headers = HeaderMap::new();
    for (name, value) in sent {
        headers.append(*name, value.parse().unwrap());
    }
    match check(&uri.parse().unwrap(), &headers, &here(), &doors()) {
        Ok(()) => "open",
        Err(refusal) => refusal.code(),
    }
}

fn by(name: &str) -> &'static str {
    tried("/", &[("host", name)])
}

#[test]
fn the_server_is_called_by_its_own_names_only() {
    for name in [
        "localhost",
        "localhost:8080",
        "LOCALHOST:1",
        "localhost.:8080",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]:8080",
        "[::ffff:127.0.0.1]:8080",
        "0.0.0.0:8080",
        "10.1.2.3:8080",
        "10.1.2.3",
        "callboard.internal",
        "Callboard.Internal:443",
        "callboard.internal.:80",
        "192.168.1.9:8080",
    ] {
        assert_eq!(by(name), "open", "{name}");
    }
    for name in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "10.1.2.4",
        "192.168.1.1",
        "[::2]",
        "notlocalhost",
        "127.0.0.1.",
        "2130706433",
        "0x7f.1",
        "callboard.internal.evil.example",
        "a.localhost",
        "169.254.169.254",
    ] {
        assert_eq!(by(name), "unknown_host", "{name}");
    }
    for name in
        ["localhost:80:80", "user@localhost", "localhost:99999", "localhost:x", "a b", "localhost/", "[::1"]
    {
        assert_eq!(by(name), "invalid_host", "{name}");
    }
}

#[test]
fn a_missing_or_second_host_is_refused() {
    assert_eq!(tried("/", &[]), "missing_host");
    assert_eq!(tried("/", &[("host", "")]), "missing_host");
    assert_eq!(tried("/", &[("host", "localhost"), ("host", "localhost")]), "invalid_host");
    assert_eq!(tried("/", &[("host", "localhost"), ("host", "evil.example")]), "invalid_host");
    assert_eq!(tried("http://localhost:8080/", &[]), "open");
    assert_eq!(tried("http://evil.example/", &[]), "unknown_host");
    assert_eq!(tried("http://evil.example/", &[("host", "localhost")]), "unknown_host");
    assert_eq!(tried("http://localhost/", &[("host", "evil.example")]), "unknown_host");
}

#[test]
fn a_page_of_another_origin_is_refused() {
    let from = |origin: &str| tried("/", &[("host", "localhost:8080"), ("origin", origin)]);
    for own in ["http://localhost:8080", "https://localhost:8080", "https://ui.example.com"] {
        assert_eq!(from(own), "open", "{own}");
    }
    for foreign in [
        "https://evil.example",
        "null",
        "http://localhost",
        "http://localhost:3000",
        "http://127.0.0.1:8080",
        "",
        "http://ui.example.com",
        "https://ui.example.com.evil.example",
        "https://ui.example.com:444",
        "ftp://localhost:8080",
        "http://localhost:8080@evil.example",
        "http://evil.example@localhost:8080",
        "localhost:8080",
        "chrome-extension://abc",
        "https://ui.example.com, https://evil.example",
    ] {
        assert_eq!(from(foreign), "foreign_origin", "{foreign}");
    }
    let twice =
        [("host", "localhost:8080"), ("origin", "http://localhost:8080"), ("origin", "https://evil.example")];
    assert_eq!(tried("/", &twice), "foreign_origin");
    let behind = [("host", "callboard.internal"), ("origin", "https://callboard.internal")];
    assert_eq!(tried("/", &behind), "open");
}

#[test]
fn what_a_browser_sends_for_another_site_is_refused() {
    let sent = |site: &str| tried("/", &[("host", "localhost:8080"), ("sec-fetch-site", site)]);
    assert_eq!((sent("same-origin"), sent("none")), ("open", "open"));
    for site in ["cross-site", "same-site", "SAME-ORIGIN", "", "same-origin, none"] {
        assert_eq!(sent(site), "cross_site", "{site}");
    }
    let own =
        [("host", "localhost:8080"), ("origin", "http://localhost:8080"), ("sec-fetch-site", "cross-site")];
    assert_eq!(tried("/", &own), "cross_site");
    let listed =
        [("host", "localhost:8080"), ("origin", "https://ui.example.com"), ("sec-fetch-site", "cross-site")];
    assert_eq!(tried("/", &listed), "open");
}

#[test]
fn a_browser_that_only_says_the_page_is_refused_by_that() {
    let from = |page: &str| tried("/", &[("host", "localhost:8080"), ("referer", page)]);
    assert_eq!(from("http://localhost:8080/a?b"), "open");
    assert_eq!(from("https://ui.example.com/"), "open");
    assert_eq!(from("http://evil.example/page"), "foreign_origin");
    assert_eq!(from("about:blank"), "foreign_origin");
    // Newer browsers say themselves that it is their user who follows a link.
    let typed = [("host", "localhost:8080"), ("referer", "http://evil.example/"), ("sec-fetch-site", "none")];
    assert_eq!(tried("/", &typed), "open");
}

#[test]
fn settings_are_read_or_refused() {
    assert_eq!(host("Callboard.Internal").as_deref(), Ok("callboard.internal"));
    assert_eq!(host("[::1]").as_deref(), Ok("::1"));
    for wrong in ["", "http://a", "a:80", "*.a", "a/b", "a b"] {
        assert!(host(wrong).is_err(), "{wrong}");
    }
    assert_eq!(origin("https://a.example:8443").as_deref(), Ok("https://a.example:8443"));
    for wrong in [
        "",
        "a.example",
        "*",
        "null",
        "https://a.example/",
        "https://a.example/x",
        "https://A.example",
        "ftp://a",
    ] {
        assert!(origin(wrong).is_err(), "{wrong}");
    }
}
