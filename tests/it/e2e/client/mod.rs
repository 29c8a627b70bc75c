//! The command line as a client: the built binary against a server that really runs, or one that is faked where ours does
//! not say such a thing.

mod approvals;
mod contexts;
mod errors;
mod files;
mod page;
mod runs;
mod triggers;
mod workflows;

use super::api::Api;
use crate::harness::{Callboard, callboard, scratch};
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// Somebody at a terminal: a folder, settings of their own, and a server they speak to.
pub struct Desk {
    /// Where their commands go unless they say otherwise; empty for nowhere.
    pub url: String,
    folder: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Waits for a person in between, so that it does not end by itself.
pub const ASKS: &str = r#"{"name": "asks", "nodes": [
    {"id": "ask", "type": "approval", "config": {"title": "Publish?", "detail": {"text": "a note"}}},
    {"id": "done", "type": "wait", "config": {"for": "0s"}}],
    "edges": [{"source": "ask", "target": "done", "config": {"branch": "approved"}}],
    "output": {"approved": "{{ steps.ask.output.approved }}"}}"#;

/// Waits for a signal, and repeats what came with it.
pub const WAITS: &str = r#"{"name": "waits", "nodes": [{"id": "go", "type": "signal", "config": {"name": "go"}}],
    "output": {"got": "{{ steps.go.output }}"}}"#;

/// Repeats its input at once.
pub const ECHO: &str = r#"{"name": "echo", "input": {"type": "object", "required": ["a"]},
    "nodes": [{"id": "moment", "type": "wait", "config": {"for": "0s"}}], "output": {"got": "{{ input.a }}"}}"#;

impl Desk {
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), folder: scratch() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into the folder, and those it stands in.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
        path
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).expect(name)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["CALLBOARD_", "OPENAI_", "XDG_", "NO_COLOR", "CLICOLOR"].iter().any(|of| name.starts_with(of))
            {
                command.env_remove(name);
            }
        }
        let own = self.path().join("user");
        command.current_dir(self.path()).env("XDG_CONFIG_HOME", &own).env("XDG_STATE_HOME", &own);
        if !self.url.is_empty() {
            command.env("CALLBOARD_SERVER", &self.url);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts `callboard` with these words and does not wait for it.
    pub fn spawn(&self, words: &[&str]) -> Child {
        self.command(&callboard()).args(words).spawn().expect("the program starts")
    }

    /// Runs `callboard` with these words.
    #[track_caller]
    pub fn run(&self, words: &[&str]) -> Done {
        self.run_with(words, &[], "")
    }

    /// The same, with more environment and with this on standard input.
    #[track_caller]
    pub fn run_with(&self, words: &[&str], env: &[(&str, &str)], input: &str) -> Done {
        let mut command = self.command(&callboard());
        command.args(words).envs(env.iter().copied()).stdin(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // One that reads nothing may be gone by now.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        done(child)
    }

    /// Runs a line of a shell in which `callboard` is the program.
    #[track_caller]
    pub fn shell(&self, line: &str) -> Done {
        let script = format!("callboard() {{ '{}' \"$@\"; }}\n{line}", callboard().display());
        done(self.command(Path::new("bash")).args(["-c", &script]).spawn().expect("bash starts"))
    }

    /// Runs `callboard`, which must end well, and returns what it printed.
    #[track_caller]
    pub fn prints(&self, words: &[&str]) -> String {
        let done = self.run(words);
        assert_eq!(done.code, 0, "{words:?}: {done:#?}");
        done.out.trim_end().to_owned()
    }

    /// The same with `--json`; returns each line that it printed.
    #[track_caller]
    pub fn lines(&self, words: &[&str]) -> Vec<Value> {
        let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
        json_lines(&self.prints(&words))
    }
}

/// Waits for the end of a command.
#[track_caller]
pub fn done(child: Child) -> Done {
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let done = Done {
        code: output.status.code().unwrap_or(-1),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    assert!(!done.err.contains("panicked"), "{done:#?}");
    done
}

pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A running server, somebody at a terminal, and the API beside them.
async fn desk() -> (Callboard, Desk, Api) {
    let server = Callboard::dev([] as [&str; 0]).await;
    let (desk, api) = (Desk::at(&server.url), Api::new(&server.url, &server.dapr_http()));
    (server, desk, api)
}
