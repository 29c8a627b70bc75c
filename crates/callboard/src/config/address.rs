//! Where to listen, as people write it.

use serde::{Deserialize, Deserializer, de::Error};
use std::net::{Ipv4Addr, SocketAddr};

/// Reads `ADDRESS:PORT`; `localhost` is 127.0.0.1.
pub fn read(text: &str) -> Result<SocketAddr, String> {
    let text = text.trim();
    let local = text.split_once(':').filter(|(host, _)| host.eq_ignore_ascii_case("localhost"));
    let read = match local {
        Some((_, port)) => port.parse().ok().map(|port: u16| (Ipv4Addr::LOCALHOST, port).into()),
        None => text.parse().ok(),
    };
    read.ok_or_else(|| {
        format!("`{text}` is no address with a port, such as 127.0.0.1:8080 or localhost:8080")
    })
}

/// The same for a field of the settings.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    read(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_localhost_is_one() {
        for (text, expected) in [
            ("127.0.0.1:8080", Some("127.0.0.1:8080")),
            ("localhost:0", Some("127.0.0.1:0")),
            (" LocalHost:81 ", Some("127.0.0.1:81")),
            ("[::1]:80", Some("[::1]:80")),
            ("localhost", None),
            ("localhost:", None),
            ("localhost:65536", None),
            ("example.com:80", None),
            ("8080", None),
            (":8080", None),
            ("", None),
        ] {
            assert_eq!(read(text).ok(), expected.map(|at| at.parse().expect("an address")), "{text}");
        }
        assert!(
            read("8080").is_err_and(|error| error.contains("`8080`") && error.contains("localhost:8080"))
        );
    }
}
