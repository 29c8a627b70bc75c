//! What the server is made of, as far as a caller's project sees it: its limits, models, agents, tools, and the names of secrets.
//!
//! Nothing here is a secret's value, or says where a tool or a model is.

use super::{Items, Operations, Page, Refusal, now, page::page};
use crate::access::Principal;
use callboard_connectors::model::SCRIPTED;
use callboard_core::{
    agent::spec::{Spec, ToolKind},
    document,
    id::ProjectId,
    value::VALUE_LIMIT,
    workflow::plan::{BODY_DEPTH, EDGES_LIMIT, NODES_LIMIT},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Letters that count as a token where nobody has counted.
const LETTERS: usize = 4;

/// What the settings say of the installation.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// Which actors this process hosts: `workflow`, `ai`.
    pub roles: Vec<&'static str>,
    /// The provider of models that name none.
    pub provider: String,
    /// Providers of models, the scripted one too.
    pub providers: BTreeSet<String>,
    /// What is granted to projects; of one that is not named, nothing but in `default` everything.
    pub grants: BTreeMap<ProjectId, Granted>,
    /// The component that keeps secrets.
    pub secrets: String,
}

/// Names that a project may use; nothing where that is the usual.
#[derive(Debug, Clone, Default)]
pub struct Granted {
    pub secrets: Option<BTreeSet<String>>,
    pub providers: Option<BTreeSet<String>>,
}

/// The server: what it is, and what it takes.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "About")]
pub struct About<H> {
    pub version: &'static str,
    /// The server's clock, in milliseconds since 1970.
    pub now: i64,
    /// Which actors this process hosts: `workflow`, `ai`.
    pub roles: Vec<&'static str>,
    pub limits: LimitsView,
    pub health: H,
    pub models: ModelsView,
}

/// How large things may be.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SizeLimits")]
pub struct LimitsView {
    /// Bytes of a definition.
    pub definition: usize,
    /// Bytes of one that comes with its start.
    pub definition_inline: usize,
    /// Bytes of any other body.
    pub body: usize,
    /// Bytes of a value that a run stores.
    pub value: usize,
    pub nodes: usize,
    pub edges: usize,
    /// Bodies within bodies.
    pub bodies: usize,
    /// Items of a page.
    pub page: u32,
}

/// Who answers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ModelsView {
    /// The provider of models that name none.
    pub provider: String,
    /// Models that name no provider are answered by the script: nobody thinks.
    pub scripted: bool,
}

/// A provider of models.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProviderView {
    /// What stands before the slash in a model's name.
    pub provider: String,
    /// Models that name no provider are its own.
    pub is_default: bool,
    /// It answers from a script.
    pub scripted: bool,
    /// Its models that agents of the project name.
    pub models: BTreeSet<String>,
}

/// An agent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Agent")]
pub struct AgentView {
    pub name: String,
    /// What others are told it is for.
    pub summary: String,
    #[serde(flatten)]
    pub spec: Spec,
}

/// A tool that agents may call.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolOfAgents")]
pub struct ToolView {
    pub name: String,
    pub description: String,
    /// `http` or `expression`.
    pub r#type: &'static str,
    /// JSON Schema of the arguments.
    pub parameters: Value,
    /// About so many tokens each call of a model takes for its description and schema.
    pub tokens: usize,
    /// Agents that have it.
    pub agents: Vec<String>,
}

/// A secret by its name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretName {
    pub name: String,
    /// It goes to certain hosts only.
    pub bound: bool,
}

/// Secrets that the project may name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SecretNames {
    pub items: Vec<SecretName>,
    /// The store tells its names. Otherwise these are those that the settings name, and there may be others.
    pub complete: bool,
}

// === impl Setup ===

impl Setup {
    fn granted(&self, project: &ProjectId) -> Granted {
        let given = self.grants.get(project).cloned().unwrap_or_default();
        let nothing = || (!project.is_default()).then(BTreeSet::new);
        Granted { secrets: given.secrets.or_else(nothing), providers: given.providers.or_else(nothing) }
    }
}

// === impl Operations ===

