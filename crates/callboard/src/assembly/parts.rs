//! The parts that every process has, made of the settings.

use super::{folder::mark, listener, vault};
use crate::{
    access::{Gatekeeper, Issuer, IssuerKeys, KeySet},
    config::{Config, WorkerToken},
    document::{self, Agents},
    gateway::{Gateway, HttpMetrics, Limits, Page, Readiness},
    operations::{
        Boards, Followed, Heavy, Oidc, Operations, Projections, Rates, Runs, Setup, Shapes, Told,
        TriggerParts,
    },
    private,
    say::say,
    triggers::Vault,
};
use anyhow::{Context, bail};
use callboard_actors::{
    Batcher, Clock, Grant, Keyring, Live, Metrics, Projects, Services, Settings, protocol::Caller,
};
use callboard_catalog::{Access, Catalog, Link, Marks, PostgresCatalog, SqliteCatalog, Triggers};
use callboard_connectors::{
    http::{Guarded, Origin},
    model::{Config as ModelsConfig, Models, Prices, Provider, Script},
    secret::{Hosts, Secrets},
};
use callboard_core::Span;
use callboard_sidecar::Sidecar;
use prometheus::Registry;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// The provider that `models.base_url` and `models.api_key` describe.
const OPENAI: &str = "openai";
const OPENAI_URL: &str = "https://api.openai.com/v1";
/// Scripted answers of a checkout.
const SCRIPT_FILE: &str = "config/scripted.yaml";
/// The same for a binary on its own.
const SCRIPT: &str = include_str!("../../../../config/scripted.yaml");

/// What is made before there is a sidecar.
pub struct Parts {
    pub catalog: Arc<dyn Catalog>,
    pub marks: Arc<dyn Marks>,
    triggers: Arc<dyn Triggers>,
    vault: Vault,
    /// Who may ask.
    pub gatekeeper: Gatekeeper,
    /// What the process itself sends.
    pub own: String,
    pub models: Arc<Models>,
    pub agents: Arc<Agents>,
    pub keyring: Keyring,
    pub registry: Registry,
    pub metrics: Metrics,
    pub live: Live,
    pub stop: CancellationToken,
    /// The stop has come so far that nothing is answered any more.
    pub closed: CancellationToken,
    exempt: Vec<Origin>,
    /// Where secrets may go.
    pub hosts: Hosts,
}

// === impl Parts ===

