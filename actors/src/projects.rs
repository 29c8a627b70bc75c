//! What each project may use of the outside, and which projects any app may call.
//!
//! A project that nobody has named has nothing: no secret, no server at a private address, no provider but the script.

use callboard_connectors::{
    http::{Guarded, Origin},
    model::SCRIPTED,
    secret::{Only, Secrets},
    tools::Tools,
};
use callboard_core::id::ProjectId;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// What all projects may use. A clone is the same.
#[derive(Clone)]
pub struct Projects(Arc<Inner>);

struct Inner {
    /// Whose public methods and events are for any app.
    open: BTreeSet<ProjectId>,
    named: BTreeMap<ProjectId, Granted>,
    elsewhere: Granted,
}

/// What one project may use.
pub struct Granted {
    pub tools: Tools,
    pub http: Arc<Guarded>,
    pub secrets: Arc<dyn Secrets>,
    /// Nothing where it may ask every provider.
    providers: Option<BTreeSet<String>>,
}

/// What an operator grants a project; what is not said is everything in `default`, and nothing elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Grant {
    pub secrets: Option<BTreeSet<String>>,
    pub providers: Option<BTreeSet<String>>,
    pub exempt: Option<Vec<Origin>>,
}

// === impl Projects ===

impl Projects {
    /// `http` and `secrets` are all that there is of them, which is what `default` has unless its grant says less.
    pub fn new(
        http: Arc<Guarded>,
        secrets: Arc<dyn Secrets>,
        grants: BTreeMap<ProjectId, Grant>,
        open: BTreeSet<ProjectId>,
    ) -> Self {
        let granted = |is_default: bool, grant: Grant| {
            let nothing = || (!is_default).then(BTreeSet::new);
            let exempt = grant.exempt.or_else(|| (!is_default).then(Vec::new));
            let http = exempt.map_or_else(|| http.clone(), |exempt| Arc::new(http.exempting(exempt)));
            let secrets: Arc<dyn Secrets> = match grant.secrets.or_else(nothing) {
                Some(names) => Arc::new(Only::new(secrets.clone(), names)),
                None => secrets.clone(),
            };
            let tools = Tools::new(http.clone(), secrets.clone());
            Granted { tools, http, secrets, providers: grant.providers.or_else(nothing) }
        };
        let elsewhere = granted(false, Grant::default());
        let mut named: BTreeMap<_, _> = grants
            .into_iter()
            .map(|(project, grant)| {
                let granted = granted(project.is_default(), grant);
                (project, granted)
            })
            .collect();
        named.entry(ProjectId::DEFAULT).or_insert_with(|| granted(true, Grant::default()));
        Self(Arc::new(Inner { open, named, elsewhere }))
    }

    /// As it is without any settings: `default` has everything, and is open.
    pub fn usual(http: Arc<Guarded>, secrets: Arc<dyn Secrets>) -> Self {
        Self::new(http, secrets, BTreeMap::new(), BTreeSet::from([ProjectId::DEFAULT]))
    }

    pub fn of(&self, project: &ProjectId) -> &Granted {
        self.0.named.get(project).unwrap_or(&self.0.elsewhere)
    }

    /// Whether any app may call its runs, and hears of them.
    pub fn is_open(&self, project: &ProjectId) -> bool {
        self.0.open.contains(project)
    }
}

// === impl Granted ===

impl Granted {
    /// Whether it may ask a provider. The script costs nothing and tells nobody anything.
    pub fn may_ask(&self, provider: &str) -> bool {
        provider == SCRIPTED || self.providers.as_ref().is_none_or(|allowed| allowed.contains(provider))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use callboard_connectors::secret::Secret;

    #[tokio::test]
    async fn default_has_everything_and_others_have_what_they_are_granted() {
        let values = ["one", "two"].map(|name| (name.to_owned(), Secret::new("value")));
        let secrets: Arc<dyn Secrets> = Arc::new(BTreeMap::from(values));
        let http = Arc::new(Guarded::new(vec!["127.0.0.1:9".parse().expect("an origin")], Vec::new()));
        let acme: ProjectId = "acme".parse().expect("a project");
        let set = |name: &str| Some(BTreeSet::from([name.to_owned()]));
        let grant = Grant { secrets: set("one"), providers: set("local"), exempt: None };
        let grants = BTreeMap::from([(acme.clone(), grant)]);
        let projects = Projects::new(http, secrets, grants, BTreeSet::from([ProjectId::DEFAULT]));
        let has = async |project: &ProjectId, name: &str| {
            projects.of(project).secrets.secret(name).await.ok().flatten().is_some()
        };
        let other: ProjectId = "other".parse().expect("a project");
        assert!(has(&ProjectId::DEFAULT, "one").await && has(&ProjectId::DEFAULT, "two").await);
        assert!(has(&acme, "one").await && !has(&acme, "two").await);
        assert!(!has(&other, "one").await);
        let may = |project: &ProjectId, provider: &str| projects.of(project).may_ask(provider);
        assert!(may(&ProjectId::DEFAULT, "openai") && may(&acme, "local") && !may(&acme, "openai"));
        assert!(!may(&other, "local") && may(&other, SCRIPTED));
        assert!(projects.is_open(&ProjectId::DEFAULT) && !projects.is_open(&acme));
        let call = async |project: &ProjectId| {
            let request = callboard_connectors::http::Request::new(http_get(), "http://127.0.0.1:9/");
            projects.of(project).http.call(request).await.map(drop).expect_err("nobody listens").code
        };
        assert_eq!(call(&ProjectId::DEFAULT).await, "http_connect");
        assert_eq!(call(&acme).await, "http_forbidden_address");
        assert_eq!(call(&other).await, "http_forbidden_address");
    }

    fn http_get() -> axum::http::Method {
        axum::http::Method::GET
    }
}
