//! Evil URLs by the hundred, each of which must fail before a connection is made; and benign ones that must not.

use super::*;
use axum::{http::header::LOCATION, routing::get as on_get};

/// Hosts that are, or turn into, addresses nobody may reach.
const HOSTS: [&str; 102] = [
    // loopback in every spelling a URL parser knows
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "127.1",
    "127.0.1",
    "127.000.000.001",
    "0177.0.0.1",
    "0177.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "0x7f.0x0.0x0.0x1",
    "127.0.0.1.",
    "127.0.0.0x1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "１２７.0.0.1",
    "0x7f。1",
    "127.0.0.1%2e",
    "ⓛocalhost",
    "LOCALHOST",
    "localhost",
    "localhost.",
    "loc%61lhost",
    "sub.localhost",
    // this host, broadcast, multicast, reserved
    "0.0.0.0",
    "0",
    "0x0",
    "00000000",
    "0.0",
    "0.1.2.3",
    "255.255.255.255",
    "4294967295",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    // private, shared, link-local, metadata
    "10.0.0.1",
    "10.1",
    "012.0.0.1",
    "0xa.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.257",
    "0xc0.0xa8.1.1",
    "3232235777",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "169.254.169.254",
    "169.254.43518",
    "0xa9fea9fe",
    "2852039166",
    "0251.0376.0251.0376",
    "169.254.170.2",
    "168.63.129.16",
    "192.0.0.192",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "192.88.99.1",
    // IPv6, plain and with IPv4 inside
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:10.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::1]",
    "[2002:a9fe:a9fe::]",
    "[2002:c0a8:1::1]",
    "[2001::1]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff05::2]",
    "[100::1]",
    "[3fff::1]",
    "[5f00::1]",
    "[::ffff:0.0.0.0]",
    "[::ffff:c0a8:101]",
];

/// Names of an attacker's zone, all of which our name server answers.
const NAMES: [(&str, &[&str]); 14] = [
    ("loopback.evil.test", &["127.0.0.1"]),
    ("loopback6.evil.test", &["::1"]),
    ("any.evil.test", &["0.0.0.0"]),
    ("any6.evil.test", &["::"]),
    ("mapped.evil.test", &["::ffff:127.0.0.1"]),
    ("nat64.evil.test", &["64:ff9b::7f00:1"]),
    ("6to4.evil.test", &["2002:7f00:1::1"]),
    ("private.evil.test", &["192.168.1.1"]),
    ("metadata.evil.test", &["169.254.169.254"]),
    ("mixed.evil.test", &["93.184.216.34", "127.0.0.1"]),
    ("mixed6.evil.test", &["2606:4700::1111", "::1"]),
    ("localhost", &["127.0.0.1", "::1"]),
    ("sub.localhost", &["127.0.0.1"]),
    ("localhost.", &["127.0.0.1"]),
];

/// URLs whose form alone is refused.
const FORMS: [&str; 37] = [
    "ftp://1.1.1.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/stat",
    "ldap://127.0.0.1/",
    "data:text/html,x",
    "javascript:alert(1)",
    "jar:http://127.0.0.1!/",
    "unix:///run/docker.sock",
    "ws://127.0.0.1/",
    "http+unix://%2Frun%2Fdocker.sock/",
    "",
    " ",
    "//127.0.0.1/",
    "http://",
    "http:///",
    "http:/",
    "http://user@1.1.1.1/",
    "http://user:pass@1.1.1.1/",
    "http://:pass@1.1.1.1/",
    "https://1.1.1.1@127.0.0.1/",
    "http://1.1.1.1:80@127.0.0.1:80/",
    "http://[::1",
    "http://[::1]]/",
    "http://[fe80::1%25eth0]/",
    "http://1.1.1.1:0/",
    "http://1.1.1.1:22/",
    "http://1.1.1.1:25/",
    "http://1.1.1.1:3500/",
    "http://1.1.1.1:6379/",
    "http://1.1.1.1:5432/",
    "http://1.1.1.1:2375/",
    "http://1.1.1.1:10250/",
    "http://1.1.1.1:65536/",
    "http://256.256.256.256/",
    "http://0x100000000/",
    "http://127.0.0.1\\@1.1.1.1/",
];

fn refused(code: &str) -> bool {
    code.starts_with("http_forbidden") || code == "http_invalid_request"
}

#[tokio::test]
async fn no_evil_url_reaches_a_listener() {
    let decoy = Decoy::start().await;
    let port = decoy.port;
    let zone = NAMES.iter().map(|(name, ips)| (*name, vec![ips.to_vec()])).collect();
    let guarded = Guarded::with_lookup(vec![], vec![SocketAddr::from(([0, 0, 0, 0], port))], names(zone));
    let hosts = HOSTS.iter().chain(NAMES.iter().map(|(name, _)| name));
    let with_port = hosts.flat_map(|host| {
        [
            format!("http://{host}:{port}/"),
            format!("https://{host}:{port}/x?y#z"),
            format!("HTTP:\\\\{host}:{port}\\"),
            format!("http:\t//{host}:{port}/"),
        ]
    });
    let urls: Vec<String> = with_port.chain(FORMS.iter().map(|url| (*url).to_owned())).collect();
    assert!(urls.len() >= 400, "{}", urls.len());
    for url in urls {
        let code = code(&guarded, get(&url)).await;
        assert!(refused(&code), "{url}: {code}");
    }
    assert_eq!(decoy.connections(), 0);
}

