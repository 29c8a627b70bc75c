//! What is attacked: `callboard dev` with a faked model and a faked HTTP service.

use super::full;
use crate::{
    e2e::api::Api,
    harness::{Callboard, Model, Script, Upstream, root, scratch},
};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

/// A running server and the world around it.
pub struct Target {
    pub dev: Callboard,
    pub api: Api,
    pub model: Model,
    pub http: Upstream,
    /// Kept for its `Drop`.
    _folder: TempDir,
}

/// How to start one.
#[derive(Default)]
pub struct Setup {
    agents: Option<Value>,
    tools: Option<fn(&str) -> Value>,
    env: Vec<(String, String)>,
    settings: Option<&'static str>,
    under: Vec<String>,
    program: Option<PathBuf>,
}

impl Target {
    pub async fn start() -> Self {
        Self::with().start().await
    }

    pub fn with() -> Setup {
        Setup::default()
    }

    /// Starts it again after a kill; its ports stay the same.
    pub async fn restart(&mut self) {
        self.dev.restart().await;
        self.api = Api::new(&self.dev.url, &self.dev.dapr_http());
    }

    /// Runs a definition that is not stored, and returns the run's id.
    pub async fn begin(&self, definition: &Value, input: Value) -> String {
        let began = self.api.post("/runs", json!({"definition": definition, "input": input})).await;
        began["run_id"].as_str().expect("a run id").to_owned()
    }

    /// The script of the HTTP service.
    pub fn upstream(&self) -> &Script {
        &self.http.script
    }

    /// Everything in its data folder, byte by byte.
    pub fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.dev.data().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("the data folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if let Ok(bytes) = std::fs::read(&path) {
                    found.push((path.display().to_string(), bytes));
                }
            }
        }
        found
    }

    /// Returns the files in which some of `marker` stands.
    pub fn stores(&self, marker: &str) -> Vec<String> {
        let holds = |bytes: &[u8]| bytes.windows(marker.len()).any(|part| part == marker.as_bytes());
        self.stored().into_iter().filter(|(_, bytes)| holds(bytes)).map(|(path, _)| path).collect()
    }
}

impl Setup {
    /// Replaces the agents by these, each with the test's model.
    pub fn agents(mut self, agents: Value) -> Self {
        self.agents = Some(agents);
        self
    }

    /// Makes the tools, which are told where the HTTP service is.
    pub fn tools(mut self, tools: fn(&str) -> Value) -> Self {
        self.tools = Some(tools);
        self
    }

    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Settings that no variable can give.
    pub fn settings(mut self, text: &'static str) -> Self {
        self.settings = Some(text);
        self
    }

    /// Starts it by another program that becomes it.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Takes the release build where the long attacks are asked for: their bounds are those of a release.
    pub fn measured(mut self) -> Self {
        if full() {
            let program = root().join("target/release/callboard");
            assert!(program.is_file(), "the bounds are a release's: run cargo build --release -p callboard");
            self.program = Some(program);
        }
        self
    }

    pub async fn start(self) -> Target {
        let (model, http) = (Model::start().await, Upstream::start().await);
        let folder = scratch();
        let file = folder.path().join("agents.json");
        let agents = self
            .agents
            .unwrap_or_else(|| json!({"once": {"model": "test", "retry_policy": {"max_retries": 0}}}));
        let tools = self.tools.map_or_else(|| json!({}), |make| make(&http.url()));
        let text = json!({"agents": agents, "tools": tools}).to_string();
        std::fs::write(&file, text).expect("the agents' file");
        let mut dev = Callboard::with()
            .args(["--agents", &file.display().to_string()])
            .env("OPENAI_BASE_URL", model.base_url())
            .env("OPENAI_API_KEY", "sk-test")
            .env("CALLBOARD__HTTP__ALLOW", http.addr().to_string());
        if let Some(text) = self.settings {
            let file = folder.path().join("settings.toml");
            std::fs::write(&file, text).expect("the settings");
            dev = dev.args(["--config", &file.display().to_string()]);
        }
        for (name, value) in self.env {
            dev = dev.env(name, value);
        }
        if let Some(program) = self.program {
            dev = dev.program(program);
        }
        let dev = dev.under(self.under).start().await;
        let api = Api::new(&dev.url, &dev.dapr_http());
        Target { dev, api, model, http, _folder: folder }
    }
}
