//! One child process: its log, its signals, its end.
//!
//! Works without a runtime, so a process may be shared by tests that each have their own.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Launch, reaper};

/// A started program. Killed on drop; its log's end is printed if the test is failing.
pub struct Process {
    pub launch: Launch,
    log: PathBuf,
    /// Where in the log the present start begins: a restart appends.
    since: u64,
    child: Option<Child>,
}

impl Process {
    /// Starts a program; standard output and error go to `{logs}/{name}.log`.
    pub fn start(launch: Launch, logs: &Path) -> Self {
        let log = logs.join(format!("{}.log", launch.name));
        let mut process = Self { launch, log, since: 0, child: None };
        process.spawn();
        process
    }

    fn spawn(&mut self) {
        let Launch { name, program, args, env, dir } = &self.launch;
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.unwrap_or_else(|error| panic!("log {} of {name}: {error}", self.log.display()));
        self.since = log.metadata().map_or(0, |data| data.len());
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stderr(log.try_clone().unwrap()).stdout(log);
        for (inherited, _) in std::env::vars_os() {
            if steers(&inherited.to_string_lossy()) {
                command.env_remove(inherited);
            }
        }
        command.envs(env.iter().map(|(name, value)| (name, value)));
        if let Some(dir) = dir {
            command.current_dir(dir);
        }
        let child = reaper::spawn(&mut command);
        self.child = Some(
            child.unwrap_or_else(|error| panic!("{name}: {} does not start: {error}", program.display())),
        );
    }

    /// Returns the process id while it has not been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Kills it with SIGKILL and waits for its end. Nothing happens if it is not running.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            reaper::reaped(child.id());
        }
    }

    /// Sends a signal by name (`TERM`, `STOP`, `CONT` …).
    pub fn signal(&self, name: &str) {
        let Some(id) = self.id() else { panic!("{} is not running, no {name} for it", self.launch.name) };
        // The shell's own `kill`: the program of that name is not on every machine.
        let sent = Command::new("sh").args(["-c", "kill -s \"$0\" \"$1\"", name, &id.to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "signal {name} for {} ({id})", self.launch.name);
    }

    /// Sends SIGTERM and waits; panics if it has not ended in time.
    pub async fn terminate(&mut self, within: Duration) -> ExitStatus {
        self.signal("TERM");
        self.wait(within).await
    }

    /// Waits for its end; panics if it has not ended in time.
    pub async fn wait(&mut self, within: Duration) -> ExitStatus {
        let started = Instant::now();
        loop {
            let child = self.child.as_mut().unwrap_or_else(|| panic!("{} was not running", self.launch.name));
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                reaper::reaped(child.id());
                self.child = None;
                return status;
            }
            let name = &self.launch.name;
            assert!(started.elapsed() < within, "{name} has not ended within {within:?}\n{}", self.tail());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Starts it again with the same arguments; what still runs is killed first.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn();
    }

    /// Returns what it has written since its last start.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.since as usize..).unwrap_or_default()).into_owned()
    }

    /// Returns the last lines of its log, for the message of a failure.
    pub fn tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(40);
        format!("--- end of {}'s log\n{}\n---", self.launch.name, lines[from..].join("\n"))
    }

    /// Waits until `ready` says so; panics with the log's end if the program ends before or time is over.
    pub async fn until<T, F>(&mut self, within: Duration, mut ready: impl FnMut() -> F) -> T
    where
        F: Future<Output = Result<T, String>>,
    {
        let started = Instant::now();
        let mut last = "nothing was seen".to_owned();
        loop {
            let left = within.saturating_sub(started.elapsed());
            match tokio::time::timeout(left, ready()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(error)) => last = error,
                Err(_) => {}
            }
            self.still_starting(started, within, &last);
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    /// Waits until `find` finds something in what it wrote since its last start.
    pub async fn until_logged<T>(&mut self, within: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = find(&self.log()) {
                return found;
            }
            self.still_starting(started, within, "its log lacks the line");
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
    }

    fn still_starting(&mut self, started: Instant, within: Duration, last: &str) {
        let (running, name) = (self.is_running(), self.launch.name.clone());
        assert!(running, "{name} ended before it was ready: {last}\n{}", self.tail());
        assert!(
            started.elapsed() < within,
            "{name} was not ready within {within:?}: {last}\n{}",
            self.tail()
        );
    }
}

/// Tells whether a variable of the developer's shell would change what is tested: name a real
/// model provider, another sidecar, other settings, or a proxy for loopback.
fn steers(variable: &str) -> bool {
    const PREFIXES: [&str; 6] = ["OPENAI_", "CALLBOARD_", "DAPR_", "APP_", "REDIS_", "OTEL_"];
    PREFIXES.iter().any(|prefix| variable.starts_with(prefix)) || variable.to_lowercase().ends_with("_proxy")
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.tail());
        }
    }
}
