//! One connection from its first byte to its end: HTTP/1.1 or HTTP/2, whichever it speaks.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::future::FutureExt;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::door::Door;
use crate::head::{self, Head, Protocol};
use crate::line::{Line, Watched};
use crate::{Doors, Limits};

/// HTTP/2: what is written and not yet taken, for each stream: bounds what a reader that does not read costs. Of HTTP/1
/// as much is read ahead, and kept of what is written.
const BUFFER: usize = head::LONGEST;
/// An HTTP/2 connection that was told to go has so long for what crosses that on its way.
const CROSSING: Duration = Duration::from_secs(5);

/// What serves the connections of one port, once they have begun.
pub(crate) struct Servers {
    doors: Doors,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
    /// The first bytes that a server of HTTP/2 writes. Some clients wait for them before they ask anything.
    greeting: Bytes,
}

// === impl Servers ===

impl Servers {
    pub(crate) fn new(doors: Doors) -> Self {
        let limits = doors.limits;
        let (mut http1, mut http2) = (http1::Builder::new(), http2::Builder::new(TokioExecutor::new()));
        // The line sees to slow heads and idle connections: hyper's own timer can't tell them apart.
        http1.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(head::LONGEST);
        http2
            .timer(TokioTimer::new())
            .max_send_buf_size(BUFFER)
            .max_concurrent_streams(limits.streams)
            .initial_stream_window_size(limits.windows.0)
            .initial_connection_window_size(limits.windows.1)
            .keep_alive_interval(limits.ping.0)
            .keep_alive_timeout(limits.ping.1);
        // It is written into memory: there is nothing to wait for.
        let greeting = greeting(&http2).now_or_never().and_then(Result::ok).unwrap_or_default();
        Self { doors, http1, http2, greeting }
    }
}

/// Listens to how a server of HTTP/2 begins: with one frame, its settings.
async fn greeting(builder: &http2::Builder<TokioExecutor>) -> io::Result<Bytes> {
    let (ours, mut theirs) = tokio::io::duplex(4 << 10);
    let nothing = service_fn(|_| std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty()))));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(ours), nothing));
    let _ = futures::poll!(connection.as_mut());
    let mut frame = vec![0; head::FRAME];
    theirs.read_exact(&mut frame).await?;
    frame.resize(head::FRAME + head::length(&frame), 0);
    theirs.read_exact(&mut frame[head::FRAME..]).await?;
    Ok(frame.into())
}

/// Serves a connection until it ends, has to end, or has nothing under way after the stop.
pub(crate) async fn serve<S>(
    socket: S,
    line: Line,
    door: Door,
    servers: Arc<Servers>,
    stop: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut socket = line.watch(socket);
    let mut head = Head::default();
    loop {
        let Some(protocol) = begins(&mut socket, &mut head, &line, &servers, &stop).await else { return };
        let (read, greeted) = head.into_parts();
        socket.rewind(read, servers.greeting.slice(..greeted));
        let service = TowerToHyperService::new(door.clone());
        line.serves();
        // In boxes: whoever only waits does not have them.
        match protocol {
            Protocol::Http1 => {
                let connection =
                    servers.http1.serve_connection(TokioIo::new(socket), service).with_upgrades();
                let Some(rest) = Box::pin(kept(connection, &line, &servers.doors.limits, &stop)).await else {
                    return;
                };
                (socket, head) = rest;
            }
            Protocol::Http2 => {
                line.is_guest();
                let mut connection = Box::pin(servers.http2.serve_connection(TokioIo::new(socket), service));
                Box::pin(driven(connection.as_mut(), &line, &servers.doors.limits, &stop)).await;
                return;
            }
        }
    }
}

