//! `callboard openapi`: prints the description of the API, for `docs/openapi.json`.

use super::Exit;
use crate::gateway::openapi;

pub fn perform() -> anyhow::Result<Exit> {
    println!("{}", serde_json::to_string_pretty(&openapi::document())?);
    Ok(Exit::Done)
}