impl Parts {
    /// Makes them. The catalog is the one of the settings, else a file in the folder.
    pub async fn new(config: &Config, folder: Option<&Path>) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let agents = document::agents_of(config).map_err(anyhow::Error::msg)?;
        if let Some(loose) = document::loosened(config, &agents) {
            say!("callboard: {loose} (you trust this folder)");
        }
        let hosts =
            Hosts::new(&config.secrets.hosts).map_err(|error| anyhow::anyhow!("secrets.hosts.{error}"))?;
        let problems = agents.check_hosts(&hosts.bound());
        if !problems.is_empty() {
            let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
            bail!("the agents can't be used:{}", lines.concat());
        }
        let exempt = config.http.allow.iter().map(|text| text.parse::<Origin>());
        let exempt =
            exempt.collect::<Result<_, _>>().map_err(|error| anyhow::anyhow!("http.allow: {error}"))?;
        let opened = catalog(config, folder).await?;
        let (gatekeeper, own) = gatekeeper(config, &opened)?.with_own();
        let Opened { catalog, triggers, marks, access: _ } = opened;
        let keyring = Keyring::open(&*catalog, Clock::system().now()).await.context("the internal keys")?;
        if !keyring.is_required() {
            tracing::info!(
                "messages between the actors need no signature yet: once no process of the release before is left, say \
                 `callboard migrate --finish`"
            );
        }
        Ok(Self {
            catalog,
            marks,
            triggers,
            vault: vault::open(config, folder)?,
            gatekeeper,
            own,
            keyring,
            models: Arc::new(models(config)?),
            agents: Arc::new(agents),
            metrics: Metrics::new(&registry),
            registry,
            live: Live::default(),
            stop: CancellationToken::new(),
            closed: CancellationToken::new(),
            exempt,
            hosts,
        })
    }

    /// Joins them with a sidecar. `own` are the addresses that no definition may call.
    pub fn services(
        &self,
        config: &Config,
        sidecar: Sidecar,
        secrets: Arc<dyn Secrets>,
        own: Vec<SocketAddr>,
        strict: bool,
    ) -> Services {
        Services {
            sidecar,
            catalog: self.catalog.clone(),
            models: self.models.clone(),
            projects: projects(config, Guarded::new(self.exempt.clone(), own), secrets),
            agents: self.agents.clone(),
            keyring: self.keyring.clone(),
            settings: Settings {
                strict,
                // Beside a sidecar there are other processes; embedded, this one is all there is.
                broadcast: strict.then(|| "broadcast".to_owned()),
                retention: config.runs.retention,
                dispatch: config.runs.dispatch,
                require_hash: config.approvals.require_hash,
                require_token: config.workers.token == WorkerToken::Required,
                marks: Some(Path::new(&config.data.dir).to_owned()),
                ..Settings::default()
            },
            metrics: self.metrics.clone(),
            live: self.live.clone(),
            clock: Clock::system(),
            batcher: Batcher::default(),
        }
    }

    /// Refuses to listen where others can reach us and nobody is asked who they are.
    pub async fn may_listen(&self, config: &Config) -> anyhow::Result<()> {
        let is_open = self.gatekeeper.is_open().await;
        let is_open = is_open.map_err(|_| anyhow::anyhow!("the catalog does not answer"))?;
        listener::check(config.server.listen, config.server.allow_insecure_listen, is_open)
    }

    /// Writes what is still to be written, and lets go of the catalog.
    pub async fn close(&self) {
        self.gatekeeper.trail().flushed().await;
        self.catalog.close().await;
    }

    /// `projects` are those of the services.
    pub fn gateway(
        &self,
        config: &Config,
        sidecar: Sidecar,
        told: Told,
        projects: Projects,
        setup: Setup,
    ) -> anyhow::Result<Gateway> {
        let live = self.live.clone();
        let catalog = self.catalog.clone();
        Ok(Gateway {
            operations: Operations {
                runs: Runs {
                    sidecar: sidecar.clone(),
                    caller: Caller { keyring: self.keyring.clone(), catalog: catalog.clone() },
                    catalog: catalog.clone(),
                    watch: Arc::new(move |run| live.subscribe(run)),
                    live: self.live.clone(),
                },
                catalog: catalog.clone(),
                agents: self.agents.clone(),
                bound_secrets: Arc::new(self.hosts.bound()),
                heavy: Heavy::default(),
                projections: Projections::default(),
                told,
                setup: Arc::new(setup),
                feeds: Followed::default(),
                shapes: Shapes::default(),
                boards: Boards::default(),
                access: self.gatekeeper.clone(),
                triggers: TriggerParts {
                    store: self.triggers.clone(),
                    vault: self.vault.clone(),
                    projects,
                    rates: Rates::default(),
                },
                oidc: oidc(config),
                stop: self.stop.clone(),
            },
            readiness: Readiness::new(sidecar, catalog, &Settings::default().statestore, self.stop.clone()),
            limits: Limits::new(config.server.concurrency, config.server.streams),
            metrics: HttpMetrics::new(&self.registry)?,
            registry: self.registry.clone(),
            page: Page::built(),
        })
    }
}

/// Where the catalog is.
pub enum CatalogPlace {
    /// An SQLite file: the one of the settings, else one in the folder.
    File(PathBuf),
    Postgres(Link),
}

impl CatalogPlace {
    /// Returns what an operator calls it.
    pub fn name(&self) -> String {
        match self {
            Self::File(file) => format!("the catalog {}", file.display()),
            Self::Postgres(_) => "the catalog of catalog.url".to_owned(),
        }
    }

    /// Says that a file would be made. A database is made by its operator.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::File(file) if !file.exists())
    }
}

/// Returns where the settings say that the catalog is.
pub fn catalog_place(config: &Config, folder: Option<&Path>) -> anyhow::Result<CatalogPlace> {
    let url = config.catalog.url.expose();
    match (url.strip_prefix("sqlite:"), folder) {
        (Some(file), _) => {
            Ok(CatalogPlace::File(Path::new(file.strip_prefix("//").unwrap_or(file)).to_owned()))
        }
        (None, Some(folder)) if url.is_empty() => Ok(CatalogPlace::File(folder.join("catalog.db"))),
        (None, _) if url.is_empty() => {
            bail!(
                "no catalog is named: set catalog.url (CALLBOARD__CATALOG__URL), for instance to sqlite:FILE or \
                 postgres://USER:PASSWORD@HOST/DATABASE"
            )
        }
        (None, _) => {
            let link = Link::read(url, config.catalog.pooler).map_err(anyhow::Error::msg);
            Ok(CatalogPlace::Postgres(link.context("catalog.url")?))
        }
    }
}

/// The database, as the engine uses it, and as the API does.
pub struct Opened {
    pub catalog: Arc<dyn Catalog>,
    pub access: Arc<dyn Access>,
    pub triggers: Arc<dyn Triggers>,
    /// Which installation it is of.
    pub marks: Arc<dyn Marks>,
}

impl Opened {
    /// The same database, in each of its parts.
    fn of<C: Catalog + Access + Triggers + Marks>(catalog: C) -> Self {
        let catalog = Arc::new(catalog);
        Self { catalog: catalog.clone(), access: catalog.clone(), triggers: catalog.clone(), marks: catalog }
    }
}

