//! One connection from its first byte to its end: HTTP/1.1 or HTTP/2, whichever it speaks.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use futures::future::FutureExt;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;

use crate::Limits;
use crate::door::Door;
use crate::line::Line;

/// What is read ahead, and what is written and not yet taken, for each connection or stream: bounds what a reader that
/// does not read costs.
const BUFFER: usize = 64 << 10;
/// An HTTP/2 connection that was told to go has so long for what crosses that on its way.
const CROSSING: Duration = Duration::from_secs(5);

/// Serves a connection until it ends, has to end, or has nothing under way after the stop.
pub(crate) async fn serve<S>(socket: S, line: Line, door: Door, limits: Limits, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    // The line sees to slow heads and idle connections: hyper's own timer can't tell them apart.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_send_buf_size(BUFFER)
        .max_concurrent_streams(limits.streams)
        .initial_stream_window_size(limits.windows.0)
        .initial_connection_window_size(limits.windows.1)
        .keep_alive_interval(limits.ping.0)
        .keep_alive_timeout(limits.ping.1);
    let io = TokioIo::new(line.watch(socket));
    let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(door)));
    let mut stopped = pin!(stop.cancelled().fuse());
    let mut alarm = Alarm::default();
    let mut leaving: Option<Instant> = None;
    std::future::poll_fn(|cx| {
        if stopped.as_mut().poll(cx).is_ready() && leaving.is_none() {
            connection.as_mut().graceful_shutdown();
            leaving = Some(Instant::now());
        }
        if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
            if let Err(error) = ended {
                tracing::trace!(%error, "a connection ended");
            }
            return Poll::Ready(());
        }
        loop {
            let due = line.deadline(&limits);
            let due = match leaving {
                Some(since) if !line.is_busy() => Some(due.unwrap_or(since).max(since + CROSSING)),
                _ => due,
            };
            let Some(due) = due else { return Poll::Pending };
            if due <= Instant::now() {
                if leaving.is_some() || !line.is_http2() || line.is_busy() {
                    return Poll::Ready(());
                }
                // Says so first: a request may be on its way, and its sender has to know that it goes unanswered.
                connection.as_mut().graceful_shutdown();
                leaving = Some(Instant::now());
                if connection.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                continue;
            }
            if alarm.rings(due, cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
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
