//! `callboard migrate`: brings the catalog up to date, as every start does with a file; `--finish` ends the time in which processes of
//! the release before may run.

use super::{Exit, installation};
use crate::{cli, say::say};

pub async fn perform(migrate: cli::Migrate) -> anyhow::Result<Exit> {
    let catalog = installation::made(&migrate.place).await?;
    if migrate.finish {
        catalog.require_signatures().await?;
    }
    let required = catalog.signing().await?.required;
    catalog.close().await;
    say!("the catalog is up to date");
    if required {
        say!("messages between the actors must be signed");
    } else {
        say!(
            "messages between the actors need no signature yet: once no process of the release before is left, say \
             `callboard migrate --finish`"
        );
    }
    Ok(Exit::Done)
}
