//! Name resolution that hands out only addresses the rules allow, so that what was checked is what is connected to.

use super::address::Rules;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Turns a name into addresses; the system's resolver except in tests.
pub(super) type Lookup = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Resolves for connections to one port.
///
/// A resolver is not told the port, but our own listeners and the exemptions have one: so there is a client, with a
/// resolver, for each port.
#[derive(Clone)]
pub(super) struct Checked {
    pub rules: Arc<Rules>,
    pub lookup: Lookup,
    pub port: u16,
}

/// An address is not allowed.
#[derive(Debug)]
pub(super) struct Forbidden;

/// Asks the system.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, port, name) = (self.rules.clone(), self.port, name.as_str().to_owned());
        let found = (self.lookup)(name.clone());
        Box::pin(async move {
            let found = found.await?;
            // One bad address spoils all: a name that mixes them is an attack or a mistake.
            if found.iter().any(|ip| !rules.allow(&name, *ip, port)) {
                return Err(Forbidden.into());
            }
            let addresses = found.into_iter().map(move |ip| SocketAddr::new(ip, port));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is not allowed")
    }
}

impl std::error::Error for Forbidden {}
