//! The guard from outside: what evil URLs reach (nothing), and that ordinary calls work.

#![allow(clippy::unwrap_used, clippy::panic)]

mod answers;
mod calls;
mod codings;
mod corpus;
mod requests;

use super::*;
use axum::Router;
use futures::FutureExt;
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::atomic::{AtomicUsize, Ordering},
};
use tokio::net::TcpListener;

/// Serves `app` on loopback.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// Listens where nothing may arrive and counts what does.
struct Decoy {
    port: u16,
    seen: Arc<AtomicUsize>,
}

impl Decoy {
    async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(AtomicUsize::new(0));
        let mut listeners = vec![listener];
        // Not every machine has IPv6.
        listeners.extend(TcpListener::bind(("::1", port)).await.ok());
        for listener in listeners {
            let seen = seen.clone();
            tokio::spawn(async move {
                while listener.accept().await.is_ok() {
                    seen.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, seen }
    }

    fn connections(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

/// A name server of our own: `name → addresses`, asked in order, the last answer for ever.
fn names(answers: Vec<(&'static str, Vec<Vec<&'static str>>)>) -> Lookup {
    let answers = Arc::new(Mutex::new(BTreeMap::from_iter(answers)));
    Arc::new(move |name| {
        let answer = answers.lock().get_mut(name.as_str()).map(|list| {
            if list.len() > 1 { list.remove(0) } else { list.first().cloned().unwrap_or_default() }
        });
        let found = answer
            .map(|ips| ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap()).collect())
            .ok_or_else(|| std::io::Error::other("no such name"));
        async move { found }.boxed()
    })
}

fn get(url: impl Into<String>) -> Request {
    Request { timeout: Some(Duration::from_secs(5)), ..Request::new(Method::GET, url) }
}

async fn code(guarded: &Guarded, request: Request) -> String {
    match guarded.call(request).await {
        Ok(response) => format!("status {}", response.status),
        Err(error) => error.code,
    }
}