#[tokio::test]
async fn no_redirect_leads_to_a_listener() {
    let decoy = Decoy::start().await;
    let port = decoy.port;
    let app = Router::new()
        .route(
            "/to",
            on_get(|uri: axum::http::Uri| async move {
                let target = uri.query().unwrap_or_default().to_owned();
                let bytes = url::form_urlencoded::parse(target.as_bytes()).next().unwrap().0.into_owned();
                (StatusCode::FOUND, [(LOCATION, bytes)])
            }),
        )
        .route("/loop", on_get(|| async { (StatusCode::FOUND, [(LOCATION, "/loop")]) }));
    let server = serve(app).await;
    let zone = NAMES.iter().map(|(name, ips)| (*name, vec![ips.to_vec()])).collect();
    let exempt = vec![Origin::new("127.0.0.1", server.port())];
    let guarded = Guarded::with_lookup(exempt, vec![], names(zone));
    let hop = |target: &str| {
        let target: String = url::form_urlencoded::byte_serialize(target.as_bytes()).collect();
        format!("http://{server}/to?{target}")
    };
    let ascii = HOSTS.iter().chain(NAMES.iter().map(|(name, _)| name)).filter(|host| host.is_ascii());
    for host in ascii {
        let evil = format!("http://{host}:{port}/");
        for url in [hop(&evil), hop(&hop(&evil)), hop(&format!("//{host}:{port}/"))] {
            let code = code(&guarded, get(&url)).await;
            assert!(refused(&code), "{url}: {code}");
        }
    }
    for form in ["file:///etc/passwd", "gopher://127.0.0.1/", "http://u:p@1.1.1.1/", "http://1.1.1.1:22/"] {
        assert!(refused(&code(&guarded, get(hop(form))).await), "{form}");
    }
    assert_eq!(code(&guarded, get(format!("http://{server}/loop"))).await, "http_redirects");
    assert_eq!(decoy.connections(), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_caught_when_it_connects() {
    let decoy = Decoy::start().await;
    let port = decoy.port;
    let answers =
        vec![("rebind.test", vec![vec!["127.0.0.1"], vec!["93.184.216.34", "::1"], vec!["10.0.0.1"]])];
    let guarded = Guarded::with_lookup(vec![], vec![], names(answers));
    for _ in 0..4 {
        let url = format!("http://rebind.test:{port}/");
        assert_eq!(code(&guarded, get(url)).await, "http_forbidden_address");
    }
    assert_eq!(decoy.connections(), 0);
}

#[tokio::test]
async fn own_listeners_stay_denied_where_the_operator_exempts_them() {
    let decoy = Decoy::start().await;
    let port = decoy.port;
    let exempt = ["127.0.0.1", "localhost", "[::1]", "0.0.0.0"].map(|host| Origin::new(host, port)).to_vec();
    for denied in ["127.0.0.1", "0.0.0.0", "[::]"] {
        let listener = format!("{denied}:{port}").parse().unwrap();
        let zone = names(vec![("localhost", vec![vec!["127.0.0.1"]])]);
        let guarded = Guarded::with_lookup(exempt.clone(), vec![listener], zone);
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
            let code = code(&guarded, get(format!("http://{host}:{port}/"))).await;
            assert_eq!(code, "http_forbidden_address", "{host} with {denied} denied");
        }
    }
    assert_eq!(decoy.connections(), 0);
}

#[test]
fn benign_urls_pass_the_check() {
    let guarded = Guarded::new(vec!["http://model.internal:8000".parse().unwrap()], vec![]);
    let hosts = [
        "example.com",
        "api.openai.com",
        "1.1.1.1",
        "8.8.8.8",
        "93.184.216.34",
        "172.32.0.1",
        "100.128.0.1",
        "192.169.1.1",
        "[2606:4700:4700::1111]",
        "[2a00:1450:4001::200e]",
        "bücher.example",
        "xn--bcher-kva.example",
        "sub.domain.example.co.uk",
        "a-b.example.org",
        "127.0.0.1.example.com",
        "localhost.example.com",
    ];
    let urls = hosts.iter().flat_map(|host| {
        [
            format!("https://{host}/"),
            format!("http://{host}:8080/path?q=http://127.0.0.1/"),
            format!("https://{host}:8443/a/../b#@localhost"),
            format!("HTTPS://{host}:443/%2e%2e"),
        ]
    });
    let urls: Vec<String> = urls.chain(["http://model.internal:8000/v1".to_owned()]).collect();
    assert!(urls.len() >= 50);
    for url in urls {
        assert!(guarded.vet(&url).is_ok(), "{url}");
    }
}
