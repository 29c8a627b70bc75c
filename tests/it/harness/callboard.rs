//! The built `callboard dev`: everything in one process over one data folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::{Launch, Process, START, free_port, programs, scratch};

/// A running `callboard dev`. Ports and data stay the same over restarts.
pub struct Callboard {
    pub process: Process,
    /// `http://…` of the public port.
    pub url: String,
    pub dapr_http_port: u16,
    pub dapr_grpc_port: u16,
    data: PathBuf,
    /// Kept for its `Drop`.
    _dir: TempDir,
}

/// How to start one; made by [`Callboard::with`].
pub struct Dev {
    launch: Launch,
    /// A program and its arguments that start it: `prlimit --as=…`.
    under: Vec<String>,
    data: PathBuf,
    dir: TempDir,
}

impl Callboard {
    /// Starts it with further arguments and waits for its `ready` line.
    pub async fn dev<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::with().args(args).start().await
    }

    pub fn with() -> Dev {
        let dir = scratch();
        let data = dir.path().join("data");
        // Its configuration is that of the test, not that of the folder the suite runs in.
        let own = dir.path().join("user").display().to_string();
        let launch = Launch::new("callboard", "")
            .arg("dev")
            .dir(dir.path())
            .env("XDG_CONFIG_HOME", &own)
            .env("XDG_STATE_HOME", &own);
        Dev { launch, under: Vec::new(), data, dir }
    }

    /// Returns the base of the embedded sidecar's HTTP API.
    pub fn dapr_http(&self) -> String {
        format!("http://127.0.0.1:{}", self.dapr_http_port)
    }

    /// Returns the address of the embedded sidecar's gRPC API.
    pub fn dapr_grpc(&self) -> String {
        format!("http://127.0.0.1:{}", self.dapr_grpc_port)
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again over the same data; what still runs is killed first.
    pub async fn restart(&mut self) {
        self.process.restart();
        let ready = self.process.until_logged(START, ready_line).await;
        (self.url, self.dapr_http_port, self.dapr_grpc_port) = ready;
    }

    /// The same where it may end again before it is ready. Returns whether it is ready.
    pub async fn restart_or_end(&mut self) -> bool {
        self.process.restart();
        let began = Instant::now();
        loop {
            if let Some(ready) = ready_line(&self.process.log()) {
                (self.url, self.dapr_http_port, self.dapr_grpc_port) = ready;
                return true;
            }
            if !self.process.is_running() {
                return false;
            }
            assert!(began.elapsed() < START, "callboard was not ready\n{}", self.process.tail());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Ends it with SIGTERM; panics unless it drains and exits with 0.
    pub async fn stop(&mut self) {
        let status = self.process.terminate(Duration::from_secs(30)).await;
        assert!(status.success(), "callboard ended with {status} after SIGTERM\n{}", self.process.tail());
    }
}

impl Dev {
    pub fn args<S: AsRef<str>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.launch = self.launch.args(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.launch = self.launch.env(name, value);
        self
    }

    /// Uses this data folder instead of a new one.
    pub fn data(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data = dir.into();
        self
    }

    /// Uses another binary than the one built with these tests: an older release, for instance.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.launch.program = program.into();
        self
    }

    /// Starts it by another program that becomes it, with these arguments before its own.
    pub fn under<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.under = words.into_iter().map(Into::into).collect();
        self
    }

    /// Starts it in this folder, where it finds settings and components.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.launch.dir = Some(dir.into());
        self
    }

    /// Starts it and waits for nothing: for a start that is meant to fail.
    pub fn spawn(mut self) -> (Process, TempDir) {
        let [listen, http, grpc] = [(); 3].map(|()| free_port());
        if self.launch.program.as_os_str().is_empty() {
            self.launch.program = programs::callboard();
        }
        let launch = self
            .launch
            .args(["--listen", &format!("127.0.0.1:{listen}")])
            .args(["--dapr-http-port", &http.to_string(), "--dapr-grpc-port", &grpc.to_string()])
            .arg("--data")
            .arg(&self.data);
        let launch = match self.under.split_first() {
            Some((program, words)) => {
                let own = [launch.program.clone().into_os_string()].into_iter().chain(launch.args);
                let args = words.iter().map(Into::into).chain(own).collect();
                Launch { program: program.into(), args, ..launch }
            }
            None => launch,
        };
        (Process::start(launch, self.dir.path()), self.dir)
    }

    pub async fn start(self) -> Callboard {
        let data = self.data.clone();
        let (mut process, dir) = self.spawn();
        let (url, dapr_http_port, dapr_grpc_port) = process.until_logged(START, ready_line).await;
        Callboard { process, url, dapr_http_port, dapr_grpc_port, data, _dir: dir }
    }
}

/// Reads `ready http://ADDR:PORT dapr http=PORT grpc=PORT` once it is written to its end.
fn ready_line(log: &str) -> Option<(String, u16, u16)> {
    log.split_inclusive('\n').find_map(|line| {
        let mut words = line.strip_suffix('\n')?.strip_prefix("ready ")?.split(' ');
        let url = words.next()?.to_owned();
        let ("dapr", http, grpc) = (words.next()?, words.next()?, words.next()?) else { return None };
        Some((url, http.strip_prefix("http=")?.parse().ok()?, grpc.strip_prefix("grpc=")?.parse().ok()?))
    })
}

#[test]
fn the_ready_line_names_url_and_ports() {
    let log = "starting\nready http://127.0.0.1:8080 dapr http=3500 grpc=50001\n";
    assert_eq!(ready_line(log), Some(("http://127.0.0.1:8080".to_owned(), 3500, 50001)));
    assert_eq!(ready_line("ready http://127.0.0.1:8080 dapr http=3500 grpc=5000"), None);
}
