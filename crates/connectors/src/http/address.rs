//! Which addresses a definition may reach (S-02, S-03): public ones, never our own listeners.
//!
//! Decided on the address that is connected to, never on the text of a URL.

use ipnet::{Ipv4Net, Ipv6Net};
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    str::FromStr,
};

/// A host and port that the operator lets calls reach although the address is not public.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// As in a URL: lowercase; IPv6 addresses without brackets.
    host: String,
    port: u16,
}

/// The rules of one client.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub exempt: Vec<Origin>,
    pub denied: Vec<SocketAddr>,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), bits)
}

const fn v6(a: u16, b: u16, c: u16, bits: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits)
}

const DENIED_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(127, 0, 0, 0, 8),
    // A cloud's wire server, reachable from every guest.
    v4(168, 63, 129, 16, 32),
    v4(169, 254, 0, 0, 16),
    v4(172, 16, 0, 0, 12),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
    v4(255, 255, 255, 255, 32),
];

/// Everything outside is denied: ::/128, ::1, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), 100::/64, fc00::/7, fe80::/10,
/// fec0::/10, ff00::/8, and what is not assigned.
const GLOBAL_V6: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Inside the global range: Teredo and friends, documentation.
const DENIED_V6: [Ipv6Net; 3] = [v6(0x2001, 0, 0, 23), v6(0x2001, 0xdb8, 0, 32), v6(0x3fff, 0, 0, 20)];

const SIX_TO_FOUR: Ipv6Net = v6(0x2002, 0, 0, 16);

/// Ports below 1024 that speak HTTP; the others there never do.
const LOW_PORTS: [u16; 2] = [80, 443];

/// Services that answer to lines of text, or that hold the keys of a machine or cluster.
const DENIED_PORTS: [u16; 38] = [
    1080, 1433, 1521, 1719, 1720, 1723, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 3500, 3659, 4045, 4190,
    5060, 5061, 5432, 5672, 5900, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 9042,
    9092, 10250, 11211, 27017,
];

// === impl Origin ===

impl Origin {
    pub fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Self { host: host.to_ascii_lowercase(), port }
    }

    /// Returns the origin of a URL.
    pub(super) fn of(url: &url::Url) -> Option<Self> {
        Some(Self::new(url.host_str()?, url.port_or_known_default()?))
    }
}

impl FromStr for Origin {
    type Err = String;

    /// Parses `host:port` or a URL.
    fn from_str(text: &str) -> Result<Self, String> {
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}/") };
        url::Url::parse(&url)
            .ok()
            .and_then(|url| Self::of(&url))
            .ok_or_else(|| format!("`{text}` is not a host and port"))
    }
}

// === impl Rules ===

impl Rules {
    /// Tells whether the operator exempts this origin from the rules for addresses.
    pub fn exempts(&self, host: &str, port: u16) -> bool {
        self.exempt.contains(&Origin::new(host, port))
    }

    /// Tells whether a connection to `ip` and `port` may be made for `host`.
    pub fn allow(&self, host: &str, ip: IpAddr, port: u16) -> bool {
        let ip = ip.to_canonical();
        if self.denied.iter().any(|listener| reaches(ip, port, *listener)) {
            return false;
        }
        self.exempts(host, port) || is_public(ip)
    }

    /// Tells whether the port may be used for `host`.
    pub fn allow_port(&self, host: &str, port: u16) -> bool {
        let ordinary = LOW_PORTS.contains(&port) || (port >= 1024 && !DENIED_PORTS.contains(&port));
        ordinary || self.exempts(host, port)
    }
}

/// Tells whether connecting to `ip` and `port` reaches the listener.
fn reaches(ip: IpAddr, port: u16, listener: SocketAddr) -> bool {
    if port != listener.port() {
        return false;
    }
    let bound = listener.ip().to_canonical();
    bound == ip || (bound.is_unspecified() && is_own(ip))
}

/// Tells whether `ip` is an address of this machine: then it is also the one packets to it come from.
fn is_own(ip: IpAddr) -> bool {
    if ip.is_loopback() || ip.is_unspecified() {
        return true;
    }
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    // Connecting a datagram socket sends nothing; it only asks the routing table.
    let source = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((ip, 9))?;
        socket.local_addr()
    });
    source.is_ok_and(|source| source.ip().to_canonical() == ip)
}

/// Tells whether an address is on the public internet.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !DENIED_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) if SIX_TO_FOUR.contains(&ip) => {
            let [_, a, b, ..] = ip.segments();
            let [[a, b], [c, d]] = [a.to_be_bytes(), b.to_be_bytes()];
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(ip) => GLOBAL_V6.contains(&ip) && !DENIED_V6.iter().any(|net| net.contains(&ip)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_last_address_of_every_denied_range_is_denied() {
        for ip in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.0",
            "192.0.0.255",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.0",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.255",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.0",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::808:808",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff:ffff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2002:c0a8:101::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fdff:ffff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "ff0e::1",
            "4000::1",
        ] {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn neighbours_of_the_ranges_are_public() {
        for ip in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "2001:200::1",
            "2002:808:808::1",
            "::ffff:8.8.8.8",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }

    #[test]
    fn own_listeners_win_over_exemptions() {
        let rules = Rules {
            exempt: vec!["127.0.0.1:3500".parse().unwrap(), "localhost:8000".parse().unwrap()],
            denied: vec!["127.0.0.1:3500".parse().unwrap(), "0.0.0.0:8080".parse().unwrap()],
        };
        let allow = |host, ip: &str, port| rules.allow(host, ip.parse().unwrap(), port);
        assert!(!allow("127.0.0.1", "127.0.0.1", 3500));
        assert!(!allow("localhost", "::1", 8080));
        assert!(!allow("localhost", "::ffff:127.0.0.1", 8080));
        assert!(allow("localhost", "127.0.0.1", 8000));
        assert!(!allow("127.0.0.1", "127.0.0.1", 8000), "an exemption is for the host as written");
        assert!(!allow("elsewhere.test", "127.0.0.1", 8000));
        assert!(allow("elsewhere.test", "8.8.8.8", 8080));
    }
}
