//! Requests that are begun and never ended, by the thousand, on every port: everybody else is served.

use super::{
    canary::{Canary, resident},
    full,
    target::Target,
};
use crate::harness::http;
use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_half_sent_requests_on_each_port_keep_nobody_waiting() {
    let (count, lasting) = if full() { (2_000, 60) } else { (1_000, 12) };
    // Each of them is a file on both sides.
    let raised =
        Command::new("prlimit").args(["--nofile=16384:", &format!("--pid={}", std::process::id())]).status();
    assert!(
        raised.is_ok_and(|status| status.success()),
        "prlimit of util-linux raises the bound on open files"
    );
    let target = Target::with().under(&["prlimit", "--nofile=16384:"]).measured().start().await;
    // What it has after a while of ordinary use.
    let canary = Canary::beside(&target);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calm = canary.seen().await;
    let process = target.dev.process.id().expect("it runs");
    let before = resident(process);
    let stop = Arc::new(AtomicBool::new(false));
    let held = Arc::new(AtomicUsize::new(0));
    let mut holding = JoinSet::new();
    let api = target.dev.url.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
    for port in [api, target.dev.dapr_http_port, target.dev.dapr_grpc_port] {
        for n in 0..count {
            holding.spawn(half_sent(port, n, stop.clone(), held.clone()));
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let open = held.load(Ordering::SeqCst);
    let canary = Canary::beside(&target);
    let client = http();
    let sidecar = format!("{}/v1.0/state/statestore/unknown", target.dev.dapr_http());
    let mut refused = Vec::new();
    for _ in 0..lasting * 2 {
        match client.get(&sidecar).timeout(Duration::from_secs(3)).send().await {
            Ok(answer) if answer.status() == 204 => {}
            other => refused.push(format!("{other:?}")),
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let seen = canary.seen().await;
    stop.store(true, Ordering::SeqCst);
    holding.abort_all();
    eprintln!("{open} held; calm: {}; then: {}; {} MB before", calm.line(), seen.line(), before >> 20);
    assert!(open >= count, "INVALID: only {open} were held at once");
    assert_eq!(refused, Vec::<String>::new(), "the sidecar was to serve others");
    let (health, runs) = if full() { (250, 1_000) } else { (2_000, 5_000) };
    seen.within(Duration::from_millis(health), Duration::from_millis(runs), before + (64 << 20));
}

/// How a request is begun and not ended.
enum Half {
    /// Sent at once.
    Of(String),
    /// After a whole one, which was answered.
    Second(String),
    /// Byte by byte.
    Dribbled(String),
}

fn half(port: u16, n: usize) -> Half {
    let get = format!("GET /health HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nx-slow: ");
    let post = |path, how| {
        format!("POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n{how}")
    };
    let sized = "content-length: 60000\r\n\r\n";
    // Of HTTP/2: the preface alone, with a frame that is announced and does not come, and with nothing after its
    // settings.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = "\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64";
    match n % 10 {
        0 => Half::Of(get),
        1 => Half::Of(post("/api/v1/runs", sized) + "{\"definition\":"),
        2 => Half::Of(post("/v1.0/state/statestore", sized) + "[{"),
        3 => Half::Of(post("/api/v1/runs", "transfer-encoding: chunked\r\n\r\n") + "ff\r\n{"),
        4 => Half::Of(preface.to_owned()),
        5 => Half::Of(format!("{preface}\0\0\x06\x04\0\0\0\0\0\0\x03")),
        6 => Half::Of(format!("{preface}{settings}")),
        7 => Half::Of(String::new()),
        8 => Half::Second(get),
        _ => Half::Dribbled(get),
    }
}

/// Half of a head, or of a body, again whenever the server hangs up.
async fn half_sent(port: u16, n: usize, stop: Arc<AtomicBool>, held: Arc<AtomicUsize>) {
    while !stop.load(Ordering::SeqCst) {
        if let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)).await
            && begun(&mut socket, half(port, n)).await.is_ok()
        {
            held.fetch_add(1, Ordering::SeqCst);
            let mut answer = [0; 1024];
            while socket.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
            held.fetch_sub(1, Ordering::SeqCst);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn begun(socket: &mut TcpStream, half: Half) -> std::io::Result<()> {
    match half {
        Half::Of(part) => socket.write_all(part.as_bytes()).await,
        Half::Second(part) => {
            socket.write_all(format!("{part}\r\n\r\n").as_bytes()).await?;
            socket.read_exact(&mut [0; 12]).await?;
            socket.write_all(part.as_bytes()).await
        }
        Half::Dribbled(part) => {
            for byte in part.bytes().take(8) {
                socket.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        }
    }
}
