//! The process's own sockets: where it may listen, who may come, and serving until it is told to stop.

use crate::{config::Config, gateway};
use anyhow::{Context, bail};
use axum::Router;
use callboard_listener::{Doors, host, origin};
use std::{io::ErrorKind, net::SocketAddr, time::Duration};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Open connections may end what they do for so long after a stop.
const LINGER: Duration = Duration::from_secs(5);

/// Refuses an address that others can reach, where nobody is asked who they are.
pub fn check(address: SocketAddr, allow_insecure: bool, is_open: bool) -> anyhow::Result<()> {
    if address.ip().is_loopback() || allow_insecure || !is_open {
        return Ok(());
    }
    bail!(
        "--listen {address} can be reached from outside, and nobody is asked who they are; make a key \
         (callboard keys create --admin), name an issuer of tokens (auth.issuers), use a loopback address, or set \
         server.allow_insecure_listen = true (CALLBOARD__SERVER__ALLOW_INSECURE_LISTEN=true) if a gateway in front asks \
         who comes"
    );
}

/// Listens; an error names the port and the flag that sets it.
pub async fn bind(address: SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!("port {} on {} is in use; choose another with {flag}", address.port(), address.ip())
        }
        Err(error) => Err(error).with_context(|| format!("can't listen on {address} ({flag})")),
    }
}

/// What all our ports have in common, as the settings say it.
pub fn doors(config: &Config) -> anyhow::Result<Doors> {
    let read = |texts: &[String], read: fn(&str) -> Result<String, String>| {
        texts.iter().map(|text| read(text).map_err(anyhow::Error::msg)).collect::<anyhow::Result<Vec<_>>>()
    };
    Ok(Doors {
        hosts: read(&config.server.hosts, host)?.into(),
        origins: read(&config.server.origins, origin)?.into(),
        ..Doors::default()
    })
}

/// Serves until `stop`; then no new connections, and open ones end, or are cut.
pub fn serve(listener: TcpListener, router: Router, doors: Doors, stop: CancellationToken) -> JoinHandle<()> {
    let serving = callboard_listener::serve(listener, router, doors, gateway::refused, stop.clone());
    tokio::spawn(async move {
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! {
            () = serving => {}
            () = late => tracing::debug!("connections were cut"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_without_authentication() {
        let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let check = |text: &str, allowed, is_open| check(at(text), allowed, is_open).is_ok();
        assert!(check("127.0.0.1:80", false, true) && check("[::1]:80", false, true));
        assert!(!check("0.0.0.0:80", false, true) && !check("10.0.0.1:80", false, true));
        assert!(check("0.0.0.0:80", true, true));
        assert!(check("0.0.0.0:80", false, false), "whoever comes is asked");
    }

    #[tokio::test]
    async fn a_taken_port_is_named_with_its_flag() {
        let taken = bind("127.0.0.1:0".parse().expect("an address"), "--listen").await.expect("a port");
        let address = taken.local_addr().expect("an address");
        let error = bind(address, "--listen").await.expect_err("taken").to_string();
        assert!(error.contains(&address.port().to_string()) && error.contains("--listen"), "{error}");
    }
}
