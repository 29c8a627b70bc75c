//! Dapr component files: which building blocks this sidecar has, and under which names.
//!
//! Decides what the embedded server can offer. A file it cannot honour is refused by name, together with every
//! other mistake in the folder, before anything starts: half a configuration is worse than none.

mod resiliency;
mod subscription;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

pub use resiliency::Retry;
pub use subscription::{Origin, Rule, Subscription};

/// Everything a folder says, checked.
#[derive(Debug, Clone, Default)]
pub struct Components {
    pub state: BTreeMap<String, State>,
    pub pubsub: BTreeMap<String, PubSub>,
    pub secrets: BTreeMap<String, Secrets>,
    pub subscriptions: Vec<Subscription>,
    /// Inbound retry policies by component name.
    pub retries: BTreeMap<String, Retry>,
    /// Every loaded component as its file names it, for the metadata document.
    pub listed: Vec<Listed>,
}

/// A component's name, type and version as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub kind: String,
    pub version: String,
}

/// A `state.sqlite` component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    pub prefix: Prefix,
    /// Keeps actor state, and lets this sidecar host actors.
    pub actors: bool,
}

/// What stands before a key in the store (`keyPrefix`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prefix {
    AppId,
    Namespace,
    Name,
    None,
    Literal(String),
}

/// A `pubsub.in-memory` component, which this server keeps on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PubSub {
    /// Every subscriber gets a copy and nothing is kept (`consumerID: "{uuid}"`).
    pub broadcast: bool,
    /// Deliveries of one topic at the same time.
    pub concurrency: usize,
    /// Messages of one topic held in memory.
    pub depth: usize,
    pub allowed: BTreeSet<String>,
    pub protected: BTreeSet<String>,
    /// `None`: no restriction for this app.
    pub publishing: Option<BTreeSet<String>>,
    pub subscribing: Option<BTreeSet<String>>,
}

/// A local secret store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secrets {
    Env { prefix: String },
    File { path: PathBuf, separator: String, multiple: bool },
}

/// One mistake, with the file it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub file: PathBuf,
    pub reason: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.reason)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    api_version: String,
    kind: String,
    #[serde(default)]
    metadata: Named,
    #[serde(default)]
    spec: Value,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct ComponentSpec {
    r#type: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    metadata: Vec<Item>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    env_ref: Option<String>,
    #[serde(default)]
    secret_key_ref: Option<Value>,
}

// === impl Components ===

impl Components {
    /// Reads every YAML file of a folder, as `app_id` may see it.
    pub fn load(folder: &Path, app_id: &str) -> Result<Self, Vec<Problem>> {
        let problem = |file: &Path, reason: String| Problem { file: file.to_owned(), reason };
        let entries = std::fs::read_dir(folder).map_err(|e| vec![problem(folder, e.to_string())])?;
        let mut files = Vec::new();
        for entry in entries {
            let path = entry.map_err(|e| vec![problem(folder, e.to_string())])?.path();
            if path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                files.push(path);
            }
        }
        files.sort();

