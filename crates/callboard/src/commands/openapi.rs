//! `callboard openapi`: prints the description of the API, for `docs/openapi.json`.

use super::Exit;
use crate::{gateway::openapi, say};

pub fn perform() -> anyhow::Result<Exit> {
    say::result(&serde_json::to_string_pretty(&openapi::document())?)?;
    Ok(Exit::Done)
}
