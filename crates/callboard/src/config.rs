//! The settings: compiled-in defaults, the user's own files, `config/*.toml`, then `CALLBOARD__SECTION__KEY`.
//!
//! Decides what the program is told, and by whom: a working directory that the user does not trust may not say
//! everything (`foreign`). What the program does with it is decided in `assembly`. All mistakes are reported at
//! once, each with the file or variable it stands in. `config/default.toml` names every setting there is.

pub mod address;
mod foreign;
mod load;

use crate::{
    access::{KeySet, LEEWAY, SECRET},
    say::say,
    triggers::vault,
    user::User,
};
use callboard_connectors::{
    http::Origin,
    model::{Provider, Tariff},
    secret::Hosts,
};
use callboard_core::{
    Span,
    id::ProjectId,
    workflow::definition::{RETENTION_LIMIT, Retention},
};
use serde::Deserialize;
use std::{collections::BTreeMap, net::SocketAddr, path::Path};

pub use callboard_connectors::secret::Secret;
pub use load::{Mistake, Mistakes, Sources};

/// Every setting.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    pub server: Server,
    pub data: Data,
    pub catalog: Catalog,
    pub agents: AgentsFile,
    pub models: Models,
    pub http: Http,
    pub secrets: Secrets,
    pub runs: Runs,
    pub approvals: Approvals,
    pub workers: Workers,
    pub telemetry: Telemetry,
    pub auth: Auth,
    pub dapr: Dapr,
    /// What a project may use, by its id.
    pub projects: BTreeMap<String, Project>,
    /// What the user has said beside the settings.
    #[serde(skip)]
    pub ground: Ground,
}