/// Makes who knows everybody, of the settings.
pub fn gatekeeper(config: &Config, opened: &Opened) -> anyhow::Result<Gatekeeper> {
    let issuers = config.auth.issuers.iter().map(|(name, issuer)| {
        let keys = match issuer.secret.is_empty() {
            true => IssuerKeys::Set(KeySet::at(&issuer.jwks).map_err(anyhow::Error::msg)?),
            false => IssuerKeys::secret(issuer.secret.expose().as_bytes()),
        };
        Ok(Issuer {
            name: name.clone(),
            issuer: issuer.issuer.clone(),
            audiences: issuer.audiences.clone(),
            keys,
            project_claim: issuer.project_claim.clone().filter(|claim| !claim.is_empty()),
            role_claim: issuer.role_claim.clone().unwrap_or_else(|| "role".to_owned()),
            leeway: issuer.leeway.unwrap_or(Span::secs(30)),
        })
    });
    let issuers = issuers.collect::<anyhow::Result<_>>()?;
    Ok(Gatekeeper::new(opened.access.clone(), config.auth.pepper.expose().as_bytes(), issuers))
}

/// What each project may use, of the settings: they were checked when they were read.
fn projects(config: &Config, http: Guarded, secrets: Arc<dyn Secrets>) -> Projects {
    let names = |names: &Option<Vec<String>>| names.clone().map(|names| names.into_iter().collect());
    let grants = config.projects.iter().filter_map(|(id, project)| {
        let exempt = project.http_allow.as_ref();
        let exempt = exempt.map(|texts| texts.iter().filter_map(|text| text.parse().ok()).collect());
        let grant = Grant { secrets: names(&project.secrets), providers: names(&project.providers), exempt };
        Some((id.parse().ok()?, grant))
    });
    let open = config.dapr.projects.iter().filter_map(|id| id.parse().ok()).collect();
    Projects::new(Arc::new(http), secrets, grants.collect(), open)
}

fn oidc(config: &Config) -> Option<Arc<Oidc>> {
    let oidc = &config.auth.oidc;
    let (issuer, client_id, scopes) = (oidc.issuer.clone(), oidc.client_id.clone(), oidc.scopes.clone());
    (!client_id.is_empty()).then(|| Arc::new(Oidc { issuer, client_id, scopes }))
}

/// Opens the catalog. A file is brought up to date; a database has been, by `callboard migrate`.
pub async fn catalog(config: &Config, folder: Option<&Path>) -> anyhow::Result<Opened> {
    let file = match catalog_place(config, folder)? {
        CatalogPlace::File(file) => file,
        CatalogPlace::Postgres(link) => {
            return Ok(Opened::of(PostgresCatalog::open(link).await.context("the catalog")?));
        }
    };
    if let Some(parent) = file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        let is_new = !file.exists();
        private::make(parent).with_context(|| parent.display().to_string())?;
        // A `dev` in the same place finds a folder that is the user's.
        if is_new && folder.is_none() {
            mark(&config.ground.user, parent);
        }
    }
    let catalog = SqliteCatalog::open(&file).await;
    Ok(Opened::of(catalog.with_context(|| format!("the catalog {}", file.display()))?))
}

fn models(config: &Config) -> anyhow::Result<Models> {
    let settings = &config.models;
    let mut providers = settings.providers.clone();
    let mut default = (!settings.default.is_empty()).then(|| settings.default.clone());
    if !settings.base_url.is_empty() || !settings.api_key.is_empty() {
        let base_url = if settings.base_url.is_empty() { OPENAI_URL } else { &settings.base_url };
        let provider = Provider {
            base_url: base_url.to_owned(),
            api_key: settings.api_key.clone(),
            ..Provider::default()
        };
        providers.entry(OPENAI.to_owned()).or_insert(provider);
        default.get_or_insert_with(|| OPENAI.to_owned());
    }
    let models = {
        let (script, prices) = (script(&settings.script)?, Prices::new(settings.prices.clone()));
        Models::new(ModelsConfig { default, providers, script, prices })
    };
    models.map_err(|problems| {
        let lines: Vec<_> = problems.iter().map(|problem| format!("\n  {problem}")).collect();
        anyhow::anyhow!("the models can't be used:{}", lines.concat())
    })
}

fn script(file: &str) -> anyhow::Result<Script> {
    let usual = Path::new(SCRIPT_FILE);
    let file = if file.is_empty() && usual.is_file() { SCRIPT_FILE } else { file };
    let text = match file {
        "" => SCRIPT.to_owned(),
        file => std::fs::read_to_string(file).with_context(|| file.to_owned())?,
    };
    Script::read(&text).map_err(|problem| anyhow::anyhow!("{file}: {problem}"))
}
