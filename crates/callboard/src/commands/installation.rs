//! The catalog of an installation, for commands that are about it and start nothing.

use super::Misuse;
use crate::{
    access::Gatekeeper,
    assembly::{self, CatalogPlace, Opened},
    cli::Place,
    config::Config,
};
use anyhow::Context;
use callboard_catalog::{Catalog, PostgresCatalog};
use std::{path::Path, sync::Arc};

/// Opens the catalog that the settings name, or that of the data folder, and brings it up to date; makes it if there is none.
pub async fn made(place: &Place) -> anyhow::Result<Arc<dyn Catalog>> {
    let config = config(place)?;
    let folder = Path::new(&config.data.dir);
    if let CatalogPlace::Postgres(link) = assembly::catalog_place(&config, Some(folder))? {
        PostgresCatalog::migrate(&link).await.context("the catalog")?;
    }
    Ok(assembly::catalog(&config, Some(folder)).await?.catalog)
}

/// Opens it where there is one already.
pub async fn existing(place: &Place) -> anyhow::Result<Arc<dyn Catalog>> {
    Ok(open(&config(place)?).await?.catalog)
}

/// Opens the catalog that there is, for commands about who may ask.
pub async fn gatekeeper(place: &Place) -> anyhow::Result<(Gatekeeper, Opened)> {
    let config = config(place)?;
    let opened = open(&config).await?;
    Ok((assembly::gatekeeper(&config, &opened)?, opened))
}

/// The same, of an installation that may be there only from now on: the first key comes before the first start.
pub async fn first_gatekeeper(place: &Place) -> anyhow::Result<(Gatekeeper, Opened)> {
    let config = config(place)?;
    let opened = assembly::catalog(&config, Some(Path::new(&config.data.dir))).await?;
    Ok((assembly::gatekeeper(&config, &opened)?, opened))
}

async fn open(config: &Config) -> anyhow::Result<Opened> {
    let folder = Path::new(&config.data.dir);
    if let CatalogPlace::File(file) = assembly::catalog_place(config, Some(folder))?
        && !file.try_exists().with_context(|| file.display().to_string())?
    {
        let message =
            format!("there is no catalog {}: name the folder by --data, or set catalog.url", file.display());
        return Err(Misuse(message).into());
    }
    assembly::catalog(config, Some(folder)).await
}

pub fn config(place: &Place) -> anyhow::Result<Config> {
    let mut config = Config::load(place.config.as_deref())?;
    if let Some(data) = &place.data {
        config.name_data(data);
    }
    Ok(config)
}
