//! Sockets of the unmodified client of Socket.IO, in a program of their own.

use crate::harness::root;
use serde_json::{Value, json};
use std::{process::Stdio, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// The program, and what it has said that nobody has asked for yet.
pub struct Client {
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<Value>,
    next: u64,
    _child: Child,
}

impl Client {
    pub fn start() -> Self {
        let packages = root().join(".cache/node/node_modules");
        assert!(packages.is_dir(), "there is no {}: run scripts/node-ensure", packages.display());
        let mut child = Command::new("node")
            .arg(root().join("tests/node/live.cjs"))
            .env("NODE_PATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let stdin = child.stdin.take().expect("a pipe");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { stdin, lines, said: Vec::new(), next: 0, _child: child }
    }

    pub async fn order(&mut self, command: Value) {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.expect("it listens");
    }

    /// Opens a socket, and waits until it is connected.
    pub async fn connect(&mut self, socket: &str, url: &str, token: Option<&str>) {
        self.order(json!({"do": "connect", "socket": socket, "url": url, "token": token})).await;
        self.event(socket, "connect").await;
    }

    /// Sends an event and returns its answer.
    pub async fn send(&mut self, socket: &str, event: &str, body: Value) -> Value {
        self.next += 1;
        let id = self.next;
        self.order(json!({"do": "send", "socket": socket, "id": id, "event": event, "body": body})).await;
        self.line(|line| line["id"] == id).await["answer"].take()
    }

    /// Returns the next event of this name that comes to a socket.
    pub async fn event(&mut self, socket: &str, name: &str) -> Value {
        self.line(|line| line["socket"] == socket && line["event"] == name).await["body"].take()
    }

    /// Returns, and takes, all that has come to a socket under one of these names.
    pub fn taken(&mut self, socket: &str, names: &[&str]) -> Vec<Value> {
        let is_one =
            |line: &Value| line["socket"] == socket && names.iter().any(|name| line["event"] == *name);
        let (taken, left) = std::mem::take(&mut self.said).into_iter().partition(is_one);
        self.said = left;
        taken
    }

    /// Takes a line back that somebody else asks for.
    pub fn put_back(&mut self, line: Value) {
        self.said.push(line);
    }

    /// Returns the first line that fits, of those said before and those to come.
    pub async fn line(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.said.iter().position(&fits) {
            return self.said.remove(at);
        }
        loop {
            let line = tokio::time::timeout(Duration::from_secs(40), self.lines.next_line()).await;
            let Ok(line) = line else { panic!("nothing comes any more, but {:#?}", self.said) };
            let line = line.expect("a line").expect("the program goes on");
            let line = serde_json::from_str(&line).expect("JSON");
            if fits(&line) {
                return line;
            }
            self.said.push(line);
        }
    }
}
