//! A Redis of one's own: its port, its folder, every write appended to its file.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Launch, Process, START, free_port, programs, scratch};

/// A running Redis. A killed one that is restarted has every write it acknowledged: they
/// were handed to the kernel, and only a machine's crash can lose the last second.
pub struct Redis {
    pub process: Process,
    port: u16,
    dir: TempDir,
}

impl Redis {
    pub async fn start() -> Self {
        Self::over(scratch()).await
    }

    /// Starts another one over a copy of this one's files, to see what they hold.
    pub async fn copy(&self) -> Self {
        let dir = scratch();
        let [from, to] = [self.dir.path(), dir.path()].map(|dir| dir.join("appendonlydir"));
        std::fs::create_dir(&to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("the append-only files") {
            let entry = entry.expect("an entry");
            std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
        Self::over(dir).await
    }

    async fn over(dir: TempDir) -> Self {
        let port = free_port();
        let launch = Launch::new("redis", programs::redis_server())
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no"])
            .args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""])
            .args(["--maxmemory-policy", "noeviction"])
            .arg("--dir")
            .arg(dir.path());
        let mut redis = Self { process: Process::start(launch, dir.path()), port, dir };
        redis.ready().await;
        redis
    }

    /// Returns `host:port`, as `redisHost` wants it.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the folder with its append-only files, to set it back to an earlier state.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again over the same files; what still runs is killed first.
    pub async fn restart(&mut self) {
        self.process.restart();
        self.ready().await;
    }

    async fn ready(&mut self) {
        let port = self.port;
        // Refused while the files are being loaded, too.
        let ping = move || async move {
            match command(port, &["PING"]) {
                Ok(answer) if answer == "PONG" => Ok(()),
                other => Err(format!("PING answers {other:?}")),
            }
        };
        self.process.until(START, ping).await;
    }

    /// Sends one command; returns the answer as text, the items of a list on a line each.
    pub fn command(&self, words: &[&str]) -> std::io::Result<String> {
        command(self.port, words)
    }
}

fn command(port: u16, words: &[&str]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request += &format!("${}\r\n{word}\r\n", word.len());
    }
    stream.write_all(request.as_bytes())?;
    answer(&mut BufReader::new(stream))
}

fn answer(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let (kind, rest) = line.trim_end().split_at_checked(1).unwrap_or_default();
    match kind {
        "$" => {
            let Ok(length) = rest.parse::<usize>() else { return Ok("(nil)".to_owned()) };
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
        }
        "*" => {
            let items =
                (0..rest.parse().unwrap_or(0)).map(|_| answer(stream)).collect::<Result<Vec<_>, _>>()?;
            Ok(items.join("\n"))
        }
        "-" => Err(std::io::Error::other(rest.to_owned())),
        _ => Ok(rest.to_owned()),
    }
}