/// Waits until there is a request to serve; `None`: the connection is over.
async fn begins<S>(
    socket: &mut Watched<S>,
    head: &mut Head,
    line: &Line,
    servers: &Servers,
    stop: &CancellationToken,
) -> Option<Protocol>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stopped = pin!(stop.cancelled());
    let mut alarm = Alarm::default();
    std::future::poll_fn(|cx| {
        let is_stopped = stopped.as_mut().poll(cx).is_ready();
        if !is_stopped
            && let Poll::Ready(begun) = head.poll(cx, socket, line, &servers.greeting, &servers.doors)
        {
            return Poll::Ready(begun.unwrap_or_default());
        }
        if !is_stopped && let Some(small) = head.small() {
            return small.poll(cx).map(|()| {
                line.is_late();
                Some(Protocol::Http1)
            });
        }
        while !is_stopped
            && let Some(due) = line.deadline(&servers.doors.limits)
            && due > Instant::now()
        {
            if alarm.rings(due, cx).is_pending() {
                return Poll::Pending;
            }
        }
        head.part(cx, socket);
        Poll::Ready(None)
    })
    .await
}

/// Serves HTTP/1.1 to its end, until it speaks something else, which is then not ours any more, or until it is worth more
/// without a server: then returns what is left.
async fn kept<S>(
    mut connection: http1::UpgradeableConnection<TokioIo<Watched<S>>, TowerToHyperService<Door>>,
    line: &Line,
    limits: &Limits,
    stop: &CancellationToken,
) -> Option<(Watched<S>, Head)>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if !driven(Pin::new(&mut connection), line, limits, stop).await {
        return None;
    }
    let parts = connection.into_parts()?;
    if !parts.read_buf.is_empty() {
        line.begins();
    }
    Some((parts.io.into_inner(), Head::after(&parts.read_buf)))
}

/// What is common to the servers of both protocols.
trait Served: Future<Output = hyper::Result<()>> {
    fn leave(self: Pin<&mut Self>);
}

impl<S> Served for http1::UpgradeableConnection<TokioIo<Watched<S>>, TowerToHyperService<Door>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

impl<S> Served for http2::Connection<TokioIo<Watched<S>>, TowerToHyperService<Door>, TokioExecutor>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn leave(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// Serves until the end. Returns true where it is not over, but could go on without a server until the next request.
async fn driven<C: Served>(
    mut connection: Pin<&mut C>,
    line: &Line,
    limits: &Limits,
    stop: &CancellationToken,
) -> bool {
    let mut stopped = pin!(stop.cancelled().fuse());
    let mut alarm = Alarm::default();
    let mut leaving: Option<Instant> = None;
    std::future::poll_fn(|cx| {
        if stopped.as_mut().poll(cx).is_ready() && leaving.is_none() {
            connection.as_mut().leave();
            leaving = Some(Instant::now());
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection ended");
            }
            return Poll::Ready(false);
        }
        if line.is_http2() {
            if line.is_to_go(cx) {
                connection.as_mut().leave();
                let _ = connection.as_mut().poll(cx);
                return Poll::Ready(false);
            }
        } else if leaving.is_none() && line.is_in_crowd() && line.is_settled() {
            return Poll::Ready(true);
        }
        loop {
            let due = line.deadline(limits);
            let due = match leaving {
                Some(since) if !line.is_busy() => Some(due.unwrap_or(since).max(since + CROSSING)),
                _ => due,
            };
            let Some(due) = due else { return Poll::Pending };
            if due <= Instant::now() {
                if leaving.is_some() || !line.is_http2() || line.is_busy() {
                    return Poll::Ready(false);
                }
                // Says so first: a request may be on its way, and its sender has to know that it goes unanswered.
                connection.as_mut().leave();
                leaving = Some(Instant::now());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(false);
                }
                continue;
            }
            if alarm.rings(due, cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await
}

/// Wakes the connection at its deadline; moves only when that comes nearer, which is rare.
#[derive(Default)]
struct Alarm {
    at: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    fn rings(&mut self, due: Instant, cx: &mut std::task::Context<'_>) -> Poll<()> {
        if self.at.is_none_or(|at| due < at) {
            self.at = Some(due);
            match &mut self.sleep {
                Some(sleep) => sleep.as_mut().reset(due),
                None => self.sleep = Some(Box::pin(tokio::time::sleep_until(due))),
            }
        }
        let poll = self.sleep.as_mut().map_or(Poll::Pending, |sleep| sleep.poll_unpin(cx));
        if poll.is_ready() {
            self.at = None;
        }
        poll
    }
}

#[cfg(test)]
mod tests;