        let mut found = Self::default();
        let mut problems = Vec::new();
        for file in files {
            let text = match std::fs::read_to_string(&file) {
                Ok(text) => text,
                Err(error) => {
                    problems.push(problem(&file, error.to_string()));
                    continue;
                }
            };
            for reason in found.read(&text, app_id, &file) {
                problems.push(problem(&file, reason));
            }
        }
        for reason in found.contradictions() {
            problems.push(problem(folder, reason));
        }
        if problems.is_empty() { Ok(found) } else { Err(problems) }
    }

    /// Adds one file's documents and returns what is wrong with them.
    fn read(&mut self, text: &str, app_id: &str, file: &Path) -> Vec<String> {
        let documents = match serde_saphyr::from_multiple::<Value>(text) {
            Ok(documents) => documents,
            Err(error) => return vec![format!("not YAML: {error}")],
        };
        let mut problems = Vec::new();
        for document in documents.into_iter().filter(|document| !document.is_null()) {
            let document: Document = match serde_json::from_value(document) {
                Ok(document) => document,
                Err(error) => {
                    problems.push(format!("not a Dapr resource: {error}"));
                    continue;
                }
            };
            if !document.scopes.is_empty() && !document.scopes.iter().any(|scope| scope == app_id) {
                continue;
            }
            let name = document.metadata.name.clone();
            if let Err(mut reasons) = self.add(document, app_id, file) {
                for reason in &mut reasons {
                    *reason = format!("{name}: {reason}");
                }
                problems.append(&mut reasons);
            }
        }
        problems
    }

    fn add(&mut self, document: Document, app_id: &str, file: &Path) -> Result<(), Vec<String>> {
        let one = |reason: String| vec![reason];
        match document.kind.as_str() {
            "Component" => self.component(document, app_id, file),
            "Subscription" => {
                let subscription =
                    subscription::declared(&document.api_version, &document.spec).map_err(one)?;
                self.subscriptions.push(subscription);
                Ok(())
            }
            "Resiliency" => {
                self.retries.extend(resiliency::inbound(&document.spec).map_err(one)?);
                Ok(())
            }
            // Tracing, mTLS and access lists have no meaning for a sidecar with one app and no peers.
            "Configuration" => Ok(()),
            other => Err(one(format!("kind {other} is not offered by the embedded sidecar"))),
        }
    }

    fn component(&mut self, document: Document, app_id: &str, file: &Path) -> Result<(), Vec<String>> {
        let name = document.metadata.name;
        let spec: ComponentSpec =
            serde_json::from_value(document.spec).map_err(|error| vec![format!("bad spec: {error}")])?;
        let mut problems = Vec::new();
        if name.is_empty() {
            problems.push("a component needs metadata.name".to_owned());
        }
        if self.listed.iter().any(|listed| listed.name == name) {
            problems.push("a component of this name exists already".to_owned());
        }
        let mut settings = Settings { values: BTreeMap::new(), problems };
        for item in spec.metadata {
            settings.add(item);
        }
        match spec.r#type.as_str() {
            "state.sqlite" => {
                self.state.insert(name.clone(), settings.state());
            }
            "pubsub.in-memory" => {
                self.pubsub.insert(name.clone(), settings.pubsub(app_id));
            }
            "secretstores.local.env" => {
                let prefix = settings.text("prefix").unwrap_or_default().to_owned();
                self.secrets.insert(name.clone(), Secrets::Env { prefix });
            }
            "secretstores.local.file" => {
                self.secrets.extend(settings.secrets_file().map(|secrets| (name.clone(), secrets)));
            }
            other => settings.problems.push(format!(
                "type {other} is not offered by the embedded sidecar; it has state.sqlite, pubsub.in-memory, \
                 secretstores.local.env and secretstores.local.file"
            )),
        }
        if !settings.problems.is_empty() {
            return Err(settings.problems);
        }
        let version = if spec.version.is_empty() { "v1".to_owned() } else { spec.version };
        tracing::debug!(component = %name, kind = %spec.r#type, file = %file.display(), "component loaded");
        self.listed.push(Listed { name, kind: spec.r#type, version });
        Ok(())
    }

    fn contradictions(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let hosts: Vec<&str> =
            self.state.iter().filter(|(_, s)| s.actors).map(|(name, _)| name.as_str()).collect();
        if hosts.len() > 1 {
            problems.push(format!("detected duplicate actor state store: {}", hosts.join(", ")));
        }
        for subscription in &self.subscriptions {
            if !self.pubsub.contains_key(&subscription.pubsub) {
                let Subscription { pubsub, topic, .. } = subscription;
                problems.push(format!("the subscription to {topic} names an unknown pubsub {pubsub}"));
            }
        }
        problems
    }

    /// Returns the name of the component that keeps actor state.
    pub fn actor_store(&self) -> Option<&str> {
        self.state.iter().find(|(_, state)| state.actors).map(|(name, _)| name.as_str())
    }
}

/// A component's `spec.metadata`, read with its mistakes collected.
struct Settings {
    values: BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Settings {
    fn add(&mut self, item: Item) {
        if item.secret_key_ref.is_some() {
            self.problems.push(format!("{}: secretKeyRef is not offered, use envRef or value", item.name));
            return;
        }
        let value = match (item.value, item.env_ref) {
            (_, Some(variable)) => std::env::var(&variable).unwrap_or_default(),
            (Some(Value::String(text)), None) => text,
            (Some(Value::Null) | None, None) => String::new(),
            (Some(other), None) => other.to_string(),
        };
        // Dapr reads metadata names without regard to case.
        self.values.insert(item.name.to_ascii_lowercase(), value);
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(&name.to_ascii_lowercase()).map(|v| v.trim()).filter(|v| !v.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|v| ["true", "1", "yes", "on", "y", "t"].contains(&v.to_ascii_lowercase().as_str()))
    }

    fn number(&mut self, name: &str, default: usize) -> usize {
        match self.text(name).map(str::parse) {
            None => default,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                self.problems.push(format!("{name} is not a number"));
                default
            }
        }
    }

    fn topics(&self, name: &str) -> BTreeSet<String> {
        self.text(name).map(list).unwrap_or_default()
    }

    /// `app1=topic1,topic2;app2=`: an app that is not listed may use everything.
    fn scoped(&self, name: &str, app_id: &str) -> Option<BTreeSet<String>> {
        self.text(name)?.split(';').find_map(|part| {
            let (app, topics) = part.split_once('=')?;
            (app.trim() == app_id).then(|| list(topics))
        })
    }

    /// Reads them as those of a state store.
    fn state(&mut self) -> State {
        let prefix = match self.text("keyPrefix").unwrap_or("appid") {
            "appid" => Prefix::AppId,
            "namespace" => Prefix::Namespace,
            "name" => Prefix::Name,
            "none" => Prefix::None,
            literal if literal.contains("||") => {
                let problem = format!("keyPrefix {literal:?} must not contain ||");
                self.problems.push(problem);
                Prefix::None
            }
            literal => Prefix::Literal(literal.to_owned()),
        };
        State { prefix, actors: self.flag("actorStateStore") }
    }

    /// Reads them as those of a pub/sub, as far as this app is concerned.
    fn pubsub(&mut self, app_id: &str) -> PubSub {
        PubSub {
            broadcast: self.text("consumerID").is_some_and(|id| id.contains("{uuid}")),
            concurrency: self.number("concurrency", 64).clamp(1, 1024),
            depth: self.number("queueDepth", 1000).clamp(1, 100_000),
            allowed: self.topics("allowedTopics"),
            protected: self.topics("protectedTopics"),
            publishing: self.scoped("publishingScopes", app_id),
            subscribing: self.scoped("subscriptionScopes", app_id),
        }
    }

    /// Reads them as those of a secret store in a file; nothing where no file is named.
    fn secrets_file(&mut self) -> Option<Secrets> {
        let Some(path) = self.text("secretsFile").map(PathBuf::from) else {
            self.problems.push("secretsFile is missing".to_owned());
            return None;
        };
        // Relative to the component file would surprise whoever knows daprd: its own folder it is.
        if let Err(error) = std::fs::metadata(&path) {
            self.problems.push(format!("secretsFile {}: {error}", path.display()));
        }
        let separator = self.text("nestedSeparator").unwrap_or(":").to_owned();
        Some(Secrets::File { path, separator, multiple: self.flag("multiValued") })
    }
}

fn list(text: &str) -> BTreeSet<String> {
    text.split(',').map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

// === impl PubSub ===

impl PubSub {
    /// Tells whether this app may publish to a topic.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.may(topic, self.publishing.as_ref())
    }

    /// Tells whether this app may subscribe to a topic.
    pub fn may_subscribe(&self, topic: &str) -> bool {
        self.may(topic, self.subscribing.as_ref())
    }

    fn may(&self, topic: &str, scope: Option<&BTreeSet<String>>) -> bool {
        if !self.allowed.is_empty() && !self.allowed.contains(topic) {
            return false;
        }
        match scope {
            Some(topics) => topics.contains(topic),
            None => !self.protected.contains(topic),
        }
    }
}

// === impl Listed ===

impl Listed {
    /// Returns what daprd's metadata document says such a component can do.
    pub fn capabilities(&self) -> &'static [&'static str] {
        match self.kind.as_str() {
            "state.sqlite" => &["ETAG", "TRANSACTIONAL", "TTL", "ACTOR"],
            _ => &[],
        }
    }
}

// === impl Prefix ===

impl Prefix {
    /// Returns the key as the store has it.
    pub fn apply(&self, app_id: &str, store: &str, key: &str) -> String {
        match self {
            Self::None => key.to_owned(),
            Self::AppId => format!("{app_id}||{key}"),
            Self::Name => format!("{store}||{key}"),
            Self::Literal(prefix) => format!("{prefix}||{key}"),
            Self::Namespace => match std::env::var("NAMESPACE") {
                Ok(namespace) if !namespace.is_empty() => format!("{namespace}.{app_id}||{key}"),
                _ => format!("{app_id}||{key}"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
