//! What the API tells of the installation, of the settings.

use crate::{
    config::Config,
    operations::{Granted, Setup},
};
use callboard_actors::Roles;
use callboard_connectors::model::Models;
use std::collections::BTreeSet;

/// `store` keeps secrets where the settings name no other.
pub fn setup(config: &Config, models: &Models, roles: Roles, store: &str) -> Setup {
    let hosted = [("workflow", roles.workflow), ("ai", roles.ai)];
    let names =
        |names: &Option<Vec<String>>| names.clone().map(|names| names.into_iter().collect::<BTreeSet<_>>());
    let grants = config.projects.iter().filter_map(|(id, project)| {
        let granted = Granted { secrets: names(&project.secrets), providers: names(&project.providers) };
        Some((id.parse().ok()?, granted))
    });
    let store = if config.secrets.store.is_empty() { store } else { &config.secrets.store };
    Setup {
        roles: hosted.into_iter().filter_map(|(name, is)| is.then_some(name)).collect(),
        provider: models.provider_of("").to_owned(),
        providers: models.providers().map(str::to_owned).collect(),
        grants: grants.collect(),
        secrets: store.to_owned(),
    }
}