/// How far what lies in the working directory speaks for the user.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    pub user: User,
    /// The user trusts the working directory.
    pub trusted: bool,
    /// The user named the data folder: it is not just what lies here.
    pub data_named: bool,
    /// Settings of the working directory that need trust, and have it: `file: setting`.
    pub granted: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Server {
    #[serde(deserialize_with = "address::deserialize")]
    pub listen: SocketAddr,
    pub allow_insecure_listen: bool,
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
    pub concurrency: u32,
    pub streams: u32,
    pub drain: Span,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Data {
    pub dir: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Catalog {
    pub url: Secret,
    pub pooler: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct AgentsFile {
    pub file: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Models {
    pub default: String,
    pub base_url: String,
    pub api_key: Secret,
    pub script: String,
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    /// By the model's name as agents say it, or by its beginning and `*`.
    #[serde(default)]
    pub prices: BTreeMap<String, Tariff>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Http {
    pub allow: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Secrets {
    pub store: String,
    /// Seals the secrets that are made here.
    #[serde(default)]
    pub key: Secret,
    /// Hosts by the name of the secret.
    pub hosts: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Runs {
    pub dispatch: u32,
    pub retention: Retention,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Approvals {
    pub require_hash: bool,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Workers {
    pub token: WorkerToken,
}

/// What is asked of a worker's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerToken {
    /// Its offer has a token; one that comes along must be that one.
    Offered,
    /// It must come along.
    Required,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Telemetry {
    pub level: String,
    pub format: Format,
    pub otlp_endpoint: String,
    pub service_name: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Text,
    Json,
}

/// Who may ask, beside those who have a key.
#[derive(Debug, Clone, Deserialize)]
pub struct Auth {
    pub pepper: Secret,
    pub oidc: Oidc,
    #[serde(default)]
    pub issuers: BTreeMap<String, Issuer>,
}

/// Where a page has its tokens made.
#[derive(Debug, Clone, Deserialize)]
pub struct Oidc {
    pub issuer: String,
    pub client_id: String,
    pub scopes: Vec<String>,
}

/// Somebody who says who others are.
#[derive(Debug, Clone, Deserialize)]
pub struct Issuer {
    pub issuer: String,
    pub audiences: Vec<String>,
    #[serde(default)]
    pub jwks: String,
    #[serde(default)]
    pub secret: Secret,
    #[serde(default)]
    pub project_claim: Option<String>,
    #[serde(default)]
    pub role_claim: Option<String>,
    #[serde(default)]
    pub leeway: Option<Span>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Dapr {
    pub projects: Vec<String>,
}

/// What a project may use; what is not said is everything in `default`, and nothing elsewhere.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Project {
    #[serde(default)]
    pub secrets: Option<Vec<String>>,
    #[serde(default)]
    pub providers: Option<Vec<String>>,
    #[serde(default)]
    pub http_allow: Option<Vec<String>>,
}

// === impl Config ===

impl Config {
    /// Reads the settings of this process: `given` instead of `config/*.toml` if the user names it. Says on stderr
    /// what the working directory says by the user's leave.
    pub fn load(given: Option<&Path>) -> Result<Self, Mistakes> {
        let config = Sources::of_process(given).load()?;
        for granted in &config.ground.granted {
            say!("callboard: {granted} (you trust this folder)");
        }
        Ok(config)
    }

    /// Takes the data folder that a flag names.
    pub fn name_data(&mut self, folder: &Path) {
        self.data.dir = folder.display().to_string();
        self.ground.data_named = true;
    }

    /// Whether model answers are scripted because no provider is named.
    pub fn scripted(&self) -> bool {
        self.models.default.is_empty() && self.models.base_url.is_empty() && self.models.api_key.is_empty()
    }

    /// What no type can say about a setting: path, what is wrong.
    fn check(&self) -> Vec<(&'static str, String)> {
        let mut wrong = Vec::new();
        let mut range = |path, value: u32, most: u32| {
            if value == 0 || value > most {
                wrong.push((path, format!("{value} is not between 1 and {most}")));
            }
        };
        range("server.concurrency", self.server.concurrency, 65_536);
        range("server.streams", self.server.streams, 65_536);
        range("runs.dispatch", self.runs.dispatch, 1024);
        for wrong_host in self.server.hosts.iter().filter_map(|text| callboard_listener::host(text).err()) {
            wrong.push(("server.hosts", wrong_host));
        }
        for wrong_origin in
            self.server.origins.iter().filter_map(|text| callboard_listener::origin(text).err())
        {
            wrong.push(("server.origins", wrong_origin));
        }
        for name in self.runs.retention.too_long() {
            wrong.push(("runs.retention", format!("{name} runs are kept at most {RETENTION_LIMIT}")));
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.telemetry.level) {
            wrong.push(("telemetry.level", error.to_string()));
        }
        if let Some(Err(error)) =
            (!self.secrets.key.is_empty()).then(|| vault::read(self.secrets.key.expose()))
        {
            wrong.push(("secrets.key", error));
        }
        if let Err(error) = Hosts::new(&self.secrets.hosts) {
            wrong.push(("secrets.hosts", error));
        }
        for (name, issuer) in &self.auth.issuers {
            wrong.extend(
                issuer.mistakes().into_iter().map(|mistake| ("auth.issuers", format!("{name}: {mistake}"))),
            );
        }
        for issuer in self.auth.issuers.values() {
            if self.auth.issuers.values().filter(|other| other.issuer == issuer.issuer).count() > 1 {
                wrong.push(("auth.issuers", format!("`{}` stands there twice", issuer.issuer)));
            }
        }
        if self.auth.oidc.client_id.is_empty() != self.auth.oidc.issuer.is_empty() {
            wrong.push(("auth.oidc", "it has both an issuer and a client_id, or neither".into()));
        }
        for id in &self.dapr.projects {
            wrong.extend(
                id.parse::<ProjectId>().err().map(|error| ("dapr.projects", format!("`{id}`: {error}"))),
            );
        }
        for (id, project) in &self.projects {
            let mistake = |message: String| ("projects", format!("{id}: {message}"));
            wrong.extend(id.parse::<ProjectId>().err().map(|error| mistake(error.to_string())));
            for allowed in project.http_allow.iter().flatten() {
                wrong.extend(
                    allowed.parse::<Origin>().err().map(|error| mistake(format!("http_allow: {error}"))),
                );
            }
        }
        let catalog = self.catalog.url.expose();
        if !catalog.is_empty()
            && !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| catalog.starts_with(scheme))
        {
            wrong.push(("catalog.url", "it starts neither with sqlite: nor with postgres:".into()));
        }
        for (path, url) in [
            ("models.base_url", &self.models.base_url),
            ("telemetry.otlp_endpoint", &self.telemetry.otlp_endpoint),
        ] {
            if !url.is_empty() && !is_web_address(url) {
                wrong.push((path, format!("`{url}` is not an http or https address")));
            }
        }
        wrong
    }
}

impl Issuer {
    /// What is wrong with it.
    fn mistakes(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.issuer.is_empty() {
            wrong.push("it has no issuer".to_owned());
        }
        if self.audiences.iter().all(String::is_empty) {
            wrong.push("it has no audience: every token of that issuer would do".into());
        }
        match (self.jwks.is_empty(), self.secret.is_empty()) {
            (true, true) => wrong.push("it has neither jwks nor a secret".into()),
            (false, false) => wrong.push("it has both jwks and a secret".into()),
            (false, true) => wrong.extend(KeySet::at(&self.jwks).err()),
            (true, false) if self.secret.expose().len() < SECRET => {
                wrong.push(format!("its secret has fewer than {SECRET} bytes"));
            }
            (true, false) => {}
        }
        if self.leeway.is_some_and(|leeway| leeway > LEEWAY) {
            wrong.push(format!("its leeway is more than {LEEWAY}"));
        }
        wrong
    }
}

fn is_web_address(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
}

#[cfg(test)]
mod tests;