impl Operations {
    /// Returns what the server is, with its health as the caller has found it.
    pub fn about<H>(&self, sizes: (usize, usize), health: H) -> About<H> {
        let (definition_inline, body) = sizes;
        About {
            version: env!("CARGO_PKG_VERSION"),
            now: now().0,
            roles: self.setup.roles.clone(),
            limits: LimitsView {
                definition: document::SIZE_LIMIT,
                definition_inline,
                body,
                value: VALUE_LIMIT,
                nodes: NODES_LIMIT,
                edges: EDGES_LIMIT,
                bodies: BODY_DEPTH,
                page: super::page::MOST,
            },
            health,
            models: ModelsView {
                provider: self.setup.provider.clone(),
                scripted: self.setup.provider == SCRIPTED,
            },
        }
    }

    /// Returns the names of secrets that the project may use; never what they are.
    pub async fn secrets(&self, principal: &Principal) -> SecretNames {
        let (names, complete) = match self.setup.granted(&principal.project).secrets {
            Some(names) => (names, true),
            None => match self.runs.sidecar.secret_names(&self.setup.secrets).await {
                Ok(names) => (names, true),
                // Not every store tells.
                Err(error) => {
                    tracing::debug!(%error, "the store of secrets does not tell its names");
                    ((*self.bound_secrets).clone(), false)
                }
            },
        };
        let item = |name: String| SecretName { bound: self.bound_secrets.contains(&name), name };
        SecretNames { items: names.into_iter().map(item).collect(), complete }
    }

    /// Returns the providers that the project may ask.
    pub fn models(&self, principal: &Principal) -> Items<ProviderView> {
        let granted = self.setup.granted(&principal.project).providers;
        let may =
            |name: &&String| *name == SCRIPTED || granted.as_ref().is_none_or(|names| names.contains(*name));
        let provider = |name: &String| ProviderView {
            provider: name.clone(),
            is_default: *name == self.setup.provider,
            scripted: name == SCRIPTED,
            models: self.models_of(name),
        };
        Items { items: self.setup.providers.iter().filter(may).map(provider).collect(), next: None }
    }

    /// Models of a provider that agents name, as they name them.
    fn models_of(&self, provider: &str) -> BTreeSet<String> {
        let named = self
            .agents
            .agents
            .values()
            .flat_map(|spec| std::iter::once(&spec.model).chain(&spec.fallback_models));
        let of = |model: &&String| {
            let prefix = model.split_once('/').map(|(prefix, _)| prefix);
            prefix.filter(|prefix| self.setup.providers.contains(*prefix)).unwrap_or(&self.setup.provider)
                == provider
        };
        named.filter(of).cloned().collect()
    }

    /// Returns a page of agents, by their names.
    pub fn agents(&self, of: &Page) -> Result<Items<AgentView>, Refusal> {
        let (limit, after) = (of.limit()?, of.cursor.clone());
        let later =
            self.agents.agents.iter().filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after));
        let found: Vec<_> =
            later.take(limit as usize + 1).map(|(name, spec)| AgentView::of(name, spec)).collect();
        let (items, next) = page(found, limit, |agent| agent.name.clone());
        Ok(Items { items, next })
    }

    pub fn agent(&self, name: &str) -> Result<AgentView, Refusal> {
        let found = self.agents.agents.get_key_value(name);
        found
            .map(|(name, spec)| AgentView::of(name, spec))
            .ok_or_else(|| Refusal::not_found("agent", "of this name"))
    }

    /// Returns the tools that agents may have.
    pub fn tools(&self) -> Items<ToolView> {
        let agents = |tool: &String| {
            let having = self.agents.agents.iter().filter(|(_, spec)| spec.tools.contains(tool));
            having.map(|(name, _)| name.clone()).collect()
        };
        let tool = |(name, tool): (&String, &callboard_core::agent::spec::Tool)| ToolView {
            name: name.clone(),
            description: tool.description.clone(),
            r#type: match tool.kind {
                ToolKind::Http(_) => "http",
                ToolKind::Expression { .. } => "expression",
            },
            tokens: (name.len() + tool.description.len() + tool.parameters.to_string().len())
                .div_ceil(LETTERS),
            parameters: tool.parameters.clone(),
            agents: agents(name),
        };
        Items { items: self.agents.tools.iter().map(tool).collect(), next: None }
    }
}

// === impl AgentView ===

impl AgentView {
    fn of(name: &str, spec: &Spec) -> Self {
        Self { name: name.to_owned(), summary: spec.summary(), spec: spec.clone() }
    }
}
