//! `callboard keys rotate-internal`: gives the processes of an installation a new key to sign their messages with.

use super::{Exit, installation};
use crate::{cli, say::say};
use callboard_actors::{Clock, fresh_key};

pub async fn perform(keys: cli::Keys) -> anyhow::Result<Exit> {
    match keys.command {
        cli::KeysCommand::RotateInternal(place) => {
            let catalog = installation::existing(&place).await?;
            let id = catalog.rotate_key(fresh_key(), Clock::system().now()).await?;
            catalog.close().await;
            say!(
                "key {id} signs as soon as the processes have read it, within seconds; the one before it stays valid \
                 until the next rotation"
            );
        }
    }
    Ok(Exit::Done)
}
